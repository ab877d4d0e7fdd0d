"""Voices as the engine takes them, kept in memory while they are used, and forgotten everywhere once they are
deleted: here at once, by every other server at its next request or within `WATCH_SECONDS`."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from serving.engines.base import Reference
from serving.errors import StorageError
from serving.voices.library import Library
from serving.voices.unpack import unpack
from serving.voices.voice import Voice

KEPT_RATE = 48_000
"""Hertz, of every recording in the store: at least what any engine takes."""

WATCH_SECONDS = 30.0
_IN_MEMORY = 8  # of at most 30 s, 5.8 MB each
_WATCHED = 1000
_log = logging.getLogger("serving.voices")


@dataclass(frozen=True)
class _Used:
    """A voice that the engine has been given; `gone`: it was deleted, and the engine told once."""

    digest: str
    gone: bool = False


class References:
    """Gives out the references of stored voices. `forget` is told the digest of each one that nobody may
    speak in any more; it drops what the engine has derived."""

    def __init__(self, library: Library, forget: Callable[[str], None]) -> None:
        self._library, self._forget = library, forget
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[str, str], Reference] = OrderedDict()
        self._used: OrderedDict[tuple[str, str], _Used] = OrderedDict()

    def find(self, owner: str, voice_id: str) -> tuple[Voice, Reference] | None:
        """A voice of an owner, None where there is none: the store is asked each time, since another server
        may have deleted it. Raises StorageError."""
        place = (owner, voice_id)
        voice = self._library.find(owner, voice_id)
        if voice is None:
            self.drop(owner, voice_id)
            return None
        with self._lock:
            reference = self._loaded.get(place)
        if reference is None:
            audio = self._library.audio(owner, voice)
            if audio is None:
                return None
            unpacked = unpack(audio, rate=KEPT_RATE, most_seconds=voice.seconds + 1)
            reference = Reference.of(unpacked.samples, sample_rate=KEPT_RATE, transcript=voice.transcript)
        self._note(place, reference)
        return voice, reference

    def uses(self, digest: str) -> bool:
        """Whether a stored voice of this digest is in use."""
        with self._lock:
            return any(used.digest == digest and not used.gone for used in self._used.values())

    def drop(self, owner: str, voice_id: str) -> None:
        """Forgets a voice that was deleted, and all that was derived of it."""
        place = (owner, voice_id)
        with self._lock:
            self._loaded.pop(place, None)
            used = self._used.get(place)
            if used is None:
                return
            # A synthesis that has just begun may derive it once more: the next look forgets it again.
            self._used[place] = _Used(used.digest, gone=True)
        self._forget_unless_used(used.digest)

    def look(self) -> None:
        """Drops what other servers have deleted. Raises StorageError."""
        with self._lock:
            watched = list(self._used.items())
        for place, used in watched:
            if used.gone:
                with self._lock:
                    self._used.pop(place, None)
                self._forget_unless_used(used.digest)
            elif self._library.find(*place) is None:
                self.drop(*place)

    def watch(self) -> None:
        """Begins to look now and then, in a thread that never keeps the process alive."""

        def go_on() -> None:
            wait = threading.Event()
            while not wait.wait(WATCH_SECONDS):
                try:
                    self.look()
                except StorageError as error:
                    _log.warning("Whether voices were deleted elsewhere could not be seen: %s", error)

        threading.Thread(target=go_on, name="voices-watch", daemon=True).start()

    def _note(self, place: tuple[str, str], reference: Reference) -> None:
        with self._lock:
            self._loaded[place] = reference
            self._loaded.move_to_end(place)
            if len(self._loaded) > _IN_MEMORY:
                self._loaded.popitem(last=False)
            self._used[place] = _Used(reference.digest)
            self._used.move_to_end(place)
            if len(self._used) > _WATCHED:
                self._used.popitem(last=False)

    def _forget_unless_used(self, digest: str) -> None:
        if not self.uses(digest):
            self._forget(digest)

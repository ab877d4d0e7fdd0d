"""The voices that callers have added, in the one store: of all versions of a model, each of one key.

A voice is `<voices>/<owner>/<id>/reference.flac` and, written after it, `voice.json`: without the second
there is no voice, so nothing half stored is ever seen. Neither is changed; a deletion takes the second one
first."""

import hashlib
import logging
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

from serving.errors import StorageError, TakenError
from serving.storage.store import Store
from serving.voices.voice import Voice, as_json, from_json, is_id, new_id

NOBODY = "_"
"""Stands for the owner where keys are not asked for; no key has this name."""

_ABOUT, _AUDIO = "voice.json", "reference.flac"
_KNOWN = 2000
_SWEEP_SECONDS = 6 * 3600
_TRIES = 3  # ids are drawn from 2**122
_log = logging.getLogger("serving.voices")


class Library:
    """The voices of one model, in `folder` of a store. Every method waits for the store, from any thread, and
    raises StorageError. An owner is the name of an API key, empty where none is asked for."""

    def __init__(self, store: Store, folder: str, *, make_id: Callable[[], str] = new_id) -> None:
        self._store, self._folder, self._make_id = store, folder, make_id
        self._known: dict[tuple[str, str], Voice] = {}
        self._halves: set[str] = set()

    def add(self, owner: str, voice: Voice, audio: bytes) -> Voice:
        """Keeps a voice under an id of its own, whole or not at all; returns it as it is kept."""
        sha256 = hashlib.sha256(audio).hexdigest()
        for _ in range(_TRIES):
            voice = replace(voice, id=self._make_id(), sha256=sha256)
            try:
                self._put(owner, voice, audio)
            except TakenError:
                _log.warning("The id %s is taken; another one is drawn.", voice.id)
                continue
            return voice
        raise StorageError(f"The last {_TRIES} ids that were drawn are all taken.")

    def all_of(self, owner: str) -> list[Voice]:
        """The voices of an owner, the oldest first."""
        ids = [voice_id for voice_id, whats in self._kept(owner) if _ABOUT in whats]
        # A voice never changes: what is listed now is what was read before.
        found = (self._known.get((owner, voice_id)) or self.find(owner, voice_id) for voice_id in ids)
        return sorted((voice for voice in found if voice), key=lambda voice: (voice.created, voice.id))

    def count(self, owner: str) -> int:
        """How many voices an owner has."""
        return sum(_ABOUT in whats for _, whats in self._kept(owner))

    def find(self, owner: str, voice_id: str) -> Voice | None:
        """A voice of an owner, by what the store says now; None where there is none, or it is another's."""
        if not is_id(voice_id):
            return None
        kept = self._store.get(self._key(owner, voice_id, _ABOUT))
        if kept is None:
            self._known.pop((owner, voice_id), None)
            return None
        if len(self._known) >= _KNOWN:
            self._known.clear()
        voice = self._known[owner, voice_id] = _read(voice_id, kept.content)
        return voice

    def audio(self, owner: str, voice: Voice) -> bytes | None:
        """The recording of a voice, as it was added; None where it is gone by now."""
        kept = self._store.get(self._key(owner, voice.id, _AUDIO))
        if kept is None:
            return None
        if hashlib.sha256(kept.content).hexdigest() != voice.sha256:
            raise StorageError(f"The recording of {voice.id} in the store is not the one that was added.")
        return kept.content

    def delete(self, owner: str, voice_id: str) -> bool:
        """Deletes a voice of an owner, and what a deletion or an upload that failed has left of one; whether
        there was anything."""
        if not is_id(voice_id):
            return False
        whats = next(iter(dict(self._kept(owner, voice_id)).values()), set[str]())
        for what in sorted(whats, key=lambda what: what != _ABOUT):
            self._store.delete(self._key(owner, voice_id, what))
        return bool(whats)

    def sweep(self) -> int:
        """Deletes recordings that have had no voice since the last time it was called: an upload under way is
        over by then. Returns how many."""
        halves = {
            f"{owner}/{voice_id}"
            for owner, voice_id, whats in self._folders(self._folder)
            if _ABOUT not in whats
        }
        old, self._halves = halves & self._halves, halves
        for half in old:
            self._store.delete(f"{self._folder}/{half}/{_AUDIO}")
        return len(old)

    def sweep_now_and_then(self) -> None:
        """Begins to do so, in a thread that never keeps the process alive; the servers of a stack not all at
        once."""

        def go_on() -> None:
            wait = threading.Event()
            while not wait.wait(_SWEEP_SECONDS * random.uniform(0.5, 1)):  # noqa: S311 - only a time
                try:
                    if count := self.sweep():
                        _log.info("%d recordings without a voice were deleted.", count)
                except StorageError as error:
                    _log.warning("Recordings without a voice could not be deleted: %s", error)

        threading.Thread(target=go_on, name="voices-sweep", daemon=True).start()

    def _put(self, owner: str, voice: Voice, audio: bytes) -> None:
        begun = False
        try:
            self._store.put(self._key(owner, voice.id, _AUDIO), audio, {})
            begun = True
            self._store.put(self._key(owner, voice.id, _ABOUT), as_json(voice), {})
        except StorageError as error:
            if isinstance(error, TakenError) and not begun:
                raise
            self._take_back(owner, voice.id, begun=begun)
            raise StorageError(str(error), transient=error.transient) from error

    def _take_back(self, owner: str, voice_id: str, *, begun: bool) -> None:
        """Deletes what a failed upload has left. Where that fails too, `sweep` remains.

        A store may have taken what it did not confirm; but what already was a voice before is another's."""
        try:
            if begun or self._store.get(self._key(owner, voice_id, _ABOUT)) is None:
                self.delete(owner, voice_id)
        except StorageError as error:
            _log.warning("What is left of an upload that failed could not be deleted: %s", error)

    def _key(self, owner: str, voice_id: str, what: str) -> str:
        return f"{self._folder}/{owner or NOBODY}/{voice_id}/{what}"

    def _kept(self, owner: str, voice_id: str = "") -> Iterator[tuple[str, set[str]]]:
        below = "/".join(part for part in (self._folder, owner or NOBODY, voice_id) if part)
        return ((found, whats) for _, found, whats in self._folders(below))

    def _folders(self, below: str) -> Iterator[tuple[str, str, set[str]]]:
        """Owner, id and what there is of it, for each voice below a folder."""
        found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for key in self._store.list(below):
            owner, voice_id, what = ["", "", *key.removeprefix(f"{self._folder}/").split("/")][-3:]
            if is_id(voice_id) and what in (_ABOUT, _AUDIO):
                found[owner, voice_id].add(what)
        return ((*place, whats) for place, whats in found.items())


def _read(voice_id: str, content: bytes) -> Voice:
    try:
        return from_json(content)
    except ValueError as error:
        raise StorageError(f"What the store has of {voice_id} cannot be read: {error}.") from error

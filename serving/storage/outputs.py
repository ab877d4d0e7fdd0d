"""Answers kept in the store: those to users, and those that the gate of a release has judged."""

import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

from serving.encoding import with_sizes
from serving.storage.store import Store
from serving.storage.writer import Writer

HEADER = "x-tts-output"
LIMIT_BYTES = 32 << 20

_REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # as gateways make them


class Recording:
    """One answer as it is made; in the end it is finished or abandoned. `key`: its place, which the caller is
    told where it is `promised`, since the store takes what it is given; `kept`: it was handed to the
    store."""

    def __init__(self, outputs: "Outputs", key: str, metadata: Mapping[str, str], *, promised: bool) -> None:
        self.key, self.promised, self.kept = key, promised, False
        self._outputs, self._metadata = outputs, dict(metadata)
        self._content = bytearray()
        self._seconds = 0.0
        self._dropped = self._ended = False

    def add(self, seconds: float, part: bytes) -> None:
        """So much audio was made; `part` of it, in the answer's format, is about to be sent."""
        self._seconds += seconds
        if not self._dropped and self._outputs.take(len(part)):
            self._content += part
        elif not self._dropped:
            self._dropped = True
            self._forget()

    def finish(self) -> None:
        """All of it was sent: it is stored when the store takes it."""
        self._ended = True
        if self._dropped:
            self._outputs.drop()
        else:
            self.kept = True
            self._hand_over(self._content, self._metadata | {"duration": f"{self._seconds:.3f}"})

    def _hand_over(self, content: bytearray, metadata: dict[str, str]) -> None:
        whole = with_sizes(content) if self.key.endswith(".wav") else content
        self._outputs.hand_over(self.key, whole, metadata)

    def abandon(self) -> None:
        """The caller went away: what was made is forgotten. Without effect on what is finished."""
        if not self._ended:
            self._ended = True
            self._forget()

    def _forget(self) -> None:
        self._outputs.give_back(len(self._content))
        self._content = bytearray()


class JudgedRecording(Recording):
    """One answer to the gate of a release, kept byte for byte as it was sent: its sha256, by which the
    release's receipt knows it, is its name. `key` is the folder. The same text in the same voice is often
    the same bytes, which are kept once."""

    def _hand_over(self, content: bytearray, metadata: dict[str, str]) -> None:
        key = f"{self.key}{hashlib.sha256(content).hexdigest()}.wav"
        self._outputs.hand_over(key, content, metadata, by_content=True)


async def recorded(parts: AsyncIterator[bytes], recording: Recording) -> AsyncIterator[bytes]:
    """The parts as they are; the recording of their audio is kept if somebody takes all of them."""
    try:
        async for part in parts:
            yield part
        recording.finish()
    finally:
        recording.abandon()


class Outputs(Writer):
    """Keeps answers to users in `folder` of the store, and those that a gate has judged in `judged`. `count`
    is told how each one ended."""

    def __init__(
        self,
        store: Store,
        identity: Mapping[str, str],
        count: Callable[[str], None],
        *,
        folder: str,
        judged: str,
        limit: int = LIMIT_BYTES,
    ) -> None:
        super().__init__(store, count, limit=limit)
        self._folder, self._judged, self._identity = folder, judged, dict(identity)

    def begin(self, *, voice: str, seed: int | None, audio_format: str, request_id: str) -> Recording:
        """An answer is about to be made. `seed` is None where the caller gave none; an id of the request that
        is none of a gateway's is replaced, since it becomes a part of the key."""
        now = datetime.now(UTC)
        name = request_id if _REQUEST_ID.fullmatch(request_id) else str(uuid.uuid4())
        metadata = {**self._identity, "voice": voice, "created": now.isoformat(timespec="milliseconds")}
        if seed is not None:
            metadata["seed"] = str(seed)
        key = f"{self._folder}/{now:%Y-%m-%d}/{name}.{audio_format}"
        return Recording(self, key, metadata, promised=self.well)

    def begin_judged(self, *, release: str) -> Recording:
        """An answer in wav is about to be made that the gate of `release` will judge."""
        now = datetime.now(UTC)
        created = {"release": release, "created": now.isoformat(timespec="milliseconds")}
        return JudgedRecording(self, f"{self._judged}/", self._identity | created, promised=self.well)

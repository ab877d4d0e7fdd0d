"""Answers kept in the store."""

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
    """One answer as it is made, under its `key`; in the end it is finished or abandoned. `promised`: the
    caller may be told the key, since the store takes what it is given; `kept`: it was handed to the store."""

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
            metadata = self._metadata | {"duration": f"{self._seconds:.3f}"}
            content = with_sizes(self._content) if self.key.endswith(".wav") else self._content
            self._outputs.hand_over(self.key, content, metadata)

    def abandon(self) -> None:
        """The caller went away: what was made is forgotten. Without effect on what is finished."""
        if not self._ended:
            self._ended = True
            self._forget()

    def _forget(self) -> None:
        self._outputs.give_back(len(self._content))
        self._content = bytearray()


async def recorded(parts: AsyncIterator[bytes], recording: Recording) -> AsyncIterator[bytes]:
    """The parts as they are; the recording of their audio is kept if somebody takes all of them."""
    try:
        async for part in parts:
            yield part
        recording.finish()
    finally:
        recording.abandon()


class Outputs(Writer):
    """Keeps answers in a folder of the store. `count` is told how each one ended."""

    def __init__(
        self,
        store: Store,
        folder: str,
        identity: Mapping[str, str],
        count: Callable[[str], None],
        *,
        limit: int = LIMIT_BYTES,
    ) -> None:
        super().__init__(store, count, limit=limit)
        self._folder, self._identity = folder, dict(identity)

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

"""Syntheses under way: a bounded number at a time, in the order they came, a chunk at a time.

A slot is held for one chunk, not for a whole stream: a client that reads slowly holds none, and a short
request waits at most for a sentence of each longer one before it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import anyio
import anyio.to_thread
from starlette.types import Receive

from serving.audio import to_pcm, wav_header
from serving.engines.base import Engine
from serving.errors import UnspeakableError
from serving.speech import Utterance


class Synthesiser:
    """Runs the engine in threads, at most `slots` at a time."""

    def __init__(self, slots: int, on_audio: Callable[[float], None]) -> None:
        """`on_audio` is told the seconds of audio of each chunk."""
        self._slots = slots
        self._limiter: anyio.CapacityLimiter | None = None
        self._on_audio = on_audio

    async def stream(self, engine: Engine, utterance: Utterance) -> AsyncIterator[bytes]:
        """Yields the encoded audio, the first part with its header. Raises UnspeakableError before it."""
        if self._limiter is None:  # it belongs to the running event loop
            self._limiter = anyio.CapacityLimiter(self._slots)
        samples = engine.synthesise(
            utterance.text, voice=utterance.voice, speed=utterance.speed, seed=utterance.seed
        )

        def pull() -> bytes | None:
            chunk = next(samples, None)
            return None if chunk is None else to_pcm(chunk)

        header = wav_header(engine.sample_rate) if utterance.format == "wav" else b""
        # A cancelled request waits here for the chunk under way, so that the slot is free when it says so.
        while (part := await anyio.to_thread.run_sync(pull, limiter=self._limiter)) is not None:
            self._on_audio(len(part) / 2 / engine.sample_rate)
            yield header + part
            header = b""


async def first_part(parts: AsyncIterator[bytes], receive: Receive) -> bytes | None:
    """The first part of a stream, or None when the client went away before it was there."""
    return await _unless_gone(partial(_first, parts), receive)


async def _first(parts: AsyncIterator[bytes]) -> bytes | Exception:
    try:
        return await anext(parts)
    except StopAsyncIteration:
        return UnspeakableError("The field `input` gave no sound.")
    except Exception as error:  # noqa: BLE001 - carried past the task group, which would wrap it
        return error


async def _unless_gone(work: Callable[[], Awaitable[bytes | Exception]], receive: Receive) -> bytes | None:
    outcome: bytes | Exception | None = None
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        outcome = await work()
        group.cancel_scope.cancel()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


async def chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The first part, then the rest."""
    yield first
    async for part in rest:
        yield part

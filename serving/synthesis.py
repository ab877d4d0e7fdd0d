"""Syntheses under way: a bounded number at a time, a chunk at a time, that of the next gap first.

A slot is held for one chunk, not for a whole stream: a client that reads slowly holds none, and a short
request does not wait for the longer ones before it. An engine whose syntheses cannot be interleaved holds its
slot from a text's first chunk to its last, and makes them without waiting for the client.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, aclosing, suppress
from functools import partial
from typing import Protocol

import anyio
import anyio.to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serving import events
from serving.ahead import ahead
from serving.encoding import FORMATS, Encoder
from serving.engines.base import Engine
from serving.errors import UnspeakableError
from serving.scheduler import Scheduler
from serving.speech import Speech

_log = logging.getLogger("serving.speech")

Parts = AsyncGenerator[bytes, None]


class Listener(Protocol):
    """Who is told how a stream gets on."""

    def busy(self) -> AbstractContextManager[None]:
        """Entered while the stream waits for its place, and while a chunk is made or waits for its slot."""

    def let_in(self, waited: float) -> None:
        """The stream has its place, after so many seconds."""

    def made(self, seconds: float, part: bytes, *, worked: float) -> None:
        """So many seconds of audio were made in `worked` seconds; `part` is what the encoder gave. The thread
        that made it tells."""


class Synthesiser:
    """Runs the engine in threads, at most `slots` at a time."""

    def __init__(self, slots: int) -> None:
        self._scheduler = Scheduler(slots)

    async def stream(
        self,
        engine: Engine,
        speech: Speech,
        *,
        place: AbstractAsyncContextManager[None],
        listener: Listener,
    ) -> Parts:
        """Yields the answer's parts, none of them empty. Raises UnspeakableError, or what `place` raises,
        before the first one.

        `place` is held to the end. Engine and encoder are closed at the end, also when it comes early.
        """
        came = time.monotonic()
        async with AsyncExitStack() as held:
            with listener.busy():
                await held.enter_async_context(place)
            listener.let_in(time.monotonic() - came)
            work = _Work(engine, speech, listener, came=came)
            held.callback(work.close)
            run = self._in_turns if engine.capabilities.interleaved else self._at_once
            parts = await held.enter_async_context(aclosing(run(work, listener)))
            async for part in parts:
                if part:
                    yield part

    async def _in_turns(self, work: _Work, listener: Listener) -> Parts:
        """A slot for each chunk, once the one before is taken."""
        while not work.done:
            with listener.busy():
                part = await self._scheduler.run(work.pull, deadline=work.due)
            yield part

    def _at_once(self, work: _Work, listener: Listener) -> Parts:
        """One slot for all chunks, made one after the other."""

        async def make(keep: Callable[[bytes], None]) -> None:
            give = partial(asyncio.get_running_loop().call_soon_threadsafe, partial(_while_wanted, keep))
            with listener.busy():
                await self._scheduler.run(partial(work.pull_all, give), deadline=work.due, stop=work.stop)

        return ahead(make)


class _Work:
    """One request's way from the engine through the encoder. Used by one thread at a time. `due`: when its
    listener would hear a gap; until there is something to hear, when it came."""

    def __init__(self, engine: Engine, speech: Speech, listener: Listener, *, came: float) -> None:
        self._chunks = engine.synthesise(speech.utterance)
        self._rate = engine.sample_rate
        self._speech = speech
        self._listener = listener
        self._seconds = 0.0
        self._heard_since: float | None = None
        self.due = came
        self._encoder: Encoder | None = None
        self._stopped = False
        self.done = False
        """Whether all was pulled."""

    def pull(self) -> bytes:
        """The bytes of the next chunk, which may be none yet, or what the encoder has kept to the end."""
        began = time.monotonic()
        chunk = next(self._chunks, None)
        if chunk is not None:
            if self._encoder is None:
                self._encoder = FORMATS[self._speech.format].open(self._rate)
            return self._told(len(chunk) / self._rate, self._encoder.feed(chunk), began)
        self.done = True
        if self._encoder is None:
            raise UnspeakableError("The field `input` gave no sound.")
        rest = self._told(0.0, self._encoder.finish(), began)
        if not self._speech.events:
            return rest
        usage = events.Usage(characters=len(self._speech.utterance.text), audio_seconds=self._seconds)
        return rest + events.done(usage)

    def pull_all(self, give: Callable[[bytes], object]) -> None:
        """Gives all parts, one after the other, until it is told to stop; then engine and encoder are
        closed."""
        try:
            while not self.done and not self._stopped:
                give(self.pull())
        finally:
            self.close()

    def stop(self) -> None:
        """Has no further part made."""
        self._stopped = True

    def _told(self, seconds: float, audio: bytes, began: float) -> bytes:
        self._seconds += seconds
        now = time.monotonic()
        if self._heard_since is None:
            self._heard_since = now
        self.due = self._heard_since + self._seconds
        self._listener.made(seconds, audio, worked=now - began)
        return events.delta(audio) if self._speech.events else audio

    def close(self) -> None:
        """Frees what engine and encoder hold."""
        self._chunks.close()
        if self._encoder is not None:
            self._encoder.close()


def _while_wanted(keep: Callable[[bytes], None], part: bytes) -> None:
    """Keeps a part; whoever has gone away wants none."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        keep(part)


class SpeechResponse(StreamingResponse):
    """Streams `parts` after `first`, and closes them however it ends."""

    def __init__(
        self,
        first: bytes,
        parts: Parts,
        media_type: str,
        headers: dict[str, str],
        *,
        seconds: float,
        around: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]] = lambda parts: parts,
    ) -> None:
        """`around` wraps all parts as they are sent; what is not taken within `seconds` is cut off."""
        super().__init__(around(_chain(first, parts)), media_type=media_type, headers=headers)
        self._parts = parts
        self._taken_within = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the answer. Cut off, it has no end, which is how a client sees that."""
        try:
            with anyio.move_on_after(self._taken_within) as limit:
                await super().__call__(scope, receive, send)
            if limit.cancelled_caught:
                _log.warning("An answer was not taken within %g s and is cut off.", self._taken_within)
        finally:
            # Left to the garbage collector, an engine could keep its lock for long.
            with anyio.CancelScope(shield=True):
                await self._parts.aclose()


async def _chain(first: bytes, rest: Parts) -> Parts:
    yield first
    async for part in rest:
        yield part


async def until_over(parts: Parts, over: Callable[[], None]) -> Parts:
    """The parts as they are; `over` is called in a thread when they end, however that is."""
    try:
        async for part in parts:
            yield part
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await parts.aclose()
            finally:
                await anyio.to_thread.run_sync(over)


async def first_part(parts: Parts, receive: Receive) -> bytes | None:
    """The first part of a stream, or None when the client went away before it was there."""
    return await _unless_gone(partial(_first, parts), receive)


async def _first(parts: Parts) -> bytes | Exception:
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

"""A stream that nobody listens to any more, or slowly, holds nothing; neither does one that fails."""

import threading
import time
from collections.abc import AsyncIterator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from itertools import repeat
from typing import Any

import anyio
import numpy as np
import pytest

from serving.encoding import FORMATS, Format, PcmEncoder
from serving.engines.base import Capabilities, Utterance
from serving.errors import UnspeakableError
from serving.speech import Speech
from serving.synthesis import SpeechResponse, Synthesiser, first_part

pytestmark = pytest.mark.anyio


class Unheard:
    """A listener whom nothing interests."""

    def busy(self) -> AbstractContextManager[None]:
        return nullcontext()

    def let_in(self, waited: float) -> None: ...

    def made(self, seconds: float, part: bytes, *, worked: float) -> None: ...


def unheard() -> Any:
    return {"place": nullcontext(), "listener": Unheard()}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Endless:
    """An engine that speaks without end, and knows how many syntheses are open."""

    capabilities = Capabilities(languages=("en",))
    sample_rate, voices, speeds = 24_000, ("endless",), (1.0, 1.0)

    def __init__(self, chunks: int | None = None, fails: Exception | None = None) -> None:
        self.open = self.made = self.running = self.most = 0
        self._chunks, self._fails = chunks, fails
        self._lock = threading.Lock()

    def warm_up(self) -> np.ndarray:
        return np.ones(1, np.float32)

    def synthesise(self, utterance: Utterance) -> Generator[np.ndarray, None, None]:
        with self._lock:
            self.open += 1
        try:
            for _ in repeat(None) if self._chunks is None else range(self._chunks):
                with self._lock:
                    self.made += 1
                    self.running += 1
                    self.most = max(self.most, self.running)
                time.sleep(0.001)  # so that two that run at once are seen
                with self._lock:
                    self.running -= 1
                yield np.full(2400, 0.1, np.float32)
            if self._fails is not None:
                raise self._fails
        finally:
            with self._lock:
                self.open -= 1


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Those that were opened; each remembers whether it was closed."""
    opened: list[Any] = []

    class Remembered(PcmEncoder):
        closed = False

        def __init__(self, rate: int) -> None:
            super().__init__()
            opened.append(self)

        def close(self) -> None:
            self.closed = True

    monkeypatch.setitem(FORMATS, "pcm", Format(media_type="audio/pcm", open=Remembered))
    return opened


def speech(name: str = "pcm", *, events: bool = False) -> Speech:
    return Speech(utterance=Utterance(text="Hi.", voice="endless"), format=name, events=events, ignored=())


def stream(engine: Endless, spoken: Speech | None = None) -> AsyncIterator[bytes]:
    return Synthesiser(2).stream(engine, spoken or speech(), **unheard())


async def never() -> dict[str, Any]:
    await anyio.sleep_forever()
    raise AssertionError


async def answer(parts: Any, send: Any, receive: Any = never, *, seconds: float = 60) -> None:
    first = await first_part(parts, never)
    assert first
    response = SpeechResponse(first, parts, "audio/pcm", {}, seconds=seconds)
    scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
    await response(scope, receive, send)


async def test_a_whole_answer_closes_all(encoders: list[Any]) -> None:
    engine, sent = Endless(chunks=3), []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await answer(stream(engine), send)
    assert sum(len(message.get("body", b"")) for message in sent) == 3 * 4800
    assert sent[-1]["more_body"] is False
    assert (engine.open, [encoder.closed for encoder in encoders]) == (0, [True])


async def test_a_client_that_goes_away_while_it_listens(encoders: list[Any]) -> None:
    engine, gone = Endless(), anyio.Event()

    async def send(message: dict[str, Any]) -> None:
        if engine.made == 5:
            gone.set()
        await anyio.sleep(0)

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    await answer(stream(engine), send, receive)
    assert (engine.open, [encoder.closed for encoder in encoders]) == (0, [True])
    assert engine.made < 10


async def test_a_client_that_reads_nothing_holds_neither_slot_nor_memory(encoders: list[Any]) -> None:
    engine = Endless()
    synthesiser = Synthesiser(1)
    stuck = anyio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            stuck.set()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(
            answer,
            synthesiser.stream(engine, speech(), **unheard()),
            send,
        )
        await stuck.wait()
        await anyio.sleep(0.1)
        assert engine.made == 1, "no chunk is made before the last one is taken"
        # The only slot is free for another request.
        other = synthesiser.stream(Endless(chunks=1), speech(), **unheard())
        with anyio.fail_after(5):
            assert [part async for part in other]
        assert engine.open == 1
        group.cancel_scope.cancel()
    assert engine.open == 0
    assert all(encoder.closed for encoder in encoders)


async def test_an_answer_that_is_not_taken_in_time_is_cut_and_has_no_end(encoders: list[Any]) -> None:
    engine, sent = Endless(), []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) > 2:
            await anyio.sleep_forever()

    with anyio.fail_after(5):
        await answer(stream(engine), send, seconds=0.1)
    assert sent[-1]["more_body"] is True, "the answer does not look whole"
    assert (engine.open, [encoder.closed for encoder in encoders]) == (0, [True])


async def test_a_new_request_does_not_wait_for_long_ones_that_are_ahead_of_their_listeners() -> None:
    """One slot; each chunk takes a millisecond and lasts 100 ms, so the long ones are soon far ahead."""
    synthesiser, long = Synthesiser(1), Endless()

    async def drain(parts: Any) -> None:
        async for _ in parts:
            pass

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(drain, synthesiser.stream(long, speech(), **unheard()))
        await anyio.sleep(0.2)
        made = long.made
        await drain(synthesiser.stream(Endless(chunks=1), speech(), **unheard()))
        assert long.made - made <= 6, "in turn it would have waited for 20 chunks, twice"
        group.cancel_scope.cancel()


async def test_the_place_is_held_until_the_last_part_is_taken() -> None:
    held = []

    @asynccontextmanager
    async def place() -> AsyncIterator[None]:
        held.append(True)
        yield
        held.clear()

    parts = Synthesiser(1).stream(Endless(chunks=2), speech(), **{**unheard(), "place": place()})
    assert not held
    assert [bool(held) async for _ in parts] == [True, True]
    assert not held


async def test_a_client_that_goes_away_before_the_first_sound(encoders: list[Any]) -> None:
    engine = Endless()

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    parts = stream(engine)
    assert await first_part(parts, gone) is None
    await parts.aclose()
    assert engine.open == 0
    assert all(encoder.closed for encoder in encoders)


async def test_an_engine_that_fails_in_the_middle(encoders: list[Any]) -> None:
    engine = Endless(chunks=2, fails=RuntimeError("broken"))
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with pytest.raises((RuntimeError, ExceptionGroup)):
        await answer(stream(engine), send)
    assert sent[-1]["more_body"] is True, "the answer does not look whole"
    assert (engine.open, [encoder.closed for encoder in encoders]) == (0, [True])


async def test_an_engine_that_says_nothing() -> None:
    engine = Endless(chunks=0)
    with pytest.raises(UnspeakableError, match="no sound"):
        await first_part(stream(engine), never)
    assert engine.open == 0


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("events", [False, True])
async def test_no_part_is_empty(name: str, events: bool) -> None:
    parts = [part async for part in stream(Endless(chunks=4), speech(name, events=events))]
    assert all(parts)
    assert b"speech.audio.done" in parts[-1] or not events


async def test_no_more_syntheses_than_slots() -> None:
    engine = Endless(chunks=10)
    synthesiser = Synthesiser(2)
    async with anyio.create_task_group() as group:
        for _ in range(6):
            parts = synthesiser.stream(engine, speech(), **unheard())

            async def drain(parts: Any = parts) -> None:
                async for _ in parts:
                    pass

            group.start_soon(drain)
    assert (engine.most, engine.made) == (2, 60)
    assert engine.open == 0


class OneAtATime(Endless):
    """An engine that must not be asked for a second text before the first one is closed."""

    capabilities = Capabilities(languages=("en",), interleaved=False)

    def synthesise(self, utterance: Utterance) -> Generator[np.ndarray, None, None]:
        chunks = super().synthesise(utterance)
        try:
            for chunk in chunks:
                assert self.open == 1, "two at the same time"
                yield chunk
        finally:
            chunks.close()


async def test_an_engine_of_one_text_at_a_time_ends_each_before_the_next_one() -> None:
    engine, synthesiser = OneAtATime(chunks=5), Synthesiser(1)
    taken: list[int] = []

    async def drain() -> None:
        taken.append(sum([len(part) async for part in synthesiser.stream(engine, speech(), **unheard())]))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(drain)
    assert (taken, engine.made, engine.open) == ([5 * 4800] * 4, 20, 0)


async def test_such_an_engine_does_not_wait_for_a_client_that_reads_nothing(encoders: list[Any]) -> None:
    engine, synthesiser = OneAtATime(chunks=5), Synthesiser(1)
    slow = synthesiser.stream(engine, speech(), **unheard())
    assert await anext(slow)
    with anyio.fail_after(5):
        assert len([part async for part in synthesiser.stream(engine, speech(), **unheard())]) == 5
    assert engine.made == 10
    assert len([part async for part in slow]) == 4, "all that was made is kept for it"
    assert all(encoder.closed for encoder in encoders)


async def test_such_an_engine_is_free_once_its_client_is_gone(encoders: list[Any]) -> None:
    engine, synthesiser = OneAtATime(), Synthesiser(1)
    for asked in range(3):  # while it speaks, and while another one waits for it
        first = synthesiser.stream(engine, speech(), **unheard())
        assert await anext(first)
        waiting = synthesiser.stream(engine, speech(), **unheard())
        with anyio.move_on_after(0.02):
            await anext(waiting)
        await waiting.aclose()
        await first.aclose()
        assert engine.open == 0, asked
    made = engine.made
    await anyio.sleep(0.02)
    assert engine.made == made, "nothing is made any more"
    assert all(encoder.closed for encoder in encoders)


async def test_such_an_engine_that_fails_frees_its_slot() -> None:
    synthesiser = Synthesiser(1)
    parts = synthesiser.stream(OneAtATime(chunks=2, fails=RuntimeError("broken")), speech(), **unheard())
    with pytest.raises(RuntimeError, match="broken"):
        assert [part async for part in parts]
    with anyio.fail_after(5):
        assert [part async for part in synthesiser.stream(OneAtATime(chunks=1), speech(), **unheard())]
    nothing = synthesiser.stream(OneAtATime(chunks=0), speech(), **unheard())
    with pytest.raises(UnspeakableError, match="no sound"):
        await first_part(nothing, never)

"""Whose chunk is made next: that of the listener who would be the first to hear a gap."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar, cast

import anyio

T = TypeVar("T")


@dataclass(order=True)
class _Turn:
    deadline: float
    number: int
    work: Callable[[], Any] = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    ended: anyio.Event = field(compare=False, default_factory=anyio.Event)
    begun: bool = field(compare=False, default=False)
    gone: bool = field(compare=False, default=False)
    result: Any = field(compare=False, default=None)
    error: BaseException | None = field(compare=False, default=None)


class Scheduler:
    """`slots` pieces of work at a time; of those that wait, the earliest deadline first.

    A stream's next chunk is due when its listener has heard all before it, its first one when the request
    came. So a new request goes before a long text that is ahead of its listener, and no text waits for ever:
    its own deadline becomes the earliest in time (the rule is EDF; Liu and Layland, 1973).

    Each slot is a thread that takes its next piece of work by itself. Were it given by the event loop, a slot
    would stand still between two pieces for as long as the machine takes to wake the loop and then the slot.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._numbers = count()
        self._turns: list[_Turn] = []
        self._changed = threading.Condition()
        self._threads = 0
        self._busy = 0

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self._busy

    async def run(
        self, work: Callable[[], T], *, deadline: float, stop: Callable[[], None] = lambda: None
    ) -> T:
        """Runs `work` in a slot's thread, and returns or raises what it does; `deadline` in seconds of the
        monotonic clock. Cancelled before, it is forgotten; cancelled meanwhile, this calls `stop`, which may
        have it end early, and waits for its end: the slot is free when it says so."""
        turn = _Turn(deadline, next(self._numbers), work, asyncio.get_running_loop())
        self._add(turn)
        try:
            await turn.ended.wait()
        except BaseException:
            if not self._forgotten(turn):
                stop()
                with anyio.CancelScope(shield=True):
                    await turn.ended.wait()
            raise
        if turn.error is not None:
            raise turn.error
        return cast(T, turn.result)

    def _add(self, turn: _Turn) -> None:
        with self._changed:
            heapq.heappush(self._turns, turn)
            if self._threads < self._slots:
                self._threads += 1
                threading.Thread(target=self._serve, name="slot", daemon=True).start()
            self._changed.notify()

    def _forgotten(self, turn: _Turn) -> bool:
        """Forgets it, unless its work has begun."""
        with self._changed:
            turn.gone = not turn.begun
            return turn.gone

    def _serve(self) -> None:
        """One slot."""
        while True:
            turn = self._next()
            try:
                turn.result = turn.work()
            except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
                turn.error = error
            with self._changed:
                self._busy -= 1
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                turn.loop.call_soon_threadsafe(turn.ended.set)
            del turn  # what it made is not to be kept until there is other work

    def _next(self) -> _Turn:
        with self._changed:
            while True:
                while not self._turns:
                    self._changed.wait()
                turn = heapq.heappop(self._turns)
                if not turn.gone:
                    turn.begun = True
                    self._busy += 1
                    return turn

"""Whose chunk is made next: that of the listener who would be the first to hear a gap."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


@dataclass(order=True)
class _Turn:
    deadline: float
    number: int
    granted: anyio.Event = field(compare=False)
    gone: bool = field(default=False, compare=False)


class Scheduler:
    """`slots` pieces of work at a time; of those that wait, the earliest deadline first.

    A stream's next chunk is due when its listener has heard all before it, its first one when the request
    came. So a new request goes before a long text that is ahead of its listener, and no text waits for ever:
    its own deadline becomes the earliest in time (the rule is EDF; Liu and Layland, 1973).
    It belongs to one event loop.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free = slots
        self._numbers = count()
        self._turns: list[_Turn] = []
        self._threads: anyio.CapacityLimiter | None = None

    @property
    def busy(self) -> int:
        """Slots in use."""
        return self._slots - self._free

    @asynccontextmanager
    async def slot(self, *, deadline: float) -> AsyncIterator[None]:
        """Waits for a slot and holds it. `deadline` in seconds of the monotonic clock."""
        await self._acquire(deadline)
        try:
            yield
        finally:
            self._release()

    async def run(self, work: Callable[[], T], *, deadline: float) -> T:
        """Runs `work` in a thread, in a slot. Cancelled meanwhile, it waits for `work` to end, so that the
        slot is free when it says so."""
        async with self.slot(deadline=deadline):
            return await self.in_thread(work)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs `work` in a thread, for who holds a slot already."""
        if self._threads is None:  # it belongs to the running event loop
            self._threads = anyio.CapacityLimiter(self._slots)
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    async def _acquire(self, deadline: float) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn = _Turn(deadline, next(self._numbers), anyio.Event())
        heapq.heappush(self._turns, turn)
        try:
            await turn.granted.wait()
        except BaseException:  # cancelled: the turn, or the slot that it has just been given, passes on
            if turn.granted.is_set():
                self._release()
            turn.gone = True
            raise

    def _release(self) -> None:
        while self._turns:
            turn = heapq.heappop(self._turns)
            if not turn.gone:
                turn.granted.set()
                return
        self._free += 1

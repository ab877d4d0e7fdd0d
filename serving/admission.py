"""Which speech requests are worked on now, which wait, and which are told to come back.

A request that is let in keeps the latency of the server: whoever is too many is refused at once, or after a
bounded wait, before its answer begins.

Probes of a release have a door of their own, with few places: a release under full load must still be able to
judge, and however many it asks, callers lose no place to it. What both let in shares the slots.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio

from serving.errors import RequestError
from serving.limits import Limits
from serving.origin import Origin

_QUEUED_PROBES_PER_SLOT = 4
_LONGEST_RETRY_SECONDS = 60
_SMOOTHING = 0.2  # of the running mean of how long a stream takes


class Doors:
    """The two doors of one server: of its callers, and of a release's probes."""

    def __init__(self, limits: Limits, *, slots: int) -> None:
        queue, wait = _QUEUED_PROBES_PER_SLOT * slots, limits.wait_seconds
        self.callers = Admission(limits)
        self.probes = Admission(Limits(streams=slots, queue=queue, wait_seconds=wait))

    def enter(self, origin: Origin, caller: str) -> AbstractAsyncContextManager[None]:
        """See Admission.enter."""
        return self.probes.enter("") if origin is Origin.PROBE else self.callers.enter(caller)


class Admission:
    """The door of one server. Callers who wait are let in by turns, each caller's requests in their order.
    It belongs to one event loop."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._waiting: dict[str, deque[anyio.Event]] = {}
        self._callers: Counter[str] = Counter()
        self._mean_seconds = 1.0
        self.streams = 0

    @property
    def waiting(self) -> int:
        """Requests that wait to be let in."""
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def enter(self, caller: str) -> AsyncIterator[None]:
        """Holds a place among the streams; `caller` is the name of a key, or empty where there are none.

        Raises RequestError (429 with Retry-After)."""
        self._check(caller)
        self._callers[caller] += 1
        try:
            await self._wait_for_place(caller)
            began = self._clock()
            try:
                yield
            finally:
                self._leave(self._clock() - began)
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def _check(self, caller: str) -> None:
        most = self._limits.per_key
        if caller and most is not None and self._callers[caller] >= most:
            raise self._refusal(
                f"The key {caller!r} has {most} requests under way, which is all it may have; wait for one "
                "to end.",
                code="rate_limit_exceeded",
            )
        if self.streams >= self._limits.streams and self.waiting >= self._limits.queue:
            raise self._full()

    async def _wait_for_place(self, caller: str) -> None:
        if self.streams < self._limits.streams:
            self.streams += 1
            return
        place = anyio.Event()
        self._waiting.setdefault(caller, deque()).append(place)
        try:
            with anyio.fail_after(self._limits.wait_seconds):
                await place.wait()
        except BaseException as error:
            if place.is_set():  # it was given up in the instant it was granted: the next one has it
                self._pass_on()
            else:
                self._forget(caller, place)
            if isinstance(error, TimeoutError):
                raise self._full() from None
            raise

    def _leave(self, seconds: float) -> None:
        self._mean_seconds += _SMOOTHING * (seconds - self._mean_seconds)
        self._pass_on()

    def _pass_on(self) -> None:
        """The place goes to the caller whose turn it is, who then stands behind all others."""
        if not self._waiting:
            self.streams -= 1
            return
        caller = next(iter(self._waiting))
        line = self._waiting.pop(caller)
        line.popleft().set()
        if line:
            self._waiting[caller] = line

    def _forget(self, caller: str, place: anyio.Event) -> None:
        line = self._waiting[caller]
        line.remove(place)
        if not line:
            del self._waiting[caller]

    def _full(self) -> RequestError:
        return self._refusal(
            f"The server is busy: {self.streams} requests are answered and {self.waiting} wait; try again "
            "after the seconds in Retry-After.",
            code="queue_full",
        )

    def _refusal(self, message: str, *, code: str) -> RequestError:
        turns = (self.waiting + 1) / self._limits.streams
        seconds = min(max(math.ceil(turns * self._mean_seconds), 1), _LONGEST_RETRY_SECONDS)
        return RequestError(message, status=429, code=code, headers={"retry-after": str(seconds)})

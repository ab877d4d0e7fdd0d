"""How busy the slots are: what a synthesis holds, and what waits for one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.origin import Origin


class BusySlots(Collector):
    """Adds up how long speech requests hold a slot or wait for one, in seconds; its rate is how many do, on
    average, and above the number of slots by as many as wait. What goes on is counted up to the moment of the
    reading, so that a synthesis that hangs is seen. For one thread."""

    def __init__(self, version: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._version = version
        self._clock = clock
        self._changed = clock()
        # Those of users exist at 0 from the start, so that a rate over them never misses its first request.
        self._busy = {Origin.USER: 0}
        self._seconds = {Origin.USER: 0.0}

    @contextmanager
    def taken(self, origin: Origin) -> Iterator[None]:
        """One request holds a slot, or waits for one."""
        self._change(origin, 1)
        try:
            yield
        finally:
            self._change(origin, -1)

    def collect(self) -> Iterator[Metric]:
        """Prometheus' counter `tts_busy_slot_seconds_total`."""
        self._count()
        family = CounterMetricFamily(
            "tts_busy_slot_seconds",
            "Seconds for which speech requests held a slot or waited for one, added up.",
            labels=["version", "origin"],
        )
        for origin, seconds in self._seconds.items():
            family.add_metric([self._version, origin.value], seconds)
        yield family

    def _change(self, origin: Origin, by: int) -> None:
        self._count()
        self._busy[origin] = self._busy.get(origin, 0) + by
        self._seconds.setdefault(origin, 0.0)

    def _count(self) -> None:
        now = self._clock()
        for origin, busy in self._busy.items():
            self._seconds[origin] += busy * (now - self._changed)
        self._changed = now

"""How far a fetch is, as the log and /readyz say it."""

import threading
import time
from typing import Any


class Progress:
    """Counts bytes from several threads; `total` in bytes."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._total = total
        self._had = 0
        self._came = 0
        self._cuts = 0
        self._waits = False

    def had(self, size: int) -> None:
        """So many bytes need not be fetched: they were there."""
        with self._lock:
            self._had += size

    def came(self, size: int) -> None:
        """So many bytes came."""
        with self._lock:
            self._came += size

    def again(self, size: int) -> None:
        """So many of the bytes that were there have to be fetched again."""
        with self._lock:
            self._had -= size

    def cut(self) -> None:
        """A connection broke off."""
        with self._lock:
            self._cuts += 1

    def waits(self, waits: bool) -> None:
        """Whether another pod fetches what is missing here, and nothing else is left to do."""
        with self._lock:
            self._waits = waits

    def state(self) -> dict[str, Any]:
        """The body of /readyz: bytes, percent, MB a second since the start, and the seconds that are left at
        that rate, None while nothing came."""
        with self._lock:
            done, rate = self._had + self._came, self._came / max(time.monotonic() - self._began, 1e-3)
            left = round((self._total - done) / rate, 1) if rate else None
            return {
                "status": "fetching",
                "bytes": done,
                "of": self._total,
                "percent": round(100 * done / self._total, 1) if self._total else 100.0,
                "megabytesPerSecond": round(rate / 1e6, 2),
                "secondsLeft": left,
                "cutConnections": self._cuts,
                "waitsForAnotherPod": self._waits,
            }

    def __str__(self) -> str:
        """A line for the log."""
        state = self.state()
        line = f"{state['bytes'] / 1e6:,.0f} of {state['of'] / 1e6:,.0f} MB ({state['percent']:.0f} %)"
        if state["waitsForAnotherPod"]:
            return f"{line}, the rest is fetched into the cache by another pod"
        line += f", {state['megabytesPerSecond']:,.1f} MB/s"
        if state["secondsLeft"] is not None:
            line += f", {state['secondsLeft']:,.0f} s left"
        return line + (f", {state['cutConnections']} cut connections" if state["cutConnections"] else "")

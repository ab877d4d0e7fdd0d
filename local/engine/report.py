"""What a person reads while a command runs: one line an event, each with the seconds since the start."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import TextIO

_COLOURS = {"+": "32", "~": "33", "±": "33", "-": "31", "!": "31"}


class Report:
    """Writes lines from several threads, whole; colours only on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._start

    def say(self, text: str = "") -> None:
        """Write a line as it is."""
        with self._lock:
            print(text, file=self._stream, flush=True)

    def step(self, mark: str, text: str, details: Sequence[str] = ()) -> None:
        """Write one event: `+` create, `~` update, `±` replace, `-` delete, `.` wait or tell, `!` failure."""
        shown = f"\033[{_COLOURS[mark]}m{mark}\033[0m" if self._colour and mark in _COLOURS else mark
        lines = [f"{self.seconds:7.1f} s  {shown} {text}", *(f"{'':12}{detail}" for detail in details)]
        self.say("\n".join(lines))

    def failure(self, text: str) -> None:
        """Write a sentence, or several, about what went wrong."""
        first, *rest = text.splitlines() or [""]
        self.step("!", first, rest)

"""What is done again and again beside a test."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self


class Repeating(ABC):
    """Does `once` in a thread of its own while the `with` block runs, with `pause` seconds between."""

    pause: float

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        # The process may end while one is under way: a daemon does not hold it up.
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @abstractmethod
    def once(self) -> None:
        """One of many; what it raises ends them all."""

    def _repeat(self) -> None:
        while not self._stop.wait(self.pause):
            self.once()

"""What was made of a voice, kept for the next text in it."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """The values of the `most` keys that were asked for last. Asked by one thread, told to drop by any."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, T] = OrderedDict()
        self._making: str | None = None
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of `key`, made where there is none."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            self._making = key
        made = make()
        with self._lock:
            if self._making == key:  # else it was dropped while it was made
                self._values[key] = made
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made

    def drop(self, key: str) -> None:
        """Forgets the value of `key`, also the one that is being made; waits for nothing."""
        with self._lock:
            self._values.pop(key, None)
            if self._making == key:
                self._making = None

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._values.clear()

"""Everything that touches a model, in one thread.

The server pulls each chunk from another thread of its pool. torch keeps its inference mode, and the graphs
that it has captured on a GPU, per thread: so a model is loaded, warmed up and asked in a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_END: Final = object()


class OneThread:
    """A thread that does one thing after the other, in the order they came."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._iterating = threading.Lock()

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises."""
        return self._pool.submit(work).result()

    def iterate(self, begin: Callable[[], Generator[T, None, None]]) -> Generator[T, None, None]:
        """What the generator yields; it is made, advanced and closed in the thread.

        A second one waits until the first one has ended or is closed: what they change is one model."""
        source: Generator[T, None, None] | None = None

        def following() -> T | object:
            nonlocal source
            source = source or begin()
            return next(source, _END)

        with self._iterating:
            try:
                while (item := self.run(following)) is not _END:
                    yield item  # type: ignore[misc]  # _END is the only other thing
            finally:
                if source is not None:
                    self.run(source.close)

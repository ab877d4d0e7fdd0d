"""Writing to the store beside the answering: no caller ever waits for it or hears of its troubles.

Memory is bounded by what all that is not stored yet takes together. Where that is full, because the store is
slow or away, what comes is dropped and counted."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from serving.errors import StorageError, TakenError
from serving.storage.store import Store

WRITES = STORED, FAILED, DROPPED = "stored", "failed", "dropped"
DRAIN_SECONDS = 5.0

_WRITERS = 2
_PATIENCE_SECONDS = 30.0  # how long one write is tried
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0
_QUIET_SECONDS = 60.0  # between two lines of the log about a store in trouble


@dataclass(frozen=True, kw_only=True)
class _Item:
    """What is written under a key. `by_content`: the key follows from the content, so that what is there
    already is the same."""

    key: str
    content: bytes | bytearray
    metadata: dict[str, str]
    by_content: bool


class Writer:
    """Writes to the store in threads of its own. `what` is written, in the words of the log; `count` is told
    how each write ended; `limit` bytes may wait."""

    def __init__(
        self, store: Store, count: Callable[[str], None], *, limit: int, what: str = "Answers"
    ) -> None:
        self._store, self._count, self._what = store, count, what
        self._log = logging.getLogger(f"serving.{what.lower()}")
        self._limit, self._held = limit, 0
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._troubled = False
        self._troubles = _Troubles(self._log, what)
        self._end = float("inf")
        for _ in range(_WRITERS):
            threading.Thread(target=self._write_all, name=what.lower(), daemon=True).start()

    @property
    def well(self) -> bool:
        """Whether the store takes what it is given, and there is room for more."""
        with self._lock:
            return not self._troubled and self._held <= self._limit // 2

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; if so, they are taken."""
        with self._lock:
            fits = self._held + size <= self._limit
            self._held += size if fits else 0
            return fits

    def give_back(self, size: int) -> None:
        """So many bytes are no longer held."""
        with self._lock:
            self._held -= size
            self._idle.notify_all()

    def hand_over(
        self, key: str, content: bytes | bytearray, metadata: dict[str, str], *, by_content: bool = False
    ) -> None:
        """Something whole, whose bytes were taken. `by_content`: its key follows from its content, so that it
        counts as stored where the key is taken."""
        self._queue.put(_Item(key=key, content=content, metadata=metadata, by_content=by_content))

    def drop(self) -> None:
        """Something whole for which there was no room."""
        self._count(DROPPED)
        self._troubles.tell(f"{self._limit >> 20} MiB of others wait, and there is room for no more.")

    def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Lets what waits be written, for so many seconds at most; the server has ended."""
        end = self._end = time.monotonic() + seconds
        with self._lock:
            while self._held and (left := end - time.monotonic()) > 0:
                self._idle.wait(left)
            held = self._held
        if held:
            self._log.warning(
                "The server ended with %d bytes of %s that the store had not taken.", held, self._what.lower()
            )

    def _write_all(self) -> None:
        while True:
            item = self._queue.get()
            size = len(item.content)
            try:
                self._count(self._write(item))
            except Exception:  # noqa: BLE001 - a writer that ended would let the queue fill for ever
                self._log.exception("What was to be stored could not be.")
                self._count(FAILED)
            del item
            self.give_back(size)

    def _write(self, item: _Item) -> str:
        """Tries for a while, since a store may be away for a moment; how it ended."""
        began, pause, tried = time.monotonic(), _FIRST_PAUSE, False
        while True:
            try:
                self._store.put(item.key, item.content, item.metadata)
            except TakenError as error:
                # Tried before, it is by ourselves: the store had taken it, and only its answer was lost.
                if tried or item.by_content:
                    self._troubled = False
                    return STORED
                self._troubles.tell(str(error))
                return FAILED
            except StorageError as error:
                self._troubled = tried = True
                over = time.monotonic() + pause
                if not error.transient or over - began > _PATIENCE_SECONDS or over > self._end:
                    self._troubles.tell(str(error))
                    return FAILED
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._troubled = False
                return STORED


class _Troubles:
    """Says what is wrong with the store, now and then."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log, self._what = log, what
        self._lock = threading.Lock()
        self._told_at = float("-inf")
        self._untold = 0

    def tell(self, why: str) -> None:
        with self._lock:
            self._untold += 1
            if time.monotonic() - self._told_at < _QUIET_SECONDS:
                return
            self._told_at, count, self._untold = time.monotonic(), self._untold, 0
        self._log.warning(
            "%s that were not stored: %d; the last: %s No caller was told.", self._what, count, why
        )

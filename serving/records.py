"""Records for training: what was spoken to whom and how it was liked, kept in the store for a number of days.

A record is an object of its own with one line of JSON, so that its caller can have it deleted. All about a
request is in one folder, `<records>/<caller>/<request id>`, named `<time>.<kind>.json`: its `record`, its
`rating`, and the word that it is `deleted`, which also holds for what is written only after it."""

import json
import logging
import random
import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from serving.errors import ServingError, StorageError
from serving.storage.store import Store
from serving.storage.writer import Writer

RECORD, RATING, DELETED = "record", "rating", "deleted"
LIMIT_BYTES = 4 << 20
NOBODY = "_"
"""Stands for the caller where keys are not asked for; no key has this name."""

_KEY = re.compile(r"(?P<folder>.+)/(?P<at>\d{8}T\d{6}\.\d{6}Z)\.(?P<kind>record|rating|deleted)\.json")
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_RECENT = 1000
_UNDER_WAY = timedelta(hours=1)  # what is written so long after it was to be deleted is nowhere any more
_SWEEP_SECONDS = 6 * 3600
_log = logging.getLogger("serving.records")


@dataclass(frozen=True, order=True)
class Entry:
    """One object about a request."""

    folder: str
    at: datetime
    kind: str

    @property
    def key(self) -> str:
        """Where it is in the store."""
        return f"{self.folder}/{self.at.strftime(_STAMP)}.{self.kind}.json"


class Records:
    """The records of one model, in `folder` of a store. `trouble` is told of what failed: `rate`, `forget` or
    `expire`. `keep` takes no time; the other methods wait for the store."""

    def __init__(
        self,
        store: Store,
        folder: str,
        *,
        days: int,
        count: Callable[[str], None],
        trouble: Callable[[str], None],
    ) -> None:
        self._store, self._folder, self._days = store, folder, days
        self._trouble = trouble
        self._writer = Writer(store, count, limit=LIMIT_BYTES, what="Records")
        self._recent: OrderedDict[str, None] = OrderedDict()

    def keep(self, caller: str, request_id: str, record: Mapping[str, Any]) -> None:
        """Keeps what is known of a request that was answered whole."""
        content = (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
        if not self._writer.take(len(content)):
            self._writer.drop()
            return
        folder = self._place(caller, request_id)
        self._recent[folder] = None
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)
        self._writer.hand_over(Entry(folder, datetime.now(UTC), RECORD).key, content, {})

    def rate(self, caller: str, request_id: str, rating: Mapping[str, Any]) -> bool:
        """Keeps a rating in place of the one before; whether there is something to rate. Raises
        StorageError."""
        with self._told("rate"):
            folder = self._place(caller, request_id)
            found = list(self._entries(folder))
            known = any(each.kind == RECORD for each in found) or folder in self._recent
            if not known or any(each.kind == DELETED for each in found):
                return False
            now = datetime.now(UTC)
            content = json.dumps({"time": now.isoformat(timespec="milliseconds"), **rating}) + "\n"
            self._store.put(Entry(folder, now, RATING).key, content.encode(), {})
            for old in found:
                if old.kind == RATING:
                    self._store.delete(old.key)
            return True

    def forget(self, caller: str, request_id: str) -> None:
        """Deletes all that is kept of a request of this caller, its audio too. Raises StorageError."""
        with self._told("forget"):
            folder = self._place(caller, request_id)
            found = [each for each in self._entries(folder) if each.kind != DELETED]
            if not any(each.kind == RECORD for each in found):
                # It may still be on its way, from this server or another.
                self._store.put(Entry(folder, datetime.now(UTC), DELETED).key, b"{}\n", {})
            self._remove(found)

    def expire(self, now: datetime) -> int:
        """Deletes what is older than it may be, and what was to be deleted; returns how many requests that
        were. Raises StorageError."""
        with self._told("expire"):
            oldest, count = now - timedelta(days=self._days), 0
            for found in by_request(self._entries(self._folder)).values():
                gone = [each for each in found if each.at < oldest or is_deleted(each, found)]
                words = [each for each in found if each.kind == DELETED and each.at < now - _UNDER_WAY]
                self._remove(each for each in gone if each.kind != DELETED)
                self._remove(words)
                count += any(each.kind == RECORD for each in gone)
            return count

    def expire_now_and_then(self) -> None:
        """Begins to do so, in a thread that never keeps the process alive; the servers of a stack not all at
        once."""

        def go_on() -> None:
            wait = threading.Event()
            while not wait.wait(_SWEEP_SECONDS * random.uniform(0.1, 1)):  # noqa: S311 - only a time
                try:
                    if count := self.expire(datetime.now(UTC)):
                        _log.info("The records of %d requests were deleted: their time is over.", count)
                except ServingError as error:
                    _log.warning("Old records could not be deleted: %s", error)

        threading.Thread(target=go_on, name="records-expire", daemon=True).start()

    def drain(self) -> None:
        """Lets what waits be written, for some seconds at most; the server has ended."""
        self._writer.drain()

    def _place(self, caller: str, request_id: str) -> str:
        return f"{self._folder}/{caller or NOBODY}/{request_id}"

    def _entries(self, folder: str) -> Iterator[Entry]:
        return entries(self._store.list(folder))

    def _remove(self, found: Iterable[Entry]) -> None:
        """The record last: without it nobody would know of its audio."""
        for each in sorted(found, key=lambda each: each.kind == RECORD):
            if each.kind == RECORD and (audio := self._audio(each)):
                self._store.delete(audio)
            self._store.delete(each.key)

    def _audio(self, record: Entry) -> str | None:
        kept = self._store.get(record.key)
        try:
            audio = json.loads(kept.content).get("audio") if kept else None
        except (ValueError, AttributeError):
            return None
        return audio if isinstance(audio, str) else None

    def _told(self, operation: str) -> "_Told":
        return _Told(self._trouble, operation)


class _Told:
    """Tells of an operation that the store did not carry out."""

    def __init__(self, trouble: Callable[[str], None], operation: str) -> None:
        self._trouble, self._operation = trouble, operation

    def __enter__(self) -> None:
        """Begins it."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, StorageError):
            self._trouble(self._operation)


def entries(keys: Iterable[str]) -> Iterator[Entry]:
    """Those keys that are about requests."""
    for key in keys:
        if found := _KEY.fullmatch(key):
            at = datetime.strptime(found["at"], _STAMP).replace(tzinfo=UTC)
            yield Entry(found["folder"], at, found["kind"])


def by_request(found: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The objects of each request, the oldest first."""
    folders: defaultdict[str, list[Entry]] = defaultdict(list)
    for each in found:
        folders[each.folder].append(each)
    return {folder: sorted(each) for folder, each in folders.items()}


def is_deleted(entry: Entry, found: Iterable[Entry]) -> bool:
    """Whether somebody asked for its deletion, by what else there is of its request."""
    return any(each.kind == DELETED and entry.at <= each.at for each in found)

"""All objects of the node: in memory to be read, in SQLite to outlive the daemon.

Objects handed out are never changed in place: copy, change, `put`. Everything runs in one thread.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.node.kinds import Kind

Object = dict[str, Any]
HISTORY = 4000  # events a watch can go back; older ones are answered 410 Gone


@dataclass(frozen=True)
class Key:
    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True)
class Event:
    """A change: `type` is ADDED, MODIFIED or DELETED; `previous` is what was there before."""

    version: int
    type: str
    key: Key
    object: Object
    previous: Object | None


class Store:
    """Objects by key, each write with a resourceVersion of its own."""

    def __init__(self, path: Path, kinds: dict[str, Kind]) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS objects"
            " (kind TEXT, namespace TEXT, name TEXT, version INTEGER, body TEXT,"
            " PRIMARY KEY (kind, namespace, name))"
        )
        self._database.execute("CREATE TABLE IF NOT EXISTS meta (id INTEGER PRIMARY KEY, version INTEGER)")
        self._objects: dict[Key, Object] = {}
        for kind, namespace, name, body in self._database.execute(
            "SELECT kind, namespace, name, body FROM objects ORDER BY version"
        ):
            self._objects[Key(kinds[kind], namespace, name)] = json.loads(body)
        row = self._database.execute("SELECT version FROM meta").fetchone()
        self.version: int = row[0] if row else 1
        self.history: deque[Event] = deque(maxlen=HISTORY)
        self._waiting: set[asyncio.Future[None]] = set()

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def of_kind(self, kind: Kind, namespace: str | None = None) -> list[tuple[Key, Object]]:
        """The objects of a kind, in one namespace or in all, in the order of their names."""
        found = [
            (key, value)
            for key, value in self._objects.items()
            if key.kind is kind and namespace in (None, key.namespace)
        ]
        return sorted(found, key=lambda item: (item[0].namespace, item[0].name))

    def everything(self) -> list[tuple[Key, Object]]:
        return list(self._objects.items())

    def put(self, key: Key, value: Object) -> Object:
        """Write an object and give it the next resourceVersion."""
        version = self.version + 1
        value = value | {"metadata": value["metadata"] | {"resourceVersion": str(version)}}
        previous = self._objects.get(key)
        self._write(
            version,
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
            (key.kind.name, key.namespace, key.name, version, json.dumps(value)),
        )
        self._objects[key] = value
        self._publish(Event(version, "MODIFIED" if previous else "ADDED", key, value, previous))
        return value

    def delete(self, key: Key) -> None:
        version = self.version + 1
        self._write(
            version,
            "DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?",
            (key.kind.name, key.namespace, key.name),
        )
        gone = self._objects.pop(key)
        last = gone | {"metadata": gone["metadata"] | {"resourceVersion": str(version)}}
        self._publish(Event(version, "DELETED", key, last, gone))

    async def changed(self, since: int, timeout: float) -> bool:
        """Wait until something newer than version `since` was written; False after `timeout` seconds."""
        if self.version > since:
            return True
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting, timeout)
        self._waiting.discard(waiting)
        return self.version > since

    def close(self) -> None:
        self._database.close()

    def _write(self, version: int, statement: str, values: tuple[Any, ...]) -> None:
        self._database.execute("BEGIN")
        self._database.execute(statement, values)
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (1, ?)", (version,))
        self._database.execute("COMMIT")
        self.version = version

    def _publish(self, event: Event) -> None:
        self.history.append(event)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

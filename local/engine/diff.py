"""What an apply would change: the server's dry run against the live object. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.engine.properties import UNKNOWN, has_unknown

_SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_ABSENT = object()
_LONGEST = 60


@dataclass(frozen=True)
class Change:
    """One property that an apply changes; `old` or `new` is empty where it appears or goes."""

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: {self.old or '(absent)'} => {self.new or '(absent)'}"


def comparable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest without its status and without what the server writes into its metadata."""
    metadata = {key: value for key, value in manifest.get("metadata", {}).items() if key not in _SERVERS_OWN}
    rest = {key: value for key, value in manifest.items() if key not in ("status", "metadata")}
    return rest | {"metadata": metadata}


def changes(live: Mapping[str, Any], future: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the properties in which two states of one object differ, by path."""
    found: list[Change] = []
    _compare(comparable(live), comparable(future), "", found)
    return tuple(found)


def without_unknown(wanted: Any, live: Any) -> Any:
    """Return `wanted` with each value not known yet taken from `live`, or left out where `live` has none."""
    if isinstance(wanted, dict):
        theirs = live if isinstance(live, dict) else {}
        known = {key: without_unknown(value, theirs.get(key, _ABSENT)) for key, value in wanted.items()}
        return {key: value for key, value in known.items() if value is not _ABSENT}
    if isinstance(wanted, list):
        others = live if isinstance(live, list) else []
        padded = list(others) + [_ABSENT] * (len(wanted) - len(others))
        items = [without_unknown(value, other) for value, other in zip(wanted, padded, strict=False)]
        return [item for item in items if item is not _ABSENT]
    return live if has_unknown(wanted) else wanted


def unknown_changes(wanted: Any, live: Any, path: str = "") -> tuple[Change, ...]:
    """Return a change for each value that is not known before the images are built."""
    if isinstance(wanted, dict):
        theirs = live if isinstance(live, dict) else {}
        pairs = [(f"{path}.{key}" if path else key, value, theirs.get(key)) for key, value in wanted.items()]
    elif isinstance(wanted, list):
        others = live if isinstance(live, list) else []
        pairs = [
            (f"{path}[{at}]", value, others[at] if at < len(others) else None)
            for at, value in enumerate(wanted)
        ]
    elif has_unknown(wanted):
        return (Change(path, "" if live is None else _short(live), "(known after the build)"),)
    else:
        return ()
    return tuple(change for where, value, other in pairs for change in unknown_changes(value, other, where))


def _compare(old: Any, new: Any, path: str, found: list[Change]) -> None:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            where = f"{path}.{key}" if path else key
            _compare(old.get(key, _ABSENT), new.get(key, _ABSENT), where, found)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (before, after) in enumerate(zip(old, new, strict=True)):
            _compare(before, after, f"{path}[{at}]", found)
    else:
        found.append(Change(path, _short(old), _short(new)))


def _short(value: Any) -> str:
    if value is _ABSENT:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
    text = text.replace(UNKNOWN, "(unknown)").replace("\n", "\\n")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."

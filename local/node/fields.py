"""Who owns which field: server-side apply as pure functions on one object.

Maps merge field by field; a list is one field (Kubernetes merges some lists by a key, here none). Owners
are kept in `metadata.managedFields`, so they show up wherever Kubernetes shows them.
"""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]
Path = tuple[str, ...]
Owner = tuple[str, str]  # manager, operation ("Apply" or "Update")
Owners = dict[Owner, frozenset[Path]]

SERVER_METADATA = frozenset(
    [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "managedFields",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "finalizers",
    ]
)


class ConflictError(Exception):
    """Fields that other managers own with other values; `owners` gives them by manager."""

    def __init__(self, owners: dict[str, list[str]]) -> None:
        self.owners = owners
        fields = "; ".join(
            f'conflict with "{manager}": {", ".join(paths)}' for manager, paths in owners.items()
        )
        count = sum(len(paths) for paths in owners.values())
        super().__init__(f"Apply failed with {count} conflict{'s' if count > 1 else ''}: {fields}")


def declared(manifest: Object) -> Object:
    """What a client may own of a manifest: no identity, nothing the server sets, no status."""
    body = {
        key: value
        for key, value in manifest.items()
        if key not in {"apiVersion", "kind", "metadata", "status"}
    }
    metadata = {
        key: value for key, value in manifest.get("metadata", {}).items() if key not in SERVER_METADATA
    }
    return body | ({"metadata": metadata} if metadata else {})


def leaves(value: Object, prefix: Path = ()) -> dict[Path, Any]:
    """Each field that is not a map (and each empty map) by its path; fields without a value are left out."""
    found: dict[Path, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            found |= leaves(item, (*prefix, key))
        elif item is not None:
            found[(*prefix, key)] = item
    return found


def apply(live: Object, applied: Object, *, manager: str, force: bool, time: str) -> Object:
    """The live object after a server-side apply; raises ConflictError unless `force`."""
    wanted = leaves(declared(applied))
    owners = read_owners(live)
    me = (manager, "Apply")
    conflicts = _conflicts(live, wanted, {owner: paths for owner, paths in owners.items() if owner != me})
    if conflicts and not force:
        raise ConflictError(
            {owner[0]: sorted("." + ".".join(path) for path in paths) for owner, paths in conflicts.items()}
        )
    kept = {
        owner: paths - conflicts.get(owner, frozenset()) for owner, paths in owners.items() if owner != me
    }
    result = copy.deepcopy(live)
    for path in owners.get(me, frozenset()) - wanted.keys():
        if not any(_overlap(path, other) for paths in kept.values() for other in paths):
            _remove(result, path)
    for path, value in wanted.items():
        _assign(result, path, copy.deepcopy(value))
    return _with_owners(result, kept | {me: frozenset(wanted)}, live, time)


def update(live: Object | None, new: Object, *, manager: str, time: str) -> Object:
    """`new` with owners recorded: what differs from `live` now belongs to `manager`."""
    before = leaves(declared(live)) if live else {}
    after = leaves(declared(new))
    changed = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    owners = {
        owner: frozenset(path for path in paths if path in after and path not in changed)
        for owner, paths in (read_owners(live) if live else {}).items()
    }
    me = (manager, "Update")
    owners[me] = owners.get(me, frozenset()) | changed
    return _with_owners(new, owners, live or {}, time)


def merge_patch(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def read_owners(live: Object) -> Owners:
    """The owners as `metadata.managedFields` records them."""
    return {
        (entry["manager"], entry["operation"]): frozenset(_paths(entry["fieldsV1"]))
        for entry in live.get("metadata", {}).get("managedFields", [])
    }


def _conflicts(live: Object, wanted: dict[Path, Any], owners: Owners) -> Owners:
    found: Owners = {}
    for owner, paths in owners.items():
        taken = frozenset(
            other
            for other in paths
            for path, value in wanted.items()
            if _overlap(path, other) and not _agree(live, path, other, value)
        )
        if taken:
            found[owner] = taken
    return found


def _agree(live: Object, path: Path, other: Path, value: Any) -> bool:
    if value == {} and len(other) >= len(path):
        return isinstance(_get(live, path), dict)
    return path == other and _get(live, path) == value


def _overlap(one: Path, other: Path) -> bool:
    return one == other[: len(one)] or other == one[: len(other)]


def _get(value: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _assign(target: Object, path: Path, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    if value != {} or not isinstance(target.get(path[-1]), dict):
        target[path[-1]] = value


def _remove(target: Object, path: Path) -> None:
    key, rest = path[0], path[1:]
    if key not in target:
        return
    if not rest:
        del target[key]
    elif isinstance(target[key], dict):
        _remove(target[key], rest)
        if not target[key] and key != "metadata":
            del target[key]


def _with_owners(value: Object, owners: Owners, live: Object, time: str) -> Object:
    before = {
        (entry["manager"], entry["operation"]): entry
        for entry in live.get("metadata", {}).get("managedFields", [])
    }
    entries = []
    for owner, paths in owners.items():
        fields = _tree(paths)
        same = owner in before and before[owner]["fieldsV1"] == fields
        if paths:
            entries.append(
                {
                    "manager": owner[0],
                    "operation": owner[1],
                    "apiVersion": value.get("apiVersion", "v1"),
                    "time": before[owner]["time"] if same else time,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields,
                }
            )
    return value | {"metadata": value["metadata"] | {"managedFields": entries}}


def _tree(paths: frozenset[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        node = tree
        for key in path:
            node = node.setdefault(f"f:{key}", {})
    return tree


def _paths(tree: Object, prefix: Path = ()) -> list[Path]:
    found: list[Path] = []
    for key, below in tree.items():
        path = (*prefix, key.removeprefix("f:"))
        found += _paths(below, path) if below else [path]
    return found

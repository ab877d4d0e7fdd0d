"""Secrets of this machine: a folder for each, with a file for each entry, readable by their owner alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def value(secrets: Path, reference: dict[str, Any]) -> str | None:
    """The entry that a `secretKeyRef` means; None where it is not there. `secrets` holds a namespace's."""
    file = entry(secrets, reference["name"], reference["key"])
    return file.read_text(encoding="utf-8") if file is not None else None


def missing(secrets: Path, name: str, keys: list[str]) -> str | None:
    """What of a Secret is not there, as Kubernetes says it; None where all is."""
    if not (secrets / name).is_dir():
        return f'secret "{name}" not found'
    lacking = [key for key in keys if entry(secrets, name, key) is None]
    return f'secret "{name}" has no key {", ".join(lacking)}' if lacking else None


def write_volume(target: Path, secrets: Path, source: dict[str, Any]) -> str | None:
    """Fill the folder of a volume; answers what is missing. The files are links, so that a pod sees an entry
    that changes, as it does in a cluster."""
    name, optional = source["secretName"], source.get("optional")
    folder = secrets / name
    found = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    items = source.get("items") or [{"key": key, "path": key} for key in found]
    problem = missing(secrets, name, [item["key"] for item in items])
    if problem and not optional:
        return problem
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for item in items:
        link, file = target / item["path"], entry(secrets, name, item["key"])
        if not link.resolve().is_relative_to(target.resolve()):
            return f'the path "{item["path"]}" leaves its volume'
        if file is not None:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    return None


def entry(secrets: Path, name: str, key: str) -> Path | None:
    """The file of an entry, None where there is none."""
    file = secrets / name / key
    inside = Path(name).name == name and Path(key).name == key
    return file if inside and file.is_file() else None

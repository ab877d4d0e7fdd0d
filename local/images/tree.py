"""File trees of images: cloned, sealed, listed for the digest, and checked without reading them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.images.errors import ImageError

SEALED_MTIME = 315532800
"""Every file of an image has this modification time (1980-01-01), so that a later write shows."""


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's content in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_executable(path: Path) -> bool:
    """Tell whether its owner may execute a file."""
    return bool(path.stat().st_mode & stat.S_IXUSR)


def put(source: Path, target: Path, *, link: bool, executable: bool | None = None) -> None:
    """Place a file at `target`, replacing what is there.

    `link=True` shares the content with `source`: only for trees that no program writes into.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise ImageError(
            f"the file {source} cannot take the place of the folder {target}; name another target."
        )
    target.unlink(missing_ok=True)
    as_executable = is_executable(source) if executable is None else executable
    if link and as_executable == is_executable(source):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
    target.chmod(0o755 if as_executable else 0o644)


def clone(source: Path, target: Path, *, link: bool) -> None:
    """Make `target` a tree equal to `source`; see `put` for `link`."""
    target.mkdir(parents=True, exist_ok=True)
    for path in _walk(source):
        goal = target / path.relative_to(source)
        if path.is_dir():
            goal.mkdir(exist_ok=True)
        else:
            put(path, goal, link=link)


def seal(root: Path) -> dict[str, Any]:
    """Make every file of a tree read-only and return the tree's list.

    The list maps each path to `{"size": bytes, "sha256": hex, "executable": bool}`, and folders to None.

    Raises:
        ImageError: the tree holds something that is neither a regular file nor a folder.
    """
    entries: dict[str, Any] = {}
    for path in _walk(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ImageError(
                f"the image's /{name} is a symbolic link or a special file; "
                "images hold regular files and folders only."
            )
        if path.is_dir():
            entries[name] = None
            continue
        executable = is_executable(path)
        entries[name] = {"size": path.stat().st_size, "sha256": file_sha256(path), "executable": executable}
        path.chmod(0o555 if executable else 0o444)
        os.utime(path, (SEALED_MTIME, SEALED_MTIME))
    return entries


def changed(root: Path, entries: dict[str, Any]) -> str | None:
    """Return the first path that differs from a tree's list by name, size or time, or None.

    Contents are not read: a write changes the modification time.
    """
    present = {path.relative_to(root).as_posix(): path for path in _walk(root)} if root.is_dir() else {}
    for name, entry in entries.items():
        path = present.pop(name, None)
        if path is None or path.is_dir() != (entry is None):
            return name
        if entry is not None:
            status = path.lstat()
            if (status.st_size, int(status.st_mtime)) != (entry["size"], SEALED_MTIME):
                return name
    return next(iter(sorted(present)), None)


def _walk(root: Path) -> Iterator[Path]:
    """Yield all paths below a folder in a fixed order, without byte code that a Python run left."""
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted([*folders, *files]):
            yield Path(here) / name

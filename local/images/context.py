"""Which files a COPY takes: patterns, folders, and what `.dockerignore` leaves out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local.images.errors import ImageError

ALWAYS_IGNORED = ("**/__pycache__", "**/*.pyc", "**/.git")


@dataclass(frozen=True)
class Selected:
    """One file that a COPY takes: where it lies, and its path below the folder it was taken from.

    `inside` is None for a file that was named itself, so that it can get a name of its own.
    """

    source: Path
    inside: PurePosixPath | None


class Ignore:
    """The patterns of a `.dockerignore`, in Docker's meaning: from the root on, the last match decides."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules: list[tuple[re.Pattern[str], bool]] = []
        for raw in (*patterns, *ALWAYS_IGNORED):
            pattern = raw.strip()
            if pattern and not pattern.startswith("#"):
                kept = pattern.startswith("!")
                self._rules.append((_regex(pattern.removeprefix("!").strip()), kept))
        self._can_prune = not any(kept for _, kept in self._rules)

    def ignores(self, path: str) -> bool:
        """Tell whether a path relative to the context (`a/b`) is left out."""
        ignored = False
        for pattern, kept in self._rules:
            if pattern.fullmatch(path):
                ignored = not kept
        return ignored

    def prunes(self, folder: str) -> bool:
        """Tell whether nothing below a folder can be taken, so that it need not be walked."""
        return self._can_prune and self.ignores(folder)


def _regex(pattern: str) -> re.Pattern[str]:
    """Translate a pattern; a match of a folder is a match of everything below it."""
    pattern = pattern.strip("/").removeprefix("./")
    out = ""
    position = 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            out, position = out + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            out, position = out + ".*", position + 2
        else:
            character = pattern[position]
            out += {"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character))
            position += 1
    return re.compile(f"{out}(?:/.*)?")


def select(root: Path, pattern: str, ignore: Ignore) -> list[Selected]:
    """Return the files that one source word of a COPY takes, in a fixed order.

    A folder stands for the files below it; folders without files are not taken.

    Raises:
        ImageError: the pattern leaves the root, matches nothing, or reaches a symbolic link.
    """
    relative = PurePosixPath(pattern.lstrip("/"))
    if ".." in relative.parts:
        raise ImageError(f"the source {pattern!r} leaves the folder it is taken from; name files below it.")
    magic = any(character in pattern for character in "*?[")
    matches = sorted(root.glob(str(relative))) if magic else [root / relative]
    selected: list[Selected] = []
    for match in matches:
        name = match.relative_to(root).as_posix()
        if match.is_dir() and not match.is_symlink():
            selected += (Selected(file, _inside(file, match)) for file in _files(root, match, ignore))
        elif os.path.lexists(match) and not ignore.ignores(name):
            selected.append(Selected(match, None))
    if not selected:
        raise ImageError(
            f"the source {pattern!r} matches no file below {root}, or .dockerignore leaves it out; "
            "correct the one or the other."
        )
    for item in selected:
        if not item.source.is_file() or item.source.is_symlink():
            raise ImageError(f"the source {item.source} is a symbolic link; images hold regular files only.")
    return selected


def _inside(file: Path, folder: Path) -> PurePosixPath:
    return PurePosixPath(file.relative_to(folder).as_posix())


def _files(root: Path, folder: Path, ignore: Ignore) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        prefix = PurePosixPath(Path(here).relative_to(root).as_posix())
        folders[:] = sorted(name for name in folders if not ignore.prunes(str(prefix / name)))
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        for name in sorted([*files, *links]):
            if not ignore.ignores(str(prefix / name)):
                yield Path(here) / name

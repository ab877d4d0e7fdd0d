"""The files of a training output: which belong to the model, and what they are."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.register.errors import RegisterError

DESCRIPTION = "register.yaml"
"""What a training output may say of itself; no part of the model."""
_CHUNK_BYTES = 1 << 20
_PLAIN = re.compile(r"[^\s\"'\\]+")
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: `path` below its folder, `size` in bytes, `sha256` in hex."""

    path: str
    size: int
    sha256: str


def read_files(folder: Path, patterns: Sequence[str] = ()) -> tuple[ModelFile, ...]:
    """The files below `folder` that one of `patterns` names, all where there are none; links are followed,
    hidden files and folders are left out.

    Raises RegisterError with every mistake."""
    if not folder.is_dir():
        raise RegisterError(f"{folder} is no folder: name the one that training has written.")
    there = sorted(path for path in folder.rglob("*") if not path.is_dir() and _visible(path, folder))
    named = {str(path.relative_to(folder)): path for path in there if path != folder / DESCRIPTION}
    idle = [pattern for pattern in patterns if not fnmatch.filter(named, pattern)]
    mistakes = [f"{folder} has no file {pattern}, which {DESCRIPTION} names below files." for pattern in idle]
    wanted = [name for name in named if not patterns or any(fnmatch.fnmatch(name, each) for each in patterns)]
    if not wanted and not mistakes:
        mistakes.append(f"{folder} has no files: name the folder that training has written.")
    mistakes += [wrong for name in wanted if (wrong := _mistake(name, named[name]))]
    if mistakes:
        raise RegisterError(*mistakes)
    return tuple(_read(name, named[name]) for name in wanted)


def _visible(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _mistake(name: str, path: Path) -> str:
    """Why a file can be none of a model's; empty where it can."""
    if not _PLAIN.fullmatch(name):
        return f"{path} has a space, a quote or a backslash in its name, which no image takes: rename it."
    if not path.is_file():
        return f"{path} is no file that can be read: a link that leads nowhere, or something else."
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_POINTER))
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    if not start:
        return (
            f"{path} is empty: training did not finish, or it is no file of the model (name those in files)."
        )
    if start == _POINTER:
        return f"{path} is only a pointer of Git LFS: fetch its content with `git lfs pull`."
    return ""


def _read(name: str, path: Path) -> ModelFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return ModelFile(name, size, digest.hexdigest())

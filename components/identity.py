"""What a revision is made of, as names and hashes: pure functions of plain inputs."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components.errors import SourceError

REVISION_LENGTH = 52
"""Characters a revision's or a release's name may have: 63 of a DNS label less what pods append."""

_HASH_LENGTH = 6
_CONTINUED = re.compile(r"\\\s*\n")
_NEVER_COPIED = ("__pycache__", ".git")


def content_hash(value: Any) -> str:
    """Six hexadecimal digits that stand for `value` (JSON); the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:_HASH_LENGTH]


def revision_name(name: str, version: str, hash6: str) -> str:
    """`hibari`, `1.1.0`, `3fa9c2` -> `hibari-1-1-0-3fa9c2`."""
    return f"{name}-{version.replace('.', '-')}-{hash6}"


def release_name(name: str, hash6: str) -> str:
    """`hibari`, `91c0aa` -> `hibari-release-91c0aa`."""
    return f"{name}-release-{hash6}"


def image_inputs_hash(root: Path, dockerfile: str, build_args: Mapping[str, str]) -> str:
    """Six hexadecimal digits over a Dockerfile and what it leaves out, every file of the checkout it copies,
    its build arguments. Times, owners and modes are no part of it, nor of the image.

    Raises SourceError when the Dockerfile or something it copies is missing."""
    path = root / dockerfile
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SourceError([f"{dockerfile} does not exist: an image cannot be built without it."]) from None
    files = {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for source in copied_sources(text)
        for file in _files(root, source, dockerfile)
    }
    ignored = root / f"{dockerfile}.dockerignore"
    return content_hash(
        {
            "dockerfile": text,
            "ignored": ignored.read_text(encoding="utf-8") if ignored.is_file() else "",
            "files": files,
            "buildArgs": dict(build_args),
        }
    )


def copied_sources(dockerfile: str) -> tuple[str, ...]:
    """What the COPY and ADD instructions of a Dockerfile's text take from the build context, in order."""
    sources: list[str] = []
    for line in _CONTINUED.sub(" ", dockerfile).splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction.upper() not in ("COPY", "ADD"):
            continue
        flags, words = _copy_words(rest.strip())
        if not any(flag.startswith("--from=") for flag in flags):
            # What is fetched from elsewhere is named in the Dockerfile itself, by its commit or its checksum.
            sources.extend(word for word in words[:-1] if "://" not in word)
    return tuple(sources)


def _copy_words(rest: str) -> tuple[list[str], list[str]]:
    """The flags and the words of one COPY, in either of its two forms."""
    flags = []
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
        rest = rest.strip()
    words = json.loads(rest) if rest.startswith("[") else shlex.split(rest)
    return flags, words


def _files(root: Path, source: str, dockerfile: str) -> Iterable[Path]:
    found = sorted(root.glob(source.strip("/"))) if source.strip("/.") else [root]
    if not found:
        raise SourceError(
            [f"{dockerfile} copies {source}, which does not exist below {root}: correct one of them."]
        )
    for path in found:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            copied = not any(part in _NEVER_COPIED for part in file.relative_to(root).parts)
            if file.is_file() and copied and file.suffix != ".pyc":
                yield file

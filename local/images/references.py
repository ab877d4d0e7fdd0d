"""Names of images: which registry, repository, tag and digest a reference means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from local.images.dockerfile import expand
from local.images.errors import ImageError

_REFERENCE = re.compile(
    r"(?P<name>[^@:\s]+(?::\d+(?=/)[^@:\s]+)?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_ARG = re.compile(r"^\s*ARG\s+(\w+)=(\S+)", re.IGNORECASE)
_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)


@dataclass(frozen=True)
class Reference:
    """`registry.example.com/speech/hibari:1.0.0@sha256:...`; tag and digest are empty where none is named."""

    registry: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference by Docker's rules: a first word without dot and port is no registry.

        Raises ImageError when it is none.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise ImageError(
                f"{text!r} names no image; write registry/repository:tag or ...@sha256:<digest>."
            )
        first, slash, rest = match["name"].partition("/")
        if not slash or not ("." in first or ":" in first or first == "localhost"):
            first, rest = "docker.io", match["name"] if slash else f"library/{match['name']}"
        return cls(first, rest, match["tag"] or "", match["digest"] or "")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"

    @property
    def wanted(self) -> str:
        """What a registry is asked for: the digest before the tag."""
        return self.digest or self.tag or "latest"


def base_images(dockerfile: str, build_args: Mapping[str, str]) -> list[Reference]:
    """The images that the stages of a Dockerfile are built on, each once.

    Raises ImageError when one is no reference."""
    variables: dict[str, str] = {}
    stages, found = {"scratch"}, list[str]()
    for number, line in enumerate(dockerfile.splitlines(), start=1):
        if match := _ARG.match(line):
            variables.setdefault(match[1], match[2])
        elif match := _FROM.match(line):
            name = expand(match[1], variables | dict(build_args), number)
            if name not in {*stages, *found}:
                found.append(name)
            stages.add(match[2] or "")
    return [Reference.parse(name) for name in found]

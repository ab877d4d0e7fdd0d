"""The values that the parts of an image build hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class ImageBuild:
    """What one image is built from: a context folder, the text of a Dockerfile, its build arguments.

    `tags` (`name:tag`) do not influence the content. `ignored` is the text of the `.dockerignore` that holds,
    `export` the attributes of BuildKit's output (`rewrite-timestamp=true,...`).
    """

    context: Path
    dockerfile: str
    build_args: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    ignored: str = ""
    export: str = ""


@dataclass(frozen=True)
class ImageConfig:
    """How a container of the image starts. Paths are the image's own, except `python`.

    `python` is the interpreter of the image's environment, a path of this machine.
    """

    env: dict[str, str]
    workdir: str
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    python: str
    labels: dict[str, str]
    user: str

    @property
    def command(self) -> tuple[str, ...]:
        """The words a container starts with when its pod names none."""
        return self.entrypoint + self.cmd


@dataclass(frozen=True)
class Image:
    """A built image: `folder` holds `rootfs/` and `image.json` and never changes.

    `digest` is `sha256:<hex>` over the paths, executable bits and contents of `rootfs/`, the configuration
    and the requirements of the Python environment.
    """

    digest: str
    folder: Path
    config: ImageConfig

    @property
    def rootfs(self) -> Path:
        """The image's file tree."""
        return self.folder / "rootfs"

    @property
    def command(self) -> tuple[str, ...]:
        """Entrypoint and command together."""
        return self.config.command

    def ref(self, tag: str) -> str:
        """Return `tag` (`name:tag`) pinned to this image: `name:tag@sha256:<hex>`."""
        return f"{tag}@{self.digest}"

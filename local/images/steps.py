"""The stages of a Dockerfile and their steps, with all words settled."""

from __future__ import annotations

from dataclasses import dataclass, field

from local.images.values import Image


@dataclass(frozen=True)
class Copy:
    """COPY: `stage` is the index of the stage taken from, None for the context; `target` is absolute."""

    line: int
    sources: tuple[str, ...]
    target: str
    stage: int | None
    executable: bool | None


@dataclass(frozen=True)
class Install:
    """RUN pip install: the requirement files, as absolute paths of the image; without `dependencies` they
    name all that is installed."""

    line: int
    files: tuple[str, ...]
    dependencies: bool = True


@dataclass(frozen=True)
class Run:
    """RUN python: `words` follow the interpreter."""

    line: int
    words: tuple[str, ...]
    workdir: str
    env: dict[str, str]


@dataclass(frozen=True)
class MakeFolder:
    """WORKDIR: the folder exists from here on."""

    line: int
    path: str


Step = Copy | Install | Run | MakeFolder


@dataclass
class Stage:
    """One stage: `base` is an earlier stage's index, an image of this machine, or None for bare Python."""

    name: str
    base: int | Image | None
    env: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    cmd_is_own: bool = False
    steps: list[Step] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether a program runs in it, which may write into any of its files."""
        return any(isinstance(step, Run) for step in self.steps)

    @property
    def variables(self) -> dict[str, str]:
        """What `${NAME}` stands for here: ENV wins over ARG."""
        return {**self.arguments, **self.env}

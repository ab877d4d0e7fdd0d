"""A Dockerfile as a plan: stages with steps that are ready to be carried out, and the hash of all inputs.

Nothing is written here; the context is read for the hash only.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.images import dockerfile
from local.images.context import Ignore, Selected, select
from local.images.dockerfile import Instruction
from local.images.environment import PYTHON_VERSION
from local.images.errors import DockerfileError, ImageError, UnknownImageError
from local.images.steps import Copy, Install, MakeFolder, Run, Stage
from local.images.tree import file_sha256, is_executable
from local.images.values import Image, ImageBuild

FORMAT = 1
"""Raised when equal inputs give another image than before."""

_MINOR = ".".join(PYTHON_VERSION.split(".")[:2])
_PYTHON = re.compile(
    rf"(?:docker\.io/)?(?:library/)?python:{re.escape(_MINOR)}(?:[.-][\w.-]+)?(?:@sha256:[0-9a-f]{{64}})?"
)
_PIP_FLAGS = frozenset(
    ["--require-hashes", "--no-cache-dir", "--no-compile", "--no-input", "--disable-pip-version-check"]
)
_NO_DEPS = "--no-deps"


@dataclass(frozen=True)
class Plan:
    """The stages in order (the last is the image) and the sha256 of everything that goes into them."""

    stages: tuple[Stage, ...]
    key: str


def make_plan(build: ImageBuild, resolve: Callable[[str], Image]) -> Plan:
    """Read a build's Dockerfile against its context and the images that `resolve` knows.

    Raises:
        DockerfileError: a line cannot be carried out; the sentence names it.
        UnknownImageError: a base image is not on this machine.
    """
    planner = _Planner(build.build_args, resolve)
    for instruction in dockerfile.parse(build.dockerfile):
        planner.take(instruction)
    planner.finish()
    return Plan(tuple(planner.stages), _key(build, planner.stages))


def _key(build: ImageBuild, stages: list[Stage]) -> str:
    ignore = Ignore(build.ignored.splitlines())
    files: list[list[object]] = []
    for step in (step for stage in stages for step in stage.steps):
        if isinstance(step, Copy) and step.stage is None:
            for item in taken(step, build.context, ignore):
                path = item.source.relative_to(build.context).as_posix()
                files.append([path, is_executable(item.source), file_sha256(item.source)])
    bases = [stage.base.digest for stage in stages if isinstance(stage.base, Image)]
    inputs = [FORMAT, PYTHON_VERSION, build.dockerfile, dict(build.build_args), bases, files]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def taken(step: Copy, root: Path, ignore: Ignore) -> list[Selected]:
    """Return the files a COPY takes below `root`.

    Raises:
        DockerfileError: a source is missing or cannot be taken.
    """
    try:
        return [item for source in step.sources for item in select(root, source, ignore)]
    except ImageError as error:
        raise DockerfileError(step.line, str(error)) from error


class _Planner:
    """Walks the instructions; each `_name` method takes the instruction of that name."""

    def __init__(self, build_args: Mapping[str, str], resolve: Callable[[str], Image]) -> None:
        self.stages: list[Stage] = []
        self._given = build_args
        self._resolve = resolve
        self._global: dict[str, str] = {}
        self._declared: set[str] = set()

    @property
    def _stage(self) -> Stage:
        return self.stages[-1]

    def take(self, instruction: Instruction) -> None:
        if not self.stages and instruction.name not in {"ARG", "FROM"}:
            raise DockerfileError(
                instruction.line, f"{instruction.name} stands before the first FROM; move it below."
            )
        getattr(self, f"_{instruction.name.lower()}")(instruction)

    def finish(self) -> None:
        if not self.stages:
            raise DockerfileError(1, "there is no FROM; name the base image.")
        if unknown := sorted(set(self._given) - self._declared):
            raise ImageError(
                f"The build argument {unknown[0]} is declared by no ARG of the Dockerfile; leave it out."
            )

    def _arg(self, instruction: Instruction) -> None:
        name, default = dockerfile.argument(instruction)
        self._declared.add(name)
        scope = self.stages[-1].variables if self.stages else self._global
        value = self._given.get(name)
        if value is None and default is not None:
            value = dockerfile.expand(default, scope, instruction.line)
        if value is None and self.stages:
            value = self._global.get(name)
        if value is not None:
            (self._stage.arguments if self.stages else self._global)[name] = value

    def _from(self, instruction: Instruction) -> None:
        words = dockerfile.words(instruction, self._global)
        words = tuple(word for word in words if not word.startswith("--platform="))
        named = len(words) == 3 and words[1].upper() == "AS"
        if not words[0] or not (len(words) == 1 or named):
            raise DockerfileError(instruction.line, f"{instruction} is not of the form FROM image [AS name].")
        name = words[2] if named else str(len(self.stages))
        self.stages.append(self._new_stage(instruction.line, words[0], name))

    def _new_stage(self, line: int, ref: str, name: str) -> Stage:
        for index, stage in enumerate(self.stages):
            if stage.name == ref:
                return Stage(
                    name,
                    index,
                    dict(stage.env),
                    dict(stage.labels),
                    stage.workdir,
                    stage.user,
                    stage.entrypoint,
                    stage.cmd,
                )
        if _PYTHON.fullmatch(ref):
            return Stage(name, None)
        try:
            image = self._resolve(ref)
        except UnknownImageError as error:
            raise UnknownImageError(
                f"Dockerfile, line {line}: nothing is pulled here, and the base image {ref!r} is neither "
                f"python:{_MINOR}, which is this machine's Python {PYTHON_VERSION}, nor built here. {error}"
            ) from error
        config = image.config
        return Stage(
            name,
            image,
            dict(config.env),
            dict(config.labels),
            config.workdir,
            config.user,
            config.entrypoint,
            config.cmd,
        )

    def _workdir(self, instruction: Instruction) -> None:
        word = self._one_word(instruction)
        self._stage.workdir = _absolute(self._stage.workdir, word)
        self._stage.steps.append(MakeFolder(instruction.line, self._stage.workdir))

    def _env(self, instruction: Instruction) -> None:
        self._stage.env.update(dockerfile.pairs(instruction, self._stage.variables))

    def _label(self, instruction: Instruction) -> None:
        self._stage.labels.update(dockerfile.pairs(instruction, self._stage.variables))

    def _user(self, instruction: Instruction) -> None:
        self._stage.user = self._one_word(instruction)

    def _expose(self, instruction: Instruction) -> None:
        """Ports are documentation: a pod names its own."""
        dockerfile.words(instruction, self._stage.variables)

    def _entrypoint(self, instruction: Instruction) -> None:
        self._stage.entrypoint = dockerfile.exec_form(instruction)
        if not self._stage.cmd_is_own:
            self._stage.cmd = ()

    def _cmd(self, instruction: Instruction) -> None:
        self._stage.cmd = dockerfile.exec_form(instruction)
        self._stage.cmd_is_own = True

    def _copy(self, instruction: Instruction) -> None:
        words = list(dockerfile.words(instruction, self._stage.variables))
        flags: dict[str, str] = {}
        while words and words[0].startswith("--"):
            name, _, value = words.pop(0).partition("=")
            if name not in {"--from", "--chmod", "--chown", "--link"}:
                raise DockerfileError(
                    instruction.line, f"the option {name} of COPY is not carried out; leave it out."
                )
            flags[name] = value
        if len(words) < 2:
            raise DockerfileError(instruction.line, f"{instruction} needs a source and a target.")
        *sources, target = words
        if len(sources) > 1 and not target.endswith("/"):
            raise DockerfileError(
                instruction.line, f"COPY of several sources needs a folder; write {target}/."
            )
        folder = "/" if target.endswith(("/", "/.")) or target == "." else ""
        absolute = _absolute(self._stage.workdir, target).rstrip("/") + folder
        stage = self._source_stage(instruction.line, flags.get("--from"))
        executable = _executable(instruction.line, flags.get("--chmod"))
        self._stage.steps.append(Copy(instruction.line, tuple(sources), absolute, stage, executable))

    def _source_stage(self, line: int, name: str | None) -> int | None:
        if name is None:
            return None
        for index, stage in enumerate(self.stages[:-1]):
            if name in {stage.name, str(index)}:
                return index
        known = ", ".join(stage.name for stage in self.stages[:-1]) or "none"
        raise DockerfileError(
            line, f"COPY --from={name} names no earlier stage; the earlier stages are: {known}."
        )

    def _run(self, instruction: Instruction) -> None:
        words = dockerfile.exec_form(instruction)
        stage = self._stage
        if words[0] in {"python", "python3"} and words[1:4] == ("-m", "pip", "install"):
            words = words[2:]
        if words[0] == "pip":
            files = _requirement_files(instruction, words, stage.workdir)
            stage.steps.append(Install(instruction.line, files, dependencies=_NO_DEPS not in words))
        elif words[0] in {"python", "python3"}:
            stage.steps.append(Run(instruction.line, words[1:], stage.workdir, stage.variables))
        else:
            raise DockerfileError(
                instruction.line,
                f'RUN {words[0]!r} is not carried out here; use ["pip", "install", ...] or ["python", ...].',
            )

    def _one_word(self, instruction: Instruction) -> str:
        words = dockerfile.words(instruction, self._stage.variables)
        if len(words) != 1:
            raise DockerfileError(instruction.line, f"{instruction} needs exactly one word.")
        return words[0]


def _absolute(workdir: str, path: str) -> str:
    return "/" + posixpath.normpath(posixpath.join(workdir, path)).lstrip("/")


def _executable(line: int, mode: str | None) -> bool | None:
    if mode is None:
        return None
    if not re.fullmatch(r"[0-7]{3,4}", mode):
        raise DockerfileError(line, f"COPY --chmod={mode} is not an octal mode such as 755.")
    return bool(int(mode, 8) & 0o100)


def _requirement_files(instruction: Instruction, words: tuple[str, ...], workdir: str) -> tuple[str, ...]:
    files: list[str] = []
    rest = list(words[1:])
    if not rest or rest.pop(0) != "install":
        raise DockerfileError(instruction.line, f"{instruction}: only pip install is carried out.")
    while rest:
        word = rest.pop(0)
        if word in {"-r", "--requirement"} and rest:
            files.append(_absolute(workdir, rest.pop(0)))
        elif word.startswith("--requirement="):
            files.append(_absolute(workdir, word.partition("=")[2]))
        elif word not in _PIP_FLAGS and word != _NO_DEPS:
            raise DockerfileError(
                instruction.line,
                f"pip install {word!r} is not carried out; install from a file with hashes (-r FILE).",
            )
    if not files:
        raise DockerfileError(instruction.line, "pip install names no requirement file; write -r FILE.")
    return tuple(files)

"""Carrying out a plan: stages become file trees in a temporary folder, the last one becomes the image."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.images import tree
from local.images.context import Ignore
from local.images.environment import NO_DEPENDENCIES, Environment, Environments
from local.images.errors import DockerfileError, ImageError
from local.images.plan import Plan, taken
from local.images.process import run
from local.images.steps import Copy, Install, MakeFolder, Run, Stage, Step
from local.images.values import Image, ImageBuild

_PATH = re.compile(r"(--?[\w-]+=)?(/(?!dev/|proc/|sys/).*)")
_PASSED_ON = re.compile(
    r"(?i:https?_proxy|no_proxy)|PIP_\w+|UV_\w+|AWS_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|TZ"
)


@dataclass(frozen=True)
class _Built:
    """A finished stage: its file tree, and the requirement texts of its Python environment."""

    rootfs: Path
    requirements: tuple[str, ...]


class Builder:
    """Builds one plan below `folder`, which the caller removes whatever happens."""

    def __init__(
        self, build: ImageBuild, *, folder: Path, environments: Environments, log: Callable[[str], None]
    ) -> None:
        self._context = build.context
        self._ignore = Ignore(build.ignored.splitlines())
        self._folder = folder
        self._environments = environments
        self._log = log
        self._built: list[_Built] = []

    def build(self, plan: Plan) -> tuple[str, Path]:
        """Carry out all stages; return the image's digest and its finished folder.

        Raises:
            ImageError: a step failed; the sentence names its line.
        """
        for number, stage in enumerate(plan.stages):
            self._built.append(self._stage(number, stage))
        folder = self._folder / "image"
        folder.mkdir()
        self._built[-1].rootfs.rename(folder / "rootfs")
        environment = self._environments.ensure(self._built[-1].requirements, log=self._log)
        record = image_record(plan.stages[-1], environment, tree.seal(folder / "rootfs"))
        file = folder / "image.json"
        file.write_text(json.dumps(record, indent=1), encoding="utf-8")
        file.chmod(0o444)
        return record_digest(record), folder

    def _stage(self, number: int, stage: Stage) -> _Built:
        rootfs = self._folder / f"stage-{number}"
        rootfs.mkdir()
        requirements: tuple[str, ...] = ()
        if isinstance(stage.base, Image):
            tree.clone(stage.base.rootfs, rootfs, link=not stage.runs)
            requirements = self._requirements_of(stage.base)
        elif stage.base is not None:
            requirements = self._built[stage.base].requirements
            tree.clone(self._built[stage.base].rootfs, rootfs, link=False)
        for step in stage.steps:
            requirements += self._step(step, rootfs, requirements, link=not stage.runs)
        return _Built(rootfs, requirements)

    def _step(
        self, step: Step, rootfs: Path, requirements: tuple[str, ...], *, link: bool
    ) -> tuple[str, ...]:
        """Carry out one step; return the requirement texts that it adds."""
        match step:
            case MakeFolder(path=path):
                (rootfs / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case Copy():
                self._copy(step, rootfs, link=link)
            case Install():
                head = "" if step.dependencies else NO_DEPENDENCIES
                return tuple(head + _requirement_text(step.line, rootfs, file) for file in step.files)
            case Run():
                self._run(step, rootfs, self._environments.ensure(requirements, log=self._log))
        return ()

    def _requirements_of(self, image: Image) -> tuple[str, ...]:
        name = Path(image.config.python).parent.parent.name
        environment = self._environments.find(name)
        if environment is None:
            raise ImageError(
                f"The Python environment of the base image {image.digest} is gone; build that image again."
            )
        return environment.requirements

    def _copy(self, step: Copy, rootfs: Path, *, link: bool) -> None:
        source, ignore = (
            (self._context, self._ignore)
            if step.stage is None
            else (self._built[step.stage].rootfs, Ignore())
        )
        selected = taken(step, source, ignore)
        target = rootfs / step.target.lstrip("/")
        named = [item for item in selected if item.inside is None]
        into = step.target.endswith("/") or target.is_dir()
        if len(named) > 1 and not into:
            raise DockerfileError(
                step.line, f"COPY takes {len(named)} files; the target needs to be a folder: {step.target}/."
            )
        self._log(f"COPY {' '.join(step.sources)} {step.target}: {len(selected)} files")
        for item in selected:
            name = item.source.name if into else None
            goal = target / item.inside if item.inside else target / name if name else target
            try:
                tree.put(item.source, goal, link=link and step.stage is not None, executable=step.executable)
            except (ImageError, OSError) as error:
                raise DockerfileError(step.line, f"COPY to {step.target} failed: {error}") from error

    def _run(self, step: Run, rootfs: Path, environment: Environment) -> None:
        self._log(f"RUN python {' '.join(step.words)}")
        workdir = rootfs / step.workdir.lstrip("/")
        words = [str(environment.python), *(on_this_machine(word, rootfs) for word in step.words)]
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            environ = _environ(step, rootfs, environment, scratch)
            try:
                run(
                    words,
                    cwd=workdir,
                    environ=environ,
                    log=lambda line: self._log(line.replace(str(rootfs), "")),
                )
            except subprocess.CalledProcessError as error:
                raise DockerfileError(
                    step.line,
                    f"RUN {['python', *step.words]} ended with status {error.returncode}.\n{error.output}",
                ) from error


def _requirement_text(line: int, rootfs: Path, file: str) -> str:
    path = rootfs / file.lstrip("/")
    if not path.is_file():
        raise DockerfileError(line, f"the requirement file {file} is not in the image; COPY it first.")
    return path.read_text(encoding="utf-8")


def on_this_machine(word: str, rootfs: Path) -> str:
    """Rewrite a word that is an absolute path of the image, or an option with one (`--out=/x`)."""
    match = _PATH.fullmatch(word)
    return f"{match[1] or ''}{rootfs}{match[2]}" if match else word


def _environ(step: Run, rootfs: Path, environment: Environment, scratch: str) -> dict[str, str]:
    """Return a clean environment: of this machine's variables only those for registries and buckets."""
    own = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    declared = {name: on_this_machine(value, rootfs) for name, value in step.env.items() if name != "PATH"}
    return {
        **own,
        "LANG": "C.UTF-8",
        **declared,
        "PATH": f"{environment.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": scratch,
        "TMPDIR": scratch,
        "PYTHONPATH": str(rootfs / step.workdir.lstrip("/")),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def image_record(stage: Stage, environment: Environment, files: dict[str, Any]) -> dict[str, Any]:
    """Return the content of `image.json`."""
    return {
        "env": stage.env,
        "workdir": stage.workdir,
        "entrypoint": list(stage.entrypoint),
        "cmd": list(stage.cmd),
        "command": [*stage.entrypoint, *stage.cmd],
        "user": stage.user,
        "labels": stage.labels,
        "environment": environment.name,
        "python": str(environment.python),
        "files": files,
    }


def record_digest(record: dict[str, Any]) -> str:
    """Return `sha256:<hex>` over an image's record, without the one path of this machine."""
    content = {name: value for name, value in record.items() if name != "python"}
    return "sha256:" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

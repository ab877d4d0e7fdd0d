"""Python environments of images: installed once with uv from hashed requirements, then shared."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uv

from local.images.errors import ImageError
from local.images.process import run

PYTHON_VERSION = platform.python_version()
NO_DEPENDENCIES = "# --no-deps: nothing is installed beside what stands here.\n"
"""How the text of a requirement file begins that is installed so."""

_RECORD = "requirements.json"


@dataclass(frozen=True)
class Environment:
    """One Python environment, named by the sha256 of what it was made from.

    `requirements` are the texts of the requirement files, in the order they were installed.
    """

    name: str
    python: Path
    requirements: tuple[str, ...]


class Environments:
    """The folder of environments; each appears complete or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, name: str) -> Environment | None:
        """Return an environment by name, or None when it is not (or no longer) there."""
        folder = self.folder / name
        python, record = folder / "bin" / "python", folder / _RECORD
        if not (python.exists() and record.is_file()):
            return None
        return Environment(name, python, tuple(json.loads(record.read_text(encoding="utf-8"))))

    def ensure(self, requirements: tuple[str, ...], *, log: Callable[[str], None]) -> Environment:
        """Return the environment of these requirement files, installing it if it is not there.

        Raises:
            ImageError: uv could not install them, for instance because a hash is missing or wrong.
        """
        name = environment_name(requirements)
        if found := self.find(name):
            return found
        if requirements:
            log(f"Installing the Python environment {name[:12]} from {len(requirements)} requirement files")
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".build-", dir=self.folder))
        try:
            self._install(temporary, requirements, log)
            target = self.folder / name
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        found = self.find(name)
        if found is None:
            raise ImageError(
                f"The environment {name} was installed but holds no python; remove {target} and try again."
            )
        return found

    def _install(self, folder: Path, requirements: tuple[str, ...], log: Callable[[str], None]) -> None:
        interpreter = getattr(sys, "_base_executable", sys.executable)
        _uv(["venv", "--relocatable", "--allow-existing", "--python", interpreter, str(folder)], folder, log)
        install = ["pip", "install", "--python", str(folder / "bin" / "python")]
        for number, text in enumerate(requirements):
            file = folder / f"requirements-{number}.txt"
            file.write_text(text, encoding="utf-8")
            options = ["--require-hashes", "--compile-bytecode"]
            options += ["--no-deps"] if text.startswith(NO_DEPENDENCIES) else []
            _uv([*install, *options, "-r", str(file)], folder, log)
        if requirements and (wheels := _bundled_wheels()):
            # A build step may use pip, as in the python image; it is the one that came with this Python.
            _uv([*install, "--no-index", "--find-links", str(wheels), "pip"], folder, log)
        (folder / _RECORD).write_text(json.dumps(requirements), encoding="utf-8")


def _bundled_wheels() -> Path | None:
    """Return the folder in which this Python keeps its own pip, or None where a system left it out."""
    spec = importlib.util.find_spec("ensurepip")
    places = [
        sysconfig.get_config_var("WHEEL_PKG_DIR"),
        spec and spec.origin and Path(spec.origin).parent / "_bundled",
    ]
    folders = (Path(place) for place in places if place)
    return next((folder for folder in folders if any(folder.glob("pip-*.whl"))), None)


def environment_name(requirements: tuple[str, ...]) -> str:
    """Return the name of the environment of these requirement texts on this machine's Python."""
    content = json.dumps([PYTHON_VERSION, platform.system(), platform.machine(), requirements])
    return hashlib.sha256(content.encode()).hexdigest()


def _uv(arguments: list[str], folder: Path, log: Callable[[str], None]) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    try:
        run([uv.find_uv_bin(), "--quiet", *arguments], cwd=folder, environ=environ, log=log)
    except subprocess.CalledProcessError as error:
        raise ImageError(
            f"The Python environment of the image could not be installed: uv {arguments[0]} ended with "
            f"status {error.returncode}.\n{error.output}"
        ) from error

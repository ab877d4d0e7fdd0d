"""Small contexts, homes and a wheel of our own, so that no test reaches a package registry."""

import base64
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.home import Home
from local.images import Image, ImageBuild, ImageStore


@dataclass
class Workshop:
    """A context folder with a store; `build` builds a Dockerfile text in it."""

    context: Path
    store: ImageStore
    home: Home
    log: list[str] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def order(self, dockerfile: str, tags: tuple[str, ...] = (), **build_args: str) -> ImageBuild:
        return ImageBuild(self.context, dockerfile, build_args, tags)

    def build(self, dockerfile: str, tags: tuple[str, ...] = (), **build_args: str) -> Image:
        return self.store.build(self.order(dockerfile, tags, **build_args), log=self.log.append)


@pytest.fixture
def new_workshop(tmp_path: Path) -> Callable[[str], Workshop]:
    def make(name: str) -> Workshop:
        home = Home(tmp_path / name / "home")
        context = tmp_path / name / "context"
        context.mkdir(parents=True)
        return Workshop(context, ImageStore(home), home)

    return make


@pytest.fixture
def workshop(new_workshop: Callable[[str], Workshop]) -> Workshop:
    return new_workshop("one")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The line of a requirement file that installs the package `tiny`, whose `VALUE` is 7."""
    return _wheel("tiny", tmp_path, monkeypatch)


@pytest.fixture
def needy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The line of a requirement file that installs `needy`, which asks for a package that is nowhere."""
    return _wheel("needy", tmp_path, monkeypatch, "Requires-Dist: nowhere\n")


def _wheel(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: str = "") -> str:
    wheels = tmp_path / "wheels"
    wheels.mkdir(exist_ok=True)
    wheel = wheels / f"{package}-1.0-py3-none-any.whl"
    about = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{metadata}"
    files = {
        f"{package}.py": "VALUE = 7\n",
        f"{package}-1.0.dist-info/METADATA": about,
        f"{package}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{package}-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return f"{package}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")

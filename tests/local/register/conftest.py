"""A checkout without weights, a training output, and servers that need neither."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.engine.report import Report
from local.engine.target import Target
from local.home import CHECKOUT, Home
from local.register import Request, register

HERE = Path(__file__).parent
SAID = {
    "engine": "hibari",
    "license": "Apache-2.0",
    "sampleRate": 24000,
    "languages": ["en"],
    "checks": {"required": ["decodable", "sampleRate", "duration", "level", "identity", "firstAudio"]},
    "limits": {"charactersPerSecondTolerance": 0.25, "rmsDbfs": {"min": -35, "max": -10}},
    "gate": {"texts": ["The harbour was quiet.", "She counted seven white birds."]},
}
"""What a training output says of the first version of a model."""


@dataclass
class Bench:
    """Registrations in a checkout of their own; `said` is all that was told of them."""

    root: Path
    home: Home
    out: Path
    said: StringIO

    def say(self, **changes: Any) -> None:
        """Writes register.yaml, with changes to what the first version needs; None leaves a key out."""
        document = {key: value for key, value in {**SAID, **changes}.items() if value is not None}
        (self.out / "register.yaml").write_text(yaml.safe_dump(document))

    def register(
        self,
        version: str = "1.0.0",
        model: str = "chirp",
        *,
        stack: str = "dev",
        edit: bool = False,
        **more: Any,
    ) -> None:
        """With the fake server, unless `python` names another."""
        more = {"python": self.python} | more
        request = Request(self.out, model, version, edit=edit)
        register(
            request, Target(self.root, stack, more.pop("overrides", ())), self.home, Report(self.said), **more
        )

    def python(self, texts: tuple[str, ...]) -> Path:
        """For the release's requirements the tests' own environment, for an engine's the fake server."""
        return Path(sys.executable) if "pocketsphinx" in texts[0] else self.root / "fake-python"

    def state(self) -> Mapping[str, bytes]:
        """Every file of the checkout that a registration may touch, and of the home but what was refused."""
        folders = (self.root / "models", self.home.root)
        paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        paths += self.root.glob("Pulumi.*")
        return {str(path): path.read_bytes() for path in paths if "refused" not in path.parts}

    def entry(self, version: str = "1.0.0", model: str = "chirp") -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.root / f"models/{model}/{version}.yaml").read_text())
        return found


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root, out = tmp_path / "checkout", tmp_path / "out"
    (root / "models").mkdir(parents=True)
    out.mkdir()
    for folder in ("components", "serving", "release"):
        (root / folder).symlink_to(CHECKOUT / folder)
    shutil.copy(CHECKOUT / "Pulumi.yaml", root)
    config = {"tts:model": "chirp", "tts:modelVersion": "0.9.0", "tts:registry": "local.tts"}
    (root / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    fake = root / "fake-python"
    fake.write_text(
        f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'fake_server.py'))}\n"
    )
    fake.chmod(0o755)
    made = Bench(root, Home(tmp_path / "home"), out, StringIO())
    made.say()
    (out / "weights.bin").write_text("beeps")
    return made


@pytest.fixture
def refused(bench: Bench) -> Callable[..., str]:
    """Registers, and says with which words it was refused: nothing may be left."""
    from local.errors import LocalError

    def run(*words: Any, **more: Any) -> str:
        before = bench.state()
        with pytest.raises(LocalError) as caught:
            bench.register(*words, **more)
        assert bench.state() == before
        return str(caught.value)

    return run

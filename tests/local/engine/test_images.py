"""What a declared image becomes for the builder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from local.engine.errors import EngineError
from local.engine.images import Images
from local.engine.report import Report
from local.images.values import ImageBuild
from tests.local.engine.conftest import FakeImage


class Recorder:
    """Builds nothing and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[ImageBuild] = []

    def find(self, build: ImageBuild) -> FakeImage:
        self.asked.append(build)
        return FakeImage("sha256:1")


def asked_for(root: Path, inputs: dict[str, Any]) -> ImageBuild:
    recorder = Recorder()
    images = Images(
        recorder, Report(io.StringIO()), root=root, preview=False, count=lambda _: None  # type: ignore[arg-type]
    )  # fmt: skip
    assert images.image("base", inputs)["ref"] == "r/base:1@sha256:1"
    return recorder.asked[0]


def test_a_dockerfile_takes_along_what_it_leaves_out_and_how_it_is_exported(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "Dockerfile").write_text("FROM x\n")
    (tmp_path / ".dockerignore").write_text("of the context\n")
    inputs = {
        "tags": ["r/base:1"],
        "dockerfile": {"location": "serving/Dockerfile"},
        "buildArgs": {"SOURCE_DATE_EPOCH": 0},
        "exports": [{"raw": "type=registry,rewrite-timestamp=true"}],
    }
    build = asked_for(tmp_path, inputs)
    assert build.dockerfile == "FROM x\n"
    assert build.ignored == "of the context\n"
    assert build.export == "rewrite-timestamp=true"
    assert build.build_args == {"SOURCE_DATE_EPOCH": "0"}
    (tmp_path / "serving" / "Dockerfile.dockerignore").write_text("of its own\n")
    assert asked_for(tmp_path, inputs).ignored == "of its own\n"


def test_an_inline_dockerfile_needs_no_file(tmp_path: Path) -> None:
    inputs = {"tags": ["r/base:1"], "dockerfile": {"inline": "FROM y\n"}, "context": {"location": "models/x"}}
    build = asked_for(tmp_path, inputs)
    assert (build.dockerfile, build.ignored, build.export) == ("FROM y\n", "", "")
    assert build.context == tmp_path / "models" / "x"


def test_a_missing_dockerfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"Image base: its Dockerfile .*/nowhere cannot be read"):
        asked_for(tmp_path, {"tags": ["r/base:1"], "dockerfile": {"location": "nowhere"}})

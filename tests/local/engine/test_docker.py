"""The Docker builder against a stand-in for the `docker` command that keeps a registry in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.images.docker import DockerBuilder
from local.images.errors import ImageError, UnknownImageError
from local.images.values import ImageBuild

DOCKER = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$1" in
  build) for last; do :; done; echo "Step 1"; echo; test -d "$last" || {{ echo "no such context"; exit 1; }};;
  push) touch {folder}/pushed;;
  pull) test -f {folder}/pushed || {{ echo "manifest unknown" >&2; exit 1; }};;
  image) echo "other/model@sha256:0000"; echo "registry:5000/model@sha256:abcd";;
esac
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    command = tmp_path / "docker"
    command.write_text(DOCKER.format(folder=tmp_path))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def build(folder: Path) -> ImageBuild:
    return ImageBuild(folder, "FROM scratch\n", {"BASE": "x y"}, ("registry:5000/model:1.0.0-abc",))


def test_builds_pushes_and_reads_the_digest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_DOCKER_BUILD_ARGS", "--network host")
    builder, lines = DockerBuilder(), []
    assert builder.find(build(folder)) is None
    image = builder.build(build(folder), log=lines.append)
    assert image.ref("registry:5000/model:1.0.0-abc") == "registry:5000/model:1.0.0-abc@sha256:abcd"
    assert lines == ["Step 1"]
    calls = (folder / "calls").read_text()
    assert "push --quiet registry:5000/model:1.0.0-abc" in calls
    assert "build --network host --build-arg BASE=x y --tag registry:5000/model:1.0.0-abc --file" in calls
    assert builder.find(build(folder)) == image
    assert builder.resolve("registry:5000/model@sha256:ff").digest == "sha256:ff"


def test_a_failed_build_shows_dockers_last_lines(folder: Path) -> None:
    wrong = ImageBuild(folder / "none", "FROM scratch\n", {}, ("registry:5000/model:1",))
    with pytest.raises(ImageError, match=r"`docker build` ended with status 1:\n(.|\n)*no such context"):
        DockerBuilder().build(wrong, log=lambda _line: None)


def test_an_image_without_a_tag_and_an_unknown_one_are_refused(folder: Path) -> None:
    with pytest.raises(ImageError, match="needs a tag"):
        DockerBuilder().build(ImageBuild(folder, "", {}, ()), log=lambda _line: None)
    with pytest.raises(UnknownImageError, match="has no image registry:5000/model:2"):
        DockerBuilder().resolve("registry:5000/model:2")


def test_a_missing_docker_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError, match="`docker` is not installed"):
        DockerBuilder().resolve("a:1")

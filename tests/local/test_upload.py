"""`make upload`: the stack's config says where to, the catalog what, and the server's own command does it."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import upload as uploading
from local.cli import main
from local.home import CHECKOUT

HELLO = b"hello"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: tts\nruntime: python\nconfig: {}\n")
    artifact = {
        "path": "a.bin",
        "source": "file:a.bin",
        "size": 5,
        "sha256": hashlib.sha256(HELLO).hexdigest(),
    }
    entry = {"model": "toy", "version": "1.0.0", "engine": "hibari", "artifacts": [artifact]}
    (tmp_path / "models/toy").mkdir(parents=True)
    (tmp_path / "models/toy/1.0.0.yaml").write_text(yaml.safe_dump(entry))
    (tmp_path / "models/toy/a.bin").write_bytes(HELLO)
    (tmp_path / "serving").symlink_to(CHECKOUT / "serving")
    configure(
        tmp_path, {"bucket": "speech", "prefix": "models", "endpoint": "http://127.0.0.1:1", "region": "r-1"}
    )
    return tmp_path


def configure(root: Path, place: dict[str, str]) -> None:
    config = {"tts:model": "toy", "tts:modelVersion": "1.0.0", "tts:objectStore": place}
    (root / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run, instead of running them."""
    commands: list[list[str]] = []

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(words)
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(uploading.subprocess, "run", run)
    return commands


def test_the_config_says_where_to(root: Path, ran: list[list[str]], tmp_path: Path) -> None:
    assert main(["upload", "1.0.0"], root=root) == 0
    assert (
        main(
            ["upload", "1.0.0", "--files", str(tmp_path / "made"), "--config", "objectStore.prefix=x"],
            root=root,
        )
        == 0
    )
    entry = str(root / "models/toy/1.0.0.yaml")
    options = ["--endpoint", "http://127.0.0.1:1", "--region", "r-1"]
    assert [words[4:] for words in ran] == [
        [entry, "s3://speech/models", *options],
        [entry, "s3://speech/x", *options, "--files", str(tmp_path / "made")],
    ]


def test_the_command_itself_says_what_is_wrong(root: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "some-secret")
    assert main(["upload", "1.0.0"], root=root) == 3
    said = capfd.readouterr().err
    assert "did not answer for s3://speech/models/toy/1.0.0/a.bin (Connection refused)" in said
    assert "some-" not in said


def test_a_config_without_a_bucket_and_a_version_that_is_not_there(
    root: Path, ran: list[list[str]], capsys
) -> None:
    assert main(["upload", "2.0.0"], root=root) == 1
    assert "2.0.0.yaml cannot be read" in capsys.readouterr().err
    configure(root, {"prefix": "models"})
    assert main(["upload", "1.0.0"], root=root) == 1
    assert "names no bucket to upload to" in capsys.readouterr().err
    assert ran == []

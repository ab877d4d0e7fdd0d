"""Fetching and verifying model files."""

import ensurepip
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

from serving import sources
from serving.artifacts import Artifact, verify
from serving.engines.hibari import dequantise
from serving.errors import ArtifactError
from tests.serving.conftest import ROOT, entry, fetch

HELLO = b"hello"


def write_entry(folder: Path, source: str, **changes: Any) -> Path:
    """A catalog entry of one file that holds HELLO."""
    artifact = {"path": "sub/weights.bin", "source": source, "size": 5, "sha256": sha256(HELLO), **changes}
    file = folder / "1.0.0.yaml"
    file.write_text(yaml.safe_dump({"model": "toy", "version": "1.0.0", "artifacts": [artifact]}))
    return file


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_fetched_whole_and_kept_when_right(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(HELLO)
    file = write_entry(tmp_path, "file:weights.bin")
    assert fetch(file, tmp_path / "model").returncode == 0
    (tmp_path / "weights.bin").unlink()
    assert fetch(file, tmp_path / "model").returncode == 0
    assert left(tmp_path / "model") == [tmp_path / "model/sub/weights.bin"]
    assert (tmp_path / "model/sub/weights.bin").read_bytes() == HELLO


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "0" * 64}, f"expected sha256 {'0' * 64}, got {sha256(HELLO)}"),
        ({"size": 6}, "expected 6 bytes, got 5"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    (tmp_path / "weights.bin").write_bytes(HELLO)
    done = fetch(write_entry(tmp_path, "file:weights.bin", **changes), tmp_path / "model")
    assert done.returncode == 3
    assert says in done.stderr
    assert "weights.bin" in done.stderr
    assert left(tmp_path / "model") == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("s3://models", "incomplete"),
        ("s3:models/weights.bin", "incomplete"),
        ("http://x/y", "of no known kind"),
        ("file:missing.bin", "cannot be read"),
        ("file:../weights.bin", "leads out"),
        ("pypi:hibari-tts#x", "incomplete"),
        ("derived:engines/hibari/dequantise.py", "incomplete"),
        ("derived:../x.py#file:1.0.0.yaml", "leads out"),
        ("derived:engines/hibari/dequantise.py#file:1.0.0.yaml", "failed with exit code 1"),
    ],
)
def test_sources_that_cannot_be_read(tmp_path: Path, source: str, says: str) -> None:
    done = fetch(write_entry(tmp_path, source), tmp_path / "model")
    assert done.returncode == 3
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert left(tmp_path / "model") == []


@pytest.mark.parametrize("path", ["../weights.bin", "/etc/passwd", ""])
def test_a_path_outside_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    done = fetch(write_entry(tmp_path, "file:weights.bin", path=path), tmp_path / "model")
    assert done.returncode == 3
    assert "does not lie below" in done.stderr


def test_a_wheel_that_is_not_installed_is_downloaded(tmp_path: Path) -> None:
    """By pip, here from a folder that stands for the package index."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "toyvoice-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toyvoice/weights.bin", HELLO)
        wheel.writestr(
            "toyvoice-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toyvoice\nVersion: 1.0\n"
        )
        wheel.writestr("toyvoice-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("toyvoice-1.0.dist-info/RECORD", "")
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    pip = next(bundled.glob("pip-*.whl"))  # runs from its wheel: the environment need not have it
    environ = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{pip}",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
    }
    file = write_entry(tmp_path, "pypi:toyvoice==1.0#toyvoice/weights.bin")
    command = [
        sys.executable,
        "-m",
        "serving.artifacts",
        "fetch",
        str(file),
        str(tmp_path / "m"),
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m/sub/weights.bin").read_bytes() == HELLO


def test_a_wheel_without_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(source: str, command: list[str]) -> None:
        with zipfile.ZipFile(Path(command[-2], "toyvoice-1.0-py3-none-any.whl"), "w") as wheel:
            wheel.writestr("toyvoice/weights.bin", HELLO)

    monkeypatch.setattr(sources, "_run", download)
    with pytest.raises(ArtifactError, match=r"py3-none-any\.whl lacks"):
        sources.read_source("pypi:toyvoice==1.0#toyvoice/other.bin", tmp_path / "out", tmp_path)


def test_verify_refuses(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(HELLO)
    verify([Artifact(path="a", size=5, sha256=sha256(HELLO))], tmp_path)
    for wrong in (
        Artifact(path="a", size=4, sha256=sha256(HELLO)),
        Artifact(path="a", size=5, sha256=sha256(b"other")),
        Artifact(path="b", size=5, sha256=sha256(HELLO)),
    ):
        with pytest.raises(ArtifactError, match=str(tmp_path / wrong.path)):
            verify([wrong], tmp_path)


def test_dequantised_weights_are_the_same_at_every_run(
    model_dir: Path, float_model_dir: Path, tmp_path: Path
) -> None:
    made = tmp_path / "again.onnx"
    assert dequantise.main(model_dir / "hibari.onnx", made) == 0
    assert made.read_bytes() == (float_model_dir / "hibari.onnx").read_bytes()
    assert sha256(made.read_bytes()) == entry("1.1.0")["artifacts"][0]["sha256"]
    kinds = {node.op_type for node in onnx.load(str(made)).graph.node}
    assert not kinds & {"MatMulInteger", "DynamicQuantizeLinear"}


def test_dequantise_refuses_another_model(float_model_dir: Path, tmp_path: Path, capsys) -> None:
    assert dequantise.main(float_model_dir / "hibari.onnx", tmp_path / "out.onnx") == 1
    assert "0 quantised products" in capsys.readouterr().err
    assert not (tmp_path / "out.onnx").exists()

"""A training output becomes a version of the catalog, with its gate's table and samples; what is wrong is
said in sentences, and nothing of it is left."""

from __future__ import annotations

import hashlib
import shutil
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from local.home import CHECKOUT
from local.register import catalog
from local.register import registration as module
from local.register.files import read_files
from pipeline.stack_file import gate_of

from .conftest import SAID, Bench

BEEPS = b"beeps"
STORE = '{"bucket": "speech", "prefix": "models", "endpoint": "http://127.0.0.1:1", "region": "r-1"}'


def test_the_first_version_of_a_model(bench: Bench) -> None:
    config = (bench.root / "Pulumi.dev.yaml").read_text()
    bench.register()
    entry = Catalog(bench.root / "models").load("chirp", "1.0.0")
    (file,) = entry.artifacts
    assert (file.path, file.size, file.sha256) == ("weights.bin", 5, hashlib.sha256(BEEPS).hexdigest())
    assert file.source == "file:1.0.0/files/weights.bin"
    assert (bench.root / "models/chirp/1.0.0/files/weights.bin").read_bytes() == BEEPS
    assert entry.gate.baseline_characters_per_second == 14.0
    assert (entry.load_budget_seconds, entry.license) == (60, "Apache-2.0")
    assert (bench.root / "Pulumi.dev.yaml").read_text() == config

    page, *samples = gate_of(bench.root, "chirp", "1.0.0")
    assert samples == ["models/chirp/1.0.0/1.wav", "models/chirp/1.0.0/2.wav"]
    text = (bench.root / page).read_text()
    assert "  identity           yes (worst of 2)                   yes                    pass" in text
    assert "| She counted seven white birds. | [2.wav](2.wav) |" in text
    with wave.open(str(bench.root / samples[1])) as sample:
        assert sample.getframerate() == 24000
        assert sample.getnframes() == int(len("She counted seven white birds.") / 14 * 24000)

    assert "a version never changes: register this output as another one. There are 1.0.0." in wrong(bench)


def wrong(bench: Bench, *words: Any, **more: Any) -> str:
    with pytest.raises(module.RegisterError) as caught:
        bench.register(*words, **more)
    return str(caught.value)


def test_an_example_stands_for_the_version_before(bench: Bench) -> None:
    assert catalog.before(bench.root, "chirp").document == {}
    folder = bench.root / "models/chirp"
    folder.mkdir()
    (bench.out / "register.yaml").rename(folder / "0.9.0.yaml.example")
    assert catalog.before(bench.root, "chirp").document == SAID
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1"):
        (folder / f"{version}.yaml").write_text("{}")
    assert catalog.before(bench.root, "chirp").name == "models/chirp/1.10.0.yaml"
    (folder / "1.10.0.yaml").write_text("exchange: {path: /a}")
    with pytest.raises(module.RegisterError, match="is of a model that does not speak"):
        catalog.before(bench.root, "chirp")


def test_the_config_is_edited_when_asked(bench: Bench, refused: Callable[..., str]) -> None:
    config = bench.root / "Pulumi.dev.yaml"
    assert "serves chirp, not other: name another STACK" in refused("1.0.0", "other", edit=True)
    bench.register(edit=True)
    assert "tts:modelVersion: 1.0.0" in config.read_text()
    assert "Pulumi.dev.yaml: tts:modelVersion 0.9.0 => 1.0.0" in bench.said.getvalue()
    config.write_text(config.read_text().replace("tts:modelVersion: 1.0.0", "tts:host: a"))
    assert "has no line `tts:modelVersion" in refused("1.2.0", edit=True)


def test_the_files_are_where_the_entry_says(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upload itself: tests/serving/test_upload.py."""
    uploads: list[Path] = []

    def put(root: Path, entry: Path, place: dict[str, Any], files: Path | None) -> int:
        uploads.append(entry)
        assert (place["bucket"], files) == ("speech", bench.out)
        assert "source: s3://speech/models/chirp/1.0.0/weights.bin\n" in entry.read_text()
        assert not (bench.root / "models/chirp").exists()
        return 0

    monkeypatch.setattr(module, "put", put)
    bench.register(overrides=(f"objectStore={STORE}",))
    assert len(uploads) == 1
    assert bench.entry()["artifacts"][0]["source"] == "s3://speech/models/chirp/1.0.0/weights.bin"
    assert not (bench.root / "models/chirp/1.0.0/files").exists()
    assert "The files are in s3://speech/models/chirp/1.0.0." in bench.said.getvalue()


@pytest.mark.soak
def test_a_real_model_is_spoken_and_heard(bench: Bench) -> None:
    """hibari's weights as a training output: its own engine, the release's own ears."""
    from serving.sources import read_source

    (bench.out / "weights.bin").unlink()
    (bench.out / "register.yaml").unlink()
    read_source("pypi:hibari-tts==0.2.1#hibari/assets/hibari.onnx", bench.out / "hibari.onnx", bench.out)
    (bench.root / "models/hibari").mkdir()
    shutil.copy(CHECKOUT / "models/hibari/1.1.0.yaml", bench.root / "models/hibari")
    bench.register("1.2.0", "hibari", python=lambda _: Path(sys.executable))
    found = bench.entry("1.2.0", "hibari")
    assert 14.5 < found["baseline"]["charactersPerSecond"] < 16
    # The reviewed amount is more than was needed here; that 1.1.0 is slow on purpose says nothing of it.
    assert found["load"] == {"budgetSeconds": 60, "memory": "768Mi"}
    assert "firstAudioRatio" not in found["limits"]
    assert "intelligibility    0.0 (worst of 7)" in bench.said.getvalue()


def test_files_are_chosen_by_name(bench: Bench) -> None:
    (bench.out / "optimizer.pt").write_text("not of the model")
    (bench.out / ".cache").mkdir()
    (bench.out / ".cache/lock").write_text("")
    (bench.out / "voices").mkdir()
    (bench.out / "voices/heart.bin").symlink_to(bench.out / "optimizer.pt")
    chosen = read_files(bench.out, ["weights.bin", "voices/*"])
    assert [file.path for file in chosen] == ["voices/heart.bin", "weights.bin"]
    assert [file.path for file in read_files(bench.out)] == [
        "optimizer.pt",
        "voices/heart.bin",
        "weights.bin",
    ]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("weights.bin", b"", "weights.bin is empty: training did not finish"),
        ("weights.bin", b"version https://git-lfs.github.com/spec/v1\noid", "only a pointer of Git LFS"),
        ("my weights.bin", b"x", "has a space, a quote or a backslash in its name"),
        (
            "register.yaml",
            b"engin: hibari",
            "engin is nothing that a training output says: did you mean engine?",
        ),
        ("register.yaml", b"files: weights.bin", "files is 'weights.bin': write a list of names"),
        ("register.yaml", b"files: [model.bin]", "has no file model.bin, which register.yaml names"),
        ("register.yaml", b"- a", "is not a mapping of keys to values"),
        ("register.yaml", b"{", "is not readable YAML"),
        ("register.yaml", b"", "engine is missing"),
    ],
)
def test_a_wrong_training_output(
    bench: Bench, refused: Callable[..., str], name: str, content: bytes, sentence: str
) -> None:
    (bench.out / name).write_bytes(content)
    assert sentence in refused()


def test_a_link_that_leads_nowhere_and_folders_without_files(
    bench: Bench, refused: Callable[..., str]
) -> None:
    (bench.out / "more.bin").symlink_to(bench.out / "gone")
    assert "more.bin is no file that can be read: a link that leads nowhere" in refused()
    (bench.out / "more.bin").unlink()
    (bench.out / "weights.bin").unlink()
    assert "has no files: name the folder that training has written" in refused()
    bench.out = bench.out / "none"
    assert "none is no folder" in refused()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"engine": "whistle"}, "serving/engines/whistle/Dockerfile does not exist"),
        ({"license": None}, "license is missing: it needs a value."),
        ({"sampleRate": 3}, "sampleRate is 3: write a whole number from 8000 to 192000."),
        ({"load": {"budgetSeconds": 60, "memory": "1Mi"}}, "load.memory is 1Mi, but here the server took"),
        (
            {"load": {"budgetSeconds": 0.01, "memory": "1Gi"}},
            "load.budgetSeconds is 0.01, but here the server",
        ),
    ],
)
def test_what_the_catalog_would_refuse(
    bench: Bench, refused: Callable[..., str], changes: dict[str, object], sentence: str
) -> None:
    bench.say(**changes)
    assert sentence in refused()


def test_names_that_no_version_has(bench: Bench, refused: Callable[..., str]) -> None:
    assert 'The version "../1" is no semantic version' in refused("../1")
    assert '"1.0", which is not a semantic version: write it as MAJOR.MINOR.PATCH' in refused("1.0")
    assert 'The model "../chirp" may hold only' in refused("1.0.0", "../chirp")


def test_what_is_in_the_way_is_left_alone(bench: Bench, refused: Callable[..., str]) -> None:
    (bench.root / "models/chirp/1.1.0").mkdir(parents=True)
    (bench.root / "models/chirp/1.1.0/notes").write_text("mine")
    assert "is there already, without an entry" in refused("1.1.0")


def test_a_model_that_does_not_load_says_why(bench: Bench, refused: Callable[..., str]) -> None:
    (bench.out / "weights.bin").write_text("dies")
    assert (
        refused() == "The server of the new version ended while it loaded: The weights are of another shape."
    )


def test_a_version_that_does_not_pass_its_gate_is_not_registered(
    bench: Bench, refused: Callable[..., str]
) -> None:
    (bench.out / "weights.bin").write_text("silent")
    said = refused()
    assert "chirp 1.0.0 did not pass its gate, and was not registered." in said
    assert "level: The level is -inf dBFS" in said
    # Its samples are kept beside the checkout, for who wants to hear why.
    kept = bench.home.root / "refused" / "chirp-1.0.0"
    assert f"What it spoke is in {kept}." in said
    assert {path.name for path in kept.iterdir()} == {"1.wav", "2.wav", "heard.json"}


def test_files_that_cannot_be_uploaded(
    bench: Bench,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    said = refused(overrides=(f"objectStore={STORE}",))
    assert said == "chirp 1.0.0 was not uploaded, for the reason above: nothing was registered."
    assert "did not answer for s3://speech/models/chirp/1.0.0/weights.bin" in capfd.readouterr().err

"""Catalog entries: what is read, and every refusal."""

from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from components.errors import CatalogError

from .conftest import ROOT, entry, write_entry

ARTIFACT = entry()["artifacts"][0]
REAL = [(path.parent.name, path.stem) for path in sorted((ROOT / "models").glob("*/*.yaml"))]


def limited(**limits: Any) -> dict[str, Any]:
    """A change of an entry: further limits."""
    return {"limits": entry()["limits"] | limits}


def mistakes_of(root: Path, version: str = "1.0.0") -> list[str]:
    with pytest.raises(CatalogError) as caught:
        Catalog(root / "models").load("hibari", version)
    return list(caught.value.mistakes)


def test_an_entry_is_read(tmp_path: Path) -> None:
    write_entry(tmp_path, entry())
    version = Catalog(tmp_path / "models").load("hibari", "1.0.0")
    assert (version.model, version.version, version.engine) == ("hibari", "1.0.0", "hibari")
    assert version.sample_rate == 24000
    assert version.artifacts[0].sha256 == "5f" * 32
    assert version.load_budget_seconds == 60
    assert version.gate.rms_dbfs_min == -35
    assert version.size == 7936868
    assert version.settings == {}


def test_limits_left_out_have_defaults(tmp_path: Path) -> None:
    write_entry(tmp_path, entry())
    gate = Catalog(tmp_path / "models").load("hibari", "1.0.0").gate
    assert (gate.clipped_percent, gate.word_error_mean, gate.word_error_each) == (0.1, 0.15, 0.35)
    assert (gate.quality_min, gate.first_audio_seconds, gate.real_time_factor) == (2.9, 2.0, 1.0)
    assert gate.first_audio_ratio is None


def test_limits_of_an_entrys_own_are_read(tmp_path: Path) -> None:
    write_entry(tmp_path, entry(**limited(firstAudioRatio=1.8, qualityMin=3.1, wordErrorRate={"mean": 0.1})))
    gate = Catalog(tmp_path / "models").load("hibari", "1.0.0").gate
    assert (gate.first_audio_ratio, gate.quality_min) == (1.8, 3.1)
    assert (gate.word_error_mean, gate.word_error_each) == (0.1, 0.35)


def test_versions_are_ordered_by_precedence_and_examples_ignored(tmp_path: Path) -> None:
    for version in ("1.10.0", "1.2.0", "1.10.0-rc.1"):
        write_entry(tmp_path, entry(version))
    (tmp_path / "models" / "hibari" / "9.0.0.yaml.example").write_text("")
    (tmp_path / "models" / "planned").mkdir()
    (tmp_path / "models" / "planned" / "1.0.0.yaml.example").write_text("")
    catalog = Catalog(tmp_path / "models")
    assert catalog.versions("hibari") == ("1.2.0", "1.10.0-rc.1", "1.10.0")
    assert catalog.models() == ("hibari",)


@pytest.mark.parametrize(
    ("changes", "property_", "reason"),
    [
        ({"model": "other"}, "model", "the folder says hibari"),
        ({"engine": "../serving"}, "engine", "a-z"),
        ({"engine": "glm-tts"}, "engine", "no folder in serving/engines is called"),
        ({"settings": [1]}, "settings", "not a mapping"),
        ({"engine": None}, "engine", "is missing"),
        ({"license": ""}, "license", "is empty"),
        ({"sampleRate": 4000}, "sampleRate", "from 8000 to 192000"),
        ({"sampleRate": "24000"}, "sampleRate", "a whole number"),
        ({"sampleRate": float("nan")}, "sampleRate", "a whole number"),
        ({"languages": []}, "languages", "at least one item"),
        ({"languages": [1]}, "languages[0]", "not empty"),
        ({"artifacts": []}, "artifacts", "at least one item"),
        ({"artifacts": ["hibari.onnx"]}, "artifacts[0]", "not a mapping"),
        ({"artifacts": [ARTIFACT | {"sha256": "unknown"}]}, "artifacts[0].sha256", "no sha256"),
        ({"artifacts": [ARTIFACT | {"sha256": None}]}, "artifacts[0].sha256", "is missing"),
        ({"artifacts": [ARTIFACT | {"size": 0}]}, "artifacts[0].size", "from 1"),
        ({"artifacts": [ARTIFACT | {"path": "../x"}]}, "artifacts[0].path", "no plain path"),
        ({"artifacts": [ARTIFACT | {"path": "/x"}]}, "artifacts[0].path", "no plain path"),
        ({"artifacts": [ARTIFACT | {"path": "a b"}]}, "artifacts[0].path", "no plain path"),
        ({"artifacts": [ARTIFACT, ARTIFACT]}, "artifacts[1].path", "name each file once"),
        ({"artifacts": [ARTIFACT | {"source": "http://x/y"}]}, "artifacts[0].source", "no known source"),
        ({"load": {"budgetSeconds": 5, "memory": "1Gi"}}, "load.budgetSeconds", "from 10"),
        ({"load": {"budgetSeconds": 60, "memory": "lots"}}, "load.memory", "512Mi"),
        ({"checks": {"required": []}}, "checks.required", "at least one item"),
        ({"baseline": {"charactersPerSecond": 0}}, "baseline.charactersPerSecond", "from 0.1"),
        ({"gate": {"texts": []}}, "gate.texts", "at least one item"),
        (limited(clippedPercent=101), "limits.clippedPercent", "from 0 to 100"),
        (limited(wordErrorRate={"mean": 0.5, "each": 0.2}), "limits.wordErrorRate.mean", "above what each"),
        (limited(wordErrorRate={"median": 0.1}), "limits.wordErrorRate.median", "not a known key"),
        (limited(qualityMin=6), "limits.qualityMin", "from 1 to 5"),
        (limited(firstAudioSeconds=0), "limits.firstAudioSeconds", "from 0.001"),
        (limited(realTimeFactor=-1), "limits.realTimeFactor", "from 0.001"),
        (limited(firstAudioRatio=0.5), "limits.firstAudioRatio", "from 1 to 100"),
        ({"licence": "MIT"}, "licence", "did you mean"),
    ],
)
def test_a_wrong_property_is_refused_by_file_and_path(
    tmp_path: Path, changes: dict[str, Any], property_: str, reason: str
) -> None:
    write_entry(tmp_path, entry(**changes))
    [mistake] = mistakes_of(tmp_path)
    assert mistake.startswith(f"models/hibari/1.0.0.yaml: {property_} ")
    assert reason in mistake


def test_limits_that_cross_are_refused(tmp_path: Path) -> None:
    limits = {"charactersPerSecondTolerance": 0.35, "rmsDbfs": {"min": -10, "max": -30}}
    write_entry(tmp_path, entry(limits=limits))
    [mistake] = mistakes_of(tmp_path)
    assert "limits.rmsDbfs.min is -10, which is not below the maximum of -30" in mistake


def test_all_mistakes_of_an_entry_are_reported_at_once(tmp_path: Path) -> None:
    write_entry(tmp_path, entry(engine=None, sampleRate=1, extra=True))
    assert len(mistakes_of(tmp_path)) == 3


@pytest.mark.parametrize("written", ["2.0.0", "1.0.0+cpu"])
def test_the_version_inside_must_be_the_files(tmp_path: Path, written: str) -> None:
    write_entry(tmp_path, entry(written), name="1.0.0")
    [mistake] = mistakes_of(tmp_path)
    assert mistake.startswith("models/hibari/1.0.0.yaml: version is")


@pytest.mark.parametrize(("text", "reason"), [("a: [", "not readable YAML"), ("- a", "not a mapping")])
def test_a_file_that_is_no_entry_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    write_entry(tmp_path, entry()).write_text(text)
    [mistake] = mistakes_of(tmp_path)
    assert reason in mistake


def test_a_missing_entry_is_refused(tmp_path: Path) -> None:
    [mistake] = mistakes_of(tmp_path)
    assert mistake.startswith("models/hibari/1.0.0.yaml does not exist")


@pytest.mark.parametrize(("model", "version"), REAL)
def test_the_projects_own_entries_are_valid(model: str, version: str) -> None:
    assert Catalog(ROOT / "models").load(model, version).artifacts


@pytest.mark.parametrize(("model", "version"), REAL)
def test_the_engine_of_an_entry_is_here(model: str, version: str) -> None:
    folder = ROOT / "serving/engines" / Catalog(ROOT / "models").load(model, version).engine
    assert {path.name for path in folder.iterdir()} >= {"Dockerfile", "engine.py", "requirements.txt"}


def test_the_dev_stacks_model_is_in_the_catalog() -> None:
    assert ("hibari", "1.0.0") in REAL

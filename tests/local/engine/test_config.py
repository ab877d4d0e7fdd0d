"""The config file: read as Pulumi reads it; a release edits one line of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.engine.config import load, write_version
from local.engine.errors import ConfigError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: tts\nruntime: python\nconfig:\n  namespace: {type: string, default: speech}\n"
        "  replicas: {type: integer, default: 1}\n  host: {type: string}\n"
    )
    (tmp_path / "Pulumi.dev.yaml").write_text(
        "# The stack of one machine.\nconfig:\n  tts:model: hibari\n"
        "  tts:modelVersion: 1.0.0  # the version that is live\n"
        "  tts:short: 1.10\n  tts:replicas: 2\n  tts:createNamespace: true\n"
        "  tts:rollout: {steps: [10, 50.5]}\n  aws:region: eu-central-1\n"
    )
    return tmp_path


def test_values_reach_the_program_as_pulumi_gives_them(root: Path) -> None:
    config = load(root, "dev")
    assert config.project == "tts"
    assert config.get("namespace") == "speech"
    assert config.get("replicas") == "2"
    assert config.get("short") == "1.10"
    assert config.get("createNamespace") == "true"
    assert json.loads(config.get("rollout")) == {"steps": [10, 50.5]}
    assert config.values["aws:region"] == "eu-central-1"
    assert "tts:host" not in config.values


def test_overrides_win_with_and_without_the_prefix(root: Path) -> None:
    config = load(root, "dev", ["model=a", "tts:replicas=3", 'rollout={"steps": [1]}'])
    assert (config.get("model"), config.get("replicas"), config.get("rollout")) == (
        "a",
        "3",
        '{"steps": [1]}',
    )


def test_an_override_can_set_one_value_of_an_object(root: Path) -> None:
    config = load(
        root, "dev", ["rollout.holdSeconds=3", "tts:rollout.limits.errorPercent=1", "store.claim=kept"]
    )
    assert json.loads(config.get("rollout")) == {
        "steps": [10, 50.5],
        "holdSeconds": "3",
        "limits": {"errorPercent": "1"},
    }
    assert json.loads(config.get("store")) == {"claim": "kept"}


@pytest.mark.parametrize("wrong", ["model.name=x", "rollout.steps.first=1"])
def test_an_override_into_what_is_no_object_is_refused(root: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="holds no further keys"):
        load(root, "dev", [wrong])


@pytest.mark.parametrize("wrong", ["replicas", "=3"])
def test_an_override_without_a_value_is_refused(root: Path, wrong: str) -> None:
    with pytest.raises(ConfigError, match="expected key=value"):
        load(root, "dev", [wrong])


def test_an_unknown_stack_is_refused_with_the_known_ones(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"no stack prod: .* Known stacks: dev\."):
        load(root, "prod")


def test_a_secret_in_config_is_refused_with_advice(root: Path) -> None:
    (root / "Pulumi.dev.yaml").write_text("config:\n  tts:token:\n    secure: AAAB\n")
    with pytest.raises(ConfigError, match=r"tts:token is an encrypted value.*Kubernetes Secret"):
        load(root, "dev")


def test_broken_yaml_is_named(root: Path) -> None:
    (root / "Pulumi.dev.yaml").write_text("config: [")
    with pytest.raises(ConfigError, match=r"Pulumi\.dev\.yaml is not valid YAML"):
        load(root, "dev")


@pytest.mark.parametrize(
    ("line", "version", "edited"),
    [
        ("  tts:modelVersion: 1.0.0  # live", "1.1.0", "  tts:modelVersion: 1.1.0  # live"),
        ('  "tts:modelVersion": "1.0.0"', "1.1.0", '  "tts:modelVersion": "1.1.0"'),
        ("  tts:modelVersion: 1.0.0", "1.10", '  tts:modelVersion: "1.10"'),
    ],
)
def test_a_release_edits_one_line_alone(root: Path, line: str, version: str, edited: str) -> None:
    path = root / "Pulumi.dev.yaml"
    text = f"# Kept.\nconfig:\n  tts:model: hibari\n{line}\n  tts:other: 1.0.0\n"
    path.write_text(text)
    assert write_version(root, "dev", version) == "1.0.0"
    assert path.read_text() == text.replace(line, edited)
    assert load(root, "dev").get("modelVersion") == version


def test_a_version_that_the_catalog_lacks_is_refused_before_the_edit(root: Path) -> None:
    (root / "models" / "hibari").mkdir(parents=True)
    (root / "models" / "hibari" / "1.0.0.yaml").write_text("")
    before = (root / "Pulumi.dev.yaml").read_text()
    with pytest.raises(ConfigError, match=r"no version 9\.9\.9; it has 1\.0\.0\."):
        write_version(root, "dev", "9.9.9")
    assert (root / "Pulumi.dev.yaml").read_text() == before


def test_a_file_without_the_line_is_refused(root: Path) -> None:
    (root / "Pulumi.dev.yaml").write_text("config:\n  tts:model: x\n")
    with pytest.raises(ConfigError, match="has no line `tts:modelVersion"):
        write_version(root, "dev", "1.1.0")

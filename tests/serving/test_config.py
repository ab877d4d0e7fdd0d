"""The server's settings, and what is said about wrong ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.config import read_config
from serving.errors import ConfigError
from tests.serving.conftest import inference

STORE = {"prefix": "", "outputs": False}


def environ(folder: Path, content: str) -> dict[str, str]:
    (folder / "inference.json").write_text(content)
    return {"TTS_CONFIG": str(folder / "inference.json")}


def test_defaults(tmp_path: Path) -> None:
    config = read_config(environ(tmp_path, json.dumps(inference("1.1.0"))))
    assert (config.bind, config.port, config.model_dir) == ("0.0.0.0", 8080, Path("/model"))
    assert config.inference.version == "1.1.0"
    assert config.inference.artifacts[0].size == 32298286
    assert config.inference.settings == {}


def test_the_engine_is_told_what_the_entry_says(tmp_path: Path) -> None:
    said = {"device": "cpu", "steps": 6}
    assert (
        read_config(environ(tmp_path, json.dumps(inference("1.1.0", settings=said)))).inference.settings
        == said
    )


@pytest.mark.parametrize("port", ["0", "70000", "http", "-1"])
def test_a_port_that_is_none(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigError, match="from 1 to 65535"):
        read_config({**environ(tmp_path, json.dumps(inference("1.0.0"))), "TTS_PORT": port})


@pytest.mark.parametrize(
    "key", ["model", "version", "revision", "engine", "sampleRate", "artifacts", "slots"]
)
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    fields = inference("1.0.0")
    del fields[key]
    with pytest.raises(ConfigError, match=f"lacks the key '{key}'"):
        read_config(environ(tmp_path, json.dumps(fields)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slots": 0}, "at least 1"),
        ({"loadDelaySeconds": -1}, "0 or more"),
        ({"loadDelaySeconds": "nan"}, "0 or more"),
        ({"loadDelaySeconds": "inf"}, "0 or more"),
        ({"slots": "many"}, "cannot be used"),
        ({"artifacts": [{"path": "../x", "size": 1, "sha256": "0"}]}, "does not lie below"),
        ({"artifacts": 5}, "cannot be used"),
        ({"store": STORE | {"voices": {"perKey": 0}}}, r"store\.voices\.perKey is 0, and at least 1"),
        ({"store": STORE | {"records": {"days": 0}}}, r"store\.records\.days is 0, and at least 1"),
        ({"store": STORE | {"voices": {}}}, "lacks the key 'perKey'"),
    ],
)
def test_wrong_values(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_config(environ(tmp_path, json.dumps(inference("1.0.0", **changes))))


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config({"TTS_CONFIG": str(tmp_path / "none.json")})
    with pytest.raises(ConfigError, match="is not JSON"):
        read_config(environ(tmp_path, "{"))
    with pytest.raises(ConfigError, match="cannot be used"):
        read_config(environ(tmp_path, "[]"))

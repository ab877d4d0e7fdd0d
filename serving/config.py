"""The server's settings: the environment, and the inference config of the revision it serves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.artifacts import Artifact
from serving.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """What a revision serves; `sample_rate` in hertz, `slots` syntheses at the same time."""

    model: str
    version: str
    revision: str
    engine: str
    sample_rate: int
    languages: tuple[str, ...]
    license: str
    artifacts: tuple[Artifact, ...]
    slots: int


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the server listens, and what it serves."""

    bind: str
    port: int
    model_dir: Path
    inference: InferenceConfig


def read_config(environ: Mapping[str, str]) -> ServerConfig:
    """Reads TTS_CONFIG, TTS_MODEL_DIR, TTS_BIND and TTS_PORT. Raises ConfigError."""
    port = environ.get("TTS_PORT", "8080")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"TTS_PORT is {port!r}, which is not a port; give a number from 1 to 65535.")
    return ServerConfig(
        bind=environ.get("TTS_BIND", "0.0.0.0"),  # noqa: S104 - a server in a pod is reached from outside it
        port=int(port),
        model_dir=Path(environ.get("TTS_MODEL_DIR", "/model")),
        inference=_read_inference(Path(environ.get("TTS_CONFIG", "/etc/tts/inference.json"))),
    )


def _read_inference(path: Path) -> InferenceConfig:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The inference config {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"The inference config {path} is not JSON: {error}.") from error
    try:
        return parse_inference(fields)
    except KeyError as error:
        raise ConfigError(f"The inference config {path} lacks the key {error}.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"The inference config {path} cannot be used: {error}.") from error


def parse_inference(fields: Mapping[str, Any]) -> InferenceConfig:
    """The JSON object of an inference config as a value. Raises KeyError, TypeError or ValueError."""
    slots = int(fields["slots"])
    if slots < 1:
        raise ValueError(f"slots is {slots}, and at least 1 is needed")
    return InferenceConfig(
        model=str(fields["model"]),
        version=str(fields["version"]),
        revision=str(fields["revision"]),
        engine=str(fields["engine"]),
        sample_rate=int(fields["sampleRate"]),
        languages=tuple(str(language) for language in fields["languages"]),
        license=str(fields["license"]),
        artifacts=tuple(Artifact.parse(artifact) for artifact in fields["artifacts"]),
        slots=slots,
    )

"""The server's settings: the environment, and the inference config of the revision it serves."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from serving.artifacts import Artifact
from serving.errors import ConfigError
from serving.limits import Limits, limits_of
from serving.storage.config import FetchConfig, StoreConfig, parse_fetch, parse_store, place_of

VERSIONS_FILE = Path("/etc/tts-versions/versions.json")


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """What a revision serves; `sample_rate` in hertz, `slots` syntheses at the same time. The server is not
    ready before `load_delay` seconds: so a slow model is rehearsed. An answer that is not taken within
    `longest_answer` seconds is cut. `log_texts`: whether the log may hold what is spoken.
    `lexicon` says of words how they are spoken, in the alphabet of the engine. `settings` are the catalog
    entry's words to its engine, which knows what they mean."""

    model: str
    version: str
    revision: str
    engine: str
    sample_rate: int
    languages: tuple[str, ...]
    license: str
    artifacts: tuple[Artifact, ...]
    slots: int
    admission: Limits
    longest_answer: float = 300.0
    load_delay: float = 0.0
    log_texts: bool = False
    lexicon: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Where the server listens, and what it serves. Without `fetch` the model folder holds the model's files
    already; without `store` nothing is kept; without `keys_file` everybody is answered."""

    bind: str
    port: int
    model_dir: Path
    inference: InferenceConfig
    fetch: FetchConfig | None = None
    store: StoreConfig | None = None
    keys_file: Path | None = None
    versions_file: Path = VERSIONS_FILE


def read_config(environ: Mapping[str, str]) -> ServerConfig:
    """Reads TTS_CONFIG, TTS_MODEL_DIR, TTS_BIND, TTS_PORT, TTS_API_KEYS, TTS_VERSIONS and where storage
    is concerned TTS_CACHE_DIR, TTS_STORE_DIR, TTS_OBJECT_STORE_* and TTS_STORE_*. Raises ConfigError."""
    port = environ.get("TTS_PORT", "8080")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"TTS_PORT is {port!r}, which is not a port; give a number from 1 to 65535.")
    path = Path(environ.get("TTS_CONFIG", "/etc/tts/inference.json"))
    fields = _read_json(path)
    try:
        return ServerConfig(
            bind=environ.get("TTS_BIND", "0.0.0.0"),  # noqa: S104 - a server in a pod is reached from outside it
            port=int(port),
            model_dir=Path(environ.get("TTS_MODEL_DIR", "/model")),
            inference=parse_inference(fields),
            fetch=parse_fetch(fields.get("fetch"), environ),
            store=parse_store(fields.get("store"), environ),
            keys_file=Path(environ["TTS_API_KEYS"]) if environ.get("TTS_API_KEYS") else None,
            versions_file=Path(environ.get("TTS_VERSIONS") or VERSIONS_FILE),
        )
    except KeyError as error:
        raise ConfigError(f"The inference config {path} lacks the key {error}.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"The inference config {path} cannot be used: {error}.") from error


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The inference config {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"The inference config {path} is not JSON: {error}.") from error


def parse_inference(fields: Mapping[str, Any]) -> InferenceConfig:
    """The JSON object of an inference config as a value. Raises KeyError, TypeError or ValueError."""
    slots = int(fields["slots"])
    if slots < 1:
        raise ValueError(f"slots is {slots}, and at least 1 is needed")
    delay = float(fields.get("loadDelaySeconds", 0))
    if not 0 <= delay < inf:
        raise ValueError(f"loadDelaySeconds is {delay}, and 0 or more is needed")
    longest = float(fields.get("longestAnswerSeconds", InferenceConfig.longest_answer))
    if not 0 < longest < inf:
        raise ValueError(f"longestAnswerSeconds is {longest}, and more than 0 is needed")
    return InferenceConfig(
        model=str(fields["model"]),
        version=str(fields["version"]),
        revision=str(fields["revision"]),
        engine=str(fields["engine"]),
        sample_rate=int(fields["sampleRate"]),
        languages=tuple(str(language) for language in fields["languages"]),
        license=str(fields["license"]),
        artifacts=tuple(_artifact(item, fetched="fetch" in fields) for item in fields["artifacts"]),
        slots=slots,
        admission=limits_of(slots, fields.get("admission")),
        longest_answer=longest,
        load_delay=delay,
        log_texts=bool(fields.get("logTexts", False)),
        lexicon={str(word): str(spoken) for word, spoken in fields.get("lexicon", {}).items()},
        settings=dict(fields.get("settings", {})),
    )


def _artifact(fields: Mapping[str, Any], *, fetched: bool) -> Artifact:
    artifact = Artifact.parse(fields)
    bucket, key = place_of(artifact.source)
    if fetched and not (artifact.source.startswith("s3://") and bucket and key):
        raise ValueError(
            f"the source {artifact.source!r} of {artifact.path} is not of the form s3://bucket/key"
        )
    if not re.fullmatch(r"[0-9a-f]{64}", artifact.sha256):
        raise ValueError(f"the sha256 of {artifact.path} is not 64 hexadecimal digits")
    return artifact

"""The catalog: models/<model>/<version>.yaml -> ModelVersion, one reviewed file per model version."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import semver
import yaml

from components.errors import CatalogError
from components.gate import Gate, read_exchange_gate, read_gate
from components.quantity import memory_bytes
from components.reader import Reader

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENGINE = re.compile(r"[a-z][a-z0-9_]*")
_SOURCES = (
    re.compile(r"pypi:[A-Za-z0-9._-]+==[^#\s]+#[^#\s]+"),
    re.compile(r"derived:[^#\s]+\.py#\S+"),
    re.compile(r"s3://[^/\s]+/\S+"),
    re.compile(r"file:[^/\s]\S*"),
)


@dataclass(frozen=True)
class Artifact:
    """One file of a model: `path` below /model, where it comes from, its size in bytes, its sha256 in hex."""

    path: str
    source: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelVersion:
    """One catalog entry. `sample_rate` in hertz, 0 for a model that does not speak; `load_budget_seconds`
    from container start to ready; `server`: the Dockerfile of a server of its own, empty for the speech
    server with its engine."""

    model: str
    version: str
    engine: str
    license: str
    description: str
    sample_rate: int
    languages: tuple[str, ...]
    artifacts: tuple[Artifact, ...]
    load_budget_seconds: int
    load_memory: str
    settings: dict[str, Any]
    """What the entry says to its engine, which knows what it means; empty where it says nothing."""
    gate: Gate
    server: str
    document: dict[str, Any]
    """The whole entry as read: what the revision's hash covers."""

    @property
    def server_dockerfile(self) -> str:
        """The Dockerfile of its server's image, relative to the checkout."""
        return self.server or f"serving/engines/{self.engine}/Dockerfile"

    @property
    def size(self) -> int:
        """Bytes of all artifacts together."""
        return sum(artifact.size for artifact in self.artifacts)


class Catalog:
    """The entries below `root` (the folder models/)."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def models(self) -> tuple[str, ...]:
        """The models with at least one version."""
        return tuple(sorted({path.parent.name for path in self._root.glob("*/*.yaml")}))

    def versions(self, model: str) -> tuple[str, ...]:
        """The versions of `model`, oldest first; files whose names are no version come first."""
        stems = [path.stem for path in self._root.glob("*/*.yaml") if path.parent.name == model]
        return tuple(sorted(stems, key=_precedence))

    def readable(self, model: str) -> tuple[ModelVersion, ...]:
        """All entries of `model` without mistakes: whoever serves one of the others is told."""
        entries = []
        for version in self.versions(model):
            with suppress(CatalogError):
                entries.append(self.load(model, version))
        return tuple(entries)

    def load(self, model: str, version: str) -> ModelVersion:
        """The entry of `model` at `version`.

        Raises CatalogError with every mistake of the entry, each with its file and property."""
        path = self._root / model / f"{version}.yaml"
        shown = f"{self._root.name}/{model}/{path.name}"
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CatalogError([f"{shown} does not exist: add the entry or name another version."]) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CatalogError([f"{shown} is not readable YAML: {' '.join(str(error).split())}."]) from None
        if not isinstance(document, dict):
            raise CatalogError([f"{shown} is not a mapping of keys to values."])
        return _read_entry(document, shown, model=model, version=version)


def version_mistake(version: str) -> str | None:
    """Why `version` cannot be released, or None: a semantic version without build metadata, in lower case."""
    if version == "latest":
        return "which says when it was built, not what it is: name one version, such as 1.0.0."
    if "+" in version:
        return "but build metadata (+) cannot be part of an image tag: publish it as a version of its own."
    if not semver.Version.is_valid(version):
        return "which is not a semantic version: write it as MAJOR.MINOR.PATCH, such as 1.0.0."
    if version != version.lower():
        return "but names in Kubernetes are lower case: write the version in lower case."
    return None


def _precedence(version: str) -> tuple[int, semver.Version | str]:
    if semver.Version.is_valid(version):
        return (1, semver.Version.parse(version))
    return (0, version)


def _read_entry(document: dict[str, Any], shown: str, *, model: str, version: str) -> ModelVersion:
    mistakes: list[str] = []
    reader = Reader(document, prefix=f"{shown}: ", mistakes=mistakes, lenient=False)
    speaks = "exchange" not in document
    entry = ModelVersion(
        model=reader.text("model", check=_same_as(model, "folder")),
        version=reader.text("version", check=lambda v: version_mistake(v) or _same_as(version, "file")(v)),
        engine=reader.text("engine", check=_engine),
        license=reader.text("license"),
        description=reader.text("description"),
        sample_rate=reader.whole("sampleRate", low=8000, high=192000) if speaks else 0,
        languages=reader.texts("languages") if speaks else (),
        artifacts=_read_artifacts(reader),
        **_read_load(reader),
        settings=reader.document("settings", optional=True),
        gate=read_gate(reader) if speaks else read_exchange_gate(reader),
        server=reader.text("server", default="", check=_relative),
        document=document,
    )
    reader.finish()
    if mistakes:
        raise CatalogError(mistakes)
    return entry


def _read_load(reader: Reader) -> dict[str, Any]:
    load = reader.section("load", optional=False)
    budget = load.whole("budgetSeconds", low=10, high=3600)
    memory = load.text("memory", check=memory_mistake)
    load.finish()
    return {"load_budget_seconds": budget, "load_memory": memory}


def _read_artifacts(reader: Reader) -> tuple[Artifact, ...]:
    artifacts: list[Artifact] = []
    for item in reader.sections("artifacts"):
        path = item.text("path", check=_relative)
        if path in [artifact.path for artifact in artifacts]:
            item.refuse("path", f'is "{path}", which an earlier artifact already has: name each file once.')
        source = item.text("source", check=_source)
        size = item.whole("size", low=1, high=10**12)
        sha256 = item.text("sha256", check=_sha256)
        item.finish()
        artifacts.append(Artifact(path=path, source=source, size=size, sha256=sha256))
    return tuple(artifacts)


def memory_mistake(value: str) -> str | None:
    """Why `value` is no amount of memory, or None."""
    return None if memory_bytes(value) else "which is no amount of memory: write it as 512Mi or 4Gi."


def _same_as(expected: str, what: str) -> Any:
    def check(value: str) -> str | None:
        return None if value == expected else f"but the {what} says {expected}: make both the same."

    return check


def _engine(value: str) -> str | None:
    if _ENGINE.fullmatch(value):
        return None
    return "which no folder in serving/engines is called: it may hold only a-z, 0-9 and _."


def _relative(value: str) -> str | None:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or any(sign in value for sign in ' "\\\t\n'):
        return "which is no plain path below the model's folder: write it without a leading /, .. or spaces."
    return None


def _source(value: str) -> str | None:
    if any(pattern.fullmatch(value) for pattern in _SOURCES):
        return None
    return (
        "which is no known source: write pypi:<dist>==<version>#<path>, derived:<script>#<source>, "
        "s3://<bucket>/<key> or file:<path>."
    )


def _sha256(value: str) -> str | None:
    return (
        None
        if _SHA256.fullmatch(value)
        else "which is no sha256: write its 64 hexadecimal digits in lower case."
    )

"""The catalog: models/<model>/<version>.yaml -> ModelVersion, one reviewed file per model version."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import semver
import yaml

from components.errors import CatalogError
from components.quantity import memory_bytes
from components.reader import Reader

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
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
class Gate:
    """What the release listens for. Rates in characters per second, levels in dBFS (RMS), clipped samples in
    percent, quality as DNSMOS; `first_audio_seconds` and `real_time_factor` limit medians, and
    `first_audio_ratio`, None for the stack's, the median to the live revision's."""

    texts: tuple[str, ...]
    required: tuple[str, ...]
    baseline_characters_per_second: float
    characters_per_second_tolerance: float
    rms_dbfs_min: float
    rms_dbfs_max: float
    clipped_percent: float
    word_error_mean: float
    word_error_each: float
    quality_min: float
    first_audio_seconds: float
    real_time_factor: float
    first_audio_ratio: float | None


@dataclass(frozen=True)
class ModelVersion:
    """One catalog entry. `sample_rate` in hertz, `load_budget_seconds` from container start to ready."""

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
    gate: Gate
    document: dict[str, Any]
    """The whole entry as read: what the revision's hash covers."""

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
    entry = ModelVersion(
        model=reader.text("model", check=_same_as(model, "folder")),
        version=reader.text("version", check=lambda v: version_mistake(v) or _same_as(version, "file")(v)),
        engine=reader.text("engine", check=_label),
        license=reader.text("license"),
        description=reader.text("description"),
        sample_rate=reader.whole("sampleRate", low=8000, high=192000),
        languages=reader.texts("languages"),
        artifacts=_read_artifacts(reader),
        **_read_load(reader),
        gate=_read_gate(reader),
        document=document,
    )
    reader.finish()
    if mistakes:
        raise CatalogError(mistakes)
    return entry


def _read_load(reader: Reader) -> dict[str, Any]:
    load = reader.section("load", optional=False)
    budget = load.whole("budgetSeconds", low=60, high=3600)
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


def _read_gate(reader: Reader) -> Gate:
    checks = reader.section("checks", optional=False)
    required = checks.texts("required")
    checks.finish()
    baseline = reader.section("baseline", optional=False)
    rate = baseline.number("charactersPerSecond", low=0.1, high=1000)
    baseline.finish()
    limits = _read_limits(reader.section("limits", optional=False))
    gate = reader.section("gate", optional=False)
    texts = gate.texts("texts")
    gate.finish()
    return Gate(texts=texts, required=required, baseline_characters_per_second=rate, **limits)


def _read_limits(limits: Reader) -> dict[str, Any]:
    tolerance = limits.number("charactersPerSecondTolerance", low=0.01, high=0.99)
    rms = limits.section("rmsDbfs", optional=False)
    low, high = rms.number("min", low=-120, high=0), rms.number("max", low=-120, high=0)
    if low >= high:
        rms.refuse("min", f"is {low:g}, which is not below the maximum of {high:g}: swap or widen them.")
    rms.finish()
    words = limits.section("wordErrorRate", optional=True)
    mean = words.number("mean", low=0, high=1, default=0.15)
    each = words.number("each", low=0, high=1, default=0.35)
    if mean > each:
        words.refuse("mean", f"is {mean:g}, which is above what each text may have ({each:g}): swap them.")
    words.finish()
    read = {
        "characters_per_second_tolerance": tolerance,
        "rms_dbfs_min": low,
        "rms_dbfs_max": high,
        "clipped_percent": limits.number("clippedPercent", low=0, high=100, default=0.1),
        "word_error_mean": mean,
        "word_error_each": each,
        "quality_min": limits.number("qualityMin", low=1, high=5, default=2.9),
        "first_audio_seconds": limits.number("firstAudioSeconds", low=0.001, high=600, default=2.0),
        "real_time_factor": limits.number("realTimeFactor", low=0.001, high=100, default=1.0),
        "first_audio_ratio": limits.limit("firstAudioRatio", low=1, high=100),
    }
    limits.finish()
    return read


def memory_mistake(value: str) -> str | None:
    """Why `value` is no amount of memory, or None."""
    return None if memory_bytes(value) else "which is no amount of memory: write it as 512Mi or 4Gi."


def _same_as(expected: str, what: str) -> Any:
    def check(value: str) -> str | None:
        return None if value == expected else f"but the {what} says {expected}: make both the same."

    return check


def _label(value: str) -> str | None:
    return None if _LABEL.fullmatch(value) else "but it may hold only a-z, 0-9 and - between them."


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

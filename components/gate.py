"""What a release asks of a version before it has traffic: the part of a catalog entry about its gate."""

import json
import re
from dataclasses import dataclass
from typing import Any

from components.reader import Reader

TEXT = "{text}"
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True)
class Exchange:
    """How a model is asked that does not speak: by a POST of JSON to `path`, in which `{text}` stands for
    each of the gate's texts. `answers`: text -> the regular expression that its answer must hold."""

    path: str
    body: dict[str, Any]
    answers: dict[str, str]


@dataclass(frozen=True)
class Gate:
    """What the release listens for. Rates in characters per second, levels in dBFS (RMS), clipped samples in
    percent, quality as DNSMOS; `first_audio_seconds` and `real_time_factor` limit medians, and
    `first_audio_ratio`, None for the stack's, the median to the live revision's. With `exchange` the model
    does not speak: what is about audio says nothing, and the first audio is an answer's first byte."""

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
    exchange: Exchange | None = None


def read_exchange_gate(reader: Reader) -> Gate:
    """The gate of an entry whose model does not speak: nothing in it is about audio."""
    checks = reader.section("checks", optional=False)
    required = checks.texts("required")
    checks.finish()
    limits = reader.section("limits", optional=True)
    seconds = limits.number("firstAudioSeconds", low=0.001, high=600, default=2.0)
    ratio = limits.limit("firstAudioRatio", low=1, high=100)
    limits.finish()
    section = reader.section("exchange", optional=False)
    path = section.text("path", check=_path)
    body = section.document("body")
    if body and TEXT not in json.dumps(body):
        section.refuse(
            "body", f"has no {TEXT} in it, so that every request would be the same: write where it is."
        )
    section.finish()
    gate = reader.section("gate", optional=False)
    texts, patterns = gate.texts("texts"), gate.texts("answers", check=_pattern)
    if len(texts) != len(patterns):
        gate.refuse("answers", f"has {len(patterns)} items for {len(texts)} texts: write one for each.")
    gate.finish()
    return Gate(
        texts=texts,
        required=required,
        baseline_characters_per_second=0,
        characters_per_second_tolerance=0,
        rms_dbfs_min=0,
        rms_dbfs_max=0,
        clipped_percent=0,
        word_error_mean=0,
        word_error_each=0,
        quality_min=0,
        first_audio_seconds=seconds,
        real_time_factor=0,
        first_audio_ratio=ratio,
        exchange=Exchange(path, body, dict(zip(texts, patterns, strict=False))),
    )


def _path(value: str) -> str | None:
    return (
        None if _PATH.fullmatch(value) else "which is no path of a server: write one such as /v1/completions."
    )


def _pattern(value: str) -> str | None:
    try:
        re.compile(value)
    except re.error as error:
        return f"which is no regular expression ({error}): correct it."
    return None


def read_gate(reader: Reader) -> Gate:
    """The gate of an entry whose model speaks."""
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

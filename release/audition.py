"""`python -m release hear PLAN ADDRESS OUT`: the gate of one server that is in no cluster, for registration.

It speaks the plan's texts, is listened to as a release will listen, and what came is kept: OUT/<number>.wav
and OUT/heard.json. Its pace is judged by itself: what it speaks by the median is what the entry will say.
"""

from __future__ import annotations

import json
import statistics
import sys
import wave
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .answer import Sample
from .checks import judge_pod, judge_text, unjudged
from .cluster import Ears, Pod
from .errors import AudioError, PlanError, ReleaseError
from .findings import Finding, Verdict
from .gate import reasons
from .plan import Gate, Range, Target, parse
from .table import table
from .wav import Audio

PASSED, REFUSED, UNREADABLE = 0, 42, 2


@dataclass(frozen=True)
class Heard:
    """All that one server spoke and how it was judged; `pace` in characters a second, None for no audio."""

    samples: tuple[Sample, ...]
    findings: tuple[Finding, ...]
    pace: float | None

    @property
    def failed(self) -> list[Finding]:
        """Those findings that are no pass."""
        return [finding for finding in self.findings if finding.verdict is not Verdict.PASS]


def main(plan: Path, address: str, out: Path) -> int:
    """0 when it may be released, 42 with the reasons on stderr when not, 2 where nothing could be asked."""
    from .ears import ListeningEars
    from .probe import HttpProber

    try:
        read = parse(plan.read_text(encoding="utf-8"))
        host, _, port = address.rpartition(":")
        pod = Pod(name="server", address=host, ready=True, port=int(port))
    except (OSError, ValueError, PlanError) as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    prober = HttpProber(read)
    try:
        version = prober.pod_version(pod)
        spoken = [Sample(text, prober.pod_speech(pod, text), version) for text in read.target.gate.texts]
    finally:
        prober.close()
    try:
        heard = hear(spoken, read.target, ListeningEars())
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    out.mkdir(parents=True, exist_ok=True)
    (out / "heard.json").write_text(
        json.dumps(document(heard, read.target.gate, _keep(heard, out)), indent=1)
    )
    for sentence in reasons(heard.failed):
        print(sentence, file=sys.stderr)
    return REFUSED if heard.failed else PASSED


def hear(samples: Sequence[Sample], target: Target, ears: Ears) -> Heard:
    """Judges what was spoken by the target's required checks, its pace by its own median."""
    pace = measured_pace(samples)
    judged = replace(target, gate=with_pace(target.gate, pace)) if pace else target
    names = judged.gate.required
    found = [
        finding
        for number, sample in enumerate(samples, start=1)
        for finding in judge_text(sample, judged, ears, names=names, subject=f"text {number}")
    ]
    found += judge_pod(samples, found, judged.gate, names=names, subject="all texts")
    return Heard(tuple(samples), tuple(found), pace)


def measured_pace(samples: Sequence[Sample]) -> float | None:
    """Characters a second, the median of all texts; None where one brought no audio."""
    try:
        return statistics.median(len(each.text.strip()) / each.audio.seconds for each in samples)
    except (AudioError, ZeroDivisionError):
        return None


def with_pace(gate: Gate, pace: float) -> Gate:
    """The gate with limits as far from `pace` as its own are from their middle."""
    limits = gate.characters_per_second
    tolerance = (limits.max - limits.min) / (limits.max + limits.min)
    around = Range(min=round(pace * (1 - tolerance), 2), max=round(pace * (1 + tolerance), 2))
    return replace(gate, characters_per_second=around)


def document(heard: Heard, gate: Gate, files: Sequence[str]) -> dict[str, object]:
    """heard.json; `files` are the samples' names, empty for what was no audio."""
    values = {each.name: each.values.get("value") for each in heard.findings if each.subject == "all texts"}
    return {
        "passed": not heard.failed,
        "charactersPerSecond": None if heard.pace is None else round(heard.pace, 1),
        "firstAudioSeconds": values.get("firstAudio"),
        "realTimeFactor": values.get("realTimeFactor"),
        "samples": [
            {"text": each.text, "file": file} for each, file in zip(heard.samples, files, strict=True)
        ],
        "table": table(heard.findings),
        "unjudged": unjudged(gate),
        "findings": [each.document() for each in heard.findings],
    }


def _keep(heard: Heard, out: Path) -> list[str]:
    """Writes what came as audio. A streamed file's header says no length, so it is written anew."""
    names = []
    for number, sample in enumerate(heard.samples, start=1):
        try:
            audio = sample.audio
        except AudioError:
            names.append("")
            continue
        names.append(f"{number}.wav")
        _write(out / names[-1], audio)
    return names


def _write(path: Path, audio: Audio) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes((audio.samples * 32768).clip(-32768, 32767).astype(np.dtype("<i2")).tobytes())

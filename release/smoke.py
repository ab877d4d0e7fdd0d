"""The judges of the gate: what one synthesis of one candidate pod showed, and whether it may pass.

A value that is missing, empty or NaN is never a pass, and neither is a required check that nobody judges.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import wav
from .errors import AudioError
from .plan import Plan


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `error` is set, and `status` 0, when none came. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Check:
    """One judged value. `sentence` says what was found and what was wanted."""

    name: str
    passed: bool
    value: float | str | None
    limit: str
    sentence: str


@dataclass(frozen=True)
class Sample:
    """A synthesis of `text` and the same pod's answer to GET /version."""

    text: str
    speech: Answer
    version: Answer

    def audio(self) -> wav.Audio:
        """The decoded speech. Raises AudioError."""
        if self.speech.error:
            raise AudioError(f"No answer came: {self.speech.error}.")
        if self.speech.status != 200:
            raise AudioError(f"The answer was {self.speech.status}: {excerpt(self.speech.body)}")
        return wav.decode(self.speech.body)

    def about(self) -> dict[str, Any]:
        """The body of GET /version; empty when it is not an object or did not come."""
        return json_object(self.version)


def json_object(answer: Answer) -> dict[str, Any]:
    """The JSON object of a 200, else an empty one."""
    if answer.status != 200:
        return {}
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def excerpt(body: bytes) -> str:
    """The start of a body, fit for a message."""
    return " ".join(body[:200].decode("utf-8", "replace").split()) or "(empty)"


def rms_dbfs(audio: wav.Audio) -> float:
    """The level over the whole audio, in dB relative to full scale; minus infinity for silence."""
    power = float(np.mean(np.square(audio.samples, dtype=np.float64)))
    return 10 * math.log10(power) if power > 0 else -math.inf


def _decodable(sample: Sample, _: Plan) -> Check:
    audio = sample.audio()
    return Check("decodable", True, round(audio.seconds, 3), "> 0 s", f"{audio.seconds:.2f} s of audio came.")


def _sample_rate(sample: Sample, plan: Plan) -> Check:
    audio, declared, wanted = sample.audio(), sample.about().get("sampleRate"), plan.gate.sample_rate
    passed = audio.rate == wanted and declared == wanted
    sentence = f"The audio has {audio.rate} Hz and the server declares {declared}; the plan says {wanted} Hz."
    return Check("sampleRate", passed, audio.rate, f"{wanted} Hz", sentence)


def _duration(sample: Sample, plan: Plan) -> Check:
    audio, limits = sample.audio(), plan.gate.characters_per_second
    speed = len(sample.text.strip()) / audio.seconds
    sentence = (
        f"{speed:.1f} characters a second ({audio.seconds:.2f} s for {len(sample.text.strip())}); "
        f"{limits.min:g} to {limits.max:g} are plausible."
    )
    return Check(
        "duration", limits.holds(speed), round(speed, 2), f"{limits.min:g}..{limits.max:g} 1/s", sentence
    )


def _level(sample: Sample, plan: Plan) -> Check:
    level, limits = rms_dbfs(sample.audio()), plan.gate.rms_dbfs
    sentence = f"The level is {level:.1f} dBFS; {limits.min:g} to {limits.max:g} are allowed."
    value = round(level, 1) if math.isfinite(level) else None
    return Check("level", limits.holds(level), value, f"{limits.min:g}..{limits.max:g} dBFS", sentence)


def _identity(sample: Sample, plan: Plan) -> Check:
    wanted = (plan.target.version, plan.target.revision)
    about = sample.about()
    found = {
        "the speech's headers": _identity_of(sample.speech),
        "the headers of /version": _identity_of(sample.version),
        "/version": (about.get("version"), about.get("revision")),
    }
    wrong = [f"{where} say {version} of {revision}" for where, (version, revision) in found.items()
             if (version, revision) != wanted]  # fmt: skip
    limit = f"{wanted[0]} of {wanted[1]}"
    sentence = f"The pod should be {limit}, but {' and '.join(wrong)}." if wrong else f"The pod is {limit}."
    return Check("identity", not wrong, str(about.get("revision")), limit, sentence)


def _identity_of(answer: Answer) -> tuple[str | None, str | None]:
    return answer.headers.get("x-tts-version"), answer.headers.get("x-tts-revision")


JUDGES: Mapping[str, Callable[[Sample, Plan], Check]] = {
    "decodable": _decodable,
    "sampleRate": _sample_rate,
    "duration": _duration,
    "level": _level,
    "identity": _identity,
}


def judge(sample: Sample, plan: Plan) -> tuple[Check, ...]:
    """One check for each that the plan requires."""
    return tuple(_judge_one(name, sample, plan) for name in plan.gate.required)


def _judge_one(name: str, sample: Sample, plan: Plan) -> Check:
    judge_of = JUDGES.get(name)
    if judge_of is None:
        known = ", ".join(JUDGES)
        return Check(
            name, False, None, "a judge", f"The check {name} is required, but has no judge here: {known}."
        )
    try:
        return judge_of(sample, plan)
    except AudioError as error:
        return Check(name, False, None, "decodable audio", str(error))

"""The checks of the gate: what one synthesis of one candidate pod showed, and whether it may pass.

A value that is missing, empty or NaN is never a pass, and neither is a required check that nobody judges.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .answer import Answer, Sample, excerpt
from .cluster import Ears
from .errors import AudioError
from .findings import Finding, Verdict, find
from .listening.sound import clipped_percent, rms_dbfs
from .plan import Gate, Target

SMOKE = ("decodable", "sampleRate", "duration", "level", "clipping", "identity", "answer")
"""What can be judged without listening, and without a revision to compare with."""

Judge = Callable[[Sample, Target, Ears], "Judged"]


class Judged:
    """One judged value, not yet said of whom. `value` None stands for nothing that could be measured."""

    def __init__(self, rule: str, value: Any, limits: Mapping[str, Any], sentence: str) -> None:
        self.rule = rule
        self.value = value
        self.limits = limits
        self.sentence = sentence


def _decodable(sample: Sample, _: Target, __: Ears) -> Judged:
    return Judged("exact", True, {"wanted": True}, f"{sample.audio.seconds:.2f} s of audio came.")


def _sample_rate(sample: Sample, target: Target, _: Ears) -> Judged:
    audio, declared, wanted = sample.audio, sample.about.get("sampleRate"), target.gate.sample_rate
    sentence = f"The audio has {audio.rate} Hz and the server declares {declared}; the plan says {wanted} Hz."
    return Judged("exact", [audio.rate, declared], {"wanted": [wanted, wanted]}, sentence)


def _duration(sample: Sample, target: Target, _: Ears) -> Judged:
    limits = target.gate.characters_per_second
    characters, seconds = len(sample.text.strip()), sample.audio.seconds
    speed = characters / seconds
    sentence = (
        f"{speed:.1f} characters a second ({seconds:.2f} s for {characters}); "
        f"{limits.min:g} to {limits.max:g} are plausible."
    )
    return Judged("range", round(speed, 2), {"min": limits.min, "max": limits.max}, sentence)


def _level(sample: Sample, target: Target, _: Ears) -> Judged:
    level, limits = rms_dbfs(sample.audio), target.gate.rms_dbfs
    sentence = f"The level is {level:.1f} dBFS; {limits.min:g} to {limits.max:g} are allowed."
    value = round(level, 1) if math.isfinite(level) else None
    return Judged("range", value, {"min": limits.min, "max": limits.max}, sentence)


def _clipping(sample: Sample, target: Target, _: Ears) -> Judged:
    clipped, limit = clipped_percent(sample.audio), target.gate.clipped_percent
    sentence = f"{clipped:.2f} % of the samples are clipped; at most {limit:g} % are allowed."
    return Judged("range", round(clipped, 3), {"max": limit}, sentence)


def _identity(sample: Sample, target: Target, _: Ears) -> Judged:
    wanted = (target.version, target.revision)
    about = sample.about
    found = {
        "the speech's headers": (sample.speech.version, sample.speech.revision),
        "the headers of /version": (sample.version.version, sample.version.revision),
        "/version": (about.get("version"), about.get("revision")),
    }
    wrong = [f"{where} say {version or 'nothing'} of {revision or 'nothing'}"
             for where, (version, revision) in found.items() if (version, revision) != wanted]  # fmt: skip
    limit = f"{wanted[0]} of {wanted[1]}"
    sentence = f"The pod should be {limit}, but {' and '.join(wrong)}." if wrong else f"The pod is {limit}."
    return Judged("exact", not wrong, {"wanted": True}, sentence)


def _intelligibility(sample: Sample, target: Target, ears: Ears) -> Judged:
    heard, limit = ears.transcript(target, sample.audio), target.gate.word_error_each
    if heard is None:
        languages = ", ".join(target.gate.languages)
        return Judged(
            "unjudged", None, {"required": True}, f"There is no recogniser for the language {languages}."
        )
    rate = ears.word_error_rate(sample.text, heard)
    sentence = f"{rate:.0%} of the words are wrong, at most {limit:.0%} may be: it was heard as {heard!r}."
    return Judged("range", round(rate, 3) if math.isfinite(rate) else None, {"max": limit}, sentence)


def _quality(sample: Sample, target: Target, ears: Ears) -> Judged:
    score, limit = ears.quality(sample.audio), target.gate.quality_min
    sentence = f"The predicted quality (DNSMOS, 1 to 5) is {score:.2f}; at least {limit:g} is wanted."
    return Judged("range", round(score, 3) if math.isfinite(score) else None, {"min": limit}, sentence)


def _answer(sample: Sample, target: Target, _: Ears) -> Judged:
    exchange = target.gate.exchange
    pattern = exchange.answers.get(sample.text) if exchange else None
    if pattern is None:
        return Judged(
            "unjudged", None, {"required": True}, "The plan does not say what the answer must hold."
        )
    said = sample.said
    holds = re.search(pattern, said) is not None
    sentence = f"The answer {'holds' if holds else 'does not hold'} {pattern!r}: {excerpt(said.encode())}"
    return Judged("exact", holds, {"wanted": True}, sentence)


PER_TEXT: Mapping[str, Judge] = {
    "decodable": _decodable,
    "sampleRate": _sample_rate,
    "duration": _duration,
    "level": _level,
    "clipping": _clipping,
    "identity": _identity,
    "intelligibility": _intelligibility,
    "quality": _quality,
    "answer": _answer,
}
OF_EXCHANGES = ("answer", "identity", "firstAudio")
"""What can be judged of a model that does not speak."""
PER_POD = ("intelligibility", "firstAudio", "realTimeFactor")
"""Judged over all texts of a pod (intelligibility also for each text)."""
KNOWN = tuple(dict.fromkeys([*PER_TEXT, *PER_POD]))


def unjudged(gate: Gate) -> list[str]:
    """The checks that could be judged of such a model and are not required."""
    possible = OF_EXCHANGES if gate.exchange else [name for name in KNOWN if name != "answer"]
    return [name for name in possible if name not in gate.required]


def judge_text(
    sample: Sample, target: Target, ears: Ears, *, names: Sequence[str], subject: str
) -> list[Finding]:
    """A finding for each of `names` that is judged text by text."""
    return [
        _judge_one(name, sample, target, ears, subject=subject)
        for name in names
        if name in PER_TEXT or name not in KNOWN
    ]


def _judge_one(name: str, sample: Sample, target: Target, ears: Ears, *, subject: str) -> Finding:
    judge = PER_TEXT.get(name)
    try:
        judged = judge(sample, target, ears) if judge else _without_judge(name)
    except AudioError as error:
        judged = Judged("exact", False, {"wanted": True}, str(error))
    values = {"value": judged.value, "text": sample.text}
    return find(name, subject, judged.rule, values=values, limits=judged.limits, sentence=judged.sentence)


def _without_judge(name: str) -> Judged:
    known = ", ".join(KNOWN)
    sentence = f"The check {name} is required, but has no judge here: {known}."
    return Judged("unjudged", None, {"required": True}, sentence)


def judge_pod(
    samples: Sequence[Sample], texts: Sequence[Finding], gate: Gate, *, names: Sequence[str], subject: str
) -> list[Finding]:
    """The findings over all texts that one pod spoke; `texts` are those of each text."""
    found = []
    if "intelligibility" in names:
        found.append(_mean_word_error(texts, gate, subject))
    if "firstAudio" in names:
        said = "The first audio came after {:.3f} s (median); at most {:g} s are allowed."
        waited = [sample.speech.first_audio for sample in samples]
        found.append(_median("firstAudio", waited, gate.first_audio_seconds, subject, said))
    if "realTimeFactor" in names:
        said = "A second of speech took {:.3f} s to make (median); at most {:g} are allowed."
        factors = [_factor(sample) for sample in samples]
        found.append(_median("realTimeFactor", factors, gate.real_time_factor, subject, said))
    return found


def _mean_word_error(texts: Sequence[Finding], gate: Gate, subject: str) -> Finding:
    rates = [
        each.values["value"] for each in texts if each.name == "intelligibility" and each.rule == "range"
    ]
    mean = None if not rates or None in rates else round(statistics.fmean(rates), 3)
    shown = "unknown" if mean is None else f"{mean:.0%}"
    return find(
        "intelligibility",
        subject,
        "range",
        values={"value": mean, "texts": len(rates)},
        limits={"max": gate.word_error_mean},
        sentence=f"Over all texts {shown} of the words are wrong; at most {gate.word_error_mean:.0%} may be.",
    )


def _factor(sample: Sample) -> float | None:
    """Seconds of work for a second of audio."""
    try:
        return sample.speech.seconds / sample.audio.seconds
    except AudioError:
        return None


def _median(
    name: str, measured: Sequence[float | None], limit: float, subject: str, sentence: str
) -> Finding:
    whole = [value for value in measured if value is not None]
    value = round(statistics.median(whole), 4) if whole and len(whole) == len(measured) else None
    said = sentence.format(math.nan if value is None else value, limit)
    return find(name, subject, "range", values={"value": value}, limits={"max": limit}, sentence=said)


def speaks_well(answer: Answer, text: str, target: Target, ears: Ears | None) -> str:
    """What is wrong with speech that came through the route; empty when nothing is. Without ears only what
    is cheap to judge."""
    sample = Sample(text=text, speech=answer, version=answer)
    names = ["decodable", "duration", "level", "clipping", "answer"]
    names += ["intelligibility", "quality"] if ears is not None else []
    for name in names:
        if name not in target.gate.required:
            continue
        try:
            judged = PER_TEXT[name](sample, target, ears)  # type: ignore[arg-type]
        except AudioError as error:
            return str(error)
        finding = find(name, target.revision, judged.rule, values={"value": judged.value},
                       limits=judged.limits, sentence=judged.sentence)  # fmt: skip
        if finding.verdict is Verdict.FAIL:
            return finding.sentence
    return ""

"""What the answers at one step say about a rising revision: evidence in, findings out.

The evidence a step needs grows with the traffic the next one puts at risk: a revision that next gets p
percent may, at worst, spoil p percent of the requests, so its own error rate must be shown to be below
limit x 100 / p. A value beyond the limit itself fails at once, however little traffic there is.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .answer import Answer, json_object
from .compare import compare_first_audio
from .findings import Finding, find
from .plan import Limits
from .statistics import error_interval

BUSY = 429
KEPT_REASONS = 3
P99_SAMPLES = 100
PAIRS = 20
"""Fewer refuse nothing: at 20 probes a second five of them are one pause of a busy node."""
SILENT = 6
"""So many wrong answers and no right one: there is nothing to compare with."""
ANY_RATIO = 1e6
LEAST_WRONG = 2
"""One wrong answer may be anybody's; the second one in a few is not."""
P99_PERCENT = 1.0
FIRST_AUDIO_PERCENT = 5.0


@dataclass
class Evidence:
    """The answers of one revision; times in seconds of those that were right. Busy ones (429) say nothing
    about it."""

    right: int = 0
    wrong: int = 0
    busy: int = 0
    first_audio: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def answers(self) -> int:
        """Those that say something."""
        return self.right + self.wrong

    def add(self, answer: Answer, wrong: str, *, timed: bool) -> None:
        """One answer; `wrong` says what is wrong with it. The first audio of `timed` ones is compared."""
        if answer.status == BUSY:
            self.busy += 1
        elif wrong:
            self.wrong += 1
            self.reasons[wrong] += 1
        else:
            self.right += 1
            if answer.first_audio is None:
                return
            self.waits.append(round(answer.first_audio, 5))
            self.seconds.append(round(answer.seconds, 5))
            if timed:
                self.first_audio.append(round(answer.first_audio, 5))


@dataclass(frozen=True)
class Stage:
    """Where a revision stands: it has `percent` of the traffic and would get `next_percent`. A `trusted` one
    has served before or is released at once: its evidence need not grow. One that was `compared` at the gate
    has shown its first audio there, pair by pair: in the ramp only a failure counts against it."""

    revision: str
    percent: int
    next_percent: int
    trusted: bool
    compared: bool = False


@dataclass(frozen=True)
class Beside:
    """The revision that serves beside a rising one, and its evidence: this step's and the whole release's."""

    revision: str
    window: Evidence
    total: Evidence

    @property
    def silent(self) -> bool:
        """It answers nothing but errors. That is no reason to keep it, so nothing is compared with it."""
        return not self.total.right and self.total.wrong >= SILENT


@dataclass(frozen=True)
class Bars:
    """What every stage is held to."""

    limits: Limits
    min_samples: int
    first_audio_ratio: float


def judge_stage(
    stage: Stage, bars: Bars, *, window: Evidence, total: Evidence, beside: Beside | None
) -> list[Finding]:
    """The findings of one revision at one step: `window` is this step's evidence, `total` the whole
    release's; `beside` is None on a way where nothing else serves."""
    found = [_answers(stage, bars, window), _errors(stage, bars, total)]
    limits = bars.limits
    if limits.first_audio_seconds is not None:
        found.append(_slow(stage, "firstAudioSeconds", total.waits, limits.first_audio_seconds,
                           FIRST_AUDIO_PERCENT, bars))  # fmt: skip
    if limits.p99_seconds is not None:
        found.append(_slow(stage, "p99Seconds", total.seconds, limits.p99_seconds, P99_PERCENT, bars))
    if beside is not None and not beside.silent and not stage.trusted:
        found.append(_first_audio_ratio(stage, bars, window, total, beside))
        if limits.p99_ratio is not None:
            found.append(_p99_ratio(stage, bars, total, beside.total, limits.p99_ratio))
    return found


def judge_route(revisions: Sequence[str], bars: Bars, window: Evidence) -> Finding:
    """Answers through the route that say of no revision: the gateway's own errors. Only a failure counts."""
    sentence = f"{window.wrong} of {window.answers} requests through the route got no answer of " \
        f"{' or '.join(revisions)}.{_because(window)}"  # fmt: skip
    return find(
        "route",
        "route",
        "share",
        values={"wrong": window.wrong, "of": window.answers},
        limits={
            "percent": bars.limits.error_percent,
            "passPercent": 100,
            "samples": 0,
            "leastWrong": LEAST_WRONG,
        },
        sentence=sentence,
    )


def relaxed(limit: float, stage: Stage) -> float:
    """The bound that evidence must reach before the next weight is given, in percent."""
    return 100.0 if stage.trusted else min(100.0, limit * 100 / max(1, stage.next_percent))


def _because(evidence: Evidence) -> str:
    said = [sentence.rstrip(".") for sentence, _ in evidence.reasons.most_common(KEPT_REASONS)]
    return f" {'. '.join(said)}." if said else ""


def _answers(stage: Stage, bars: Bars, window: Evidence) -> Finding:
    """This step's own answers: enough of them, and not too many wrong."""
    limit, wanted = bars.limits.error_percent, bars.min_samples
    sentence = (
        f"At {stage.percent} % {stage.revision} answered {window.answers} times, {window.wrong} wrong; "
        f"at least {wanted} answers are wanted and at most {limit:g} % wrong.{_because(window)}"
    )
    return find(
        "answers",
        stage.revision,
        "share",
        values={"wrong": window.wrong, "of": window.answers, "busy": window.busy},
        limits={"percent": limit, "passPercent": 100, "samples": wanted, "leastWrong": LEAST_WRONG},
        sentence=sentence,
    )


def _errors(stage: Stage, bars: Bars, total: Evidence) -> Finding:
    """All answers since the gate, against the error rate that the next weight allows."""
    limits = _limits(bars.limits.error_percent, stage, bars)
    what = f"of {stage.revision}'s answers are wrong"
    return _share("errors", stage, (total.wrong, total.answers), limits, what, _because(total))


def _slow(
    stage: Stage, name: str, measured: Sequence[float], limit: float, percent: float, bars: Bars
) -> Finding:
    slow = sum(1 for seconds in measured if seconds > limit)
    what = f"of {stage.revision}'s answers took longer than {limit:g} s ({name})"
    return _share(name, stage, (slow, len(measured)), _limits(percent, stage, bars), what)


def _p99_ratio(stage: Stage, bars: Bars, total: Evidence, reference: Evidence, ratio: float) -> Finding:
    """The share of answers slower than `ratio` times the reference's 99th percentile."""
    enough = len(reference.seconds) >= P99_SAMPLES
    limit = ratio * statistics.quantiles(reference.seconds, n=100)[98] if enough else 0.0
    measured = total.seconds if enough else []
    slow = sum(1 for seconds in measured if seconds > limit)
    what = f"of {stage.revision}'s answers took longer than {ratio:g} times the other's p99 ({limit:.3f} s)"
    return _share("p99Ratio", stage, (slow, len(measured)), _limits(P99_PERCENT, stage, bars), what)


def _limits(percent: float, stage: Stage, bars: Bars) -> dict[str, float]:
    return {
        "percent": percent,
        "leastWrong": LEAST_WRONG,
        "passPercent": round(relaxed(percent, stage), 3),
        "samples": bars.min_samples,
    }


def _share(
    name: str,
    stage: Stage,
    counted: tuple[int, int],
    limits: dict[str, float],
    what: str,
    because: str = "",
) -> Finding:
    """`counted`: how many are wrong, of how many."""
    wrong, of = counted
    shown, next_step = "nothing is known yet", ""
    if of:
        interval = error_interval(wrong, of)
        shown = (
            f"{interval.estimate:.1f} % ({wrong} of {of}), between {interval.low:.1f} and "
            f"{interval.high:.1f} % with 95 % confidence,"
        )
        bound = limits["passPercent"]
        next_step = f"; before {stage.next_percent} % of the traffic at most {bound:g} % must be shown"
    return find(
        name,
        stage.revision,
        "share",
        values={"wrong": wrong, "of": of},
        limits=limits,
        sentence=f"At {stage.percent} %: {shown} {what}; at most {limits['percent']:g} % are allowed"
        f"{next_step}.{because}",
    )


def _first_audio_ratio(
    stage: Stage, bars: Bars, window: Evidence, total: Evidence, beside: Beside
) -> Finding:
    """By this step's own pairs where they are enough: a revision may be slow only under weight."""
    enough = min(len(window.first_audio), len(beside.window.first_audio)) >= PAIRS
    mine, others = (window, beside.window) if enough else (total, beside.total)
    pairs = min(len(mine.first_audio), len(others.first_audio))
    limit = bars.first_audio_ratio
    shown = 1 + (limit - 1) * 100 / max(1, stage.next_percent)
    return compare_first_audio(
        mine.first_audio[:pairs],
        others.first_audio[:pairs],
        limits={
            "ratio": limit,
            "passRatio": ANY_RATIO if stage.compared else round(shown, 3),
            "samples": 1 if stage.compared else PAIRS,
            "leastPairs": PAIRS,
        },
        subject=stage.revision,
        reference=beside.revision,
    )


def wrong_version_body(answer: Answer) -> str:
    """What is wrong with an answer to GET /version that came from a known revision; empty for nothing."""
    stated = json_object(answer).get("revision")
    return (
        "" if stated == answer.revision else f"/version says {stated}, but its header says {answer.revision}."
    )

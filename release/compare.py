"""First audio of a candidate against that of the revision that serves, by interleaved measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .answer import Answer
from .findings import Finding, find
from .statistics import ratio_interval


@dataclass
class Pairs:
    """Seconds until the first audio of both, in pairs; `silent` counts those that the reference did not
    answer, the last time for the reason `problem`."""

    candidate: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    silent: int = 0
    problem: str = ""

    @property
    def taken(self) -> int:
        """How many there were, those that count for nobody among them."""
        return len(self.candidate) + self.silent

    def add(self, seconds: float, beside: Answer) -> None:
        """The candidate's time, and the reference's answer. What it does not answer counts for nobody."""
        if beside.first_audio is None:
            self.silent += 1
            self.problem = problem(beside)
        else:
            self.candidate.append(round(seconds, 5))
            self.reference.append(round(beside.first_audio, 5))


def problem(answer: Answer) -> str:
    """What is wrong with an answer that brought no audio."""
    return answer.error or f"status {answer.status}" + (" without audio" if answer.status == 200 else "")


def compare_first_audio(
    candidate: Sequence[float],
    live: Sequence[float],
    *,
    limits: Mapping[str, float],
    subject: str,
    reference: str,
) -> Finding:
    """The ratio of the candidate's first audio to the reference's; times in seconds. `limits` are those of
    the rule `ratio`: `ratio`, `samples` and, where less need be shown to pass, `passRatio`."""
    shown = "It is not known yet how soon the first audio comes."
    if candidate and live:
        interval = ratio_interval(candidate, live)
        shown = (
            f"The first audio takes {interval.estimate:.2f} times as long as {reference}'s "
            f"(between {interval.low:.2f} and {interval.high:.2f} by {len(candidate)} pairs); "
            f"at most {limits['ratio']:g} times is allowed."
        )
    return find(
        "firstAudioRatio",
        subject,
        "ratio",
        values={"candidate": list(candidate), "reference": list(live)},
        limits=limits,
        sentence=shown,
    )

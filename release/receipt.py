"""The record of one release, and the story told on the way."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

from .cluster import Clock
from .plan import Plan
from .planner import Weights
from .route import describe, revision_of
from .smoke import Check


@dataclass
class Step:
    """One change of the weights. `wrong` is the sentence of the answer that ended it."""

    at: float
    weights: dict[str, int]
    seconds: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    wrong: str = ""


class Record:
    """Collects what happens and prints one line an event, with the seconds since the start."""

    def __init__(self, plan: Plan, clock: Clock, *, out: TextIO | None = None) -> None:
        self._plan = plan
        self._clock = clock
        self._out = out if out is not None else sys.stdout
        self._start = clock.now()
        self._started = clock.utc()
        self._events: list[dict[str, Any]] = []
        self._steps: list[Step] = []
        self._checks: list[dict[str, Any]] = []
        self.restore_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return round(self._clock.now() - self._start, 3)

    def say(self, sentence: str) -> None:
        """Prints and keeps one event."""
        self._events.append({"at": self.seconds, "event": sentence})
        print(f"[{self.seconds:7.1f} s] {sentence}", file=self._out, flush=True)

    def checked(self, pod: str, text: str, seconds: float, checks: Sequence[Check]) -> None:
        """Keeps the checks of one synthesis."""
        for check in checks:
            self._checks.append(
                {"pod": pod, "text": text, "answerSeconds": round(seconds, 3), **asdict(check)}
            )

    def step(self, weights: Weights) -> Step:
        """Begins a step."""
        step = Step(at=self.seconds, weights={revision_of(host): weight for host, weight in weights.items()})
        self._steps.append(step)
        self.say(f"The route gives {describe(weights)}.")
        return step

    def document(self, *, outcome: str, sentences: Sequence[str]) -> dict[str, Any]:
        """receipt.json: times in seconds since the start, weights in percent."""
        plan = self._plan
        return {
            "release": plan.release,
            "name": plan.name,
            "model": plan.model,
            "target": {"revision": plan.target.revision, "version": plan.target.version},
            "rollout": asdict(plan.rollout),
            "gate": asdict(plan.gate),
            "started": self._started,
            "ended": self._clock.utc(),
            "seconds": self.seconds,
            "outcome": outcome,
            "verdict": list(sentences),
            "restoreSeconds": self.restore_seconds,
            "checks": self._checks,
            "steps": [asdict(step) for step in self._steps],
            "events": self._events,
        }

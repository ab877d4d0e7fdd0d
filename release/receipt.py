"""The record of one release, and the story told on the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

from .cluster import Clock
from .findings import Finding, Verdict
from .plan import Plan
from .planner import Weights
from .route import describe, revision_of
from .spoken import Spoken

MOST_BYTES = 200_000
"""A receipt's size; a ConfigMap may have a million bytes, and ten are kept."""


@dataclass
class Step:
    """One change of the weights. `wrong` is the sentence of what ended it."""

    at: float
    weights: dict[str, int]
    seconds: float = 0.0
    answers: dict[str, int] = field(default_factory=dict)
    wrong: str = ""


class Record:
    """Collects what happens and prints one line an event, with the seconds since the start."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        *,
        out: TextIO | None = None,
        provenance: Mapping[str, Any] | None = None,
        startup_seconds: float = 0.0,
    ) -> None:
        """`startup_seconds`: how old the process was when the release began."""
        self._plan = plan
        self._clock = clock
        self._out = out if out is not None else sys.stdout
        self._provenance = dict(provenance or {})
        self._startup_seconds = startup_seconds
        self._start = clock.now()
        self._started = clock.utc()
        self._events: list[dict[str, Any]] = []
        self._steps: list[Step] = []
        self._findings: list[tuple[dict[str, Any], Finding]] = []
        self._audio: list[Spoken] = []
        self.probes: dict[str, dict[str, int]] = {}
        self.before: dict[str, int] = {}
        self.refused_for: list[str] = []
        self.verdict_at: float | None = None
        self.restore_seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return round(self._clock.now() - self._start, 3)

    def say(self, sentence: str) -> None:
        """Prints and keeps one event."""
        self._events.append({"at": self.seconds, "event": sentence})
        print(f"[{self.seconds:7.1f} s] {sentence}", file=self._out, flush=True)

    def found(
        self, phase: str, revision: str, findings: Sequence[Finding], *, step: Step | None = None
    ) -> None:
        """Keeps findings of a phase: gate, step or check."""
        index = None if step is None else self._steps.index(step)
        place = {"phase": phase, "revision": revision, "step": index}
        self._findings += [(place, finding) for finding in findings]

    def findings_of(self, phase: str, revision: str) -> list[Finding]:
        """The findings of one phase and revision."""
        return [
            finding
            for place, finding in self._findings
            if place["phase"] == phase and place["revision"] == revision
        ]

    def heard(self, spoken: Sequence[Spoken]) -> None:
        """Keeps which audio was judged, by its sha256."""
        self._audio += spoken

    def probed(self, revision: str, *, wrong: bool, busy: bool) -> None:
        """Counts one answer through the route."""
        count = self.probes.setdefault(revision, {"right": 0, "wrong": 0, "busy": 0})
        count["busy" if busy else "wrong" if wrong else "right"] += 1

    def step(self, weights: Weights) -> Step:
        """Begins a step."""
        step = Step(at=self.seconds, weights={revision_of(host): weight for host, weight in weights.items()})
        self._steps.append(step)
        self.say(f"The route gives {describe(weights)}.")
        return step

    def document(self, *, outcome: str, sentences: Sequence[str]) -> dict[str, Any]:
        """receipt.json: times in seconds since the start, weights in percent. At most MOST_BYTES: what is
        too much is left out from the findings that passed, and their number is said."""
        document = self._document(outcome, sentences)
        findings = list(self._findings)
        left_out = 0
        while _size(document) > MOST_BYTES and findings:
            passed = [item for item in findings if item[1].verdict is Verdict.PASS]
            drop = {id(item) for item in (passed or findings)[: max(1, len(passed or findings) // 4)]}
            findings = [item for item in findings if id(item) not in drop]
            left_out += len(drop)
            document["findings"] = _documents(findings)
            document["findingsLeftOut"] = left_out
            document["audio"] = document["audio"][:100]
            document["events"] = document["events"][-200:]
        return document

    def _document(self, outcome: str, sentences: Sequence[str]) -> dict[str, Any]:
        plan = self._plan
        return {
            "release": plan.release,
            "name": plan.name,
            "namespace": plan.namespace,
            "model": plan.model,
            "target": asdict(plan.target),
            "others": [asdict(other) for other in plan.others],
            "provenance": self._provenance,
            "rollout": asdict(plan.rollout),
            "started": self._started,
            "ended": self._clock.utc(),
            "startupSeconds": round(self._startup_seconds, 3),
            "seconds": self.seconds,
            "before": self.before,
            "outcome": outcome,
            "verdict": list(sentences),
            "refusedFor": list(self.refused_for),
            "verdictAt": self.verdict_at,
            "restoreSeconds": self.restore_seconds,
            "findings": _documents(self._findings),
            "findingsLeftOut": 0,
            "steps": [asdict(step) for step in self._steps],
            "probes": self.probes,
            "audioStore": plan.audio_store,
            "audio": [asdict(each) for each in self._audio],
            "events": self._events,
        }


def _documents(findings: Sequence[tuple[dict[str, Any], Finding]]) -> list[dict[str, Any]]:
    return [{**place, **finding.document()} for place, finding in findings]


def _size(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, indent=1, sort_keys=True).encode())

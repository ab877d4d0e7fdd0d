"""One step of a ramp while it is watched, and what the watching is done with."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from .analysis import Evidence, Stage
from .findings import Finding
from .receipt import Step

T = TypeVar("T")


class Aside(Protocol):
    """Does work beside the watching: a thread, or the test's own order."""

    def submit(self, work: Callable[[], T], /) -> Future[T]:
        """Begins the work."""


class Source(Protocol):
    """Real traffic, as Prometheus has measured it."""

    def judge(self, stage: Stage, reference: str) -> list[Finding]:
        """What it says about a revision; `reference` is the one beside it, empty for none."""


@dataclass
class Hold:
    """One step being watched: who rises, and the evidence of this step alone."""

    step: Step
    stages: tuple[Stage, ...]
    revisions: frozenset[str]
    reference: str
    stable: frozenset[str] = frozenset()
    """The revisions that would be restored."""
    window: dict[str, Evidence] = field(default_factory=dict)
    heard_at: float = -1e9
    looked_at: float = -1e9
    asked_at: float = -1e9
    asking: Future[list[Finding]] | None = None
    asked: list[Finding] | None = None
    """What Prometheus said last; None before it has said anything."""
    listening: list[tuple[str, Future[str]]] = field(default_factory=list)
    number: int = 0
    changed: bool = True
    """Whether there is evidence that has not been judged yet."""
    alarm: bool = False
    """Whether some of it is against going on."""

    def of(self, revision: str) -> Evidence:
        """This step's evidence of one revision; `route` for what nobody answered."""
        return self.window.setdefault(revision, Evidence())

"""Runs of a release's Job and of its guard in a simulated world, whole or step by step."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from release import plan as plans
from release.guard import Guard
from release.herald import Herald
from release.plan import Target
from release.receipt import Record
from release.walk import Outcome, Outside, Walk
from release.wav import Audio

from .plans import plan_for
from .simulation import View
from .world import Enough, World

FIRST = "voice-release-first"
T0, T1, T2, T3 = (f"2026-11-23T0{hour}:00:00Z" for hour in (6, 7, 8, 9))
LIMIT = 20.0


@dataclass
class FakeEars:
    """Hears what the revision that spoke is said to speak: nothing here listens to a sine."""

    said: Callable[[Audio], tuple[str, float]]

    def prepare(self, target: Target) -> None: ...

    def transcript(self, target: Target, audio: Audio) -> str | None:
        return self.said(audio)[0]

    def guessed(self, target: Target) -> tuple[str, ...]:
        return ("voxcpm",) if any("VoxCPM" in text for text in target.gate.texts) else ()

    def word_error_rate(self, text: str, transcript: str) -> float:
        return 0.0 if text == transcript else 1.0

    def quality(self, audio: Audio) -> float:
        return self.said(audio)[1]


class Inline:
    """Does at once what a release does in a thread of its own."""

    def submit(self, work: Callable[[], str]) -> Future[str]:
        future: Future[str] = Future()
        future.set_result(work())
        return future


class NoGauges:
    """Measures nothing."""

    def phase(self, phase: str) -> None: ...
    def weights(self, weights: Mapping[str, int]) -> None: ...
    def probed(self, revision: str, *, wrong: bool, busy: bool) -> None: ...
    def dropped(self, total: int) -> None: ...
    def restored(self, seconds: float) -> None: ...
    def outcome(self, outcome: str) -> None: ...


_runs = iter(range(10**9))


def run_job(
    world: World,
    plan: plans.Plan,
    *,
    hook: Callable[[str, str], None] | None = None,
    view: View | None = None,
) -> Outcome:
    """One pod of the release's Job, from start to end."""
    view = view or View(world, plan)
    if hook is not None:
        view.hook = hook
    view.record = Record(plan, view, out=io.StringIO())
    outside = Outside(view, view, view, FakeEars(view.hears), Inline(), view.source)
    return Walk(plan, outside, view.record, Herald(view, NoGauges()), run=f"run{next(_runs)}").run()


class Guarded:
    """One guard, and what it said."""

    def __init__(self, world: World, plan: plans.Plan, *, view: View | None = None) -> None:
        self.view = view or View(world, plan)
        self.view.guard = True
        self._out = io.StringIO()
        herald = Herald(self.view, NoGauges())
        run = str(next(_runs))
        self.guard = Guard(plan, self.view, self.view, self.view, herald, run=run, out=self._out)

    def run(self, seconds: float | None = None) -> int | None:
        """Its exit code; None when it was still at work after so many seconds."""
        if seconds is not None:
            self.view.until = self.view.world.time + seconds
        try:
            return self.guard.run()
        except Enough:
            return None

    @property
    def story(self) -> str:
        return self._out.getvalue()


@lru_cache
def _settled(revision: str) -> World:
    world = World()
    world.deploy(revision)
    world.start_job(FIRST, T0)
    outcome = run_job(world, plan_for(revision, release=FIRST))
    assert outcome.code == 0, outcome
    return world


def serving(revision: str, *others: str) -> World:
    """A world in which a first release of `revision` has settled, and `others` are deployed."""
    world = copy.deepcopy(_settled(revision))
    for other in others:
        world.deploy(other)
    return world


class StopAt:
    """A hook that acts at one point."""

    def __init__(self, number: int, act: Callable[[], Any]) -> None:
        self.left = number
        self.act = act

    def __call__(self, when: str, what: str) -> None:
        self.left -= 1
        if self.left == -1:
            self.act()


class Stepper:
    """A run in a thread that goes on only when it is told to, one read or write at a time."""

    def __init__(self, world: World, plan: plans.Plan, run: Callable[[View], Any] | None = None) -> None:
        self.view = View(world, plan, hook=self._hook)
        self.outcome: Any = None
        self.failure: BaseException | None = None
        self.ended = False
        self.steps = 0
        self._run = run or (lambda view: run_job(world, plan, view=view))
        self._go, self._done = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._done.acquire()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        self._wait()
        try:
            self.outcome = self._run(self.view)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.failure = error
        finally:
            self.ended = True
            self._done.release()

    def _wait(self) -> None:
        assert self._go.acquire(timeout=LIMIT)

    def _hook(self, when: str, what: str) -> None:
        if when == "before":
            self._done.release()
            self._wait()

    def step(self, count: int = 1) -> None:
        """Runs up to the next point before a read or write, `count` times."""
        for _ in range(count):
            if self.ended:
                return
            self.steps += 1
            self._go.release()
            assert self._done.acquire(timeout=LIMIT)

    def finish(self) -> Any:
        while not self.ended:
            self.step()
        self._thread.join(LIMIT)
        if self.failure is not None:
            raise self.failure
        return self.outcome

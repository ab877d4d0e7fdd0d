"""What a release may find and be told: a world with its Job, the plan, and the plan of the way back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from release import plan as plans
from release import route

from .plans import V1, V2, V3, plan_for
from .runs import T1, run_job
from .world import World

EVIDENCE: Mapping[str, Any] = {"holdSeconds": 3, "minSamples": 6, "probesPerSecond": 4, "steps": [20, 100]}
"""Long enough for renewals of the lease, and with answers to wait for."""
SPOILT: Mapping[str, Any] = {"route_status": 500}


@dataclass(frozen=True)
class Situation:
    """The plans of `before` settled one after another; then `plan` comes. `subject` is what rises by it, and
    speaks through the route as `bad` says."""

    before: tuple[plans.Plan, ...]
    plan: plans.Plan
    subject: str = V2
    bad: Mapping[str, Any] = field(default_factory=dict)
    _worlds: list[World] = field(default_factory=list)

    def world(self) -> World:
        """With the Job of the new release."""
        if not self._worlds:
            self._worlds.append(self._built())
        return copy.deepcopy(self._worlds[0])

    def _built(self) -> World:
        world = World()
        for name in (V1, V2):
            world.deploy(name)
        for number, plan in enumerate(self.before):
            world.start_job(plan.release, f"2026-11-23T06:{number:02d}:00Z")
            outcome = run_job(world, plan)
            assert outcome.code == 0, outcome
        del world.history[:-1]
        for name, value in self.bad.items():
            setattr(world.revisions[self.subject], name, value)
        world.start_job(self.plan.release, T1)
        return world

    @property
    def old(self) -> plans.Plan:
        """The way back: what was declared before, as a newer release."""
        return replace(self.before[-1], release="voice-release-old")

    @property
    def stable(self) -> dict[str, int]:
        """The weights before; none on a first install."""
        return weights_of(self.before[-1]) if self.before else {}

    @property
    def spoilt(self) -> Situation:
        """The same, but what rises answers 500 through the route."""
        return Situation(self.before, self.plan, self.subject, SPOILT)


def weights_of(plan: plans.Plan) -> dict[str, int]:
    """What the plan declares."""
    weights = route.parse(plan.declared_http).weights
    return {route.revision_of(host): weight for host, weight in weights.items()}


def _plan(release: str, revision: str, **settings: Any) -> plans.Plan:
    return plan_for(revision, release=f"voice-release-{release}", **settings)


ONE = _plan("one", V1)
TWO = _plan("two", V2)
FED = _plan("fed", V1, canary={"revision": V2, "weight": 10})
COPIED = _plan("copied", V1, canary={"revision": V2, "mirror": True})
KEPT = _plan("kept", V2, warm=(V1,))

SITUATIONS: Mapping[str, Situation] = {
    "first": Situation((), TWO),
    "good": Situation((ONE,), TWO),
    "evidence": Situation((ONE,), _plan("new", V2, **EVIDENCE)),
    "immediate": Situation((ONE,), _plan("new", V2, strategy="immediate")),
    "canary": Situation((ONE,), FED),
    "promoted": Situation((ONE, FED), _plan("new", V2)),
    "withdrawn": Situation((ONE, FED), _plan("new", V1), subject=V1),
    "mirrored": Situation((ONE,), COPIED),
    "mirrored, then fed": Situation((ONE, COPIED), _plan("new", V1, canary={"revision": V2, "weight": 10})),
    "mirrored, then promoted": Situation((ONE, COPIED), _plan("new", V2)),
    "mirrored, then withdrawn": Situation((ONE, COPIED), _plan("new", V1), subject=V1),
    "kept warm": Situation((ONE,), KEPT),
    "back to the warm one": Situation((ONE, KEPT), _plan("new", V1, warm=(V2,)), subject=V1),
}
CANDIDATES = ("good", "evidence", "immediate", "canary", "promoted", "mirrored, then fed", "kept warm")
"""Those in which what rises can be spoilt while what was before is not."""
CASES = [*SITUATIONS.items(), *((f"{name}, spoilt", SITUATIONS[name].spoilt) for name in CANDIDATES)]
"""Every situation, as it goes well and as it is spoilt."""
NEXT = {
    "back": plan_for(V1, release="voice-release-next"),
    "on": plan_for(V3, release="voice-release-next"),
}

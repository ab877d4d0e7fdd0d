"""How many replicas each revision of a release needs, and that it has them before it has the traffic.

Where an autoscaler decides how many pods serve, a candidate needs as many for each percent of the traffic as
the live revision has now; and it follows when that one grows on the way. What a release asks for it never
takes back: that is the autoscaler's, once the release is over.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fractions import Fraction
from math import ceil

from . import autoscalers, route
from .cluster import Clock, Cluster, Workload
from .errors import ClusterError, ConflictError
from .keeper import RouteKeeper
from .lease import Tenure
from .plan import Plan, Target
from .receipt import Record

TRIES = 10


class Capacity:
    """The replicas during one run of one release."""

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        clock: Clock,
        record: Record,
        *,
        keeper: RouteKeeper,
        tenure: Tenure,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._clock = clock
        self._record = record
        self._keeper = keeper
        self._tenure = tenure
        self._live = ""
        """The revision that others are measured by; empty where the number of pods is fixed."""
        self._seen = 0
        self._per_percent = Fraction(0)
        self._until: dict[str, float] = {}
        self._held = False

    def begin(self) -> None:
        """Once the route has been read: holds the autoscalers, counts what serves, and asks for what every
        revision of the plan needs."""
        self._held = autoscalers.hold(self._cluster, self._tenure)
        if self._plan.autoscaled:
            self._count()
        for target in self._plan.targets:
            self.workload(target.revision)

    def workload(self, revision: str) -> Workload | None:
        """The revision's workload, asked for as many replicas as it needs now."""
        if self._live not in ("", revision):
            self.saw(self._live, self._cluster.workload(self._live))
        target = self._plan.find(revision)
        for _ in range(TRIES):
            found = self._cluster.workload(revision)
            self.saw(revision, found)
            if found is None or target is None:
                return found
            wanted = max(found.desired, self._needed(target))
            if found.asked and found.desired == wanted:
                return found
            with contextlib.suppress(ConflictError):
                self._cluster.scale(revision, wanted, resource_version=found.resource_version)
                self._asked(target, found.desired, wanted)
                return replace(found, desired=wanted)
        raise ClusterError(f"The Deployment {revision} was changed during each of {TRIES} tries.")

    def saw(self, revision: str, workload: Workload | None) -> bool:
        """Whether the live revision has grown, so that others need more replicas."""
        if revision != self._live or workload is None or workload.desired <= self._seen:
            return False
        self._seen = workload.desired
        live = self._keeper.live
        weight = _percent(live.route, revision) if live else 0
        needed = Fraction(self._seen, weight or _percent(self._keeper.stable, revision))
        grown = needed > self._per_percent
        self._per_percent = max(self._per_percent, needed)
        return grown

    def until(self, revision: str) -> float:
        """Until when replicas that were asked for may still be starting; it may have been an earlier run."""
        return self._until.get(revision, 0.0)

    def could_take_over(self, revision: str, workload: Workload | None) -> bool:
        """Whether the revision has as many ready replicas as when the release began, or all of them."""
        if workload is None:
            return False
        return workload.carries(self._keeper.replicas.get(revision, workload.desired))

    def give_back(self) -> None:
        """Lets the autoscalers go on."""
        if self._held:
            self._held = not autoscalers.free(self._cluster, self._tenure, self._record.say)

    def _count(self) -> None:
        stable = self._keeper.stable
        weights = {route.revision_of(host): weight for host, weight in stable.weights.items()}
        found = {revision: self._cluster.workload(revision) for revision in sorted(weights)}
        now = {revision: workload.desired for revision, workload in found.items() if workload is not None}
        self._keeper.replicas = {**now, **self._keeper.replicas}
        for target in self._plan.targets:
            self._until[target.revision] = self._clock.now() + target.start_seconds
        live = max(weights, key=lambda each: (weights[each], each), default="")
        if now.get(live):
            self._live, self._seen = live, now[live]
            self._per_percent = Fraction(now[live], weights[live])

    def _needed(self, target: Target) -> int:
        declared = self._keeper.declared
        mirrored = target.revision in declared.mirrored
        percent = 100 if mirrored else _percent(declared, target.revision)
        return min(max(target.replicas, ceil(self._per_percent * percent)), target.max_replicas)

    def _asked(self, target: Target, before: int, wanted: int) -> None:
        if wanted == before:
            return
        self._record.say(f"{target.revision} is asked for {wanted} replicas instead of {before}.")
        self._until[target.revision] = self._clock.now() + target.start_seconds
        if target.revision == self._live:
            self._seen = max(self._seen, wanted)


def _percent(found: route.Route, revision: str) -> int:
    return sum(weight for host, weight in found.weights.items() if route.revision_of(host) == revision)

"""The live route as one run of a release sees and writes it: every write under the lock of what it read last.

Every read is followed by a check of the lease, and every write carries the resourceVersion of such a read or
of this run's own last write. So once a newer run has taken the lease and written, no older write can land.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from . import route
from .cluster import Clock, Cluster, LiveRoute
from .errors import ClusterError, ConflictError, ReleaseError, RouteMovedError
from .lease import Tenure
from .plan import Plan
from .planner import Weights
from .restore import Restore, Restored, manifest_of

TRIES = 5


class RouteKeeper:
    """What is live, what to restore, and what has served before."""

    def __init__(self, plan: Plan, cluster: Cluster, tenure: Tenure, clock: Clock) -> None:
        self._plan = plan
        self._cluster = cluster
        self._tenure = tenure
        self._clock = clock
        self.declared = route.parse(plan.declared_http)
        self.live: LiveRoute | None = None
        self.proven: tuple[str, ...] = ()
        self.replicas: Mapping[str, int] = {}
        """Revision -> its replicas when the release began, of what would be restored."""
        self._stable: route.Http | None = None
        """What to restore; None until the route has been read, empty when no route had settled."""

    @property
    def stable(self) -> route.Route:
        """What is restored when something is wrong; without weights on a first install."""
        return route.parse(self._stable or [])

    def begin(self) -> None:
        """Reads what is live, and what it says is settled and proven; then writes it once as it is, so that a
        write of an older run that is still on its way cannot land any more."""
        self.live = self._read()
        self._learn(self.live)
        if self.live is not None:
            self._write(self.live.http, self._step_spec(self.live.http))

    def _learn(self, live: LiveRoute | None) -> None:
        """What is settled and proven; where no release has said yet who is proven, the settled ones are."""
        self._stable = route.stable_http(live.annotations, live.http) if live else []
        if live is not None:
            told = route.PROVEN in live.annotations
            settled = self.stable.revisions
            self.proven = route.proven_of(live.annotations) if told else route.proven_with((), settled)
            on_the_way = live.route != self.stable
            self.replicas = route.replicas_of(live.annotations) if on_the_way else {}

    def move(self, weights: Weights) -> None:
        """Writes the weights of a step; the declared ones as they are declared."""
        if self.live is None or weights == self.declared.weights:
            self.write_declared()
            return
        http = route.step_http(self._plan.declared_http, self.live.route, weights)
        self._write(http, self._step_spec(http))

    def write_declared(self) -> None:
        """Writes the route as the program declares it."""
        self._write(self._plan.declared_http, self._plan.route["spec"])

    @property
    def is_declared(self) -> bool:
        """Whether the live route is word for word what the program declares."""
        return self.live is not None and bool(self.live.spec == self._plan.route["spec"])

    def settle(self) -> None:
        """From here on the declared route is what is restored."""
        previous = self._stable, self.proven, self.replicas
        self._stable = self._plan.declared_http
        self.proven = route.proven_with(self.proven, self.declared.revisions)
        self.replicas = {}
        try:
            self.write_declared()
        except ReleaseError:
            self._stable, self.proven, self.replicas = previous
            raise

    def restore(self, ready: Mapping[str, bool]) -> Restored:
        """Brings the stable route back. `ready`: whether a revision could take over a moment ago."""
        self._restore_at_once(ready)
        if self._stable is None:
            self._learn(self._cluster.read_route())
        return Restore(
            self._plan,
            self._cluster,
            self._tenure,
            self._clock,
            stable=self._stable or [],
            proven=self.proven,
            replicas=self.replicas,
        ).run()

    def _restore_at_once(self, ready: Mapping[str, bool]) -> None:
        """The way back in one write, under the lock of this run's last one, when the stable revisions were
        ready a moment ago. What is read back afterwards decides; this only saves the reading before."""
        live, stable = self.live, self._stable
        if live is None or not stable or live.route == route.parse(stable):
            return
        if not all(ready.get(name) for name in route.parse(stable).revisions):
            return
        spec = route.step_spec(self._plan.route["spec"], live.spec, stable)
        with contextlib.suppress(ConflictError):
            self._cluster.write_route(self._manifest(spec), resource_version=live.resource_version)

    def _step_spec(self, http: route.Http) -> dict[str, Any]:
        return route.step_spec(self._plan.route["spec"], self.live.spec if self.live else {}, http)

    def _read(self) -> LiveRoute | None:
        """The live route; this run held the lease after it was read."""
        self._clock.check()
        live = self._cluster.read_route()
        self._tenure.check()
        return live

    def _write(self, http: route.Http, spec: Mapping[str, Any]) -> None:
        """One write of the route. A write by someone else that left the destinations alone is written
        over."""
        manifest = self._manifest(spec)
        for _ in range(TRIES):
            self._clock.check()
            version = self.live.resource_version if self.live else None
            try:
                self.live = self._cluster.write_route(manifest, resource_version=version)
                return
            except ConflictError:
                before = self.live
            self.live = self._read()
            if before is None or self.live is None:
                if self._landed(http):
                    return
                raise RouteMovedError("The route was made or deleted by someone else.")
            if self.live.route not in (before.route, route.parse(http)):
                raise RouteMovedError("The route's destinations were changed by someone else.")
            if self._settled_by_another(before):
                raise RouteMovedError("The release before this one settled its route in the meantime.")
        raise ClusterError(f"The route was changed during each of {TRIES} writes by {self._plan.release}.")

    def _settled_by_another(self, before: LiveRoute) -> bool:
        """Whether what is to be restored was changed, by an older release's last write on its way."""
        assert self.live is not None
        stable, owner = (self.live.annotations.get(key) for key in (route.STABLE, route.OWNER))
        return stable not in (None, before.annotations.get(route.STABLE)) and owner != self._tenure.holder

    def _landed(self, http: route.Http) -> bool:
        """Whether an own write arrived although its answer was lost."""
        live = self.live
        return (
            live is not None
            and live.annotations.get(route.OWNER) == self._tenure.holder
            and live.route == route.parse(http)
        )

    def _manifest(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return manifest_of(
            self._plan,
            spec,
            owner=self._tenure.holder,
            stable=self._stable or [],
            proven=self.proven,
            replicas=self.replicas,
        )

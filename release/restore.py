"""Brings the stable route back in one write, and reads it back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from . import route
from .cluster import Clock, Cluster, LiveRoute
from .errors import ClusterError, ConflictError, TerminatedError
from .lease import Tenure
from .plan import Plan
from .planner import apportion

TRIES = 10
CAPACITY_POLL_SECONDS = 0.5


def manifest_of(
    plan: Plan,
    spec: Mapping[str, Any],
    *,
    owner: str,
    stable: route.Http,
    proven: tuple[str, ...],
    replicas: Mapping[str, int],
) -> dict[str, Any]:
    """The VirtualService to apply: the declared one with `spec` and the release's own annotations.

    It is always the whole object: what server-side apply leaves out, it takes away.
    """
    metadata = dict(plan.route.get("metadata") or {})
    annotations = {
        **(metadata.get("annotations") or {}),
        route.OWNER: owner,
        route.STABLE: route.dump(stable),
        route.PROVEN: route.dump(proven),
        **({route.REPLICAS: route.dump(replicas)} if replicas else {}),
    }
    kept = {key: metadata[key] for key in ("labels",) if metadata.get(key)}
    return {
        "apiVersion": plan.route["apiVersion"],
        "kind": plan.route["kind"],
        "metadata": {"name": plan.name, "namespace": plan.namespace, **kept, "annotations": annotations},
        "spec": dict(spec),
    }


@dataclass(frozen=True)
class Choice:
    """What to write now: the http, what is stable from then on, and what to say. `whole` is False while
    the stable revision has too few ready pods for all of the traffic."""

    http: route.Http
    stable: route.Http
    sentence: str
    whole: bool = True


@dataclass(frozen=True)
class Restored:
    """What was done; `settled`: whether what is to be live is live now, or more must follow."""

    sentence: str
    settled: bool


def _is_settled(live: LiveRoute | None) -> bool:
    return live is None or live.route == route.parse(route.stable_http(live.annotations, live.http))


class Restore:
    """One restoration. SIGTERM does not interrupt it; it only ends its waiting for capacity."""

    def __init__(  # noqa: PLR0913 - each is a word of its own
        self,
        plan: Plan,
        cluster: Cluster,
        tenure: Tenure,
        clock: Clock,
        *,
        stable: route.Http,
        proven: tuple[str, ...],
        replicas: Mapping[str, int],
    ) -> None:
        """`replicas`: what the revisions had when the release began. What an autoscaler has asked for since
        is no reason to wait."""
        self._plan = plan
        self._cluster = cluster
        self._tenure = tenure
        self._clock = clock
        self._stable = stable
        self._proven = proven
        self._replicas = replicas
        self._deadline = clock.now() + plan.rollout.ready_seconds

    def run(self) -> Restored:
        """Returns once the restored route has been read back. Raises SupersededError, LeaseLostError,
        ClusterError."""
        tries = 0
        while tries < TRIES:
            live = self._read()
            try:
                sentence, wanted, whole = self._write(live)
            except ConflictError:
                tries += 1
                continue
            back = self._read()
            if (back.route if back else None) != wanted:
                tries += 1
            elif whole or not self._wait():
                return Restored(sentence, _is_settled(back))
        raise ClusterError(
            f"The stable route could not be restored: it was changed during each of {TRIES} tries."
        )

    def _wait(self) -> bool:
        """Waits a moment for the stable revision's pods; False when the process is told to end."""
        try:
            self._clock.sleep(CAPACITY_POLL_SECONDS)
        except TerminatedError:
            return False
        return True

    def _read(self) -> LiveRoute | None:
        live = self._cluster.read_route()
        self._tenure.check()
        return live

    def _write(self, live: LiveRoute | None) -> tuple[str, route.Route | None, bool]:
        """What was done, the route that should be live now, and whether that is all."""
        if live is None:
            return "There is no route, as before.", None, True
        if not self._stable:
            self._cluster.delete_route(resource_version=live.resource_version)
            return "The new route was deleted again: no version had served before.", None, True
        choice = self._choose(live)
        wanted = route.parse(choice.http)
        if live.route == wanted and route.stable_http(live.annotations, live.http) == choice.stable:
            return choice.sentence, wanted, choice.whole
        spec = route.step_spec(self._plan.route["spec"], live.spec, choice.http)
        manifest = manifest_of(
            self._plan,
            spec,
            owner=self._tenure.holder,
            stable=choice.stable,
            proven=self._proven,
            replicas=self._replicas,
        )
        self._cluster.write_route(manifest, resource_version=live.resource_version)
        return choice.sentence, wanted, choice.whole

    def _choose(self, live: LiveRoute) -> Choice:
        """The stable http; or as much of it as its ready pods can carry; or, when it leads to something that
        is not ready at all, the best of what is live."""
        stable = route.parse(self._stable)
        capacity = {host: self._capacity(host) for host in stable.weights}
        restored = f"The stable route is live: {route.describe(stable.weights)}."
        if all(capacity[host] >= weight for host, weight in stable.weights.items()):
            return Choice(self._stable, self._stable, restored)
        missing = sorted(host for host in stable.weights if capacity[host] == 0)
        other = self._other(live, stable, without=missing or stable.weights)
        names = ", ".join(route.revision_of(host) for host in missing)
        if missing and other:
            http = route.only(other, self._stable, live.route, without=missing)
            serving = route.revision_of(other)
            return Choice(
                http, http, f"{names} of the stable route has no ready pod; {serving} serves instead."
            )
        if missing:
            return Choice(
                live.http,
                self._stable,
                f"{names} of the stable route has no ready pod, nor has any other revision: "
                "the weights are left.",
            )
        if not other or self._clock.now() >= self._deadline:
            return Choice(self._stable, self._stable, f"{restored} Not all of its pods are ready.")
        return self._partial(live, stable, capacity)

    def _partial(self, live: LiveRoute, stable: route.Route, capacity: Mapping[str, int]) -> Choice:
        """Each stable revision gets what it can carry, never less than it has; the rest waits where it is."""
        before = live.route.weights
        weights = {
            host: max(min(weight, capacity[host]), min(weight, before.get(host, 0)))
            for host, weight in stable.weights.items()
        }
        rest = 100 - sum(weights.values())
        others = {host: weight for host, weight in before.items() if host not in weights}
        weights.update(apportion({host: part for host, part in others.items() if self._capacity(host)}, rest))
        http = route.step_http(self._stable, live.route, weights)
        shown = route.describe(route.parse(http).weights)
        sentence = f"The stable route comes back as its pods become ready: {shown}."
        return Choice(http, self._stable, sentence, whole=False)

    def _other(self, live: LiveRoute, stable: route.Route, *, without: Collection[str]) -> str:
        """The best ready host that is not among `without`: one of the stable route before any other, the
        target last; empty for none."""
        hosts = sorted(
            {*live.route.weights, *stable.weights} - set(without),
            key=lambda host: (
                self._is_target(host),
                host not in stable.weights,
                -live.route.weights.get(host, 0),
                host,
            ),
        )
        return next((host for host in hosts if self._capacity(host)), "")

    def _is_target(self, host: str) -> bool:
        return route.revision_of(host) == self._plan.target.revision

    def _capacity(self, host: str) -> int:
        """The percent of its declared pods that are ready."""
        revision = route.revision_of(host)
        workload = self._cluster.workload(revision)
        if workload is None or not workload.ready_pods:
            return 0
        needed = min(workload.desired, self._replicas.get(revision, workload.desired))
        return min(100, 100 * len(workload.ready_pods) // max(1, needed))

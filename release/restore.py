"""Brings the stable route back in one write, and reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import route
from .cluster import Cluster, LiveRoute
from .errors import ClusterError, ConflictError
from .lease import Tenure
from .plan import Plan

TRIES = 10


def manifest_of(plan: Plan, spec: Mapping[str, Any], *, owner: str, stable: route.Http) -> dict[str, Any]:
    """The VirtualService to apply: the declared one with `spec` and the release's two annotations.

    It is always the whole object: what server-side apply leaves out, it takes away.
    """
    metadata = dict(plan.route.get("metadata") or {})
    annotations = {
        **(metadata.get("annotations") or {}),
        route.OWNER: owner,
        route.STABLE: route.dump(stable),
    }
    kept = {key: metadata[key] for key in ("labels",) if metadata.get(key)}
    return {
        "apiVersion": plan.route["apiVersion"],
        "kind": plan.route["kind"],
        "metadata": {"name": plan.name, "namespace": plan.namespace, **kept, "annotations": annotations},
        "spec": dict(spec),
    }


class Restore:
    """One restoration. SIGTERM does not interrupt it."""

    def __init__(self, plan: Plan, cluster: Cluster, tenure: Tenure, *, stable: route.Http) -> None:
        self._plan = plan
        self._cluster = cluster
        self._tenure = tenure
        self._stable = stable

    def run(self) -> str:
        """Returns once the restored route has been read back. Raises SupersededError, LeaseLostError,
        ClusterError."""
        for _ in range(TRIES):
            live = self._read()
            try:
                sentence, wanted = self._write(live)
            except ConflictError:
                continue
            back = self._read()
            if (back.route if back else None) == wanted:
                return sentence
        raise ClusterError(
            f"The stable route could not be restored: it was changed during each of {TRIES} tries."
        )

    def _read(self) -> LiveRoute | None:
        live = self._cluster.read_route()
        self._tenure.check()
        return live

    def _write(self, live: LiveRoute | None) -> tuple[str, route.Route | None]:
        """What was done, and the route that should be live now."""
        if live is None:
            return "There is no route, as before.", None
        if not self._stable:
            self._cluster.delete_route(resource_version=live.resource_version)
            return "The new route was deleted again: no version had served before.", None
        http, stable, sentence = self._choose(live)
        wanted = route.parse(http)
        if live.route == wanted and route.stable_http(live.annotations, live.http) == stable:
            return sentence, wanted
        spec = route.step_spec(self._plan.route["spec"], live.spec, http)
        manifest = manifest_of(self._plan, spec, owner=self._tenure.holder, stable=stable)
        self._cluster.write_route(manifest, resource_version=live.resource_version)
        return sentence, wanted

    def _choose(self, live: LiveRoute) -> tuple[route.Http, route.Http, str]:
        """(http, what is stable from now on, sentence).

        The stable http, or, when it leads to something that is not ready, the best of what is live.
        """
        stable = route.parse(self._stable)
        missing = sorted(host for host in stable.weights if not self._ready(host))
        restored = f"The stable route is live: {route.describe(stable.weights)}."
        if not missing:
            return self._stable, self._stable, restored
        names = ", ".join(route.revision_of(host) for host in missing)
        by_weight = sorted(
            live.route.weights, key=lambda host: (self._is_target(host), -live.route.weights[host], host)
        )
        for host in by_weight:
            if host not in missing and self._ready(host):
                http = route.only(host, live.route, live.http)
                other = route.revision_of(host)
                return http, http, f"{names} of the stable route has no ready pod; {other} serves instead."
        left = (
            f"{names} of the stable route has no ready pod, nor has any other revision: the weights are left."
        )
        return live.http, self._stable, left

    def _is_target(self, host: str) -> bool:
        return route.revision_of(host) == self._plan.target.revision

    def _ready(self, host: str) -> bool:
        workload = self._cluster.workload(route.revision_of(host))
        return workload is not None and bool(workload.ready_pods)

"""The real cluster, through lightkube.

What the Role must allow, in the stack's namespace:

| group               | resource                 | verbs                      | for                        |
| ------------------- | ------------------------ | -------------------------- | -------------------------- |
| networking.istio.io | virtualservices          | get, create, patch, delete | the route                  |
| coordination.k8s.io | leases                   | get, create, patch         | `<name>-release`           |
| (core)              | pods                     | list                       | addresses, readiness; runs |
| apps                | deployments              | get, list                  | replicas; what is left     |
| apps                | deployments/scale        | patch                      | the plan's revisions alone |
| autoscaling         | horizontalpodautoscalers | list, patch                | held meanwhile             |
| batch               | jobs                     | get                        | its own creation time      |
| (core)              | configmaps               | create, patch              | the receipt                |
| (core)              | configmaps               | list, delete               | keeping the last ten       |
| (core)              | events                   | create                     | on the VirtualService      |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lightkube.config.kubeconfig import SingleConfig

from .api import FIELD_MANAGER, RETRY_SECONDS, Api, at, kind, scale_of
from .cluster import Autoscaler, Lease, LiveRoute, Order, Workload
from .errors import SupersededError
from .lease import LEASE_SECONDS, release_of
from .plan import Plan
from .pods import pod_of

GUARD_MANAGER = "tts-guard"
SERVER = "model-server"
RECEIPTS_KEPT = 10
CREATED, ENDED, HELD_BY = "tts/created", "tts/ended", "tts/held-by"

EVENT = kind("", "v1", "Event", "events")
CONFIG_MAP = kind("", "v1", "ConfigMap", "configmaps")
POD = kind("", "v1", "Pod", "pods")
DEPLOYMENT = kind("apps", "v1", "Deployment", "deployments")
SCALE = scale_of(DEPLOYMENT)
AUTOSCALER = kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
JOB = kind("batch", "v1", "Job", "jobs")
LEASE = kind("coordination.k8s.io", "v1", "Lease", "leases")


class Kubernetes:
    """A `cluster.Cluster` of one plan's namespace. Raises ClusterError once a call has failed for
    RETRY_SECONDS."""

    def __init__(
        self, plan: Plan, *, config: SingleConfig | None = None, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._plan = plan
        self._api = Api(plan.namespace, config=config, retry_seconds=retry_seconds)
        group, _, version = str(plan.route["apiVersion"]).rpartition("/")
        self._route_kind = kind(group, version, str(plan.route["kind"]), "virtualservices")
        self._lease_name = f"{plan.name}-release"

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def job_order(self) -> Order:
        """This release's own place in the order."""
        job = self._api.get(JOB, self._plan.release)
        if job is None:
            raise SupersededError(f"The Job {self._plan.release} does not exist any more.")
        return Order(created=str(at(job, "metadata", "creationTimestamp")), release=self._plan.release)

    def failed_runs(self) -> int:
        """How many pods of this release's Job have ended without success."""
        found = self._api.list("pods of this release", POD, {"job-name": self._plan.release})
        return sum(at(pod, "status", "phase") == "Failed" for pod in found)

    def read_lease(self) -> Lease | None:
        """The lease, or None."""
        found = self._api.get(LEASE, self._lease_name)
        if found is None:
            return None
        holder = str(at(found, "spec", "holderIdentity") or "")
        created = str(at(found, "metadata", "annotations", CREATED) or "")
        order = Order(created=created, release=release_of(holder))
        return Lease(holder=holder, order=order, resource_version=_version(found))

    def write_lease(self, holder: str, order: Order, *, resource_version: str | None) -> Lease:
        """Takes or renews the lease."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._lease_name,
                "namespace": self._plan.namespace,
                "labels": self._made_labels(),
                "annotations": {CREATED: order.created},
            },
            "spec": {"holderIdentity": holder, "renewTime": now, "leaseDurationSeconds": LEASE_SECONDS},
        }
        written = self._api.apply(LEASE, body, resource_version)
        return Lease(holder=holder, order=order, resource_version=_version(written))

    def read_route(self) -> LiveRoute | None:
        """The VirtualService, or None."""
        found = self._api.get(self._route_kind, self._plan.name)
        return _live(found) if found is not None else None

    def write_route(self, manifest: Mapping[str, Any], *, resource_version: str | None) -> LiveRoute:
        """Applies the VirtualService."""
        return _live(self._api.apply(self._route_kind, manifest, resource_version))

    def delete_route(self, *, resource_version: str) -> None:
        """Deletes the VirtualService if it is still the one that was read."""
        self._api.delete_version(self._route_kind, self._plan.name, resource_version=resource_version)

    def workload(self, revision: str) -> Workload | None:
        """The revision's Deployment and pods."""
        deployment = self._api.get(DEPLOYMENT, revision)
        if deployment is None:
            return None
        found = self._api.list(f"pods of {revision}", POD, _pods_of(revision))
        observed = int(at(deployment, "status", "observedGeneration") or 0)
        current = observed >= int(at(deployment, "metadata", "generation") or 0)
        desired = at(deployment, "spec", "replicas")
        return Workload(
            desired=1 if desired is None else int(desired),
            ready=int(at(deployment, "status", "readyReplicas") or 0) if current else 0,
            pods=tuple(pod_of(pod) for pod in found if not at(pod, "metadata", "deletionTimestamp")),
            asked=_asked(deployment),
            stuck=current and _stuck(deployment),
            resource_version=_version(deployment),
        )

    def scale(self, revision: str, replicas: int, *, resource_version: str) -> None:
        """Asks for so many replicas, and keeps saying so: an update that stops declaring a number would
        otherwise leave one pod. An autoscaler that asks for another number takes over."""
        body = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": {"name": revision, "namespace": self._plan.namespace},
            "spec": {"replicas": replicas},
        }
        self._api.apply(SCALE, body, resource_version)

    def autoscalers(self) -> tuple[Autoscaler, ...]:
        """The autoscalers of the revisions of this name."""
        return tuple(
            Autoscaler(
                revision=str(at(item, "metadata", "name")),
                holder=str(at(item, "metadata", "annotations", HELD_BY) or ""),
                resource_version=_version(item),
            )
            for item in self._api.list("autoscalers", AUTOSCALER, self._servers())
        )

    def hold_autoscaler(self, revision: str, holder: str, *, resource_version: str) -> None:
        """Holds an autoscaler by a field that nobody declares, so that no update has it otherwise."""
        policy, said = ("Disabled", holder) if holder else (None, None)
        change = {
            "metadata": {"resourceVersion": resource_version, "annotations": {HELD_BY: said}},
            "spec": {"behavior": {"scaleDown": {"selectPolicy": policy}}},
        }
        self._api.merge(AUTOSCALER, revision, change)

    def revisions(self) -> frozenset[str]:
        """The revisions of this name that have a Deployment."""
        found = self._api.list("Deployments", DEPLOYMENT, self._servers())
        return frozenset(str(at(item, "metadata", "name")) for item in found)

    def write_event(self, reason: str, sentence: str, *, warning: bool) -> None:
        """An Event on the VirtualService; no second try."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{self._plan.name}-release-",
                "namespace": self._plan.namespace,
                "labels": self._made_labels(),
            },
            "involvedObject": {
                "apiVersion": self._plan.route["apiVersion"],
                "kind": self._plan.route["kind"],
                "namespace": self._plan.namespace,
                "name": self._plan.name,
            },
            "reason": reason,
            "message": sentence[:1000],
            "type": "Warning" if warning else "Normal",
            "source": {"component": FIELD_MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._api.create(f"Event {reason}", EVENT, body)

    def write_traffic(self, traffic: Mapping[str, Any]) -> None:
        """Keeps the guard's count beside the receipt, as the guard's own part of it."""
        body = self._receipt("traffic.json", traffic, annotations={})
        self._api.keep("count of requests", CONFIG_MAP, body, manager=GUARD_MANAGER)

    def write_receipt(self, receipt: Mapping[str, Any]) -> None:
        """Keeps the receipt, and only the last RECEIPTS_KEPT of this name where the Role lets it."""
        body = self._receipt("receipt.json", receipt, annotations={ENDED: str(receipt["ended"])})
        self._api.keep("receipt", CONFIG_MAP, body)
        found = self._api.list("receipts", CONFIG_MAP, self._labels())
        receipts = [item for item in found if str(at(item, "metadata", "name")).endswith("-receipt")]
        receipts.sort(key=_when)
        for old in receipts[:-RECEIPTS_KEPT]:
            self._api.delete(CONFIG_MAP, str(at(old, "metadata", "name")))

    def _receipt(
        self, key: str, document: Mapping[str, Any], *, annotations: dict[str, str]
    ) -> dict[str, Any]:
        """One key of the receipt's ConfigMap."""
        labels = {**self._made_labels(), "tts/release": self._plan.release, "tts/model": self._plan.model}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{self._plan.release}-receipt",
                "namespace": self._plan.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "data": {key: json.dumps(document, indent=1, sort_keys=True)},
        }

    def _made_labels(self) -> dict[str, str]:
        """The labels of what is made here, not declared."""
        return {
            **self._labels(),
            "app.kubernetes.io/instance": self._plan.name,
            "app.kubernetes.io/managed-by": FIELD_MANAGER,
        }

    def _servers(self) -> dict[str, str]:
        return {**self._labels(), "app.kubernetes.io/component": SERVER}

    def _labels(self) -> dict[str, str]:
        """What selects all that releases of this name have made."""
        return {
            "app.kubernetes.io/name": self._plan.name,
            "app.kubernetes.io/part-of": "tts",
            "app.kubernetes.io/component": "release",
        }


def _live(document: Mapping[str, Any]) -> LiveRoute:
    annotations = at(document, "metadata", "annotations") or {}
    return LiveRoute(
        resource_version=_version(document), annotations=annotations, spec=at(document, "spec") or {}
    )


def _asked(deployment: Mapping[str, Any]) -> bool:
    """Whether the number of replicas is one that a release has asked for."""
    return any(
        at(entry, "manager") == FIELD_MANAGER and at(entry, "fieldsV1", "f:spec", "f:replicas") is not None
        for entry in at(deployment, "metadata", "managedFields") or []
    )


def _stuck(deployment: Mapping[str, Any]) -> bool:
    """Whether the Deployment gave up by its own progress deadline."""
    return any(
        condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        for condition in at(deployment, "status", "conditions") or []
    )


def _pods_of(revision: str) -> dict[str, Any]:
    """What selects the servers of a revision; the release's own pod carries the revision's name too."""
    return {"tts/revision": revision, "app.kubernetes.io/component": SERVER}


def _version(document: Mapping[str, Any]) -> str:
    return str(at(document, "metadata", "resourceVersion"))


def _when(receipt: Mapping[str, Any]) -> str:
    """When a release ended; that of one which never got so far, when its guard began to count."""
    ended = at(receipt, "metadata", "annotations", ENDED)
    return str(ended or at(receipt, "metadata", "creationTimestamp"))

"""The real cluster, through lightkube. Calls that fail for a moment (no connection, 429, 5xx) are repeated.

What the Role must allow, in the stack's namespace:

| group               | resource        | verbs                      | for                                   |
| ------------------- | --------------- | -------------------------- | ------------------------------------- |
| networking.istio.io | virtualservices | get, create, patch, delete | the route (create, delete: at first)  |
| coordination.k8s.io | leases          | get, create, patch         | `<name>-release`                      |
| (core)              | pods            | list                       | the candidate's addresses, readiness  |
| apps                | deployments     | get                        | desired and ready replicas            |
| batch               | jobs            | get                        | this release's own creation time      |
| (core)              | configmaps      | create, patch              | the receipt                           |
| (core)              | configmaps      | list, delete               | optional: keeps the last ten receipts |
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import httpx2
import msgspec
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.generic_resource import GenericNamespacedResource, create_api_info
from lightkube.types import PatchType

from .cluster import Lease, LiveRoute, Order, Pod, Workload
from .errors import ClusterError, ConflictError, RejectedError, SupersededError
from .plan import Plan

FIELD_MANAGER = "tts-release"
RETRY_SECONDS = 90.0  # how long a call is repeated: an API server's restart takes less
INVALID = (400, 422)  # an admission webhook, the API server
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
RECEIPTS_KEPT = 10
CREATED, ENDED = "tts/created", "tts/ended"

T = TypeVar("T")


class _MissingError(Exception):
    """404."""


def _kind(group: str, version: str, kind: str, plural: str) -> type[GenericNamespacedResource]:
    """A resource as a plain dict: the walk reads a handful of fields and must not stumble over the others."""
    info = {"_api_info": create_api_info(group, version, kind, plural)}
    return type(kind, (GenericNamespacedResource,), info)


def _object(kind: type[GenericNamespacedResource], body: Mapping[str, Any]) -> GenericNamespacedResource:
    found: GenericNamespacedResource = kind(**body)
    return found


ConfigMap = _kind("", "v1", "ConfigMap", "configmaps")
PodKind = _kind("", "v1", "Pod", "pods")
Deployment = _kind("apps", "v1", "Deployment", "deployments")
Job = _kind("batch", "v1", "Job", "jobs")
LeaseKind = _kind("coordination.k8s.io", "v1", "Lease", "leases")


class Kubernetes:
    """A `cluster.Cluster` of one plan's namespace. Raises ClusterError once a call has failed for
    RETRY_SECONDS."""

    def __init__(
        self, plan: Plan, *, config: SingleConfig | None = None, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._plan = plan
        self._retry_seconds = retry_seconds
        self._client = Client(
            config=config or KubeConfig.from_env().get(),
            namespace=plan.namespace,
            field_manager=FIELD_MANAGER,
            timeout=httpx2.Timeout(10.0, connect=3.0),
            trust_env=False,
        )
        group, _, version = str(plan.route["apiVersion"]).rpartition("/")
        self._route_kind = _kind(group, version, str(plan.route["kind"]), "virtualservices")
        self._lease_name = f"{plan.name}-release"

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def job_order(self) -> Order:
        """This release's own place in the order."""
        job = self._get(Job, self._plan.release)
        if job is None:
            raise SupersededError(f"The Job {self._plan.release} does not exist any more.")
        return Order(created=str(_at(job, "metadata", "creationTimestamp")), release=self._plan.release)

    def read_lease(self) -> Lease | None:
        """The lease, or None."""
        found = self._get(LeaseKind, self._lease_name)
        if found is None:
            return None
        holder = str(_at(found, "spec", "holderIdentity") or "")
        created = str(_at(found, "metadata", "annotations", CREATED) or "")
        order = Order(created=created, release=holder.split("/", 1)[0])
        return Lease(holder=holder, order=order, resource_version=_version(found))

    def write_lease(self, holder: str, order: Order, *, resource_version: str | None) -> None:
        """Takes the lease."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._lease_name,
                "namespace": self._plan.namespace,
                "labels": self._labels(),
                "annotations": {CREATED: order.created},
            },
            "spec": {
                "holderIdentity": holder,
                "acquireTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
        self._apply(LeaseKind, body, resource_version)

    def read_route(self) -> LiveRoute | None:
        """The VirtualService, or None."""
        found = self._get(self._route_kind, self._plan.name)
        return _live(found) if found is not None else None

    def write_route(self, manifest: Mapping[str, Any], *, resource_version: str | None) -> LiveRoute:
        """Applies the VirtualService."""
        return _live(self._apply(self._route_kind, manifest, resource_version))

    def delete_route(self, *, resource_version: str) -> None:
        """Deletes the VirtualService if it is still the one that was read."""
        inner = self._client._client

        def delete() -> None:
            request = inner.prepare_request("delete", self._route_kind, name=self._plan.name)
            request.data = {"preconditions": {"resourceVersion": resource_version}}
            inner.handle_response("delete", inner.send(inner.build_adapter_request(request)), request)

        try:
            self._call(f"delete the VirtualService {self._plan.name}", delete)
        except _MissingError:
            return

    def workload(self, revision: str) -> Workload | None:
        """The revision's Deployment and pods."""
        deployment = self._get(Deployment, revision)
        if deployment is None:
            return None
        found = self._call(
            f"list the pods of {revision}",
            lambda: list(self._client.list(PodKind, labels=_pods_of(revision))),
        )
        observed = int(_at(deployment, "status", "observedGeneration") or 0)
        current = observed >= int(_at(deployment, "metadata", "generation") or 0)
        desired = _at(deployment, "spec", "replicas")
        return Workload(
            desired=1 if desired is None else int(desired),
            ready=int(_at(deployment, "status", "readyReplicas") or 0) if current else 0,
            pods=tuple(_pod(pod) for pod in found if not _at(pod, "metadata", "deletionTimestamp")),
        )

    def write_receipt(self, receipt: Mapping[str, Any]) -> None:
        """Keeps the receipt, and only the last RECEIPTS_KEPT of this name where the Role lets it."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{self._plan.release}-receipt",
                "namespace": self._plan.namespace,
                "labels": {
                    **self._labels(),
                    "tts/release": self._plan.release,
                    "tts/model": self._plan.model,
                },
                "annotations": {ENDED: str(receipt["ended"])},
            },
            "data": {"receipt.json": json.dumps(receipt, indent=1, sort_keys=True)},
        }
        self._call("keep the receipt", lambda: self._patch(ConfigMap, body))
        labels: dict[str, Any] = self._labels()
        everything = self._call(
            "list the receipts", lambda: list(self._client.list(ConfigMap, labels=labels))
        )
        receipts = [item for item in everything if _at(item, "metadata", "annotations", ENDED)]
        receipts.sort(key=lambda item: str(_at(item, "metadata", "annotations", ENDED)))
        for old in receipts[:-RECEIPTS_KEPT]:
            name = str(_at(old, "metadata", "name"))
            try:
                self._call(f"delete the receipt {name}", partial(self._client.delete, ConfigMap, name))
            except _MissingError:
                continue

    def _labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": self._plan.name,
            "app.kubernetes.io/part-of": "tts",
            "app.kubernetes.io/component": "release",
        }

    def _get(self, kind: type[GenericNamespacedResource], name: str) -> dict[str, Any] | None:
        try:
            return dict(self._call(f"read the {kind.__name__} {name}", lambda: self._client.get(kind, name)))
        except _MissingError:
            return None

    def _apply(
        self, kind: type[GenericNamespacedResource], body: Mapping[str, Any], version: str | None
    ) -> dict[str, Any]:
        """Creates, or applies under the lock of the resourceVersion."""
        what = f"{kind.__name__} {body['metadata']['name']}"
        try:
            if version is None:
                made = self._call(f"create the {what}", lambda: self._client.create(_object(kind, body)))
                return dict(made)
            locked = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
            return dict(self._call(f"apply the {what}", lambda: self._patch(kind, locked)))
        except _MissingError as error:
            raise ConflictError(f"The {what} does not exist any more.") from error

    def _patch(self, kind: type[GenericNamespacedResource], body: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(body["metadata"]["name"])
        found: Mapping[str, Any] = self._client.patch(
            kind,
            name,
            _object(kind, body),
            patch_type=PatchType.APPLY,
            field_manager=FIELD_MANAGER,
            force=True,
        )
        return found

    def _call(self, what: str, call: Callable[[], T]) -> T:
        """Calls until an answer comes that repeating would not change."""
        deadline = time.monotonic() + self._retry_seconds
        tries = 0
        while True:
            try:
                return call()
            except httpx2.HTTPStatusError as error:
                code = error.response.status_code
                if code == 404:
                    raise _MissingError from error
                if code == 409:
                    raise ConflictError(f"Could not {what}: {error}") from error
                if code != 429 and code < 500:
                    kind = RejectedError if code in INVALID else ClusterError
                    raise kind(f"Could not {what}: the API server answered {code}: {error}.") from error
                failure: Exception = error
            except httpx2.TransportError as error:
                failure = error
            except (httpx2.HTTPError, msgspec.MsgspecError) as error:
                raise ClusterError(f"Could not {what}: {error}.") from error
            if time.monotonic() >= deadline:
                raise ClusterError(f"Could not {what} for {self._retry_seconds:g} s: {failure}.") from failure
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1


def _at(document: Any, *path: str) -> Any:
    """The value at a path, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _version(document: Mapping[str, Any]) -> str:
    return str(_at(document, "metadata", "resourceVersion"))


def _live(document: Mapping[str, Any]) -> LiveRoute:
    annotations = _at(document, "metadata", "annotations") or {}
    return LiveRoute(
        resource_version=_version(document), annotations=annotations, spec=_at(document, "spec") or {}
    )


def _pods_of(revision: str) -> dict[str, Any]:
    """What selects the servers of a revision; the release's own pod carries the revision's name too."""
    return {"tts/revision": revision, "app.kubernetes.io/component": "model-server"}


def _pod(document: Mapping[str, Any]) -> Pod:
    status = _at(document, "status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    waiting = [_at(item, "state", "waiting") or {} for item in status.get("containerStatuses") or []]
    reasons = [item.get("message") or item.get("reason") for item in waiting]
    reasons += [conditions[kind].get("message") for kind in ("PodScheduled", "Ready") if kind in conditions]
    return Pod(
        name=str(_at(document, "metadata", "name")),
        address=str(status.get("podIP") or ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        message=next((str(reason) for reason in reasons if reason), ""),
    )

"""The one loop that brings Deployments, Jobs and deletions from what is declared to what is."""

from __future__ import annotations

import copy
import sys
import traceback

from local.node import clock
from local.node.controllers import deployment, job
from local.node.kinds import BY_NAME
from local.node.objects import FOREGROUND, Objects, generated_name
from local.node.pods.manager import PodManager
from local.node.store import Key, Object

DEPLOYMENT, JOB, POD, NAMESPACE = (BY_NAME[name] for name in ("Deployment", "Job", "Pod", "Namespace"))
TICK = 0.5  # seconds between looks at deadlines and back-offs when nothing changes


class Controllers:
    """Level-triggered: each pass looks at everything and needs no memory of the one before."""

    def __init__(self, objects: Objects, pods: PodManager) -> None:
        self._objects = objects
        self._store = objects.store
        self._pods = pods

    async def run(self) -> None:
        while True:
            seen = self._store.version
            try:
                self._pass()
            except Exception:  # noqa: BLE001 - one object that cannot be handled must not stop the others for good
                traceback.print_exc(file=sys.stderr)
            await self._store.changed(seen, TICK)

    def _pass(self) -> None:
        self._collect()
        for key, value in self._store.of_kind(DEPLOYMENT):
            if "deletionTimestamp" not in value["metadata"]:
                self._deployment(key, value)
        for key, value in self._store.of_kind(JOB):
            if "deletionTimestamp" not in value["metadata"]:
                self._job(key, value)
        self._pods.reconcile()

    def _deployment(self, key: Key, value: Object) -> None:
        plan = deployment.plan(value, self._owned_pods(value), clock.now())
        labels = {deployment.HASH: deployment.template_hash(value)}
        for _ in range(plan.create):
            self._add_pod(key, value, labels)
        for name in plan.delete:
            self._objects.delete(Key(POD, key.namespace, name))
        self._objects.set_status(key, plan.status)

    def _job(self, key: Key, value: Object) -> None:
        plan = job.plan(value, self._owned_pods(value), clock.now())
        if plan is None:
            return
        names = {"job-name": key.name, "batch.kubernetes.io/job-name": key.name}
        if plan.create:
            self._add_pod(key, value, names)
        for name in plan.delete:
            self._objects.delete(Key(POD, key.namespace, name))
        self._objects.set_status(key, plan.status)

    def _add_pod(self, owner: Key, value: Object, labels: dict[str, str]) -> None:
        template = copy.deepcopy(value["spec"]["template"])
        metadata = template.get("metadata", {})
        metadata["labels"] = metadata.get("labels", {}) | labels
        metadata["ownerReferences"] = [
            {
                "apiVersion": value["apiVersion"],
                "kind": value["kind"],
                "name": owner.name,
                "uid": value["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        body = {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}
        self._objects.add(Key(POD, owner.namespace, generated_name(f"{owner.name}-")), body)

    def _owned_pods(self, owner: Object) -> list[Object]:
        uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
        return [pod for _, pod in self._store.of_kind(POD, namespace) if uid in _owner_uids(pod)]

    def _collect(self) -> None:
        """Delete what belongs to nobody, and finish deletions that nothing holds up any more."""
        everything = self._store.everything()
        alive = {value["metadata"]["uid"]: value for _, value in everything}
        needed: set[str] = set()
        for key, value in everything:
            owners = _owner_uids(value)
            going = [uid for uid in owners if uid in alive and "deletionTimestamp" in alive[uid]["metadata"]]
            orphan = bool(owners) and not any(uid in alive for uid in owners)
            evicted = key.kind.namespaced and self._is_going(key.namespace)
            needed |= set(going) | ({f"namespace {key.namespace}"} if evicted else set())
            if (orphan or going or evicted) and "deletionTimestamp" not in value["metadata"]:
                self._objects.delete(key, foreground=True)
        for key, value in everything:
            metadata = value["metadata"]
            held = metadata["uid"] in needed or (key.kind is NAMESPACE and f"namespace {key.name}" in needed)
            if FOREGROUND in metadata.get("finalizers", []) and not held:
                self._store.delete(key)

    def _is_going(self, namespace: str) -> bool:
        value = self._store.get(Key(NAMESPACE, "", namespace))
        return value is not None and "deletionTimestamp" in value["metadata"]


def _owner_uids(value: Object) -> list[str]:
    return [owner["uid"] for owner in value["metadata"].get("ownerReferences", [])]

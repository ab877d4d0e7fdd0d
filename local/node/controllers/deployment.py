"""Deployments: which pods to make and to delete, and what to say about it. Pure decisions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from local.node.clock import seconds_since

Object = dict[str, Any]
HASH = "pod-template-hash"


@dataclass(frozen=True)
class DeploymentPlan:
    """`create` new pods of the current template, `delete` pods by name, write `status`."""

    create: int
    delete: tuple[str, ...]
    status: Object


def template_hash(deployment: Object) -> str:
    """Names a pod template; pods carry it in the label `pod-template-hash`."""
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def plan(deployment: Object, pods: list[Object], at: str) -> DeploymentPlan:
    """What to do for a deployment with these pods (of any template) at a time.

    Pods of a changed template replace the old ones one by one, each available first.
    """
    spec = deployment["spec"]
    wanted: int = spec.get("replicas", 1)
    current = template_hash(deployment)
    live = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    new = [pod for pod in live if pod["metadata"]["labels"].get(HASH) == current]
    old = [pod for pod in live if pod not in new]
    available = [pod for pod in live if _available(pod, spec.get("minReadySeconds", 0), at)]
    room = wanted + (1 if old else 0) - len(live)
    create = max(0, min(wanted - len(new), room))
    delete = _surplus(new, len(new) - wanted, available)
    useless = [pod for pod in old if pod not in available]
    spare = len([pod for pod in available if pod["metadata"]["name"] not in delete]) - wanted
    delete += [pod["metadata"]["name"] for pod in useless] if wanted == 0 or len(new) >= wanted else []
    delete += [pod["metadata"]["name"] for pod in old if pod in available][: max(0, spare)]
    counts = {
        "replicas": len(live),
        "updatedReplicas": len(new),
        "readyReplicas": len([pod for pod in live if is_ready(pod)]),
        "availableReplicas": len(available),
        "unavailableReplicas": max(0, wanted - len(available)),
    }
    return DeploymentPlan(create, tuple(delete), _status(deployment, counts, wanted, at))


def is_ready(pod: Object) -> bool:
    return any(
        item["type"] == "Ready" and item["status"] == "True"
        for item in pod.get("status", {}).get("conditions", [])
    )


def _available(pod: Object, seconds: int, at: str) -> bool:
    if not is_ready(pod):
        return False
    since = next(
        item["lastTransitionTime"] for item in pod["status"]["conditions"] if item["type"] == "Ready"
    )
    return seconds_since(since, at) >= seconds


def _surplus(pods: list[Object], count: int, available: list[Object]) -> list[str]:
    """The names of pods to do without: those not available first, then the youngest."""
    oldest_last = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    order = sorted(oldest_last, key=lambda pod: pod in available)
    return [pod["metadata"]["name"] for pod in order[: max(0, count)]]


def _status(deployment: Object, counts: dict[str, int], wanted: int, at: str) -> Object:
    before = deployment.get("status", {})
    known = {item["type"]: item for item in before.get("conditions", [])}
    complete = counts["updatedReplicas"] == counts["availableReplicas"] == counts["replicas"] == wanted
    enough = counts["availableReplicas"] >= wanted - wanted // 4
    generation = deployment["metadata"]["generation"]
    moved = before.get("observedGeneration") != generation or any(before.get(k) != counts[k] for k in counts)
    conditions = [
        _condition(
            known.get("Available"),
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
            if enough
            else {"type": "Available", "status": "False", "reason": "MinimumReplicasUnavailable"},
            f"{counts['availableReplicas']} of {wanted} replicas are available.",
            at,
        ),
        _progress(deployment, known.get("Progressing"), complete=complete, moved=moved, at=at),
    ]
    return {"observedGeneration": generation, **counts, "conditions": conditions}


def _progress(deployment: Object, before: Object | None, *, complete: bool, moved: bool, at: str) -> Object:
    name = deployment["metadata"]["name"]
    generation_seen = (
        deployment.get("status", {}).get("observedGeneration") == deployment["metadata"]["generation"]
    )
    done = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    if complete:
        return _condition(before, done, f'Deployment "{name}" has successfully progressed.', at)
    if before and generation_seen and before["reason"] == "NewReplicaSetAvailable":
        return before  # A complete rollout stays complete; what its pods do later is said by Available.
    limit = deployment["spec"].get("progressDeadlineSeconds", 600)
    if before and not moved and seconds_since(before["lastUpdateTime"], at) >= limit:
        late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
        return _condition(before, late, f'Deployment "{name}" has made no progress for {limit} s.', at)
    if before and not moved:
        return before
    going = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
    return _condition(before, going, f'Deployment "{name}" is progressing.', at) | {"lastUpdateTime": at}


def _condition(before: Object | None, now: Object, message: str, at: str) -> Object:
    same = before is not None and before["status"] == now["status"]
    changed = not same or before is None or before["reason"] != now["reason"]
    return {
        **now,
        "message": message,
        "lastTransitionTime": before["lastTransitionTime"] if same and before else at,
        "lastUpdateTime": at if changed or before is None else before["lastUpdateTime"],
    }

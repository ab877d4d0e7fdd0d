"""A pod's status as Kubernetes shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ContainerState:
    """What is known of the one container of a pod; `state` and `last_state` are as in Kubernetes."""

    phase: str = "Pending"
    started: bool = False
    ready: bool = False
    why_not_ready: str = "not started yet"
    restarts: int = 0
    state: dict[str, Any] = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: dict[str, Any] = field(default_factory=dict)


def pod_status(pod: dict[str, Any], container: ContainerState, *, address: str, at: str) -> dict[str, Any]:
    """The status; a condition keeps its transition time while it stays what it is."""
    declared = pod["spec"]["containers"][0]
    before = {item["type"]: item for item in pod.get("status", {}).get("conditions", [])}
    done = container.phase in ("Succeeded", "Failed")
    why = f"containers with unready status: [{declared['name']}]: {container.why_not_ready}"
    ready = {"reason": "PodCompleted" if done else "ContainersNotReady", "message": why}
    conditions = []
    for kind, holds in (
        ("PodScheduled", True),
        ("Initialized", True),
        ("ContainersReady", container.ready),
        ("Ready", container.ready),
    ):
        status = "True" if holds else "False"
        same = kind in before and before[kind]["status"] == status
        time = before[kind]["lastTransitionTime"] if same else at
        condition = {"type": kind, "status": status, "lastTransitionTime": time}
        conditions.append(condition | ({} if holds else ready))
    return {
        "phase": container.phase,
        "hostIP": "127.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": pod.get("status", {}).get("startTime", at),
        "conditions": conditions,
        "containerStatuses": [
            {
                "name": declared["name"],
                "image": declared["image"],
                "imageID": "",
                "ready": container.ready,
                "started": container.started,
                "restartCount": container.restarts,
                "state": container.state,
                "lastState": container.last_state,
            }
        ],
    }

"""Why a Deployment or a Job is not where it should be, read from statuses alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

CRASHES = 3
"""Restarts after which a container that never got ready is given up, well before its progress deadline."""


def condition(manifest: Object, name: str) -> Mapping[str, Any]:
    """Return the condition of that type, an empty mapping where there is none."""
    for found in manifest.get("status", {}).get("conditions") or []:
        if found.get("type") == name:
            return dict(found)
    return {}


def holds(manifest: Object, name: str) -> bool:
    """Whether the condition of that type is `True`."""
    return condition(manifest, name).get("status") == "True"


def deployment_ready(deployment: Object) -> bool:
    """Whether all wanted pods are of the newest template, ready, and no others are left."""
    status, metadata = deployment.get("status", {}), deployment.get("metadata", {})
    wanted = deployment.get("spec", {}).get("replicas", 1)
    counts = (
        status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return status.get("observedGeneration", 0) >= metadata.get("generation", 0) and all(
        count == wanted for count in counts
    )


def deadline_exceeded(deployment: Object) -> bool:
    """Whether the Deployment gave up by its own progress deadline, for its newest generation."""
    progressing = condition(deployment, "Progressing")
    status, metadata = deployment.get("status", {}), deployment.get("metadata", {})
    current = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    return current and progressing.get("reason") == "ProgressDeadlineExceeded"


def crash_loop(pods: Iterable[Object]) -> bool:
    """Whether a container ends again and again before it is ready: it will not get ready by waiting."""
    return any(
        container.get("restartCount", 0) >= CRASHES
        and container.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses") or []
    )


def why_not_ready(pods: Iterable[Object]) -> list[str]:
    """Return a sentence for each thing that keeps a pod from being ready."""
    found: list[str] = []
    for pod in pods:
        name = pod["metadata"]["name"]
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            found.append(f"Pod {name} is not scheduled: {scheduled.get('message', scheduled.get('reason'))}")
        for container in pod.get("status", {}).get("containerStatuses") or []:
            found += [f"Pod {name}, {said}" for said in _container(container)]
        if not pod.get("status", {}).get("containerStatuses") and scheduled.get("status") != "False":
            found.append(f"Pod {name} is {pod.get('status', {}).get('phase', 'Pending')}.")
    return found


def termination_messages(pods: Iterable[Object]) -> list[str]:
    """Return the lines that ended containers left as their termination message, the newest pod's last."""
    found: list[str] = []
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))):
        for container in pod.get("status", {}).get("containerStatuses") or []:
            ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get(
                "terminated"
            )
            if ended and ended.get("message"):
                found += str(ended["message"]).strip().splitlines()
    return found


def _container(status: Mapping[str, Any]) -> list[str]:
    found = []
    state = status.get("state", {})
    ended = state.get("terminated") or status.get("lastState", {}).get("terminated")
    if ended:
        words = f"container {status.get('name')} ended with exit code {ended.get('exitCode')}"
        message = " ".join(str(ended.get("message") or ended.get("reason") or "").split())
        found.append(f"{words}: {message}" if message else f"{words}.")
    waiting = state.get("waiting")
    if waiting:
        message = f": {waiting['message']}" if waiting.get("message") else "."
        found.append(f"container {status.get('name')} waits, {waiting.get('reason')}{message}")
    if "running" in state and not status.get("ready"):
        found.append(f"container {status.get('name')} runs and is not ready yet.")
    return found

"""Why a Deployment or a Job is not where it should be, read from statuses alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

NOTHING_SAID: Mapping[str, str] = {}
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


def finished(job: Object, pods: Iterable[Object]) -> bool:
    """Whether the one pod that a Job needs has succeeded: nothing changes that any more, and the Job itself
    says so seconds later."""
    wanted, uid = job.get("spec", {}).get("completions") or 1, job["metadata"].get("uid")
    succeeded = [
        pod
        for pod in pods
        if pod.get("status", {}).get("phase") == "Succeeded"
        and any(owner.get("uid") == uid for owner in pod["metadata"].get("ownerReferences") or [])
    ]
    return len(succeeded) >= wanted


def no_progress(deployment: Object) -> str:
    """Return the sentence for a Deployment whose progress deadline is over: which budgets it adds up."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]
    budget = max(start_budgets(spec.get("template", {})).values(), default=0)
    start = "to load (load.budgetSeconds of its catalog entry)"
    if fetches(spec.get("template", {})):
        start = "to fetch the model files (tts:timeouts.pullSeconds) and load them (load.budgetSeconds)"
    load = f", of which {budget} s {start}" if budget else ""
    return (
        f"Deployment {name} made no progress for {spec.get('progressDeadlineSeconds', 600)} s, its progress "
        f"deadline: the budgets for a node and for the image (tts:timeouts) and for the load{load}."
    )


def fetches(pod: Object) -> bool:
    """Whether a pod, or a pod template, fetches its model files when it starts."""
    containers = pod.get("spec", {}).get("containers") or []
    return any(item.get("name") == "TTS_CACHE_DIR" for each in containers for item in each.get("env") or [])


def start_budgets(pod: Object) -> dict[str, int]:
    """Return how many seconds each container of a pod, or of a pod template, may take to start, by its
    startup probe; containers without one are left out."""
    return {
        container["name"]: int(probe.get("failureThreshold", 3)) * int(probe.get("periodSeconds", 10))
        for container in pod.get("spec", {}).get("containers") or []
        if (probe := container.get("startupProbe"))
    }


def starting(pods: Iterable[Object]) -> list[str]:
    """Return the names of the pods that run and have not been ready yet: their logs say how far they are."""
    return [
        pod["metadata"]["name"]
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses") or []
        if "running" in container.get("state", {}) and not container.get("started")
    ]


def why_not_ready(pods: Iterable[Object], last_words: Mapping[str, str] = NOTHING_SAID) -> list[str]:
    """Return a sentence for each thing that keeps a pod from being ready. `last_words`: the last line of the
    log of a pod that starts, by its name."""
    found: list[str] = []
    for pod in pods:
        name = pod["metadata"]["name"]
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False":
            found.append(f"Pod {name} is not scheduled: {scheduled.get('message', scheduled.get('reason'))}")
        budgets, doing = start_budgets(pod), "fetch its model files and load" if fetches(pod) else "load"
        for container in pod.get("status", {}).get("containerStatuses") or []:
            budget = budgets.get(container.get("name", ""), 0)
            may = f"it may take {budget} s to {doing}" if budget else ""
            found += [f"Pod {name}, {said}" for said in _container(container, may, last_words.get(name, ""))]
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


def _container(status: Mapping[str, Any], may: str, last_words: str) -> list[str]:
    """`may`: what the container may take to start; `last_words`: the last line of its log."""
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
        added = "" if status.get("started") else "".join(f"; {words}" for words in (may, last_words) if words)
        found.append(f"container {status.get('name')} runs and is not ready yet{added.rstrip('.')}.")
    return found

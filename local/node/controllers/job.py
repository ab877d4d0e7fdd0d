"""Jobs: when to start a pod, when the job is complete or failed. Pure decisions.

A failed pod is followed by a new one after 1 s, 2 s, 4 s ... up to 60 s (Kubernetes: 10 s to 6 min).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.node.clock import seconds_since

Object = dict[str, Any]
LONGEST_BACKOFF = 60  # seconds
DEFAULT_BACKOFF_LIMIT = 6


@dataclass(frozen=True)
class JobPlan:
    """Whether to `create` a pod, which pods to `delete` by name, and the `status` to write."""

    create: bool
    delete: tuple[str, ...]
    status: Object


def is_finished(job: Object) -> bool:
    conditions = job.get("status", {}).get("conditions", [])
    return any(item["type"] in ("Complete", "Failed") and item["status"] == "True" for item in conditions)


def plan(job: Object, pods: list[Object], at: str) -> JobPlan | None:
    """What to do for a job with these pods at a time; None once it is finished."""
    if is_finished(job):
        return None
    failed = [pod for pod in pods if _phase(pod) == "Failed" and "deletionTimestamp" not in pod["metadata"]]
    active = [pod for pod in pods if pod not in failed and _phase(pod) != "Succeeded"]
    succeeded = [pod for pod in pods if _phase(pod) == "Succeeded"]
    status: Object = {
        "startTime": job.get("status", {}).get("startTime", at),
        "active": len(active),
        "ready": 0,
        "succeeded": len(succeeded),
        "failed": len(failed),
    }
    verdict = _verdict(job, succeeded, failed, status["startTime"], at)
    if verdict:
        status["active"] = 0
        status["conditions"] = [verdict]
        if verdict["type"] == "Complete":
            status["completionTime"] = at
        return JobPlan(False, tuple(pod["metadata"]["name"] for pod in active), status)
    create = not active and not succeeded and _rested(failed, at)
    status["active"] += int(create)
    return JobPlan(create, (), status)


def _verdict(
    job: Object, succeeded: list[Object], failed: list[Object], began: str, at: str
) -> Object | None:
    spec = job["spec"]
    if succeeded:
        return _condition("Complete", "CompletionsReached", "Reached expected number of succeeded pods", at)
    rules = spec.get("podFailurePolicy", {}).get("rules", [])
    counted = 0
    for pod in failed:
        code = pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
        number, action = failure_action(rules, code)
        if action == "FailJob":
            metadata = pod["metadata"]
            name = pod["spec"]["containers"][0]["name"]
            where = f"Container {name} for pod {metadata['namespace']}/{metadata['name']}"
            message = f"{where} failed with exit code {code} matching FailJob rule at index {number}"
            return _condition("Failed", "PodFailurePolicy", message, at)
        counted += action == "Count"
    if counted > spec.get("backoffLimit", DEFAULT_BACKOFF_LIMIT):
        return _condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit", at)
    limit = spec.get("activeDeadlineSeconds")
    if limit is not None and seconds_since(began, at) >= limit:
        return _condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline", at)
    return None


def failure_action(rules: list[Object], code: int) -> tuple[int, str]:
    """The first rule that an exit code matches, by its position and action; (-1, "Count") where none does."""
    for number, rule in enumerate(rules):
        codes = rule.get("onExitCodes")
        if codes and code != 0 and (code in codes["values"]) == (codes["operator"] == "In"):
            return number, rule["action"]
    return -1, "Count"


def _rested(failed: list[Object], at: str) -> bool:
    if not failed:
        return True
    last = max(pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] for pod in failed)
    backoff: int = min(LONGEST_BACKOFF, 2 ** min(10, len(failed) - 1))
    return seconds_since(last, at) >= backoff


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", "Pending"))


def _condition(kind: str, reason: str, message: str, at: str) -> Object:
    times = {"lastProbeTime": at, "lastTransitionTime": at}
    return {"type": kind, "status": "True", "reason": reason, "message": message, **times}

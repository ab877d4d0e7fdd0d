"""What a release reads of Kubernetes' objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .api import at
from .cluster import Pod

CRASHES = 3
"""Restarts after which a container that never got ready is given up, well before its progress deadline: the
same as `python -m local`'s, since what one of them gives up the other must not make live."""


def pod_of(document: Mapping[str, Any]) -> Pod:
    status = at(document, "status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    containers = status.get("containerStatuses") or []
    waiting = [at(item, "state", "waiting") or {} for item in containers]
    reasons = [item.get("message") or item.get("reason") for item in waiting]
    reasons += [conditions[kind].get("message") for kind in ("PodScheduled", "Ready") if kind in conditions]
    return Pod(
        name=str(at(document, "metadata", "name")),
        address=str(status.get("podIP") or ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        message=next((str(reason) for reason in reasons if reason), ""),
        port=_port(document),
        restarts=sum(int(item.get("restartCount") or 0) for item in containers),
        ended=next((said for item in containers if (said := _ended(item))), ""),
        looping=any(_loops(item) for item in containers),
    )


def _loops(container: Mapping[str, Any]) -> bool:
    restarts, reason = container.get("restartCount") or 0, at(container, "state", "waiting", "reason")
    return restarts >= CRASHES and reason == "CrashLoopBackOff"


def _port(document: Mapping[str, Any]) -> int:
    """The port named http of the pod's containers, 0 for none."""
    containers = at(document, "spec", "containers") or []
    ports = [port for container in containers for port in container.get("ports") or []]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == "http"), 0)


def _ended(container: Mapping[str, Any]) -> str:
    """How a container ended before it was started again: `OOMKilled (exit code 137)`."""
    last = at(container, "lastState", "terminated") or {}
    if not last:
        return ""
    words = {"OOMKilled": "it was killed for using more memory than its limit (OOMKilled"}
    reason = str(last.get("reason") or "Error")
    begin = words.get(reason, f"it ended by itself ({reason}")
    message = " ".join(str(last.get("message") or "").split())
    said = f": {message[:200]}" if message else ""
    return f"{begin}, exit code {last.get('exitCode')}){said}"

"""`status` and `logs`: what is live, read from the cluster alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.engine import config as stack_config
from local.engine.cluster import Cluster, Manifest
from local.engine.diagnosis import holds, why_not_ready
from local.engine.kinds import CONFIG_MAP, DEPLOYMENT, JOB, POD, VIRTUAL_SERVICE, Address
from local.engine.objects import STACK_LABEL
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.route import OWNER, shares
from local.engine.target import Target
from local.engine.update import NAME_LABEL, PART_OF

_ROUTE_MANAGER = "tts-release"


def tell_status(target: Target, platform: Platform, report: Report) -> int:
    """Print the live route, who wrote it and when, the pods and the receipt; return the exit status."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    cluster = platform.running_cluster()
    namespace, name = _scope(cluster, target.stack, platform.scope(config))
    if not name:
        report.say(f"Stack {target.stack} has nothing here; `make up {target.words}` brings it up.")
        return 1
    labels = f"{PART_OF},{NAME_LABEL}={name}"
    routes = cluster.find(VIRTUAL_SERVICE, labels=labels, namespace=namespace)
    for route in routes:
        _tell_route(cluster, route, platform, report)
    if not routes:
        report.say("No route yet: no version has been released.")
    for pod in cluster.find(POD, labels=labels, namespace=namespace):
        state = "ready" if holds(pod, "Ready") else pod.get("status", {}).get("phase", "Pending")
        report.say(f"  pod {pod['metadata']['name']}: {state}")
        if state not in ("ready", "Succeeded"):
            for sentence in why_not_ready([pod]):
                report.say(f"    {sentence}")
    return 0


def tell_logs(
    target: Target, platform: Platform, report: Report, *, previous: bool, follow: bool, tail: int
) -> int:
    """Print the last `tail` lines of each pod's log, or follow them all; return the exit status."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    cluster = platform.running_cluster()
    namespace, name = _scope(cluster, target.stack, platform.scope(config))
    pods = cluster.find(POD, labels=f"{PART_OF},{NAME_LABEL}={name}", namespace=namespace) if name else []
    if not pods:
        report.say(f"Stack {target.stack} has no pods here.")
        return 1
    names = [pod["metadata"]["name"] for pod in pods]
    if follow:
        _each(names, lambda pod: _print(report, pod, cluster.follow_log(namespace, pod, tail=tail)))
        return 0
    for pod in names:
        _print(report, pod, cluster.pod_log(namespace, pod, previous=previous, tail=tail))
    return 0


def _scope(cluster: Cluster, stack: str, only: str | None) -> tuple[str, str]:
    """Return the namespace and the name of a stack's own objects and pods, empty when it has none."""
    for kind in (VIRTUAL_SERVICE, DEPLOYMENT, JOB):
        for found in cluster.find(kind, labels=f"{STACK_LABEL}={stack}", namespace=only):
            metadata = found["metadata"]
            if NAME_LABEL in metadata["labels"]:
                return metadata["namespace"], metadata["labels"][NAME_LABEL]
    return "", ""


def _tell_route(cluster: Cluster, route: Manifest, platform: Platform, report: Report) -> None:
    metadata = route["metadata"]
    owner = metadata.get("annotations", {}).get(OWNER, "").partition("/")[0]
    receipt = _receipt(cluster, metadata["namespace"], owner)
    url = platform.url("")
    report.say(f"Route {metadata['name']} in namespace {metadata['namespace']}{f', {url}' if url else ''}:")
    for share in shares(route):
        report.say(f"  {share.weight:3} %  {share.version or '(version not pinned)'}  {share.revision}")
    since = receipt.get("ended") or _written(route)
    words = [f"since {since}" if since else "", f"by release {owner}" if owner else ""]
    if any(words):
        report.say("  " + ", ".join(word for word in words if word))
    if receipt:
        verdict = "; ".join(str(sentence) for sentence in receipt.get("verdict", []))
        report.say(f"  receipt: {receipt.get('outcome')}{f' ({verdict})' if verdict else ''}")


def _receipt(cluster: Cluster, namespace: str, release: str) -> dict[str, Any]:
    found = cluster.get(Address(CONFIG_MAP, namespace, f"{release}-receipt")) if release else None
    document: dict[str, Any] = json.loads(found["data"]["receipt.json"]) if found else {}
    return document


def _written(route: Mapping[str, Any]) -> str:
    """Return when a release last wrote the route, empty where the server does not tell."""
    for entry in route["metadata"].get("managedFields") or []:
        if entry.get("manager") == _ROUTE_MANAGER:
            return str(entry.get("time", ""))
    return str(route["metadata"].get("creationTimestamp", ""))


def _print(report: Report, pod: str, lines: Any) -> None:
    for line in lines:
        report.say(f"{pod}  {line}")


def _each(names: Sequence[str], work: Callable[[str], None]) -> None:
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

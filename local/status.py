"""`status` and `logs`: what is live, read from the cluster alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.engine import config as stack_config
from local.engine.cluster import Cluster, Manifest
from local.engine.diagnosis import holds, why_not_ready
from local.engine.kinds import CONFIG_MAP, DEPLOYMENT, EVENT, JOB, POD, VIRTUAL_SERVICE
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.route import OWNER, reachable, settled, shares
from local.engine.steps import STACK_LABEL
from local.engine.target import Target
from local.engine.update import NAME_LABEL, PART_OF
from local.engine.verdicts import Verdict, made_live, newest_events, verdicts, way_back

_ROUTE_MANAGER = "tts-release"
_SENTENCES = 4  # of a verdict; the receipt holds them all


def tell_status(target: Target, platform: Platform, report: Report) -> int:
    """Print what is live, the last verdict, events, pods and the way back; return the exit status."""
    config = stack_config.load(target.root, target.stack, target.overrides)
    cluster = platform.running_cluster()
    namespace, name = _scope(cluster, target.stack, platform.scope(config))
    if not name:
        report.say(f"Stack {target.stack} has nothing here; `make up {target.words}` brings it up.")
        return 1
    labels = f"{PART_OF},{NAME_LABEL}={name}"
    known = verdicts(cluster.find(CONFIG_MAP, labels=labels, namespace=namespace))
    routes = cluster.find(VIRTUAL_SERVICE, labels=labels, namespace=namespace)
    for route in routes:
        _tell_route(route, known, platform, report)
    if not routes:
        report.say("No route yet: no version has been released.")
    _tell_verdict(known, report)
    events = newest_events(cluster.find(EVENT, labels=labels, namespace=namespace))
    for number, line in enumerate(events):
        report.say(f"  {line}" if number else f"Last events:\n  {line}")
    _tell_pods(cluster.find(POD, labels=labels, namespace=namespace), report)
    live = next((share.version for route in routes for share in shares(route)), "")
    if live:
        report.say(way_back(live, known, target.words))
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


def _tell_route(route: Manifest, known: Sequence[Verdict], platform: Platform, report: Report) -> None:
    metadata = route["metadata"]
    owner = metadata.get("annotations", {}).get(OWNER, "").partition("/")[0]
    url = platform.url("")
    report.say(f"Route {metadata['name']} in namespace {metadata['namespace']}{f', {url}' if url else ''}:")
    for share in reachable(route):
        role = "  canary, fed copies of all speech requests" if share.mirrored else ""
        role = role or ("" if share.weight else "  reached by header alone")
        report.say(f"  {share.weight:3} %  {share.version or '(version not pinned)'}  {share.revision}{role}")
    first = next(iter(shares(route)), None)
    made = made_live(first.revision, known) if first else None
    since, release = (made.ended, made.release) if made else (_written(route), owner)
    words = [f"since {since}" if since else "", f"by release {release}" if release else ""]
    if any(words):
        report.say("  " + ", ".join(word for word in words if word))
    if not settled(route):
        report.say("  Not settled: a release is moving the weights, or was cut off and goes on.")


def _tell_verdict(known: Sequence[Verdict], report: Report) -> None:
    """The newest one, whichever release it is of."""
    for verdict in known[:1]:
        report.say(f"Last verdict, {verdict.ended}, version {verdict.version} by {verdict.release}:")
        report.say(f"  {verdict.outcome}")
        for sentence in verdict.sentences[:_SENTENCES]:
            report.say(f"  {sentence}")
        if verdict.traffic:
            report.say(f"  guard: {verdict.traffic}")


def _tell_pods(pods: Sequence[Manifest], report: Report) -> None:
    for pod in pods:
        state = "ready" if holds(pod, "Ready") else pod.get("status", {}).get("phase", "Pending")
        report.say(f"  pod {pod['metadata']['name']}: {state}")
        if state not in ("ready", "Succeeded"):
            for sentence in why_not_ready([pod]):
                report.say(f"    {sentence}")


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

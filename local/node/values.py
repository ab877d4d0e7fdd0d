"""Values that the embedded node refuses in fields it carries out: a sentence for each, per kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
SECONDS_OF = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
SHORTEST_SECONDS = 0.001
CLUSTER = "use a cluster for that"


def _pod_values(spec: dict[str, Any]) -> Iterator[str]:
    pod = spec.get("template", {}).get("spec", {})
    containers = pod.get("containers", [])
    if len(containers) != 1:
        count = len(containers)
        yield f"spec.template.spec.containers has {count} items; a pod here is one process: declare one."
    for container in containers:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            how = {"httpGet", "tcpSocket", "exec"} & container.get(probe, {}).keys()
            if probe in container and len(how) != 1:
                yield f"{probe} must name one of httpGet, tcpSocket and exec."
        for variable in container.get("env", []):
            field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            if field not in (None, "metadata.name", "metadata.namespace", "status.podIP"):
                known = "metadata.name, metadata.namespace or status.podIP"
                yield f"env {variable.get('name')}: fieldPath {field} is unknown; use {known}."


def _deployment_values(spec: dict[str, Any]) -> Iterator[str]:
    selector = spec.get("selector", {}).get("matchLabels", {})
    labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
    if not selector or selector.items() - labels.items():
        labels_of = "spec.template.metadata.labels"
        yield f"spec.selector.matchLabels {json.dumps(selector)} must name labels of {labels_of}."
    if spec.get("template", {}).get("spec", {}).get("restartPolicy", "Always") != "Always":
        yield "spec.template.spec.restartPolicy of a Deployment must be Always."
    if not 0 <= spec.get("replicas", 1) <= 100:
        yield f"spec.replicas is {spec['replicas']}; this one machine runs between 0 and 100."


def _job_values(spec: dict[str, Any]) -> Iterator[str]:
    if spec.get("template", {}).get("spec", {}).get("restartPolicy") != "Never":
        yield "spec.template.spec.restartPolicy of a Job must be Never; a new pod follows a failed one."
    for field in ("completions", "parallelism"):
        if spec.get(field, 1) != 1:
            yield f"spec.{field} is {spec[field]}; a Job here runs one pod at a time to one completion."
    for rule in spec.get("podFailurePolicy", {}).get("rules", []):
        if rule.get("action") not in ("FailJob", "Ignore", "Count"):
            yield f"podFailurePolicy action {rule.get('action')} is unknown; use FailJob, Ignore or Count."
        codes = rule.get("onExitCodes")
        if codes and (codes.get("operator") not in ("In", "NotIn") or not codes.get("values")):
            yield "podFailurePolicy onExitCodes needs an operator In or NotIn and values."


def _service_values(spec: dict[str, Any]) -> Iterator[str]:
    if spec.get("type", "ClusterIP") != "ClusterIP":
        yield f"spec.type is {spec['type']}; only ClusterIP exists here: the gateway is the way in."
    if any(port.get("protocol", "TCP") != "TCP" for port in spec.get("ports", [])):
        yield "spec.ports[].protocol must be TCP."


def _gateway_values(spec: dict[str, Any]) -> Iterator[str]:
    if spec.get("selector", {}).get("istio") != "ingressgateway":
        yield "spec.selector must be `istio: ingressgateway`, the one gateway of this machine."
    for server in spec.get("servers", []):
        port = server.get("port", {})
        if port.get("number") != 80 or port.get("protocol") != "HTTP":
            yield f"spec.servers[].port is {json.dumps(port)}; only number 80 with protocol HTTP exists here."


def _route_values(spec: dict[str, Any]) -> Iterator[str]:
    for field in ("hosts", "gateways", "http"):
        if not spec.get(field):
            yield f"spec.{field} is missing or empty."
    for number, http in enumerate(spec.get("http", [])):
        label = f"spec.http[{number}]"
        routes = http.get("route", [])
        weights = [route.get("weight", 100 if len(routes) == 1 else 0) for route in routes]
        if sum(weights) != 100 or min(weights, default=-1) < 0:
            yield f"{label} has the weights {weights}; they must not be negative and must sum to 100."
        yield from _duration_values(http, label)
        if any("number" not in route.get("destination", {}).get("port", {}) for route in routes):
            yield f"{label}: each destination needs port.number."
        for match in http.get("match", []):
            yield from _match_values(match, label)


def _match_values(match: dict[str, Any], label: str) -> Iterator[str]:
    for name, how in match.get("headers", {}).items():
        if list(how) != ["exact"]:
            yield f"{label}: header {name} is matched by {', '.join(how)}; only exact is carried out."
    if match.get("uri", {}).keys() not in (set(), {"exact"}, {"prefix"}):
        how = ", ".join(match["uri"])
        yield f"{label}: uri is matched by {how}; only exact or prefix is carried out."


def _duration_values(http: dict[str, Any], label: str) -> Iterator[str]:
    """A sentence for each duration that Istio itself refuses, `0s` above all."""
    for path, holder in (("timeout", http), ("retries.perTryTimeout", http.get("retries", {}))):
        name = path.rpartition(".")[2]
        if name in holder and _seconds(holder[name]) < SHORTEST_SECONDS:
            yield (
                f"{label}.{path} is {json.dumps(holder[name])}; Istio takes a duration of at least 1ms there,"
                " and none where it is left out."
            )


def _seconds(duration: Any) -> float:
    """The seconds of a duration such as 1h30m or 500ms; 0 of what is none."""
    parts = DURATION_PART.findall(str(duration))
    if "".join(number + unit for number, unit in parts) != duration:
        return 0.0
    return sum(float(number) * SECONDS_OF[unit] for number, unit in parts)


VALUES = {
    "Deployment": (_pod_values, _deployment_values),
    "Job": (_pod_values, _job_values),
    "Service": (_service_values,),
    "Gateway": (_gateway_values,),
    "VirtualService": (_route_values,),
}

"""Istio's objects as Envoy's configuration. A pure function of the objects.

Every Service is a cluster, its endpoints are the ready pods that are not ending. Routes name known clusters
only; a destination that does not exist becomes a cluster without endpoints, answered 503 as in Istio.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local.node.controllers.deployment import is_ready
from local.node.selectors import has_labels

Object = dict[str, Any]
NOWHERE = "no-such-service"
NO_ROUTE = "No VirtualService routes this host and path on the gateway of the embedded platform.\n"
ENDPOINT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
# Servers close idle connections (uvicorn after 5 s): the gateway does so first, so that no request is lost.
UPSTREAM_IDLE = "3s"


@dataclass(frozen=True)
class GatewayConfig:
    """Endpoints by cluster, as ("address", port), and the virtual hosts of the one route table."""

    endpoints: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    virtual_hosts: tuple[Object, ...] = ()


def gateway_config(
    services: list[Object], pods: list[Object], gateways: list[Object], virtual_services: list[Object]
) -> GatewayConfig:
    """What the gateway has to do for these objects."""
    endpoints = {}
    for service in services:
        for port in service["spec"].get("ports", []):
            endpoints[_cluster(service["metadata"], port["port"])] = _endpoints(service, port, pods)
    hosts: dict[str, list[Object]] = {}
    for virtual_service in sorted(virtual_services, key=lambda item: item["metadata"]["creationTimestamp"]):
        routes = [
            route
            for http in virtual_service["spec"]["http"]
            for route in _routes(http, virtual_service, endpoints.keys())
        ]
        for domain in _domains(virtual_service, gateways):
            hosts.setdefault(domain, routes)
    fallback = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 404, "body": {"inline_string": NO_ROUTE}},
    }
    tables = [
        {"name": domain, "domains": [domain], "routes": [*routes, fallback]}
        for domain, routes in sorted(hosts.items())
    ]
    if "*" not in hosts:
        tables.append({"name": "*", "domains": ["*"], "routes": [fallback]})
    return GatewayConfig(endpoints, tuple(tables))


def cluster_resource(name: str, folder: str) -> Object:
    """A cluster whose endpoints are read from `<folder>/<name>.json`."""
    return {
        "@type": CLUSTER,
        "name": name,
        "type": "EDS",
        "connect_timeout": "2s",
        "eds_cluster_config": {
            "eds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": f"{folder}/{name}.json"},
            }
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": HTTP_OPTIONS,
                "explicit_http_config": {"http_protocol_options": {}},
                "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE},
            }
        },
    }


def endpoint_resource(name: str, endpoints: tuple[tuple[str, int], ...]) -> Object:
    """The endpoints of a cluster."""
    addresses = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        for address, port in endpoints
    ]
    return {"@type": ENDPOINT, "cluster_name": name, "endpoints": [{"lb_endpoints": addresses}]}


def _cluster(metadata: Object, port: int) -> str:
    return f"{metadata['name']}.{metadata['namespace']}.{port}"


def _endpoints(service: Object, port: Object, pods: list[Object]) -> tuple[tuple[str, int], ...]:
    namespace, selector = service["metadata"]["namespace"], service["spec"].get("selector", {})
    found = []
    for pod in pods:
        metadata = pod["metadata"]
        if metadata["namespace"] != namespace or "deletionTimestamp" in metadata or not is_ready(pod):
            continue
        number = _target_port(port, pod)
        if has_labels(pod, selector) and number is not None:
            found.append((pod["status"]["podIP"], number))
    return tuple(sorted(found))


def _target_port(port: Object, pod: Object) -> int | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    declared = pod["spec"]["containers"][0].get("ports", [])
    return next((item["containerPort"] for item in declared if item.get("name") == target), None)


def _domains(virtual_service: Object, gateways: list[Object]) -> list[str]:
    """The hosts of a VirtualService that a gateway it names lets in."""
    namespace = virtual_service["metadata"]["namespace"]
    named = {name if "/" in name else f"{namespace}/{name}" for name in virtual_service["spec"]["gateways"]}
    let_in = [
        host.rpartition("/")[2]
        for gateway in gateways
        if f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}" in named
        for server in gateway["spec"].get("servers", [])
        for host in server.get("hosts", [])
    ]
    return [
        host for host in virtual_service["spec"]["hosts"] if any(_covers(pattern, host) for pattern in let_in)
    ]


def _covers(pattern: str, host: str) -> bool:
    return pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _routes(http: Object, virtual_service: Object, known: Any) -> list[Object]:
    """One Envoy route for each match of an entry (one for an entry without any)."""
    namespace = virtual_service["metadata"]["namespace"]

    def cluster(destination: Object) -> str:
        name, _, rest = destination["host"].partition(".")
        inside = rest.split(".")[0] or namespace
        found = _cluster({"name": name, "namespace": inside}, destination.get("port", {}).get("number", 80))
        return found if found in known else NOWHERE

    parts = http["route"]
    weighted = [
        {"name": cluster(part["destination"]), "weight": part.get("weight", 100 if len(parts) == 1 else 0)}
        for part in parts
    ]
    action: Object = {"timeout": http.get("timeout", "0s"), "weighted_clusters": {"clusters": weighted}}
    if "mirror" in http:
        share = round(http.get("mirrorPercentage", {}).get("value", 100) * 10_000)
        fraction = {"default_value": {"numerator": share, "denominator": "MILLION"}}
        action["request_mirror_policies"] = [
            {
                "cluster": cluster(http["mirror"]),
                "runtime_fraction": fraction,
                # As Istio has it: the copy's host is that of the request.
                "disable_shadow_host_suffix_append": True,
            }
        ]
    if "retries" in http:
        action["retry_policy"] = _retries(http["retries"])
    matches = [_match(match) for match in http.get("match") or [{}]]
    route: Object = {"name": http["name"]} if "name" in http else {}
    given = http.get("headers", {}).get("request", {}).get("set", {})
    if given:
        route["request_headers_to_add"] = [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in given.items()
        ]
    return [{**route, "match": match, "route": action} for match in matches]


def _match(declared: Object) -> Object:
    uri = declared.get("uri", {})
    path = {"path": uri["exact"]} if "exact" in uri else {"prefix": uri.get("prefix", "/")}
    headers = [
        {"name": name, "string_match": {"exact": how["exact"]}}
        for name, how in declared.get("headers", {}).items()
    ]
    return path | ({"headers": headers} if headers else {})


def _retries(declared: Object) -> Object:
    policy = {
        "num_retries": declared.get("attempts", 2),
        "retry_on": declared.get("retryOn", "connect-failure,refused-stream"),
        # As Istio does: the next try goes to another pod, where there is one.
        "host_selection_retry_max_attempts": "5",
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": PREVIOUS_HOSTS}}
        ],
    }
    return policy | ({"per_try_timeout": declared["perTryTimeout"]} if "perTryTimeout" in declared else {})

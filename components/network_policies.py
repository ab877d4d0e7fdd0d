"""Which connections the pods of a stack may have, as Kubernetes reads it. Pure functions of the settings.

A policy names the stack's own pods by their labels, never all of a namespace: several stacks, and other
people's pods, may live there. What has no policy of its own is denied by the last one.
"""

from collections.abc import Iterable
from typing import Any

from components.addresses import port_of, service_namespace
from components.labels import Manifest, member_labels
from components.pod import CONTAINER_PORT, METRICS_PORT, server_labels
from components.settings import Settings
from components.storage import buckets

Rule = dict[str, Any]

_BOTH = ["Ingress", "Egress"]
_WEBHOOK_PORT = 443
_AMAZON = "https://amazonaws.com"  # S3 and the security token service, at addresses that change
_IDENTITY_AGENTS = ("169.254.170.23/32", "169.254.169.254/32")  # of EKS Pod Identity, and of the node's role
# Wherever it is: a cluster's DNS may be pods, or something on the node that no selector knows.
_DNS: Rule = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}


def default_deny(settings: Settings) -> Manifest:
    """No connection for any pod of the stack, but for what the other policies allow."""
    return {"podSelector": {"matchLabels": member_labels(settings)}, "policyTypes": _BOTH}


def server_policy(settings: Settings, revision: str) -> Manifest:
    """The servers of a revision: reached by the gateway, the release and Prometheus; they reach nobody but
    the buckets that they fetch from or store in."""
    network = settings.network
    callers = [
        *_namespaces([*network.gateway_namespaces, *network.monitoring_namespaces]),
        _pods(settings, "release"),
    ]
    return {
        "podSelector": {"matchLabels": server_labels(revision)},
        "policyTypes": _BOTH,
        "ingress": [{"from": callers, "ports": _tcp([CONTAINER_PORT])}],
        **_storage_egress(settings),
    }


def _storage_egress(settings: Settings) -> Rule:
    """The buckets' servers and, for pods that are their own identity, who gives them credentials."""
    used = buckets(settings)
    if not used:
        return {}
    rules = [_to(settings, bucket.endpoint or _AMAZON) for bucket in used]
    if not all(bucket.secret for bucket in used):
        agents = [{"ipBlock": {"cidr": cidr}} for cidr in _IDENTITY_AGENTS]
        rules += [_to(settings, _AMAZON), {"to": agents, "ports": _tcp([80])}]
    return {"egress": [_DNS, *(rule for index, rule in enumerate(rules) if rule not in rules[:index])]}


def release_policy(settings: Settings) -> Manifest:
    """The release and its guard: read by Prometheus; they reach what they judge and what they judge by."""
    network = settings.network
    api_server: Rule = {"ports": _tcp(network.api_server_ports)}
    if network.api_server_cidrs:
        api_server["to"] = [{"ipBlock": {"cidr": cidr}} for cidr in network.api_server_cidrs]
    servers = {"to": [_pods(settings, "model-server")], "ports": _tcp([CONTAINER_PORT])}
    outside = [*network.egress_ports, *([_WEBHOOK_PORT] if settings.webhook_secret else [])]
    policy: Rule = {
        "podSelector": {"matchLabels": _labels(settings, "release")},
        "policyTypes": _BOTH,
        "egress": [
            _DNS,
            api_server,
            servers,
            _to(settings, settings.gateway_address),
            *([_to(settings, settings.prometheus.url)] if settings.prometheus else []),
            *([{"ports": _tcp(outside)}] if outside else []),
        ],
    }
    readers = _namespaces(network.monitoring_namespaces)
    return policy | ({"ingress": [{"from": readers, "ports": _tcp([METRICS_PORT])}]} if readers else {})


def _to(settings: Settings, url: str) -> Rule:
    """A Service's port is not its pods', which is what a policy is held against: the namespace must do."""
    namespace = service_namespace(url, own=settings.namespace)
    if namespace is None:
        return {"ports": _tcp([port_of(url)])}
    return {"to": _namespaces([namespace]), "ports": [{"protocol": "TCP"}]}


def _namespaces(names: Iterable[str]) -> list[Rule]:
    return [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        for name in dict.fromkeys(names)
    ]


def _pods(settings: Settings, component: str) -> Rule:
    return {"podSelector": {"matchLabels": _labels(settings, component)}}


def _labels(settings: Settings, component: str) -> dict[str, str]:
    return {**member_labels(settings), "app.kubernetes.io/component": component}


def _tcp(ports: Iterable[int]) -> list[Rule]:
    return [{"protocol": "TCP", "port": port} for port in dict.fromkeys(ports)]

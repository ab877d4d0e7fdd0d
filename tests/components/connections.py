"""May a pod reach another? NetworkPolicies as Kubernetes defines them, for the fields that the stack uses.

Anything else in a policy ends the question with an error, so that no answer comes from a field passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]
METADATA_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or, without a namespace, an address outside the cluster."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "203.0.113.9"


def may_reach(policies: Sequence[Policy], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether the policies let a connection out of its source and into its target."""
    out = _allowed(policies, "Egress", source, target, port, protocol)
    return out and _allowed(policies, "Ingress", target, source, port, protocol)


def _allowed(
    policies: Sequence[Policy], direction: str, pod: End, other: End, port: int, protocol: str
) -> bool:
    """A pod that no policy selects may do all; one that some select may do what any of them allows."""
    chosen = [
        policy
        for policy in policies
        if pod.namespace == policy["metadata"]["namespace"]
        and _selects(policy["spec"]["podSelector"], pod.labels)
        and direction in policy["spec"]["policyTypes"]
    ]
    if not chosen:
        return True
    side, key = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    rules = [(policy, rule) for policy in chosen for rule in _known(policy["spec"], side)]
    return any(
        _rule(rule, key, str(policy["metadata"]["namespace"]), other, port, protocol)
        for policy, rule in rules
    )


def _known(spec: Mapping[str, Any], side: str) -> list[Mapping[str, Any]]:
    assert spec.keys() <= {"podSelector", "policyTypes", "ingress", "egress"}, spec
    return list(spec.get(side, []))


def _rule(rule: Mapping[str, Any], key: str, own: str, other: End, port: int, protocol: str) -> bool:
    assert rule.keys() <= {key, "ports"}, rule
    ports = rule.get("ports", [])
    fits = not ports or any(_port(each, port, protocol) for each in ports)
    return fits and (key not in rule or any(_peer(peer, own, other) for peer in rule[key]))


def _port(declared: Mapping[str, Any], port: int, protocol: str) -> bool:
    assert declared.keys() <= {"port", "protocol"}, declared
    assert not isinstance(declared.get("port"), str), "a port's name is not looked up here"
    return declared.get("protocol", "TCP") == protocol and declared.get("port", port) == port


def _peer(peer: Mapping[str, Any], own: str, other: End) -> bool:
    if "ipBlock" in peer:
        assert peer["ipBlock"].keys() == {"cidr"}, peer
        inside = ip_address(other.address) in ip_network(peer["ipBlock"]["cidr"])
        return not other.namespace and inside
    assert peer, "an empty peer"
    assert peer.keys() <= {"namespaceSelector", "podSelector"}, peer
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        there = _selects(peer["namespaceSelector"], {METADATA_NAME: other.namespace})
    else:
        there = other.namespace == own
    return there and _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, selector
    return selector.get("matchLabels", {}).items() <= labels.items()

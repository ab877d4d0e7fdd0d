"""Who may speak to the pods of a stack, and to whom they may: the setting `network`."""

from dataclasses import dataclass
from ipaddress import ip_network

from components import checks
from components.addresses import service_namespace
from components.reader import Reader

_ISTIO, _MONITORING = "istio-system", "monitoring"


@dataclass(frozen=True)
class Network:
    """`policy`: whether NetworkPolicies are declared. Namespaces are those that the gateway and Prometheus
    run in. The API server is known by its ports, and by addresses where `api_server_cidrs` names some;
    `egress_ports` are further TCP ports that a release may speak to, wherever they are."""

    policy: bool
    gateway_namespaces: tuple[str, ...]
    monitoring_namespaces: tuple[str, ...]
    api_server_ports: tuple[int, ...]
    api_server_cidrs: tuple[str, ...]
    egress_ports: tuple[int, ...]


def read_network(reader: Reader, *, namespace: str, gateway_address: str, prometheus_url: str) -> Network:
    """The namespaces default to those that the two addresses name, seen from the stack's `namespace`."""
    section = reader.section("network", optional=True)
    gateway = service_namespace(gateway_address, own=namespace) or _ISTIO
    monitoring = service_namespace(prometheus_url, own=namespace) or _MONITORING
    network = Network(
        policy=section.flag("policy", default=True),
        gateway_namespaces=section.texts("gatewayNamespaces", default=[gateway], check=checks.dns_label),
        monitoring_namespaces=section.texts(
            "monitoringNamespaces", default=[monitoring], check=checks.dns_label
        ),
        api_server_ports=_ports(section, "apiServerPorts", default=[443, 6443]),
        api_server_cidrs=section.texts("apiServerCidrs", default=[], check=_cidr),
        egress_ports=_ports(section, "egressPorts", default=[]),
    )
    if not network.gateway_namespaces:
        section.refuse("gatewayNamespaces", "is an empty list, so no request could come in: name one.")
    if not network.api_server_ports:
        section.refuse(
            "apiServerPorts", "is an empty list, so no release could work: name the API server's port."
        )
    section.finish()
    return network


def _ports(section: Reader, key: str, *, default: list[int]) -> tuple[int, ...]:
    ports = section.items(key, default=default)
    for index, port in enumerate(ports):
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65_535:
            section.refuse(f"{key}[{index}]", f"is {port!r}: write a whole number from 1 to 65535.")
    return tuple(port for port in ports if isinstance(port, int))


def _cidr(value: str) -> str | None:
    try:
        ip_network(value)
    except ValueError:
        return "which is no range of addresses: write it as 10.0.0.0/16 or 10.0.0.1/32."
    return None

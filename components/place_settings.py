"""Where a stack lives and how it is reached: namespace, context, gateway, host, certificate."""

from typing import Any

from components import checks
from components.cluster_settings import EksCluster
from components.reader import Reader

DEFAULT_GATEWAY_ADDRESS = "http://istio-ingressgateway.istio-system.svc.cluster.local"
_NAMESPACE = "tts"
_SELECTOR = {"istio": "ingressgateway"}
_OF_A_CLUSTER_THAT_EXISTS = {
    "kubeContext": "",
    "gateway": "",
    "gatewaySelector": _SELECTOR,
    "gatewayAddress": DEFAULT_GATEWAY_ADDRESS,
}
"""And what they are where nothing is said."""


def read_place(reader: Reader, cluster: EksCluster | None) -> dict[str, Any]:
    """The fields of the settings that say so; `cluster` is the one that the stack makes."""
    place = {
        "namespace": reader.text("namespace", default=_NAMESPACE, check=checks.dns_label),
        "create_namespace": reader.flag("createNamespace", default=False),
        "kube_context": reader.text("kubeContext", default=""),
        "gateway": reader.text("gateway", default="", check=checks.gateway),
        "gateway_selector": reader.labels("gatewaySelector", default=_SELECTOR),
        "gateway_address": reader.text(
            "gatewayAddress", default=DEFAULT_GATEWAY_ADDRESS, check=checks.address
        ),
        "host": reader.text("host", default="*", check=checks.host),
        "tls_secret": reader.text("tlsSecret", default="", check=checks.secret_name),
    }
    if place["tls_secret"] and place["gateway"]:
        reader.refuse("tlsSecret", "is set, but tts:gateway names one that exists: leave one of them out.")
    elif place["tls_secret"] and place["host"] == "*":
        reader.refuse("tlsSecret", 'goes with a name, but tts:host is "*": write the certificate\'s there.')
    if cluster is not None:
        _refuse_another_cluster(reader, place)
    return place


def _refuse_another_cluster(reader: Reader, place: dict[str, Any]) -> None:
    given = (place["kube_context"], place["gateway"], place["gateway_selector"], place["gateway_address"])
    for value, (key, default) in zip(given, _OF_A_CLUSTER_THAT_EXISTS.items(), strict=True):
        if value != default:
            reader.refuse(
                key,
                "is about a cluster that exists, but tts:aws.cluster makes one, with its own gateway: leave "
                "out one of them.",
            )

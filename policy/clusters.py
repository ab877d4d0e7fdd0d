"""Who may enter an EKS cluster that a stack makes, and what is installed in it."""

import ipaddress
import re
from collections.abc import Iterable

from policy.declared import UNKNOWN, Config, Declared, Rule, at, listed

_CLUSTER = "aws:eks/cluster:Cluster"
_CHARTS = ("kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v4:Chart")
_EXACT = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?")


def _open(declared: Declared, _: Config) -> Iterable[str]:
    if declared.type != _CLUSTER:
        return
    network, access = (at(declared.properties, key) for key in ("vpcConfig", "accessConfig"))
    # Left out, both are what AWS takes them for: open to everybody, and to whoever made it.
    if at(network, "endpointPublicAccess") not in (False, UNKNOWN):
        cidrs = at(network, "publicAccessCidrs")
        for cidr in [] if cidrs is UNKNOWN else listed(cidrs) or ["0.0.0.0/0"]:
            if cidr is not UNKNOWN and _everybody(str(cidr)):
                yield (
                    f"vpcConfig.publicAccessCidrs lets {cidr} reach the API: name the ranges that "
                    "administrators come from, or set endpointPublicAccess to false."
                )
    if at(access, "authenticationMode") not in ("API", UNKNOWN):
        yield "accessConfig.authenticationMode is not API: who may enter then stands in a ConfigMap, too."
    if at(access, "bootstrapClusterCreatorAdminPermissions") not in (False, UNKNOWN):
        yield (
            "accessConfig.bootstrapClusterCreatorAdminPermissions is not false: whoever makes the cluster "
            "would stay its administrator, listed nowhere."
        )


def _everybody(cidr: str) -> bool:
    try:
        return ipaddress.ip_network(cidr, strict=False).prefixlen == 0
    except ValueError:
        return False


def _moving_charts(declared: Declared, _: Config) -> Iterable[str]:
    if declared.type not in _CHARTS:
        return
    version = declared.properties.get("version")
    if version is not UNKNOWN and not (isinstance(version, str) and _EXACT.fullmatch(version)):
        yield f"version is {version}, by which another chart is installed tomorrow: write it exactly."


RULES = (
    Rule(
        "closed-control-plane", "No cluster's API is open to everybody or to a hidden administrator.", _open
    ),
    Rule("charts-by-version", "Helm charts are named by an exact version.", _moving_charts),
)

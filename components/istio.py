"""Istio in a cluster that the stack makes: its Helm charts, and the load balancer before its gateway."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import Service
from pulumi_kubernetes.helm.v3 import Release, RepositoryOptsArgs

from components.cluster_settings import INTERNET_FACING, EksCluster
from components.labels import stack_labels
from components.settings import Settings

NAMESPACE = "istio-system"
_CHARTS = "https://istio-release.storage.googleapis.com/charts"
_GATEWAY = "istio-ingressgateway"
"""By this name `tts:gatewayAddress` and `tts:gatewaySelector` find it where they say nothing."""

_SECONDS = 600
_END_SECONDS = 30
_AWS = "service.beta.kubernetes.io/aws-load-balancer"


@dataclass(frozen=True)
class IstioArgs:
    """`after` is what pods need to run in the cluster."""

    settings: Settings
    cluster: EksCluster
    after: Sequence[pulumi.Resource]


class Istio(pulumi.ComponentResource):
    """Istio's resources, its control plane and an ingress gateway, two of each; and one load balancer, with
    443 alone where the stack has a certificate, and else with 80."""

    ready: list[pulumi.Resource]
    load_balancer: pulumi.Output[str]

    def __init__(self, name: str, args: IstioArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:cluster:Istio", name, None, opts)
        base = self._chart("istio-base", "base", args, values={}, after=args.after)
        control = self._chart("istiod", "istiod", args, values=_control_plane(), after=[base])
        gateway = self._chart(_GATEWAY, "gateway", args, values=_gateway(args.settings), after=[control])
        balancer = Service(
            f"{args.settings.name}-gateway",
            metadata=_metadata(args),
            spec=_balancer(args.settings),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[gateway]),
        )
        self.ready = [gateway]
        self.load_balancer = balancer.status.apply(hostname)
        self.register_outputs({})

    def _chart(
        self,
        name: str,
        chart: str,
        args: IstioArgs,
        *,
        values: Mapping[str, Any],
        after: Sequence[pulumi.Resource],
    ) -> pulumi.Resource:
        return Release(
            name,
            name=name,
            chart=chart,
            version=args.cluster.istio,
            repository_opts=RepositoryOptsArgs(repo=_CHARTS),
            namespace=NAMESPACE,
            create_namespace=True,
            values=values,
            # A chart that does not come up leaves nothing behind.
            atomic=True,
            timeout=_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


def _control_plane() -> dict[str, Any]:
    return {
        # Its autoscaler would need a metrics server.
        "autoscaleEnabled": False,
        "replicaCount": 2,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _gateway(settings: Settings) -> dict[str, Any]:
    longest = settings.drain_seconds + settings.longest_answer_seconds
    return {
        "service": {"type": "ClusterIP"},
        "autoscaling": {"enabled": False},
        "replicaCount": 2,
        "podDisruptionBudget": {"minAvailable": 1},
        # A gateway that is replaced first finishes the streams that go through it.
        "env": {"EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true"},
        "terminationGracePeriodSeconds": longest + _END_SECONDS,
    }


def _metadata(args: IstioArgs) -> Any:
    inside = {} if args.cluster.load_balancer == INTERNET_FACING else {f"{_AWS}-internal": "true"}
    return {
        "name": f"{args.settings.name}-gateway",
        "namespace": NAMESPACE,
        "labels": stack_labels(args.settings, "gateway"),
        "annotations": {
            "pulumi.com/patchForce": "true",
            f"{_AWS}-type": "nlb",
            f"{_AWS}-cross-zone-load-balancing-enabled": "true",
            **inside,
        },
    }


def _balancer(settings: Settings) -> Any:
    port = {"name": "https", "port": 443} if settings.tls_secret else {"name": "http2", "port": 80}
    return {
        "type": "LoadBalancer",
        "selector": dict(settings.gateway_selector),
        "ports": [{**port, "targetPort": port["port"], "protocol": "TCP"}],
    }


def hostname(status: Any) -> str:
    """The load balancer's name; empty while it has none, as in a preview."""
    balancer = getattr(status, "load_balancer", None)
    found = getattr(balancer, "ingress", None) or []
    return str(getattr(found[0], "hostname", None) or "") if found else ""

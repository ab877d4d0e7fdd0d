"""How requests reach the revisions: the gateway, the load balancing, and the weights after a release."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from components.labels import Manifest, object_metadata, revision_labels, stack_labels
from components.revision import ISTIO, Revision, Revisions, service_host, virtual_service
from components.settings import Settings
from components.traffic_policy import traffic_policy


@dataclass(frozen=True)
class WeightedRouteArgs:
    """`after` are the resources that must exist first."""

    settings: Settings
    revisions: Revisions
    after: Sequence[pulumi.Resource] = ()


class WeightedRoute(pulumi.ComponentResource):
    """The route of a stack. It comes in two parts, because the release works between them: `prerequisites`
    (the gateway, the load balancing) at once, the route itself by `settle`."""

    prerequisites: list[pulumi.Resource]

    def __init__(
        self, name: str, args: WeightedRouteArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tts:route:WeightedRoute", name, None, opts)
        self._args = args
        self.prerequisites = [self._destination_rule(each) for each in args.revisions.all]
        if not args.settings.gateway:
            self.prerequisites.append(self._gateway())

    def settle(self, *, after: Sequence[pulumi.Resource]) -> CustomResource:
        """Declares the route as it is once the release has ended; one that fails leaves it untouched."""
        manifest = virtual_service(self._args.settings, self._args.revisions)
        route = CustomResource(
            self._args.settings.name,
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata=manifest["metadata"],
            spec=manifest["spec"],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self.prerequisites, *after]),
        )
        self.register_outputs({"revision": self._args.revisions.target.name})
        return route

    def _gateway(self) -> CustomResource:
        settings = self._args.settings
        return CustomResource(
            f"{settings.name}-gateway",
            api_version=ISTIO,
            kind="Gateway",
            metadata=object_metadata(settings, settings.name, stack_labels(settings, "route")),
            spec={
                "selector": dict(settings.gateway_selector),
                "servers": _servers(settings),
            },
            opts=self._options(),
        )

    def _destination_rule(self, revision: Revision) -> CustomResource:
        settings = self._args.settings
        labels = revision_labels(settings, revision.entry, revision.name, "route")
        return CustomResource(
            f"{revision.name}-balance",
            api_version=ISTIO,
            kind="DestinationRule",
            metadata=object_metadata(settings, revision.name, labels),
            spec={
                "host": service_host(settings, revision.name),
                "trafficPolicy": traffic_policy(replicas=revision.served.replicas),
            },
            opts=self._options(),
        )

    def _options(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(self._args.after))


def _servers(settings: Settings) -> Manifest:
    """HTTP, by which the release asks from inside the cluster, and HTTPS where there is a certificate."""
    plain = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [settings.host]}
    if not settings.tls_secret:
        return [plain]
    secure = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "hosts": [settings.host],
        "tls": {"mode": "SIMPLE", "credentialName": settings.tls_secret, "minProtocolVersion": "TLSV1_2"},
    }
    return [plain, secure]

"""How requests reach the revisions: the gateway, the load balancing, and the weights after a release."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource

from components.labels import object_metadata, revision_labels, stack_labels
from components.revision import ISTIO, service_host, virtual_service
from components.settings import Settings


@dataclass(frozen=True)
class WeightedRouteArgs:
    """`after` are the resources that must exist first."""

    settings: Settings
    revision: str
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
        self.prerequisites = [self._destination_rule()]
        if not args.settings.gateway:
            self.prerequisites.append(self._gateway())

    def settle(self, *, after: Sequence[pulumi.Resource]) -> CustomResource:
        """Declares the route as it is once the release has ended; one that fails leaves it untouched."""
        manifest = virtual_service(self._args.settings, self._args.revision)
        route = CustomResource(
            self._args.settings.name,
            api_version=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata=manifest["metadata"],
            spec=manifest["spec"],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self.prerequisites, *after]),
        )
        self.register_outputs({"revision": self._args.revision})
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
                "servers": [
                    {
                        "port": {"number": 80, "name": "http", "protocol": "HTTP"},
                        "hosts": [settings.host],
                    }
                ],
            },
            opts=self._options(),
        )

    def _destination_rule(self) -> CustomResource:
        settings, revision = self._args.settings, self._args.revision
        return CustomResource(
            f"{revision}-balance",
            api_version=ISTIO,
            kind="DestinationRule",
            metadata=object_metadata(settings, revision, revision_labels(settings, revision, "route")),
            spec={
                "host": service_host(settings, revision),
                # Syntheses differ in length by far more than requests do: count those under way.
                "trafficPolicy": {"loadBalancer": {"simple": "LEAST_REQUEST"}},
            },
            opts=self._options(),
        )

    def _options(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(self._args.after))

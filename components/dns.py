"""The name of a stack in Route 53. Imported only by stacks that ask for one."""

import pulumi
from pulumi_aws import route53

from components.aws_settings import Dns as DnsSettings

_SECONDS = 60
"""So long resolvers remember where the name leads; a change of the load balancer is seen after that."""


class Dns(pulumi.ComponentResource):
    """The stack's host as another name of the gateway's load balancer."""

    def __init__(
        self,
        name: str,
        args: DnsSettings,
        *,
        host: str,
        target: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("tts:route:Dns", name, None, opts)
        route53.Record(
            name,
            zone_id=args.zone_id,
            name=host,
            type="CNAME",
            ttl=_SECONDS,
            records=[target],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

"""The network policies of a stack."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.networking.v1 import NetworkPolicy

from components.labels import Manifest, object_metadata, revision_labels, stack_labels
from components.network_policies import default_deny, release_policy, server_policy
from components.revision import Revisions
from components.settings import Settings


@dataclass(frozen=True)
class NetworkArgs:
    """`after` are the resources (a namespace) that must exist first."""

    settings: Settings
    revisions: Revisions
    after: Sequence[pulumi.Resource] = ()


class Network(pulumi.ComponentResource):
    """Who may speak with whom, in two parts: `policies` before the pods they are about, and the denial of all
    else by `close`, once the release is over.

    Each revision has a policy of its own, which stays as long as its pods do: what a new version may no
    longer reach, the old one reaches while it still serves. The denial comes last for the same reason: where
    a stack gets its first policies, the pods that serve have none yet."""

    policies: list[pulumi.Resource]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:network:Network", name, None, opts)
        self._args = args
        self.policies = self._declare() if args.settings.network.policy else []

    def close(self, *, after: Sequence[pulumi.Resource]) -> None:
        """Denies whatever no policy allows; `after`: what the old pods' connections are needed for."""
        settings = self._args.settings
        if settings.network.policy:
            name = f"{settings.name}-default-deny"
            labels = stack_labels(settings, "network")
            self._policy(name, labels, default_deny(settings), after=[*self.policies, *after])
        self.register_outputs({"policies": len(self.policies)})

    def _declare(self) -> list[pulumi.Resource]:
        settings, name = self._args.settings, f"{self._args.settings.name}-release"
        of_servers = [
            self._policy(
                each.name,
                revision_labels(settings, each.entry, each.name, "model-server"),
                server_policy(settings, each.name),
            )
            for each in self._args.revisions.all
        ]
        return [*of_servers, self._policy(name, stack_labels(settings, "release"), release_policy(settings))]

    def _policy(
        self, name: str, labels: dict[str, str], spec: Manifest, *, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.Resource:
        return NetworkPolicy(
            name,
            metadata=object_metadata(self._args.settings, name, labels),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*self._args.after, *after]),
        )

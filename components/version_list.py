"""What callers may know of the versions of a stack: a ConfigMap that its servers read while they run."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap

from components.labels import object_metadata, stack_labels
from components.pod import versions_config_map
from components.revision import Revisions
from components.settings import Settings


@dataclass(frozen=True)
class VersionListArgs:
    """`after`: the release, since what it refuses is not served."""

    settings: Settings
    revisions: Revisions
    after: Sequence[pulumi.Resource]


class VersionList(pulumi.ComponentResource):
    """The versions with their roles and weights. No revision is made anew when they change: the name is one
    for all, and a server starts without it."""

    def __init__(self, name: str, args: VersionListArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:route:VersionList", name, None, opts)
        settings = args.settings
        config_map = versions_config_map(settings)
        ConfigMap(
            config_map,
            metadata=object_metadata(settings, config_map, stack_labels(settings, "route")),
            data={"versions.json": json.dumps(_listed(args.revisions), indent=1)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.register_outputs({})


def _listed(revisions: Revisions) -> list[dict[str, Any]]:
    return [
        {
            "version": each.entry.version,
            "revision": each.name,
            "role": each.served.role,
            "weight": each.served.weight,
        }
        for each in revisions.all
    ]

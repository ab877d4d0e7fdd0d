"""What lets the number of a revision's pods follow its traffic, once its release is over."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler

from components import budgets
from components.labels import Manifest, object_metadata, revision_labels
from components.revision import Revision
from components.scaling_settings import Autoscaling
from components.settings import Settings

METRIC = "tts_busy_slots"
"""Speech requests that hold a slot or wait for one: a custom metric of pods, which an adapter must serve."""

_UP_SECONDS = 15
_DOWN_SECONDS = 60
_LONGEST_PERIOD = 1800


@dataclass(frozen=True)
class AutoscalerArgs:
    """`after`: the release, which asks for pods itself while it goes on."""

    settings: Settings
    autoscaling: Autoscaling
    revision: Revision
    after: Sequence[pulumi.Resource]


class Autoscaler(pulumi.ComponentResource):
    """The autoscaler of one revision: up at once, down a pod at a time.

    It never declares `selectPolicy`: a release holds it by that field."""

    def __init__(self, name: str, args: AutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:scaling:Autoscaler", name, None, opts)
        settings, entry, revision = args.settings, args.revision.entry, args.revision.name
        HorizontalPodAutoscaler(
            revision,
            metadata=object_metadata(
                settings, revision, revision_labels(settings, entry, revision, "model-server")
            ),
            spec=_spec(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.register_outputs({"revision": revision})


def _spec(args: AutoscalerArgs) -> Manifest:
    settings, scaling, revision = args.settings, args.autoscaling, args.revision
    busy = {"type": "AverageValue", "averageValue": _quantity(settings.slots * scaling.busy_percent)}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": revision.name},
        "minReplicas": revision.served.replicas,
        "maxReplicas": max(scaling.max_replicas, revision.served.replicas),
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": METRIC}, "target": busy}}],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [
                    {"type": "Percent", "value": 100, "periodSeconds": _UP_SECONDS},
                    {"type": "Pods", "value": 4, "periodSeconds": _UP_SECONDS},
                ],
            },
            # The next pod goes when the streams of the one before have ended.
            "scaleDown": {
                "stabilizationWindowSeconds": scaling.down_seconds,
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": _drained(settings)}],
            },
        },
    }


def _drained(settings: Settings) -> int:
    return min(max(_DOWN_SECONDS, budgets.termination_grace(settings)), _LONGEST_PERIOD)


def _quantity(hundredths: int) -> str:
    """As Kubernetes itself writes it: `2`, `2800m`."""
    whole, rest = divmod(hundredths, 100)
    return str(whole) if not rest else f"{hundredths * 10}m"

"""The servers of one revision: its configuration, pods, Service and disruption budget."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, Service
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget

from components import budgets
from components.labels import Manifest, object_metadata, revision_labels
from components.pod import inference_config, pod_template, server_labels
from components.revision import Revision
from components.settings import Settings


@dataclass(frozen=True)
class ModelServerArgs:
    """`image` by digest; `after` are the resources (a namespace, nodes) that must exist first."""

    settings: Settings
    revision: Revision
    image: pulumi.Input[str]
    after: Sequence[pulumi.Resource] = ()


class ModelServer(pulumi.ComponentResource):
    """One revision, ready before it has any traffic.

    Every name in it is the revision's own, for Kubernetes and for Pulumi: another revision never replaces
    this one, it stands beside it, and what is no longer declared is deleted last."""

    deployment: Deployment
    service: Service

    def __init__(self, name: str, args: ModelServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:server:ModelServer", name, None, opts)
        settings, entry, revision = args.settings, args.revision.entry, args.revision.name
        first = pulumi.ResourceOptions(parent=self, depends_on=list(args.after))
        labels = revision_labels(settings, entry, revision, "model-server")
        metadata = object_metadata(settings, revision, labels)
        config = ConfigMap(
            f"{revision}-inference-cfg",
            metadata=object_metadata(settings, f"{revision}-inference-cfg", labels),
            data={"inference.json": json.dumps(inference_config(settings, entry, revision), indent=1)},
            immutable=True,
            opts=first,
        )
        self.service = Service(
            revision,
            # Whether pods answer is judged by the Deployment and the release; waiting here only costs time.
            metadata=object_metadata(
                settings, revision, labels, annotations={"pulumi.com/skipAwait": "true"}
            ),
            spec=_service_spec(revision),
            opts=first,
        )
        wait = f"{budgets.deployment_await(settings, entry)}s"
        self.deployment = Deployment(
            revision,
            metadata=metadata,
            spec=_deployment_spec(args),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*args.after, config],
                custom_timeouts=pulumi.CustomTimeouts(
                    create=wait, update=wait, delete=f"{budgets.deletion_await(settings)}s"
                ),
            ),
        )
        PodDisruptionBudget(revision, metadata=metadata, spec=_disruption_spec(revision), opts=first)
        self.register_outputs({"revision": revision})


def _service_spec(revision: str) -> Manifest:
    return {
        "selector": server_labels(revision),
        "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
    }


def _deployment_spec(args: ModelServerArgs) -> Manifest:
    settings, revision = args.settings, args.revision
    # What is not declared is not taken back: with an autoscaler no update scales what is live. Kubernetes
    # begins with one pod; the release asks for the others.
    replicas = {} if settings.autoscaling else {"replicas": revision.served.replicas}
    return {
        **replicas,
        "selector": {"matchLabels": server_labels(revision.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "progressDeadlineSeconds": budgets.progress_deadline(settings, revision.entry),
        "revisionHistoryLimit": 1,
        "template": pod_template(settings, revision.entry, revision=revision.name, image=args.image),
    }


def _disruption_spec(revision: str) -> Manifest:
    return {
        # One at a time, also of one alone: a budget that never lets a pod go would keep its node from being
        # drained for ever. Two replicas are what keeps a model speaking meanwhile.
        "maxUnavailable": 1,
        # A pod that does not serve anyway, such as a refused candidate's, holds up no node.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": server_labels(revision)},
    }

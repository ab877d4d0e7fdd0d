"""A stack that Argo CD brings to the cluster: its manifests in waves, and the Application that watches them.

A release gates the route there as it does under `pulumi up`: Argo CD begins a wave when all of the one before
is healthy, and prunes after the last one. A Job that is refused is not healthy, so nothing after it happens.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apiextensions import CustomResource

from components.errors import DeclarationError
from components.gitops_settings import Gitops
from components.labels import Manifest, stack_labels
from components.settings import Settings

WAVE = "argocd.argoproj.io/sync-wave"
NAMESPACE_WAVE, GROUND_WAVE, GUARD_WAVE, SERVERS_WAVE, RELEASE_WAVE, SETTLED_WAVE = -5, -4, -3, -2, 0, 1
SCALING_WAVE = 2
"""Apart: Argo CD calls an autoscaler degraded until its metric has come."""

_ARGO = "argoproj.io/v1alpha1"
_ISTIO_GROUP = "networking.istio.io"
_BY_KIND = {
    "Namespace": NAMESPACE_WAVE,
    **dict.fromkeys(
        ("ConfigMap", "NetworkPolicy", "Role", "RoleBinding", "Service", "ServiceAccount"), GROUND_WAVE
    ),
    **dict.fromkeys(("Gateway", "DestinationRule"), GROUND_WAVE),
    **dict.fromkeys(("Deployment", "DaemonSet", "PodDisruptionBudget"), SERVERS_WAVE),
    **dict.fromkeys(("PodMonitor", "ServiceMonitor", "PrometheusRule", "AlertmanagerConfig"), SERVERS_WAVE),
    "Job": RELEASE_WAVE,
    "VirtualService": SETTLED_WAVE,
    "HorizontalPodAutoscaler": SCALING_WAVE,
}


def wave_of(settings: Settings, kind: str, metadata: Mapping[str, Any], logical: str) -> int:
    """The wave of an object, by its kind, its metadata and its name in Pulumi. Raises DeclarationError for a
    kind without one.

    A wave waits for what is in the ones before, so it may not hold what ends only after a later one."""
    name = str(metadata["name"])
    if logical == "guard":
        return GUARD_WAVE
    about_live = {f"{settings.name}-versions", f"{settings.name}-default-deny"}
    if name in about_live or (kind == "PrometheusRule" and name == settings.name):
        # Of what is live, not of the candidate.
        return SETTLED_WAVE
    component = (metadata.get("labels") or {}).get("app.kubernetes.io/component")
    if kind in ("ConfigMap", "Service") and component == "model-server":
        return SERVERS_WAVE
    if kind not in _BY_KIND:
        raise DeclarationError(
            [f"{kind} {name} is in no wave of Argo CD: give its kind one in components/gitops.py."]
        )
    return _BY_KIND[kind]


def folder_of(settings: Settings, gitops: Gitops) -> kubernetes.Provider:
    """A folder of manifests in place of the cluster: nothing but Argo CD touches the objects."""
    _tell_waves(settings)
    return kubernetes.Provider("cluster", render_yaml_to_directory=gitops.directory)


def declare_application(settings: Settings) -> None:
    """The Application, in the cluster itself: it is what watches the folder."""
    if settings.gitops is None:
        return
    manifest = application(settings, settings.gitops, pulumi.get_stack())
    argo = kubernetes.Provider("argo-cd", context=settings.kube_context or None, upsert_existing_objects=True)
    CustomResource(
        "application",
        api_version=manifest["apiVersion"],
        kind=manifest["kind"],
        metadata=manifest["metadata"],
        spec=manifest["spec"],
        opts=pulumi.ResourceOptions(provider=argo),
    )


def application(settings: Settings, gitops: Gitops, stack: str) -> Manifest:
    """The Application of a stack, as Argo CD reads it."""
    return {
        "apiVersion": _ARGO,
        "kind": "Application",
        "metadata": {
            "name": f"{settings.name}-{stack}",
            "namespace": gitops.namespace,
            "labels": stack_labels(settings, "gitops"),
        },
        "spec": {
            "project": gitops.project,
            "source": {
                "repoURL": gitops.repository,
                "path": gitops.path,
                "targetRevision": gitops.revision,
                # Pulumi's renderer makes folders in it.
                "directory": {"recurse": True},
            },
            "destination": {"server": gitops.server, "namespace": settings.namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": [
                    "CreateNamespace=true",
                    # The old revision goes when the new one has all the traffic, and not before.
                    "PruneLast=true",
                    # What is ignored is not written either: the weights are the release's.
                    "RespectIgnoreDifferences=true",
                    "ServerSideApply=true",
                ],
                "retry": {"limit": 3, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "1m"}},
            },
            "ignoreDifferences": [
                {
                    "group": _ISTIO_GROUP,
                    "kind": "VirtualService",
                    "name": settings.name,
                    "namespace": settings.namespace,
                    "jsonPointers": ["/spec/http"],
                }
            ],
        },
    }


def _tell_waves(settings: Settings) -> None:
    """Gives every manifest of the program its wave, wherever it is declared."""

    def transform(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        kind = args.type_.rpartition(":")[2]
        if not args.type_.startswith("kubernetes:") or kind == "Application":
            return None
        metadata: Manifest = args.props["metadata"]
        props = {**args.props, "metadata": in_wave(settings, kind, metadata, args.name)}
        return pulumi.ResourceTransformationResult(props, args.opts)

    pulumi.runtime.register_stack_transformation(transform)


def in_wave(settings: Settings, kind: str, metadata: Mapping[str, Any], logical: str) -> dict[str, Any]:
    """The metadata of an object with its wave. Raises DeclarationError for what must not be in a file."""
    if kind == "Secret":
        raise DeclarationError(
            [f"Secret {metadata['name']} would be written in clear: make it in the cluster, and name it."]
        )
    wave = str(wave_of(settings, kind, metadata, logical))
    return {**metadata, "annotations": {**(metadata.get("annotations") or {}), WAVE: wave}}

"""The cluster that a stack is in: one that exists, one that it makes on AWS, or a folder of manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster_settings import EksCluster as EksSettings
from components.gitops import folder_of
from components.settings import Settings

if TYPE_CHECKING:
    from components.eks_cluster import EksCluster


@dataclass(frozen=True)
class Cluster:
    """How the cluster is reached. `made` is None where it exists; where it does not, all but the namespace
    comes after `ready`, and `load_balancer` is the name of the one before the gateway."""

    provider: kubernetes.Provider
    made: EksCluster | None = None
    ready: tuple[pulumi.Resource, ...] = ()
    load_balancer: pulumi.Output[str] | None = None


def cluster_of(settings: Settings) -> Cluster:
    """The cluster; an update that died half way finds what it made and goes on with it."""
    if settings.gitops is not None:
        return Cluster(folder_of(settings, settings.gitops))
    if settings.aws.cluster is not None:
        return _made(settings, settings.aws.cluster)
    context = settings.kube_context or None
    return Cluster(kubernetes.Provider("cluster", context=context, upsert_existing_objects=True))


def _made(settings: Settings, wanted: EksSettings) -> Cluster:
    from components.eks_cluster import EksCluster
    from components.istio import Istio, IstioArgs

    name = settings.name
    made = EksCluster(f"{name}-cluster", wanted, stack=name)
    provider = kubernetes.Provider(
        "cluster",
        kubeconfig=made.kubeconfig,
        upsert_existing_objects=True,
        # Whoever runs this may enter before anything is declared, and until all of it is gone.
        opts=pulumi.ResourceOptions(depends_on=made.entered),
    )
    args = IstioArgs(settings=settings, cluster=wanted, after=made.ready)
    istio = Istio(f"{name}-istio", args, opts=pulumi.ResourceOptions(providers=[provider]))
    return Cluster(provider, made, tuple(istio.ready), istio.load_balancer)

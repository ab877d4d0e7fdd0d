"""What a stack has on AWS beside a cluster: GPU nodes, repositories, buckets, an identity, a name. AWS is
loaded only then."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi

from components.cluster import Cluster
from components.settings import Settings


@dataclass(frozen=True)
class Cloud:
    """What images and pods must wait for."""

    before_images: list[pulumi.Resource] = field(default_factory=list)
    before_pods: list[pulumi.Resource] = field(default_factory=list)


def declare_cloud(settings: Settings, *, cluster: Cluster, after: Sequence[pulumi.Resource]) -> Cloud:
    """Declares what the stack asks for; `after` is what its objects in the cluster need (a namespace)."""
    aws, name, cloud = settings.aws, settings.name, Cloud()
    if settings.node_group is not None:
        cloud.before_pods.extend(_nodes(settings, cluster))
    if aws.repositories is not None:
        from components.repositories import Repositories

        cloud.before_images.extend(Repositories(name, aws.repositories).repositories)
    if aws.buckets is not None:
        from components.buckets import Buckets

        Buckets(name, aws.buckets)
    if aws.pod_identity is not None:
        from components.pod_identity import PodIdentity, PodIdentityArgs

        args = PodIdentityArgs(
            settings=settings,
            identity=aws.pod_identity,
            cluster_name=cluster.made.name if cluster.made else aws.pod_identity.cluster_name,
            cluster=cluster.provider,
            after=after,
        )
        cloud.before_pods.extend(PodIdentity(f"{name}-server", args).ready)
    if aws.dns is not None:
        from components.dns import Dns

        target = aws.dns.target or cluster.load_balancer or ""
        Dns(name, aws.dns, host=settings.host, target=target)
    return cloud


def _nodes(settings: Settings, cluster: Cluster) -> list[pulumi.Resource]:
    from components.gpu_node_group import NODE_LABEL, GpuNodeGroup, GpuNodeGroupArgs

    group = settings.node_group
    if group is None:
        return []
    name, made = settings.name, cluster.made
    wanted = GpuNodeGroupArgs(
        stack_name=name,
        group=group,
        cluster_name=made.name if made else group.cluster_name,
        version=made.version if made else None,
        after=made.before_nodes if made else (),
    )
    nodes: list[pulumi.Resource] = [GpuNodeGroup(f"{name}-gpu", wanted).node_group]
    if group.device_plugin:
        from components.device_plugin import DevicePlugin, DevicePluginArgs

        args = DevicePluginArgs(
            settings=settings, image=group.device_plugin, node_label=(NODE_LABEL, name), after=nodes
        )
        options = pulumi.ResourceOptions(providers=[cluster.provider])
        nodes.append(DevicePlugin(f"{name}-device-plugin", args, opts=options).daemon_set)
    return nodes

"""GPU machines for a stack: an EKS managed node group. Imported only by stacks that ask for one."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_aws import autoscaling, eks

from components.machine_settings import BOTTLEROCKET, NodeGroup
from components.nodes import AMAZON_LINUX_DISK, BOTTLEROCKET_DISK, launch_template, launched_by, node_role

NODE_LABEL = "tts/node-group"
_GPU = "nvidia.com/gpu"
_AMAZON_LINUX = ("AL2023_x86_64_NVIDIA", AMAZON_LINUX_DISK)
_BOTTLEROCKET = ("BOTTLEROCKET_x86_64_NVIDIA", BOTTLEROCKET_DISK)
_TEMPLATE = "k8s.io/cluster-autoscaler/node-template"


@dataclass(frozen=True)
class GpuNodeGroupArgs:
    """`stack_name` is the stack's name for its objects: pods select the nodes by it. `version` of Kubernetes
    is the cluster's where it is left out; `after` is what the cluster needs before it has nodes."""

    stack_name: str
    group: NodeGroup
    cluster_name: pulumi.Input[str]
    version: pulumi.Input[str] | None = None
    after: Sequence[pulumi.Resource] = ()


class GpuNodeGroup(pulumi.ComponentResource):
    """Nodes with NVIDIA's driver that only pods which tolerate `nvidia.com/gpu` are placed on.

    Bottlerocket's image brings driver, container toolkit and device plugin, Amazon Linux's all but the
    plugin. What an autoscaler must know to make the first node stands in tags of the group's instances."""

    node_group: pulumi.CustomResource

    def __init__(self, name: str, args: GpuNodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:nodes:GpuNodeGroup", name, None, opts)
        group = args.group
        role, attachments = node_role(name, parent=self)
        machine_image, device = _image(group)
        template = launch_template(
            name,
            stack=args.stack_name,
            device=device,
            disk_gib=group.disk_gib,
            throughput=group.disk_throughput,
            parent=self,
        )
        self.node_group = eks.NodeGroup(
            name,
            cluster_name=args.cluster_name,
            version=args.version,
            node_role_arn=role.arn,
            subnet_ids=list(group.subnet_ids),
            ami_type=machine_image,
            instance_types=list(group.instance_types),
            capacity_type=group.capacity_type,
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=group.min_size, max_size=group.max_size, desired_size=max(1, group.min_size)
            ),
            # One node at a time leaves, drained within the pods' disruption budgets.
            update_config=eks.NodeGroupUpdateConfigArgs(
                max_unavailable=1, update_strategy=group.update_strategy
            ),
            launch_template=launched_by(template),
            labels={NODE_LABEL: args.stack_name},
            taints=[eks.NodeGroupTaintArgs(key=_GPU, value="present", effect="NO_SCHEDULE")],
            tags={"tts/stack": args.stack_name},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*attachments, *args.after],
                # The autoscaler owns it between the two limits.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        self._autoscaling_tags(name, args)
        self.register_outputs({})

    def _autoscaling_tags(self, name: str, args: GpuNodeGroupArgs) -> None:
        """A group without nodes has nothing to look at: its labels, taint and resources as tags."""
        group_name = self.node_group.resources.apply(lambda found: found[0].autoscaling_groups[0].name)  # type: ignore[attr-defined]
        known = {
            f"label/{NODE_LABEL}": args.stack_name,
            f"taint/{_GPU}": "present:NoSchedule",
            f"resources/{_GPU}": str(args.group.gpus_per_node),
            "resources/ephemeral-storage": f"{args.group.disk_gib}Gi",
        }
        for key, value in known.items():
            autoscaling.Tag(
                f"{name}-{key.replace('/', '-')}",
                autoscaling_group_name=group_name,
                tag=autoscaling.TagTagArgs(key=f"{_TEMPLATE}/{key}", value=value, propagate_at_launch=False),
                opts=pulumi.ResourceOptions(parent=self),
            )


def _image(group: NodeGroup) -> tuple[str, str]:
    return _BOTTLEROCKET if group.ami == BOTTLEROCKET else _AMAZON_LINUX

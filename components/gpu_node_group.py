"""GPU machines for a stack: an EKS managed node group. Imported only by stacks that ask for one."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import autoscaling, ec2, eks, iam

from components.machine_settings import BOTTLEROCKET, NodeGroup

NODE_LABEL = "tts/node-group"
_GPU = "nvidia.com/gpu"
_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
# The machine image, and the disk of it that images and the files of pods lie on.
_AMAZON_LINUX = ("AL2023_x86_64_NVIDIA", "/dev/xvda")
_BOTTLEROCKET = ("BOTTLEROCKET_x86_64_NVIDIA", "/dev/xvdb")
_FREE_IOPS = 3000
_IOPS_FOR_THROUGHPUT = 4
"""gp3 gives at most a quarter of a MiB/s for each operation a second."""
_TEMPLATE = "k8s.io/cluster-autoscaler/node-template"


@dataclass(frozen=True)
class GpuNodeGroupArgs:
    """`stack_name` is the stack's name for its objects: pods select the nodes by it."""

    stack_name: str
    group: NodeGroup


class GpuNodeGroup(pulumi.ComponentResource):
    """Nodes with NVIDIA's driver that only pods which tolerate `nvidia.com/gpu` are placed on.

    Bottlerocket's image brings driver, container toolkit and device plugin, Amazon Linux's all but the
    plugin. What an autoscaler must know to make the first node stands in tags of the group's instances."""

    node_group: pulumi.CustomResource

    def __init__(self, name: str, args: GpuNodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:nodes:GpuNodeGroup", name, None, opts)
        group = args.group
        role, attachments = self._role(name)
        template = self._launch_template(name, args)
        self.node_group = eks.NodeGroup(
            name,
            cluster_name=group.cluster_name,
            node_role_arn=role.arn,
            subnet_ids=list(group.subnet_ids),
            ami_type=_image(group)[0],
            instance_types=list(group.instance_types),
            capacity_type=group.capacity_type,
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=group.min_size, max_size=group.max_size, desired_size=max(1, group.min_size)
            ),
            # One node at a time leaves, drained within the pods' disruption budgets.
            update_config=eks.NodeGroupUpdateConfigArgs(
                max_unavailable=1, update_strategy=group.update_strategy
            ),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            labels={NODE_LABEL: args.stack_name},
            taints=[eks.NodeGroupTaintArgs(key=_GPU, value="present", effect="NO_SCHEDULE")],
            tags={"tts/stack": args.stack_name},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=attachments,
                # The autoscaler owns it between the two limits.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        self._autoscaling_tags(name, args)
        self.register_outputs({})

    def _role(self, name: str) -> tuple[Any, list[pulumi.Resource]]:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "ec2.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        options = pulumi.ResourceOptions(parent=self)
        role = iam.Role(f"{name}-nodes", assume_role_policy=json.dumps(trust), opts=options)
        attachments: list[pulumi.Resource] = [
            iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=options,
            )
            for policy in _POLICIES
        ]
        return role, attachments

    def _launch_template(self, name: str, args: GpuNodeGroupArgs) -> Any:
        group = args.group
        tags = {"Name": name, "tts/stack": args.stack_name}
        return ec2.LaunchTemplate(
            f"{name}-nodes",
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name=_image(group)[1],
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3",
                        volume_size=group.disk_gib,
                        # Unpacking an image of several GB is bound by this, not by the network.
                        throughput=group.disk_throughput,
                        iops=max(_FREE_IOPS, _IOPS_FOR_THROUGHPUT * group.disk_throughput),
                        encrypted="true",
                        delete_on_termination="true",
                    ),
                )
            ],
            # One hop: pods reach AWS by their own identity, never by the node's.
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            tag_specifications=[
                ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("instance", "volume")
            ],
            update_default_version=True,
            opts=pulumi.ResourceOptions(parent=self),
        )

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

"""GPU machines for a stack: an EKS managed node group. Imported only by stacks that ask for one."""

import json
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import ec2, eks, iam

from components.settings import NodeGroup

_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly")


@dataclass(frozen=True)
class GpuNodeGroupArgs:
    """`stack_name` is the stack's name for its objects: pods select the nodes by it."""

    stack_name: str
    group: NodeGroup


class GpuNodeGroup(pulumi.ComponentResource):
    """Nodes with NVIDIA's driver that only pods which tolerate `nvidia.com/gpu` are placed on.

    The machine image brings driver and container toolkit; the cluster needs NVIDIA's device plugin."""

    node_group: pulumi.CustomResource

    def __init__(self, name: str, args: GpuNodeGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:nodes:GpuNodeGroup", name, None, opts)
        group = args.group
        role, attachments = self._role(name)
        template = self._launch_template(name, group)
        self.node_group = eks.NodeGroup(
            name,
            cluster_name=group.cluster_name,
            node_role_arn=role.arn,
            subnet_ids=list(group.subnet_ids),
            ami_type="AL2023_x86_64_NVIDIA",
            instance_types=list(group.instance_types),
            capacity_type=group.capacity_type,
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=group.min_size, max_size=group.max_size, desired_size=max(1, group.min_size)
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            launch_template=eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            labels={"tts/node-group": args.stack_name},
            taints=[eks.NodeGroupTaintArgs(key="nvidia.com/gpu", value="present", effect="NO_SCHEDULE")],
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=attachments,
                # The autoscaler owns it between the two limits.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
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

    def _launch_template(self, name: str, group: NodeGroup) -> Any:
        return ec2.LaunchTemplate(
            f"{name}-nodes",
            block_device_mappings=[
                ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",
                    ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3",
                        volume_size=group.disk_gib,
                        # Unpacking an image of several GB is bound by this, not by the network.
                        throughput=group.disk_throughput,
                        encrypted="true",
                        delete_on_termination="true",
                    ),
                )
            ],
            # One hop: pods reach AWS by their own identity, never by the node's.
            metadata_options=ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            update_default_version=True,
            opts=pulumi.ResourceOptions(parent=self),
        )

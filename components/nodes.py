"""What every machine of a stack on EKS has: its identity and its launch template. Imported only with one."""

import json
from typing import Any

import pulumi
from pulumi_aws import ec2, eks, iam

_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
_FREE_IOPS = 3000
_IOPS_FOR_THROUGHPUT = 4
"""gp3 gives at most a quarter of a MiB/s for each operation a second."""

BOTTLEROCKET_DISK = "/dev/xvdb"
AMAZON_LINUX_DISK = "/dev/xvda"
"""The disk that images and the files of pods lie on."""


def trust(service: str, *actions: str) -> str:
    """The policy by which a service of AWS becomes a role."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": list(actions) if actions else "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def attach(name: str, role: iam.Role, policy: str, *, parent: pulumi.Resource) -> pulumi.Resource:
    """Gives a role a policy of Amazon's."""
    attachment: pulumi.Resource = iam.RolePolicyAttachment(
        f"{name}-{policy}",
        role=role.name,
        policy_arn=f"arn:aws:iam::aws:policy/{policy}",
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return attachment


def node_role(name: str, *, parent: pulumi.Resource) -> tuple[iam.Role, list[pulumi.Resource]]:
    """The machines' identity, and what must be attached to it before there is one."""
    role = iam.Role(
        f"{name}-nodes",
        assume_role_policy=trust("ec2.amazonaws.com"),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role, [attach(name, role, policy, parent=parent) for policy in _POLICIES]


def launch_template(
    name: str, *, stack: str, device: str, disk_gib: int, throughput: int, parent: pulumi.Resource
) -> Any:
    """How a machine of `stack` starts: an encrypted disk of `disk_gib` with `throughput` MiB/s at `device`,
    and no way from a pod to the machine's identity."""
    tags = {"Name": name, "tts/stack": stack}
    return ec2.LaunchTemplate(
        f"{name}-nodes",
        block_device_mappings=[
            ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=device,
                ebs=ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=disk_gib,
                    # Unpacking an image of several GB is bound by this, not by the network.
                    throughput=throughput,
                    iops=max(_FREE_IOPS, _IOPS_FOR_THROUGHPUT * throughput),
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
        opts=pulumi.ResourceOptions(parent=parent),
    )


def launched_by(template: Any) -> Any:
    """A node group's reference to the newest version of its launch template."""
    return eks.NodeGroupLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str))

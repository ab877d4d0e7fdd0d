"""The components of AWS under Pulumi's mocks: what stands before what, what is kept, what nodes are told."""

from __future__ import annotations

from typing import Any

import pytest

from local.node.supported import refusals
from tests.components.conftest import Program, Registered

from .conftest import PLUGIN, Declare

BUCKETS = ("example-speech-models", "example-speech-outputs")
OF_A_BUCKET = (
    "Bucket",
    "BucketPublicAccessBlock",
    "BucketOwnershipControls",
    "BucketServerSideEncryptionConfiguration",
    "BucketVersioning",
    "BucketLifecycleConfiguration",
    "BucketPolicy",
)


def of_type(program: Program, name: str) -> list[Registered]:
    return [each for each in program.registered if each.type.endswith(f":{name}")]


def test_prod_shows_its_whole_plan_in_preview(declare: Declare) -> None:
    preview = declare("prod", preview=True)
    found = {each.title for each in preview.registered if each.type.startswith("aws:")}
    assert found == {
        "aws:iam/role:Role hibari-gpu-nodes",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment hibari-gpu-AmazonEKSWorkerNodePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment hibari-gpu-AmazonEKS_CNI_Policy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment hibari-gpu-AmazonEC2ContainerRegistryPullOnly",
        "aws:ec2/launchTemplate:LaunchTemplate hibari-gpu-nodes",
        "aws:eks/nodeGroup:NodeGroup hibari-gpu",
        "aws:autoscaling/tag:Tag hibari-gpu-label-tts-node-group",
        "aws:autoscaling/tag:Tag hibari-gpu-taint-nvidia.com-gpu",
        "aws:autoscaling/tag:Tag hibari-gpu-resources-nvidia.com-gpu",
        "aws:autoscaling/tag:Tag hibari-gpu-resources-ephemeral-storage",
        "aws:iam/role:Role hibari-server",
        "aws:iam/rolePolicy:RolePolicy hibari-server",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation hibari-server",
        "aws:route53/record:Record hibari",
        *(
            f"aws:s3/{kind[0].lower()}{kind[1:]}:{kind} {bucket}"
            for bucket in BUCKETS
            for kind in OF_A_BUCKET
        ),
    }
    assert sorted(preview.titles()) == sorted(declare("prod").titles())


def test_pods_come_after_their_nodes_and_their_identity(declare: Declare) -> None:
    program = declare("prod")
    before = program.before(program.kind("Deployment"))
    assert {
        "aws:eks/nodeGroup:NodeGroup hibari-gpu",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation hibari-server",
        "aws:iam/rolePolicy:RolePolicy hibari-server",
        "ServiceAccount hibari-server",
    } <= before
    (association,) = of_type(program, "PodIdentityAssociation")
    pod = program.kind("Deployment").inputs["spec"]["template"]["spec"]
    assert association.inputs["serviceAccount"] == pod["serviceAccountName"] == "hibari-server"
    assert association.inputs["namespace"] == "tts"
    assert not [each for each in pod["containers"][0]["env"] if "KEY" in each["name"]]


def test_images_are_pushed_to_repositories_that_are_there(declare: Declare) -> None:
    program = declare("staging")
    images = of_type(program, "Image")
    assert len(images) == 3
    repositories = {each.inputs["name"] for each in of_type(program, "Repository")}
    for image in images:
        assert len([title for title in program.before(image) if "ecr/repository" in title]) == 4
        caches = [each["registry"]["ref"] for each in image.inputs.get("cacheTo", ())]
        pushed = {ref.partition("/")[2].rpartition(":")[0] for ref in (*image.inputs["tags"], *caches)}
        assert pushed <= repositories


def test_data_is_kept(declare: Declare) -> None:
    for bucket in of_type(declare("prod"), "Bucket"):
        assert bucket.request.protect
    for each in declare("prod").registered:
        if each.type.startswith("aws:s3/"):
            assert each.request.retainOnDelete, each.title
    for each in (*of_type(declare("staging"), "Repository"), *of_type(declare("staging"), "Image")):
        assert each.request.retainOnDelete, each.title
        assert not each.inputs.get("forceDelete")


def test_an_autoscaler_knows_nodes_that_are_not_there_yet(declare: Declare) -> None:
    tags = of_type(declare("prod"), "Tag")
    template = "k8s.io/cluster-autoscaler/node-template"
    assert {each.inputs["tag"]["key"]: each.inputs["tag"]["value"] for each in tags} == {
        f"{template}/label/tts/node-group": "hibari",
        f"{template}/taint/nvidia.com/gpu": "present:NoSchedule",
        f"{template}/resources/nvidia.com/gpu": "1",
        f"{template}/resources/ephemeral-storage": "200Gi",
    }
    assert {each.inputs["autoscalingGroupName"] for each in tags} == {"eks-gpu-0a1b2c"}


@pytest.mark.parametrize(
    ("stack", "ami", "device", "throughput", "iops"),
    [
        ("prod", "BOTTLEROCKET_x86_64_NVIDIA", "/dev/xvdb", 500, 3000),
        ("prod-on-amazon-linux", "AL2023_x86_64_NVIDIA", "/dev/xvda", 1000, 4000),
    ],
)
def test_the_disk_that_images_lie_on_is_quick_enough(
    declare: Declare, stack: str, ami: str, device: str, throughput: int, iops: int
) -> None:
    program = declare(stack)
    assert of_type(program, "NodeGroup")[0].inputs["amiType"] == ami
    (disk,) = of_type(program, "LaunchTemplate")[0].inputs["blockDeviceMappings"]
    assert disk["deviceName"] == device
    # gp3 refuses more than a quarter of a MiB/s for each operation a second.
    assert (disk["ebs"]["throughput"], disk["ebs"]["iops"]) == (throughput, iops)
    assert iops >= 4 * throughput


def test_the_device_plugin_is_declared_where_the_machine_image_has_none(declare: Declare) -> None:
    assert not of_type(declare("prod"), "DaemonSet")
    program = declare("prod-on-amazon-linux")
    plugin = program.kind("DaemonSet")
    spec = plugin.inputs["spec"]
    pod = spec["template"]["spec"]
    assert plugin.inputs["metadata"]["namespace"] == "kube-system"
    assert plugin.inputs["metadata"]["name"] == "hibari-device-plugin"
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    group = of_type(program, "NodeGroup")[0].inputs
    assert pod["nodeSelector"] == group["labels"]
    assert pod["tolerations"][0]["key"] == group["taints"][0]["key"]
    assert pod["containers"][0]["image"] == PLUGIN
    assert pod["volumes"][0]["hostPath"]["path"] == pod["containers"][0]["volumeMounts"][0]["mountPath"]
    assert plugin.title in program.before(program.kind("Deployment"))


def test_a_certificate_makes_the_stack_s_own_gateway_speak_https(declare: Declare) -> None:
    changes: dict[str, Any] = {"tts:gateway": "", "tts:tlsSecret": "speech-tls"}
    program = declare("staging", changes)
    gateway = program.kind("Gateway").inputs
    plain, secure = gateway["spec"]["servers"]
    assert plain["port"]["number"] == 80  # by which the release asks from inside
    assert secure["port"] == {"number": 443, "name": "https", "protocol": "HTTPS"}
    assert secure["tls"]["credentialName"] == "speech-tls"
    assert secure["hosts"] == ["tts.staging.example.com"]
    assert program.exported["url"] == "https://tts.staging.example.com"
    # On one machine it is refused by name, never ignored.
    assert any("tls" in sentence for sentence in refusals(gateway))


def test_the_host_is_a_name_of_the_load_balancer(declare: Declare) -> None:
    (record,) = of_type(declare("prod"), "Record")
    assert record.inputs["name"] == "tts.example.com"
    assert record.inputs["records"] == ["gateway-0123456789abcdef.elb.eu-central-1.amazonaws.com"]

"""What the stacks declare on AWS is accepted by the models of its API, and carried out by moto's stand-in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from .calls import TRANSLATIONS, Call, call_of, mistakes
from .conftest import STACKS, Declare

REGION = "eu-central-1"


OF_A_CLUSTER = (
    "CreateCluster",
    "CreateAddon",
    "CreateAccessEntry",
    "AssociateAccessPolicy",
    "CreateLogGroup",
)


def calls(declare: Declare, stack: str) -> list[Call]:
    return [call_of(each) for each in declare(stack).registered if each.type.startswith("aws:")]


def call(declare: Declare, stack: str, operation: str) -> Call:
    return next(each for each in calls(declare, stack) if each.operation == operation)


@pytest.mark.parametrize("stack", STACKS)
def test_the_api_s_models_accept_every_call(declare: Declare, stack: str) -> None:
    found = calls(declare, stack)
    assert len(found) >= 8
    assert {each.about: mistakes(each) for each in found if mistakes(each)} == {}


def test_every_translation_is_used(declare: Declare) -> None:
    used = {each.type for stack in STACKS for each in declare(stack).registered}
    assert set(TRANSLATIONS) <= used


@pytest.mark.parametrize(
    ("operation", "change", "says"),
    [
        ("CreateNodegroup", {"capacityType": "CHEAP"}, "the API knows ON_DEMAND"),
        ("CreateNodegroup", {"subnets": "subnet-1"}, "Invalid type for parameter subnets"),
        ("CreateNodegroup", {"taints": [{"key": "a", "effect": "NEVER"}]}, "the API knows NO_SCHEDULE"),
        ("CreateNodegroup", {"scalingConfig": {"minSize": -1}}, "minSize"),
        ("CreateNodegroup", {"updateConfig": {"updateStrategy": "SLOW"}}, "the API knows DEFAULT, MINIMAL"),
        ("CreateNodegroup", {"amiType": "AL2023_NVIDIA"}, "amiType"),
        ("CreatePodIdentityAssociation", {"namespce": "tts"}, 'Unknown parameter in input: "namespce"'),
        ("PutBucketVersioning", {"VersioningConfiguration": {"Status": "On"}}, "the API knows Enabled"),
        ("ChangeResourceRecordSets", {"HostedZoneId": "Z" * 40}, "above 32"),
        ("CreateCluster", {"accessConfig": {"authenticationMode": "IAM"}}, "the API knows API"),
        ("CreateCluster", {"upgradePolicy": {"supportType": "LONG"}}, "the API knows STANDARD"),
        ("CreateCluster", {"name": "speech prod"}, "name"),
        ("CreateCluster", {"encryptionConfig": {"resources": ["secrets"]}}, "Invalid type"),
        ("CreateAddon", {"addOnName": "vpc-cni"}, 'Unknown parameter in input: "addOnName"'),
        ("AssociateAccessPolicy", {"accessScope": {"type": "everything"}}, "the API knows cluster"),
        ("CreateLogGroup", {"logGroupName": "a b"}, "logGroupName"),
    ],
)
def test_the_models_refuse_what_is_wrong(
    declare: Declare, operation: str, change: dict[str, Any], says: str
) -> None:
    right = call(declare, "prod-with-its-own-cluster" if operation in OF_A_CLUSTER else "prod", operation)
    assert says in " ".join(mistakes(replace(right, parameters=right.parameters | change)))


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    """An AWS account in this process: keys of nobody, so that nothing else can be reached."""
    keys = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": REGION}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in keys.items():
            patch.setenv(name, value)
        with mock_aws():
            yield


@pytest.fixture(scope="module")
def account(aws: None, declare: Declare) -> None:
    """The account with all that prod and staging declare, but for the buckets' policies: moto knows no
    conditions, so the denial of plain text would deny all."""
    boto3.client("eks").create_cluster(
        name="speech-prod", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={}
    )
    carry_out([each for each in calls(declare, "prod") if each.operation != "PutBucketPolicy"])
    carry_out(calls(declare, "staging"))


def carry_out(found: list[Call]) -> None:
    """Makes the calls in the program's order, with the ids that AWS gives on the way."""
    template = ""
    for each in found:
        parameters = dict(each.parameters)
        if each.operation == "CreateNodegroup":
            parameters["launchTemplate"] = {"id": template, "version": "1"}
        if each.operation == "AttachRolePolicy":
            parameters["PolicyArn"] = policy_of_aws(parameters["PolicyArn"])
        if each.operation in NOT_IN_MOTO:
            continue
        client = boto3.client(each.service, region_name=REGION)
        answer = client._make_api_call(each.operation, parameters)
        template = answer.get("LaunchTemplate", {}).get("LaunchTemplateId", template)


# moto has no associations; groups of instances come with the nodes of a real EKS, the zone is a person's.
NOT_IN_MOTO = (
    "CreatePodIdentityAssociation",
    "CreateOrUpdateTags",
    "ChangeResourceRecordSets",
    *("CreateAddon", "CreateAccessEntry", "AssociateAccessPolicy"),
)


def policy_of_aws(arn: str) -> str:
    """A policy of that name: moto does not load Amazon's own."""
    name = arn.rpartition("/")[2]
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    )
    iam = boto3.client("iam")
    made = {each["PolicyName"]: each["Arn"] for each in iam.list_policies(Scope="Local")["Policies"]}
    if name not in made:
        made[name] = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
    return str(made[name])


@pytest.mark.usefixtures("account")
def test_prod_is_carried_out() -> None:
    group = boto3.client("eks").describe_nodegroup(clusterName="speech-prod", nodegroupName="hibari-gpu")
    assert group["nodegroup"]["taints"] == [
        {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
    ]
    assert group["nodegroup"]["scalingConfig"] == {"minSize": 1, "maxSize": 4, "desiredSize": 1}
    s3 = boto3.client("s3")
    for bucket in ("example-speech-models", "example-speech-outputs"):
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert len(block) == 4
        assert all(block.values())
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert rules[0]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert rules[1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
        encryption = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]
        assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.usefixtures("account")
def test_a_cluster_is_carried_out_with_its_nodes(declare: Declare) -> None:
    own = calls(declare, "prod-with-its-own-cluster")
    carry_out([each for each in own if "hibari-cluster" in each.about or "hibari-cpu" in each.about])
    eks = boto3.client("eks")
    cluster = eks.describe_cluster(name="speech")["cluster"]
    assert cluster["version"] == "1.35"
    assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert [each["resources"] for each in cluster["encryptionConfig"]] == [["secrets"]]
    ((logs),) = cluster["logging"]["clusterLogging"]
    assert logs["enabled"]
    assert {"audit", "authenticator"} <= set(logs["types"])
    group = eks.describe_nodegroup(clusterName="speech", nodegroupName="hibari-cpu")["nodegroup"]
    assert group["scalingConfig"] == {"minSize": 2, "maxSize": 4, "desiredSize": 2}
    (group_of_logs,) = boto3.client("logs").describe_log_groups()["logGroups"]
    assert group_of_logs["logGroupName"] == "/aws/eks/speech/cluster"


@pytest.mark.usefixtures("account")
def test_staging_s_repositories_keep_what_a_rollback_needs() -> None:
    ecr = boto3.client("ecr")
    found = {each["repositoryName"]: each for each in ecr.describe_repositories()["repositories"]}
    assert {name: each["imageTagMutability"] for name, each in found.items()} == {
        "hibari/hibari": "IMMUTABLE",
        "hibari/tts-server-hibari": "IMMUTABLE",
        "hibari/tts-release": "IMMUTABLE",
        "hibari/tts-build-cache": "MUTABLE",
    }
    assert all(each["imageScanningConfiguration"] == {"scanOnPush": True} for each in found.values())
    for name, cached in {"hibari/hibari": False, "hibari/tts-build-cache": True}.items():
        rules = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
        assert [rule["selection"]["countNumber"] for rule in rules] == ([14] if cached else [14, 30])


@pytest.mark.usefixtures("account")
def test_the_servers_may_read_their_model_and_write_outputs_and_nothing_else() -> None:
    s3 = boto3.client("s3")
    s3.put_object(Bucket="example-speech-models", Key="models/hibari/1.0.0/hibari.onnx", Body=b"weights")
    s3.put_object(Bucket="example-speech-models", Key="models/other/1.0.0/other.onnx", Body=b"others'")
    s3.put_object(Bucket="example-speech-outputs", Key="prod/outputs/a.wav", Body=b"spoken")
    arn = boto3.client("iam").get_role(RoleName="hibari-server")["Role"]["Arn"]
    keys = boto3.client("sts").assume_role(RoleArn=arn, RoleSessionName="pod")["Credentials"]
    pod = boto3.client(
        "s3",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    with_rights(pod)


@set_initial_no_auth_action_count(0)
def with_rights(pod: Any) -> None:
    """From here on the stand-in asks for rights."""
    read = pod.get_object(Bucket="example-speech-models", Key="models/hibari/1.0.0/hibari.onnx")
    assert read["Body"].read() == b"weights"
    pod.put_object(Bucket="example-speech-outputs", Key="prod/outputs/b.wav", Body=b"spoken")
    denied = [
        lambda: pod.get_object(Bucket="example-speech-models", Key="models/other/1.0.0/other.onnx"),
        lambda: pod.put_object(Bucket="example-speech-models", Key="models/hibari/1.0.0/x", Body=b""),
        lambda: pod.get_object(Bucket="example-speech-outputs", Key="prod/outputs/a.wav"),
        lambda: pod.put_object(Bucket="example-speech-outputs", Key="staging/outputs/b.wav", Body=b""),
        lambda: pod.delete_object(Bucket="example-speech-outputs", Key="prod/outputs/a.wav"),
        lambda: pod.list_objects_v2(Bucket="example-speech-outputs"),
        lambda: pod.delete_bucket(Bucket="example-speech-outputs"),
    ]
    for attempt in denied:
        with pytest.raises(ClientError, match=r"AccessDenied|403|Forbidden"):
            attempt()


@pytest.mark.usefixtures("account")
def test_a_wrong_policy_would_be_refused(declare: Declare) -> None:
    rights = call(declare, "prod", "PutRolePolicy")
    wrong = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps"}]})
    with pytest.raises(ClientError, match="MalformedPolicy"):
        carry_out([replace(rights, parameters=rights.parameters | {"PolicyDocument": wrong})])
    policy = call(declare, "staging", "PutLifecyclePolicy")
    wrong = policy.parameters["lifecyclePolicyText"].replace("sinceImagePushed", "sinceLongAgo")
    with pytest.raises(ClientError, match="InvalidParameter"):
        carry_out([replace(policy, parameters=policy.parameters | {"lifecyclePolicyText": wrong})])

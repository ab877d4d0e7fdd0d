"""The calls of AWS that the declared resources become, as Pulumi's AWS provider makes them on creation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.session import get_session
from botocore.validate import ParamValidator

from tests.components.conftest import Registered


@dataclass(frozen=True)
class Call:
    """One request: the client's name, its operation in botocore's spelling, and its parameters."""

    service: str
    operation: str
    parameters: dict[str, Any]
    about: str


Inputs = Mapping[str, Any]
Translate = Callable[[str, Inputs], tuple[str, str, dict[str, Any]]]


def capital(value: Any, *, flags: tuple[str, ...] = ()) -> Any:
    """EC2 and S3 spell with capitals, and some of EC2's flags are text in Pulumi's inputs."""
    if isinstance(value, Mapping):
        return {
            key[0].upper() + key[1:]: item == "true" if key in flags else capital(item, flags=flags)
            for key, item in value.items()
        }
    return [capital(item, flags=flags) for item in value] if isinstance(value, list) else whole(value)


def whole(value: Any) -> Any:
    """Pulumi's numbers are floats."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else whole(value)


def _node_group(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    renamed = {"subnetIds": "subnets", "nodeRoleArn": "nodeRole"}
    parameters = {renamed.get(key, key): plain(value) for key, value in inputs.items()}
    return "eks", "CreateNodegroup", {"nodegroupName": name, **parameters}


def _launch_template(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    data = {key: value for key, value in inputs.items() if key != "updateDefaultVersion"}
    data = capital(data, flags=("encrypted", "deleteOnTermination"))
    data["TagSpecifications"] = [
        each | {"Tags": [{"Key": key, "Value": value} for key, value in each["Tags"].items()]}
        for each in ({**one, "Tags": raw["tags"]} for one, raw in _zip(data, inputs))
    ]
    return "ec2", "CreateLaunchTemplate", {"LaunchTemplateName": name, "LaunchTemplateData": data}


def _zip(data: dict[str, Any], inputs: Inputs) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    return zip(data["TagSpecifications"], inputs["tagSpecifications"], strict=True)


def _cluster(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    parameters = {key: plain(value) for key, value in inputs.items()}
    logs = {"clusterLogging": [{"types": parameters.pop("enabledClusterLogTypes"), "enabled": True}]}
    named = {"resourcesVpcConfig": parameters.pop("vpcConfig"), "logging": logs}
    # The provider writes one block where the API takes a list.
    encryption = parameters.pop("encryptionConfig", None)
    return (
        "eks",
        "CreateCluster",
        parameters | named | ({"encryptionConfig": [encryption]} if encryption else {}),
    )


def _add_on(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    # How conflicts are resolved is said of an update alone.
    parameters = {key: plain(value) for key, value in inputs.items() if key != "resolveConflictsOnUpdate"}
    return "eks", "CreateAddon", parameters


def _eks(operation: str) -> Translate:
    def translate(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
        return "eks", operation, plain(inputs)

    return translate


def _log_group(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    return "logs", "CreateLogGroup", {"logGroupName": inputs["name"]}


def _role(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    return "iam", "CreateRole", {"RoleName": name, "AssumeRolePolicyDocument": inputs["assumeRolePolicy"]}


def _role_policy(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    parameters = {"RoleName": inputs["role"], "PolicyName": name, "PolicyDocument": inputs["policy"]}
    return "iam", "PutRolePolicy", parameters


def _attachment(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    return "iam", "AttachRolePolicy", {"RoleName": inputs["role"], "PolicyArn": inputs["policyArn"]}


def _repository(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    parameters = {key: value for key, value in inputs.items() if key not in ("name", "region")}
    (encryption,) = parameters.pop("encryptionConfigurations")
    named = {"repositoryName": inputs["name"], "encryptionConfiguration": encryption}
    return "ecr", "CreateRepository", parameters | named


def _lifecycle(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    text = {"repositoryName": inputs["repository"], "lifecyclePolicyText": inputs["policy"]}
    return "ecr", "PutLifecyclePolicy", text


def _bucket(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    where = {"LocationConstraint": inputs["region"]}
    return "s3", "CreateBucket", {"Bucket": inputs["bucket"], "CreateBucketConfiguration": where}


def _of_bucket(operation: str, key: str, make: Callable[[Inputs], Any]) -> Translate:
    def translate(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
        return "s3", operation, {"Bucket": inputs["bucket"], key: make(inputs)}

    return translate


def _block(inputs: Inputs) -> Any:
    return capital({key: value for key, value in inputs.items() if key not in ("bucket", "region")})


def _encryption(inputs: Inputs) -> Any:
    rules = []
    for rule in inputs["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        rules.append({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": default["sseAlgorithm"]}})
    return {"Rules": rules}


def _bucket_lifecycle(inputs: Inputs) -> Any:
    return {
        "Rules": [
            capital({key: value for key, value in rule.items() if key != "id"}) | {"ID": rule["id"]}
            for rule in inputs["rules"]
        ]
    }


def _tag(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    group = {"ResourceId": inputs["autoscalingGroupName"], "ResourceType": "auto-scaling-group"}
    return "autoscaling", "CreateOrUpdateTags", {"Tags": [group | capital(inputs["tag"])]}


def _record(name: str, inputs: Inputs) -> tuple[str, str, dict[str, Any]]:
    record = {
        "Name": inputs["name"],
        "Type": inputs["type"],
        "TTL": whole(inputs["ttl"]),
        "ResourceRecords": [{"Value": each} for each in inputs["records"]],
    }
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    return "route53", "ChangeResourceRecordSets", {"HostedZoneId": inputs["zoneId"], "ChangeBatch": batch}


TRANSLATIONS: dict[str, Translate] = {
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attachment,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _eks("CreatePodIdentityAssociation"),
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/addon:Addon": _add_on,
    "aws:eks/accessEntry:AccessEntry": _eks("CreateAccessEntry"),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _eks("AssociateAccessPolicy"),
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ecr/repository:Repository": _repository,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _lifecycle,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _of_bucket(
        "PutPublicAccessBlock", "PublicAccessBlockConfiguration", _block
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _of_bucket(
        "PutBucketOwnershipControls", "OwnershipControls", lambda inputs: {"Rules": [capital(inputs["rule"])]}
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _of_bucket(
        "PutBucketEncryption", "ServerSideEncryptionConfiguration", _encryption
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _of_bucket(
        "PutBucketVersioning",
        "VersioningConfiguration",
        lambda inputs: capital(inputs["versioningConfiguration"]),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _of_bucket(
        "PutBucketLifecycleConfiguration", "LifecycleConfiguration", _bucket_lifecycle
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _of_bucket(
        "PutBucketPolicy", "Policy", lambda inputs: inputs["policy"]
    ),
    "aws:autoscaling/tag:Tag": _tag,
    "aws:route53/record:Record": _record,
}


def call_of(resource: Registered) -> Call:
    """The call that makes a resource. A type without a translation fails the test that asks."""
    service, operation, parameters = TRANSLATIONS[resource.type](resource.name, resource.inputs)
    return Call(service, operation, parameters, resource.title)


_SESSION = get_session()
_MODELS: dict[str, Any] = {}


def mistakes(call: Call) -> list[str]:
    """What botocore's own validator says of a call, and what its model says of values: which are known, how
    long they may be, how they are spelled. botocore itself leaves those to the service."""
    if call.service not in _MODELS:
        _MODELS[call.service] = _SESSION.get_service_model(call.service)
    shape = _MODELS[call.service].operation_model(call.operation).input_shape
    report = ParamValidator().validate(call.parameters, shape)
    found = [report.generate_report()] if report.has_errors() else []
    return [*found, *_values(call.parameters, shape, call.operation)]


def _values(value: Any, shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for key, item in value.items():
            if key in shape.members:
                yield from _values(item, shape.members[key], f"{path}.{key}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, shape.member, f"{path}[{index}]")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _values(key, shape.key, f"{path} key")
            yield from _values(item, shape.value, f"{path}.{key}")
    else:
        yield from _leaf(value, shape, path)


def _leaf(value: Any, shape: Shape, path: str) -> Iterator[str]:
    known = getattr(shape, "enum", None)
    if known and value not in known:
        yield f"{path} is {value!r}, and the API knows {', '.join(known)}"
    limits, size = shape.metadata, len(value) if isinstance(value, str) else value
    if "max" in limits and isinstance(size, int) and not isinstance(size, bool) and size > limits["max"]:
        yield f"{path} is {size}, above {limits['max']}"
    if "pattern" in limits and isinstance(value, str) and not _matches(limits["pattern"], value):
        yield f"{path} is {json.dumps(value)}, not {limits['pattern']}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern.replace(r"\p{L}\p{Z}\p{N}", r"\w\s"), value) is not None
    except re.error:
        return True  # of Java's expressions Python does not know all

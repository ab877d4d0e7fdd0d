"""Who the servers are on AWS: EKS Pod Identity in place of keys. Imported only by stacks that ask for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_aws import eks, iam
from pulumi_kubernetes.core.v1 import ServiceAccount

from components.aws_settings import PodIdentity as PodIdentitySettings
from components.labels import object_metadata, stack_labels
from components.nodes import trust
from components.settings import Settings


@dataclass(frozen=True)
class PodIdentityArgs:
    """`after` is what the ServiceAccount needs (a namespace); `cluster` where it is declared; `cluster_name`
    is what EKS calls that one."""

    settings: Settings
    identity: PodIdentitySettings
    cluster_name: pulumi.Input[str]
    cluster: pulumi.ProviderResource
    after: Sequence[pulumi.Resource] = ()


class PodIdentity(pulumi.ComponentResource):
    """A role that may read the model's files and write outputs, and the pods that have it. A pod gets its
    identity when it is made, so pods come after `ready`; the cluster needs the EKS Pod Identity Agent."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: PodIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:storage:PodIdentity", name, None, opts)
        settings, identity = args.settings, args.identity
        own = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            name,
            assume_role_policy=trust("pods.eks.amazonaws.com", "sts:AssumeRole", "sts:TagSession"),
            opts=own,
        )
        rights = iam.RolePolicy(name, role=role.name, policy=json.dumps(rights_of(identity)), opts=own)
        association = eks.PodIdentityAssociation(
            name,
            cluster_name=args.cluster_name,
            namespace=settings.namespace,
            service_account=identity.service_account,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.ready = [association]
        if identity.declared:
            self.ready.append(self._account(args))
        self.register_outputs({})

    def _account(self, args: PodIdentityArgs) -> pulumi.Resource:
        account = args.identity.service_account
        return ServiceAccount(
            account,
            metadata=object_metadata(args.settings, account, stack_labels(args.settings, "model-server")),
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, provider=args.cluster, depends_on=list(args.after)),
        )


def rights_of(identity: PodIdentitySettings) -> dict[str, Any]:
    """The IAM policy of the servers: model files to read, outputs to write, and nothing to list or delete but
    what belongs to records and voices."""
    kept = identity.writes if identity.keeps_objects else ()
    rights = {
        "s3:GetObject": (*identity.reads, *kept),
        "s3:PutObject": identity.writes,
        "s3:DeleteObject": kept,
    }
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": [f"arn:aws:s3:::{each}" for each in objects]}
        for action, objects in rights.items()
        if objects
    ]
    return {"Version": "2012-10-17", "Statement": [*statements, *map(_listing, kept)]}


def _listing(objects: str) -> dict[str, Any]:
    bucket, _, prefix = objects.partition("/")
    return {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": [f"arn:aws:s3:::{bucket}"],
        "Condition": {"StringLike": {"s3:prefix": [prefix]}},
    }

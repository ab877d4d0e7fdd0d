"""An EKS cluster of a stack's own. Imported only by stacks that ask for one."""

import json
from typing import Any

import pulumi
from pulumi_aws import cloudwatch, eks, iam

from components.cluster_settings import BEFORE_NODES, ON_NODES
from components.cluster_settings import EksCluster as ClusterSettings
from components.nodes import BOTTLEROCKET_DISK, attach, launch_template, launched_by, node_role, trust

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_LOG_DAYS = 90
_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_DISK_THROUGHPUT = 125
_CONFIGURED = {"vpc-cni": json.dumps({"enableNetworkPolicy": "true"})}
"""Without this the stack's NetworkPolicies would have no effect."""


class EksCluster(pulumi.ComponentResource):
    """The control plane, who may enter, its add-ons and a few machines without GPUs.

    Who may enter stands in access entries alone: nobody is an administrator for having made it. Neither
    Pulumi nor AWS deletes it unless a person lifts both protections; its log outlives it."""

    name: pulumi.Output[str]
    version: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    entered: list[pulumi.Resource]
    """By these the administrators may enter."""
    before_nodes: list[pulumi.Resource]
    """What makes a machine a node."""
    ready: list[pulumi.Resource]
    """With these, pods run and find each other."""

    def __init__(
        self, name: str, args: ClusterSettings, *, stack: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("tts:cluster:EksCluster", name, None, opts)
        self._label, self._stack = name, stack
        cluster = self._control_plane(args)
        self.name, self.version = cluster.name, cluster.version
        self.kubeconfig = pulumi.Output.all(
            cluster.name, cluster.endpoint, cluster.certificate_authority, cluster.arn
        ).apply(lambda made: kubeconfig(made[0], endpoint=made[1], authority=made[2]["data"], arn=made[3]))
        self.entered = [self._admin(arn) for arn in args.admins]
        self.before_nodes = [self._add_on(each, args, after=[]) for each in BEFORE_NODES]
        nodes = self._nodes(args)
        self.ready = [self._add_on(each, args, after=[nodes]) for each in ON_NODES]
        self.register_outputs({})

    def _control_plane(self, args: ClusterSettings) -> Any:
        own, name = pulumi.ResourceOptions(parent=self), self._label
        role = iam.Role(name, assume_role_policy=trust("eks.amazonaws.com"), opts=own)
        needed = [attach(name, role, "AmazonEKSClusterPolicy", parent=self)]
        if args.secrets_key:
            rights = json.dumps(_rights_to(args.secrets_key))
            needed.append(iam.RolePolicy(name, role=role.name, policy=rights, opts=own))
        # EKS would make the log itself, and keep it for ever.
        log = cloudwatch.LogGroup(
            name,
            name=f"/aws/eks/{args.name}/cluster",
            retention_in_days=_LOG_DAYS,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        return eks.Cluster(
            name,
            name=args.name,
            version=args.version,
            role_arn=role.arn,
            vpc_config=_network(args),
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            encryption_config=_encryption(args.secrets_key),
            enabled_cluster_log_types=list(_LOGS),
            # The add-ons are declared, each with its version.
            bootstrap_self_managed_addons=False,
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            deletion_protection=True,
            tags={"tts/stack": self._stack},
            opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=[*needed, log]),
        )

    def _admin(self, arn: str) -> pulumi.Resource:
        # The account, too: several may have a role of that name.
        own = f"{self._label}-{arn.split(':')[4]}-{arn.rpartition('/')[2]}"
        entry = eks.AccessEntry(
            own, cluster_name=self.name, principal_arn=arn, opts=pulumi.ResourceOptions(parent=self)
        )
        rights: pulumi.Resource = eks.AccessPolicyAssociation(
            own,
            cluster_name=self.name,
            principal_arn=arn,
            policy_arn=_ADMIN,
            access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
        )
        return rights

    def _add_on(self, add_on: str, args: ClusterSettings, *, after: list[pulumi.Resource]) -> pulumi.Resource:
        declared: pulumi.Resource = eks.Addon(
            f"{self._label}-{add_on}",
            cluster_name=self.name,
            addon_name=add_on,
            addon_version=args.add_ons.get(add_on),
            configuration_values=_CONFIGURED.get(add_on),
            # What somebody changed by hand goes with the next version.
            resolve_conflicts_on_update="OVERWRITE",
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        return declared

    def _nodes(self, args: ClusterSettings) -> pulumi.Resource:
        name, nodes = f"{self._stack}-cpu", args.nodes
        role, attachments = node_role(name, parent=self)
        template = launch_template(
            name,
            stack=self._stack,
            device=BOTTLEROCKET_DISK,
            disk_gib=nodes.disk_gib,
            throughput=_DISK_THROUGHPUT,
            parent=self,
        )
        group: pulumi.Resource = eks.NodeGroup(
            name,
            cluster_name=self.name,
            version=self.version,
            node_role_arn=role.arn,
            subnet_ids=list(args.subnet_ids),
            ami_type="BOTTLEROCKET_x86_64",
            instance_types=list(nodes.instance_types),
            scaling_config=eks.NodeGroupScalingConfigArgs(
                min_size=nodes.min_size, max_size=nodes.max_size, desired_size=nodes.min_size
            ),
            update_config=eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
            launch_template=launched_by(template),
            tags={"tts/stack": self._stack},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*attachments, *self.before_nodes],
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )
        return group


def kubeconfig(name: str, *, endpoint: str, authority: str, arn: str) -> str:
    """How a client enters the cluster: by a token that `aws` makes for whoever it runs as. It holds no
    credential itself."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": [
            "--region",
            arn.split(":")[3],
            "eks",
            "get-token",
            "--cluster-name",
            name,
            "--output",
            "json",
        ],
        "interactiveMode": "Never",
    }
    cluster = {"server": endpoint, "certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"exec": command}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(document)


def _network(args: ClusterSettings) -> eks.ClusterVpcConfigArgs:
    """From inside the VPC, and beside that only from where somebody said."""
    cidrs = list(args.public_access_cidrs)
    return eks.ClusterVpcConfigArgs(
        subnet_ids=list(args.subnet_ids),
        endpoint_private_access=True,
        endpoint_public_access=bool(cidrs),
        public_access_cidrs=cidrs or None,
    )


def _encryption(key: str) -> eks.ClusterEncryptionConfigArgs | None:
    if not key:
        return None
    provider = eks.ClusterEncryptionConfigProviderArgs(key_arn=key)
    return eks.ClusterEncryptionConfigArgs(provider=provider, resources=["secrets"])


def _rights_to(key: str) -> dict[str, Any]:
    actions = ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": key}
    return {"Version": "2012-10-17", "Statement": [statement]}

"""The cluster that a stack makes: what stands before what, who may enter, how it is entered, what is kept."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml

from components.eks_cluster import kubeconfig
from components.istio import hostname
from tests.components.conftest import Program, Registered

from .conftest import CLUSTER, OWN_CLUSTER, Declare

STACK = "prod-with-its-own-cluster"
ADD_ONS = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent", "coredns")


def one(program: Program, type_: str, name: str = "") -> Registered:
    (found,) = [
        each for each in program.registered if each.type.endswith(f":{type_}") and name in ("", each.name)
    ]
    return found


def test_a_stack_shows_its_cluster_in_preview(declare: Declare) -> None:
    preview, update = declare(STACK, preview=True), declare(STACK)
    assert sorted(preview.titles()) == sorted(update.titles())
    of_cluster = {
        each.title
        for each in preview.registered
        if each.type.startswith(("aws:eks/", "kubernetes:helm", "aws:cloudwatch/"))
    }
    assert of_cluster == {
        "aws:cloudwatch/logGroup:LogGroup hibari-cluster",
        "aws:eks/cluster:Cluster hibari-cluster",
        *(f"aws:eks/addon:Addon hibari-cluster-{add_on}" for add_on in ADD_ONS),
        *(
            f"aws:eks/{kind[0].lower()}{kind[1:]}:{kind} hibari-cluster-123456789012-{admin}"
            for kind in ("AccessEntry", "AccessPolicyAssociation")
            for admin in ("platform", "deploy")
        ),
        "aws:eks/nodeGroup:NodeGroup hibari-cpu",
        "aws:eks/nodeGroup:NodeGroup hibari-gpu",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation hibari-server",
        "kubernetes:helm.sh/v3:Release istio-base",
        "kubernetes:helm.sh/v3:Release istiod",
        "kubernetes:helm.sh/v3:Release istio-ingressgateway",
    }


def test_the_cluster_its_nodes_and_istio_come_in_this_order(declare: Declare) -> None:
    program = declare(STACK)

    def before(type_: str, name: str = "") -> set[str]:
        return program.before(one(program, type_, name))

    cluster = one(program, "Cluster").title
    assert {
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment hibari-cluster-AmazonEKSClusterPolicy",
        "aws:iam/rolePolicy:RolePolicy hibari-cluster",
        "aws:cloudwatch/logGroup:LogGroup hibari-cluster",
    } <= before("Cluster")
    # Without the network's add-on no machine becomes a node; without a node CoreDNS never becomes ready.
    first = {f"aws:eks/addon:Addon hibari-cluster-{add_on}" for add_on in ADD_ONS[:3]}
    for group in ("hibari-cpu", "hibari-gpu"):
        assert {cluster, *first} <= before("NodeGroup", group)
    dns = one(program, "Addon", "hibari-cluster-coredns")
    assert "aws:eks/nodeGroup:NodeGroup hibari-cpu" in program.before(dns)
    charts = [one(program, "Release", name) for name in ("istio-base", "istiod", "istio-ingressgateway")]
    assert dns.title in program.before(charts[0])
    assert charts[0].title in program.before(charts[1])
    assert charts[1].title in program.before(charts[2])
    objects = [each for each in program.registered if "kind" in each.inputs]
    for each in objects:
        if each.inputs["kind"] not in ("ServiceAccount", "ConfigMap", "Role", "RoleBinding"):
            assert charts[2].title in program.before(each), each.title
    entered = {each.title for each in program.registered if each.type.endswith(":AccessPolicyAssociation")}
    assert len(entered) == 2
    for each in [*objects, *charts]:
        assert entered <= program.before(each), each.title


def test_nobody_enters_who_is_not_listed(declare: Declare) -> None:
    inputs = one(declare(STACK), "Cluster").inputs
    assert inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert inputs["vpcConfig"]["endpointPrivateAccess"]
    assert inputs["vpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
    closed = {"tts:aws": OWN_CLUSTER["tts:aws"] | {"cluster": CLUSTER | {"publicAccessCidrs": []}}}
    network = one(declare(STACK, closed), "Cluster").inputs["vpcConfig"]
    assert network["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in network
    principals = {
        each.inputs["principalArn"]
        for each in declare(STACK).registered
        if each.type.endswith(("AccessEntry", "AccessPolicyAssociation"))
    }
    assert principals == set(CLUSTER["admins"])


def test_what_must_not_be_lost_is_protected(declare: Declare) -> None:
    program = declare(STACK)
    cluster = one(program, "Cluster")
    assert cluster.request.protect
    assert cluster.inputs["deletionProtection"]
    assert cluster.inputs["encryptionConfig"]["provider"]["keyArn"] == CLUSTER["secretsKey"]
    assert "audit" in cluster.inputs["enabledClusterLogTypes"]
    log = one(program, "LogGroup")
    assert log.inputs == {"name": "/aws/eks/speech/cluster", "retentionInDays": 90}
    assert log.request.retainOnDelete


def test_a_cluster_without_a_key_of_its_own_takes_aws_s(declare: Declare) -> None:
    plain = {key: value for key, value in CLUSTER.items() if key != "secretsKey"}
    program = declare(STACK, {"tts:aws": OWN_CLUSTER["tts:aws"] | {"cluster": plain}})
    assert "encryptionConfig" not in one(program, "Cluster").inputs
    assert not [
        each for each in program.registered if each.title == "aws:iam/rolePolicy:RolePolicy hibari-cluster"
    ]


def test_the_gpu_group_is_in_the_cluster_that_is_made(declare: Declare) -> None:
    group = one(declare(STACK), "NodeGroup", "hibari-gpu").inputs
    assert (group["clusterName"], group["version"]) == ("speech", "1.35")
    assert group["subnetIds"] == CLUSTER["subnetIds"]
    assert "version" not in one(declare("prod"), "NodeGroup").inputs


def test_the_gateway_is_where_the_stack_looks_for_it(declare: Declare) -> None:
    program = declare(STACK)
    gateway = one(program, "Release", "istio-ingressgateway").inputs
    # The chart names Service and pods after its release: `istio: ingressgateway`.
    address = json.loads(
        next(each for each in program.registered if each.name.endswith("-plan")).inputs["data"]["plan.json"]
    )["gateway"]["address"]
    assert address == f"http://{gateway['name']}.{gateway['namespace']}.svc.cluster.local"
    selector = program.kind("Gateway").inputs["spec"]["selector"]
    assert selector == {"istio": gateway["name"].removeprefix("istio-")}
    balancer = program.find("Service hibari-gateway").inputs
    assert balancer["spec"]["selector"] == selector
    assert balancer["metadata"]["namespace"] == gateway["namespace"]
    assert gateway["values"]["service"] == {"type": "ClusterIP"}
    # A pod of the gateway outlives the longest answer that goes through it.
    assert gateway["values"]["terminationGracePeriodSeconds"] > 300


def test_one_port_is_open_and_to_whom_the_setting_says(declare: Declare) -> None:
    service = declare(STACK).find("Service hibari-gateway").inputs
    assert [each["port"] for each in service["spec"]["ports"]] == [443]
    internal = "service.beta.kubernetes.io/aws-load-balancer-internal"
    assert service["metadata"]["annotations"][internal] == "true"
    outside = CLUSTER | {"loadBalancer": "internet-facing"}
    plain = declare(STACK, {"tts:tlsSecret": "", "tts:aws": {"cluster": outside}})
    service = plain.find("Service hibari-gateway").inputs
    assert [each["port"] for each in service["spec"]["ports"]] == [80]
    assert internal not in service["metadata"]["annotations"]


def test_the_host_is_a_name_of_the_load_balancer_that_is_made(declare: Declare) -> None:
    program = declare(STACK)
    (target,) = one(program, "Record").inputs["records"]
    assert target == program.exported["loadBalancer"] == "made-0a1b2c.elb.eu-central-1.amazonaws.com"
    assert "loadBalancer" not in declare("prod").exported


@pytest.mark.parametrize("status", [None, type("Status", (), {"load_balancer": None})])
def test_a_load_balancer_that_is_not_there_yet_has_no_name(status: Any) -> None:
    assert hostname(status) == ""


def test_where_a_cluster_exists_nothing_is_another(declare: Declare) -> None:
    for stack in ("prod", "staging"):
        program = declare(stack)
        provider = next(each for each in program.registered if each.type == "pulumi:providers:kubernetes")
        assert provider.inputs == {"upsertExistingObjects": "true"}
        assert not [each for each in program.titles() if "aws:eks/cluster" in each or "helm" in each]


def test_the_cluster_is_entered_by_a_token_of_whoever_runs(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of the embedded platform enters by the kubeconfig, with a stand-in for `aws`."""
    from lightkube.config.client_adapter import ExecAuth
    from lightkube.config.kubeconfig import KubeConfig

    provider = next(each for each in declare(STACK).registered if each.type == "pulumi:providers:kubernetes")
    written = provider.inputs["kubeconfig"]
    assert "token" not in written.replace("get-token", "")
    config = KubeConfig.from_dict(yaml.safe_load(written)).get()
    assert config is not None
    assert config.cluster.server.startswith("https://0A1B2C.")
    assert config.user is not None
    command = tmp_path / "aws"
    command.write_text(
        '#!/bin/sh\necho "$@" > "$0.said"\n'
        'echo \'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1",'
        ' "status": {"token": "k8s-aws-v1.abc"}}\'\n'
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert config.user.exec is not None
    request = next(ExecAuth(config.user.exec).sync_auth_flow(httpx.Request("GET", config.cluster.server)))
    assert request.headers["Authorization"] == "Bearer k8s-aws-v1.abc"
    said = (tmp_path / "aws.said").read_text().strip()
    assert said == "--region eu-central-1 eks get-token --cluster-name speech --output json"


def test_the_region_of_a_token_is_the_cluster_s() -> None:
    text = kubeconfig("a", endpoint="https://x", authority="Q0E=", arn="arn:aws:eks:us-west-2:1:cluster/a")
    assert "us-west-2" in json.loads(text)["users"][0]["user"]["exec"]["args"]

"""Every stack of this project keeps every rule, and each rule refuses what breaks it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy.declared import UNKNOWN, Declared, Timeouts
from policy.rules import RULES, STACK_RULES

from .conftest import STACKS, Rendered, changed, kind, violations
from .test_clusters import OF_A_CLUSTER

ROOT = Path(__file__).resolve().parents[2]
STACK_IDS = ["dev", "staging", "everything", "prod", "gitops", "its-own-cluster"]
Edit = Callable[[dict[str, Any]], object]


def container(properties: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod(properties)["containers"][0]
    return found


def pod(properties: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = properties["spec"]["template"]["spec"]
    return found


def security(properties: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = container(properties)["securityContext"]
    return found


# rule; the kind of what is edited; the edit; what the one sentence says
REFUSED: tuple[tuple[str, str, Edit, str], ...] = (
    (
        "images-by-digest",
        "Deployment",
        lambda p: container(p).update(image="r/m:1.0.0"),
        'image is "r/m:1.0.0"',
    ),
    ("images-by-digest", "Job", lambda p: container(p).update(image="r/m@sha256:ab"), "by its digest"),
    (
        "images-by-digest",
        "Deployment",
        lambda p: pod(p).update(initContainers=[{**container(p), "name": "first", "image": "busybox:1.36"}]),
        r"initContainers\[first\].image",
    ),
    (
        "no-moving-tags",
        "docker-build:index:Image",
        lambda p: p.update(tags=["r/m:latest"]),
        "another image tomorrow",
    ),
    ("no-moving-tags", "docker-build:index:Image", lambda p: p.update(tags=["host:5000/m"]), r"tags\[0\]"),
    (
        "no-moving-tags",
        "docker-build:index:Image",
        lambda p: p.update(buildArgs={"PYTHON_IMAGE": "python:latest"}),
        "buildArgs.PYTHON_IMAGE",
    ),
    (
        "no-moving-tags",
        "Deployment",
        lambda p: container(p).update(image=f"r/m:latest@sha256:{'ab' * 32}"),
        "another image tomorrow",
    ),
    ("restricted-pods", "Deployment", lambda p: pod(p).update(hostNetwork=True), "hostNetwork is true"),
    ("restricted-pods", "Job", lambda p: pod(p).update(hostPID=True), "hostPID is true"),
    ("restricted-pods", "Job", lambda p: pod(p).update(hostIPC=True), "hostIPC is true"),
    (
        "restricted-pods",
        "Deployment",
        lambda p: pod(p)["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        "is a hostPath",
    ),
    (
        "restricted-pods",
        "Deployment",
        lambda p: pod(p)["securityContext"].update(sysctls=[{"name": "a", "value": "b"}]),
        "sysctls",
    ),
    ("restricted-pods", "Deployment", lambda p: security(p).update(privileged=True), "privileged is true"),
    ("restricted-pods", "Job", lambda p: security(p).pop("allowPrivilegeEscalation"), "is not false"),
    ("restricted-pods", "Job", lambda p: security(p).pop("readOnlyRootFilesystem"), "readOnlyRootFilesystem"),
    ("restricted-pods", "Job", lambda p: security(p).pop("capabilities"), r"write \[ALL\]"),
    ("restricted-pods", "Job", lambda p: security(p)["capabilities"].update(add=["SYS_ADMIN"]), "SYS_ADMIN"),
    ("restricted-pods", "Job", lambda p: pod(p)["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
    ("restricted-pods", "Deployment", lambda p: security(p).update(runAsUser=0), "which is root"),
    (
        "restricted-pods",
        "Deployment",
        lambda p: pod(p)["securityContext"].pop("seccompProfile"),
        "RuntimeDefault",
    ),
    ("restricted-pods", "Deployment", lambda p: container(p)["ports"][0].update(hostPort=80), "hostPort 80"),
    (
        "restricted-namespaces",
        "Namespace",
        lambda p: p["metadata"]["labels"].update({"pod-security.kubernetes.io/enforce": "baseline"}),
        "is baseline",
    ),
    ("restricted-namespaces", "Namespace", lambda p: p["metadata"].pop("labels"), "is missing"),
    (
        "budgets-add-up",
        "Deployment",
        lambda p: container(p)["startupProbe"].update(failureThreshold=59),
        "gives 59 s",
    ),
    ("budgets-add-up", "Deployment", lambda p: container(p).pop("startupProbe"), "gives 0 s"),
    (
        "budgets-add-up",
        "Deployment",
        lambda p: p["spec"].update(progressDeadlineSeconds=100),
        r"takes up to 120 s \(60 s to start, 60 s for the image\)",
    ),
    (
        "budgets-add-up",
        "Deployment",
        lambda p: container(p)["lifecycle"]["preStop"]["sleep"].update(seconds=400),
        "streams are cut",
    ),
    (
        "gpu-limit-is-request",
        "Deployment",
        lambda p: container(p)["resources"]["requests"].pop("nvidia.com/gpu"),
        "asks for no nvidia.com/gpu with a limit of 1",
    ),
    (
        "gpu-limit-is-request",
        "Deployment",
        lambda p: [
            part.update({"nvidia.com/gpu": n})
            for part, n in zip(container(p)["resources"].values(), ("2", "1"), strict=True)
        ],
        "write the same number",
    ),
    (
        "gpu-limit-is-request",
        "Deployment",
        lambda p: [part.update({"nvidia.com/gpu": 0.5}) for part in container(p)["resources"].values()],
        "write a whole number",
    ),
)


@pytest.mark.parametrize(("stack", "changes"), STACKS, ids=STACK_IDS)
@pytest.mark.parametrize("preview", [False, True], ids=["update", "preview"])
def test_every_stack_keeps_every_rule(
    rendered: Rendered, stack: str, changes: Mapping[str, Any], preview: bool
) -> None:
    assert violations(rendered(stack, changes, preview=preview)) == {}


@pytest.mark.parametrize(("rule", "about", "edit", "says"), REFUSED)
def test_a_rule_refuses_what_breaks_it(
    rendered: Rendered, rule: str, about: str, edit: Edit, says: str
) -> None:
    resources = rendered("prod" if rule == "gpu-limit-is-request" else "dev")
    resource = kind(resources, about)
    properties = copy.deepcopy(dict(resource.properties))
    edit(properties)
    found = violations(changed(resources, resource, properties=properties))
    assert list(found) == [rule]
    assert len(found[rule]) == 1, found
    assert re.search(says, found[rule][0]), found


@pytest.mark.parametrize(
    ("about", "timeouts", "says"),
    [
        ("Deployment", Timeouts(150, 180, 200), r"to create is 150 s, but progressDeadlineSeconds is 120 s"),
        ("Deployment", Timeouts(180, 0, 200), r"to update is 0 s"),
        (
            "Deployment",
            Timeouts(180, 180, 60),
            r"to delete is 60 s, but terminationGracePeriodSeconds is 46 s",
        ),
    ],
)
def test_the_update_must_outlast_what_it_waits_for(
    rendered: Rendered, about: str, timeouts: Timeouts, says: str
) -> None:
    resources = rendered("dev")
    found = violations(changed(resources, kind(resources, about), timeouts=timeouts))
    assert list(found) == ["budgets-add-up"]
    assert re.search(says, found["budgets-add-up"][0]), found


def test_an_awaited_job_says_how_long_and_one_that_is_not_awaited_need_not(rendered: Rendered) -> None:
    resources = rendered("dev")
    (release,) = [each for each in resources if each.kind == "Job" and each.name == "release"]
    (guard,) = [each for each in resources if each.kind == "Job" and each.name == "guard"]
    assert guard.timeouts == Timeouts()
    found = violations(changed(resources, release, timeouts=Timeouts()))
    assert "give up after ten minutes" in found["budgets-add-up"][0]


def test_a_gpu_needs_the_time_of_its_node(rendered: Rendered) -> None:
    resources = rendered("prod")
    deployment = kind(resources, "Deployment")
    properties = copy.deepcopy(dict(deployment.properties))
    properties["spec"]["progressDeadlineSeconds"] = 400
    found = violations(changed(resources, deployment, properties=properties))
    assert "300 s for a GPU node" in found["budgets-add-up"][0]


@pytest.mark.parametrize(
    ("changes", "caps", "says"),
    [
        ({}, {"maxReplicas": 1}, "Its pods may be 2, and the cap is 1"),
        ({}, {"maxGpus": 3}, "needs 4 GPUs while"),
        ({}, {"maxNodes": 3}, "maxSize is 4"),
        (
            {"tts:autoscaling": {"maxReplicas": 4}, "tts:nodeGroup": None},
            {"maxReplicas": 3},
            "Its pods may be 4, and the cap is 3",
        ),
    ],
)
def test_the_caps_hold(
    rendered: Rendered, changes: Mapping[str, Any], caps: dict[str, int], says: str
) -> None:
    changes = {key: value if value is not None else {"enabled": False} for key, value in changes.items()}
    resources = rendered("prod", changes)
    found = violations(resources, replica_and_gpu_caps=caps)
    assert list(found) == ["replica-and-gpu-caps"]
    assert says in found["replica-and-gpu-caps"][0], found


def bucket(**properties: Any) -> Declared:
    return Declared("aws:s3/bucket:Bucket", "outputs", "urn:bucket", properties, protected=True)


def block(**changes: Any) -> Declared:
    closed = dict.fromkeys(
        ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
    )
    return Declared(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "outputs",
        "urn:block",
        {"bucket": UNKNOWN, **closed, **changes},
        sources={"bucket": frozenset({"urn:bucket"})},
    )


def bucket_policy(**statement: Any) -> Declared:
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject"} | statement]}
    )
    return Declared("aws:s3/bucketPolicy:BucketPolicy", "outputs", "urn:policy", {"policy": policy})


@pytest.mark.parametrize(
    ("resources", "rule", "says"),
    [
        ([bucket(acl="public-read"), block()], "no-public-bucket", "acl is public-read"),
        (
            [bucket(grants=[{"uri": "http://acs.amazonaws.com/groups/global/AllUsers"}]), block()],
            "no-public-bucket",
            "to everybody",
        ),
        (
            [bucket(), block(restrictPublicBuckets=False)],
            "no-public-bucket",
            "restrictPublicBuckets is not true",
        ),
        ([bucket(), block(), bucket_policy(Principal="*")], "no-public-bucket", "s3:GetObject"),
        (
            [bucket(), block(), bucket_policy(Principal={"AWS": ["*"]})],
            "no-public-bucket",
            "allows everybody",
        ),
        ([bucket()], "buckets-are-blocked", "BucketPublicAccessBlock"),
        ([replace(bucket(), protected=False), block()], "data-is-protected", "no update deletes it"),
        (
            [bucket(), replace(block(), sources={"bucket": frozenset({"urn:another"})})],
            "buckets-are-blocked",
            "BucketPublicAccessBlock",
        ),
    ],
)
def test_no_bucket_is_public(resources: list[Declared], rule: str, says: str) -> None:
    found = violations(resources)
    assert list(found) == [rule]
    assert says in found[rule][0]


def test_a_closed_bucket_is_fine() -> None:
    tls = bucket_policy(
        Effect="Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}}, Action="s3:*"
    )
    named = bucket_policy(Principal={"AWS": "arn:aws:iam::123456789012:role/speech"})
    assert violations([bucket(acl="private"), block(), tls, named]) == {}
    assert violations([bucket(bucket="speech"), replace(block(bucket="speech"), sources={})]) == {}


def test_what_is_not_known_yet_is_judged_by_the_update(rendered: Rendered) -> None:
    resources = rendered("dev")
    deployment = kind(resources, "Deployment")
    properties = copy.deepcopy(dict(deployment.properties))
    container(properties).update(image=UNKNOWN, securityContext=UNKNOWN, startupProbe=UNKNOWN)
    found = violations(changed(resources, deployment, properties=properties))
    assert "images-by-digest" not in found
    assert violations(
        changed(resources, deployment, properties={"spec": UNKNOWN, "metadata": UNKNOWN})
    ).keys() <= {"budgets-add-up"}


def test_every_rule_is_refused_somewhere_here() -> None:
    elsewhere = {"replica-and-gpu-caps", "no-public-bucket", "buckets-are-blocked", "data-is-protected"}
    elsewhere |= {rule for _, _, rule, _ in OF_A_CLUSTER}
    names = {rule.name for rule in RULES} | {rule.name for rule in STACK_RULES}
    assert {rule for rule, *_ in REFUSED} | elsewhere == names


def test_a_device_plugin_may_reach_into_its_node_and_nothing_else_may(rendered: Rendered) -> None:
    nodes = {
        "enabled": True,
        "clusterName": "speech",
        "subnetIds": ["subnet-1"],
        "devicePlugin": f"r/k8s-device-plugin:v1@sha256:{'ab' * 32}",
    }
    resources = rendered("prod", {"tts:nodeGroup": nodes})
    plugin = kind(resources, "DaemonSet")
    assert violations(resources) == {}
    moved = copy.deepcopy(dict(plugin.properties))
    moved["metadata"]["namespace"] = "tts"
    found = violations(changed(resources, plugin, properties=moved))
    assert "is a hostPath" in found["restricted-pods"][0]
    assert "restricted-pods" in violations(resources, restricted_pods={"exempt": []})


def test_the_docs_list_every_rule_and_its_options() -> None:
    page = (ROOT / "docs" / "production-on-aws.md").read_text()
    section = page[page.index("## The policy pack") :].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == {
        rule.name for rule in (*RULES, *STACK_RULES)
    }
    (shown,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    defaults = {
        rule.name: {key: schema["default"] for key, schema in rule.options.items()}
        for rule in (*RULES, *STACK_RULES)
        if rule.options
    }
    assert json.loads(shown) == defaults

"""All that staging and prod declare, as the program renders it, is taken by the API server and by istiod."""

from __future__ import annotations

import copy
import json
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from components.labels import namespace_labels
from tests.cluster.conftest import kubectl
from tests.components.conftest import RunProgram, checkout, run_program  # noqa: F401 - fixtures

pytestmark = pytest.mark.cluster

Manifest = dict[str, Any]
KINDS = {
    *("ConfigMap", "Deployment", "DestinationRule", "Job", "NetworkPolicy", "PodDisruptionBudget", "Role"),
    *("RoleBinding", "Service", "ServiceAccount", "VirtualService"),
}


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A namespace labelled as the program labels its own, with the accounts that pods name."""
    name = f"tts-test-{secrets.token_hex(4)}"
    metadata = {"name": name, "labels": namespace_labels()}
    kubectl(
        "create", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    )
    for account in ("hibari-release", "hibari-server"):
        kubectl("create", "serviceaccount", account, "--namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def whole(value: Any) -> Any:
    """Numbers as the program wrote them: Pulumi's protocol knows no integers."""
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def rendered(run: RunProgram, stack: str, namespace: str) -> list[Manifest]:
    program = run(stack, {"tts:namespace": namespace, "tts:createNamespace": stack == "staging"})
    return [whole(each.inputs) for each in program.registered if "kind" in each.inputs]


def dry_run(manifest: Manifest) -> str:
    """What the server says against a manifest: an error or a warning; nothing where it takes it."""
    words = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--force-conflicts",
        "-f",
        "-",
    ]
    done = subprocess.run(
        ["kubectl", *words],
        input=json.dumps(manifest),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stderr.strip()
    assert (done.returncode == 0) is ("serverside-applied" in done.stdout), said
    return said


def pods_of(objects: list[Manifest]) -> list[Manifest]:
    """Each pod by itself: a Deployment is taken whose pods are not."""
    found = []
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            template = copy.deepcopy(each["spec"]["template"])
            metadata = template["metadata"] | {key: each["metadata"][key] for key in ("name", "namespace")}
            found.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return found


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_every_object_and_every_pod_is_accepted_without_a_warning(
    run_program: RunProgram,  # noqa: F811
    namespace: str,
    stack: str,
) -> None:
    objects = rendered(run_program, stack, namespace)
    assert {each["kind"] for each in objects} == KINDS | ({"Namespace"} if stack == "staging" else set())
    pods = pods_of(objects)
    assert len(pods) == 3
    against = {f"{each['kind']} {each['metadata']['name']}": dry_run(each) for each in [*objects, *pods]}
    assert {name: said for name, said in against.items() if said} == {}


def one(objects: list[Manifest], kind: str) -> Manifest:
    return copy.deepcopy(next(each for each in objects if each["kind"] == kind))


def test_what_is_wrong_would_be_refused(run_program: RunProgram, namespace: str) -> None:  # noqa: F811
    objects = rendered(run_program, "staging", namespace)
    route = one(objects, "VirtualService")
    route["spec"]["http"][-1]["timeout"] = "0s"
    assert "timeout" in dry_run(route)
    route = one(objects, "VirtualService")
    route["spec"]["http"][-1]["retries"]["retryOn"] = "connect-failure,whatever"
    assert "whatever" in dry_run(route)
    rule = one(objects, "DestinationRule")
    rule["spec"]["trafficPolicy"]["outlierDetection"]["maxEjectionPercent"] = 150
    assert "150" in dry_run(rule)
    policy = one(objects, "NetworkPolicy")
    policy["spec"]["ingres"] = []
    assert "ingres" in dry_run(policy)
    (server, *_) = pods_of(objects)
    server["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert "violates PodSecurity" in dry_run(server)

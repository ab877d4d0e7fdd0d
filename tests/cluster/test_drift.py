"""What somebody changed by hand is seen by `preview` and mended by `up`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.conftest import NAME, ClusterPlatform, kubectl
from tests.e2e.live import weights

pytestmark = pytest.mark.cluster

ROUTE = "virtualservice.networking.istio.io"


def change(stack: ClusterPlatform, what: str, patch: Any, kind: str = "merge") -> None:
    kubectl(
        "patch", *what.split(), "--namespace", stack.namespace, "--type", kind, "--patch", json.dumps(patch)
    )


def test_drift_is_seen_and_mended(stack: ClusterPlatform) -> None:
    revision = stack.speak().headers["x-tts-revision"]
    ours = ["--namespace", stack.namespace]
    kubectl("scale", "deployment", revision, "--replicas", "2", *ours)
    kubectl("label", "service", revision, "app.kubernetes.io/version=changed", "--overwrite", *ours)
    kubectl("delete", "networkpolicy", revision, f"{NAME}-default-deny", *ours)
    change(stack, f"deployment {revision}", {"spec": {"progressDeadlineSeconds": 333}})
    limit = {"name": "server", "resources": {"limits": {"memory": "1100Mi"}}}
    template = {"spec": {"template": {"spec": {"containers": [limit]}}}}
    change(stack, f"deployment {revision}", template, kind="strategic")
    route = stack.get(ROUTE, NAME)
    (served,) = route["spec"]["http"][-1]["route"]
    nowhere = {"destination": served["destination"] | {"host": "nowhere.svc.cluster.local"}, "weight": 40}
    route["spec"]["http"][-1]["route"] = [served | {"weight": 60}, nowhere]
    change(stack, f"{ROUTE} {NAME}", {"spec": {"http": route["spec"]["http"]}})

    plan = stack.run("preview", "--stack", "dev")
    assert plan.status == 0, plan.text
    for sentence in (
        f"Deployment {revision}: update",
        "spec.replicas: 2 => 1",
        "spec.progressDeadlineSeconds: 333 =>",
        "memory: 1100Mi => 1Gi",
        f"Service {revision}: update",
        "version: changed => 1.0.0",
        f"NetworkPolicy {revision}: create",
        f"NetworkPolicy {NAME}-default-deny: create",
        f"VirtualService {NAME}: update",
    ):
        assert sentence in plan.text, f"{sentence} is not in\n{plan.text}"
    assert len(weights(stack.get(ROUTE, NAME))) == 2, "a preview touches nothing"

    mended = stack.up(timeout=280)
    assert mended.status == 0, mended.text
    assert weights(stack.get(ROUTE, NAME)) == {revision: 100}
    assert stack.get("deployment", revision)["spec"]["replicas"] == 1
    assert stack.get("service", revision)["metadata"]["labels"]["app.kubernetes.io/version"] == "1.0.0"
    assert len(stack.get("networkpolicies")["items"]) == 3
    assert stack.speak().status_code == 200
    again = stack.run("preview", "--stack", "dev")
    assert "Nothing would change" in again.text, again.text

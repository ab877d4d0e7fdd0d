"""What the release's account may do on a real cluster: all it needs, and little else."""

from __future__ import annotations

import subprocess

import pytest

from tests.cluster.conftest import NAME, ClusterPlatform
from tests.e2e.live import weights

pytestmark = pytest.mark.cluster

ROUTES, LEASES = "virtualservices.networking.istio.io", "leases.coordination.k8s.io"
AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
NEEDED = [
    "list pods",
    "get deployments.apps",
    "list deployments.apps",
    "create events",
    "get jobs.batch",
    "list configmaps",
    "create configmaps",
    "patch configmaps",
    "delete configmaps",
    f"list {AUTOSCALERS}",
    f"patch {AUTOSCALERS}",
    f"create {ROUTES}",
    f"create {LEASES}",
    *(f"{verb} {ROUTES}/{NAME}" for verb in ("get", "patch", "delete")),
    *(f"{verb} {LEASES}/{NAME}-release" for verb in ("get", "patch")),
]
DENIED = [
    "get secrets",
    "list secrets",
    "watch pods",
    "create pods",
    "delete pods",
    "create pods/exec",
    "get events",
    "delete events",
    "patch deployments.apps",
    "delete deployments.apps",
    "patch deployments.apps/another --subresource=scale",
    "patch replicasets.apps --subresource=scale",
    *(f"{verb} {AUTOSCALERS}" for verb in ("create", "update", "delete")),
    "create jobs.batch",
    "delete jobs.batch",
    "patch services",
    "patch roles.rbac.authorization.k8s.io",
    "create rolebindings.rbac.authorization.k8s.io",
    "patch gateways.networking.istio.io",
    f"list {ROUTES}",
    f"update {ROUTES}/{NAME}",
    *(f"{verb} {ROUTES}/another" for verb in ("get", "patch", "delete")),
    *(f"{verb} {LEASES}/another" for verb in ("get", "patch", "delete")),
]


def may(stack: ClusterPlatform, request: str, namespace: str) -> bool:
    account = f"system:serviceaccount:{stack.namespace}:{NAME}-release"
    words = ["kubectl", "auth", "can-i", "--as", account, "--namespace", namespace, *request.split()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.strip() in ("yes", "no"), done.stderr
    return done.stdout.strip() == "yes"


def test_the_account_may_do_what_a_release_needs(stack: ClusterPlatform) -> None:
    assert [request for request in NEEDED if not may(stack, request, stack.namespace)] == []


def test_the_account_may_scale_what_is_declared_and_not_change_it(stack: ClusterPlatform) -> None:
    (revision,) = weights(stack.get("virtualservice.networking.istio.io", NAME))
    assert may(stack, f"patch deployments.apps/{revision} --subresource=scale", stack.namespace)
    assert not may(stack, f"update deployments.apps/{revision} --subresource=scale", stack.namespace)
    assert not may(stack, f"patch deployments.apps/{revision}", stack.namespace)


def test_the_account_may_do_nothing_else_here_nor_anything_elsewhere(stack: ClusterPlatform) -> None:
    assert [request for request in DENIED if may(stack, request, stack.namespace)] == []
    assert [request for request in NEEDED if may(stack, request, "default")] == []


def test_the_servers_have_no_account_to_use(stack: ClusterPlatform) -> None:
    for pod in stack.get("pods", "--selector", "app.kubernetes.io/component=model-server")["items"]:
        mounted = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
        assert "/var/run/secrets/kubernetes.io/serviceaccount" not in mounted

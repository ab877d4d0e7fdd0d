"""The number of pods on a real cluster: who decides it, and that no update takes a live pod away.

Whether the autoscaler itself goes up and down needs an adapter that serves custom metrics (docs/scale.md);
without one it must do no harm.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import NAME, ClusterPlatform, kubectl
from tests.e2e.conftest import Traffic
from tests.e2e.live import ready, weights
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
METRICS = "v1beta1.custom.metrics.k8s.io"
SYNC_SECONDS = 15
"""How often Kubernetes looks at an autoscaler."""


@pytest.fixture(scope="module")
def scaled(stack: ClusterPlatform) -> Iterator[ClusterPlatform]:
    """The stack with two pods of 1.0.0, fixed; it is left as it was. Six small pods fit any machine."""
    before = yaml.safe_load((stack.checkout / "Pulumi.dev.yaml").read_text())["config"]["tts:resources"]
    stack.configure(replicas=2, resources=before | {"cpu": "20m"})
    done = stack.up(timeout=280)
    assert done.status == 0, done.text
    yield stack
    stack.configure(replicas=1, resources=before, autoscaling=None, modelVersion="1.0.0")
    back = stack.up(timeout=280)
    assert back.status == 0, back.text
    assert stack.get(AUTOSCALERS)["items"] == []
    assert [each["spec"]["replicas"] for each in deployments(stack).values()] == [1]


def deployments(stack: ClusterPlatform) -> dict[str, Any]:
    labels = "app.kubernetes.io/component=model-server"
    return {
        each["metadata"]["name"]: each for each in stack.get("deployments", "--selector", labels)["items"]
    }


def live(stack: ClusterPlatform) -> str:
    (name,) = weights(stack.get("virtualservice.networking.istio.io", NAME))
    return name


@contextmanager
def looking(stack: ClusterPlatform) -> Iterator[list[dict[str, Any]]]:
    """What was seen meanwhile, again and again: ready pods by Deployment, holders by autoscaler, weights."""
    seen: list[dict[str, Any]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.3):
            seen.append(
                {
                    "ready": {name: ready(each) for name, each in deployments(stack).items()},
                    "holders": {
                        each["metadata"]["name"]: each["metadata"]["annotations"].get("tts/held-by", "")
                        for each in stack.get(AUTOSCALERS)["items"]
                    },
                    "weights": weights(stack.get("virtualservice.networking.istio.io", NAME)),
                }
            )

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_turning_it_on_takes_no_pod_away(scaled: ClusterPlatform) -> None:
    name = live(scaled)
    scaled.configure(autoscaling={"maxReplicas": 4})
    with looking(scaled) as seen:
        done = scaled.up(timeout=280)
    assert done.status == 0, done.text
    assert min(each["ready"][name] for each in seen) == 2
    found = scaled.get("deployment", name, "--show-managed-fields")
    owners = [
        (entry["manager"], entry.get("subresource"))
        for entry in found["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    ]
    assert found["spec"]["replicas"] == 2
    assert ("tts-release", "scale") in owners, "it stays when nobody else says it any more"
    again = scaled.up(timeout=280)
    assert "Nothing changed" in again.text, again.text


def test_an_autoscaler_that_no_adapter_answers_does_no_harm(scaled: ClusterPlatform) -> None:
    if METRICS in kubectl("get", "apiservices", "--output", "name"):
        pytest.skip("An adapter serves custom metrics here.")
    name = live(scaled)

    def conditions() -> dict[str, Any]:
        found = scaled.get(AUTOSCALERS, name).get("status", {}).get("conditions", [])
        return {each["type"]: each for each in found}

    active = eventually(lambda: conditions().get("ScalingActive"), 3 * SYNC_SECONDS)
    assert (active["status"], active["reason"]) == ("False", "FailedGetPodsMetric")
    assert "tts_busy_slots" in active["message"]
    time.sleep(2 * SYNC_SECONDS)
    assert deployments(scaled)[name]["spec"]["replicas"] == 2
    assert ready(deployments(scaled)[name]) == 2


def test_a_candidate_starts_with_the_pods_that_the_live_revision_has(scaled: ClusterPlatform) -> None:
    """As if the autoscaler had added one: it asks in the same way."""
    old = live(scaled)
    kubectl("scale", "deployment", old, "--replicas", "3", "--namespace", scaled.namespace)
    eventually(lambda: ready(deployments(scaled)[old]) == 3, 60)
    assert "Nothing changed" in scaled.up(timeout=280).text
    scaled.configure(modelVersion="1.1.0")
    with looking(scaled) as seen, Traffic(scaled, per_second=5) as traffic:
        done = scaled.up(timeout=280)
    assert done.status == 0, done.text
    assert traffic.faults == []
    new = live(scaled)
    assert f"{new} is asked for 3 replicas instead of 1." in done.text
    for each in seen:
        if new in each["weights"]:
            assert each["ready"][new] == 3, "no weight before all of them are ready"
        if len(each["weights"]) == 2:
            assert each["ready"][old] == 3
            assert each["holders"][old], "on the way no autoscaler takes pods away"
    (autoscaler,) = scaled.get(AUTOSCALERS)["items"]
    assert autoscaler["metadata"]["name"] == new
    assert (autoscaler["spec"]["minReplicas"], autoscaler["spec"]["maxReplicas"]) == (2, 4)
    assert "tts/held-by" not in autoscaler["metadata"]["annotations"]
    assert autoscaler["spec"]["behavior"]["scaleDown"]["selectPolicy"] == "Max"


def test_a_refused_candidate_lets_the_autoscaler_go(scaled: ClusterPlatform) -> None:
    name = live(scaled)
    scaled.edit("models/hibari/1.0.0.yaml", "charactersPerSecond: ", "charactersPerSecond: 9")
    scaled.configure(modelVersion="1.0.0")
    done = scaled.up(timeout=280)
    scaled.restore("models/hibari/1.0.0.yaml")
    scaled.configure(modelVersion="1.1.0")
    back = scaled.up(timeout=280)
    assert done.status != 0, done.text
    assert back.status == 0, back.text
    (autoscaler,) = scaled.get(AUTOSCALERS)["items"]
    assert autoscaler["metadata"]["name"] == name == live(scaled)
    assert "tts/held-by" not in autoscaler["metadata"]["annotations"]
    assert deployments(scaled)[name]["spec"]["replicas"] == 3


def test_every_object_is_one_that_the_api_server_accepts_again(scaled: ClusterPlatform) -> None:
    """What the release holds an autoscaler by is not in the way of an update."""
    name = live(scaled)
    change = '{"spec": {"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}}'
    words = ["kubectl", "patch", AUTOSCALERS, name, "--namespace", scaled.namespace, "--type", "merge"]
    subprocess.run([*words, "--patch", change], check=True, capture_output=True, timeout=30)
    again = scaled.up(timeout=280)
    assert "Nothing changed" in again.text, again.text

"""Why something is not ready: what is read from statuses, and what an update makes of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from local.engine.diagnosis import CRASHES, crash_loop
from tests.local.engine.conftest import Stack


def pod(*, restarts: int, state: dict[str, Any], last: dict[str, Any] | None = None) -> dict[str, Any]:
    container = {"name": "server", "ready": False, "restartCount": restarts, "state": state}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "tts", "labels": {"app": "server"}},
        "status": {
            "phase": "Running",
            "containerStatuses": [container | ({"lastState": last} if last else {})],
        },
    }


def waiting(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": "back-off 4s"}}


RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED: dict[str, Any] = {"terminated": {"exitCode": 4, "message": "The tensor is missing."}}


@pytest.mark.parametrize(
    ("pods", "loops"),
    [
        ([], False),
        ([pod(restarts=CRASHES - 1, state=waiting("CrashLoopBackOff"))], False),
        ([pod(restarts=CRASHES, state=waiting("CrashLoopBackOff"))], True),
        ([pod(restarts=CRASHES, state=RUNNING)], False),
        ([pod(restarts=CRASHES, state=waiting("ImagePullBackOff"))], False),
        ([pod(restarts=0, state=RUNNING), pod(restarts=CRASHES, state=waiting("CrashLoopBackOff"))], True),
        ([{"metadata": {"name": "p"}, "status": {"phase": "Pending"}}], False),
        ([{"metadata": {"name": "p"}}], False),
    ],
)
def test_a_container_that_ends_again_and_again_is_a_crash_loop(
    pods: list[dict[str, Any]], loops: bool
) -> None:
    assert crash_loop(pods) is loops


def never_ready(found: dict[str, Any]) -> None:
    found["status"] = {"observedGeneration": found["metadata"]["generation"], "replicas": 1}


def test_a_crash_loop_fails_the_deployment_at_once_with_its_cause(stack: Stack) -> None:
    stack.program('deployment("server", custom_timeouts=pulumi.CustomTimeouts(create="30s"))')
    stack.api.behave["server"] = never_ready
    stack.api.add("pods", pod(restarts=CRASHES, state=waiting("CrashLoopBackOff"), last=ENDED))
    began = time.monotonic()
    assert not stack.up()
    assert time.monotonic() - began < 15, "it did not wait for the time-out"
    assert "Deployment server has a pod that crashed again after 3 restarts." in stack.text
    assert "exit code 4: The tensor is missing." in stack.text
    assert "Traceback" not in stack.text


def test_a_few_crashes_are_waited_out(stack: Stack) -> None:
    stack.program('deployment("server", custom_timeouts=pulumi.CustomTimeouts(create="200ms"))')
    stack.api.behave["server"] = never_ready
    stack.api.add("pods", pod(restarts=CRASHES - 1, state=waiting("CrashLoopBackOff"), last=ENDED))
    assert not stack.up()
    assert "is not done after 0.2 s" in stack.text
    assert "crashed again" not in stack.text


def test_another_deployments_crash_loop_is_not_this_ones(stack: Stack) -> None:
    stack.program('deployment("server", custom_timeouts=pulumi.CustomTimeouts(create="200ms"))')
    stack.api.behave["server"] = never_ready
    other = pod(restarts=CRASHES, state=waiting("CrashLoopBackOff"))
    other["metadata"]["labels"] = {"app": "other"}
    stack.api.add("pods", other)
    assert not stack.up()
    assert "is not done after 0.2 s" in stack.text
    assert "crashed again" not in stack.text

"""Why something is not ready: what is read from statuses, and what an update makes of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from local.engine.diagnosis import CRASHES, crash_loop, finished, no_progress, why_not_ready
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


PROBED = {"containers": [{"name": "server", "startupProbe": {"failureThreshold": 90, "periodSeconds": 1}}]}


def test_a_deployment_past_its_deadline_names_the_budgets() -> None:
    spec = {"progressDeadlineSeconds": 150, "template": {"spec": PROBED}}
    said = no_progress({"metadata": {"name": "hibari"}, "spec": spec})
    assert "no progress for 150 s" in said
    assert "tts:timeouts" in said
    assert "90 s to load (load.budgetSeconds" in said
    spec["template"] = {"spec": {"containers": [{"name": "server"}]}}
    assert "load.budgetSeconds" not in no_progress({"metadata": {"name": "hibari"}, "spec": spec})


@pytest.mark.parametrize(("started", "told"), [(False, True), (True, False)])
def test_a_pod_that_loads_says_how_long_it_may(started: bool, told: bool) -> None:
    loading = pod(restarts=0, state=RUNNING) | {"spec": PROBED}
    loading["status"]["containerStatuses"][0]["started"] = started
    [said] = why_not_ready([loading])
    assert ("it may take 90 s to load" in said) is told


FETCHING = "Fetching: 340 of 2,000 MB (17 %), 85.2 MB/s, 20 s left."


def test_a_pod_that_fetches_its_files_says_so_and_how_far_it_is(stack: Stack) -> None:
    found = pod(restarts=0, state=RUNNING)
    env = [{"name": "TTS_CACHE_DIR", "value": "/cache"}]
    probe = {"failureThreshold": 180, "periodSeconds": 1}
    found["spec"] = {"containers": [{"name": "server", "env": env, "startupProbe": probe}]}
    (said,) = why_not_ready([found], {"p": f"its log: {FETCHING}"})
    assert said.endswith(
        f"runs and is not ready yet; it may take 180 s to fetch its model files and load; its log: {FETCHING}"
    )
    deployment = {"metadata": {"name": "d"}, "spec": {"template": {"spec": found["spec"]}}}
    assert "180 s to fetch the model files (tts:timeouts.pullSeconds) and load them" in no_progress(
        deployment
    )

    stack.program('deployment("server", custom_timeouts=pulumi.CustomTimeouts(create="200ms"))')
    stack.api.behave["server"] = never_ready
    stack.api.add("pods", found)
    for line in (FETCHING, json.dumps({"level": "info", "message": FETCHING})):
        stack.api.pod_logs["p"] = f"Something else.\n{line}\n"
        assert not stack.up()
        assert f"its log: {FETCHING}" in stack.text


@pytest.mark.parametrize(
    ("phase", "owner", "wanted", "done"),
    [
        ("Succeeded", "u", None, True),
        ("Succeeded", "u", 1, True),
        ("Succeeded", "u", 2, False),
        ("Succeeded", "another", 1, False),
        ("Running", "u", 1, False),
        ("Failed", "u", 1, False),
    ],
)
def test_a_job_is_done_once_its_own_pod_has_succeeded(
    phase: str, owner: str, wanted: int | None, done: bool
) -> None:
    job = {"metadata": {"name": "j", "uid": "u"}, "spec": {"completions": wanted} if wanted else {}}
    made = {"metadata": {"name": "p", "ownerReferences": [{"uid": owner}]}, "status": {"phase": phase}}
    assert finished(job, [made]) is done
    assert not finished(job, [])


def test_an_update_goes_on_from_a_pod_that_succeeded_before_its_job_says_so(stack: Stack) -> None:
    stack.program('config_map("a", depends_on=[job("release-1")])')
    stack.api.behave["release-1"] = lambda _job: None
    owner = {"uid": ""}
    made = pod(restarts=0, state={"terminated": {"exitCode": 0}})
    made["metadata"] |= {"labels": {"job-name": "release-1"}, "ownerReferences": [owner]}
    made["status"]["phase"] = "Succeeded"
    stack.api.add("pods", made)
    stack.api.on_write = lambda _line: owner.update(uid=stack.api.one("jobs", "release-1")["metadata"]["uid"])
    assert stack.up(), stack.text
    assert "APPLY ConfigMap a" in stack.api.log


def test_what_owns_nothing_is_deleted_without_the_garbage_collector(stack: Stack) -> None:
    stack.program('deployment("server", depends_on=[config_map("a")])')
    assert stack.up(), stack.text
    stack.program("")
    assert stack.up(), stack.text
    asked = [line for line in stack.api.requests if line.startswith("DELETE")]
    assert [line.endswith("=Foreground") for line in asked] == [True, False], asked

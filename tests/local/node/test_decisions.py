"""The controllers' decisions, without a node."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.node import fields
from local.node.controllers import job as jobs
from local.node.gateway.config import gateway_config
from local.node.supported import refusals
from tests.local.node.platform_client import gateway, job, route, service

AT = "2026-01-01T00:01:00Z"


def failed_pod(code: int, finished: str) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "finishedAt": finished}}
    status = {"phase": "Failed", "containerStatuses": [{"state": state}]}
    metadata = {"name": "p", "namespace": "default"}
    return {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}, "status": status}


def test_a_job_waits_longer_after_each_failure() -> None:
    declared = job("j", {})
    once = [failed_pod(1, "2026-01-01T00:00:59Z")]
    assert jobs.plan(declared, once, AT).create  # type: ignore[union-attr]
    assert not jobs.plan(declared, once * 2, AT).create  # type: ignore[union-attr]
    assert jobs.plan(declared, once * 2, "2026-01-01T00:01:01Z").create  # type: ignore[union-attr]


def test_an_ignored_failure_is_not_counted() -> None:
    rules = [{"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [1]}}]
    declared = job("j", {}, backoffLimit=0, podFailurePolicy={"rules": rules})
    ignored = jobs.plan(declared, [failed_pod(7, "2026-01-01T00:00:00Z")], AT)
    counted = jobs.plan(declared, [failed_pod(1, "2026-01-01T00:00:00Z")], AT)
    assert ignored is not None
    assert ignored.create
    assert counted is not None
    assert counted.status["conditions"][0]["reason"] == "BackoffLimitExceeded"


def test_a_job_over_its_deadline_fails() -> None:
    declared = job("j", {}, activeDeadlineSeconds=30) | {"status": {"startTime": "2026-01-01T00:00:00Z"}}
    plan = jobs.plan(declared, [], AT)
    assert plan is not None
    assert plan.status["conditions"][0]["reason"] == "DeadlineExceeded"


def test_a_mirror_and_retries_reach_envoy() -> None:
    declared = route("r", "*", {"a": 100})
    declared["metadata"] |= {"namespace": "default", "creationTimestamp": AT}
    http = declared["spec"]["http"][0]
    http |= {"mirror": {"host": "b", "port": {"number": 80}}, "mirrorPercentage": {"value": 12.5}}
    http |= {"retries": {"attempts": 3, "perTryTimeout": "1s"}}
    http["match"] = [{"uri": {"prefix": "/v1"}}, {"uri": {"exact": "/version"}}]
    door, services = gateway(), [service(name) for name in ("a", "b")]
    for item in (door, *services):
        item["metadata"]["namespace"] = "default"
    found = gateway_config(services, [], [door], [declared]).virtual_hosts[0]["routes"]
    assert [item["match"] for item in found[:2]] == [{"prefix": "/v1"}, {"path": "/version"}]
    action = found[0]["route"]
    mirror = action["request_mirror_policies"][0]
    assert mirror["cluster"] == "b.default.80"
    assert mirror["runtime_fraction"]["default_value"]["numerator"] == 125_000
    assert action["retry_policy"]["num_retries"] == 3
    assert action["retry_policy"]["retry_on"] == "connect-failure,refused-stream"


def test_a_gateway_that_does_not_let_a_host_in_gets_no_route() -> None:
    declared = route("r", "other.test", {"a": 100})
    declared["metadata"] |= {"namespace": "default", "creationTimestamp": AT}
    door = gateway()
    door["metadata"]["namespace"] = "default"
    door["spec"]["servers"][0]["hosts"] = ["*.example"]
    assert [host["name"] for host in gateway_config([], [], [door], [declared]).virtual_hosts] == ["*"]


VALUES = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
SPECS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(first=SPECS, second=SPECS)
def test_one_managers_last_apply_is_the_whole_object(first: dict[str, Any], second: dict[str, Any]) -> None:
    live: dict[str, Any] = {"metadata": {"name": "x"}}
    for spec in (first, second, second):
        live = fields.apply(live, {"spec": spec}, manager="m", force=False, time=AT)
    assert fields.leaves(fields.declared(live)) == fields.leaves({"spec": second})


@pytest.mark.parametrize("duration", ["0s", "0.5ms", "10", "", 10, "soon"])
def test_a_duration_that_istio_refuses_is_refused_here(duration: Any) -> None:
    declared = route("r", "*", {"a": 100})
    declared["spec"]["http"][0]["timeout"] = duration
    (sentence,) = refusals(declared)
    assert "spec.http[0].timeout" in sentence
    assert "at least 1ms" in sentence
    declared["spec"]["http"][0] |= {"timeout": "1s", "retries": {"perTryTimeout": duration}}
    (sentence,) = refusals(declared)
    assert "spec.http[0].retries.perTryTimeout" in sentence


@pytest.mark.parametrize("duration", ["1ms", "0.5s", "1h30m", "90s"])
def test_a_duration_of_istio_is_taken(duration: str) -> None:
    declared = route("r", "*", {"a": 100})
    declared["spec"]["http"][0]["timeout"] = duration
    assert refusals(declared) == []

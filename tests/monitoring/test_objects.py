"""What a stack with `tts:monitoring` declares: when, by which labels it is found, and that the operator takes
it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from local.node.supported import refusals, without_effect
from tests.cluster.test_manifests import whole
from tests.components.conftest import Program, RunProgram, checkout, run_program, run_stack  # noqa: F401 - fixtures
from tests.crds.schema import mistakes
from tests.monitoring.watched import EVERYTHING, RUNBOOKS

DECLARED = {
    *("ServiceMonitor hibari", "PodMonitor hibari-release", "PrometheusRule hibari"),
    *("PrometheusRule hibari-release", "ConfigMap hibari-dashboard"),
}


def monitoring(program: Program) -> dict[str, dict[str, Any]]:
    """Title -> manifest of each object that watches."""
    found = {each.title: whole(each.inputs) for each in program.registered if "kind" in each.inputs}
    return {
        title: each
        for title, each in found.items()
        if each["metadata"]["labels"].get("app.kubernetes.io/component") == "monitoring"
    }


@pytest.fixture(scope="session")
def program(folder: Path) -> Program:
    """A stack that is watched, with all that is declared in this way."""
    return run_stack(folder, "dev", EVERYTHING | {"tts:resources": {"gpus": 1, "cpu": "1", "memory": "1Gi"}})


@pytest.fixture(scope="session")
def found(program: Program) -> dict[str, dict[str, Any]]:
    return monitoring(program)


def test_nothing_is_declared_where_nobody_asks(run_program: RunProgram) -> None:  # noqa: F811
    assert monitoring(run_program("dev")) == {}


def test_what_is_declared_and_by_which_labels_it_is_found(found: dict[str, dict[str, Any]]) -> None:
    assert set(found) == DECLARED | {"AlertmanagerConfig hibari"}
    by_operator = [each for each in found.values() if each["kind"] != "ConfigMap"]
    assert {each["metadata"]["labels"]["release"] for each in by_operator} == {"kube-prometheus-stack"}
    assert found["ConfigMap hibari-dashboard"]["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_labels_are_those_of_the_stack(run_program: RunProgram) -> None:  # noqa: F811
    own = {"runbooks": RUNBOOKS, "labels": {"team": "speech"}, "dashboardLabels": {"dash": "yes"}}
    found = monitoring(run_program("dev", {"tts:monitoring": own}))
    assert set(found) == DECLARED
    assert found.pop("ConfigMap hibari-dashboard")["metadata"]["labels"]["dash"] == "yes"
    assert {each["metadata"]["labels"]["team"] for each in found.values()} == {"speech"}
    assert not any("release" in each["metadata"]["labels"] for each in found.values())


def test_the_monitors_select_every_server_and_every_release(program: Program) -> None:
    servers = program.kind("ServiceMonitor").inputs["spec"]
    services = [each.inputs for each in program.registered if each.inputs.get("kind") == "Service"]
    assert len(services) == 2
    for service in services:
        assert servers["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert servers["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    releases = program.kind("PodMonitor").inputs["spec"]
    for job in ("release", "guard"):
        template = program.kind("Job", logical=job).inputs["spec"]["template"]
        ports = {port["name"] for each in template["spec"]["containers"] for port in each["ports"]}
        assert releases["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert releases["podMetricsEndpoints"][0]["port"] in ports


def test_rules_about_servers_come_after_the_release_and_all_else_before_it(program: Program) -> None:
    job = program.kind("Job", logical="release").title
    titles = [*DECLARED, "AlertmanagerConfig hibari"]
    assert [title for title in titles if job in program.before(program.find(title))] == [
        "PrometheusRule hibari"
    ]
    rules = program.find("PrometheusRule hibari").inputs["spec"]["groups"][0]["rules"]
    named = {rule["labels"].get("revision") for rule in rules} - {None}
    assert named == set(program.revisions().values())


def test_the_operator_takes_all_of_it(found: dict[str, dict[str, Any]]) -> None:
    custom = {title: each for title, each in found.items() if each["kind"] != "ConfigMap"}
    assert set(custom) == (DECLARED | {"AlertmanagerConfig hibari"}) - {"ConfigMap hibari-dashboard"}
    assert {title: mistakes(each) for title, each in custom.items()} == {title: [] for title in custom}


@pytest.mark.parametrize(
    ("kind", "path", "value", "why"),
    [
        ("ServiceMonitor", "spec.endpoints.0.intervall", "15s", "was unexpected"),
        ("ServiceMonitor", "spec.endpoints.0.interval", "a while", "does not match"),
        ("PodMonitor", "spec.podMetricsEndpoints.0.path", 7, "not of type 'string'"),
        ("PrometheusRule", "spec.groups.0.rules.0.for", "soon", "does not match"),
        ("PrometheusRule", "spec.groups.0.rules.0.runbook_url", "x", "was unexpected"),
        ("AlertmanagerConfig", "spec.receivers.0.slackConfigs.0.apiURL", "http://x", "not of type 'object'"),
        ("AlertmanagerConfig", "spec.route.matchers.0.matchType", "==", "is not one of"),
    ],
)
def test_what_the_operator_would_refuse_is_refused(
    found: dict[str, dict[str, Any]],
    kind: str,
    path: str,
    value: Any,
    why: str,
) -> None:
    manifest = copy.deepcopy(next(each for each in found.values() if each["kind"] == kind))
    place: Any = manifest
    *way, last = (int(word) if word.isdigit() else word for word in path.split("."))
    for word in way:
        place = place[word]
    place[last] = value
    (mistake,) = mistakes(manifest)
    assert why in mistake


def test_one_machine_takes_it_and_says_what_has_no_effect(found: dict[str, dict[str, Any]]) -> None:
    assert [sentence for each in found.values() for sentence in refusals(each)] == []
    said = {sentence for each in found.values() for sentence in without_effect(each)}
    nobody = "there is no Prometheus here."
    assert said == {
        *(
            f"{kind} has no effect here: {nobody}"
            for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
        ),
        "AlertmanagerConfig has no effect here: there is no Alertmanager here.",
    }


def test_alerts_say_what_routes_ask_for(found: dict[str, dict[str, Any]]) -> None:
    """An Alertmanager's operator adds the namespace to what an AlertmanagerConfig matches."""
    matchers = found["AlertmanagerConfig hibari"]["spec"]["route"]["matchers"]
    wanted = {each["name"]: each["value"] for each in matchers} | {"namespace": "tts"}
    rules = [
        rule
        for each in found.values()
        if each["kind"] == "PrometheusRule"
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]
    assert len(rules) > 10
    for rule in rules:
        assert wanted.items() <= rule["labels"].items()
        assert rule["labels"]["severity"] in {"critical", "warning"}

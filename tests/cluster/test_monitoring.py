"""What watches a stack, on a real API server and a real Prometheus: the objects are taken with the operator's
custom resources, and what is asked about servers, gateway and releases has an answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import requests

from components.watched import Watched
from tests.cluster.conftest import NAME, ClusterPlatform, kubectl
from tests.cluster.test_evidence import edit_server
from tests.cluster.test_manifests import Manifest, dry_run, namespace, whole  # noqa: F401 - a fixture
from tests.components.conftest import RunProgram, checkout, make_checkout, run_program  # noqa: F401 - fixtures
from tests.crds.schema import whole as definition
from tests.e2e.conftest import Traffic
from tests.monitoring.exporters import KNOWN
from tests.monitoring.watched import EVERYTHING, RUNBOOKS, expressions, watched
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule", "AlertmanagerConfig")
ABSENT = {name for name in KNOWN if not name.startswith("envoy_")}
"""Exporters that the test cluster has not."""


@pytest.fixture(scope="module")
def operator() -> Iterator[None]:
    """The operator's custom resources, where the cluster has none of its own."""
    there = set(kubectl("get", "customresourcedefinitions", "--output", "name").split())
    made = [
        each
        for each in map(definition, KINDS)
        if f"customresourcedefinition.apiextensions.k8s.io/{each['metadata']['name']}" not in there
    ]
    names = [f"customresourcedefinition/{each['metadata']['name']}" for each in made]
    try:
        for each in made:
            kubectl("create", "--filename", "-", given=json.dumps(each))
        eventually(lambda: all(established(name) for name in names), 60)
        yield
    finally:
        if names:
            kubectl("delete", "--ignore-not-found", "--wait=false", *names)


def established(name: str) -> bool:
    """Whether objects of a custom resource can be made."""
    status = json.loads(kubectl("get", name, "--output", "json")).get("status", {})
    found = {each["type"]: each["status"] for each in status.get("conditions", ())}
    return found.get("Established") == "True"


def watching(run: RunProgram, namespace: str) -> dict[str, Manifest]:  # noqa: F811
    """Title -> manifest of each object that watches, of a stack with everything."""
    changes = {"tts:namespace": namespace, "tts:createNamespace": False}
    changes["tts:resources"] = {"gpus": 1, "cpu": "1", "memory": "1Gi"}
    program = run("dev", EVERYTHING | changes)
    return {
        each.title: whole(each.inputs)
        for each in program.registered
        if each.inputs.get("metadata", {}).get("labels", {}).get("app.kubernetes.io/component")
        == "monitoring"
    }


def test_the_api_server_takes_all_of_it_and_refuses_what_is_wrong(
    run_program: RunProgram,  # noqa: F811
    namespace: str,  # noqa: F811
    operator: None,
) -> None:
    objects = watching(run_program, namespace)
    assert len(objects) == 6
    assert {title: said for title, each in objects.items() if (said := dry_run(each))} == {}
    monitor = objects[f"ServiceMonitor {NAME}"]
    monitor["spec"]["endpoints"][0]["interval"] = "a while"
    assert "interval" in dry_run(monitor)
    rule = objects[f"PrometheusRule {NAME}"]
    rule["spec"]["groups"][0]["rules"][0]["runbook"] = "x"
    assert "runbook" in dry_run(rule)


class Prometheus:
    """The cluster's own."""

    def __init__(self) -> None:
        self._url = os.environ["TTS_PROMETHEUS_URL"].rstrip("/")

    def ask(self, query: str, *, at: float | None = None) -> list[Any]:
        """The samples that a query gives; refused ones fail the test with Prometheus' own words."""
        asked = {"query": query} | ({} if at is None else {"time": str(at)})
        answer = requests.get(f"{self._url}/api/v1/query", params=asked, timeout=30).json()
        assert answer["status"] == "success", f"{query}: {answer}"
        return list(answer["data"]["result"])


def metrics_of(query: str) -> set[str]:
    found: set[str] = set()

    def keep(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.add(node.name)
        return True

    promql.walk(promql.parse(query), keep)
    return found


def measured(query: str) -> str:
    """What an alert compares with its limit; a query that compares nothing is itself."""
    parsed = promql.parse(query)
    if isinstance(parsed, promql.BinaryExpr) and isinstance(parsed.rhs, promql.NumberLiteral):
        return str(parsed.lhs.prettify())
    return query


@pytest.fixture(scope="module")
def asked(stack: ClusterPlatform, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """The stack on the cluster as its alerts and its dashboard ask about it."""
    folder: Path = make_checkout(tmp_path_factory.mktemp("checkout"))
    said = {"runbooks": RUNBOOKS, "metrics": "envoy"}
    return watched(folder, {"tts:namespace": stack.namespace, "tts:monitoring": said})


def walked(stack: ClusterPlatform) -> dict[str, Any]:
    """The record of a release that has just moved weights. Not one of those that other tests have made: they
    kill Prometheus meanwhile."""
    edit_server(stack, "watched")
    done = stack.up(timeout=280)
    assert done.status == 0, done.text
    return stack.receipt()


def test_what_is_asked_has_an_answer(stack: ClusterPlatform, asked: Watched) -> None:
    ended = datetime.fromisoformat(walked(stack)["ended"]).timestamp()
    with Traffic(stack, per_second=4) as traffic:
        time.sleep(15)
    assert traffic.faults == []
    prometheus, silent = Prometheus(), {}
    for title, query in expressions(asked).items():
        names = metrics_of(query)
        if names & ABSENT or query.startswith("absent("):
            continue
        prometheus.ask(query)
        # What a release tells is there while it runs.
        at = ended - 1 if any(name.startswith("tts_release_") for name in names) else None
        there = measured(query).replace(asked.revisions.target.name, traffic.revisions[-1])
        if not prometheus.ask(there, at=at):
            silent[title] = there
    assert silent == {}
    assert prometheus.ask(f'tts_slots{{namespace="{stack.namespace}x"}}') == []

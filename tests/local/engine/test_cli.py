"""The command line: exit statuses, `release`, `status`, `logs`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.cli import main
from tests.local.engine.conftest import Stack

PROGRAM = """
version = pulumi.Config().require("modelVersion")
route("hibari", version, depends_on=[deployment("server")])
pulumi.export("modelVersion", version)
"""


@pytest.fixture
def run(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "home"))
    stack.program(PROGRAM)
    config = str(tmp_path / "kubeconfig")

    def go(command: str, *words: str) -> int:
        return main([command, *words, "--kubeconfig", config], root=stack.root)

    return go


LABELS = {"app.kubernetes.io/part-of": "tts", "app.kubernetes.io/name": "hibari"}


def receipt(release: str, version: str, ended: str, outcome: str) -> dict[str, object]:
    target = {"version": version, "revision": f"hibari-{version.replace('.', '-')}-abcdef"}
    verdict = {"release": release, "outcome": outcome, "verdict": ["Said."], "target": target}
    traffic = {"sentence": "dropped 0 of 9", "done": True}
    metadata = {"name": f"{release}-receipt", "namespace": "tts", "labels": LABELS}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**metadata, "annotations": {"tts/ended": ended}},
        "data": {"receipt.json": json.dumps(verdict), "traffic.json": json.dumps(traffic)},
    }


def pod(name: str, ready: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "tts", "labels": LABELS},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [{"name": "server", "ready": ready == "True", "state": {"running": {}}}],
        },
    }


def test_release_edits_the_config_and_runs_up(stack: Stack, run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("up") == 0
    assert run("release", "1.1.0") == 0
    said = capsys.readouterr().out
    assert "tts:modelVersion 1.0.0 => 1.1.0" in said
    assert "1.1.0 is live" in said
    assert "tts:modelVersion: 1.1.0  # which one" in (stack.root / "Pulumi.dev.yaml").read_text()


def test_status_reads_the_route_its_release_and_the_receipt(
    stack: Stack, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status") == 1, "nothing is there yet"
    assert run("up") == 0
    stack.api.one("virtualservices", "hibari")["metadata"]["annotations"]["tts/owner"] = "hibari-release-1/x"
    stack.api.add("configmaps", receipt("hibari-release-0", "0.9.0", "2026-11-22T06:00:00Z", "released"))
    stack.api.add("configmaps", receipt("hibari-release-1", "1.0.0", "2026-11-23T06:00:00Z", "released"))
    stack.api.add("pods", pod("server-a", "True"))
    stack.api.add("pods", pod("server-b", "False"))
    capsys.readouterr()
    assert run("status") == 0
    said = capsys.readouterr().out
    assert "100 %  1.0.0  hibari-1-0-0-abcdef" in said
    assert "since 2026-11-23T06:00:00Z, by release hibari-release-1\n" in said
    assert (
        "Last verdict, 2026-11-23T06:00:00Z, version 1.0.0 by hibari-release-1:\n  released\n  Said." in said
    )
    assert "guard: dropped 0 of 9" in said
    assert "pod server-a: ready" in said
    assert "runs and is not ready yet" in said
    assert (
        f"To go back: make release VERSION=0.9.0 STACK=dev KUBECONFIG={stack.root.parent}/kubeconfig\n"
        in said
    )


def test_status_tells_a_refusal_of_another_release_and_its_events(
    stack: Stack, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("up") == 0
    route = stack.api.one("virtualservices", "hibari")
    route["metadata"]["annotations"] |= {"tts/owner": "hibari-release-2/x", "tts/stable": "[]"}
    stack.api.add("configmaps", receipt("hibari-release-1", "1.0.0", "2026-11-23T06:00:00Z", "released"))
    stack.api.add("configmaps", receipt("hibari-release-2", "1.1.0", "2026-11-23T07:00:00Z", "refused"))
    for number in range(7):
        metadata = {"name": f"e{number}", "namespace": "tts", "labels": LABELS}
        event = {"metadata": metadata, "reason": "Refused", "message": f"number {number} {'and on ' * 30}"}
        stamp = {"lastTimestamp": f"2026-11-23T07:00:0{number}Z"}
        stack.api.add("events", {"apiVersion": "v1", "kind": "Event", **event, **stamp})
    capsys.readouterr()
    assert run("status") == 0
    said = capsys.readouterr().out
    assert "since 2026-11-23T06:00:00Z, by release hibari-release-1\n" in said
    assert "Last verdict, 2026-11-23T07:00:00Z, version 1.1.0 by hibari-release-2:\n  refused\n" in said
    assert "Not settled" in said
    assert "Last events:\n  2026-11-23T07:00:02Z  Refused: number 2 and on" in said
    assert all(len(line) < 170 for line in said.splitlines() if "Refused:" in line)
    assert "number 6" in said
    assert "never stopped. To clear the candidate away: make release VERSION=1.0.0 STACK=dev" in said


def test_logs_print_each_pods_lines(stack: Stack, run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("logs") == 1, "nothing is there yet"
    assert run("up") == 0
    stack.api.add("pods", pod("server-a", "True"))
    stack.api.pod_logs["server-a"] = "one\ntwo\n"
    capsys.readouterr()
    assert run("logs", "--previous", "--tail", "7") == 0
    assert capsys.readouterr().out == "server-a  one\nserver-a  two\n"
    assert any("previous=true" in line and "tailLines=7" in line for line in stack.api.requests)
    assert run("logs", "--follow") == 0
    assert capsys.readouterr().out == "server-a  one\nserver-a  two\n"


def test_a_refusal_is_a_sentence_and_status_one(
    stack: Stack, run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("up", "--stack", "prod") == 1
    assert capsys.readouterr().err.startswith("There is no stack prod: Pulumi.prod.yaml does not exist.")


def test_a_failed_update_is_status_one(stack: Stack, run) -> None:
    stack.program('raise pulumi.RunError("No.")')
    assert run("up") == 1
    assert run("preview") == 1


def test_an_api_that_does_not_answer_is_named(
    stack: Stack, run, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.setattr("local.engine.cluster.time.sleep", lambda _seconds: None)
    stack.api.close()
    assert run("status") == 1
    assert "does not answer" in capsys.readouterr().err

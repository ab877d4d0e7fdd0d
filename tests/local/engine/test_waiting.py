"""What is told while an update waits, and after it has waited in vain: each thing once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from local.engine.target import Target
from tests.local.engine import fake_api
from tests.local.engine.conftest import Stack


def failed_pod(name: str, message: str) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 1, "message": message}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "tts", "labels": {"job-name": "release-1"}},
        "status": {"phase": "Failed", "containerStatuses": [{"name": "r", "state": ended}]},
    }


def test_pods_that_failed_alike_are_told_once(stack: Stack) -> None:
    stack.program('job("release-1")')
    stack.api.behave["release-1"] = fake_api.failed
    for name in ("p", "q", "r"):
        stack.api.add("pods", failed_pod(name, "The API server is away."))
    stack.api.add("pods", failed_pod("s", "The lease is lost."))
    assert not stack.up()
    assert stack.text.count("The API server is away.") == 1
    assert stack.text.count("The lease is lost.") == 1


def test_what_keeps_on_is_told_once_and_an_ended_log_is_read_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.engine.awaits.TELL_SECONDS", 0.05)
    stack.program('job("release-1")')
    stack.api.behave["release-1"] = lambda found: found.update(status={})
    stack.api.add("pods", failed_pod("p", "The API server is away."))
    stack.api.pod_logs["p"] = "one line\n"

    def complete(line: str) -> None:
        if line == "APPLY Job release-1":
            threading.Timer(0.6, lambda: fake_api.complete(stack.api.one("jobs", "release-1"))).start()

    stack.api.on_write = complete
    assert stack.up(), stack.text
    assert stack.text.count("waits for Job release-1") > 2
    assert stack.text.count("The API server is away.") == 1
    assert stack.text.count("one line") == 1
    assert len([line for line in stack.api.requests if "/pods/p/log" in line]) == 1


def test_the_line_that_reverts_names_the_cluster() -> None:
    assert Target(Path(), "dev").words == "STACK=dev"
    assert Target(Path(), "dev", kubeconfig=Path("/a/b")).words == "STACK=dev KUBECONFIG=/a/b"

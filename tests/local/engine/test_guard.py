"""A release's guard runs beside it: never awaited, replaced by the next one, and its count is told."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from local.engine import tally
from local.engine.tally import Guarded, Tally, guarded
from tests.local.engine import fake_api
from tests.local.engine.conftest import Stack

PROGRAM = """
    version = pulumi.Config().require("modelVersion")
    watching = guard(f"r-{version}")
    route("hibari", version, depends_on=[job(f"r-{version}", depends_on=[watching])])
"""
MADE = "2026-01-01T00:00:00Z"  # by the API of these tests


def receipt(release: str, **traffic: Any) -> dict[str, Any]:
    document = {
        "sentence": "dropped 0 of 120 (at most 2.5 % with 95 % confidence)",
        "reasons": [],
        "until": "2026-01-01T00:00:09Z",
        "done": True,
        **traffic,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{release}-receipt", "namespace": "tts"},
        "data": {"traffic.json": json.dumps(document)},
    }


def counts(stack: Stack, release: str, **traffic: Any) -> None:
    """From now on the guard of a release runs and has counted this."""

    def runs(found: dict[str, Any]) -> None:
        found["status"] = {"active": 1}
        stack.api.add("configmaps", receipt(release, **traffic))

    stack.api.behave[f"{release}-guard"] = runs


def test_up_does_not_wait_for_a_guard_and_tells_what_it_counted(stack: Stack) -> None:
    stack.program(PROGRAM)
    counts(stack, "r-1.0.0")
    assert stack.up(), stack.text
    assert "Job r-1.0.0-guard: created\n" in stack.text
    assert "Job r-1.0.0: created and complete" in stack.text
    assert "Guard: dropped 0 of 120 (at most 2.5 % with 95 % confidence)\n" in stack.text
    assert stack.up(), stack.text
    assert "Guard" not in stack.text, "nothing was released"


def test_a_guard_that_failed_fails_no_update(stack: Stack) -> None:
    stack.program(PROGRAM)
    stack.api.behave["r-1.0.0-guard"] = fake_api.failed
    assert stack.up(), stack.text
    assert stack.up(), stack.text
    assert stack.api.log == []


def test_the_old_guard_is_gone_before_the_next_ones_begins(stack: Stack) -> None:
    stack.program(PROGRAM)
    counts(stack, "r-1.0.0")
    counts(stack, "r-1.1.0")
    assert stack.up(), stack.text
    assert stack.up("modelVersion=1.1.0"), stack.text
    assert stack.api.log[:2] == ["DELETE Job r-1.0.0-guard", "APPLY Job r-1.1.0-guard"]
    assert stack.api.names("jobs") == {"r-1.1.0", "r-1.1.0-guard"}


def test_the_last_count_is_waited_for_with_its_reasons(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "POLL_SECONDS", 0.01)
    stack.program(PROGRAM)
    counts(stack, "r-1.0.0", done=False, sentence="dropped 0 of 7 (...)")
    last = receipt("r-1.0.0", sentence="dropped 1 of 9 (...)", reasons=["status 503."])
    stack.api.on_write = lambda line: (
        threading.Timer(0.3, lambda: stack.api.add("configmaps", last)).start()
        if line == "APPLY VirtualService hibari"
        else None
    )
    assert stack.up(), stack.text
    assert "Guard: dropped 1 of 9 (...)\n  status 503.\n" in stack.text
    assert "of 7" not in stack.text


def test_a_guard_that_does_not_end_is_not_waited_for_long(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(tally, "PATIENCE", 0.1)
    stack.program(PROGRAM)
    counts(stack, "r-1.0.0", done=False)
    assert stack.up(), stack.text
    assert "Guard, so far: dropped 0 of 120" in stack.text
    assert "has written no final count" in stack.text


def test_a_refusal_tells_the_count_so_far(stack: Stack) -> None:
    stack.program(PROGRAM)
    counts(stack, "r-1.0.0", done=False)
    stack.api.behave["r-1.0.0"] = fake_api.failed
    assert not stack.up()
    assert "Guard, so far: dropped 0 of 120" in stack.text
    assert "no final count" not in stack.text


JOB = {"metadata": {"creationTimestamp": MADE}}


@pytest.mark.parametrize(
    ("found", "jobs", "expected"),
    [
        (receipt("r", until="2026-01-01T00:00:01Z", sentence="s"), [JOB, JOB], Tally("s", (), done=True)),
        (
            receipt("r", until="2026-01-01T00:00:01.5+00:00", sentence="s", done=False),
            [None],
            Tally("s", (), False),
        ),
        (receipt("r", until="2025-12-31T23:59:00Z"), [JOB, None], None),
        (receipt("r", until="2025-12-31T23:59:00Z"), [None, JOB], None),
        (receipt("r", until="yesterday"), [JOB], None),
        (receipt("r", sentence=""), [JOB], None),
        ({"data": {"traffic.json": "{"}}, [JOB], None),
        ({"data": {"receipt.json": "{}"}}, [JOB], None),
        (None, [JOB], None),
    ],
    ids=[
        "fresh",
        "fraction",
        "of an earlier release",
        "of an earlier guard",
        "no time",
        "empty",
        "cut",
        "none",
        "",
    ],
)
def test_only_what_was_counted_since_the_jobs_were_made_is_told(
    found: dict[str, Any] | None, jobs: list[Any], expected: Tally | None
) -> None:
    assert tally.tally(found, jobs) == expected


def test_a_release_is_guarded_where_its_guard_is_declared() -> None:
    labels = {"tts/release": "r"}
    own = {"kind": "Job", "metadata": {"name": "r", "namespace": "tts", "labels": labels}}
    guard = {"kind": "Job", "metadata": {"name": "r-guard", "namespace": "tts", "labels": labels}}
    other = {"kind": "ConfigMap", "metadata": {"name": "r-guard", "namespace": "tts", "labels": labels}}
    assert guarded([own, guard]) == Guarded("tts", "r")
    assert guarded([own, other]) is None


def test_what_is_ignored_stays_as_it_is_once_it_exists(stack: Stack) -> None:
    stack.program('config_map("a", data="first", ignore_changes=["data"])')
    assert stack.up(), stack.text
    assert stack.api.one("configmaps", "a")["data"] == {"a": "first"}
    stack.program('config_map("a", data="second", ignore_changes=["data"])')
    assert stack.preview(), stack.text
    assert "Nothing would change" in stack.text
    assert stack.up(), stack.text
    assert stack.api.log == []
    stack.program("""
        k8s.core.v1.ConfigMap("a", metadata={"name": "a", "namespace": "tts", "labels": {"x": "1"}},
                              data={"a": "third"}, opts=Opts(ignore_changes=["data"]))
    """)
    assert stack.up(), stack.text
    found = stack.api.one("configmaps", "a")
    assert (found["metadata"]["labels"]["x"], found["data"]) == ("1", {"a": "first"})

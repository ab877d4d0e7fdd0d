"""What the platform refuses, spares or tells although the program asks for it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from local.node import supported
from tests.local.engine.conftest import FakeImage, Stack

REFUSED = {
    "uses ignore_changes": 'config_map("a", ignore_changes=["data.a"])',
    "a uses ignore_changes": 'config_map("a", ignore_changes=["data", "metadata"])',
    "Event, which releases make": 'k8s.core.v1.Event("a", metadata={"name": "a"}, involved_object={})',
    "reads k": 'k8s.core.v1.ConfigMap.get("a", "tts/a")',
    "no metadata.name": 'k8s.core.v1.ConfigMap("a", data={"a": "1"})',
    "a Pod of v1": 'k8s.core.v1.Pod("a", metadata={"name": "a"}, spec={"containers": []})',
    "is no duration": 'config_map("a", custom_timeouts=pulumi.CustomTimeouts(create="soon"))',
    "calls kubernetes:x:y": 'pulumi.runtime.invoke("kubernetes:x:y", {})',
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_not_carried_out_is_refused_in_words(stack: Stack, words: str) -> None:
    stack.program(REFUSED[words])
    assert not stack.up()
    assert words in stack.text
    assert "Traceback" not in stack.text
    assert stack.api.log == []


def test_a_registry_is_looked_up(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.program("""
        import pulumi_docker
        found = pulumi_docker.get_registry_image_output(name="local/model:1")
        config_map("a", data=found.sha256_digest)
    """)
    assert not stack.preview()
    assert "No image local/model:1." in stack.text
    assert not stack.up()
    assert "No image local/model:1." in stack.text
    monkeypatch.setattr(stack.builder, "resolve", lambda ref: FakeImage("sha256:abc"))
    assert stack.up(), stack.text
    assert stack.api.one("configmaps", "a")["data"]["a"] == "sha256:abc"


def test_accepted_fields_without_effect_are_said_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(stack.platform), "embedded", True)
    monkeypatch.setattr(type(stack.platform), "start", lambda *_: None)
    monkeypatch.setattr(supported, "without_effect", lambda _: ["ConfigMap data has no effect here: no."])
    stack.program('config_map("a")\nconfig_map("b")')
    assert stack.up(), stack.text
    assert stack.text.count("Accepted without effect on this machine") == 1
    assert stack.text.count("  ConfigMap data.") == 1
    assert stack.up(), stack.text
    assert "Accepted without effect" not in stack.text, "not said when nothing changes"


def test_a_namespace_with_objects_of_another_stack_stays(stack: Stack) -> None:
    (stack.root / "Pulumi.other.yaml").write_text("config: {}\n")
    stack.program("""
        if pulumi.get_stack() == "dev":
            k8s.core.v1.Namespace("tts", metadata={"name": "tts"})
        config_map(f"of-{pulumi.get_stack()}")
    """)
    assert stack.up(), stack.text
    assert stack.up(stack="other"), stack.text
    assert stack.down(), stack.text
    assert "Namespace tts stays: stack other has objects in it" in stack.text
    assert stack.api.names("configmaps") == {"of-other"}
    assert stack.api.names("namespaces") == {"tts"}


def test_an_object_that_is_being_deleted_is_waited_for(stack: Stack) -> None:
    stack.program('config_map("a")')
    old = {"name": "a", "namespace": "tts", "uid": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    stack.api.add("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": old})
    threading.Timer(2.0, stack.api.objects.clear).start()  # by then it has been seen
    assert stack.up(), stack.text
    assert "is being deleted; waits until it is gone" in stack.text
    assert stack.api.one("configmaps", "a")["metadata"]["uid"] != "old"


def test_an_object_deleted_by_someone_else_ends_the_wait(stack: Stack) -> None:
    stack.program('job("release-1")')
    stack.api.behave["release-1"] = lambda _found: (
        threading.Timer(0.1, stack.api.objects.clear).start() or None
    )
    assert not stack.up()
    assert "Job release-1 was deleted by someone else" in stack.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_program_itself_runs_ends_the_waiting(stack: Stack, number: int) -> None:
    stack.program("""
        import time
        job("release-1")
        name = pulumi.Output.from_input("x")
        pulumi.export("late", config_map("a").metadata.apply(lambda _: time.sleep(5)))
    """)
    stack.api.behave["release-1"] = lambda _found: None
    stack.api.on_write = lambda line: (
        "ConfigMap" in line and threading.Timer(0.2, os.kill, [os.getpid(), number]).start()
    )
    assert not stack.up()
    assert "Interrupted" in stack.text

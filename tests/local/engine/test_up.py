"""What `up` does to a cluster: order, waiting, replacement, pruning, and what it says."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from local.engine.lock import hold
from tests.local.engine import fake_api
from tests.local.engine.conftest import Stack


def position(stack: Stack, line: str) -> int:
    assert line in stack.api.log, stack.api.log
    return stack.api.log.index(line)


def test_order_follows_dependencies_and_readiness(stack: Stack) -> None:
    stack.program("""
        server = deployment("server")
        release = job("release-1", depends_on=[server])
        route("hibari", "1.0.0", depends_on=[release])
        pulumi.export("modelVersion", "1.0.0")
    """)
    seen: list[str] = []

    def slow(found: dict[str, Any]) -> None:
        def later() -> None:
            with stack.api.lock:
                seen.extend(stack.api.log)
                fake_api.ready(found)

        threading.Timer(0.2, later).start()

    stack.api.behave["server"] = slow
    assert stack.up(), stack.text
    assert seen == ["APPLY Deployment server"], "the Job waited for the Deployment"
    assert position(stack, "APPLY Job release-1") < position(stack, "APPLY VirtualService hibari")
    assert "3 created" in stack.text
    assert "1.0.0 is live" in stack.text


def test_a_kind_that_the_cluster_does_not_know_is_named_with_what_to_do(stack: Stack) -> None:
    stack.api.lacks = {"virtualservices"}
    stack.program('route("hibari", "1.0.0")')
    assert not stack.up()
    assert (
        "The cluster knows no VirtualService of networking.istio.io/v1: install what brings it, or take away "
        "the setting that asks for it."
    ) in stack.text


def test_objects_carry_the_stack_and_their_urn(stack: Stack) -> None:
    stack.program('config_map("a")')
    assert stack.up(), stack.text
    metadata = stack.api.one("configmaps", "a")["metadata"]
    assert metadata["labels"]["tts/stack"] == "dev"
    assert metadata["annotations"]["tts/urn"].endswith("::kubernetes:core/v1:ConfigMap::a")


def test_second_up_changes_nothing_and_says_so(stack: Stack) -> None:
    stack.program(
        'route("hibari", "1.0.0", depends_on=[job("release-1", depends_on=[deployment("server")])])'
    )
    assert stack.up(), stack.text
    assert stack.up(), stack.text
    assert stack.api.log == []
    assert "Nothing changed" in stack.text


def test_what_is_no_longer_declared_goes_last_in_reverse_order(stack: Stack) -> None:
    stack.program("""
        version = pulumi.Config().require("modelVersion")
        slug = version.replace(".", "-")
        server = deployment(f"server-{slug}", depends_on=[config_map(f"cfg-{slug}")])
        route("hibari", version, depends_on=[job(f"release-{slug}", depends_on=[server])])
    """)
    assert stack.up(), stack.text
    assert stack.up("modelVersion=1.1.0"), stack.text
    assert stack.api.log == [
        "APPLY ConfigMap cfg-1-1-0",
        "APPLY Deployment server-1-1-0",
        "DELETE Job release-1-0-0",
        "APPLY Job release-1-1-0",
        "APPLY VirtualService hibari",
        "DELETE Deployment server-1-0-0",
        "DELETE ConfigMap cfg-1-0-0",
    ]


def test_nothing_is_pruned_after_a_failure_and_the_way_back_is_said(stack: Stack) -> None:
    stack.program("""
        version = pulumi.Config().require("modelVersion")
        slug = version.replace(".", "-")
        release = job(f"release-{slug}", depends_on=[deployment(f"hibari-{slug}-abcdef")])
        route("hibari", version, depends_on=[release])
    """)
    assert stack.up(), stack.text
    stack.api.behave["release-1-1-0"] = fake_api.failed
    for name in ("hibari-1-0-0-abcdef", "hibari-1-1-0-abcdef"):
        metadata = {"name": f"{name}-x", "namespace": "tts", "labels": {"app": name}}
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        stack.api.add("pods", {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})
    stack.api.add(
        "pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "tts", "labels": {"job-name": "release-1-1-0"}},
            "status": {
                "phase": "Failed",
                "containerStatuses": [
                    {
                        "name": "r",
                        "state": {"terminated": {"exitCode": 42, "message": "Too quiet: -60 dBFS."}},
                    }
                ],
            },
        },
    )
    stack.api.pod_logs["p"] = "the gate begins\nthe gate ends\n"
    assert not stack.up("modelVersion=1.1.0")
    assert "DELETE Deployment hibari-1-0-0-abcdef" not in stack.api.log
    assert "APPLY VirtualService hibari" not in stack.api.log
    assert stack.text.count("Too quiet: -60 dBFS.") == 1
    assert stack.text.count("the gate begins") == 1
    assert "To go back: make release VERSION=1.0.0 STACK=dev" in stack.text
    assert "Pod hibari-1-1-0-abcdef-x remains until an `up` succeeds: ready, without traffic." in stack.text
    assert "Pod hibari-1-0-0-abcdef-x remains" not in stack.text, "it serves"
    assert "was not deleted" in stack.text
    assert "Traceback" not in stack.text
    assert stack.up(), "the old version's `up` heals"
    assert stack.api.names("deployments") == {"hibari-1-0-0-abcdef"}


def test_a_failed_job_is_replaced_and_a_running_one_adopted(stack: Stack) -> None:
    stack.program('job("release-1")')
    stack.api.behave["release-1"] = fake_api.failed
    assert not stack.up()
    first = stack.api.one("jobs", "release-1")["metadata"]["uid"]
    del stack.api.behave["release-1"]
    assert stack.up(), stack.text
    second = stack.api.one("jobs", "release-1")
    assert second["metadata"]["uid"] != first
    second["status"] = {}
    threading.Timer(0.2, lambda: fake_api.complete(second)).start()
    assert stack.up(), stack.text
    assert stack.api.log == []
    assert stack.api.one("jobs", "release-1")["metadata"]["uid"] == second["metadata"]["uid"]


def test_a_change_of_an_immutable_object_replaces_it(stack: Stack) -> None:
    body = 'k8s.core.v1.ConfigMap("a", metadata={{"name": "a"}}, immutable=True, data={{"x": "{}"}})'
    stack.program(body.format(1))
    assert stack.up(), stack.text
    stack.program(body.format(2))
    assert stack.up(), stack.text
    assert stack.api.log == ["DELETE ConfigMap a", "APPLY ConfigMap a"]
    assert "1 replaced" in stack.text


def test_a_deployment_that_gives_up_says_why(stack: Stack) -> None:
    stack.program('deployment("server")')

    def stuck(found: dict[str, Any]) -> None:
        found["status"] = {
            "observedGeneration": found["metadata"]["generation"],
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
        }

    stack.api.behave["server"] = stuck
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s"}
    ended = {"terminated": {"exitCode": 3, "message": "hibari.onnx has a wrong sha256."}}
    container = {"name": "server", "state": {"waiting": waiting}, "lastState": ended}
    stack.api.add(
        "pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "tts", "labels": {"app": "server"}},
            "status": {"phase": "Running", "containerStatuses": [container]},
        },
    )
    assert not stack.up()
    for words in ("progress deadline", "CrashLoopBackOff", "exit code 3: hibari.onnx has a wrong sha256."):
        assert words in stack.text


def test_a_timeout_of_the_program_is_honoured(stack: Stack) -> None:
    stack.program('deployment("server", custom_timeouts=pulumi.CustomTimeouts(create="200ms"))')
    stack.api.behave["server"] = lambda found: found.update(status={})
    assert not stack.up()
    assert "Deployment server is not done after 0.2 s." in stack.text


def test_independent_objects_do_not_wait_for_each_other(stack: Stack) -> None:
    stack.program("""
        for at in range(12):
            deployment(f"server-{at}")
    """)
    held: list[dict[str, Any]] = []
    everyone = threading.Event()

    def slow(found: dict[str, Any]) -> None:
        held.append(found)
        if len(held) == 12:
            for each in held:
                fake_api.ready(each)
            everyone.set()

    stack.api.behave = {f"server-{at}": slow for at in range(12)}
    assert stack.up(), stack.text
    assert everyone.is_set()


def test_a_failure_ends_the_waiting_of_others(stack: Stack) -> None:
    stack.program("""
        deployment("never")
        job("release-1", depends_on=[config_map("a")])
    """)
    stack.api.behave["never"] = lambda found: found.update(status={})
    stack.api.behave["release-1"] = fake_api.failed
    assert not stack.up()
    assert "Job release-1 failed" in stack.text


def test_another_managers_field_is_a_conflict_unless_forced(stack: Stack) -> None:
    stack.program('config_map("a")')
    stack.api.conflict.add("a")
    assert not stack.up()
    assert "kubectl" in stack.text
    assert "pulumi.com/patchForce" in stack.text
    stack.program('route("a", "1.0.0")')
    assert stack.up(), stack.text


def test_an_object_of_another_stack_is_refused(stack: Stack) -> None:
    (stack.root / "Pulumi.other.yaml").write_text("config: {}\n")
    stack.program('config_map("a")')
    assert stack.up(), stack.text
    assert not stack.up(stack="other")
    assert "belongs to stack dev" in stack.text


def test_an_unknown_type_is_refused_by_name(stack: Stack) -> None:
    stack.program('pulumi.CustomResource("aws:eks/nodeGroup:NodeGroup", "gpu", {})')
    assert not stack.up()
    assert "aws:eks/nodeGroup:NodeGroup" in stack.text
    assert "Pulumi itself" in stack.text
    assert "Nothing was changed." in stack.text


@pytest.mark.parametrize(
    "body", ['raise pulumi.RunError("tts:model is empty; name one.\\ntts:replicas is -1.")']
)
def test_the_programs_own_sentences_are_printed_as_they_are(stack: Stack, body: str) -> None:
    stack.program(body)
    assert not stack.up()
    assert "! tts:model is empty; name one.\n" in stack.text
    assert "tts:replicas is -1." in stack.text
    assert "Traceback" not in stack.text


def test_a_bug_in_the_program_is_named_with_its_place(stack: Stack) -> None:
    stack.program("1 / 0")
    assert not stack.up()
    assert "__main__.py:" in stack.text
    assert "ZeroDivisionError" in stack.text


def test_an_error_in_an_apply_ends_the_update(stack: Stack) -> None:
    stack.program("""
        def broken(_name):
            raise pulumi.RunError("The name is wrong.")
        config_map("b", data=config_map("a").metadata.apply(broken))
    """)
    assert not stack.up()
    assert "The name is wrong." in stack.text
    assert "APPLY ConfigMap b" not in stack.api.log


def test_a_locked_stack_is_refused_with_its_holder(stack: Stack) -> None:
    from local.engine.errors import LockedError

    stack.program('config_map("a")')
    with (
        hold(stack.platform.home.locks, "dev"),
        pytest.raises(LockedError, match=r"process \d+ of .+, since 20"),
    ):
        stack.up()
    assert stack.api.requests == []
    assert stack.up(), stack.text


def test_an_interrupted_update_goes_on_at_the_next(stack: Stack) -> None:
    stack.program('job("release-1")')
    jobs: list[dict[str, Any]] = []
    stack.api.behave["release-1"] = jobs.append
    stack.api.on_write = lambda _line: threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    assert not stack.up()
    assert "Interrupted" in stack.text
    stack.api.on_write = lambda _line: None
    fake_api.complete(jobs[0])
    assert stack.up(), stack.text
    assert stack.api.log == []


def test_images_are_built_once_and_deployed_by_digest(stack: Stack) -> None:
    stack.program(IMAGES)
    assert stack.up(), stack.text
    assert stack.api.one("deployments", "server")["spec"]["template"]["spec"]["containers"][0]["image"] == (
        f"local/model:1@{stack.builder.built[next(reversed(stack.builder.built))].digest}"
    )
    assert "2 unchanged" not in stack.text
    assert stack.up(), stack.text
    assert "Nothing changed" in stack.text
    assert len(stack.builder.built) == 2


IMAGES = """
import pulumi_docker_build as docker

base = docker.Image("base", push=True, tags=["local/base:1"], context={"location": "."},
                    dockerfile={"inline": "FROM python:3.11"}, build_on_preview=False)
model = docker.Image("model", push=True, tags=["local/model:1"], context={"location": "."},
                     dockerfile={"inline": "ARG BASE"}, build_args={"BASE": base.ref}, build_on_preview=False)
deployment("server", image=model.ref)
pulumi.export("imageDigest", model.digest)
"""


def test_down_deletes_the_route_first(stack: Stack) -> None:
    stack.program('route("hibari", "1.0.0", depends_on=[deployment("server", depends_on=[config_map("a")])])')
    assert stack.up(), stack.text
    labels = {"app.kubernetes.io/part-of": "tts", "app.kubernetes.io/name": "hibari"}
    receipt = {"name": "release-1-receipt", "namespace": "tts", "labels": labels}
    stack.api.add("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": receipt})
    assert stack.down(), stack.text
    assert stack.api.log == [
        "DELETE VirtualService hibari",
        "DELETE Deployment server",
        "DELETE ConfigMap a",
        "DELETE ConfigMap release-1-receipt",
    ]
    assert stack.api.objects == {}

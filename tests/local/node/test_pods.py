"""Deployments and Jobs as processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import requests

from local.node import procfs
from tests.local.node.platform_client import (
    Client,
    config_map,
    deployment,
    job,
    ready_probe,
)
from tests.waiting import eventually


def container(client: Client, app: str) -> dict[str, Any]:
    pods = client.pods(f"app={app}")
    return pods[0]["status"].get("containerStatuses", [{}])[0] if pods else {}


def test_a_deployment_is_available_only_after_its_probes(client: Client) -> None:
    slow = deployment("slow", {"READY_AFTER": "2"}, readinessProbe=ready_probe())
    client.declare(slow)
    began = time.monotonic()
    eventually(lambda: container(client, "slow").get("state", {}).get("running"))
    assert client.condition("Deployment", "slow", "Available")["status"] == "False"
    eventually(lambda: client.available("slow"))
    assert time.monotonic() - began > 1.5
    status = client.get("Deployment", "slow")["status"]
    assert (status["observedGeneration"], status["updatedReplicas"], status["readyReplicas"]) == (1, 1, 1)
    assert client.condition("Deployment", "slow", "Progressing")["reason"] == "NewReplicaSetAvailable"
    client.delete("Deployment", "slow")
    eventually(lambda: client.gone("Deployment", "slow"))
    assert client.pods("app=slow") == []


def test_scaling_makes_and_ends_pods(client: Client) -> None:
    client.declare(deployment("scale", replicas=2, readinessProbe=ready_probe()))
    eventually(lambda: client.available("scale"))
    addresses = {pod["status"]["podIP"] for pod in client.pods("app=scale")}
    assert len(addresses) == 2
    client.declare(deployment("scale", replicas=0, readinessProbe=ready_probe()))
    eventually(lambda: client.pods("app=scale") == [])
    assert not {address for address, _ in procfs.listeners()} & addresses


def test_a_changed_template_is_replaced_without_a_gap(client: Client) -> None:
    client.declare(deployment("change", readinessProbe=ready_probe()))
    eventually(lambda: client.available("change"))
    old = client.pods("app=change")[0]["metadata"]["name"]
    client.declare(deployment("change", {"VERSION": "2"}, readinessProbe=ready_probe()))
    least = 1

    def replaced() -> bool:
        nonlocal least
        status = client.get("Deployment", "change")["status"]
        least = min(least, status["availableReplicas"])
        names = [pod["metadata"]["name"] for pod in client.pods("app=change")]
        return len(names) == 1 and old not in names

    eventually(replaced)
    assert least == 1
    client.delete("Deployment", "change", "Background")
    eventually(lambda: client.pods("app=change") == [])


def test_a_crash_loop_is_shown_with_exit_code_message_and_back_off(client: Client) -> None:
    client.declare(deployment("crash", {"EXIT": "3"}, args=["/dev/termination-log"]))
    eventually(lambda: container(client, "crash").get("restartCount") == 2)
    eventually(
        lambda: container(client, "crash")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )
    seen = container(client, "crash")
    assert seen["state"]["waiting"]["message"].startswith("back-off 4s")
    last = seen["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "the reason")
    pod = client.pods("app=crash")[0]["metadata"]["name"]
    log = client.session.get(client.url("Pod", pod) + "/log", params={"previous": "true", "tailLines": "1"})
    assert log.text == "started crash\n"
    client.delete("Deployment", "crash")


def test_a_failing_liveness_probe_restarts_the_container(client: Client) -> None:
    life = ready_probe("/livez") | {"failureThreshold": 1}
    start = ready_probe() | {"failureThreshold": 30}
    probes = {"startupProbe": start, "readinessProbe": ready_probe(), "livenessProbe": life}
    client.declare(deployment("life", **probes))
    eventually(lambda: client.available("life"))
    address = client.pods("app=life")[0]["status"]["podIP"]
    requests.get(f"http://{address}:8080/die", timeout=5)
    eventually(lambda: container(client, "life")["restartCount"] == 1)
    assert "Liveness probe failed" in container(client, "life")["lastState"]["terminated"]["message"]
    eventually(lambda: client.available("life"))
    client.delete("Deployment", "life")


def test_a_deployment_without_progress_says_so(client: Client) -> None:
    never = deployment("never", {"READY_AFTER": "999"}, readinessProbe=ready_probe())
    never["spec"]["progressDeadlineSeconds"] = 1
    missing = deployment("missing", image="nobody:1")
    client.declare(never, missing)
    reason = lambda: client.condition("Deployment", "never", "Progressing").get("reason")  # noqa: E731
    eventually(lambda: reason() == "ProgressDeadlineExceeded")
    assert client.condition("Deployment", "never", "Progressing")["status"] == "False"
    waiting = lambda: container(client, "missing").get("state", {}).get("waiting", {})  # noqa: E731
    eventually(lambda: waiting().get("reason") == "ImagePullBackOff")
    assert "nobody:1" in waiting()["message"]
    for name in ("never", "missing"):
        client.delete("Deployment", name)


def test_a_config_map_is_mounted_and_paths_are_rewritten(client: Client) -> None:
    client.declare(config_map("settings", {"app.json": "the settings"}))
    declared = deployment(
        "mount",
        {"CONFIG": "/etc/app/app.json"},
        volumeMounts=[{"name": "config", "mountPath": "/etc/app"}],
        readinessProbe=ready_probe(),
    )
    declared["spec"]["template"]["spec"]["volumes"] = [{"name": "config", "configMap": {"name": "settings"}}]
    client.declare(declared)
    eventually(lambda: client.available("mount"))
    address = client.pods("app=mount")[0]["status"]["podIP"]
    assert requests.get(f"http://{address}:8080/config", timeout=5).text == "the settings"
    client.delete("Deployment", "mount")


def test_a_container_over_its_memory_limit_is_killed(client: Client) -> None:
    client.declare(deployment("fat", resources={"limits": {"memory": "1Mi"}}))
    killed = lambda: container(client, "fat").get("lastState", {}).get("terminated", {})  # noqa: E731
    eventually(lambda: killed().get("reason") == "OOMKilled")
    assert killed()["exitCode"] == 137
    client.delete("Deployment", "fat")


def test_memory_that_grows_later_is_seen_within_a_second(client: Client) -> None:
    client.declare(deployment("grow", {"GROW": "1"}, resources={"limits": {"memory": "100Mi"}}))
    eventually(lambda: container(client, "grow").get("state", {}).get("running"))
    began = time.monotonic()
    eventually(lambda: container(client, "grow").get("lastState", {}).get("terminated"))
    took = time.monotonic() - began
    assert 0.9 < took < 3.5, "a second until it grows, about one more, and what a busy machine takes"
    eventually(lambda: container(client, "grow")["restartCount"] == 1)
    seen = container(client, "grow")
    last = seen["lastState"]["terminated"]
    assert (last["reason"], last["exitCode"], last["signal"]) == ("OOMKilled", 137, 9)
    client.delete("Deployment", "grow")


def test_jobs_complete_retry_and_fail(client: Client, tmp_path: Path) -> None:
    rules = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]
    client.declare(
        job("good", {"EXIT": "0"}),
        job("again", {"EXIT": "5", "ONCE": str(tmp_path / "once")}),
        job("tired", {"EXIT": "5"}, backoffLimit=1),
        job("verdict", {"EXIT": "42"}, podFailurePolicy={"rules": rules}),
    )
    for name, type_, reason in (
        ("good", "Complete", "CompletionsReached"),
        ("again", "Complete", "CompletionsReached"),
        ("tired", "Failed", "BackoffLimitExceeded"),
        ("verdict", "Failed", "PodFailurePolicy"),
    ):
        eventually(
            lambda name=name, type_=type_: client.condition("Job", name, type_).get("status") == "True"
        )
        assert client.condition("Job", name, type_)["reason"] == reason
    assert client.get("Job", "again")["status"]["failed"] == 1
    assert client.get("Job", "tired")["status"]["failed"] == 2
    assert client.get("Job", "verdict")["status"]["failed"] == 1
    assert (
        "exit code 42 matching FailJob rule at index 0"
        in client.condition("Job", "verdict", "Failed")["message"]
    )
    ended = container(client, "verdict")["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (42, "the reason")


def test_deleting_a_job_ends_its_pod(client: Client) -> None:
    client.declare(job("long", {"SLEEP": "600"}))
    eventually(lambda: client.get("Job", "long").get("status", {}).get("active") == 1)
    eventually(lambda: client.pods("app=long")[0]["status"].get("phase") == "Running")
    client.delete("Job", "long")
    eventually(lambda: client.gone("Job", "long"))
    assert client.pods("app=long") == []


def test_a_guard_runs_beside_a_release_and_ends_by_sigterm_when_it_is_deleted(
    client: Client, tmp_path: Path
) -> None:
    guard = job("r-guard", {"FAREWELL": str(tmp_path / "farewell")})
    template = guard["spec"]["template"]
    template["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/port": "9464"}
    template["spec"] |= {
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "volumes": [{"name": "origin", "configMap": {"name": "nobody-made-it", "optional": True}}],
    }
    main = template["spec"]["containers"][0]
    main["ports"] = [{"name": "metrics", "containerPort": 9464}]
    main["volumeMounts"] = [{"name": "origin", "mountPath": "/etc/tts-provenance", "readOnly": True}]
    hook = {"secretKeyRef": {"name": "hook", "key": "url", "optional": True}}
    main["env"].append({"name": "TTS_WEBHOOK_URL", "valueFrom": hook})
    guard["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    client.declare(guard, job("r", {"EXIT": "0"}))
    eventually(lambda: client.condition("Job", "r", "Complete"))
    pod = client.pods("app=r-guard")[0]
    log = client.url("Pod", pod["metadata"]["name"]) + "/log"
    eventually(lambda: "guards" in client.session.get(log).text)
    assert client.get("Job", "r-guard")["status"]["active"] == 1
    client.delete("Job", "r-guard")
    eventually(lambda: client.gone("Job", "r-guard"))
    assert (tmp_path / "farewell").read_text() == "bye []", "the optional variable is not set"


def test_a_pod_name_is_its_deployments_and_its_log_can_be_followed(client: Client) -> None:
    client.declare(job("talk", {"SLEEP": "2", "VERSION": "loud"}))
    pod = eventually(lambda: client.pods("app=talk"))[0]["metadata"]["name"]
    assert pod.startswith("talk-")
    assert len(pod) == len("talk-") + 5
    eventually(lambda: client.get("Pod", pod)["status"].get("phase") == "Running")
    followed = client.session.get(client.url("Pod", pod) + "/log", params={"follow": "true"}, timeout=10)
    assert followed.text == "started loud\n"
    assert client.get("Pod", pod)["status"]["phase"] == "Succeeded"

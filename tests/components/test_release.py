"""The two Jobs of a release, what they are told, and what their account may do."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components import budgets
from components.catalog import Catalog
from components.provenance import author, commit_of

from .conftest import DIGEST, Program, Registered, RunProgram, read


def container(job: Registered) -> dict[str, Any]:
    found: dict[str, Any] = job.inputs["spec"]["template"]["spec"]["containers"][0]
    return found


def rules_of(program: Program) -> list[tuple[str, tuple[str, ...], str]]:
    return [
        (rule["resources"][0], tuple(rule["verbs"]), *rule.get("resourceNames", [""]))
        for rule in program.kind("Role").inputs["rules"]
    ]


def test_the_guard_stands_before_the_candidate_and_waits_for_no_model_image(run_program: RunProgram) -> None:
    program = run_program("dev")
    guard = program.kind("Job", logical="guard")
    release = program.kind("Job", logical="release").inputs["metadata"]["name"]
    assert guard.title == f"Job {release}-guard"
    assert guard.title in program.before(program.kind("Deployment"))
    policies = {title for title in program.titles() if title.startswith("NetworkPolicy ")}
    assert program.before(guard) == policies - {"NetworkPolicy hibari-default-deny"} | {
        "Namespace tts",
        "docker-build:index:Image release-image",
        f"ConfigMap {release}-plan",
        "ServiceAccount hibari-release",
        "Role hibari-release",
        "RoleBinding hibari-release",
    }


def test_the_job_is_replaced_retried_and_kept_as_decided(run_program: RunProgram) -> None:
    job = run_program("dev").kind("Job", logical="release")
    assert job.name == "release"
    assert job.request.deleteBeforeReplace
    assert job.request.customTimeouts.create.endswith("s")
    assert job.inputs["metadata"]["annotations"]["pulumi.com/replaceUnready"] == "true"
    assert not {"ttlSecondsAfterFinished", "activeDeadlineSeconds"} & job.inputs["spec"].keys()
    pod = job.inputs["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["containers"][0]["image"].startswith("local.tts/tts-release:")


def test_a_verdict_ends_the_job_in_the_way_that_pulumi_sees_and_nothing_else_does(
    run_program: RunProgram,
) -> None:
    """pulumi-kubernetes ends its wait at BackoffLimitExceeded and DeadlineExceeded alone: a Job that a
    FailJob rule has ended is waited for until the time is up."""
    job = run_program("dev").kind("Job", logical="release")
    verdict, other, disrupted = job.inputs["spec"]["podFailurePolicy"]["rules"]
    assert job.inputs["spec"]["backoffLimit"] == 0
    codes = {"containerName": container(job)["name"], "values": [2, 42, 43, 44]}
    assert verdict == {"action": "Count", "onExitCodes": {**codes, "operator": "In"}}
    assert other == {"action": "Ignore", "onExitCodes": {**codes, "operator": "NotIn"}}
    assert disrupted["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert disrupted["action"] == "Ignore"


def test_the_guard_is_never_waited_for_and_replaced_first(run_program: RunProgram) -> None:
    guard = run_program("dev").kind("Job", logical="guard")
    assert guard.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"
    assert guard.request.deleteBeforeReplace
    assert guard.inputs["spec"]["backoffLimit"] == 6


@pytest.mark.parametrize(("logical", "word"), [("release", "run"), ("guard", "guard")])
def test_both_jobs_are_told_the_same(run_program: RunProgram, logical: str, word: str) -> None:
    program = run_program("dev")
    job = program.kind("Job", logical=logical)
    release = program.kind("Job", logical="release").inputs["metadata"]["name"]
    spec, pod = job.inputs["spec"], job.inputs["spec"]["template"]
    assert container(job)["command"] == ["python", "-m", "release", word]
    assert container(job)["env"] == [
        {"name": "TTS_PLAN", "value": "/etc/tts-release/plan.json"},
        {"name": "TTS_PROVENANCE", "value": "/etc/tts-provenance/provenance.json"},
        {"name": "TTS_TERMINATION_LOG", "value": "/dev/termination-log"},
        {"name": "TTS_METRICS_PORT", "value": "9464"},
    ]
    assert container(job)["ports"] == [{"name": "metrics", "containerPort": 9464}]
    assert [each["mountPath"] for each in container(job)["volumeMounts"]] == [
        "/etc/tts-release",
        "/etc/tts-provenance",
        "/tmp",
    ]
    assert pod["spec"]["volumes"][:2] == [
        {"name": "plan", "configMap": {"name": f"{release}-plan"}},
        {"name": "provenance", "configMap": {"name": f"{release}-provenance", "optional": True}},
    ]
    assert pod["spec"]["serviceAccountName"] == "hibari-release"
    assert pod["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9464",
        "prometheus.io/path": "/metrics",
    }
    assert pod["metadata"]["labels"]["tts/release"] == release
    assert all(
        rule["onExitCodes"]["containerName"] == container(job)["name"]
        for rule in spec["podFailurePolicy"]["rules"]
        if "onExitCodes" in rule
    )


def test_the_release_has_memory_for_a_recogniser_and_the_guard_little(run_program: RunProgram) -> None:
    program = run_program("dev")
    release, guard = (program.kind("Job", logical=name) for name in ("release", "guard"))
    assert container(release)["resources"]["limits"]["memory"] == "768Mi"
    assert container(release)["resources"]["requests"]["memory"] == "384Mi"
    assert container(guard)["resources"]["limits"]["memory"] == "256Mi"
    assert container(guard)["resources"]["requests"]["memory"] == "128Mi"


def test_the_guard_rather_stands_on_another_node(run_program: RunProgram) -> None:
    program = run_program("dev")
    release = program.kind("Job", logical="release").inputs["metadata"]["name"]
    pod = program.kind("Job", logical="guard").inputs["spec"]["template"]["spec"]
    [preferred] = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    selector = preferred["podAffinityTerm"]["labelSelector"]["matchLabels"]
    assert selector == {"batch.kubernetes.io/job-name": release}
    other = program.kind("Job", logical="release").inputs["spec"]["template"]["spec"]
    assert "affinity" not in other


@pytest.mark.parametrize("logical", ["release", "guard"])
def test_a_webhook_comes_from_its_secret_and_may_be_missing(run_program: RunProgram, logical: str) -> None:
    job = run_program("staging", {"tts:webhookSecret": "news"}).kind("Job", logical=logical)
    assert container(job)["env"][-1] == {
        "name": "TTS_WEBHOOK_URL",
        "valueFrom": {"secretKeyRef": {"name": "news", "key": "url", "optional": True}},
    }


def test_the_account_may_do_what_a_release_does_and_no_more(run_program: RunProgram) -> None:
    program = run_program("dev")
    assert rules_of(program) == [
        ("pods", ("list",), ""),
        ("events", ("create",), ""),
        ("deployments", ("get", "list"), ""),
        ("deployments/scale", ("patch",), program.exported["revision"]),
        ("horizontalpodautoscalers", ("list", "patch"), ""),
        ("jobs", ("get",), ""),
        ("configmaps", ("list", "create", "patch", "delete"), ""),
        ("virtualservices", ("create",), ""),
        ("virtualservices", ("get", "patch", "delete"), "hibari"),
        ("leases", ("create",), ""),
        ("leases", ("get", "patch"), "hibari-release"),
    ]


def test_provenance_is_told_once_and_another_commit_is_no_release(
    run_program: RunProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SHA", "5f70741d")
    monkeypatch.setenv("GITHUB_ACTOR", "mara")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "/")
    program = run_program("dev", {"tts:canary": {"version": "1.1.0", "weight": 5}})
    release = program.kind("Job", logical="release").inputs["metadata"]["name"]
    config = program.find(f"ConfigMap {release}-provenance")
    assert list(config.request.ignoreChanges) == ["data"]
    told = json.loads(config.inputs["data"]["provenance.json"])
    images = {
        revision: program.find(f"Deployment {revision}").inputs["spec"]["template"]["spec"]["containers"][0][
            "image"
        ]
        for revision in program.revisions().values()
    }
    assert len(images) == 2
    assert all(image.endswith(f"@{DIGEST}") for image in images.values())
    assert told == {"commit": "5f70741d", "dirty": False, "stack": "dev", "by": "mara", "images": images}
    monkeypatch.setenv("GITHUB_SHA", "b1cfe472")
    again = run_program("dev", {"tts:canary": {"version": "1.1.0", "weight": 5}})
    assert sorted(again.titles()) == sorted(program.titles())


def test_the_commit_and_an_edit_since_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    (tmp_path / "file").write_text("one")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run([*git, *words], check=True)
    commit, dirty = commit_of(tmp_path)
    assert (len(commit), dirty) == (40, False)
    (tmp_path / "file").write_text("two")
    assert commit_of(tmp_path) == (commit, True)


def test_without_git_a_runner_says_the_commit_or_nobody_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    assert commit_of(tmp_path) == ("", False)
    monkeypatch.setenv("GITHUB_SHA", "5f70741d")
    assert commit_of(tmp_path) == ("5f70741d", False)


def test_a_user_without_a_name_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    monkeypatch.setattr("components.provenance.getpass.getuser", nameless)
    assert author() == ""


def test_the_await_adds_up_each_step_held_as_long_as_it_may_be(catalog: Catalog) -> None:
    quick = {"tts:rollout": {"holdSeconds": 3, "maxHoldSeconds": 100}}
    # The candidate is ready, two texts, three steps with a margin each, the way back.
    assert budgets.release_await(read(catalog, quick)) == 120 + 60 * 2 + 3 * (100 + 120) + 300
    canary = quick | {"tts:canary": {"version": "1.1.0", "weight": 5}}
    assert budgets.release_await(read(catalog, canary)) == 120 + 2 * 60 * 2 + 3 * (100 + 120) + 300

"""How many pods a stack may have, and who decides it."""

import json
from typing import Any

import pytest

from components import budgets
from components.catalog import Catalog
from release.plan import parse

from .conftest import Program, RunProgram, read, refusals
from .test_settings import NODES

SCALED = {"tts:replicas": 2, "tts:autoscaling": {"maxReplicas": 8}}


def plan_of(program: Program) -> dict[str, Any]:
    [config] = [each for each in program.registered if each.name.endswith("-plan")]
    return dict(json.loads(config.inputs["data"]["plan.json"]))


def test_without_autoscaling_the_number_is_declared_and_fixed(run_program: RunProgram) -> None:
    program = run_program("staging", {"tts:replicas": 3})
    assert program.kind("Deployment").inputs["spec"]["replicas"] == 3
    assert not [each for each in program.registered if each.inputs.get("kind") == "HorizontalPodAutoscaler"]
    target = plan_of(program)["target"]
    assert (target["replicas"], target["maxReplicas"]) == (3, 3)
    assert target["startSeconds"] == program.kind("Deployment").inputs["spec"]["progressDeadlineSeconds"]


def test_with_autoscaling_nobody_declares_the_number(run_program: RunProgram) -> None:
    program = run_program("staging", SCALED)
    deployment = program.kind("Deployment")
    assert "replicas" not in deployment.inputs["spec"]
    target = plan_of(program)["target"]
    assert (target["replicas"], target["maxReplicas"]) == (2, 8)
    assert parse(json.dumps(plan_of(program))).autoscaled
    fixed = run_program("staging", {"tts:replicas": 2})
    assert deployment.inputs["metadata"] == fixed.kind("Deployment").inputs["metadata"], "the same revision"


def test_the_autoscaler_comes_after_the_release_and_is_what_the_contract_says(
    run_program: RunProgram,
) -> None:
    program = run_program("staging", SCALED | {"tts:slots": 4, "tts:longestAnswerSeconds": 300})
    scaler, revision = program.kind("HorizontalPodAutoscaler"), program.exported["revision"]
    assert program.kind("Job", logical="release").title in program.before(scaler)
    assert f"Deployment {revision}" in program.before(scaler)
    assert scaler.inputs["apiVersion"] == "autoscaling/v2"
    assert scaler.inputs["metadata"]["name"] == revision == scaler.name
    # by these labels the release finds it
    assert scaler.inputs["metadata"]["labels"]["app.kubernetes.io/component"] == "model-server"
    assert scaler.inputs["metadata"]["labels"]["app.kubernetes.io/name"] == "hibari"
    spec = scaler.inputs["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": revision}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 8)
    target = {"type": "AverageValue", "averageValue": "2800m"}
    assert spec["metrics"] == [
        {"type": "Pods", "pods": {"metric": {"name": "tts_busy_slots"}, "target": target}}
    ]
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 0
    assert down["stabilizationWindowSeconds"] == 600
    drained = program.kind("Deployment").inputs["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": drained}]
    assert drained > 300
    # what a release holds an autoscaler by is declared by nobody
    assert "selectPolicy" not in json.dumps(spec)


@pytest.mark.parametrize(("slots", "percent", "quantity"), [(1, 70, "700m"), (2, 50, "1"), (3, 75, "2250m")])
def test_a_pod_is_busy_by_its_slots(run_program: RunProgram, slots: int, percent: int, quantity: str) -> None:
    scaling = {"tts:autoscaling": {"maxReplicas": 3, "busyPercent": percent, "downSeconds": 60}}
    spec = run_program("dev", scaling | {"tts:slots": slots}).kind("HorizontalPodAutoscaler").inputs["spec"]
    assert spec["metrics"][0]["pods"]["target"]["averageValue"] == quantity
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60


def test_canary_and_warm_versions_have_autoscalers_of_their_own(run_program: RunProgram) -> None:
    canary = {"version": "1.1.0", "weight": 10, "replicas": 1}
    program = run_program("staging", SCALED | {"tts:canary": canary})
    found = {
        each.name: (each.inputs["spec"]["minReplicas"], each.inputs["spec"]["maxReplicas"])
        for each in program.registered
        if each.inputs.get("kind") == "HorizontalPodAutoscaler"
    }
    names = program.revisions()
    assert found == {names["1.0.0"]: (2, 8), names["1.1.0"]: (1, 8)}
    # a promotion changes an autoscaler's least number alone
    warm = run_program("staging", SCALED | {"tts:modelVersion": "1.1.0", "tts:warmVersions": ["1.0.0"]})
    assert {
        each.name for each in warm.registered if each.inputs.get("kind") == "HorizontalPodAutoscaler"
    } == set(found)


def test_the_release_may_scale_what_is_declared_and_nothing_else(run_program: RunProgram) -> None:
    program = run_program("staging", SCALED | {"tts:canary": {"version": "1.1.0", "weight": 10}})
    rules = {tuple(rule["resources"]): rule for rule in program.kind("Role").inputs["rules"]}
    scale = rules[("deployments/scale",)]
    assert (scale["apiGroups"], scale["verbs"]) == (["apps"], ["patch"])
    assert set(scale["resourceNames"]) == set(program.revisions().values())
    held = rules[("horizontalpodautoscalers",)]
    assert (held["apiGroups"], held["verbs"]) == (["autoscaling"], ["list", "patch"])


@pytest.mark.parametrize(
    ("changes", "key", "why"),
    [
        ({"tts:autoscaling": {"busyPercent": 70}}, "tts:autoscaling.maxReplicas", "is missing"),
        ({"tts:autoscaling": {"maxReplicas": 0}}, "tts:autoscaling.maxReplicas", "from 1 to 1000"),
        (
            SCALED | {"tts:replicas": 9},
            "tts:autoscaling.maxReplicas",
            "is 8, which is below tts:replicas (9)",
        ),
        (
            SCALED | {"tts:canary": {"version": "1.1.0", "weight": 5, "replicas": 9}},
            "tts:autoscaling.maxReplicas",
            "below tts:canary.replicas (9)",
        ),
        (
            {"tts:autoscaling": {"maxReplicas": 3, "busyPercent": 9}},
            "tts:autoscaling.busyPercent",
            "10 to 300",
        ),
        (
            {"tts:autoscaling": {"maxReplicas": 3, "downSeconds": 3601}},
            "tts:autoscaling.downSeconds",
            "0 to 3600",
        ),
        (
            {"tts:autoscaling": {"maxReplicas": 3, "minReplicas": 1}},
            "tts:autoscaling.minReplicas",
            "not a known key: did you mean tts:autoscaling.maxReplicas?",
        ),
    ],
)
def test_mistakes(catalog: Catalog, changes: dict[str, Any], key: str, why: str) -> None:
    [mistake] = refusals(catalog, changes)
    assert mistake.startswith(f"{key} ")
    assert why in mistake


def test_the_peak_is_all_that_autoscaling_allows(catalog: Catalog) -> None:
    stack: dict[str, Any] = SCALED | {"tts:resources": {"gpus": 1}}
    assert read(catalog, stack).peak_gpus == 8 + 8
    canary = {"version": "1.1.0", "weight": 30, "replicas": 1}
    assert read(catalog, stack | {"tts:canary": canary}).peak_gpus == 8 + 8 + 3
    mirror = {"version": "1.1.0", "mirror": True, "replicas": 1}
    assert read(catalog, stack | {"tts:canary": mirror}).peak_gpus == 8 + 8 + 8
    assert read(catalog, stack | {"tts:warmVersions": ["1.1.0"]}).peak_gpus == 8 + 8 + 2
    [mistake] = refusals(catalog, stack | {"tts:nodeGroup": NODES})
    assert mistake == (
        "tts:nodeGroup.maxSize is 4 with 4 GPUs, but a release needs 16 while the old and the new revision "
        "run beside all that stays (16 pods): raise it, lower tts:autoscaling.maxReplicas, or keep fewer "
        "versions."
    )


def test_the_peak_is_said(run_program: RunProgram) -> None:
    *_, (_, said) = run_program("staging", SCALED | {"tts:resources": {"gpus": 1}}).said
    assert "needs 16 GPUs while the old and the new revision run, with as many pods as autoscaling" in said


def test_the_update_waits_for_pods_that_the_traffic_asks_for(catalog: Catalog) -> None:
    fixed, scaled = read(catalog, {"tts:replicas": 2}), read(catalog, SCALED)
    starts = budgets.progress_deadline(scaled, scaled.stable.entry)
    gates = (8 - 2) * 60 * len(scaled.stable.entry.gate.texts)
    walked = len(scaled.rollout.steps)
    assert budgets.release_await(scaled) == budgets.release_await(fixed) + gates + starts * walked
    assert budgets.release_await(fixed) > starts

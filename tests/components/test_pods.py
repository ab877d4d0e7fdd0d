"""Every pod that a stack declares, as a careful platform team looks at it."""

from typing import Any

import pytest

from components import budgets
from components.traffic_policy import traffic_policy
from serving.edge import Activity
from serving.server import KEEP_ALIVE_SECONDS

from .conftest import Program, RunProgram

STACKS = ("dev", "staging", "prod")
ALLOWED_VOLUMES = {
    *(
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
}


def pods_of(program: Program) -> dict[str, dict[str, Any]]:
    """Title -> pod template's spec, of the servers, the release and its guard."""
    found = {
        each.title: each.inputs["spec"]["template"]["spec"]
        for each in program.registered
        if each.inputs.get("kind") in ("Deployment", "Job")
    }
    assert len(found) == 3, found.keys()
    return found


@pytest.mark.parametrize("stack", STACKS)
def test_every_pod_is_restricted(run_program: RunProgram, stack: str) -> None:
    for title, pod in pods_of(run_program(stack)).items():
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys(), title
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, title
        assert security["runAsUser"] > 0, title
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, title
        assert all({*volume} - {"name"} <= ALLOWED_VOLUMES for volume in pod["volumes"]), title
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, title
            assert not any("hostPort" in port for port in container["ports"]), title


@pytest.mark.parametrize("stack", STACKS)
def test_every_pod_says_what_it_uses_and_no_more_than_it_needs(run_program: RunProgram, stack: str) -> None:
    for title, pod in pods_of(run_program(stack)).items():
        assert pod["enableServiceLinks"] is False, title
        for container in pod["containers"]:
            requests, limits = container["resources"]["requests"], container["resources"]["limits"]
            assert requests.keys() >= {"cpu", "memory", "ephemeral-storage"}, title
            assert limits.keys() >= {"memory", "ephemeral-storage"}, title
            assert container["imagePullPolicy"] == "IfNotPresent", title
            assert "@sha256:" in container["image"], title
        empty = [volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume]
        assert empty, title
        assert all("sizeLimit" in each for each in empty), title


@pytest.mark.parametrize("stack", STACKS)
def test_only_who_speaks_to_the_api_server_has_a_token(run_program: RunProgram, stack: str) -> None:
    program = run_program(stack)
    accounts = [each for each in program.registered if each.inputs.get("kind") == "ServiceAccount"]
    assert len(accounts) == (2 if stack == "prod" else 1)
    assert all(account.inputs["automountServiceAccountToken"] is False for account in accounts)
    for title, pod in pods_of(program).items():
        assert pod["automountServiceAccountToken"] is title.startswith("Job "), title


@pytest.mark.parametrize("stack", ["dev", "staging"])
def test_a_namespace_that_the_stack_makes_admits_restricted_pods_alone(
    run_program: RunProgram, stack: str
) -> None:
    labels = run_program(stack).kind("Namespace").inputs["metadata"]["labels"]
    for mode in ("enforce", "warn", "audit"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"]


def test_prod_asks_for_a_gpu_and_memory_to_spare(run_program: RunProgram) -> None:
    pod = run_program("prod").kind("Deployment").inputs["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "2", "memory": "12Gi", "ephemeral-storage": "512Mi", "nvidia.com/gpu": "1"},
        "limits": {"memory": "16Gi", "ephemeral-storage": "512Mi", "nvidia.com/gpu": "1"},
    }


def test_servers_are_spread_over_nodes_and_zones_without_counting_others(run_program: RunProgram) -> None:
    program = run_program("staging")
    deployment = program.kind("Deployment").inputs
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    for each in spread:
        assert each["whenUnsatisfiable"] == "ScheduleAnyway", "one node must do"
        assert each["labelSelector"] == deployment["spec"]["selector"]
        release = program.kind("Job", logical="release").inputs["spec"]["template"]["metadata"]["labels"]
        assert not each["labelSelector"]["matchLabels"].items() <= release.items()


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_drain_takes_one_pod_at_a_time_and_is_never_held_up_for_ever(
    run_program: RunProgram, replicas: int
) -> None:
    program = run_program("staging", {"tts:replicas": replicas})
    budget = program.kind("PodDisruptionBudget").inputs["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == program.kind("Deployment").inputs["spec"]["selector"]


def test_a_pod_has_time_for_its_drain_and_its_longest_answer(run_program: RunProgram) -> None:
    changes = {"tts:drainSeconds": 7, "tts:longestAnswerSeconds": 400}
    program = run_program("staging", changes)
    deployment = program.kind("Deployment")
    pod = deployment.inputs["spec"]["template"]["spec"]
    grace = int(pod["terminationGracePeriodSeconds"])
    assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 7
    # The last request it accepts may come as late as the server's own drain lasts.
    assert grace >= 7 + Activity.ACCEPT_SECONDS + 400
    assert grace == 7 + 400 + budgets.ENDING_SECONDS
    assert deployment.request.customTimeouts.delete == f"{grace + budgets.AWAIT_MARGIN}s"


def test_the_longest_answer_is_part_of_a_revision(run_program: RunProgram) -> None:
    longer = run_program("dev", {"tts:longestAnswerSeconds": 31})
    assert longer.exported["revision"] != run_program("dev").exported["revision"]


def test_the_gateway_closes_idle_connections_before_the_server_does() -> None:
    idle = traffic_policy(replicas=1)["connectionPool"]["http"]["idleTimeout"]
    assert int(idle.removesuffix("s")) < KEEP_ALIVE_SECONDS


@pytest.mark.parametrize("replicas", [1, 2, 3, 10])
def test_servers_are_ejected_only_where_another_is_left(run_program: RunProgram, replicas: int) -> None:
    rule = run_program("staging", {"tts:replicas": replicas}).kind("DestinationRule").inputs["spec"]
    policy = rule["trafficPolicy"]
    assert policy == traffic_policy(replicas=replicas)
    assert ("outlierDetection" in policy) is (replicas > 1)
    if replicas > 1:
        assert replicas * policy["outlierDetection"]["maxEjectionPercent"] // 100 < replicas


def test_a_canary_of_one_pod_is_never_ejected(run_program: RunProgram) -> None:
    program = run_program("staging", {"tts:canary": {"version": "1.1.0", "weight": 10, "replicas": 1}})
    policies = {
        each.inputs["metadata"]["labels"]["app.kubernetes.io/version"]: each.inputs["spec"]["trafficPolicy"]
        for each in program.registered
        if each.inputs.get("kind") == "DestinationRule"
    }
    assert "outlierDetection" in policies["1.0.0"]
    assert "outlierDetection" not in policies["1.1.0"]

"""A stack that Argo CD brings to the cluster: every object in its wave, an Application that Argo CD takes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from components.catalog import Catalog
from components.errors import DeclarationError
from components.gitops import RELEASE_WAVE, WAVE, in_wave, wave_of
from tests.crds.schema import mistakes

from .conftest import DIGEST, Program, Registered, RunProgram, read, refusals

GITOPS = {"repository": "https://github.com/example/deploy", "path": "prod"}
EVERYTHING = {
    "tts:gitops": GITOPS,
    "tts:imageDigest": DIGEST,
    "tts:createNamespace": True,
    "tts:listVersions": True,
    "tts:autoscaling": {"maxReplicas": 4},
    "tts:gateway": "",
    "tts:monitoring": {"runbooks": "https://git.example.com/docs/runbooks", "webhookSecret": "channel"},
    "tts:nodeGroup": {
        "enabled": True,
        "clusterName": "speech-prod",
        "subnetIds": ["subnet-0a1b2c3d4e5f60718"],
        "instanceTypes": ["g6.xlarge"],
        "ami": "al2023",
        "devicePlugin": f"nvcr.io/nvidia/k8s-device-plugin:v0.17.1@{DIGEST}",
        "minSize": 1,
        "maxSize": 20,
    },
}


def objects(program: Program) -> list[Registered]:
    """All that reaches the cluster by the folder."""
    return [each for each in program.registered if "kind" in each.inputs and "cluster" in provider(each)]


def provider(resource: Registered) -> str:
    return str(resource.request.provider).split("::")[-2]


def wave(resource: Registered) -> int:
    return int(resource.inputs["metadata"]["annotations"][WAVE])


def test_each_wave_has_what_the_next_one_waits_for(run_program: RunProgram) -> None:
    program = run_program("prod", EVERYTHING)
    waves: dict[int, set[str]] = {}
    for each in objects(program):
        waves.setdefault(wave(each), set()).add(each.inputs["kind"])
    assert waves == {
        -5: {"Namespace"},
        -4: {"ConfigMap", "DestinationRule", "Gateway", "NetworkPolicy", "Role", "RoleBinding"}
        | {"ServiceAccount"},
        -3: {"Deployment"},
        -2: {"ConfigMap", "DaemonSet", "Deployment", "PodDisruptionBudget", "Service"}
        | {"ServiceMonitor", "PodMonitor", "PrometheusRule", "AlertmanagerConfig"},
        0: {"Job"},
        1: {"ConfigMap", "NetworkPolicy", "PrometheusRule", "VirtualService"},
        2: {"HorizontalPodAutoscaler"},
    }


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_the_waves_are_the_order_of_the_update(run_program: RunProgram, stack: str) -> None:
    """What an update makes first is in no later wave, and what follows the release is in a later one."""
    program = run_program(stack, {key: EVERYTHING[key] for key in ("tts:gitops", "tts:monitoring")})
    by_title = {each.title: each for each in objects(program)}
    for each in by_title.values():
        for title in program.before(each) & by_title.keys():
            assert wave(by_title[title]) <= wave(each), f"{title} is to exist before {each.title}"
    (job,) = [each for each in by_title.values() if each.inputs["kind"] == "Job"]
    for each in by_title.values():
        assert (job.title in program.before(each)) is (wave(each) > RELEASE_WAVE), each.title


def test_argo_cd_s_own_schema_takes_the_application(run_program: RunProgram) -> None:
    application = run_program("prod", {"tts:gitops": GITOPS}).kind("Application").inputs
    assert mistakes(application) == []
    assert application["metadata"] == {
        "name": "hibari-prod",
        "namespace": "argocd",
        "labels": application["metadata"]["labels"],
    }
    policy = application["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    assert policy["retry"] == {"limit": 3, "backoff": {"duration": "10s", "factor": 2, "maxDuration": "1m"}}
    assert {"CreateNamespace=true", "PruneLast=true", "RespectIgnoreDifferences=true"} <= set(
        policy["syncOptions"]
    )
    (ignored,) = application["spec"]["ignoreDifferences"]
    assert (ignored["kind"], ignored["jsonPointers"]) == ("VirtualService", ["/spec/http"])


def test_a_wrong_application_would_be_seen(run_program: RunProgram) -> None:
    application = run_program("prod", {"tts:gitops": GITOPS}).kind("Application").inputs
    wrong = copy.deepcopy(application)
    wrong["spec"]["syncPolicy"]["automatic"] = wrong["spec"]["syncPolicy"].pop("automated")
    assert "'automatic' was unexpected" in " ".join(mistakes(wrong))
    wrong = copy.deepcopy(application)
    del wrong["spec"]["project"]
    assert "'project' is a required property" in " ".join(mistakes(wrong))


def test_the_application_is_made_in_the_cluster_and_the_rest_written_to_a_folder(
    run_program: RunProgram,
) -> None:
    program = run_program("prod", {"tts:gitops": GITOPS | {"directory": "rendered/prod"}})
    providers = {each.name: each.inputs for each in program.registered if each.type.endswith(":kubernetes")}
    assert providers["cluster"]["renderYamlToDirectory"] == "rendered/prod"
    assert "renderYamlToDirectory" not in providers["argo-cd"]
    assert provider(program.kind("Application")) == "argo-cd"
    assert WAVE not in program.kind("Application").inputs["metadata"].get("annotations", {})


def test_the_guard_stands_where_argo_cd_would_wait_for_its_end(run_program: RunProgram) -> None:
    program = run_program("prod", {"tts:gitops": GITOPS})
    (guard,) = [each for each in objects(program) if each.name == "guard"]
    spec = guard.inputs["spec"]
    assert guard.inputs["kind"] == "Deployment"
    template = spec["template"]
    assert template["spec"]["restartPolicy"] == "Always"
    assert {"name": "TTS_GUARD_STAYS", "value": "true"} in template["spec"]["containers"][0]["env"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    # Not those of a Job's pods: a Deployment must find its own alone.
    (job,) = [each for each in objects(program) if each.inputs["kind"] == "Job"]
    pods = job.inputs["spec"]["template"]["metadata"]["labels"]
    assert not spec["selector"]["matchLabels"].items() <= pods.items()


def test_without_it_nothing_is_different(run_program: RunProgram) -> None:
    program = run_program("prod")
    assert "argocd" not in str([each.inputs for each in program.registered])
    assert program.kind("Job", logical="guard")


def test_a_kind_without_a_wave_and_a_secret_are_refused(catalog: Catalog) -> None:
    settings = read(catalog, {"tts:gitops": GITOPS})
    assert wave_of(settings, "Job", {"name": "hibari-release-1"}, "release") == 0
    with pytest.raises(DeclarationError, match="StatefulSet x is in no wave of Argo CD: give its kind one"):
        wave_of(settings, "StatefulSet", {"name": "x"}, "x")
    with pytest.raises(DeclarationError, match="Secret keys would be written in clear"):
        in_wave(settings, "Secret", {"name": "keys"}, "keys")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"repository": None}, "tts:gitops.repository is missing"),
        ({"repository": "https://ann:secret@github.com/a/b"}, "which is no address of a repository"),
        ({"repository": "github.com/a/b"}, "which is no address of a repository"),
        ({"path": "../other"}, "which is no folder of the repository"),
        ({"path": "."}, "which is no folder of the repository"),
        ({"revision": "a b"}, "which is no branch"),
        ({"server": "cluster"}, "which is no address"),
        ({"branch": "main"}, "tts:gitops.branch is not a known key"),
    ],
)
def test_wrong_settings(catalog: Catalog, changes: dict[str, Any], sentence: str) -> None:
    value = {key: each for key, each in (GITOPS | changes).items() if each is not None}
    assert sentence in " ".join(refusals(catalog, {"tts:gitops": value}))


@pytest.mark.parametrize("address", ["git@github.com:example/deploy.git", "ssh://git@example.com/a/b"])
def test_addresses_of_repositories(catalog: Catalog, address: str) -> None:
    gitops = read(catalog, {"tts:gitops": GITOPS | {"repository": address}}).gitops
    assert gitops is not None
    assert gitops.directory == "../deploy/prod"

"""The whole program, run for each stack under Pulumi's mocks: what it declares and in which order."""

import json
import sys
from pathlib import Path

import pulumi
import pytest

from components.place_settings import DEFAULT_GATEWAY_ADDRESS

from .conftest import DIGEST, RunProgram


def test_dev_declares_the_objects_of_the_contract(run_program: RunProgram) -> None:
    program = run_program("dev")
    revision = program.exported["revision"]
    release = program.kind("Job", logical="release").inputs["metadata"]["name"]
    assert revision.startswith("hibari-1-0-0-")
    assert release.startswith("hibari-release-")
    assert {each.title for each in program.registered if "kind" in each.inputs} == {
        "Namespace tts",
        f"ConfigMap {revision}-inference-cfg",
        f"Deployment {revision}",
        f"Service {revision}",
        f"PodDisruptionBudget {revision}",
        f"DestinationRule {revision}",
        f"NetworkPolicy {revision}",
        "NetworkPolicy hibari-release",
        "NetworkPolicy hibari-default-deny",
        "Gateway hibari",
        "ServiceAccount hibari-release",
        "Role hibari-release",
        "RoleBinding hibari-release",
        f"ConfigMap {release}-plan",
        f"ConfigMap {release}-provenance",
        f"Job {release}-guard",
        f"Job {release}",
        "VirtualService hibari",
        "ConfigMap hibari-versions",
    }
    assert program.exported == {
        "url": "http://127.0.0.1:6006",
        "model": "hibari",
        "modelVersion": "1.0.0",
        "revision": revision,
        "canary": "",
        "imageDigest": DIGEST,
        "weights": {revision: 100},
        "receipt": f"tts/{release}-receipt",
    }


def test_what_must_exist_first_exists_first(run_program: RunProgram) -> None:
    program = run_program("dev")
    revision = program.exported["revision"]
    job, route = program.kind("Job", logical="release"), program.kind("VirtualService")
    standing = {
        f"Service {revision}",
        f"DestinationRule {revision}",
        f"NetworkPolicy {revision}",
        "NetworkPolicy hibari-release",
        "Gateway hibari",
        "RoleBinding hibari-release",
        "docker-build:index:Image model-image-1.0.0",
        "docker-build:index:Image release-image",
    }
    assert standing <= program.before(job)
    # The release waits for the pods by itself, and gets ready meanwhile.
    assert not {f"Deployment {revision}", route.title} & program.before(job)
    assert f"Deployment {revision}" in program.before(route)
    assert job.title in program.before(route)
    # Until then the pods that serve may be some that have no policy of their own yet.
    assert job.title in program.before(program.find("NetworkPolicy hibari-default-deny"))
    # What a release refuses is not listed.
    assert job.title in program.before(program.find("ConfigMap hibari-versions"))
    assert "docker-build:index:Image server-base-hibari" in program.before(
        program.find("docker-build:index:Image model-image-1.0.0")
    )
    for each in program.registered:
        if "kind" in each.inputs and each.inputs["kind"] != "Namespace":
            assert "Namespace tts" in program.before(each), each.title


def test_every_object_carries_its_labels_and_no_empty_map(run_program: RunProgram) -> None:
    program = run_program("dev")
    for each in program.registered:
        if "kind" not in each.inputs or each.inputs["kind"] == "Namespace":
            continue
        metadata = each.inputs["metadata"]
        assert metadata["namespace"] == "tts"
        assert metadata["labels"]["app.kubernetes.io/name"] == "hibari"
        assert metadata["labels"]["app.kubernetes.io/instance"] == "hibari"
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "tts"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "pulumi"
        assert metadata["labels"]["app.kubernetes.io/component"] in (
            "model-server",
            "release",
            "route",
            "network",
        )
        # What is declared wins over an edit by hand.
        assert metadata["annotations"]["pulumi.com/patchForce"] == "true", each.title
        assert {} not in metadata.values(), each.title


def test_the_provider_takes_over_what_a_dead_update_left(run_program: RunProgram) -> None:
    program = run_program("dev")
    provider = program.find("pulumi:providers:kubernetes cluster")
    assert provider.inputs["upsertExistingObjects"] in (True, "true")
    for each in program.registered:
        if "kind" in each.inputs:
            assert each.request.provider.startswith(provider.urn), each.title


def test_the_deployment_is_what_the_contract_says(run_program: RunProgram) -> None:
    program = run_program("dev")
    deployment = program.kind("Deployment")
    spec = deployment.inputs["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["progressDeadlineSeconds"] == 60 + 60
    assert deployment.request.customTimeouts.create == "180s"
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert (
        container["image"]
        == f"{program.find('docker-build:index:Image model-image-1.0.0').inputs['tags'][0]}@{DIGEST}"
    )
    startup = container["startupProbe"]
    assert startup["httpGet"]["path"] == "/readyz"
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 1
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert "tolerations" not in pod
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert labels["tts/revision"] == deployment.inputs["metadata"]["name"]
    service = program.kind("Service").inputs
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_the_plan_says_what_the_program_declares(run_program: RunProgram) -> None:
    program = run_program("dev")
    job, route = program.kind("Job", logical="release").inputs, program.kind("VirtualService").inputs
    release = job["metadata"]["name"]
    plan = json.loads(program.find(f"ConfigMap {release}-plan").inputs["data"]["plan.json"])
    assert plan["release"] == release
    gate = plan["target"].pop("gate")
    assert plan["target"] == {
        "revision": program.exported["revision"],
        "version": "1.0.0",
        "role": "stable",
        "replicas": 1,
        "maxReplicas": 1,
        "startSeconds": 60 + 60,
        "containerPort": 8080,
        "artifacts": {"hibari.onnx": "5f" * 32},
    }
    assert gate == {
        "sampleRate": 24000,
        "languages": ["en"],
        "texts": ["The harbour was quiet.", "She counted seven birds."],
        "required": ["decodable", "sampleRate", "duration", "level", "identity"],
        "charactersPerSecond": {"min": 9.88, "max": 20.52},
        "rmsDbfs": {"min": -35, "max": -15},
        "clippedPercent": 0.1,
        "wordErrorRate": {"mean": 0.15, "each": 0.35},
        "qualityMin": 2.9,
        "firstAudioSeconds": 2.0,
        "realTimeFactor": 1.0,
        "firstAudioRatio": 1.25,
        "timeoutSeconds": 60,
    }
    assert plan["others"] == []
    assert plan["prometheus"] is None
    declared = {key: route[key] for key in ("apiVersion", "kind", "spec")}
    assert {key: plan["route"][key] for key in declared} == declared
    assert plan["route"]["metadata"] == route["metadata"]
    assert route["metadata"]["annotations"] == {"pulumi.com/patchForce": "true"}
    assert plan["gateway"] == {"address": "http://127.0.0.1:6006", "host": "*"}
    assert plan["rollout"] == {
        "strategy": "gradual",
        "steps": [10, 50, 100],
        "holdSeconds": 3,
        "maxHoldSeconds": 63,
        "readySeconds": 120,
        "minSamples": 10,
        "probesPerSecond": 12,
        "limits": {
            "errorPercent": 5,
            "firstAudioRatio": 1.25,
            "firstAudioSeconds": None,
            "p99Seconds": None,
            "p99Ratio": None,
        },
    }
    config = program.find(f"ConfigMap {program.exported['revision']}-inference-cfg").inputs
    inference = json.loads(config["data"]["inference.json"])
    assert inference["revision"] == program.exported["revision"]
    assert inference["artifacts"] == [{"path": "hibari.onnx", "size": 7936868, "sha256": "5f" * 32}]


def test_a_preview_with_unknown_digests_declares_the_same_objects(run_program: RunProgram) -> None:
    update, preview = run_program("dev"), run_program("dev", preview=True)
    # What depends on the unknown image still is registered, under names that are known.
    assert sorted(preview.titles()) == sorted(update.titles())
    assert preview.exported["revision"] == update.exported["revision"]


def test_two_runs_in_one_process_declare_the_same(run_program: RunProgram) -> None:
    first, second = run_program("dev"), run_program("dev")
    assert sorted(first.titles()) == sorted(second.titles())
    assert first.exported == second.exported


def test_an_edit_of_the_version_is_a_new_revision_beside_the_old(run_program: RunProgram) -> None:
    old, new = run_program("dev"), run_program("dev", {"tts:modelVersion": "1.1.0"})
    kept = {(each.type, each.name) for each in old.registered} & {(e.type, e.name) for e in new.registered}
    revision_kinds = {"Deployment", "Service", "DestinationRule", "PodDisruptionBudget"}
    for each in old.registered:
        if each.inputs.get("kind") in revision_kinds:
            # Another logical name: Pulumi deletes the old one last instead of replacing it.
            assert (each.type, each.name) not in kept, each.title
    assert ("kubernetes:batch/v1:Job", "release") in kept
    assert ("kubernetes:networking.istio.io/v1:VirtualService", "hibari") in kept


def test_staging_uses_the_existing_gateway(run_program: RunProgram) -> None:
    program = run_program("staging")
    assert not [each for each in program.registered if each.inputs.get("kind") == "Gateway"]
    route = program.kind("VirtualService").inputs["spec"]
    assert route["gateways"] == ["istio-system/public"]
    assert route["hosts"] == ["tts.staging.example.com"]
    assert program.exported["url"] == "http://tts.staging.example.com"
    plan = json.loads(
        next(e for e in program.registered if e.name.endswith("-plan")).inputs["data"]["plan.json"]
    )
    assert plan["gateway"] == {"address": DEFAULT_GATEWAY_ADDRESS, "host": "tts.staging.example.com"}


def test_prod_brings_gpu_nodes_and_places_its_pods_on_them(run_program: RunProgram) -> None:
    program = run_program("prod")
    nodes = next(each for each in program.registered if each.type == "aws:eks/nodeGroup:NodeGroup")
    assert nodes.inputs["amiType"] == "BOTTLEROCKET_x86_64_NVIDIA"
    assert nodes.inputs["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    assert list(nodes.request.ignoreChanges) == ["scalingConfig.desiredSize"]
    policies = {
        e.inputs["policyArn"].rpartition("/")[2] for e in program.registered if "policyArn" in e.inputs
    }
    assert policies == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonEC2ContainerRegistryPullOnly",
    }
    template = next(
        each for each in program.registered if each.type == "aws:ec2/launchTemplate:LaunchTemplate"
    )
    assert template.inputs["metadataOptions"]["httpTokens"] == "required"
    assert template.inputs["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 200
    deployment = program.kind("Deployment")
    assert nodes.title in program.before(deployment)
    pod = deployment.inputs["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"tts/node-group": "hibari"} == nodes.inputs["labels"]
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert deployment.inputs["spec"]["progressDeadlineSeconds"] == 600 + 900 + 60


def test_aws_is_loaded_only_by_a_stack_that_asks_for_nodes(
    run_program: RunProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("pulumi_aws", "components.gpu_node_group"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pulumi_aws", None)
    assert run_program("dev").exported["model"] == "hibari"
    with pytest.raises(ImportError, match="pulumi_aws"):
        run_program("prod")


def test_wrong_settings_end_the_program_with_all_their_sentences(run_program: RunProgram) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        run_program("dev", {"tts:modelVersion": "2.0.0", "tts:replicas": 0, "tts:regsitry": "x"})
    sentences = str(caught.value).splitlines()
    assert [sentence.partition(" ")[0] for sentence in sentences] == [
        "tts:replicas",
        "tts:modelVersion",
        "tts:regsitry",
    ]


def test_a_missing_dockerfile_ends_the_program_in_one_sentence(
    run_program: RunProgram, checkout: Path
) -> None:
    (checkout / "release" / "Dockerfile").unlink()
    with pytest.raises(pulumi.RunError, match=r"release/Dockerfile does not exist"):
        run_program("dev")

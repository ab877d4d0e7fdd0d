"""The whole program with a canary and warm versions, and what Pulumi sees when their roles change."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime.proto import engine_pb2

from .conftest import DIGEST, REGISTRY, Program, Registered, RunProgram, entry, write_entry

SHARE = {"tts:canary": {"version": "1.1.0", "weight": 10}}
PROMOTED = {"tts:modelVersion": "1.1.0"}
OF_A_REVISION = (
    *("Deployment", "Service", "PodDisruptionBudget", "DestinationRule", "ConfigMap", "NetworkPolicy"),
)


def of_version(program: Program, version: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The objects and the image of one version's revision, by type and logical name; replicas left out."""
    found = {}
    for each in program.registered:
        labels = each.inputs.get("metadata", {}).get("labels", {})
        mine = labels.get("app.kubernetes.io/version") == version and "tts/release" not in labels
        if mine or each.name == f"model-image-{version}" or each.name.startswith("server-base"):
            found[each.type, each.name] = without_replicas(each)
    return found


def without_replicas(each: Registered) -> dict[str, Any]:
    if each.inputs.get("kind") != "Deployment":
        return each.inputs
    spec = {key: value for key, value in each.inputs["spec"].items() if key != "replicas"}
    return each.inputs | {"spec": spec}


def replicas(program: Program) -> dict[str, int]:
    return {
        each.inputs["metadata"]["labels"]["app.kubernetes.io/version"]: each.inputs["spec"]["replicas"]
        for each in program.registered
        if each.inputs.get("kind") == "Deployment"
    }


def test_each_version_is_declared_whole(run_program: RunProgram, checkout: Any) -> None:
    write_entry(checkout, entry("1.2.0"))
    program = run_program("dev", SHARE | {"tts:warmVersions": ["1.2.0"]})
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        kinds = sorted(inputs.get("kind", "Image") for inputs in of_version(program, version).values())
        assert kinds == sorted([*OF_A_REVISION, "Image", "Image"])
    revisions = program.revisions()
    stable, canary, warm = (revisions[version] for version in ("1.0.0", "1.1.0", "1.2.0"))
    assert program.exported["weights"] == {stable: 90, canary: 10, warm: 0}
    assert program.exported["canary"] == canary
    assert program.exported["revision"] == stable
    job = program.kind("Job", logical="release")
    for revision in (stable, canary, warm):
        assert f"Service {revision}" in program.before(job)
        assert f"DestinationRule {revision}" in program.before(job)


def test_versions_of_one_engine_share_its_base(run_program: RunProgram) -> None:
    program = run_program("dev", SHARE)
    images = [each.name for each in program.registered if each.type == "docker-build:index:Image"]
    assert sorted(images) == [
        "model-image-1.0.0",
        "model-image-1.1.0",
        "release-image",
        "server-base-hibari",
    ]


def test_a_canary_has_replicas_of_its_own(run_program: RunProgram) -> None:
    changes = {"tts:replicas": 2, "tts:canary": {"version": "1.1.0", "weight": 10, "replicas": 1}}
    assert replicas(run_program("dev", changes)) == {"1.0.0": 2, "1.1.0": 1}


def test_a_promotion_leaves_all_of_the_canarys_revision_as_it_is(run_program: RunProgram) -> None:
    before, after = run_program("dev", SHARE), run_program("dev", PROMOTED)
    assert of_version(after, "1.1.0") == of_version(before, "1.1.0")
    assert after.exported["revision"] == before.exported["canary"]
    # The old stable one is no longer declared, and nothing of the new one is new.
    logical = {(each.type, each.name) for each in before.registered}
    new = [each for each in after.registered if (each.type, each.name) not in logical]
    assert {each.title.partition("-release-")[0] for each in new} == {"ConfigMap hibari"}


def test_what_served_before_is_kept_warm_as_it_is(run_program: RunProgram) -> None:
    before = run_program("dev")
    after = run_program("dev", PROMOTED | {"tts:warmVersions": ["1.0.0"]})
    assert of_version(after, "1.0.0") == of_version(before, "1.0.0")
    assert after.exported["weights"][before.exported["revision"]] == 0


def test_a_withdrawn_canary_leaves_the_stable_revision_as_it_is(run_program: RunProgram) -> None:
    before, after = run_program("dev", SHARE), run_program("dev")
    assert of_version(after, "1.0.0") == of_version(before, "1.0.0")
    assert of_version(after, "1.1.0").keys() == {("docker-build:index:Image", "server-base-hibari")}


def test_a_mirrored_canary_is_in_the_declared_route(run_program: RunProgram) -> None:
    program = run_program("dev", {"tts:canary": {"version": "1.1.0", "mirror": True}})
    http = program.kind("VirtualService").inputs["spec"]["http"]
    assert [each["name"].partition("-")[0] for each in http] == ["pin", "pin", "speech", "weighted"]
    assert http[2]["mirror"]["host"].startswith(program.exported["canary"])


def test_promoted_images_are_looked_up_for_each_version(run_program: RunProgram) -> None:
    other = f"sha256:{'ef' * 32}"
    program = run_program(
        "staging",
        {
            "tts:imageDigest": DIGEST,
            "tts:canary": {"version": "1.1.0", "weight": 5, "imageDigest": other},
        },
    )
    assert not [each for each in program.registered if each.type == "docker-build:index:Image"]
    assert f"{REGISTRY}/hibari:1.1.0@{other}" in program.looked_up


FREEZE = {"version": "1.0.0", "until": "2999-01-01", "reason": "the holidays"}


@pytest.mark.parametrize("preview", [True, False])
def test_a_freeze_ends_the_program_in_preview_and_up(run_program: RunProgram, preview: bool) -> None:
    with pytest.raises(pulumi.RunError, match=r"1\.0\.0 is frozen until 2999.*the holidays"):
        run_program("dev", PROMOTED | {"tts:freeze": FREEZE}, preview=preview)


@pytest.mark.parametrize("preview", [True, False])
def test_a_lifted_freeze_is_said_aloud(run_program: RunProgram, preview: bool) -> None:
    lifted = FREEZE | {"override": {"by": "mara", "reason": "the old voice stutters"}}
    program = run_program("dev", PROMOTED | {"tts:freeze": lifted}, preview=preview)
    [said] = [text for severity, text in program.said if severity == engine_pb2.WARNING]
    assert "is lifted for 1.1.0 by mara: the old voice stutters" in said


def test_the_gpus_at_the_peak_are_said(run_program: RunProgram) -> None:
    changes = {"tts:resources": {"gpus": 1}, "tts:canary": {"version": "1.1.0", "weight": 5}}
    *_, (_, said) = run_program("dev", changes, preview=True).said
    assert "needs 3 GPUs while the old and the new revision run" in said

"""The steps of a preview that the Pulumi CLI has printed, and what is refused on them.

`switch.json` is what `pulumi preview --json --show-sames` of CLI 3.260 printed for a change of hibari 1.0.0
to 1.1.0 on two GPUs, less traces, dependencies and outputs. No cluster and no builder stood behind it: the
state was made of the first version's own preview, and the steps of the provider and of the two images of code
are set to same."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import PipelineError
from pipeline.preview import read_preview
from pipeline.refusals import refusals, releases

DOCUMENT = json.loads((Path(__file__).parent / "switch.json").read_text())


def document(*more: dict[str, Any], ops: dict[str, str] | None = None, **states: Any) -> str:
    """The document with further steps, and with other operations for some resources."""
    changed = copy.deepcopy(DOCUMENT)
    for step in changed["steps"]:
        name = step["urn"].rpartition("::")[2]
        step["op"] = (ops or {}).get(name, step["op"])
        for state in ("oldState", "newState"):
            step.get(state, {}).update(states.get(name.replace("-", "_").replace(".", "_"), {}))
    changed["steps"] += more
    return json.dumps(changed)


def step(op: str, type_: str, name: str, **state: Any) -> dict[str, Any]:
    """One more step, shaped as the CLI's."""
    state = {"type": type_, "custom": True, "inputs": {}, **state}
    which = {"create": ("newState",), "delete": ("oldState",)}.get(op, ("oldState", "newState"))
    return {"op": op, "urn": f"urn:pulumi:prod::tts::{type_}::{name}", **dict.fromkeys(which, state)}


NODES = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ISTIO = "kubernetes:helm.sh/v3:Release"
BUCKET = "aws:s3/bucket:Bucket"
NO_RELEASE = {"release": "same", "guard": "same"}


def test_the_steps_of_a_real_preview_are_read() -> None:
    preview = read_preview(document())
    assert preview.counts == {"create": 9, "update": 2, "replace": 2, "delete": 9}
    assert releases(preview)
    (image,) = [each for each in preview.of("Image") if each.op == "create"]
    assert image.retained
    assert image.new["tags"][0].startswith(
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/hibari/hibari:1.1.0-"
    )
    assert refusals(preview) == []


@pytest.mark.parametrize("op", ["update", "replace", "delete"])
@pytest.mark.parametrize("type_", [NODES, TEMPLATE, "aws:eks/addon:Addon", ISTIO])
def test_nodes_and_a_release_are_not_changed_together(op: str, type_: str) -> None:
    changed = step(op, type_, "hibari-gpu", retainOnDelete=True)
    (sentence,) = refusals(read_preview(document(changed)))
    assert sentence.startswith("Nodes or cluster change together with a release: ")
    assert f"hibari-gpu ({op})" in sentence
    assert refusals(read_preview(document(changed, ops=NO_RELEASE))) == []


def test_nodes_that_stay_as_they_are_hold_up_no_release() -> None:
    assert refusals(read_preview(document(step("same", NODES, "hibari-gpu")))) == []


def test_a_first_install_makes_nodes_and_releases() -> None:
    made = step("create", NODES, "hibari-gpu")
    assert refusals(read_preview(document(made, ops={"hibari": "create"}))) == []
    assert len(refusals(read_preview(document(made)))) == 1


def test_an_image_that_would_be_lost_is_refused() -> None:
    (sentence,) = refusals(read_preview(document(model_image_1_0_0={"retainOnDelete": False})))
    assert sentence.startswith("The image model-image-1.0.0 is not kept")


@pytest.mark.parametrize("op", ["delete", "replace"])
def test_data_that_would_be_lost_is_refused(op: str) -> None:
    lost = step(op, BUCKET, "outputs")
    (sentence,) = refusals(read_preview(document(lost)))
    assert sentence == f"Bucket outputs would be lost ({op}): keep it declared."
    kept = step(op, BUCKET, "outputs", retainOnDelete=True)
    assert refusals(read_preview(document(kept))) == []
    protected = step(op, BUCKET, "outputs", retainOnDelete=True, protect=True)
    assert "is protected" in refusals(read_preview(document(protected)))[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no document", "no JSON"),
        ("[]", "no preview"),
        ("{}", "no steps"),
        (
            '{"steps": [], "diagnostics": [{"severity": "error", "message": "tts:replicas is 0"}]}',
            "tts:replicas is 0",
        ),
        ('{"error": "no stack named prod"}', "no stack named prod"),
    ],
)
def test_what_is_no_preview_is_said(text: str, says: str) -> None:
    with pytest.raises(PipelineError, match=says):
        read_preview(text)

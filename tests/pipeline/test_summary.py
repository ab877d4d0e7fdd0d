"""The comment of a pull request: a snapshot, and what it says of other releases."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.preview import read_preview
from pipeline.release import find_release
from pipeline.stack_file import gate_of, sizes_of
from pipeline.summary import MARKER, Price, comment, section

from .test_preview import DOCUMENT, NODES, document, step

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def sizes(model: str, version: str) -> dict[str, tuple[str, int]]:
    return sizes_of(ROOT, model, version)


def told(text: str, **more: Any) -> str:
    return section("prod", read_preview(text), sizes, **more)


def with_plan(edit: Callable[[dict[str, Any]], object]) -> str:
    """The document with an edited plan of the new release."""
    changed = copy.deepcopy(DOCUMENT)
    for each in changed["steps"]:
        if each["op"] == "create" and each["urn"].endswith("-plan"):
            data = each["newState"]["inputs"]["data"]
            plan = json.loads(data["plan.json"])
            edit(plan)
            data["plan.json"] = json.dumps(plan)
    return json.dumps(changed)


def test_the_comment_is_the_snapshot() -> None:
    """`python -m pipeline comment prod=tests/pipeline/switch.json --gpu-hour 0.98` writes it anew."""
    found = comment([told(document(), price=Price(0.98, "USD"))])
    assert found == (HERE / "comment.md").read_text()
    assert found.splitlines()[0] == MARKER


def test_the_gpus_are_those_that_the_program_says() -> None:
    release = find_release(read_preview(document()), sizes)
    assert release is not None
    says = [each["message"] for each in DOCUMENT["diagnostics"] if "GPUs" in each["message"]]
    (said,) = says
    assert said.startswith(f"A release of {release.new.target.name} needs {release.overlap.gpus} GPUs while")


def test_the_bytes_are_those_of_files_that_the_version_before_has_not() -> None:
    release = find_release(read_preview(document()), sizes)
    assert release is not None
    assert (release.new_bytes, release.same_bytes) == (
        sum(size for _, size in sizes("hibari", "1.1.0").values()),
        0,
    )
    again = find_release(read_preview(document()), lambda model, version: sizes(model, "1.0.0"))
    assert again is not None
    assert again.new_bytes == 0
    assert "nothing of model files new, 7.9 MB as before" in section(
        "prod", read_preview(document()), lambda model, version: sizes(model, "1.0.0")
    )


def test_an_immediate_release_has_one_step() -> None:
    text = told(with_plan(lambda plan: plan["rollout"].update(strategy="immediate")))
    assert "| Ramp | 100 %: 2 min to 10 min" in text


def test_a_canary_has_its_share_and_its_gpus() -> None:
    def canary(plan: dict[str, Any]) -> None:
        other = dict(plan["target"], revision="hibari-1-2-0-000000", version="1.2.0", role="canary")
        plan["others"] = [other]
        route = next(each for each in plan["route"]["spec"]["http"] if each["name"] == "weighted")
        (stable,) = route["route"]
        host = {"host": "hibari-1-2-0-000000.tts.svc.cluster.local"}
        route["route"] = [dict(stable, weight=90), dict(stable, destination=host, weight=10)]

    assert "| Traffic | 1.0.0 100 % → 1.1.0 90 %, 1.2.0 10 % |" in told(with_plan(canary))


def test_the_first_release_has_nothing_before_it() -> None:
    first = copy.deepcopy(DOCUMENT)
    first["steps"] = [each for each in first["steps"] if each["op"] != "delete"]
    text = told(json.dumps(first))
    assert text.startswith("### prod: hibari 1.1.0, for the first time")
    assert "| Traffic | 1.1.0 100 % |" in text
    assert "| GPUs at the peak | 2, 2 more than now |" in text


def test_the_same_version_again_is_named_by_its_revision() -> None:
    text = told(with_plan(lambda plan: plan["target"].update(version="1.0.0")))
    assert text.startswith("### prod: hibari 1.0.0, released again as hibari-1-1-0-")


def test_without_a_release_the_changes_are_told() -> None:
    still = copy.deepcopy(DOCUMENT)
    still["steps"] = [each for each in still["steps"] if each["op"] == "same"]
    text = told(json.dumps(still))
    assert text == "### prod: no release\n\nNothing changes that a release is told. Nothing to change."


def test_a_refusal_stands_first() -> None:
    text = told(document(step("update", NODES, "hibari-gpu")))
    assert text.splitlines()[2].startswith("> **Refused.** Nodes or cluster change together with a release")


def test_a_stack_that_promotes_builds_nothing() -> None:
    assert "| Image | promoted: the one that staging builds first |" in told(document(), promoted=True)
    promoted = copy.deepcopy(DOCUMENT)
    promoted["steps"] = [each for each in promoted["steps"] if "Image::" not in each["urn"]]
    for each in promoted["steps"]:
        if each["op"] == "create" and ":Deployment::" in each["urn"]:
            (container,) = each["newState"]["inputs"]["spec"]["template"]["spec"]["containers"]
            container["image"] = f"r/hibari:1.1.0@sha256:{'ab' * 32}"
    assert f"| Image | promoted, nothing is built: `sha256:{'ab' * 32}` |" in told(json.dumps(promoted))


def test_what_registration_has_stored_is_linked(tmp_path: Path) -> None:
    folder = tmp_path / "models/hibari/1.1.0"
    folder.mkdir(parents=True)
    for name in ("gate.md", "1.wav", "2.wav", "10.wav"):
        (folder / name).write_text("")

    def links(model: str, version: str) -> list[str]:
        return [f"https://github.com/o/r/blob/c0ffee/{path}" for path in gate_of(tmp_path, model, version)]

    place = "https://github.com/o/r/blob/c0ffee/models/hibari/1.1.0"
    assert (
        f"| Gate | passed when 1.1.0 was registered: [table]({place}/gate.md), "
        f"samples [1]({place}/1.wav) [2]({place}/2.wav) [3]({place}/10.wav) |"
    ) in told(document(), links=links)
    without = told(document(), links=lambda *_: [])
    assert "| Gate | 1.1.0 was added without `make register`: there is no table" in without
    assert "| Gate |" not in told(document())


def test_without_gpus_nothing_is_said_of_them() -> None:
    changed = copy.deepcopy(DOCUMENT)
    for each in changed["steps"]:
        if ":Deployment::" in each["urn"]:
            state = each.get("newState") or each["oldState"]
            (container,) = state["inputs"]["spec"]["template"]["spec"]["containers"]
            del container["resources"]["limits"]["nvidia.com/gpu"]
    assert "GPU" not in told(json.dumps(changed), price=Price(1, "USD"))

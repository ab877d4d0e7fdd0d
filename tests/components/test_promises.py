"""What the program declares is what the other parts expect: the release's plan, the node's list of fields."""

from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from components.revision import identify
from components.settings import parse_settings
from local.node.supported import refusals
from release import route
from release.errors import PlanError
from release.plan import parse

from .conftest import NOW, ROOT, Program, RunProgram


def plan_of(program: Program) -> str:
    [config] = [each for each in program.registered if each.name.endswith("-plan")]
    return str(config.inputs["data"]["plan.json"])


@pytest.mark.parametrize("stack", ["dev", "staging"])
def test_the_release_understands_its_plan(run_program: RunProgram, stack: str) -> None:
    program = run_program(stack)
    plan = parse(plan_of(program))
    assert plan.target.revision == program.exported["revision"]
    assert plan.release == program.kind("Job", logical="release").inputs["metadata"]["name"]
    assert plan.declared_http[-1]["route"][0]["weight"] == 100


@pytest.mark.parametrize("canary", [{"version": "1.1.0", "weight": 10}, {"version": "1.1.0", "mirror": True}])
def test_the_release_understands_a_canary(run_program: RunProgram, canary: dict[str, Any]) -> None:
    changes = {"tts:canary": canary, "tts:prometheusUrl": "http://prometheus:9090"}
    program = run_program("staging", changes)
    plan = parse(plan_of(program))
    assert [target.version for target in plan.targets] == ["1.0.0", "1.1.0"]
    assert {target.version: target.revision for target in plan.targets} == program.revisions()
    assert [target.role for target in plan.targets] == ["stable", "canary"]
    assert plan.prometheus is not None


def test_every_entry_that_a_step_writes_is_tried_again_as_declared(run_program: RunProgram) -> None:
    old, new = plan_of(run_program("dev")), plan_of(run_program("dev", {"tts:modelVersion": "1.1.0"}))
    live, declared = (parse(text).declared_http for text in (old, new))
    weights = {host: 50 for http in (live, declared) for host in route.parse(http).weights}
    written = route.step_http(declared, route.parse(live), weights)
    alone = route.only(next(iter(weights)), declared, route.parse(live), without=[])
    assert len(written) == 3
    for entry in (*written, *alone):
        assert entry["retries"] == declared[-1]["retries"]
        assert entry["retries"]["retryOn"] == "connect-failure,refused-stream"
        assert "timeout" not in entry


def test_the_release_would_refuse_a_plan_for_another_revision(run_program: RunProgram) -> None:
    program = run_program("dev")
    revision = program.exported["revision"]
    wrong = plan_of(program).replace(f'"revision": "{revision}"', '"revision": "hibari-9-9-9-000000"')
    with pytest.raises(PlanError, match="hibari-9-9-9-000000"):
        parse(wrong)


def test_the_embedded_node_carries_out_all_of_dev(run_program: RunProgram) -> None:
    program = run_program("dev")
    refused = {each.title: refusals(each.inputs) for each in program.registered if "kind" in each.inputs}
    assert {title: why for title, why in refused.items() if why} == {}


def test_the_embedded_node_refuses_a_gpu(run_program: RunProgram) -> None:
    program = run_program("dev", {"tts:resources": {"gpus": 1}})
    assert any("GPU" in sentence for sentence in refusals(program.kind("Deployment").inputs))


@pytest.mark.parametrize("path", sorted((ROOT / "models").glob("*/*.yaml")), ids=lambda path: path.stem)
def test_this_checkout_can_name_a_revision_of_each_entry(path: Path) -> None:
    config = {"tts:model": path.parent.name, "tts:modelVersion": path.stem, "tts:registry": "local.tts"}
    revision = identify(parse_settings(config, Catalog(ROOT / "models"), now=NOW), ROOT)
    assert revision.target.name.startswith(f"{path.parent.name}-{path.stem.replace('.', '-')}-")

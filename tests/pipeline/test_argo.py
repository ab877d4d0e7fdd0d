"""The template for Argo Workflows: taken by the project's own CRD, and its script run as it stands there."""

from __future__ import annotations

import copy
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.crds.schema import mistakes
from tests.pipeline.test_scripts import PERSON, git

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE: dict[str, Any] = yaml.safe_load((ROOT / "pipeline/argo/register.yaml").read_text())
(REGISTER,) = TEMPLATE["spec"]["templates"]
DOCS = (ROOT / "docs/register.md").read_text()
TOKEN = "token-4711"
REGISTRATION = """#!/bin/sh
shift 3; output="$1"; model="$2"; version="$3"; test -f "$output/weights.bin" || exit 5
test "$version" = 9.9.9 && { echo "It did not pass its gate." >&2; exit 1; }
mkdir -p "models/$model"; echo "$*" > "models/$model/$version.yaml"; echo edited > Pulumi.staging.yaml
test "$version" != 8.8.8 || { mkdir -p "models/$model/$version"; echo > "models/$model/$version/files"; }
"""


def test_argo_s_own_schema_takes_the_template() -> None:
    assert mistakes(TEMPLATE) == []


def test_argo_s_own_schema_takes_the_workflow_of_the_docs_which_calls_it_as_it_is() -> None:
    (block,) = [
        each for each in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if "kind: Workflow" in each
    ]
    workflow = yaml.safe_load(block)
    assert mistakes(workflow) == []
    (task,) = [
        task
        for template in workflow["spec"]["templates"]
        for task in template.get("dag", {}).get("tasks", [])
        if "templateRef" in task
    ]
    assert task["templateRef"] == {"name": TEMPLATE["metadata"]["name"], "template": REGISTER["name"]}
    needed = {each["name"] for each in REGISTER["inputs"]["parameters"] if "default" not in each}
    given = {each["name"] for each in task["arguments"]["parameters"]}
    assert needed <= given <= {each["name"] for each in REGISTER["inputs"]["parameters"]}
    assert [each["name"] for each in task["arguments"]["artifacts"]] == ["output"]


def test_a_field_that_argo_does_not_know_would_be_seen() -> None:
    wrong = copy.deepcopy(TEMPLATE)
    (container,) = [each["container"] for each in wrong["spec"]["templates"]]
    container["comand"] = []
    assert "'comand' was unexpected" in " ".join(mistakes(wrong))
    del container["comand"], container["env"][0]["name"]
    assert "'name' is a required property" in " ".join(mistakes(wrong))
    wrong = copy.deepcopy(TEMPLATE)
    wrong["spec"]["templates"][0]["inputs"]["parameters"] = "model"
    assert "is not of type 'array'" in " ".join(mistakes(wrong))


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A repository whose registration writes one entry and edits a config, in place of the real one."""
    bare, seed = tmp_path / "remote.git", tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(seed))
    python = seed / "python"
    python.write_text(REGISTRATION)
    python.chmod(0o755)
    (seed / "Makefile").write_text(
        ".venv/.local:\n\t@mkdir -p .venv/bin; ln -sf ../../python .venv/bin/python\n"
    )
    (seed / "Pulumi.staging.yaml").write_text("config: {}\n")
    (seed / ".gitignore").write_text(".venv\n")
    git(seed, "checkout", "--quiet", "-b", "main")
    git(seed, "add", ".")
    git(seed, "commit", "--quiet", "-m", "Seed")
    git(seed, "push", "--quiet", "origin", "main")
    return bare


def run(tmp_path: Path, remote: Path, *, version: str, stack: str = "") -> subprocess.CompletedProcess[str]:
    """The template's script with the environment that its inputs become."""
    work, output = tmp_path / f"work-{version}", tmp_path / "output"
    work.mkdir()
    output.mkdir(exist_ok=True)
    (output / "weights.bin").write_text("weights")
    inputs = {"model": "chirp", "version": version, "repository": f"file://{remote}", "base": "main"}
    inputs |= {"stack": stack, "store-stack": "prod"}
    container = REGISTER["container"]
    environment = {
        each["name"]: re.sub(r"\{\{inputs\.parameters\.([a-z-]+)\}\}", lambda m: inputs[m[1]], each["value"])
        for each in container["env"]
        if "value" in each
    }
    environment |= {"HOME": str(work), "WORK": str(work), "OUTPUT": str(output), "TOKEN": TOKEN}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(
        [*container["command"], *container["args"]],
        cwd=tmp_path,
        env=clean | {"GIT_CONFIG_GLOBAL": PERSON["GIT_CONFIG_GLOBAL"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_training_has_written_becomes_a_branch(tmp_path: Path, remote: Path) -> None:
    done = run(tmp_path, remote, version="1.6.0")
    assert done.returncode == 0, done.stderr
    branch = (tmp_path / "work-1.6.0/branch").read_text().strip()
    assert branch == "register/chirp-1.6.0"
    assert git(remote, "log", "--format=%s", f"main..{branch}") == "Register chirp 1.6.0"
    said = git(remote, "show", f"{branch}:models/chirp/1.6.0.yaml")
    assert said == f"{tmp_path}/output chirp 1.6.0 --stack prod"
    edited = run(tmp_path, remote, version="1.7.0", stack="staging")
    assert edited.returncode == 0, edited.stderr
    said = git(remote, "show", "register/chirp-1.7.0:models/chirp/1.7.0.yaml")
    assert said.endswith("--stack staging --edit")
    assert TOKEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("9.9.9", "It did not pass its gate."),
        ("8.8.8", "The stack prod has no tts:objectStore, so the weights"),
    ],
)
def test_what_is_refused_pushes_nothing(tmp_path: Path, remote: Path, version: str, sentence: str) -> None:
    done = run(tmp_path, remote, version=version)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert git(remote, "for-each-ref", "--format=%(refname:short)") == "main"
    assert not (tmp_path / f"work-{version}/branch").exists()


def test_no_input_is_pasted_into_the_script() -> None:
    (script,) = REGISTER["container"]["args"]
    assert "{{" not in script

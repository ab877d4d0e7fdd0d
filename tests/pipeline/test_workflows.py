"""The workflows: valid by GitHub's schema, clean to zizmor and actionlint, and held to rules of our own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.__main__ import parser

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
BIN = Path(sys.executable).parent
# What runs is what was looked at: each action at the commit of a release's tag.
PINNED = {
    "actions/checkout": ("3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1"),
    "actions/download-artifact": ("3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1"),
    "actions/setup-python": ("5fda3b95a4ea91299a34e894583c3862153e4b97", "v7.0.0"),
    "actions/upload-artifact": ("bbbca2ddaa5d8feaa63e36b76fdaad77386f024f", "v7.0.0"),
    "aws-actions/configure-aws-credentials": ("e6de054238d6b7531b4efff3b6587d9aade6a06c", "v6.2.3"),
    "pulumi/actions": ("8e5e406f4007fca908480587cb9893c07090f58d", "v7.0.0"),
}
# All that may be written, by workflow and job; to become a role by OIDC is `id-token`.
WRITES = {
    ("pull-request", "preview"): {"id-token"},
    ("pull-request", "comment"): {"pull-requests"},
    ("deploy", "up"): {"id-token"},
    ("deploy", "record"): {"contents"},
    ("release", "staging"): {"contents", "id-token"},
    ("release", "prod"): {"contents", "id-token"},
    ("promote", "prod"): {"contents", "id-token"},
    ("rollback", "up"): {"contents", "id-token"},
    ("watch", "drift"): {"id-token"},
    ("watch", "issue"): {"issues"},
}
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
SECRETS = {"secrets.TTS_API_KEY", "secrets.SMOKE_API_KEY"}


def read(path: Path) -> dict[Any, Any]:
    return dict(yaml.safe_load(path.read_text()))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield path.stem, name, job


def scripts() -> Iterator[tuple[str, str]]:
    """Where and what: every block of commands."""
    for workflow, name, job in jobs():
        for step in job.get("steps", []):
            if "run" in step:
                yield f"{workflow}.{name}", step["run"]
    for path in ACTIONS:
        for step in read(path)["runs"]["steps"]:
            if "run" in step:
                yield path.parent.name, step["run"]


def checked(*words: str | Path) -> str:
    """What a checker says; nothing where it is content."""
    done = subprocess.run([*map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_github_s_schema_takes_every_workflow_and_action() -> None:
    checker = BIN / "check-jsonschema"
    assert checked(checker, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS) == ""
    assert checked(checker, "--builtin-schema", "vendor.github-actions", *ACTIONS) == ""


def test_zizmor_finds_nothing() -> None:
    assert checked(BIN / "zizmor", "--offline", "--quiet", ".github") == ""


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The one that is installed, or one that Go builds for this run: its Python package only downloads it."""
    found = shutil.which("actionlint") or shutil.which("actionlint", path=Path.home() / "go" / "bin")
    if found:
        return found
    if shutil.which("go") is None:
        pytest.skip(f"neither actionlint is here nor Go to build it: go install {ACTIONLINT}")
    folder = tmp_path_factory.mktemp("bin")
    built = subprocess.run(
        ["go", "install", ACTIONLINT],
        env={**os.environ, "GOBIN": str(folder), "GOFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.skip(f"Go cannot build actionlint here: {built.stderr.strip()}")
    return str(folder / "actionlint")


def test_actionlint_finds_nothing(actionlint: str, tmp_path: Path) -> None:
    assert checked(actionlint) == ""
    broken = tmp_path / "broken.yml"
    text = (ROOT / ".github" / "workflows" / "watch.yml").read_text()
    broken.write_text(re.sub(r"\$\{\{ ?github\.[a-z_]+", "${{ github.nothing_at_all", text))
    assert "nothing_at_all" in checked(actionlint, broken)


def test_the_pipeline_s_own_tests_skip_no_actionlint() -> None:
    steps = read(ROOT / ".github" / "workflows" / "pull-request.yml")["jobs"]["test"]["steps"]
    assert any(f"go install {ACTIONLINT}\n" in step.get("run", "") for step in steps)


def test_the_checkers_refuse_a_broken_workflow(tmp_path: Path) -> None:
    broken = tmp_path / ".github" / "workflows" / "broken.yml"
    broken.parent.mkdir(parents=True)
    text = (ROOT / ".github" / "workflows" / "watch.yml").read_text()
    broken.write_text(text.replace("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"))
    assert "run-on" in checked(
        BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", broken
    )
    commit = PINNED["actions/checkout"][0]
    broken.write_text(text.replace(f"actions/checkout@{commit}", "actions/checkout@v7"))
    assert "unpinned-uses" in checked(BIN / "zizmor", "--offline", "--quiet", "--no-config", broken.parent)


def test_actions_are_pinned_to_the_commits_of_their_releases() -> None:
    found = set()
    for path in (*WORKFLOWS, *ACTIONS):
        for line in re.findall(r"uses: (.+)$", path.read_text(), re.MULTILINE):
            if line.startswith("./"):
                assert (ROOT / line.split()[0]).exists(), line
                continue
            name, _, rest = line.partition("@")
            commit, _, version = rest.partition(" # ")
            assert (commit, version) == PINNED.get(name), line
            found.add(name)
    assert found == set(PINNED)


def test_nobody_may_do_more_than_is_listed() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {}, path.name
    found = {}
    for workflow, name, job in jobs():
        writes = {scope for scope, level in job["permissions"].items() if level == "write"}
        assert set(job["permissions"].values()) <= {"read", "write"}
        if writes:
            found[workflow, name] = writes
    assert found == WRITES


def test_code_of_a_fork_gets_no_identity() -> None:
    workflow = read(ROOT / ".github" / "workflows" / "pull-request.yml")
    assert set(workflow[True]) == {"pull_request"}, "and never pull_request_target"
    for name, job in workflow["jobs"].items():
        if "id-token" in job["permissions"]:
            assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository", name
        elif "write" in job["permissions"].values():
            assert not [step for step in job["steps"] if "checkout" in step.get("uses", "")], name


def test_a_release_that_runs_is_never_cancelled() -> None:
    for workflow, name, job in jobs():
        for step in job.get("steps", []):
            if re.search(r"^ *pulumi up", step.get("run", ""), re.MULTILINE):
                assert (workflow, name) == ("deploy", "up")
                assert job["concurrency"] == {
                    "group": "deploy-${{ inputs.stack }}",
                    "cancel-in-progress": False,
                }
                assert job["environment"] == "${{ inputs.stack }}"
    for path in WORKFLOWS:
        whole = read(path)
        deploys = any("deploy.yml" in job.get("uses", "") for job in whole["jobs"].values())
        if deploys:
            assert not whole.get("concurrency", {}).get("cancel-in-progress"), path.name


def test_nothing_is_brought_up_that_was_not_previewed_and_checked() -> None:
    steps = read(ROOT / ".github" / "workflows" / "deploy.yml")["jobs"]["up"]["steps"]
    text = "\n".join(step.get("run", "") for step in steps)
    order = [
        "python -m pipeline pin",
        'pulumi preview --stack "$STACK" --policy-pack policy',
        "python -m pipeline check preview.json",
        'pulumi up --stack "$STACK" --policy-pack policy',
        "python -m pipeline smoke",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_prod_gets_what_staging_has_proven() -> None:
    release = read(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert release["prod"]["needs"] == ["tag", "staging"]
    assert release["prod"]["with"]["digest"] == "${{ needs.staging.outputs.digest }}"
    assert "digest" not in release["staging"]["with"]
    assert {release[stack]["with"]["ref"] for stack in ("staging", "prod")} == {"${{ github.sha }}"}


def test_no_script_is_made_of_what_others_write() -> None:
    assert [where for where, script in scripts() if "${{" in script] == []


def test_the_only_secrets_are_keys_that_callers_show() -> None:
    text = "".join(path.read_text() for path in (*WORKFLOWS, *ACTIONS))
    assert set(re.findall(r"secrets\.[A-Z_]+", text)) == SECRETS
    for _, script in scripts():
        assert "API_KEY" not in script, "a key goes by the environment"


def test_every_word_of_the_pipeline_and_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = []
    for where, script in scripts():
        for line in re.findall(r"python -m pipeline (.+)$", script.replace("\\\n", " "), re.MULTILINE):
            given = re.split(r"\)\"|>|\|", line)[0].split()
            options = parser().parse_args(["0" if "GPU_HOUR" in word else word.strip('"') for word in given])
            words.append(options.word)
        for line in re.findall(r"^(?:PATH=\S+ )?make (.+)$", script, re.MULTILINE):
            for target in line.split():
                assert target in targets or target.startswith(".venv/."), f"{where}: make {target}"
    assert set(words) == {"check", "comment", "digest", "pin", "record", "smoke", "tag", "version"}


def test_every_script_is_one_that_a_shell_reads() -> None:
    for where, script in scripts():
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.stderr == "", where

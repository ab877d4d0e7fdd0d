"""Two scripts of the workflows, run as they stand there: with a stand-in for GitHub's command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.records import find_digest
from pipeline.stack_file import version_of

ROOT = Path(__file__).resolve().parents[2]
DIGEST, OTHER = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
PERSON = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@example.com", "GIT_COMMITTER_NAME": "x"}
PERSON |= {"GIT_COMMITTER_EMAIL": "x@example.com", "GIT_CONFIG_GLOBAL": "/dev/null"}
# It keeps its words; asked for the comments it says what lies in $KNOWN.
GH = """#!/bin/bash
echo "$*" >> "$CALLS"
[[ "$*" == *--paginate* ]] && cat "$KNOWN"
exit 0
"""


def script(workflow: str, name: str) -> str:
    """The commands of the step of that name."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job.get("steps", [])]
    (found,) = [step["run"] for step in steps if step.get("name") == name]
    return str(found)


def run(text: str, folder: Path, path: Path, **environment: str) -> None:
    """As GitHub runs it: by bash, which stops at the first failure."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_"))}
    clean |= PERSON | environment | {"PATH": f"{path}:{os.environ['PATH']}"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text]
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        env=os.environ | PERSON,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """`gh` and `make` that do nothing but tell."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in {"gh": GH, "make": "#!/bin/bash\nexit 0\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a repository with the stacks, the catalog and the pipeline."""
    origin, work = tmp_path / "origin.git", tmp_path / "work"
    work.mkdir()
    for name in ("models", "pipeline"):
        shutil.copytree(ROOT / name, work / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Pulumi.prod.yaml", "Pulumi.staging.yaml", ".gitignore"):
        shutil.copy(ROOT / name, work)
    (work / ".venv" / "bin").mkdir(parents=True)
    (work / ".venv" / "bin" / "python").write_text(f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    (work / ".venv" / "bin" / "python").chmod(0o755)
    git(tmp_path, "init", "--quiet", "--bare", str(origin))
    git(work, "init", "--quiet", "--initial-branch", "main")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "-m", "All")
    git(work, "remote", "add", "origin", str(origin))
    git(work, "push", "--quiet", "origin", "main")
    return work


def test_a_deployment_is_recorded_and_found_again(clone: Path, tools: Path, tmp_path: Path) -> None:
    text = script("deploy", "Record what was deployed")
    common = {"STACK": "prod", "CALLS": str(tmp_path / "calls"), "KNOWN": os.devnull}
    head = git(clone, "rev-parse", "HEAD")
    for version, digest in (("1.0.0", OTHER), ("1.1.0", DIGEST)):
        run(text, clone, tools, **common, VERSION=version, PROMOTED=digest, DIGEST=digest)
        git(clone, "fetch", "--quiet", "origin")
        git(clone, "checkout", "--quiet", "--force", "main")
    found = "refs/remotes/origin/released/prod"
    assert git(clone, "rev-list", "--count", "--first-parent", found) == "3"  # two records on what main has
    assert git(clone, "rev-parse", f"{found}^2") == head
    assert find_digest(clone, "1.0.0", [found]) == OTHER
    assert find_digest(clone, "1.1.0", [found]) == DIGEST
    git(clone, "checkout", "--quiet", found)
    assert version_of(clone, "prod") == "1.1.0"
    assert DIGEST in (clone / "Pulumi.prod.yaml").read_text()


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not here; GitHub's runners have it.")
@pytest.mark.parametrize("known", [True, False])
def test_there_is_one_comment_that_is_edited(tools: Path, tmp_path: Path, known: bool) -> None:
    shutil.copy(ROOT / "tests" / "pipeline" / "comment.md", tmp_path)
    others = [{"id": 7, "body": "Nice."}]
    own = (
        [{"id": 42, "body": (tmp_path / "comment.md").read_text().replace("1.1.0", "1.0.9")}] if known else []
    )
    (tmp_path / "known").write_text("\n".join(json.dumps(each) for each in (*others, *own)))
    calls = tmp_path / "calls"
    environment = {"CALLS": str(calls), "KNOWN": str(tmp_path / "known"), "NUMBER": "12"}
    text = script("pull-request", "Edit the one comment, or write it")
    run(text, tmp_path, tools, **environment, GITHUB_REPOSITORY="example/tts")
    _, wrote = calls.read_text().splitlines()
    place = (
        "PATCH repos/example/tts/issues/comments/42" if known else "POST repos/example/tts/issues/12/comments"
    )
    assert wrote == f"api --method {place} --field body=@comment.md --silent"

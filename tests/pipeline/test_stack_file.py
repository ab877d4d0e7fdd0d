"""Tags, pins and records: which version and image a stack gets, and how it is found again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pipeline.errors import PipelineError
from pipeline.records import find_digest, message
from pipeline.stack_file import check_tag, pin, version_of

ROOT = Path(__file__).resolve().parents[2]
DIGEST, OTHER = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "models", tmp_path / "models")
    for stack in ("staging", "prod"):
        shutil.copy(ROOT / f"Pulumi.{stack}.yaml", tmp_path)
        pin(tmp_path, stack, version="1.0.0", digest="")
    return tmp_path


def config(checkout: Path, stack: str) -> dict[str, object]:
    return dict(yaml.safe_load((checkout / f"Pulumi.{stack}.yaml").read_text())["config"])


def test_a_tag_is_the_version_of_catalog_and_stacks(checkout: Path) -> None:
    assert check_tag(checkout, "v1.0.0", ("staging", "prod")) == "1.0.0"


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ("1.0.0", "names no version"),
        ("v1.0", "names no version"),
        ("vhibari", "names no version"),
        ("v1.1.0", "Pulumi.staging.yaml says tts:modelVersion 1.0.0, but the tag is v1.1.0"),
        ("v7.0.0", "models/hibari/7.0.0.yaml does not exist"),
    ],
)
def test_any_other_tag_is_refused(checkout: Path, tag: str, says: str) -> None:
    with pytest.raises(PipelineError, match=says):
        check_tag(checkout, tag, ("staging", "prod"))


def test_all_that_is_wrong_with_a_tag_is_said_at_once(checkout: Path) -> None:
    with pytest.raises(PipelineError) as caught:
        check_tag(checkout, "v7.0.0", ("staging", "prod"))
    assert len(caught.value.sentences) == 4


def test_a_pin_changes_version_and_digest_alone(checkout: Path) -> None:
    path = checkout / "Pulumi.prod.yaml"
    before, text = config(checkout, "prod"), path.read_text()
    pin(checkout, "prod", version="1.1.0", digest=DIGEST)
    assert config(checkout, "prod") == before | {"tts:modelVersion": "1.1.0", "tts:imageDigest": DIGEST}
    assert version_of(checkout, "prod") == "1.1.0"
    pin(checkout, "prod", version="1.1.0", digest=OTHER)
    assert config(checkout, "prod")["tts:imageDigest"] == OTHER
    pin(checkout, "prod", version="1.0.0", digest="")
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("stack", "version", "digest", "says"),
    [
        ("prod", "7.0.0", "", "name a version of the catalog"),
        ("prod", "1.1.0", "sha256:12", "is no digest"),
        ("pord", "1.1.0", "", "Pulumi.pord.yaml does not exist"),
    ],
)
def test_a_wrong_pin_is_refused_and_nothing_written(
    checkout: Path, stack: str, version: str, digest: str, says: str
) -> None:
    before = (checkout / "Pulumi.prod.yaml").read_text()
    with pytest.raises(PipelineError, match=says):
        pin(checkout, stack, version=version, digest=digest)
    assert (checkout / "Pulumi.prod.yaml").read_text() == before


def git(root: Path, *words: str) -> str:
    person = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(
        ["git", "-C", str(root), *person, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_record_says_with_which_image_a_version_was_deployed(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "released/prod")
    for version, digest in (("1.0.0", OTHER), ("1.1.0", OTHER), ("1.0.0", DIGEST)):
        git(
            tmp_path,
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            message("prod", version=version, digest=digest),
        )
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "Something else")
    assert find_digest(tmp_path, "1.0.0", ["released/prod"]) == DIGEST  # the last time
    assert find_digest(tmp_path, "1.1.0", ["released/staging", "released/prod"]) == OTHER
    with pytest.raises(PipelineError, match=r"with which image 1\.2\.0 was deployed"):
        find_digest(tmp_path, "1.2.0", ["released/prod"])

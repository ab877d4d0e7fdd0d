"""`make preview` of the stacks on AWS: the whole plan, without credentials, a CLI or a cluster."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml

from local.cli import main
from tests.components.conftest import ROOT, Registered, run_stack

from .conftest import STACKS


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh checkout of somebody who is nobody on AWS and has no cluster; each of STACKS has its file."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "KUBECONFIG", "PULUMI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "home"))
    folder = tmp_path / "checkout"
    for part in ("models", "serving", "release"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__main__.py", "Pulumi.yaml", "Pulumi.staging.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, folder / name)
    for name, (stack, changes) in STACKS.items():
        config = yaml.safe_load((folder / f"Pulumi.{stack}.yaml").read_text())["config"]
        (folder / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config | dict(changes)}))
    return folder


def shown_as(resource: Registered) -> str:
    """How the preview names a resource that the program declares."""
    if resource.type == "docker-build:index:Image":
        return f"Image {resource.name}"
    return resource.title


@pytest.mark.parametrize("stack", ["staging", "prod", "prod-with-its-own-cluster"])
def test_a_preview_shows_the_plan_in_its_order(
    checkout: Path, stack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", "--stack", stack], root=checkout) == 0
    told = capsys.readouterr().out
    place = {title: at for at, title in enumerate(re.findall(r"^ *[\d.]+ s +\+ (.+?): create", told, re.M))}
    base, changes = STACKS[stack]
    program = run_stack(checkout, base, changes)
    declared = {
        each.title: each
        for each in program.registered
        if each.request.custom and not each.type.startswith("pulumi:")
    }
    assert {shown_as(each) for each in declared.values()} == set(place)
    for each in declared.values():
        for title in program.before(each) & declared.keys():
            assert place[shown_as(declared[title])] < place[shown_as(each)], f"{title} before {each.title}"
    assert told.splitlines()[-1] == f"{len(place)} to create. Nothing was touched."
    assert not (checkout.parent / "home").exists()

"""`preview` tells what `up` would do and touches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.engine.platform import Platform
from local.home import Home
from tests.local.engine.conftest import Stack
from tests.local.engine.test_up import IMAGES

SWITCH = """
version = pulumi.Config().require("modelVersion")
slug = version.replace(".", "-")
server = deployment(f"server-{slug}")
route("hibari", version, depends_on=[job(f"release-{slug}", depends_on=[server])])
"""


def test_a_switch_is_told_with_changed_properties_and_nothing_is_touched(stack: Stack) -> None:
    stack.program(SWITCH)
    assert stack.up(), stack.text
    assert stack.preview("modelVersion=1.1.0"), stack.text
    assert stack.api.log == []
    writes = [line for line in stack.api.requests if not line.startswith("GET") and "dryRun=All" not in line]
    assert writes == []
    assert "+ Deployment server-1-1-0: create" in stack.text
    assert "± Job release-1-1-0: replace (takes the place of release-1-0-0)" in stack.text
    assert "~ VirtualService hibari: update" in stack.text
    assert "spec.http[0].name: pin-1.0.0 => pin-1.1.0" in stack.text
    assert "- Deployment server-1-0-0: delete (no longer declared)" in stack.text
    assert "1 to create, 1 to update, 1 to replace, 1 to delete. Nothing was touched." in stack.text


def test_no_edit_is_no_change(stack: Stack) -> None:
    stack.program(SWITCH)
    assert stack.up(), stack.text
    assert stack.preview(), stack.text
    assert "Nothing would change." in stack.text


def test_images_are_not_built_and_their_digests_unknown(stack: Stack) -> None:
    stack.program(IMAGES)
    assert stack.preview(), stack.text
    assert stack.builder.built == {}
    assert "Image base: create" in stack.text
    assert "Image model: create (its base is built first)" in stack.text
    assert "Deployment server: create" in stack.text
    stack.program(IMAGES)
    assert stack.up(), stack.text
    stack.program(IMAGES.replace("python:3.11", "python:3.11-slim"))
    assert stack.preview(), stack.text
    assert "spec.template.spec.containers[0].image: local/model:1@sha256:" in stack.text
    assert "=> (known after the build)" in stack.text
    assert len(stack.builder.built) == 2


def test_unknown_types_are_listed(stack: Stack) -> None:
    stack.program('pulumi.CustomResource("aws:eks/nodeGroup:NodeGroup", "gpu", {})')
    assert stack.preview(), stack.text
    assert "aws:eks/nodeGroup:NodeGroup gpu: create" in stack.text


def test_a_wrong_program_fails_the_preview(stack: Stack) -> None:
    stack.program('raise pulumi.RunError("tts:model is empty; name one.")')
    assert not stack.preview()
    assert "tts:model is empty; name one." in stack.text


def test_without_a_running_platform_nothing_is_started(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local.node import daemon

    def must_not(_home: Home) -> None:
        raise AssertionError("preview started the platform")

    monkeypatch.setattr(daemon, "ensure_running", must_not)
    stack.platform = Platform(Home(tmp_path / "nothing"))
    stack.program(SWITCH)
    assert stack.preview(), stack.text
    assert "compares with nothing" in stack.text
    assert "3 to create" in stack.text
    assert not (tmp_path / "nothing").exists()

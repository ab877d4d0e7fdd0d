"""`render` writes what `up` would bring to a cluster as files for Argo CD, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from local.engine.rendering import HEAD
from tests.local.engine.conftest import Stack
from tests.local.engine.test_up import IMAGES

FOLDER = """
folder = k8s.Provider("cluster", render_yaml_to_directory="../deploy/prod")
inside = {"provider": folder}
"""
SWITCH = (
    FOLDER
    + """
version = pulumi.Config().require("modelVersion")
slug = version.replace(".", "-")
server = deployment(f"server-{slug}", **inside)
config_map("told", version, ignore_changes=["data"], **inside)
route("hibari", version, depends_on=[job(f"release-{slug}", depends_on=[server], **inside)], **inside)
k8s.apiextensions.CustomResource(
    "application", api_version="argoproj.io/v1alpha1", kind="Application",
    metadata={"name": "hibari-dev", "namespace": "argocd"}, spec={"project": "default"},
    opts=Opts(provider=k8s.Provider("argo-cd")))
"""
)


@pytest.fixture
def folder(stack: Stack) -> Path:
    return stack.root.parent / "deploy" / "prod"


def contents(folder: Path) -> dict[str, dict[str, Any]]:
    assert all(path.read_text().startswith(HEAD) for path in folder.iterdir())
    return {path.name: yaml.safe_load(path.read_text()) for path in folder.iterdir()}


def test_each_object_is_a_file_and_the_application_lies_beside_them(stack: Stack, folder: Path) -> None:
    stack.program(SWITCH)
    assert stack.render(folder), stack.text
    assert set(contents(folder)) == {
        "05-configmap-told.yaml",
        "05-deployment-server-1-0-0.yaml",
        "05-job-release-1-0-0.yaml",
        "05-virtualservice-hibari.yaml",
    }
    server = contents(folder)["05-deployment-server-1-0-0.yaml"]
    assert server["metadata"] == {"name": "server-1-0-0", "namespace": "tts"}
    assert server["spec"]["replicas"] == 1
    beside = yaml.safe_load((folder.parent / "hibari-dev.application.yaml").read_text())
    assert beside["kind"] == "Application"
    assert {path.name for path in folder.parent.iterdir()} == {"prod", "hibari-dev.application.yaml"}
    # No cluster was asked, and none was touched.
    assert stack.api.requests == []


def test_what_is_no_longer_declared_goes_and_what_is_not_to_change_stays(stack: Stack, folder: Path) -> None:
    stack.program(SWITCH)
    assert stack.render(folder), stack.text
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert stack.render(folder), stack.text
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert "created" not in stack.text
    assert stack.render(folder, "modelVersion=1.1.0"), stack.text
    assert "- prod/05-deployment-server-1-0-0.yaml: deleted" in stack.text
    assert "+ prod/05-deployment-server-1-1-0.yaml: created" in stack.text
    assert "~ prod/05-virtualservice-hibari.yaml: updated" in stack.text
    after = contents(folder)
    assert "05-deployment-server-1-0-0.yaml" not in after
    assert after["05-configmap-told.yaml"]["data"] == {"a": "1.0.0"}


def test_images_are_built_and_named_by_their_digests(stack: Stack, folder: Path) -> None:
    stack.program(FOLDER + IMAGES.replace('deployment("server"', 'deployment("server", **inside', 1))
    assert stack.render(folder), stack.text
    assert len(stack.builder.built) == 2
    (server,) = contents(folder).values()
    assert "@sha256:" in server["spec"]["template"]["spec"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (
            'made = pulumi.CustomResource("aws:x/y:Z", "z", {"address": None})\n'
            'config_map("late", made.id, **inside)',
            "ConfigMap late holds what only Pulumi can know",
        ),
        (
            'config_map("keys", pulumi.Output.secret("s3cr3t-word"), **inside)',
            "ConfigMap keys holds a secret, which would be written in clear",
        ),
        (
            'k8s.core.v1.Secret("keys", metadata={"name": "keys"}, string_data={"a": "s3cr3t-word"},'
            " opts=Opts(**inside))",
            "Secret keys holds a secret, which would be written in clear",
        ),
        ('raise pulumi.RunError("tts:model is empty; name one.")', "tts:model is empty; name one."),
    ],
)
def test_what_cannot_be_written_leaves_the_folder_as_it_was(
    stack: Stack, folder: Path, program: str, sentence: str
) -> None:
    stack.program(SWITCH)
    assert stack.render(folder), stack.text
    before = {path.name: path.read_text() for path in folder.iterdir()}
    stack.program(FOLDER + 'config_map("other", **inside)\n' + program)
    assert not stack.render(folder)
    assert sentence in stack.text
    assert "s3cr3t-word" not in stack.text
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert {path.name for path in folder.parent.iterdir()} == {"prod", "hibari-dev.application.yaml"}


def test_a_folder_with_something_else_in_it_is_left_alone(stack: Stack, folder: Path) -> None:
    from local.errors import LocalError

    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("kind: Secret\n")
    stack.program(SWITCH)
    with pytest.raises(LocalError, match=r"mine.yaml was not rendered.*name\s+a folder of this stack's own"):
        stack.render(folder)
    assert [path.name for path in folder.iterdir()] == ["mine.yaml"]


def test_such_a_stack_is_not_brought_up_beside_argo_cd(stack: Stack) -> None:
    stack.program(SWITCH)
    for work in (stack.up, stack.preview):
        assert not work()
        assert "Argo CD brings the objects of this stack to its cluster (tts:gitops)" in stack.text
        assert "`make render STACK=dev`" in stack.text
    assert stack.api.log == []


def test_the_folder_is_the_one_that_the_config_says(stack: Stack, folder: Path) -> None:
    from local.errors import LocalError

    stack.program(SWITCH)
    with pytest.raises(LocalError, match="The stack dev is not brought to its cluster by Argo CD"):
        stack.render()
    assert stack.render(None, 'gitops={"repository": "https://x/y", "path": "prod"}'), stack.text
    assert len(contents(folder)) == 4

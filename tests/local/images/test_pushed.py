"""Images for a cluster: what the builders are told, how a push is counted, what is said when it fails.

The builders are stand-ins that say what they were called with; the registry is one in memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.images.errors import ImageError, UnknownImageError
from local.images.manifest import Manifest, digest_of
from local.images.pushed import PushedImages
from local.images.values import ImageBuild
from tests.local.images.registry_stub import RegistryStub, serving, sha
from tests.ports import free_port

LAYERS = {"base": b"b" * 300_000, "model": b"m" * 2_000_000}
OWN = "sha256:" + "0" * 64
"""The digest that buildah gives to a manifest of its own."""

STAND_IN = """#!{python} -ES
import json, pathlib, shutil, sys, urllib.request
here, words = pathlib.Path({folder!r}), sys.argv[1:]
with (here / "calls").open("a") as calls:
    print(pathlib.Path(sys.argv[0]).name, *words, file=calls)
if words[:2] == ["buildx", "version"]:
    sys.exit(not (here / "buildx").exists())
if "--file" in words:
    file = words[words.index("--file") + 1]
    shutil.copy(file, here / "Dockerfile")
    shutil.copy(file + ".dockerignore", here / "ignored")
    print("STEP 1: builds")
    if (here / "fails").exists():
        sys.exit("no space left on device")
def upload(target):
    registry, _, repository = target.partition("/")
    for layer in (here / "layers").iterdir():
        url = f"http://{{registry}}/v2/{{repository}}/blobs/uploads/1?digest=sha256:{{layer.name}}"
        urllib.request.urlopen(urllib.request.Request(url, layer.read_bytes(), method="PUT"))
if words[0] == "inspect":
    print((here / "inspected").read_text())
if words[0] == "push":
    upload(words[-1].removeprefix("docker://").partition("@")[0])
if "--output" in words:
    output = dict(word.split("=", 1) for word in words[words.index("--output") + 1].split(","))
    if output["type"] == "oci":
        shutil.copytree(here / "layout", output["dest"])
    else:
        upload(output["name"])
"""


@dataclass
class Machine:
    """A machine with stand-ins for `buildah` and `docker`, and what they build."""

    folder: Path
    registry: RegistryStub
    lines: list[str] = field(default_factory=list)
    images: PushedImages = field(default_factory=PushedImages)

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def holds(self, *layers: str, comment: str = "FROM here", kind: str = "tar") -> None:
        """Say of what the image consists that the builders build."""
        descriptors = [
            {"mediaType": kind, "digest": sha(LAYERS[name]), "size": len(LAYERS[name])} for name in layers
        ]
        config = {"os": "linux", "history": [{"created_by": "COPY", "comment": comment}]}
        inspected = {
            "FromImageDigest": OWN,
            "FromImageID": "abc",
            "Config": json.dumps(config),
            "Manifest": json.dumps({"layers": descriptors, "annotations": {"base": comment}}),
        }
        (self.folder / "inspected").write_text(json.dumps(inspected))
        manifest = Manifest.plain(config, descriptors)
        (self.folder / "layers").mkdir(exist_ok=True)
        blobs = self.folder / "layout" / "blobs" / "sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        for content in [*(LAYERS[name] for name in layers), manifest.config_content]:
            (self.folder / "layers" / sha(content).removeprefix("sha256:")).write_bytes(content)
        (blobs / manifest.digest.removeprefix("sha256:")).write_bytes(manifest.content)
        index = json.dumps({"manifests": [{"digest": manifest.digest}]})
        (self.folder / "layout" / "index.json").write_text(index)

    def order(self, tag: str = "speech/hibari:1.0.0-abc", base: str = "speech/base:1") -> ImageBuild:
        base = base if ":" in base.partition("/")[0] else f"{self.registry.name}/{base}"
        dockerfile, arguments = "ARG BASE\nFROM ${BASE}\n", {"BASE": base, "SOURCE_DATE_EPOCH": "7"}
        export = "rewrite-timestamp=true,compression=uncompressed"
        return ImageBuild(
            self.folder, dockerfile, arguments, (f"{self.registry.name}/{tag}",), "*.md", export
        )

    def build(self, order: ImageBuild | None = None) -> str:
        return self.images.build(order or self.order(), log=self.lines.append).digest


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in ("buildah", "docker"):
        command = tmp_path / name
        command.write_text(STAND_IN.format(python=sys.executable, folder=str(tmp_path)))
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("TTS_BUILDER", "TTS_BUILD_ARGS", "BUILDAH_ISOLATION"):
        monkeypatch.delenv(name, raising=False)
    with serving() as registry:
        registry.put_manifest("speech/base", "1", b"base")
        made = Machine(tmp_path, registry)
        made.holds("base", "model")
        yield made


def with_builder(machine: Machine, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_BUILDER", name)
    (machine.folder / "buildx").touch()


@pytest.mark.parametrize("builder", ["buildah", "docker"])
def test_each_builder_builds_pushes_and_leaves_the_tag_to_the_end(
    machine: Machine, builder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_builder(machine, builder, monkeypatch)
    assert machine.images.find(machine.order()) is None
    digest = machine.build()
    assert machine.registry.manifests["speech/hibari", "1.0.0-abc"]
    writes = [asked for asked in machine.registry.asked if asked.startswith("PUT")]
    assert "/manifests/1.0.0-abc" in writes[-1], "a tag is seen when everything is there"
    assert machine.lines[0] == "STEP 1: builds"
    assert machine.lines[-1] == "Pushed 2.3 MB: 2 of 2 layers new"
    assert (machine.folder / "ignored").read_text().splitlines()[0] == "*.md"
    found = machine.images.find(machine.order())
    assert found is not None
    assert found.digest == digest
    assert found.ref("x:1") == f"x:1@{digest}"


def test_buildah_is_told_the_time_and_to_push_by_digest(machine: Machine) -> None:
    machine.build()
    build, push = machine.calls[1], machine.calls[3]
    for word in ("--timestamp 7", "--pull-always", "--identity-label=false", "--isolation chroot"):
        assert word in build, build
    assert "--tls-verify=false" in build, "the base image is on this machine's registry"
    target = f"docker://{machine.registry.name}/speech/hibari@{OWN}"
    assert push == f"buildah push --tls-verify=false {machine.order().tags[0]} {target}"


def test_a_base_image_from_elsewhere_is_pulled_with_tls(machine: Machine) -> None:
    machine.build(machine.order(base="registry.example.com:443/python:3.11"))
    assert "--tls-verify" not in machine.calls[1]


def test_what_buildah_says_about_this_machine_is_no_part_of_the_image(machine: Machine) -> None:
    first = machine.build()
    machine.holds("base", "model", comment="FROM elsewhere")
    assert machine.build() == first
    content = machine.registry.manifests["speech/hibari", first]
    assert b"FROM" not in content + machine.registry.manifests["speech/hibari", "1.0.0-abc"]


def test_a_compressed_copy_of_the_image_is_to_be_forgotten(machine: Machine) -> None:
    machine.holds("base", "model", kind="tar+gzip")
    with pytest.raises(ImageError, match="forget that copy with `buildah rmi --force abc`"):
        machine.build()


def test_buildx_exports_what_it_pushes(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with_builder(machine, "docker", monkeypatch)
    monkeypatch.setenv("TTS_BUILD_ARGS", "--no-cache --builder 'a b'")
    digest = machine.build()
    assert digest == digest_of(machine.registry.manifests["speech/hibari", "1.0.0-abc"])
    builds = [call for call in machine.calls if "--output" in call]
    for build, output in zip(builds, ("type=oci,tar=false", "type=image,name="), strict=True):
        assert f"--output {output}" in build
        assert "rewrite-timestamp=true,compression=uncompressed" in build
        assert "--provenance=false" in build
        assert "--builder a b --build-arg BASE=" in build
    assert "push=true,push-by-digest=true" in builds[1]
    assert ["--no-cache" in build for build in builds] == [True, False], "what is pushed was built before"


def test_only_what_the_registry_lacks_is_counted(machine: Machine) -> None:
    machine.registry.put_blob("speech/base", LAYERS["base"])
    first = machine.build()
    assert machine.lines[-1] == "Pushed 2.0 MB: 1 of 2 layers new", "the base is mounted from its repository"
    assert sha(LAYERS["base"]) in machine.registry.blobs["speech/hibari"]
    pushes = len([call for call in machine.calls if "push" in call])
    assert machine.build(machine.order(tag="speech/hibari:again")) == first
    assert machine.lines[-1] == "Pushed 0 bytes: 0 of 2 layers new"
    assert len([call for call in machine.calls if "push" in call]) == pushes
    assert machine.registry.manifests["speech/hibari", "again"]


@pytest.mark.parametrize(("wanted", "has_buildx", "called"), [
    ("", True, "docker"), ("", False, "buildah"), ("buildah", True, "buildah"), ("docker", True, "docker"),
])  # fmt: skip
def test_the_builder_is_chosen(
    machine: Machine, wanted: str, has_buildx: bool, called: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_BUILDER", wanted)
    if has_buildx:
        (machine.folder / "buildx").touch()
    machine.build()
    assert machine.calls[-1].startswith(called)


@pytest.mark.parametrize(("wanted", "said"), [
    ("", "neither `docker` with its buildx plugin nor `buildah` is installed here"),
    ("buildah", "TTS_BUILDER=buildah, which is not installed here"),
    ("docker", "TTS_BUILDER=docker, which is not installed here"),
    ("kaniko", "TTS_BUILDER=kaniko names no builder; say docker or buildah"),
])  # fmt: skip
def test_a_missing_builder_is_named(
    machine: Machine, wanted: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("TTS_BUILDER", wanted)
    with pytest.raises(ImageError, match=said):
        machine.build()
    digest = machine.registry.put_manifest("speech/hibari", "1.0.0-abc", b"{}")
    found = machine.images.find(machine.order())
    assert found is not None, "what is there needs no builder"
    assert found.digest == digest


def test_a_failed_build_leaves_nothing_and_shows_the_last_lines(machine: Machine) -> None:
    (machine.folder / "fails").touch()
    with pytest.raises(
        ImageError, match=r"`buildah bud` ended with status 1:\n(.|\n)*no space left on device"
    ):
        machine.build()
    assert not machine.registry.blobs.get("speech/hibari")
    assert machine.images.find(machine.order()) is None


def test_a_base_image_that_is_not_there_is_named(machine: Machine) -> None:
    (machine.folder / "fails").touch()
    with pytest.raises(
        ImageError, match=r"The base image \S+/speech/base:2 is not in its registry: correct tts:"
    ):
        machine.build(machine.order(base="speech/base:2"))


def test_a_push_that_breaks_off_leaves_no_tag(machine: Machine) -> None:
    lost = machine.folder / "layers" / sha(LAYERS["model"]).removeprefix("sha256:")
    lost.unlink()
    with pytest.raises(ImageError, match="blob unknown to registry"):
        machine.build()
    assert machine.images.find(machine.order()) is None


def test_an_unreachable_registry_is_named_before_anything_is_built(machine: Machine) -> None:
    order = ImageBuild(machine.folder, "FROM x\n", {}, (f"127.0.0.1:{free_port()}/hibari:1",))
    with pytest.raises(ImageError, match="cannot be reached"):
        machine.images.find(order)
    assert machine.calls == []


def test_what_a_promotion_needs_and_does_not_find_says_what_to_do(machine: Machine) -> None:
    for ref in ("speech/tts-release:abc", f"speech/hibari:1.0.0@{OWN}"):
        with pytest.raises(
            UnknownImageError, match=r"has no image .*: run `up` of a stack that builds, from this"
        ):
            machine.images.resolve(f"{machine.registry.name}/{ref}")
    digest = machine.registry.put_manifest("speech/hibari", "1.0.0", b"{}")
    assert machine.images.resolve(f"{machine.registry.name}/speech/hibari:1.0.0@{digest}").digest == digest
    assert machine.calls == []


def test_an_image_without_a_tag_is_refused(machine: Machine) -> None:
    with pytest.raises(ImageError, match="needs a tag"):
        machine.build(ImageBuild(machine.folder, "FROM x\n"))

"""The images of a stack in a real registry: what each change pushes, equal digests, promotion, refusals.

What was pushed is counted a second time from what the registry's manifests name, before and after. The stack
has repositories of its own, so nobody else's pushes are counted."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from pulumi.runtime import mocks

from local.engine.images import Images
from local.engine.report import Report
from local.images.pushed import PushedImage, PushedImages
from local.images.values import ImageBuild
from tests.cluster.conftest import ClusterPlatform, namespaced
from tests.components.conftest import Program, as_text, run_in_context
from tests.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]  # images are built from nothing

MEBIBYTE = 1 << 20
VERSION = "1.2.0"
REPOSITORIES = ("hibari", "tts-server-hibari", "tts-release")
ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json"
)


def registry_url() -> str:
    return f"http://{os.environ['TTS_REGISTRY']}/v2"


def tags(prefix: str) -> list[tuple[str, str]]:
    """Repository and tag of all images below `prefix`."""
    found = []
    for name in (f"{prefix}/{repository}" for repository in REPOSITORIES):
        answer = requests.get(f"{registry_url()}/{name}/tags/list", timeout=30).json()
        found += [(name, tag) for tag in answer.get("tags") or ()]
    return found


def stored(prefix: str) -> dict[str, int]:
    """Digest and bytes of everything that the images below `prefix` are made of."""
    blobs = {}
    for name, tag in tags(prefix):
        answer = requests.get(
            f"{registry_url()}/{name}/manifests/{tag}", headers={"Accept": ACCEPT}, timeout=30
        )
        blobs[f"sha256:{hashlib.sha256(answer.content).hexdigest()}"] = len(answer.content)
        manifest = answer.json()
        blobs |= {blob["digest"]: blob["size"] for blob in (manifest["config"], *manifest["layers"])}
    return blobs


def forget(prefix: str) -> None:
    for name, tag in tags(prefix):
        where = f"{registry_url()}/{name}/manifests"
        head = requests.head(f"{where}/{tag}", headers={"Accept": ACCEPT}, timeout=30)
        requests.delete(f"{where}/{head.headers['docker-content-digest']}", timeout=30)


@contextmanager
def counted(prefix: str) -> Iterator[list[int]]:
    """The bytes of each new thing in the registry, once the block is over."""
    before, new = stored(prefix), list[int]()
    yield new
    new += [size for digest, size in stored(prefix).items() if digest not in before]


def told(text: str) -> list[tuple[str, float, str, int]]:
    """What `up` said of each push: image, number and unit, new layers."""
    found = re.findall(r"(\S+): Pushed ([\d.]+) (MB|bytes): (\d+) of \d+ layers new", text)
    return [(name, float(size), unit, int(new)) for name, size, unit, new in found]


def add_version(checkout: Path) -> int:
    """A version of its own in the catalog, which speaks as 1.0.0 does; returns the bytes of its file."""
    content = (files("hibari") / "assets" / "hibari.onnx").read_bytes()
    # One more entry of the model's metadata (field 14 of ONNX's ModelProto): other bytes, the same speech.
    entry = b"\x0a\x05about\x12\x04test"
    content += b"\x72" + bytes([len(entry)]) + entry
    (checkout / "models/hibari/files").mkdir()
    (checkout / "models/hibari/files/other.onnx").write_bytes(content)
    document = yaml.safe_load((checkout / "models/hibari/1.0.0.yaml").read_text())
    artifact = {
        "path": "hibari.onnx",
        "source": "file:files/other.onnx",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    document |= {"version": VERSION, "artifacts": [artifact]}
    (checkout / f"models/hibari/{VERSION}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return len(content)


@pytest.fixture(scope="module")
def builds(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A stack with repositories of its own, whose version 1.0.0 is live."""
    with namespaced(tmp_path_factory.mktemp("builds"), base_image) as platform:
        platform.configure(registry=f"{os.environ['TTS_REGISTRY']}/{platform.namespace}")
        first = platform.up(timeout=600)
        try:
            assert first.status == 0, first.text
            assert len(told(first.text)) == 3, first.text
            yield platform
        finally:
            forget(platform.namespace)


def images_of_pods(platform: ClusterPlatform) -> set[str]:
    """The digests that the pods of the servers run, as the node says."""
    pods = platform.get("pods", "--selector", "app.kubernetes.io/component=model-server")["items"]
    return {
        status["imageID"].partition("@")[2] for pod in pods for status in pod["status"]["containerStatuses"]
    }


def printed_digest(text: str) -> str:
    (digest,) = re.findall(r"imageDigest: (sha256:[0-9a-f]{64})", text)
    return str(digest)


def test_a_release_pushes_its_model_file_and_the_way_back_nothing(builds: ClusterPlatform) -> None:
    size = add_version(builds.checkout)
    builds.configure(modelVersion=VERSION)
    with counted(builds.namespace) as new:
        release = builds.up(timeout=280)
    assert release.status == 0, release.text
    (push,) = told(release.text)
    assert push[0] == f"model-image-{VERSION}"
    assert push[2:] == ("MB", 1)
    assert size <= sum(new) <= size + MEBIBYTE
    assert abs(push[1] * 1e6 - sum(new)) < 1e5, "both counts agree"
    builds.configure(modelVersion="1.0.0")
    with counted(builds.namespace) as back:
        rollback = builds.up(timeout=280)
    assert rollback.status == 0, rollback.text
    assert told(rollback.text) == []
    assert back == []
    print(f"A release pushed {sum(new)} bytes for a model of {size}, the way back {sum(back)}.")


class Rebuilt(PushedImages):
    """Takes nothing that is there for an answer."""

    def find(self, _build: ImageBuild) -> PushedImage | None:
        return None


class Building(mocks.Mocks):
    """Answers a program as Pulumi's mocks do, but builds and pushes its images."""

    def __init__(self, root: Path) -> None:
        self.said = io.StringIO()
        self.digests: dict[str, str] = {}
        self._images = Images(
            Rebuilt(), Report(self.said), root=root, preview=False, count=lambda _action: None
        )

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs)
        if args.typ == "docker-build:index:Image":
            outputs = self._images.image(args.name, outputs)
            self.digests[args.name] = outputs["digest"]
        return args.name, outputs

    def call(self, _args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError("this stack looks nothing up")


def rebuild(checkout: Path) -> Building:
    """Build all images of the stack `dev` as its program declares them."""
    project = yaml.safe_load((checkout / "Pulumi.yaml").read_text())["config"]
    config = {key: schema["default"] for key, schema in project.items() if "default" in schema}
    config |= yaml.safe_load((checkout / "Pulumi.dev.yaml").read_text())["config"]
    program, building = Program(preview=False), Building(checkout)
    program.mocks = building
    run_in_context(checkout, "dev", {key: as_text(value) for key, value in config.items()}, program)
    return building


def test_another_checkout_and_no_cache_give_the_same_digests(
    builds: ClusterPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder, other times, other modes, each step carried out again; and a rebuild pushes nothing."""
    other = tmp_path / "elsewhere" / "checkout"
    shutil.copytree(builds.checkout, other)
    for path in [other, *other.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    live = images_of_pods(builds)
    monkeypatch.setenv("TTS_BUILD_ARGS", f"{os.environ.get('TTS_BUILD_ARGS', '')} --no-cache")
    with counted(builds.namespace) as new:
        again = rebuild(other)
    assert live == {again.digests["model-image-1.0.0"]}
    registry = PushedImages()
    known = {
        registry.resolve(f"{os.environ['TTS_REGISTRY']}/{name}:{tag}").digest
        for name, tag in tags(builds.namespace)
    }
    assert set(again.digests) == {"server-base-hibari", "model-image-1.0.0", "release-image"}
    assert set(again.digests.values()) <= known
    said = again.said.getvalue()
    assert [push[1:] for push in told(said)] == [(0.0, "bytes", 0)] * 3, said
    assert new == []
    for name, digest in sorted(again.digests.items()):
        print(f"{name}: {digest}, twice")


def test_what_one_stack_ran_the_next_runs_without_a_build(
    builds: ClusterPlatform, base_image: str, tmp_path: Path
) -> None:
    digest = printed_digest(builds.up().text)
    with namespaced(tmp_path, base_image) as promotes:
        promotes.configure(registry=f"{os.environ['TTS_REGISTRY']}/{builds.namespace}", imageDigest=digest)
        promotes.extra["PATH"] = str(Path(sys.executable).parent)  # no builder is on it
        with counted(builds.namespace) as new:
            done = promotes.up(timeout=280)
        assert done.status == 0, done.text
        assert "builds " not in done.text
        assert printed_digest(done.text) == digest
        assert images_of_pods(promotes) == images_of_pods(builds) == {digest}
        assert new == []
        print(f"Promoted {digest}.")


def refusal(platform: ClusterPlatform, *, guarded: bool = False) -> str:
    """What an `up` that cannot get its images says; no server, no release and no route is there. Nor is a
    guard, unless it is `guarded`: where its own image can be had, it comes before all else."""
    refused = platform.up(timeout=300)
    assert refused.status == 1, refused.text
    found = platform.get("deployments,pods,jobs,virtualservices.networking.istio.io")["items"]
    names = [each["metadata"]["name"] for each in found]
    assert [name for name in names if not (guarded and "-guard" in name)] == []
    return refused.text.partition(" s  ! ")[2]


def test_images_that_cannot_be_had_are_refused_in_a_sentence(base_image: str, tmp_path: Path) -> None:
    registry = os.environ["TTS_REGISTRY"]
    with namespaced(tmp_path, base_image) as platform:
        prefix = f"{registry}/{platform.namespace}"
        platform.configure(registry=prefix, imageDigest=f"sha256:{'0' * 64}")
        assert re.search(
            rf"has no image {prefix}/\S+\. .*: run `up` of a stack that builds", refusal(platform)
        )
        platform.configure(imageDigest=None, baseImage=f"{prefix}/nowhere:1")
        assert f"The base image {prefix}/nowhere:1 is not in its registry" in refusal(platform)
        nobody = f"127.0.0.1:{free_port()}"
        platform.configure(baseImage=base_image, registry=f"{nobody}/speech")
        assert f"The registry {nobody} cannot be reached" in refusal(platform)
        platform.configure(registry=prefix)
        platform.edit("serving/engines/hibari/Dockerfile", '["pip", "install"', '["pip", "instal"')
        assert "ended with status" in refusal(platform, guarded=True)
        finished = {name.rpartition("/")[2] for name, _ in tags(platform.namespace)}
        assert finished <= {"tts-release"}, "no tag of what failed, nor of what is built on it"
        forget(platform.namespace)

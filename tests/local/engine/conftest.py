"""Small stacks in temporary folders, brought to a Kubernetes API in memory."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.engine import platform as platforms
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.target import Target
from local.engine.update import down, preview, render, up
from local.home import Home
from local.images.errors import UnknownImageError
from local.images.values import ImageBuild
from tests.local.engine.fake_api import FakeApi

HEAD = """
import pulumi
import pulumi_kubernetes as k8s
from pulumi import ResourceOptions as Opts

def config_map(name, data="1", **options):
    return k8s.core.v1.ConfigMap(name, metadata={"name": name, "namespace": "tts"}, data={"a": data},
                                 opts=Opts(**options))

def deployment(name, image="x", **options):
    labels = {"app": name}
    return k8s.apps.v1.Deployment(
        name, metadata={"name": name, "namespace": "tts"},
        spec={"replicas": 1, "selector": {"matchLabels": labels},
              "template": {"metadata": {"labels": labels},
                           "spec": {"containers": [{"name": "server", "image": image}]}}},
        opts=Opts(**options))

def job(name, urn_name="release", image="x", **options):
    return k8s.batch.v1.Job(
        urn_name, metadata={"name": name, "namespace": "tts",
                            "annotations": {"pulumi.com/replaceUnready": "true"}},
        spec={"template": {"spec": {"restartPolicy": "Never",
                                    "containers": [{"name": "r", "image": image}]}}},
        opts=Opts(delete_before_replace=True, **options))

def guard(release, image="x", **options):
    return k8s.batch.v1.Job(
        "guard", metadata={"name": f"{release}-guard", "namespace": "tts", "labels": {"tts/release": release},
                           "annotations": {"pulumi.com/skipAwait": "true"}},
        spec={"template": {"spec": {"restartPolicy": "Never",
                                    "containers": [{"name": "guard", "image": image}]}}},
        opts=Opts(delete_before_replace=True, **options))

def route(name, version, **options):
    host = f"hibari-{version.replace('.', '-')}-abcdef.tts.svc.cluster.local"
    to = [{"destination": {"host": host}, "weight": 100}]
    return k8s.apiextensions.CustomResource(
        name, api_version="networking.istio.io/v1", kind="VirtualService",
        metadata={"name": name, "namespace": "tts", "annotations": {"pulumi.com/patchForce": "true"},
                  "labels": {"app.kubernetes.io/part-of": "tts", "app.kubernetes.io/name": name}},
        spec={"hosts": ["*"], "http": [{"name": f"pin-{version}", "route": to, "match": [
                                            {"headers": {"x-tts-version": {"exact": version}}}]},
                                       {"name": "weighted", "route": to}]},
        opts=Opts(**options))
"""


@dataclass(frozen=True)
class FakeImage:
    digest: str

    def ref(self, tag: str) -> str:
        return f"{tag}@{self.digest}"


@dataclass
class FakeBuilder:
    """Keeps what was built, by Dockerfile and arguments."""

    built: dict[str, FakeImage] = field(default_factory=dict)

    def find(self, build: ImageBuild) -> FakeImage | None:
        return self.built.get(self._key(build))

    def build(self, build: ImageBuild, *, log: object) -> FakeImage:
        image = FakeImage(f"sha256:{len(self.built) + 1:064x}")
        self.built[self._key(build)] = image
        return image

    def resolve(self, ref: str) -> FakeImage:
        raise UnknownImageError(f"No image {ref}.")

    @staticmethod
    def _key(build: ImageBuild) -> str:
        return build.dockerfile + str(sorted(build.build_args.items()))


@dataclass
class Stack:
    """One stack: its folder, the API it runs on, and the text of the last command."""

    root: Path
    api: FakeApi
    platform: Platform
    builder: FakeBuilder
    text: str = ""

    def program(self, body: str) -> None:
        (self.root / "__main__.py").write_text(HEAD + textwrap.dedent(body))

    def up(self, *overrides: str, stack: str = "dev") -> bool:
        return self._run(up, overrides, stack)

    def preview(self, *overrides: str) -> bool:
        return self._run(preview, overrides, "dev")

    def render(self, out: Path | None = None, *overrides: str) -> bool:
        return self._run(lambda *about: render(*about, out), overrides, "dev")

    def down(self) -> bool:
        return self._run(down, (), "dev")

    def _run(self, work: object, overrides: tuple[str, ...], stack: str) -> bool:
        out = io.StringIO()
        self.api.log.clear()
        self.api.requests.clear()
        done = work(Target(self.root, stack, overrides), self.platform, Report(out))  # type: ignore[operator]
        self.text = out.getvalue()
        return bool(done)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()
    yield fake
    fake.close()


@pytest.fixture
def stack(tmp_path: Path, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Stack:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: tts\nruntime: python\n")
    (root / "Pulumi.dev.yaml").write_text("config:\n  tts:modelVersion: 1.0.0  # which one\n")
    platform = Platform(Home(tmp_path / "home"), api.kubeconfig(tmp_path / "kubeconfig"))
    builder = FakeBuilder()
    for name in ("builder", "registry_builder"):
        monkeypatch.setattr(platforms.Platform, name, lambda _self: builder)
    monkeypatch.setattr("local.engine.awaits.POLL_SECONDS", 0.01)
    return Stack(root, api, platform, builder)

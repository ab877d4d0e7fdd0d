"""A small checkout of its own for each test, and the real program run under Pulumi's mocks."""

import asyncio
import contextvars
import json
import re
import runpy
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi.runtime import mocks, rpc, set_all_config
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.settings import reset_options
from pulumi.runtime.stack import run_in_stack

from components.catalog import Catalog
from components.errors import SettingsError
from components.settings import Settings, parse_settings

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 12, 1, tzinfo=UTC)
DIGEST = f"sha256:{'ab' * 32}"
BASE_DIGEST = f"sha256:{'cd' * 32}"

DOCKERFILE = """\
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
COPY serving/engines/hibari/requirements.txt \\
     serving/engines/hibari/build-requirements.txt /app/serving/engines/hibari/
COPY serving/*.py /app/serving/
COPY ["serving/page", "/app/serving/page"]
COPY --from=elsewhere /nowhere /nowhere
ENTRYPOINT ["python", "-m", "serving"]
"""
FILES = {
    "serving/__init__.py": "",
    "serving/server.py": "print('speaks')\n",
    "serving/page/index.html": "<p>speaks</p>\n",
    "serving/engines/hibari/Dockerfile": DOCKERFILE,
    "serving/engines/hibari/requirements.txt": "hibari-tts==0.2.1\n",
    "serving/engines/hibari/build-requirements.txt": "onnx==1.0.0\n",
    "release/Dockerfile": "ARG PYTHON_IMAGE\nFROM ${PYTHON_IMAGE}\nCOPY release /app/release\n",
    "release/run.py": "print('listens')\n",
}


def entry(version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    """A catalog entry without mistakes, with `changes` to its top-level keys."""
    return {
        "model": "hibari",
        "version": version,
        "engine": "hibari",
        "license": "Apache-2.0",
        "description": "English speech.",
        "sampleRate": 24000,
        "languages": ["en"],
        "artifacts": [
            {
                "path": "hibari.onnx",
                "source": "pypi:hibari-tts==0.2.1#hibari/assets/hibari.onnx",
                "size": 7936868,
                "sha256": "5f" * 32,
            }
        ],
        "load": {"budgetSeconds": 60, "memory": "512Mi"},
        "checks": {"required": ["decodable", "sampleRate", "duration", "level", "identity"]},
        "baseline": {"charactersPerSecond": 15.2},
        "limits": {"charactersPerSecondTolerance": 0.35, "rmsDbfs": {"min": -35, "max": -15}},
        "gate": {"texts": ["The harbour was quiet.", "She counted seven birds."]},
    } | changes


REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/hibari"
"""Of staging and prod."""

LEAST = {"tts:model": "hibari", "tts:modelVersion": "1.0.0", "tts:registry": "registry.example.com/speech"}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    for version in ("1.0.0", "1.1.0", "1.10.0"):
        write_entry(tmp_path, entry(version))
    return Catalog(tmp_path / "models")


def read(catalog: Catalog, changes: Mapping[str, Any] | None = None, **keys: Any) -> Settings:
    """The settings of a stack with `changes` to the least that a stack says."""
    config = {key: as_text(value) for key, value in (LEAST | dict(changes or {})).items()}
    return parse_settings(config, catalog, **{"now": NOW} | keys)


def refusals(catalog: Catalog, changes: Mapping[str, Any], **keys: Any) -> list[str]:
    """The sentences with which such a stack is refused."""
    with pytest.raises(SettingsError) as caught:
        read(catalog, changes, **keys)
    return list(caught.value.mistakes)


def write_entry(root: Path, document: Mapping[str, Any], *, name: str | None = None) -> Path:
    """Writes an entry where the catalog looks for it."""
    path = root / "models" / "hibari" / f"{name or document['version']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False))
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_checkout(tmp_path)


def make_checkout(folder: Path) -> Path:
    """A checkout with the real program and stacks, and small stand-ins for what its images are built from."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.staging.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, folder / name)
    for stack in folder.glob("Pulumi.*.yaml"):
        # Releasing is an edit of this line: no test may depend on which version the checkout has released.
        text, lines = re.subn(r"(?m)^  tts:modelVersion: .*$", "  tts:modelVersion: 1.0.0", stack.read_text())
        assert lines == 1, f"{stack.name} keeps its version on a line of its own, which a release edits"
        stack.write_text(text)
    for version in ("1.0.0", "1.1.0"):
        write_entry(folder, entry(version))
    return folder


@dataclass(frozen=True)
class Registered:
    """One resource as the program registered it."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    dependencies: tuple[str, ...]
    request: Any

    @property
    def needed(self) -> tuple[str, ...]:
        """The URNs of what it names, or is made by."""
        provider = self.request.provider.rpartition("::")[0]
        return (*self.dependencies, *([provider] if provider else []))

    @property
    def title(self) -> str:
        """`<kind> <metadata.name>` of a Kubernetes object, `<type> <name>` of anything else."""
        if "kind" in self.inputs:
            return f"{self.inputs['kind']} {self.inputs['metadata']['name']}"
        return f"{self.type} {self.name}"


class Program(mocks.MockMonitor):
    """Pulumi's mock monitor, which also keeps what the program asked for."""

    def __init__(self, *, preview: bool) -> None:
        super().__init__(_Outputs(self))
        self.preview = preview
        self.registered: list[Registered] = []
        self.looked_up: list[str] = []
        self.said: list[tuple[int, str]] = []
        self.exported: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
        answer = super().RegisterResource(request)
        inputs = rpc.deserialize_properties(request.object)
        self.registered.append(
            Registered(request.type, request.name, answer.urn, inputs, tuple(request.dependencies), request)
        )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            self.exported = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)

    def find(self, title: str) -> Registered:
        """The one resource with that title."""
        found = [each for each in self.registered if each.title == title]
        assert len(found) == 1, f"{title} among {self.titles()}"
        return found[0]

    def kind(self, kind: str, *, logical: str = "") -> Registered:
        """The one Kubernetes object of that kind, and of that logical name where one is given."""
        found = [
            each for each in self.registered if each.inputs.get("kind") == kind and logical in ("", each.name)
        ]
        assert len(found) == 1, f"{kind} among {self.titles()}"
        return found[0]

    def revisions(self) -> dict[str, str]:
        """Version -> revision of every Deployment."""
        metadata = [
            each.inputs["metadata"] for each in self.registered if each.inputs.get("kind") == "Deployment"
        ]
        return {each["labels"]["app.kubernetes.io/version"]: each["name"] for each in metadata}

    def titles(self) -> list[str]:
        return [each.title for each in self.registered]

    def before(self, resource: Registered) -> set[str]:
        """The titles of everything that must exist before `resource`, near and far, and before the provider
        that makes it."""
        by_urn = {each.urn: each for each in self.registered}
        seen: set[str] = set()
        todo = list(resource.needed)
        while todo:
            urn = todo.pop()
            if urn not in seen and urn in by_urn:
                seen.add(urn)
                todo.extend(by_urn[urn].needed)
        return {by_urn[urn].title for urn in seen if not by_urn[urn].type.startswith("pulumi:providers:")}


class _Engine(mocks.MockEngine):
    """Keeps what the program says aloud."""

    def __init__(self, program: Program) -> None:
        super().__init__(None)
        self._program = program

    def Log(self, request: Any) -> Any:  # noqa: N802 - Pulumi's name
        if request.severity != engine_pb2.DEBUG:
            self._program.said.append((request.severity, request.message))
        return super().Log(request)


# What AWS says of a resource that it has made.
_KNOWN_LATER: dict[str, dict[str, Any]] = {
    "aws:eks/nodeGroup:NodeGroup": {"resources": [{"autoscalingGroups": [{"name": "eks-gpu-0a1b2c"}]}]},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:iam/role:Role": {"arn": "arn:aws:iam::123456789012:role/made"},
    "aws:eks/cluster:Cluster": {
        "arn": "arn:aws:eks:eu-central-1:123456789012:cluster/made",
        "endpoint": "https://0A1B2C.gr7.eu-central-1.eks.amazonaws.com",
        "certificateAuthority": {"data": "Q0VSVA=="},
    },
    "kubernetes:core/v1:Service": {
        "status": {"loadBalancer": {"ingress": [{"hostname": "made-0a1b2c.elb.eu-central-1.amazonaws.com"}]}}
    },
}


class _Outputs(mocks.Mocks):
    def __init__(self, program: Program) -> None:
        self._program = program

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == "docker-build:index:Image" and not self._program.preview:
            digest = BASE_DIGEST if args.name.startswith("server-base") else DIGEST
            return args.name, {**args.inputs, "digest": digest, "ref": f"{args.inputs['tags'][0]}@{digest}"}
        made = {"name": args.name} if args.typ == "aws:iam/role:Role" else {}
        return args.name, {**made, **args.inputs, **_KNOWN_LATER.get(args.typ, {})}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        assert args.token == "docker:index/getRegistryImage:getRegistryImage"
        self._program.looked_up.append(args.args["name"])
        return {"id": "x", "name": args.args["name"], "sha256Digest": DIGEST}


RunProgram = Callable[..., Program]


@pytest.fixture
def run_program(checkout: Path) -> RunProgram:
    """Runs the checkout's program as a stack; further settings are given as `{"tts:key": value}`."""

    def run(stack: str, changes: Mapping[str, Any] | None = None, *, preview: bool = False) -> Program:
        return run_stack(checkout, stack, changes, preview=preview)

    return run


def run_stack(
    checkout: Path, stack: str, changes: Mapping[str, Any] | None = None, *, preview: bool = False
) -> Program:
    """Runs the program of `checkout` to its end."""
    project = yaml.safe_load((checkout / "Pulumi.yaml").read_text())["config"]
    config = {key: schema["default"] for key, schema in project.items() if "default" in schema}
    config |= yaml.safe_load((checkout / f"Pulumi.{stack}.yaml").read_text())["config"]
    config |= dict(changes or {})
    program = Program(preview=preview)
    texts = {key: as_text(value) for key, value in config.items()}
    contextvars.copy_context().run(run_in_context, checkout, stack, texts, program)
    return program


def run_in_context(checkout: Path, stack: str, config: dict[str, str], program: Program) -> None:
    """Runs the program to its end; the SDK's state stays in the current context."""
    reset_options(
        project="tts",
        stack=stack,
        monitor_address=program,
        engine_address=_Engine(program),
        preview=program.preview,
        organization="organization",
    )
    set_all_config(config, [])
    with asyncio.Runner() as runner:
        runner.run(run_in_stack(lambda: runpy.run_path(str(checkout / "__main__.py"), run_name="__main__")))


def as_text(value: Any) -> str:
    """A value of a stack's file as Pulumi hands it to the program."""
    return value if isinstance(value, str) else json.dumps(value)

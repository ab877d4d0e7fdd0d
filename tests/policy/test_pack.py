"""The policy pack as the Pulumi engine uses it: a process in its own environment, asked by gRPC."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2 as protocol
from pulumi.runtime.proto import analyzer_pb2_grpc, plugin_pb2
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from policy.declared import Declared
from policy.rules import RULES, STACK_RULES

from .conftest import EVERYTHING, Rendered, changed, kind
from .test_rules import bucket, container

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "policy" / ".venv" / "bin" / "python"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # how the engine writes a text that is not known yet
START_SECONDS = 60


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnalyzerStub]:
    """The pack, started from a copy of its folder alone, under another name."""
    assert PYTHON.exists(), "The policy pack has no environment: run `make policy`."
    folder = tmp_path_factory.mktemp("elsewhere") / "pack"
    shutil.copytree(ROOT / "policy", folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    command = [str(PYTHON), "-u", "-m", "pulumi.policy", "127.0.0.1:0", str(folder)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(timeout=START_SECONDS)
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def options(resource: Declared) -> protocol.AnalyzerResourceOptions:
    waits = resource.timeouts
    return protocol.AnalyzerResourceOptions(
        protect=resource.protected,
        customTimeouts=protocol.AnalyzerResourceOptions.CustomTimeouts(
            create=waits.create, update=waits.update, delete=waits.delete
        ),
    )


def properties(resource: Declared) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(resource.properties), struct_pb2.Struct())


def analyze(pack: AnalyzerStub, resources: list[Declared]) -> list[protocol.AnalyzeDiagnostic]:
    """What the pack says about each of the resources, and about all of them."""
    found: list[protocol.AnalyzeDiagnostic] = []
    for each in resources:
        request = protocol.AnalyzeRequest(
            type=each.type, name=each.name, urn=each.urn, properties=properties(each), options=options(each)
        )
        found.extend(pack.Analyze(request).diagnostics)
    whole = protocol.AnalyzeStackRequest(
        resources=[
            protocol.AnalyzerResource(
                type=each.type,
                name=each.name,
                urn=each.urn,
                properties=properties(each),
                options=options(each),
                propertyDependencies={
                    key: protocol.AnalyzerPropertyDependencies(urns=sorted(urns))
                    for key, urns in each.sources.items()
                },
            )
            for each in resources
        ]
    )
    found.extend(pack.AnalyzeStack(whole).diagnostics)
    return found


def configure(pack: AnalyzerStub, rule: str, **values: float) -> None:
    config = protocol.PolicyConfig(enforcementLevel=protocol.MANDATORY)
    config.properties.update(values)
    pack.Configure(protocol.ConfigureAnalyzerRequest(policyConfig={rule: config}))


def test_the_pack_names_every_rule_and_all_are_mandatory(pack: AnalyzerStub) -> None:
    info = pack.GetAnalyzerInfo(plugin_pb2.PluginInfo())
    assert info.name == "tts"
    assert {policy.name for policy in info.policies} == {rule.name for rule in (*RULES, *STACK_RULES)}
    assert {policy.enforcementLevel for policy in info.policies} == {protocol.MANDATORY}
    (caps,) = [policy for policy in info.policies if policy.name == "replica-and-gpu-caps"]
    assert set(caps.configSchema.properties.fields) == {"maxReplicas", "maxGpus", "maxNodes"}


@pytest.mark.parametrize(("stack", "changes"), [("dev", {}), ("staging", EVERYTHING), ("prod", {})])
def test_the_engine_hears_nothing_about_a_stack_of_ours(
    pack: AnalyzerStub, rendered: Rendered, stack: str, changes: dict[str, object]
) -> None:
    assert analyze(pack, rendered(stack, changes)) == []


def test_the_engine_hears_the_sentence_of_a_violation(pack: AnalyzerStub, rendered: Rendered) -> None:
    resources = rendered("dev")
    deployment = kind(resources, "Deployment")
    container(dict(deployment.properties)).update(image="registry.example.com/hibari:1.0.0")
    (said,) = analyze(pack, resources)
    assert said.policyName == "images-by-digest"
    assert said.enforcementLevel == protocol.MANDATORY
    assert 'image is "registry.example.com/hibari:1.0.0"' in said.message


def test_an_image_that_is_not_known_yet_hides_nothing_else(pack: AnalyzerStub, rendered: Rendered) -> None:
    resources = rendered("dev")
    deployment = kind(resources, "Deployment")
    container(dict(deployment.properties)).update(image=UNKNOWN_TEXT)
    assert analyze(pack, resources) == []
    container(dict(deployment.properties))["securityContext"].update(privileged=True)
    (said,) = analyze(pack, resources)
    assert "privileged is true" in said.message


def test_a_stack_is_judged_as_a_whole_and_by_its_configuration(
    pack: AnalyzerStub, rendered: Rendered
) -> None:
    resources = rendered("prod")
    configure(pack, "replica-and-gpu-caps", maxGpus=3)
    try:
        (said,) = analyze(pack, resources)
    finally:
        configure(pack, "replica-and-gpu-caps")
    assert "needs 4 GPUs" in said.message
    assert said.urn == kind(resources, "Deployment").urn
    assert analyze(pack, changed(resources, kind(resources, "Service"))) == []
    (said,) = analyze(pack, [bucket()])
    assert (said.policyName, said.urn) == ("buckets-are-blocked", "urn:bucket")


def test_the_pack_runs_on_the_program_s_own_sdk_and_says_where_its_environment_is() -> None:
    pins = [
        line
        for name in ("requirements.in", "policy/requirements.in")
        for line in (ROOT / name).read_text().splitlines()
        if line.startswith("pulumi==")
    ]
    assert len(pins) == 2
    assert pins[0] == pins[1]
    runtime = yaml.safe_load((ROOT / "policy" / "PulumiPolicy.yaml").read_text())["runtime"]
    assert ROOT / "policy" / runtime["options"]["virtualenv"] / "bin" / "python" == PYTHON

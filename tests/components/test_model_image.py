"""The images of model versions: how they are built, pushed and kept, or only looked up."""

import json
import re
from pathlib import Path

import pytest

from .conftest import BASE_DIGEST, DIGEST, REGISTRY, ROOT, Program, Registered, RunProgram, entry, write_entry

IMAGES = ("server-base-hibari", "model-image-1.0.0", "release-image")


def declared(program: Program, name: str) -> Registered:
    return program.find(f"docker-build:index:Image {name}")


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_pushed_kept_and_not_built_in_previews(run_program: RunProgram, name: str) -> None:
    image = declared(run_program("dev"), name)
    assert image.request.retainOnDelete
    assert image.inputs["buildOnPreview"] is False
    assert image.inputs["push"] is False, "the export pushes"
    (export,) = image.inputs["exports"]
    assert export["raw"].split(",")[:3] == ["type=registry", "oci-mediatypes=true", "rewrite-timestamp=true"]
    assert image.inputs["buildArgs"]["SOURCE_DATE_EPOCH"] == "0"


def test_a_model_image_is_its_base_and_a_layer_for_each_file(run_program: RunProgram) -> None:
    program = run_program("dev")
    model, base = (
        declared(program, "model-image-1.0.0").inputs,
        declared(program, "server-base-hibari").inputs,
    )
    assert model["buildArgs"]["BASE"].endswith(f"@{BASE_DIGEST}")
    assert model["context"]["location"] == "models/hibari"
    assert "compression=uncompressed" in model["exports"][0]["raw"]
    assert "compression" not in base["exports"][0]["raw"]
    assert model["dockerfile"]["inline"] == (
        "ARG BASE=scratch\n"
        "ARG SOURCE_DATE_EPOCH\n"
        "FROM ${BASE} AS artifacts\n"
        "USER 0\n"
        'RUN ["pip", "install", "--no-cache-dir", "--require-hashes", "-r", '
        '"/app/serving/engines/hibari/build-requirements.txt"]\n'
        "COPY 1.0.0.yaml /artifacts/entry.yaml\n"
        'RUN ["python", "-m", "serving.artifacts", "fetch", "/artifacts/entry.yaml", "/model"]\n'
        "FROM ${BASE}\n"
        'LABEL org.opencontainers.image.title="hibari"\n'
        'LABEL org.opencontainers.image.version="1.0.0"\n'
        'LABEL org.opencontainers.image.licenses="Apache-2.0"\n'
        f'LABEL tts.server-base="{base["tags"][0].rpartition(":")[2]}"\n'
        "COPY --from=artifacts /model/hibari.onnx /model/hibari.onnx\n"
    )


@pytest.mark.parametrize("name", ["server-base-hibari", "release-image"])
def test_layers_of_slow_builds_are_cached_in_the_registry(run_program: RunProgram, name: str) -> None:
    inputs = declared(run_program("staging"), name).inputs
    ref = f"{REGISTRY}/tts-build-cache:{name}"
    assert inputs["cacheFrom"] == [{"registry": {"ref": ref}}]
    (cache,) = inputs["cacheTo"]
    assert cache["registry"]["ref"] == ref
    assert cache["registry"]["imageManifest"], "ECR takes no other"
    assert cache["registry"]["ignoreError"], "a build without a cache is as good"


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_no_credentials_are_in_the_inputs(run_program: RunProgram, stack: str) -> None:
    """Logins are Docker's own: what is in an input is in the state, for whoever reads it."""
    images = [each for each in run_program(stack).registered if each.type == "docker-build:index:Image"]
    assert len(images) == len(IMAGES)
    for image in images:
        assert not {"registries", "secrets", "ssh"} & set(image.inputs), image.name
        assert not re.search("password|token|secret|credential", json.dumps(image.inputs), re.IGNORECASE)
    providers = [
        each for each in run_program(stack).registered if each.type.startswith("pulumi:providers:docker")
    ]
    assert providers == []


def test_the_tag_follows_all_that_goes_into_a_model_image(run_program: RunProgram, checkout: Path) -> None:
    def tag() -> str:
        (name,) = declared(run_program("dev"), "model-image-1.0.0").inputs["tags"]
        return str(name)

    first = tag()
    write_entry(checkout, entry(limits=entry()["limits"] | {"qualityMin": 2.5}))
    assert tag() == first, "another limit is no other image"
    artifact = entry()["artifacts"][0]
    write_entry(checkout, entry(artifacts=[artifact | {"sha256": "6f" * 32}]))
    second = tag()
    assert second != first
    (checkout / "serving" / "server.py").write_text("print('speaks otherwise')\n")
    assert tag() not in (first, second)


DOCKERFILES = [ROOT / "release/Dockerfile", *sorted(ROOT.glob("serving/engines/*/Dockerfile"))]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_run_as_a_numbered_user_and_are_the_same_from_any_checkout(path: Path) -> None:
    lines = path.read_text().splitlines()
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert int(user) > 0
    assert "ARG SOURCE_DATE_EPOCH=0" in lines[: lines.index(next(x for x in lines if x.startswith("RUN ")))]
    copies = [line for line in lines if line.startswith("COPY ")]
    assert [line for line in copies if not line.startswith("COPY --chmod=755 ")] == []
    assert any(line.startswith("LABEL org.opencontainers.image.title=") for line in lines)


def test_the_model_image_keeps_the_user_of_its_base(run_program: RunProgram) -> None:
    inline = declared(run_program("dev"), "model-image-1.0.0").inputs["dockerfile"]["inline"]
    assert "USER" not in inline.rpartition("FROM ")[2]


def test_a_promoted_image_is_looked_up_and_never_built(run_program: RunProgram) -> None:
    program = run_program("staging", {"tts:imageDigest": DIGEST})
    assert not [each for each in program.registered if each.type == "docker-build:index:Image"]
    assert f"{REGISTRY}/hibari:1.0.0@{DIGEST}" in program.looked_up
    assert any(name.startswith(f"{REGISTRY}/tts-release:") for name in program.looked_up)
    image = program.kind("Deployment").inputs["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"{REGISTRY}/hibari:1.0.0@{DIGEST}"
    assert program.exported["imageDigest"] == DIGEST


def test_only_a_registry_on_this_machine_is_asked_without_tls(run_program: RunProgram) -> None:
    def addresses(registry: str) -> list[str]:
        program = run_program("dev", {"tts:imageDigest": DIGEST, "tts:registry": registry})
        found = [each for each in program.registered if each.type == "pulumi:providers:docker"]
        return re.findall(r"http://[^\"]+", json.dumps([each.inputs for each in found]).replace("\\", ""))

    for registry in ("localhost:5001", "127.0.0.1:5000"):
        assert addresses(f"{registry}/speech") == [f"http://{registry}"] * 2
    assert addresses("registry.example.com/speech") == []
    assert addresses("localhost.example.com/speech") == []


def test_a_file_source_is_copied_into_the_build(run_program: RunProgram, checkout: Path) -> None:
    artifact = {"path": "voice.bin", "source": "file:voices/voice.bin", "size": 3, "sha256": "ab" * 32}
    write_entry(checkout, entry("1.2.0", artifacts=[artifact]))
    program = run_program("dev", {"tts:modelVersion": "1.2.0"})
    inline = program.find("docker-build:index:Image model-image-1.2.0").inputs["dockerfile"]["inline"]
    assert "COPY voices/voice.bin /artifacts/voices/voice.bin\n" in inline


def test_where_objects_are_asked_for_stays_in_the_stage_that_is_thrown_away(
    run_program: RunProgram, checkout: Path
) -> None:
    place = {"bucket": "speech", "endpoint": "http://minio.storage.svc:9000", "secret": "keys"}
    told = {"tts:objectStore": place}
    plain = declared(run_program("dev", told), "model-image-1.0.0").inputs["dockerfile"]["inline"]
    assert "ENV" not in plain, "no file of this version is an object"
    artifact = entry()["artifacts"][0] | {"source": "s3://speech/a.onnx"}
    write_entry(checkout, entry(artifacts=[artifact]))
    text = declared(run_program("dev", told), "model-image-1.0.0").inputs["dockerfile"]["inline"]
    fetching, _, final = text.partition("FROM ${BASE}\n")
    assert 'ENV AWS_ENDPOINT_URL="http://minio.storage.svc:9000"\nENV AWS_REGION="us-east-1"\n' in fetching
    assert "AWS" not in final
    assert "keys" not in text

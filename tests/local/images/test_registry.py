"""What a registry is asked, with which login, and what is said when it does not answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.images.errors import ImageError
from local.images.references import Reference, base_images
from local.images.registry import Registry, is_plain
from tests.local.images.registry_stub import PASSWORD, USER, RegistryStub, serving, sha
from tests.ports import free_port

MANIFEST = json.dumps({"mediaType": "application/vnd.oci.image.manifest.v1+json"}).encode()


@pytest.fixture
def stub() -> Iterator[RegistryStub]:
    with serving() as made:
        yield made


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's config file, empty."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


@pytest.mark.parametrize("tells_digest", [True, False])
def test_a_tag_is_looked_up_without_a_pull(tells_digest: bool) -> None:
    with serving(tells_digest=tells_digest) as stub:
        digest = stub.put_manifest("speech/hibari", "1.0.0", MANIFEST)
        assert Registry(stub.name).digest("speech/hibari", "1.0.0") == digest
        assert Registry(stub.name).digest("speech/hibari", digest) == digest
        assert Registry(stub.name).digest("speech/hibari", "1.1.0") is None
        assert not [asked for asked in stub.asked if "blobs" in asked]


def test_a_blob_of_another_repository_is_mounted_and_no_upload_is_left(stub: RegistryStub) -> None:
    registry, digest = Registry(stub.name), stub.put_blob("base", b"layer")
    assert not registry.has_blob("model", digest)
    assert not registry.mount("model", sha(b"other"), source="base")
    assert registry.mount("model", digest, source="base")
    assert registry.has_blob("model", digest)
    assert stub.uploads == 0


@pytest.mark.parametrize("login", ["basic", "bearer"])
@pytest.mark.parametrize("keeper", ["file", "helper"])
def test_dockers_login_is_used(
    login: str, keeper: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(login=login) as stub:
        if keeper == "file":
            encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            config.write_text(json.dumps({"auths": {stub.name: {"auth": encoded}}}))
        else:
            helper = tmp_path / "docker-credential-stub"
            secret = json.dumps({"Username": USER, "Secret": PASSWORD})
            helper.write_text(f"#!/bin/sh\nread name; test \"$name\" = {stub.name} && echo '{secret}'\n")
            helper.chmod(0o755)
            monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
            config.write_text(json.dumps({"credHelpers": {stub.name: "stub"}}))
        registry = Registry(stub.name)
        registry.upload("speech/hibari", b"config", sha(b"config"))
        assert registry.has_blob("speech/hibari", sha(b"config"))


@pytest.mark.parametrize("login", ["basic", "bearer"])
def test_without_a_login_it_says_how_to_log_in(login: str, config: Path) -> None:
    with (
        serving(login=login) as stub,
        pytest.raises(ImageError, match=f"log in with `docker login {stub.name}`"),
    ):
        Registry(stub.name).digest("speech/hibari", "1.0.0")


def test_logins_that_cannot_be_read_are_named(config: Path) -> None:
    with serving(login="basic") as stub:
        config.write_text("{")
        with pytest.raises(ImageError, match=r"Docker's logins in .*config\.json cannot be read"):
            Registry(stub.name).digest("hibari", "1")
        config.write_text(json.dumps({"credsStore": "none-such"}))
        with pytest.raises(
            ImageError, match=r"credential helper docker-credential-none-such, .* cannot be run"
        ):
            Registry(stub.name).digest("hibari", "1")


def test_an_unreachable_registry_is_one_sentence() -> None:
    name = f"127.0.0.1:{free_port()}"
    with pytest.raises(
        ImageError, match=rf"The registry {name} cannot be reached \(.*\): is tts:registry right"
    ):
        Registry(name).digest("hibari", "1")


def test_a_tag_for_what_is_not_there_is_refused_with_the_registrys_words(stub: RegistryStub) -> None:
    blob = {"digest": sha(b"x"), "size": 1}
    content = json.dumps({"mediaType": "x", "config": blob, "layers": []}).encode()
    with pytest.raises(
        ImageError, match=r"does not do what it is asked for hibari: blob unknown to registry"
    ):
        Registry(stub.name).tag("hibari", "1", content)
    assert Registry(stub.name).digest("hibari", "1") is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:5000/a/b:1", ("127.0.0.1:5000", "a/b", "1", "")),
        ("localhost/a", ("localhost", "a", "", "")),
        (f"r.example/a:1@sha256:{'a' * 64}", ("r.example", "a", "1", f"sha256:{'a' * 64}")),
        ("python:3.11-slim", ("docker.io", "library/python", "3.11-slim", "")),
        ("speech/hibari", ("docker.io", "speech/hibari", "", "")),
    ],
)
def test_references_are_read_as_docker_does(text: str, parts: tuple[str, ...]) -> None:
    read = Reference.parse(text)
    assert (read.registry, read.repository, read.tag, read.digest) == parts
    assert Reference.parse(str(read)) == read


@pytest.mark.parametrize("text", ["", "a:b:c", "a@sha256:12", "a b"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="names no image"):
        Reference.parse(text)


def test_the_base_images_of_a_dockerfile() -> None:
    text = (
        "ARG BASE\nARG TOOL=tool:1\nFROM ${BASE} AS made\nRUN x\nFROM --platform=linux/amd64 $TOOL AS tool\n"
        "FROM made\nCOPY --from=tool /a /a\nfrom scratch\n"
    )
    assert [str(base) for base in base_images(text, {"BASE": "r.example/b:2"})] == [
        "r.example/b:2",
        "docker.io/library/tool:1",
    ]


def test_only_this_machine_and_a_named_registry_are_spoken_to_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TTS_INSECURE_REGISTRY", "registry.test:5000")
    plain = ["localhost:1", "127.0.0.1:5000", "127.1.2.3", "[::1]:80", "registry.test:5000"]
    secure = ["127.0.0.1.example.com", "registry.test", "localhost.example.com:5000", "docker.io"]
    assert all(map(is_plain, plain))
    assert not any(map(is_plain, secure))

"""What a pod keeps and who it is on the embedded node: claims and Secrets are folders, the identity is its
owner's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.node.pods.command import MissingValueError, command
from local.node.pods.files import Sources, follow_config_maps, path_map, write_volumes
from local.node.supported import refusals

POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "tts"},
    "spec": {
        "containers": [
            {
                "name": "server",
                "image": "i",
                "command": ["python", "-m", "serving"],
                "env": [{"name": "TTS_STORE_DIR", "value": "/store"}],
                "volumeMounts": [{"name": "store", "mountPath": "/store"}],
            }
        ],
        "volumes": [{"name": "store", "persistentVolumeClaim": {"claimName": "kept"}}],
    },
}


def test_a_claim_is_a_folder_that_outlives_the_pod(tmp_path: Path) -> None:
    claims = tmp_path / "claims/tts"
    for pod in ("first", "second"):
        folder = tmp_path / pod
        assert write_volumes(POD, folder, Sources({}, claims, tmp_path)) is None
        assert write_volumes(POD, folder, Sources({}, claims, tmp_path)) is None, (
            "as after a restart of the container"
        )
        place = Path(path_map(POD, folder, tmp_path).word("/store/outputs"))
        place.mkdir(exist_ok=True)
        (place / pod).write_text("kept")
    assert sorted(file.name for file in (claims / "kept/outputs").iterdir()) == ["first", "second"]


def test_a_pod_has_the_identity_of_whoever_started_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("SOMETHING_ELSE", "not for pods")
    config = SimpleNamespace(python="/env/bin/python", env={}, workdir="/", entrypoint=(), cmd=())
    made = command(
        POD,
        SimpleNamespace(config=config, rootfs=tmp_path),  # type: ignore[arg-type]
        path_map(POD, tmp_path, tmp_path),
        address="127.0.0.9",
        kubeconfig=tmp_path / "kubeconfig",
        sources=Sources({}, tmp_path, tmp_path),
    )
    assert made.env["AWS_ACCESS_KEY_ID"] == "mine"
    assert "SOMETHING_ELSE" not in made.env
    assert made.env["TTS_STORE_DIR"] == str(tmp_path / "volumes/store")


def test_a_folder_of_the_machine_and_what_is_a_folder_here_are_refused_by_name() -> None:
    template = {"spec": {**POD["spec"], "volumes": [{"name": "x", "hostPath": {"path": "/"}}]}}
    (sentence,) = refusals({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}})[
        :1
    ]
    assert "hostPath" in sentence
    assert "only configMap, secret, emptyDir and claims exist" in sentence
    assert "a claim is a folder here" in refusals({"kind": "PersistentVolumeClaim"})[0]
    assert "a secret is a folder here" in refusals({"kind": "Secret"})[0]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A namespace with the Secret `keys`, which has two entries."""
    folder = tmp_path / "secrets/tts"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys/keys").write_text("ada 1f")
    (folder / "keys/probe").write_text("/etc/passwd")
    return folder


def mounting(**source: Any) -> dict[str, Any]:
    volumes = [{"name": "api-keys", "secret": {"secretName": "keys", **source}}]
    return {**POD, "spec": {**POD["spec"], "volumes": volumes}}


def test_a_pod_sees_the_entries_that_it_names_as_they_are_now(tmp_path: Path, secrets: Path) -> None:
    folder, items = tmp_path / "pod", [{"key": "keys", "path": "keys"}]
    assert write_volumes(mounting(items=items), folder, Sources({}, tmp_path, secrets)) is None
    volume = folder / "volumes/api-keys"
    assert [file.name for file in volume.iterdir()] == ["keys"]
    (secrets / "keys/keys").write_text("bob 2e")
    assert (volume / "keys").read_text() == "bob 2e"
    assert write_volumes(mounting(), folder, Sources({}, tmp_path, secrets)) is None
    assert sorted(file.name for file in volume.iterdir()) == ["keys", "probe"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"secretName": "nobody"}, 'secret "nobody" not found'),
        ({"items": [{"key": "more", "path": "more"}]}, 'secret "keys" has no key more'),
        ({"items": [{"key": "keys", "path": "../../keys"}]}, "leaves its volume"),
        ({"items": [{"key": "../keys/keys", "path": "keys"}]}, "has no key ../keys/keys"),
        ({"secretName": "nobody", "optional": True}, None),
    ],
)
def test_what_is_missing_of_a_secret_is_said(
    tmp_path: Path, secrets: Path, source: dict[str, Any], says: str | None
) -> None:
    told = write_volumes(mounting(**source), tmp_path / "pod", Sources({}, tmp_path, secrets))
    assert told is None if says is None else says in (told or "")


def test_a_variable_from_a_secret(tmp_path: Path, secrets: Path) -> None:
    config = SimpleNamespace(python="/env/bin/python", env={}, workdir="/", entrypoint=(), cmd=())

    def env(**reference: Any) -> dict[str, str]:
        variable = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "probe", **reference}}}
        container = {**POD["spec"]["containers"][0], "env": [variable]}
        return command(
            {**POD, "spec": {"containers": [container]}},
            SimpleNamespace(config=config, rootfs=Path("/")),  # type: ignore[arg-type]
            path_map(POD, tmp_path, Path("/")),
            address="127.0.0.9",
            kubeconfig=tmp_path / "kubeconfig",
            sources=Sources({}, tmp_path, secrets),
        ).env

    assert env()["K"] == "/etc/passwd", "a secret that looks like a path is not rewritten"
    assert "K" not in env(key="more", optional=True)
    with pytest.raises(MissingValueError, match='secret "keys" has no key more'):
        env(key="more")
    with pytest.raises(MissingValueError, match='secret "nobody" not found'):
        env(name="nobody")


def test_a_running_pod_sees_what_its_config_maps_say_now(tmp_path: Path) -> None:
    source = {"name": "versions", "optional": True}
    pod = {**POD, "spec": {**POD["spec"], "volumes": [{"name": "told", "configMap": source}]}}
    file = tmp_path / "volumes/told/versions.json"
    maps: list[dict[str, dict[str, str]]] = [
        {},
        {"versions": {"versions.json": "[1]"}},
        {"versions": {"b": "2"}},
    ]
    assert write_volumes(pod, tmp_path, Sources(maps[0], tmp_path, tmp_path)) is None
    assert not file.exists()
    follow_config_maps(pod, tmp_path, maps[0], maps[1])
    assert file.read_text() == "[1]"
    follow_config_maps(pod, tmp_path, maps[1], maps[2])
    assert [each.name for each in file.parent.iterdir()] == ["b"]
    follow_config_maps(pod, tmp_path, maps[2], maps[0])
    assert list(file.parent.iterdir()) == []

"""`make api-key`: keys are shown once, their sha256 is kept where the servers look."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
import yaml

from local.cli import main
from serving.keys import Keys
from tests.local.engine.fake_api import FakeApi


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "home"))
    (tmp_path / "Pulumi.yaml").write_text("name: tts\nruntime: python\nconfig: {}\n")
    config = {"tts:model": "toy", "tts:namespace": "speech", "tts:apiKeys": {"secret": "our-keys"}}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    (tmp_path / "Pulumi.open.yaml").write_text(yaml.safe_dump({"config": {"tts:model": "toy"}}))
    return tmp_path


def test_a_key_is_shown_once_and_known_to_the_servers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["api-key", "ada"], root=root) == 0
    key = capsys.readouterr().out.splitlines()[0]
    folder = root / "home/secrets/speech/our-keys"
    assert sorted(file.name for file in folder.iterdir()) == ["keys", "probe"]
    assert [file.stat().st_mode & 0o077 for file in (folder, *folder.iterdir())] == [0, 0, 0]
    assert key not in (folder / "keys").read_text()
    keys = Keys(folder / "keys")
    assert keys.caller(f"Bearer {key}") == "ada"
    probe = (folder / "probe").read_text()
    assert keys.caller(f"Bearer {probe}") == "probe"

    assert main(["api-key", "bob"], root=root) == 0
    assert (folder / "probe").read_text() == probe, "releases keep their key"
    assert main(["api-key", "ada", "--revoke"], root=root) == 0
    keys = Keys(folder / "keys")
    assert (keys.caller(f"Bearer {key}"), keys.caller(f"Bearer {probe}")) == (None, "probe")


def test_a_release_gets_another_key_and_the_old_one_is_known_too(root: Path) -> None:
    folder = root / "home/secrets/speech/our-keys"
    seen = []
    for _ in range(2):
        assert main(["api-key", "probe"], root=root) == 0
        seen.append((folder / "probe").read_text())
    keys = Keys(folder / "keys")
    assert seen[0] != seen[1]
    assert [keys.caller(f"Bearer {key}") for key in seen] == ["probe", "probe"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ada", "--stack", "open"], "write into Pulumi.open.yaml: tts:apiKeys"),
        (["a b"], "is no name of a key"),
        (["nobody", "--revoke"], "has no key of nobody"),
    ],
)
def test_what_cannot_be_done_is_said(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert main(["api-key", *words], root=root) == 1
    assert says in capsys.readouterr().err


def test_on_a_cluster_it_is_a_secret_whose_other_entries_stay(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = FakeApi()
    try:
        at = ["--kubeconfig", str(api.kubeconfig(root / "kubeconfig"))]
        metadata = {"name": "our-keys", "namespace": "speech", "resourceVersion": "7"}
        theirs = {"more": base64.b64encode(b"theirs").decode()}
        api.add("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": theirs})
        for name in ("ada", "bob"):
            assert main(["api-key", name, *at], root=root) == 0
        key = capsys.readouterr().out.splitlines()[0]
        data = api.one("secrets", "our-keys")["data"]
        assert sorted(data) == ["keys", "more", "probe"]
        lines = base64.b64decode(data["keys"]).decode().splitlines()
        assert [line.split()[0] for line in lines] == ["probe", "ada", "bob"]
        assert hashlib.sha256(key.encode()).hexdigest() in lines[1]
    finally:
        api.close()

"""`make export-records`: the config says where the records are, the server's own command reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.cli import main
from local.home import CHECKOUT


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TTS_HOME", str(tmp_path / "home"))
    (tmp_path / "Pulumi.yaml").write_text("name: tts\nruntime: python\nconfig: {}\n")
    (tmp_path / "serving").symlink_to(CHECKOUT / "serving")
    return tmp_path


def configure(root: Path, **store: Any) -> None:
    config = {"tts:model": "toy", "tts:namespace": "speech", **({"tts:store": store} if store else {})}
    (root / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))


def test_records_of_a_volume_at_home(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    configure(root, claim="kept", prefix="mine")
    folder = root / "home/claims/speech/kept/mine/records/toy/ada"
    for name, day in (("old", "20260101"), ("new", "20261101")):
        (folder / name).mkdir(parents=True)
        record = {"id": name, "text": "Hello.", "audio": None}
        (folder / name / f"{day}T000000.000000Z.record.json").write_text(json.dumps(record))
    out = root / "out"
    assert main(["export-records", str(out), "--since", "2026-06-01"], root=root) == 0
    assert "1 records, 0 with audio" in capfd.readouterr().out
    assert json.loads((out / "records.jsonl").read_text())["id"] == "new"
    assert main(["export-records", str(root / "good"), "--rated", "up"], root=root) == 0
    assert (root / "good/records.jsonl").read_text() == ""


def test_what_cannot_be_read_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(root)
    assert main(["export-records", str(root / "out")], root=root) == 1
    assert "write into Pulumi.dev.yaml: tts:store" in capsys.readouterr().err
    configure(root, claim="kept")
    at = ["--kubeconfig", str(root / "kubeconfig")]
    assert main(["export-records", str(root / "out"), *at], root=root) == 1
    assert "run `python -m serving.dataset /store MODEL OUT` in a pod" in capsys.readouterr().err


def test_a_bucket_is_asked_where_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    class Done:
        returncode = 0

    monkeypatch.setattr("local.records.subprocess.run", lambda words, **_: ran.append(words) or Done())
    configure(root, bucket="speech", prefix="prod", endpoint="http://minio:9000")
    assert main(["export-records", "out"], root=root) == 0
    assert ran[0][2:5] == ["serving.dataset", "s3://speech/prod", "toy"]
    assert ran[0][-2:] == ["--endpoint", "http://minio:9000"]

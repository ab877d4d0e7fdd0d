"""Records for training: what is kept, who may delete it, when it ends, and the data set made of it."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from local.wav import decode
from serving.dataset import Choice, export, main
from serving.errors import ArtifactError, StorageError
from serving.keys import hash_of
from serving.records import Entry, Records, entries
from serving.storage.store import FolderStore, Store
from tests.object_store import ADMIN, BUCKET, ObjectStore
from tests.serving.conftest import SPEECH, Running, Start, inference, poll
from tests.serving.test_access import ADA, BOB, PROBE
from tests.serving.test_origin import series
from tests.serving.test_refusals import error_of
from tests.serving.test_store import bucket_store

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def records_in(store: Store, **more: Any) -> Records:
    return Records(
        store, "records/toy", **{"days": 30, "count": lambda _: None, "trouble": lambda _: None} | more
    )


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "store")
        return
    made = bucket_store(request.getfixturevalue("object_store").url)
    yield made
    for key in list(made.list()):
        made.delete(key)


def keep(records: Records, caller: str, request_id: str, **fields: Any) -> None:
    record = {
        "id": request_id,
        "caller": caller,
        "text": "Hello.",
        "audio": None,
        "audio_seconds": 1.0,
        "sample_rate": 24000,
    }
    whole = {**dict.fromkeys(("voice", "version", "speed", "phonemes", "instructions")), **record, **fields}
    records.keep(caller, request_id, whole)
    records.drain()


def kinds(store: Store, folder: str = "records/toy") -> list[tuple[str, str]]:
    found = sorted(entries(store.list(folder)))
    return [(each.folder.removeprefix("records/toy/"), each.kind) for each in found]


def test_a_record_is_rated_and_forgotten_by_its_own_caller_alone(store: Store) -> None:
    records = records_in(store)
    store.put("outputs/1.wav", b"RIFF", {})
    keep(records, "ada", "r1", audio="outputs/1.wav")
    assert records.rate("bob", "r1", {"rating": "down"}) is False
    records.forget("bob", "r1")
    assert ("ada/r1", "record") in kinds(store)
    assert store.get("outputs/1.wav") is not None
    assert records.rate("ada", "r1", {"rating": "down"})
    assert records.rate("ada", "r1", {"rating": "up", "comment": "clear"})
    mine = [kind for folder, kind in kinds(store) if folder == "ada/r1"]
    assert sorted(mine) == ["rating", "record"], "the last rating counts"
    records.forget("ada", "r1")
    assert not [kind for folder, kind in kinds(store) if folder == "ada/r1"]
    assert store.get("outputs/1.wav") is None
    assert records.rate("ada", "nothing", {"rating": "up"}) is False


def test_a_rating_may_come_before_the_record_is_written(tmp_path: Path) -> None:
    class Late(FolderStore):
        opened = threading.Event()

        def put(self, key: str, content: bytes | bytearray, metadata: Any) -> None:
            if ".record." in key:
                self.opened.wait(5)
            super().put(key, content, metadata)

    store = Late(tmp_path)
    records = records_in(store)
    records.keep("ada", "r1", {"audio": None})
    assert records.rate("ada", "r1", {"rating": "up"})
    store.opened.set()
    records.drain()
    assert sorted(kind for _, kind in kinds(store)) == ["rating", "record"]


def test_what_is_written_after_it_was_to_be_deleted_is_deleted_too(store: Store, tmp_path: Path) -> None:
    records = records_in(store)
    before = datetime.now(UTC) - timedelta(seconds=1)
    records.forget("ada", "r1")
    store.put("outputs/1.wav", b"RIFF", {})
    late = Entry("records/toy/ada/r1", before, "record")
    store.put(late.key, json.dumps({"id": "r1", "audio": "outputs/1.wav"}).encode(), {})
    assert export(store, "", "toy", tmp_path / "out", Choice()).records == 0
    assert records.expire(datetime.now(UTC)) == 1
    assert kinds(store) == [("ada/r1", "deleted")], "the word holds for what may still come"
    assert store.get("outputs/1.wav") is None
    keep(records, "ada", "r1")
    assert records.expire(datetime.now(UTC) + timedelta(hours=2)) == 0, "a later request of the same id"
    assert kinds(store) == [("ada/r1", "record")]


def test_records_end_after_their_days_with_their_audio(store: Store) -> None:
    records = records_in(store, days=30)
    for number, age in enumerate((29, 31)):
        at = NOW - timedelta(days=age)
        store.put(f"outputs/{number}.wav", b"RIFF", {})
        record = {"id": str(number), "audio": f"outputs/{number}.wav"}
        store.put(Entry(f"records/toy/_/{number}", at, "record").key, json.dumps(record).encode(), {})
        store.put(Entry(f"records/toy/_/{number}", at + timedelta(minutes=1), "rating").key, b"{}", {})
    assert records.expire(NOW) == 1
    assert kinds(store) == [("_/0", "record"), ("_/0", "rating")]
    assert [store.get(f"outputs/{number}.wav") is None for number in range(2)] == [False, True]
    assert records.expire(NOW) == 0


class Away:
    """A store that is not there."""

    def put(self, key: str, content: bytes | bytearray, metadata: Any) -> None:
        raise StorageError("It is away.")

    def get(self, key: str) -> None:
        raise StorageError("It is away.")

    def list(self, prefix: str = "") -> Iterator[str]:
        raise StorageError("It is away.")

    def delete(self, key: str) -> None: ...


def test_a_store_that_is_away_is_counted() -> None:
    failed: list[str] = []
    records = records_in(Away(), trouble=failed.append, count=failed.append)
    for work in (
        lambda: records.rate("", "r", {}),
        lambda: records.forget("", "r"),
        lambda: records.expire(NOW),
    ):
        with pytest.raises(StorageError):
            work()
    assert failed == ["rate", "forget", "expire"]
    keep(records, "", "r")
    assert failed[-1] == "failed"


def test_a_data_set_is_ready_for_training(store: Store, tmp_path: Path) -> None:
    records = records_in(store)
    store.put("outputs/a.pcm", b"\x01\x00" * 2400, {})
    store.put("outputs/b.mp3", b"mp3", {})
    keep(records, "ada", "a", audio="outputs/a.pcm", text="Héllo.")
    keep(records, "ada", "b", audio="outputs/b.mp3", text="Héllo.")
    keep(records, "bob", "c", text="No audio.")
    keep(records, "bob", "d", audio="outputs/gone.wav")
    vote = "comparison (blind): preferred to b of version 1.1.0"
    records.rate("ada", "a", {"rating": "up", "comment": vote})
    records.rate("ada", "b", {"rating": "down"})
    out = tmp_path / "out"
    done = export(store, "", "toy", out, Choice())
    assert (done.records, done.metadata, done.preferences, done.lost) == (4, 2, 1, ["outputs/gone.wav"])

    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (out / name).read_text().splitlines()]

    first, second = lines("metadata.jsonl")
    assert (first["file_name"], first["text"], first["rating"]) == ("audio/a.wav", "Héllo.", "up")
    assert (second["file_name"], second["rating"], second["duration"]) == ("audio/b.mp3", "down", 1.0)
    assert "caller" not in first
    assert decode((out / "audio/a.wav").read_bytes()).seconds == pytest.approx(0.1)
    assert [line["text"] for line in lines("records.jsonl")] == ["Héllo.", "Héllo.", "No audio.", "Hello."]
    assert lines("preferences.jsonl") == [
        {"text": "Héllo.", "chosen": "audio/a.wav", "rejected": "audio/b.mp3", "voice": None}
    ]
    with pytest.raises(ArtifactError, match="is not empty"):
        export(store, "", "toy", out, Choice())
    assert export(store, "", "toy", tmp_path / "good", Choice(rated="up")).records == 1
    later = Choice(since=datetime.now(UTC) + timedelta(days=1))
    assert export(store, "", "toy", tmp_path / "later", later).records == 0


@pytest.fixture(scope="module")
def recorded(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Running, Path]:
    """A server with keys that keeps audio and records on a volume, and the volume."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("".join(f"{name} {hash_of(name + '-secret')}\n" for name in ("ada", "bob", "probe")))
    volume = tmp_path_factory.mktemp("volume")
    config = inference("1.0.0", store={"prefix": "kept", "outputs": True, "records": {"days": 30}})
    running = start(config=config, TTS_STORE_DIR=str(volume), TTS_API_KEYS=str(keys))
    running.wait_ready()
    return running, volume


def ask(server: Running, key: dict[str, str], text: str = "Keep this.", **headers: str) -> requests.Response:
    body = {"model": "tts", "input": text, "response_format": "wav", "seed": 3, "speed": 1.1}
    return requests.post(f"{server.url}{SPEECH}", json=body, headers=key | headers, timeout=30)


def kept(volume: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(volume.rglob("*.record.json"))]


def test_a_callers_answer_is_recorded_and_a_releases_and_a_copys_are_not(
    recorded: tuple[Running, Path],
) -> None:
    server, volume = recorded
    ask(server, PROBE, "A probe.", **{"x-tts-probe": "a-release"})
    ask(server, ADA, "A copy.", **{"x-tts-answered-by": "another"})
    ask(server, ADA, "...")
    answer = ask(server, ADA)
    poll(lambda: len(kept(volume)) == 1, 5, server.process)
    (record,) = kept(volume)
    assert record["id"] == answer.headers["x-request-id"]
    assert record["audio"] == answer.headers["x-tts-output"]
    poll((volume / record["audio"]).is_file, 5, server.process)
    wanted = {"caller": "ada", "text": "Keep this.", "voice": "heart", "version": "1.0.0", "seed": 3}
    assert {key: record[key] for key in wanted} == wanted
    assert (record["speed"], record["format"], record["sample_rate"]) == (1.1, "wav", 24000)
    assert 0 < record["first_audio_seconds"] <= record["seconds"]
    assert 0.3 < record["audio_seconds"] < 3
    assert series(server)['tts_record_writes_total{result="stored"}'] == 1


def test_a_caller_rates_and_deletes_its_own(recorded: tuple[Running, Path]) -> None:
    server, volume = recorded
    answer = ask(server, BOB, "Delete this.")
    place = f"{server.url}{SPEECH}/{answer.headers['x-request-id']}"

    def mine() -> list[dict[str, Any]]:
        return [record for record in kept(volume) if record["text"] == "Delete this."]

    poll(lambda: bool(mine()) and (volume / mine()[0]["audio"]).is_file(), 5, server.process)
    audio = volume / mine()[0]["audio"]

    def rate(key: dict[str, str], body: Any) -> requests.Response:
        return requests.post(f"{place}/rating", json=body, headers=key, timeout=5)

    assert rate(BOB, {"rating": "up"}).status_code == 204
    assert rate(BOB, {"rating": "down", "comment": "too fast"}).content == b""
    assert error_of(rate(ADA, {"rating": "up"}), 404)["code"] == "not_found"
    assert error_of(rate(BOB, {"rating": "fine"}), 400)["param"] == "rating"
    assert error_of(rate(BOB, {"rating": "up", "comment": "a" * 2001}), 400)["param"] == "comment"
    assert error_of(rate({}, {"rating": "up"}), 401)["code"] == "invalid_api_key"
    (rating,) = [json.loads(file.read_text()) for file in volume.rglob("*.rating.json")]
    assert (rating["rating"], rating["comment"]) == ("down", "too fast")

    assert requests.delete(place, headers=ADA, timeout=5).status_code == 204
    assert mine(), "nobody deletes what is another's"
    assert requests.delete(place, headers=BOB, timeout=5).status_code == 204
    assert not mine()
    assert not audio.exists()
    assert not list(volume.rglob("*.rating.json"))
    assert requests.delete(place, headers=BOB, timeout=5).status_code == 204
    for wrong in ("..", "%2e%2e", "a b", "-x"):
        assert requests.delete(f"{server.url}{SPEECH}/{wrong}", headers=BOB, timeout=5).status_code in (
            204,
            404,
        )


def test_a_server_without_records_says_so(server: Running, start: Start, tmp_path: Path) -> None:
    place = f"{SPEECH}/some-id"
    refused = requests.post(f"{server.url}{place}/rating", json={"rating": "up"}, timeout=5)
    assert error_of(refused, 409)["code"] == "records_disabled"
    assert requests.delete(f"{server.url}{place}", timeout=5).status_code == 204, "nothing is kept at all"
    storing = start(
        config=inference("1.0.0", store={"prefix": "", "outputs": True}), TTS_STORE_DIR=str(tmp_path)
    )
    storing.wait_ready()
    refused = requests.delete(f"{storing.url}{place}", timeout=5)
    assert error_of(refused, 409)["code"] == "records_disabled"
    ask(storing, {}, "Nobody keeps this text.")
    time.sleep(0.2)
    assert not list(tmp_path.rglob("*.record.json"))


def test_the_command_reads_a_bucket(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    made = bucket_store(object_store.url)
    records = Records(made, "speech/records/toy", days=1, count=lambda _: None, trouble=lambda _: None)
    keep(records, "", "one")
    made.put("speech/outputs/x.wav", b"RIFF", {})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ADMIN[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ADMIN[1])
    words = [f"s3://{BUCKET}/speech", "toy", str(tmp_path / "out"), "--endpoint", object_store.url]
    assert main([*words, "--region", "us-east-1"]) == 0
    assert "1 records, 0 with audio, 0 preferences." in capsys.readouterr().out
    assert main([*words, "--region", "us-east-1"]) == 3
    for key in list(made.list()):
        made.delete(key)

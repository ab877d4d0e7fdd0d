"""Answers kept beside the answering: what is stored, what never is, and a store in trouble."""

import errno
import hashlib
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from local.wav import decode
from serving.errors import StorageError, TakenError
from serving.storage import outputs as storing
from serving.storage import writer as writing
from serving.storage.config import Endpoint, Keys, StoreConfig
from serving.storage.outputs import Outputs
from serving.storage.store import BucketStore, FolderStore, Store
from tests.object_store import ADMIN, BUCKET, READER, ObjectStore, network
from tests.serving.conftest import SPEECH, Running, Start, inference, poll

Make = Callable[..., Store]


def bucket_store(url: str, keys: tuple[str, str] = ADMIN) -> BucketStore:
    given = Keys(access_key_id=keys[0], secret_access_key=keys[1])
    endpoint = Endpoint(address=url, region="us-east-1", keys=given)
    return BucketStore(
        StoreConfig(endpoint=endpoint, bucket=BUCKET, folder=Path("/nowhere"), prefix="", outputs=True)
    )


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    return bucket_store(request.getfixturevalue("object_store").url)


def test_a_store_keeps_bytes_and_metadata_and_never_replaces_them(store: Store) -> None:
    store.put("voices/ada/1.wav", b"first", {"language": "en", "name": "Adä"})
    with pytest.raises(TakenError, match=r"voices/ada/1\.wav exists"):
        store.put("voices/ada/1.wav", b"second", {})
    store.put("voices/bob/1.json", bytearray(b"{}"), {})
    kept = store.get("voices/ada/1.wav")
    assert kept is not None
    assert (kept.content, kept.metadata["language"]) == (b"first", "en")
    assert sorted(store.list("voices")) == ["voices/ada/1.wav", "voices/bob/1.json"]
    assert list(store.list("voices/ada")) == ["voices/ada/1.wav"]
    store.delete("voices/ada/1.wav")
    store.delete("voices/ada/1.wav")
    assert store.get("voices/ada/1.wav") is None
    store.put("voices/ada/1.wav", b"again", {})
    store.delete("voices/ada/1.wav")
    store.delete("voices/bob/1.json")
    assert list(store.list("voices")) == []


@pytest.mark.parametrize("key", ["../x", "/x", "", "a/../../x", "x.metadata.json"])
def test_a_key_outside_the_store_is_refused(store: Store, key: str) -> None:
    with pytest.raises(StorageError, match="does not name a place"):
        store.put(key, b"", {})


class Slow:
    """A store that takes what it is given only when it is told to, and counts."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.kept: dict[str, bytes] = {}
        self.failures: list[StorageError] = []

    def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str]) -> None:
        self.open.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        self.kept[key] = bytes(content)

    def get(self, key: str) -> None: ...

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(())

    def delete(self, key: str) -> None: ...


class Kept:
    """Outputs over a slow store, and what they counted."""

    def __init__(self, limit: int = 1000) -> None:
        self.store, self.counted = Slow(), []
        self.outputs = Outputs(
            self.store,
            {"version": "1"},
            self.counted.append,
            folder="outputs/m/1",
            judged="gate/m",
            limit=limit,
        )

    def answer(self, size: int, *, finish: bool = True) -> storing.Recording:
        recording = self.outputs.begin(voice="v", seed=None, audio_format="pcm", request_id="")
        for _ in range(size // 100):
            recording.add(0.1, b"x" * 100)
        if finish:
            recording.finish()
        return recording


def test_memory_is_bounded_and_what_does_not_fit_is_dropped_and_counted() -> None:
    kept = Kept(limit=1000)
    assert kept.answer(500).promised
    assert kept.answer(400).promised
    assert not kept.answer(200).promised, "nothing is promised while there is little room"
    assert kept.counted == ["dropped"]
    kept.answer(100)
    kept.store.open.set()
    kept.outputs.drain(5)
    assert sorted(kept.counted) == ["dropped", "stored", "stored", "stored"]
    assert sorted(map(len, kept.store.kept.values())) == [100, 400, 500]
    kept.answer(2000)
    kept.answer(1000)
    kept.outputs.drain(5)
    assert sorted(kept.counted) == ["dropped"] * 2 + ["stored"] * 4, "room is given back"


def test_an_answer_that_nobody_waited_for_is_forgotten() -> None:
    kept = Kept()
    kept.answer(900, finish=False).abandon()
    finished = kept.answer(1000)
    finished.abandon()  # without effect
    kept.store.open.set()
    kept.outputs.drain(5)
    assert kept.counted == ["stored"]


def test_a_store_in_trouble_is_tried_again_and_promises_nothing_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "_FIRST_PAUSE", 0.05)
    kept = Kept()
    kept.store.failures = [StorageError("away", transient=True)] * 2
    kept.store.open.set()
    kept.answer(100)
    deadline = time.monotonic() + 5
    while kept.answer(0, finish=False).promised:
        assert time.monotonic() < deadline
    kept.outputs.drain(5)
    assert kept.counted == ["stored"]
    assert kept.answer(0, finish=False).promised


def test_what_will_never_work_is_counted_at_once_and_said_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Kept()
    kept.store.failures = [StorageError("forbidden")] * 5
    kept.store.open.set()
    for _ in range(5):
        kept.answer(100)
    kept.outputs.drain(5)
    assert kept.counted == ["failed"] * 5
    assert caplog.text.count("forbidden") == 1


def test_a_write_whose_answer_was_lost_counts_as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_FIRST_PAUSE", 0.01)
    kept = Kept()
    kept.store.failures = [StorageError("cut", transient=True), TakenError("exists")]
    kept.store.open.set()
    kept.answer(100)
    kept.outputs.drain(5)
    kept.store.failures = [TakenError("exists")]
    kept.answer(100)
    kept.outputs.drain(5)
    assert kept.counted == ["stored", "failed"]


def test_what_is_named_by_its_content_is_stored_where_it_is_already() -> None:
    kept = Kept()
    kept.store.failures = [TakenError("exists")]
    kept.store.open.set()
    for _ in range(2):
        recording = kept.outputs.begin_judged(release="r")
        recording.add(0.1, b"x" * 100)
        recording.finish()
    kept.outputs.drain(5)
    assert kept.counted == ["stored", "stored"]
    assert list(kept.store.kept) == [f"gate/m/{hashlib.sha256(b'x' * 100).hexdigest()}.wav"]


def test_a_drain_ends_in_time(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    kept.answer(300)
    began = time.monotonic()
    kept.outputs.drain(0.2)
    assert 0.15 < time.monotonic() - began < 2
    assert "300 bytes of answers that the store had not taken" in caplog.text
    kept.store.open.set()


# The server, as a process, with a real store.

STORED = 'tts_store_writes_total{result="%s",version="1.0.0"}'


def storing_server(start: Start, url: str, **more: Any) -> Running:
    config = inference(
        "1.0.0", store={"bucket": BUCKET, "endpoint": url, "prefix": "kept", "outputs": True, **more}
    )
    environ = {"TTS_STORE_ACCESS_KEY_ID": ADMIN[0], "TTS_STORE_SECRET_ACCESS_KEY": ADMIN[1]}
    running = start(config=config, **environ)
    running.wait_ready()
    return running


def counted(server: Running, result: str) -> float:
    lines = requests.get(f"{server.url}/metrics", timeout=5).text.splitlines()
    (line,) = [line for line in lines if line.startswith(STORED % result)]
    return float(line.split()[1])


def ask(server: Running, **headers: str) -> requests.Response:
    body = {"model": "tts", "input": "Keep this.", "response_format": "wav", "seed": 7}
    return requests.post(f"{server.url}{SPEECH}", json=body, headers=headers, timeout=60)


def test_a_users_answer_is_kept_in_the_bucket_and_nothing_else_is(
    start: Start, object_store: ObjectStore
) -> None:
    with network(object_store) as net:
        server = storing_server(start, net.url)
        request_id = str(uuid.uuid4())
        answer = ask(server, **{"x-request-id": request_id})
        key = answer.headers["x-tts-output"]
        assert key == f"kept/outputs/hibari/1.0.0/{time.strftime('%Y-%m-%d', time.gmtime())}/{request_id}.wav"
        poll(lambda: counted(server, "stored") == 1, 10, server.process)
        content, metadata = object_store.read(key)
        speech = decode(content)
        assert content[44:] == answer.content[44:]
        assert int.from_bytes(content[4:8], "little") == len(content) - 8, "its sizes are known now"
        assert float(metadata["duration"]) == pytest.approx(speech.seconds, abs=0.001)
        kept = {name: metadata[name] for name in ("model", "version", "revision", "voice", "seed")}
        assert kept == {
            **{"model": "hibari", "version": "1.0.0", "revision": "hibari-1-0-0-abcdef"},
            **{"voice": "heart", "seed": "7"},
        }
        assert metadata["created"].startswith(time.strftime("%Y-", time.gmtime()))
        assert "Keep this" not in json.dumps(metadata), "the text is not stored"

        for headers in ({"x-tts-probe": "r"}, {"host": "hibari-shadow"}, {"x-tts-answered-by": "another"}):
            assert "x-tts-output" not in ask(server, **headers).headers
        body = json.dumps({"model": "tts", "input": "This will be cut off. " * 100, "response_format": "wav"})
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"POST {SPEECH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            assert b"x-tts-output" in client.recv(1000)
        poll(
            lambda: 'tts_requests_total{code="499"' in requests.get(f"{server.url}/metrics", timeout=5).text,
            30,
        )
        assert counted(server, "stored") == 1
        assert object_store.keys("kept") == [key]

        net.down = True
        net.close()
        began = time.monotonic()
        answers = [ask(server) for _ in range(3)]
        assert all(answer.status_code == 200 for answer in answers)
        assert time.monotonic() - began < 10
        assert ask(server).content == answer.content, "an answer is the same with a store that is away"
        net.down = False
        poll(lambda: counted(server, "stored") == 5, 20, server.process)

        ask(server)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert len(object_store.keys("kept")) == 6, "what was answered before the end is written before it"
        log = server.log.read_text()
        assert not any(secret in log for secret in (*ADMIN, *READER))


def test_answers_are_kept_on_a_volume_with_a_file_beside_each(start: Start, tmp_path: Path) -> None:
    config = inference("1.0.0", store={"prefix": "", "outputs": True})
    server = start(config=config, TTS_STORE_DIR=str(tmp_path / "store"))
    server.wait_ready()
    key = ask(server).headers["x-tts-output"]
    file = tmp_path / "store" / key
    poll(lambda: file.with_name(f"{file.name}.metadata.json").is_file(), 5, server.process)
    assert decode(file.read_bytes()).sample_rate == 24000
    assert json.loads(file.with_name(f"{file.name}.metadata.json").read_text())["voice"] == "heart"
    os.rename(tmp_path / "store", tmp_path / "gone")  # noqa: PTH104
    (tmp_path / "store").write_text("no folder any more")
    assert ask(server).status_code == 200
    server.process.kill()


def test_a_folder_that_comes_and_goes_loses_nothing_that_is_put(tmp_path: Path) -> None:
    """The last deletion takes the folder away, in which another thread is about to write."""
    store = FolderStore(tmp_path)

    def put_and_delete(name: str) -> None:
        for number in range(150):
            key = f"voices/ada/{name}.json"
            store.put(key, b"{}", {"number": str(number)})
            kept = store.get(key)
            assert kept is not None
            assert kept.metadata == {"number": str(number)}
            list(store.list("voices"))
            store.delete(key)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put_and_delete, "abcd"))
    assert list(tmp_path.rglob("*")) == []


def test_a_file_whose_metadata_cannot_be_written_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(StorageError, match="No space left"):
        FolderStore(tmp_path).put("a/b.wav", b"content", {"language": "en"})
    assert FolderStore(tmp_path).get("a/b.wav") is None


def test_a_volume_that_is_lost_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "scandir", stale)
    with pytest.raises(StorageError, match="Stale file handle"):
        list(FolderStore(tmp_path).list())

"""What a gate has judged is kept as it was streamed, by its sha256; nobody else's request is, whatever it
says."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import requests

from serving.keys import hash_of
from tests.object_store import ADMIN, BUCKET, ObjectStore
from tests.serving.conftest import SPEECH, Running, Start, inference, poll

GATE = {"x-tts-probe": "hibari-release-1", "x-tts-keep": "gate"}
PROBE, ADA = ({"authorization": f"Bearer {name}-secret"} for name in ("probe", "ada"))


def ask(server: Running, headers: dict[str, str], text: str, **more: Any) -> requests.Response:
    body = {"model": "tts", "input": text, "response_format": "wav", "seed": 1, **more}
    return requests.post(f"{server.url}{SPEECH}", json=body, headers=headers, timeout=60)


def judged(volume: Path) -> dict[str, bytes]:
    """By the part of the name before `.wav`."""
    return {file.stem: file.read_bytes() for file in (volume / "kept" / "gate").rglob("*.wav")}


@pytest.fixture(scope="module")
def keyed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Running, Path]:
    """A server with keys that keeps audio and records on a volume, and the volume."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("".join(f"{name} {hash_of(name + '-secret')}\n" for name in ("ada", "probe")))
    volume = tmp_path_factory.mktemp("volume")
    config = inference("1.0.0", store={"prefix": "kept", "outputs": True, "records": {"days": 30}})
    running = start(config=config, TTS_STORE_DIR=str(volume), TTS_API_KEYS=str(keys))
    running.wait_ready()
    return running, volume


def test_a_gates_audio_is_kept_byte_for_byte_and_is_no_output_and_no_record(
    keyed: tuple[Running, Path],
) -> None:
    server, volume = keyed
    answer = ask(server, PROBE | GATE, "This is judged.")
    assert answer.headers["x-tts-output"] == "kept/gate/hibari/", (
        "its folder: the name follows from the bytes"
    )
    sha256 = hashlib.sha256(answer.content).hexdigest()
    described = volume / f"kept/gate/hibari/{sha256}.wav.metadata.json"
    poll(described.is_file, 5, server.process)
    assert judged(volume) == {sha256: answer.content}
    metadata = json.loads(described.read_text())
    assert {key: metadata[key] for key in ("model", "version", "revision", "release")} == {
        **{"model": "hibari", "version": "1.0.0", "revision": "hibari-1-0-0-abcdef"},
        **{"release": "hibari-release-1"},
    }
    assert "This is judged" not in json.dumps(metadata)
    assert [file for file in volume.rglob("*") if file.is_file() and "gate" not in file.parts] == []


def test_whoever_is_no_gate_keeps_nothing_there(keyed: tuple[Running, Path]) -> None:
    server, volume = keyed
    before = judged(volume)
    keep = {"x-tts-keep": "gate"}
    others = {
        "a caller": ADA | keep,
        "a probe without the key of a release": ADA | GATE,
        "nobody known": GATE,
        "any other probe": PROBE | {"x-tts-probe": "hibari-release-1"},
        "a copy": ADA | keep | {"x-tts-answered-by": "another"},
        "a copy of a gate's own": PROBE | GATE | {"x-tts-answered-by": "another"},
        "what came through a gateway": PROBE | GATE | {"x-forwarded-proto": "http"},
    }
    told = {}
    for who, headers in others.items():
        told[who] = ask(server, headers, f"This is {who}.").headers.get("x-tts-output", "")
    assert [who for who, key in told.items() if key] == ["a caller", "a probe without the key of a release"]
    assert not any("gate" in key for key in told.values()), "those two are callers, with outputs of their own"
    for more in ({"response_format": "mp3"}, {"stream_format": "sse"}):
        assert "x-tts-output" not in ask(server, PROBE | GATE, "Not what a gate asks for.", **more).headers
    last = ask(server, PROBE | GATE, "The last one.")
    poll(lambda: hashlib.sha256(last.content).hexdigest() in judged(volume), 5, server.process)
    assert len(judged(volume)) == len(before) + 1


def test_the_same_audio_is_kept_once_in_a_bucket_and_counts_as_stored(
    start: Start, object_store: ObjectStore
) -> None:
    store = {"bucket": BUCKET, "endpoint": object_store.url, "prefix": "judged", "outputs": True}
    environ = {"TTS_STORE_ACCESS_KEY_ID": ADMIN[0], "TTS_STORE_SECRET_ACCESS_KEY": ADMIN[1]}
    server = start(config=inference("1.0.0", store=store), **environ)
    server.wait_ready()

    def stored() -> bool:
        metrics = requests.get(f"{server.url}/metrics", timeout=5).text
        return 'tts_store_writes_total{result="stored",version="1.0.0"} 2.0' in metrics

    first, again = (ask(server, GATE, "By every pod the same.") for _ in range(2))
    poll(stored, 10, server.process)
    key = f"judged/gate/hibari/{hashlib.sha256(first.content).hexdigest()}.wav"
    assert first.content == again.content
    assert object_store.keys("judged") == [key]
    content, metadata = object_store.read(key)
    assert content == first.content
    assert metadata["release"] == "hibari-release-1"


def test_a_stack_that_keeps_no_answers_keeps_no_gates_either(start: Start, tmp_path: Path) -> None:
    server = start(
        config=inference("1.0.0", store={"prefix": "", "outputs": False}), TTS_STORE_DIR=str(tmp_path)
    )
    server.wait_ready()
    assert "x-tts-output" not in ask(server, GATE, "Not here.").headers
    assert list(tmp_path.iterdir()) == []

"""Starting, refusing to start, and ending without cutting anybody off."""

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from starlette.testclient import TestClient

from serving.app import create_app
from serving.config import parse_inference
from serving.edge import Activity
from serving.engines.base import load_engine
from serving.errors import EngineError
from serving.host import EngineHost
from tests.serving.conftest import SPEECH, Running, Start, inference, poll

LONG = "Every sentence of this text has to arrive, down to its very last sample. " * 25


def ended(running: Running) -> tuple[int, str]:
    """Exit code and termination message of a server that does not come up; its port stays closed."""
    deadline = time.monotonic() + 30
    while running.process.poll() is None:
        assert time.monotonic() < deadline
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{running.url}/livez", timeout=1)
    return running.process.returncode, running.termination.read_text()


def test_a_file_with_a_wrong_byte_never_opens_the_port(start: Start, model_dir: Path, tmp_path: Path) -> None:
    shutil.copytree(model_dir, tmp_path / "model")
    file = tmp_path / "model/hibari.onnx"
    data = bytearray(file.read_bytes())
    data[4_000_000] ^= 1
    file.write_bytes(data)
    code, message = ended(start(tmp_path / "model"))
    assert code == 3
    assert "expected sha256 5f70741d" in message
    assert str(file) in message


def test_an_engine_that_does_not_load_ends_the_process(start: Start) -> None:
    running = start(config=inference("1.0.0", sampleRate=16000))
    assert running.process.wait(30) == 4
    assert "16000 Hz" in running.termination.read_text()


@pytest.mark.parametrize(("name", "says"), [("parrot", "parrot"), ("../x", "not the name of a folder")])
def test_an_engine_that_is_not_there(model_dir: Path, name: str, says: str) -> None:
    with pytest.raises(EngineError, match=says):
        load_engine(parse_inference(inference("1.0.0", engine=name)), model_dir)


class Mute:
    """An engine whose every chunk holds the one given sample."""

    sample_rate, voices, speeds, warm_up_text = 24000, ("mute",), (1.0, 1.0), "Hello."

    def __init__(self, sample: float) -> None:
        self._sample = sample

    def synthesise(self, text: str, **how: object) -> Iterator[np.ndarray]:
        yield np.full(100, self._sample, np.float32)


@pytest.mark.parametrize("sample", [0.0, float("nan")])
def test_an_engine_without_a_sound_is_not_ready(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch, sample: float
) -> None:
    module = SimpleNamespace(load=lambda model_dir, config: Mute(sample))
    monkeypatch.setitem(sys.modules, "serving.engines.mute.engine", module)
    with pytest.raises(EngineError, match="gave no sound"):
        load_engine(parse_inference(inference("1.0.0", engine="mute")), model_dir)


def test_ready_only_after_a_synthesis(model_dir: Path) -> None:
    config = parse_inference(inference("1.0.0"))
    host = EngineHost(config, model_dir)
    client = TestClient(create_app(config, host, activity := Activity()))
    assert client.get("/livez").status_code == 200
    loading = client.get("/readyz")
    assert (loading.status_code, loading.json()["status"]) == (503, "loading")
    assert loading.json()["seconds"] >= 0
    refused = client.post(SPEECH, json={"model": "tts", "input": "Hello."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "loading")
    assert refused.headers["retry-after"] == "1"
    host.engine = load_engine(config, model_dir)
    assert client.get("/readyz").status_code == 200
    activity.drain(time.monotonic())
    assert client.get("/readyz").json() == {"status": "draining"}
    assert client.get("/livez").headers["connection"] == "close"


def test_the_drain_finishes_a_stream_and_answers_what_still_comes(start: Start) -> None:
    server = start()
    server.wait_ready()
    whole = server.speak(LONG).content
    body = {"model": "tts", "input": LONG, "response_format": "pcm", "seed": 7}
    with requests.Session() as kept, requests.Session() as kept_too, requests.Session() as idle:
        for session in (kept, kept_too, idle):
            session.get(f"{server.url}/livez", timeout=5)
        with requests.post(f"{server.url}{SPEECH}", json=body, stream=True, timeout=60) as answer:
            chunks = answer.iter_content(4096)
            received = next(chunks)
            server.process.send_signal(signal.SIGTERM)
            late = kept.post(f"{server.url}{SPEECH}", json={**body, "input": "Late."}, timeout=5)
            assert (late.status_code, len(late.content) > 10_000) == (200, True)
            poll(lambda: kept_too.get(f"{server.url}/readyz", timeout=5).status_code == 503, 5)
            assert server.process.poll() is None
            received += b"".join(chunks)
        # An idle connection, still open, does not hold up the end: 0.4 s on a quiet machine.
        assert server.process.wait(2) == 0
    assert received == whole


def test_a_signal_while_loading_ends_the_process(start: Start) -> None:
    server = start()
    poll(lambda: _alive(server), 20, server.process)
    server.process.terminate()
    assert server.process.wait(5) == 0


def _alive(server: Running) -> bool:
    try:
        return requests.get(f"{server.url}/livez", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize(
    ("in_flight", "after", "settled"), [(0, 0.1, False), (0, 0.3, True), (1, 5, False), (1, 10, True)]
)
def test_when_the_port_may_be_closed(in_flight: int, after: float, settled: bool) -> None:
    activity = Activity()
    activity.in_flight = in_flight
    assert not activity.settled(100 + after)
    activity.drain(100)
    activity.drain(105)
    assert activity.settled(100 + after) is settled

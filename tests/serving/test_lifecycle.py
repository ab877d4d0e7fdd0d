"""Starting, refusing to start, and ending without cutting anybody off."""

import http.client
import json
import shutil
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from starlette.testclient import TestClient

from serving import delivery
from serving.app import create_app
from serving.config import parse_inference
from serving.delivery import undelivered
from serving.edge import Activity
from serving.engines.base import Capabilities, load_engine
from serving.errors import EngineError
from serving.host import EngineHost
from serving.metrics import Metrics
from serving.parts import Parts
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

    sample_rate = 24000

    def __init__(self, sample: float) -> None:
        self._sample = sample

    def warm_up(self) -> np.ndarray:
        return np.full(100, self._sample, np.float32)


@pytest.mark.parametrize("sample", [0.0, float("nan")])
def test_an_engine_without_a_sound_is_not_ready(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch, sample: float
) -> None:
    module = SimpleNamespace(load=lambda model_dir, config: Mute(sample))
    monkeypatch.setitem(sys.modules, "serving.engines.mute.engine", module)
    with pytest.raises(EngineError, match="gave no sound"):
        load_engine(parse_inference(inference("1.0.0", engine="mute")), model_dir)


def test_an_engine_of_one_text_at_a_time_wants_one_slot(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = Mute(0.5)
    alone.capabilities = Capabilities(languages=("en",), interleaved=False)
    module = SimpleNamespace(load=lambda model_dir, config: alone)
    monkeypatch.setitem(sys.modules, "serving.engines.alone.engine", module)
    with pytest.raises(EngineError, match="2 slots; set tts:slots to 1"):
        load_engine(parse_inference(inference("1.0.0", engine="alone", slots=2)), model_dir)
    assert load_engine(parse_inference(inference("1.0.0", engine="alone", slots=1)), model_dir) is alone


def test_the_lexicon_of_a_stack_is_spoken_and_what_a_request_says_goes_before_it(model_dir: Path) -> None:
    config = parse_inference(inference("1.0.0", lexicon={"nginx": "ˈɛndʒɪn ˈɛks", "ferry": "fɛɹi"}))
    host = EngineHost(config, model_dir)
    host.engine = load_engine(config, model_dir)
    parts = {"activity": Activity(), "metrics": Metrics(config.version, slots=1)}

    def spoken(phonemes: dict[str, str], lexicon: dict[str, str]) -> bytes:
        stack = replace(config, lexicon=lexicon)
        client = TestClient(create_app(Parts(config=stack, host=host, **parts)))
        body = {"model": "tts", "input": "nginx runs.", "seed": 1, "phonemes": phonemes}
        return client.post(SPEECH, json=body).content

    stored, other = dict(config.lexicon), {"nginx": "tˈɛst"}
    assert spoken({}, stored) == spoken({"nginx": stored["nginx"]}, {}) != spoken({}, {})
    assert spoken(other, stored) == spoken(other, {}) != spoken({}, stored)


def test_a_lexicon_that_cannot_be_spoken_ends_the_process(model_dir: Path) -> None:
    with pytest.raises(EngineError, match=r"tts:lexicon cannot be spoken: The pronunciation '§' of 'b'"):
        load_engine(parse_inference(inference("1.0.0", lexicon={"a": "ə", "b": "§"})), model_dir)


def test_a_lexicon_goes_with_an_engine_that_takes_pronunciations(
    model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Mute(0.5)
    plain.capabilities = Capabilities(languages=("en",))
    module = SimpleNamespace(load=lambda model_dir, config: plain)
    monkeypatch.setitem(sys.modules, "serving.engines.plain.engine", module)
    with pytest.raises(EngineError, match=r"leave out tts:lexicon"):
        load_engine(parse_inference(inference("1.0.0", engine="plain", lexicon={"a": "ə"})), model_dir)


def test_ready_only_after_a_synthesis(model_dir: Path) -> None:
    config = parse_inference(inference("1.0.0"))
    host = EngineHost(config, model_dir)
    activity, metrics = Activity(), Metrics(config.version, slots=1)
    client = TestClient(create_app(Parts(config=config, host=host, activity=activity, metrics=metrics)))
    assert client.get("/livez").status_code == 200
    loading = client.get("/readyz")
    assert (loading.status_code, loading.json()["status"]) == (503, "loading")
    assert loading.json()["seconds"] >= 0
    refused = client.post(SPEECH, json={"model": "tts", "input": "Hello."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "loading")
    assert refused.headers["retry-after"] == "1"
    assert client.get("/v1/models").status_code == client.get("/v1/voices").status_code == 503
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


def test_the_process_stays_until_a_slow_reader_has_all_of_it(start: Start) -> None:
    """Its sockets' buffers go with the pod, and hold megabytes for a reader that is slow."""
    server, text = start(), LONG[:500]
    server.wait_ready()
    whole = server.speak(text).content
    body = json.dumps({"model": "tts", "input": text, "response_format": "pcm", "seed": 7})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.connect()
    narrow = connection.sock
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.request("POST", SPEECH, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    audio = answer.read(1 << 16)
    server.process.send_signal(signal.SIGTERM)
    # The port closes when the server has handed over everything, however little of it has been read.
    poll(lambda: _refuses(server), Activity.ACCEPT_SECONDS - 1)
    time.sleep(0.5)
    assert server.process.poll() is None
    assert undelivered("127.0.0.1", server.port) > 1 << 19
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    audio += answer.read()
    assert server.process.wait(5) == 0
    assert audio == whole


def _refuses(server: Running) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_reader_that_is_gone_does_not_hold_the_process_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(delivery, "undelivered", lambda *_: 17)
    began = time.monotonic()
    delivery.wait_until_delivered("127.0.0.1", 1)
    assert 0.2 < time.monotonic() - began < 2


def test_the_bytes_of_other_ports_addresses_and_listeners_are_not_counted(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    lines = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:1F90 00000000:0000 0A 00000005:00000000 00:00000000 00000000 0 0 1",
        "   1: 0100007F:1F90 0100007F:8000 04 00000100:00000000 00:00000000 00000000 0 0 0",
        "   2: 0200007F:1F90 0100007F:8001 01 00000020:00000000 00:00000000 00000000 0 0 2",
        "   3: 0100007F:1F91 0100007F:8002 01 00000003:00000000 00:00000000 00000000 0 0 3",
    ]
    table.write_text("\n".join(lines) + "\n")
    assert undelivered("127.0.0.1", 8080, tables=[table]) == 0x100
    assert undelivered("0.0.0.0", 8080, tables=[table]) == 0x120
    assert undelivered("127.0.0.1", 8080, tables=[tmp_path / "none"]) == 0


def test_a_signal_while_loading_ends_the_process_and_is_told(start: Start) -> None:
    server = start(config=inference("1.0.0", loadDelaySeconds=7200))
    poll(lambda: _alive(server), 20, server.process)
    loading = requests.get(f"{server.url}/readyz", timeout=5)
    assert (loading.status_code, loading.json()["status"]) == (503, "loading")
    server.process.terminate()
    assert server.process.wait(5) == 0
    assert "s of loading, before it was ready" in server.termination.read_text()
    assert "load.budgetSeconds" in server.termination.read_text()


def test_a_load_delay_holds_readiness_back(start: Start) -> None:
    began = time.monotonic()
    server = start(config=inference("1.0.0", loadDelaySeconds=4))
    server.wait_ready()
    assert time.monotonic() - began > 4
    server.process.terminate()
    assert server.process.wait(5) == 0
    assert not server.termination.exists(), "a server that was ready leaves no word"


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

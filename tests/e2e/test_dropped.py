"""`dropped 0 of N` is counted, not said: the count rises when a server is broken, and a stream outlives its
version.

The tests build on one another, in this order.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.e2e.conftest import LONGEST_ANSWER_SECONDS, Platform
from tests.e2e.live import Api

SERVER = "serving/server.py"
LONG = "One word follows another while the release goes on. " * 70
PIECE = 100_000


class SmallBuffer(HTTPAdapter):
    """Connections that take in little ahead of their reader."""

    def init_poolmanager(self, *words: Any, **options: Any) -> None:
        small = (socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        super().init_poolmanager(*words, **options, socket_options=[small])


class SlowListener(threading.Thread):
    """Reads a long answer a little at a time until it is let go. It is spoken at half speed: longer than what
    all the buffers on the way hold, so that the server is in the middle of it all the while."""

    def __init__(self, platform: Platform, text: str, **headers: str) -> None:
        super().__init__()
        self._platform, self._text, self._headers = platform, text, headers
        self._free = threading.Event()
        self.began = threading.Event()
        self.version = ""
        self.heard = bytearray()
        self.fault = ""

    def run(self) -> None:
        body = {"model": "tts", "input": self._text, "response_format": "pcm", "seed": 1, "speed": 0.5}
        url = f"{self._platform.url}/v1/audio/speech"
        session = requests.Session()
        session.mount("http://", SmallBuffer())
        try:
            with session.post(url, json=body, headers=self._headers, stream=True, timeout=60) as answer:
                self.version = answer.headers.get("x-tts-version", "")
                for piece in answer.iter_content(PIECE):
                    self.heard += piece
                    self.began.set()
                    self._free.wait(0.5)
        except requests.RequestException as error:
            self.fault = repr(error)
        self.began.set()

    def let_go(self) -> None:
        self._free.set()
        self.join(60)


def guard_sentence(text: str) -> tuple[int, int]:
    """(dropped, sent) as `up` says the guard has counted."""
    found = re.search(r"Guard(?:, so far)?: dropped (\d+) of (\d+) \(at most ", text)
    assert found, text
    return int(found[1]), int(found[2])


def counted_by_the_guard(platform: Platform, seconds: float = 10) -> dict[str, Any]:
    """traffic.json once a request is counted as dropped, or after a while."""
    end = time.monotonic() + seconds
    while True:
        counted = Api(platform.home).receipt()["traffic.json"]
        if counted.get("dropped") or time.monotonic() > end:
            return counted
        time.sleep(0.2)


def wait_for(log: Path, pattern: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not re.search(pattern, log.read_text()):
        assert time.monotonic() < end, f"{pattern!r} never came:\n{log.read_text()}"
        time.sleep(0.01)


def up(platform: Platform, log: Path) -> subprocess.Popen[str]:
    return platform.start("up", "--stack", "dev", log=log)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "up.log"


def test_a_long_stream_of_the_old_version_ends_whole_across_the_release(
    platform: Platform, log: Path
) -> None:
    whole = SlowListener(platform, LONG)
    whole.start()
    whole.let_go()
    assert len(whole.heard) > 200 * PIECE
    listener = SlowListener(platform, LONG, **{"x-tts-version": "1.0.0"})
    listener.start()
    listener.began.wait(30)
    platform.configure(modelVersion="1.1.0")
    process = up(platform, log)
    wait_for(log, "1.1.0 is released as")
    assert listener.is_alive(), "it is still being listened to while the old version is taken away"
    time.sleep(1.0)
    heard_before = len(listener.heard)
    listener.let_go()
    assert process.wait(120) == 0, log.read_text()
    assert listener.fault == ""
    assert listener.version == "1.0.0"
    assert heard_before < len(whole.heard)
    assert bytes(listener.heard) == bytes(whole.heard), "the same voice to the last word"
    dropped, sent = guard_sentence(log.read_text())
    assert dropped == 0
    assert sent > 10
    assert platform.speak(**{"x-tts-version": "1.0.0"}).headers["x-tts-version"] == "1.1.0"


@pytest.mark.matrix
def test_a_server_killed_in_the_ramp_is_counted_by_the_guard_and_by_traffic(
    platform: Platform, log: Path
) -> None:
    """A way back in one step would be too short: the server is one that never ran before."""
    platform.configure(
        modelVersion="1.0.0", rollout={"steps": [10, 100], "holdSeconds": 5, "readySeconds": 60}
    )
    platform.edit("serving/__init__.py", "", "# A server that never ran before.\n")
    (only,) = platform.server_processes()
    traffic = start_traffic(platform)
    try:
        process = up(platform, log)
        wait_for(log, r"The route gives .*\b10 % hibari-1-0-0-")
        os.kill(only, signal.SIGKILL)
        process.wait(120)
    finally:
        traffic.send_signal(signal.SIGINT)
        said, _ = traffic.communicate(timeout=60)
    assert re.search(r"dropped [1-9]\d* of \d+", said), said
    guard_sentence(log.read_text())  # told, though a refused `up` does not wait for what is still under way
    counted = counted_by_the_guard(platform)
    assert 0 < counted["dropped"] < counted["sent"]
    assert counted["sentence"].startswith(f"dropped {counted['dropped']} of {counted['sent']} (at most ")
    assert counted["reasons"]
    settled = platform.up()
    assert settled.status == 0, settled.text


def test_a_server_that_does_not_drain_cuts_what_it_speaks(platform: Platform, log: Path) -> None:
    """The same as in the first test, from a server that ends at once on SIGTERM: every stream that is under
    way is cut, and whoever counts sees the number rise. No stream is so long that it is cut anyway."""
    rollout = {"steps": [100], "holdSeconds": 1, "readySeconds": 60}
    platform.configure(drainSeconds=0, rollout=rollout)
    platform.edit(SERVER, "        del frame\n", "        __import__('os')._exit(0)\n")
    careless = platform.up()
    assert careless.status == 0, careless.text
    platform.restore(SERVER)
    process = up(platform, log)
    wait_for(log, "The live route gives ")
    listeners = [SlowListener(platform, LONG) for _ in range(3)]
    began = time.monotonic()
    for listener in listeners:
        listener.start()
    assert process.wait(120) == 0, log.read_text()
    for listener in listeners:
        listener.let_go()
    assert time.monotonic() - began < LONGEST_ANSWER_SECONDS
    dropped = [listener for listener in listeners if listener.fault]
    assert len(dropped) == 3, "0 of 1 in the first test"


def start_traffic(platform: Platform) -> subprocess.Popen[str]:
    """`python -m local.traffic` as a person would run it beside the release; SIGINT ends it."""
    command = [sys.executable, "-m", "local.traffic", "--url", platform.url, "--rate", "10"]
    return subprocess.Popen(
        [*command, "--seconds", "300"],
        cwd=platform.checkout,
        env=platform.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

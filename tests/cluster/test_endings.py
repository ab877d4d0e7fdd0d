"""A stream that is under way when its pod is deleted ends whole, however slowly it is read."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cluster.conftest import ClusterPlatform, kubectl

pytestmark = pytest.mark.cluster

LONGEST = 40
"""Seconds that an answer may take here: the stack's tts:longestAnswerSeconds."""

SENTENCE = "The harbour was quiet, and nobody had seen the boats come in before the morning. "
TEXT = SENTENCE * (4096 // len(SENTENCE))
SERVERS = ("--selector", "app.kubernetes.io/component=model-server")


class Reader(threading.Thread):
    """Reads one long answer at `bytes_per_second`; `began` is set with its first bytes."""

    def __init__(self, url: str, host: str, bytes_per_second: float = 1e9) -> None:
        super().__init__(daemon=True)
        self._place, self._host, self._rate = urlsplit(url), host, bytes_per_second
        self.began = threading.Event()
        self.audio, self.error, self.seconds = b"", "", 0.0

    def run(self) -> None:
        begin = time.monotonic()
        try:
            self._read(begin)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.error = repr(error)
        self.seconds = time.monotonic() - begin
        self.began.set()

    def _read(self, begin: float) -> None:
        connection = http.client.HTTPConnection(str(self._place.hostname), self._place.port, timeout=60)
        connection.connect()
        # As little as possible on this side: what a server has handed over needs it no longer.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        body = {"model": "tts", "input": TEXT, "response_format": "pcm", "seed": 1}
        headers = {"Host": self._host, "Content-Type": "application/json"}
        connection.request("POST", "/v1/audio/speech", json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        while part := answer.read1(1 << 15):
            self.audio += part
            self.began.set()
            time.sleep(max(0.0, begin + len(self.audio) / self._rate - time.monotonic()))
        connection.close()


def pods(stack: ClusterPlatform) -> list[dict[str, Any]]:
    return list(stack.get("pods", *SERVERS)["items"])


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def settle(stack: ClusterPlatform) -> dict[str, Any]:
    """Waits until one server is left, ready."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = pods(stack)
        if len(found) == 1 and ready(found[0]):
            return found[0]
        time.sleep(0.5)
    raise AssertionError("no single server became ready")


def delete_while_it_speaks(stack: ClusterPlatform, reader: Reader, *words: str) -> None:
    """Deletes the one server in the middle of the reader's stream."""
    name = settle(stack)["metadata"]["name"]
    reader.start()
    assert reader.began.wait(30)
    assert reader.error == ""
    kubectl("delete", "pod", name, "--namespace", stack.namespace, "--wait=false", *words)


@pytest.fixture(scope="module")
def limited(stack: ClusterPlatform) -> ClusterPlatform:
    """The stack with answers of LONGEST seconds."""
    stack.configure(longestAnswerSeconds=LONGEST)
    done = stack.up(timeout=280)
    assert done.status == 0, done.text
    return stack


@pytest.fixture(scope="module")
def expected(limited: ClusterPlatform) -> bytes:
    """The answer, read as fast as it comes."""
    reader = Reader(limited.url, limited.host)
    reader.run()
    assert reader.error == ""
    return reader.audio


def test_a_slow_caller_hears_all_of_it(limited: ClusterPlatform, expected: bytes) -> None:
    slow = Reader(limited.url, limited.host, len(expected) / (LONGEST - 5))
    delete_while_it_speaks(limited, slow)
    slow.join(90)
    assert slow.error == ""
    assert slow.audio == expected
    assert slow.seconds > LONGEST - 8


def straight(pod: dict[str, Any], host: str, bytes_per_second: float) -> Reader:
    """A reader of the pod itself: a gateway has room for much of an answer, which then needs its server no
    longer."""
    address = pod["status"]["podIP"]
    try:
        socket.create_connection((address, 8080), timeout=3).close()
    except OSError:
        pytest.skip("The pods of this cluster cannot be reached from here.")
    return Reader(f"http://{address}:8080", host, bytes_per_second)


def test_a_pod_stays_as_long_as_its_stream(limited: ClusterPlatform, expected: bytes) -> None:
    pod = settle(limited)
    uid = pod["metadata"]["uid"]
    slow = straight(pod, limited.host, len(expected) / (LONGEST - 5))
    delete_while_it_speaks(limited, slow)
    while slow.is_alive():
        there = uid in {each["metadata"]["uid"] for each in pods(limited)}
        # The last bytes are in the reader's own buffers.
        assert there or len(slow.audio) > len(expected) - (1 << 18)
        time.sleep(1)
    assert slow.error == ""
    assert slow.audio == expected
    assert slow.seconds > LONGEST - 8
    assert settle(limited)["metadata"]["uid"] != uid
    assert limited.speak().status_code == 200


def test_a_pod_with_too_little_time_cuts_it(limited: ClusterPlatform, expected: bytes) -> None:
    slow = straight(settle(limited), limited.host, len(expected) / (LONGEST - 5))
    delete_while_it_speaks(limited, slow, "--grace-period=5")
    slow.join(90)
    assert slow.error != ""
    assert len(slow.audio) < len(expected)

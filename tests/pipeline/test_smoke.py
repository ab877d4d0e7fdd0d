"""The inspection of a live service: what it finds wrong, with an invented service."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest

from pipeline.errors import PipelineError
from pipeline.smoke import Answer, Ask, by_http, inspect

RATE = 24_000


def pcm(seconds: float, level: int = 4000) -> bytes:
    return struct.pack("<hh", level, -level) * int(seconds * RATE / 2)


def service(
    *, version: str = "1.1.0", audio: bytes = b"", statuses: tuple[int, int] = (200, 200), told: bytes = b""
) -> Ask:
    def ask(path: str, body: bytes | None) -> Answer:
        if path == "/version":
            said = json.dumps({"model": "hibari", "version": version, "sampleRate": RATE}).encode()
            return Answer(statuses[0], {}, told or said)
        assert body is not None
        assert json.loads(body)["model"] == "hibari"
        return Answer(statuses[1], {}, audio or pcm(4))

    return ask


def nobody(path: str, body: bytes | None) -> Answer:
    raise ConnectionRefusedError("connection refused")


def test_a_service_that_speaks_as_its_version_is_fine() -> None:
    assert inspect(service(), version="1.1.0") == []
    assert inspect(service(), version="") == []


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (nobody, "Nobody answers: connection refused"),
        (service(statuses=(503, 200)), "answered with 503"),
        (service(told=b"<html>"), "not as a server of ours does"),
        (service(told=b'{"version": "1.1.0"}'), "not as a server of ours does"),
        (service(version="1.0.0"), "The live version is 1.0.0, and 1.1.0 was released"),
        (service(statuses=(200, 500), audio=b"broken"), "answered with 500: broken"),
        (service(audio=pcm(0.3)), "lasts 0.3 s"),
        (service(audio=pcm(40)), "lasts 40.0 s"),
        (service(audio=pcm(4, level=0)), "as good as silent"),
        (service(audio=pcm(4, level=20)), "as good as silent"),
    ],
)
def test_what_is_wrong_is_said(ask: Callable[[str, bytes | None], Answer], says: str) -> None:
    sentences = inspect(ask, version="1.1.0")
    assert len(sentences) == 1
    assert says in sentences[0]


def test_an_address_is_an_address() -> None:
    with pytest.raises(PipelineError, match="is no address"):
        by_http("tts.example.com", key="")

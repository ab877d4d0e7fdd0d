"""Every error in OpenAI's shape, and the texts that would break the engine."""

import json
import time
from typing import Any

import pytest
import requests

from tests.serving.conftest import SPEECH, Running


def error_of(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text[:200]
    assert answer.headers["x-tts-version"] in ("1.0.0", "2.0.0")
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == ("server_error" if status >= 500 else "invalid_request_error")
    return dict(body["error"])


@pytest.mark.parametrize(
    ("fields", "status", "param", "says"),
    [
        ({"model": "gpt-4o"}, 404, "model", "hibari"),
        ({"voice": "alloy"}, 400, "voice", "heart"),
        ({"voice": 3}, 400, "voice", "voice"),
        ({"speed": 0.25}, 400, "speed", "from 0.5 to 2"),
        ({"speed": 4}, 400, "speed", "from 0.5 to 2"),
        ({"speed": -1}, 400, "speed", "from 0.5 to 2"),
        ({"speed": "fast"}, 400, "speed", "speed"),
        ({"response_format": "midi"}, 400, "response_format", "wav, pcm, mp3, opus, aac, flac"),
        ({"stream_format": "lines"}, 400, "stream_format", "audio, sse"),
        ({"seed": -1}, 400, "seed", "seed"),
        ({"input": "a" * 4097}, 400, "input", "4097 characters"),
        ({"input": 5}, 400, "input", "input"),
        ({"input": None}, 400, "input", "input"),
    ],
)
def test_fields(server: Running, fields: dict[str, Any], status: int, param: str, says: str) -> None:
    error = error_of(server.speak(**{"text": "Hello.", **fields}), status)
    assert error["param"] == param
    assert says in error["message"]
    assert error["code"] == ("model_not_found" if status == 404 else error["code"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{bad", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"", "not a JSON object"),
        (b'{"model": "tts"}', "`input` is missing"),
        (b'{"model": "\\ud800", "input": "Hello."}', "not served here"),
        (b'{"model": "tts", "input": "Hello \\ud800."}', "surrogate"),
        (b'{"model": "tts", "input": "Hello.", "speed": NaN}', "from 0.5 to 2"),
    ],
)
def test_bodies(server: Running, body: bytes, says: str) -> None:
    headers = {"content-type": "application/json"}
    answer = requests.post(f"{server.url}{SPEECH}", data=body, headers=headers, timeout=5)
    status = 404 if b'"\\ud800"' in body else 400
    assert says in error_of(answer, status)["message"]


def test_paths_and_methods(server: Running) -> None:
    assert "/nothing" in error_of(requests.get(f"{server.url}/nothing", timeout=5), 404)["message"]
    assert "/page/no" in error_of(requests.get(f"{server.url}/page/no.js", timeout=5), 404)["message"]
    answer = requests.get(f"{server.url}{SPEECH}", timeout=5)
    assert "POST" in error_of(answer, 405)["message"]
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_without_end_is_refused(server: Running, chunked: bool) -> None:
    body = json.dumps({"model": "tts", "input": "a" * 300_000}).encode()
    data = iter([body[:200_000], body[200_000:]]) if chunked else body
    headers = {"content-type": "application/json"}
    answer = requests.post(f"{server.url}{SPEECH}", data=data, headers=headers, timeout=5)
    assert "262144 bytes" in error_of(answer, 413)["message"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n ", "empty"),
        ("...!", "nothing that can be spoken"),
        ("😀 🎉", "nothing that can be spoken"),
        ("你好，世界", "no word or number of it"),
        ("مرحبا", "no word or number of it"),
        ("Call " + "1" * 37 + " now.", "37 digits"),
        (",".join(["123"] * 13), "39 digits"),
        ("٣" * 40, "40 digits"),
    ],
)
def test_texts_that_cannot_be_spoken(server: Running, text: str, says: str) -> None:
    error = error_of(server.speak(text), 400)
    assert error["param"] == "input"
    assert says in error["message"]


@pytest.mark.parametrize(
    "text",
    ["1" * 36, "word " * 300, "&" * 200, "state-of-the-art-" * 40, "a" * 1000, "123456789012 " * 15],
    ids=["36 digits", "no punctuation", "symbols", "hyphens", "one word", "numbers"],
)
def test_texts_that_would_take_minutes_take_seconds(server: Running, text: str) -> None:
    began = time.monotonic()
    answer = server.speak(text)
    assert answer.status_code == 200
    assert len(answer.content) > 24000
    assert time.monotonic() - began < 15

"""What a server tells of its requests: a line of the log for each, and what Prometheus reads."""

import json
import logging
import sys
import threading
from typing import Any

import pytest
import requests

from serving.keys import hash_of
from serving.logs import JsonFormatter, fields
from tests.serving.conftest import SPEECH, Running, Start, inference, poll
from tests.serving.test_origin import series

TEXT = "The harbour was quiet before the first ferry left."


def line_of(server: Running, request_id: str) -> dict[str, Any]:
    """The line about a request, which comes when its answer has ended."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = [each for each in server.lines("serving.speech") if each["request_id"] == request_id]
        return bool(found)

    poll(is_there, 5, server.process)
    return found[0]


@pytest.fixture(scope="module")
def keyed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A server with one slot that works on one request and lets one wait."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"ada {hash_of('secret')}\n")
    admission = {"streams": 1, "queue": 1, "waitSeconds": 30}
    running = start(config=inference("1.0.0", slots=1, admission=admission), TTS_API_KEYS=str(keys))
    running.wait_ready()
    return running


ADA = {"authorization": "Bearer secret"}


def ask(server: Running, text: str = TEXT, **more: Any) -> requests.Response:
    body = {"model": "tts", "input": text, "response_format": "mp3"}
    headers = ADA | more.pop("headers", {})
    return requests.post(f"{server.url}{SPEECH}", json=body, headers=headers, timeout=60, **more)


def test_a_line_says_all_but_what_was_spoken_and_the_key(keyed: Running) -> None:
    answer = ask(keyed, headers={"x-request-id": "mine-1"})
    line = line_of(keyed, "mine-1")
    assert answer.headers["x-request-id"] == "mine-1"
    assert {
        key: line[key] for key in ("level", "message", "caller", "origin", "code", "voice", "format")
    } == {
        **{"level": "info", "message": "speech", "caller": "ada", "origin": "user", "code": 200},
        **{"voice": "heart", "format": "mp3"},
    }
    assert line["characters"] == len(TEXT)
    assert 2 < line["audio_seconds"] < 5
    assert 0 <= line["queue_seconds"] < line["first_audio_seconds"] <= line["seconds"] < 5
    assert 0 < line["real_time_factor"] < 1
    log = keyed.log.read_text()
    assert TEXT not in log
    assert "secret" not in log


def test_who_is_refused_has_a_line_too(keyed: Running) -> None:
    ask(keyed, headers={"authorization": "Bearer wrong", "x-request-id": "wrong-1"})
    ask(keyed, "...", headers={"x-request-id": "unspeakable-1"})
    wrong, unspeakable = line_of(keyed, "wrong-1"), line_of(keyed, "unspeakable-1")
    assert wrong["code"] == 401
    assert "caller" not in wrong
    assert (unspeakable["code"], unspeakable["characters"]) == (400, 3)
    assert "first_audio_seconds" not in unspeakable


def test_the_text_is_logged_where_the_stack_says_so(start: Start) -> None:
    server = start(config=inference("1.0.0", logTexts=True))
    server.wait_ready()
    said = 'Line one.\nLine "two".'
    answer = server.speak(said)
    assert line_of(server, answer.headers["x-request-id"])["text"] == said


def test_the_queue_is_measured(keyed: Running) -> None:
    before = series(keyed)
    assert before['tts_queue_depth{origin="user"}'] == 0
    held = ask(keyed, "One sentence follows another until nobody listens any more. " * 60, stream=True)
    waiting = threading.Thread(target=ask, args=(keyed,))
    waiting.start()
    poll(lambda: series(keyed)['tts_queue_depth{origin="user"}'] == 1, 10, keyed.process)
    assert ask(keyed).status_code == 429
    held.close()
    waiting.join()
    after = series(keyed)

    def more(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert after['tts_queue_depth{origin="user"}'] == 0
    assert more('tts_queue_seconds_count{origin="user"}') == 2, "who is refused has not waited"
    assert more('tts_queue_seconds_sum{origin="user"}') > 0
    assert more('tts_requests_total{code="429",origin="user"}') == 1
    assert more('tts_real_time_factor_count{origin="user"}') == 1
    assert 0 < more('tts_real_time_factor_sum{origin="user"}') < 1


def test_a_line_is_json_whatever_is_said() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "broke: %s", ("a\nb\u2028\ud800",), None)
    record.__dict__.update(fields(request_id="1", nothing=None))
    try:
        raise ValueError("why")
    except ValueError:
        record.exc_info = sys.exc_info()
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert "\n" not in text
    line = json.loads(text)
    assert (line["level"], line["message"], line["request_id"]) == ("error", "broke: a\nb\u2028\ud800", "1")
    assert "nothing" not in line
    assert "ValueError: why" in line["error"]

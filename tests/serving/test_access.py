"""Who is answered by a real server, and what the others are told."""

import threading
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from serving.keys import hash_of
from tests.serving.conftest import SPEECH, Running, Start, inference
from tests.serving.test_origin import series
from tests.serving.test_refusals import error_of

LONG = "The ferry crosses the bay every morning, and it comes back in the evening. " * 50
ADA, BOB, PROBE = ({"authorization": f"Bearer {name}-secret"} for name in ("ada", "bob", "probe"))


@pytest.fixture(scope="module")
def locked(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A server with two callers' keys and a release's own, that works on two requests and lets one wait."""
    keys: Path = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text("".join(f"{name} {hash_of(name + '-secret')}\n" for name in ("ada", "bob", "probe")))
    limits = {"streams": 2, "queue": 1, "waitSeconds": 30, "perKey": 2}
    running = start(config=inference("1.0.0", admission=limits, slots=1), TTS_API_KEYS=str(keys))
    running.wait_ready()
    return running


def ask(server: Running, headers: dict[str, str], text: str = "Hello.", **more: Any) -> requests.Response:
    body = {"model": "tts", "input": text, "response_format": "pcm", "seed": 7}
    return requests.post(f"{server.url}{SPEECH}", json=body, headers=headers, timeout=60, **more)


def test_with_a_key_it_speaks_and_without_one_it_says_so(locked: Running) -> None:
    assert ask(locked, ADA).status_code == 200
    missing = ask(locked, {})
    assert error_of(missing, 401)["code"] == "invalid_api_key"
    assert missing.headers["www-authenticate"].startswith("Bearer")
    assert "is needed" in missing.json()["error"]["message"]
    assert "is not known" in error_of(ask(locked, {"authorization": "Bearer wrong"}), 401)["message"]


@pytest.mark.parametrize("path", ["/", "/page/icon.svg", "/livez", "/readyz", "/version", "/openapi.json"])
def test_what_needs_no_key(locked: Running, path: str) -> None:
    assert requests.get(locked.url + path, timeout=5).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/nothing", "/v1/audio/speech", "/metrics/", "//version"])
def test_all_else_needs_one(locked: Running, path: str) -> None:
    assert requests.get(locked.url + path, timeout=5).status_code == 401


def test_the_description_says_which_need_one(locked: Running) -> None:
    described = requests.get(f"{locked.url}/openapi.json", timeout=5).json()
    assert described["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    assert described["paths"][SPEECH]["post"]["security"] == [{"apiKey": []}]
    assert "security" not in described["paths"]["/version"]["get"]


def test_metrics_are_open_to_who_asks_the_pod_itself(locked: Running) -> None:
    assert requests.get(f"{locked.url}/metrics", timeout=5).status_code == 200
    through_a_gateway = {"x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    assert requests.get(f"{locked.url}/metrics", headers=through_a_gateway, timeout=5).status_code == 401


def test_openais_client_reads_the_refusal(locked: Running) -> None:
    client = openai.OpenAI(base_url=f"{locked.url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        client.audio.speech.create(model="tts-1", voice="heart", input="Hello.")
    assert refused.value.code == "invalid_api_key"


def test_only_a_release_with_its_key_is_taken_for_one(locked: Running) -> None:
    before = series(locked)
    ask(locked, ADA | {"x-tts-probe": "a-release"})
    ask(locked, PROBE | {"x-tts-probe": "a-release"})
    after = series(locked)

    def more(origin: str) -> float:
        name = f'tts_requests_total{{code="200",origin="{origin}"}}'
        return after.get(name, 0) - before.get(name, 0)

    assert (more("user"), more("probe")) == (1, 1)


def test_the_door_is_shut_to_one_too_many_and_open_to_a_release(locked: Running) -> None:
    """Two long answers are held by who does not read them, one more waits: the next is refused at once."""
    held = [ask(locked, ADA, LONG, stream=True), ask(locked, BOB, LONG, stream=True)]
    assert [answer.status_code for answer in held] == [200, 200]
    late: list[requests.Response] = []
    waiting = threading.Thread(target=lambda: late.append(ask(locked, ADA)))
    waiting.start()
    try:
        while series(locked)['tts_in_flight{origin="user"}'] < 3:
            pass
        mine = ask(locked, ADA)
        assert error_of(mine, 429)["code"] == "rate_limit_exceeded"
        assert "The key 'ada' has 2 requests under way" in mine.json()["error"]["message"]
        full = ask(locked, BOB)
        assert error_of(full, 429)["code"] == "queue_full"
        assert 1 <= int(full.headers["retry-after"]) <= 60
        probe = ask(locked, PROBE | {"x-tts-probe": "a-release"})
        assert probe.status_code == 200
        assert not late
    finally:
        for answer in held:
            answer.close()
        waiting.join()
    assert late[0].status_code == 200


def test_a_server_without_keys_it_can_read_does_not_start(start: Start, tmp_path: Path) -> None:
    running = start(TTS_API_KEYS=str(tmp_path / "missing"))
    assert running.process.wait(30) == 2
    assert "cannot be read" in running.termination.read_text()

"""What a server says of itself: model, voices, versions, and the description of its API."""

import json
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from serving.encoding import FORMATS
from serving.listing import read_versions
from tests.serving.conftest import SPEECH, Running, Start, inference, status
from tests.serving.test_refusals import error_of

MODEL = {
    "id": "hibari",
    "object": "model",
    "created": 0,
    "owned_by": "tts",
    "version": "1.0.0",
    "languages": ["en"],
    "formats": list(FORMATS),
    "speeds": [0.5, 2.0],
    "capabilities": {
        "cloning": False,
        "emotion": False,
        "phonemes": True,
        "alphabet": "ipa",
        "streaming": True,
    },
    "max_characters": 4096,
}


def get(server: Running, path: str) -> Any:
    return requests.get(server.url + path, timeout=5).json()


def test_the_model_and_its_voices(server: Running) -> None:
    assert get(server, "/v1/models") == {"object": "list", "data": [MODEL]}
    for name in ("hibari", "tts", "tts-1"):
        assert get(server, f"/v1/models/{name}") == MODEL
    voice = {
        "id": "heart",
        "object": "voice",
        "name": "heart",
        "languages": ["en"],
        "default": True,
        "own": False,
    }
    assert get(server, "/v1/voices") == {"object": "list", "data": [voice]}


def test_another_model_is_not_here(server: Running) -> None:
    answer = requests.get(f"{server.url}/v1/models/gpt-4o", timeout=5)
    assert error_of(answer, 404)["code"] == "model_not_found"


def test_openais_client_lists_the_model(server: Running) -> None:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none is needed", max_retries=0)
    assert [model.id for model in client.models.list()] == ["hibari"]
    assert client.models.retrieve("hibari").owned_by == "tts"


def test_versions_are_what_the_file_says_at_that_moment(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "versions.json"
    server = start(config=inference("1.0.0", loadDelaySeconds=60), TTS_VERSIONS=str(file))
    while status(f"{server.url}/livez") != 200:
        assert server.process.poll() is None
    assert get(server, "/v1/versions") == {"object": "list", "data": []}
    one = {"version": "1.0.0", "revision": "hibari-1-0-0-abcdef", "role": "stable", "weight": 100}
    file.write_text(json.dumps([one]))
    assert get(server, "/v1/versions") == {"object": "list", "data": [one]}


@pytest.mark.parametrize("text", ["", "{", "3", "{}", '["x"]', '[{"version": "1"}]', "null"])
def test_a_file_that_is_no_list_of_versions_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "versions.json").write_text(text)
    assert read_versions(tmp_path / "versions.json") == []


@pytest.mark.parametrize("path", ["/version", "/nothing", "/v1/models", "/"])
def test_every_answer_says_to_which_request(server: Running, path: str) -> None:
    def answered(**headers: str) -> str:
        return requests.get(server.url + path, headers=headers, timeout=5).headers["x-request-id"]

    mine = "7f3d-Ab_c.9"
    assert answered(**{"x-request-id": mine}) == mine
    for wrong in ("a b", "-x", "x" * 65, "../../etc", "a/b", ""):
        assert len(answered(**{"x-request-id": wrong})) == 36
    assert answered() != answered()


def test_a_speech_says_its_sample_rate(server: Running) -> None:
    assert server.speak("Hello.").headers["x-tts-sample-rate"] == "24000"


def test_the_description_has_examples_that_are_answered(server: Running) -> None:
    described = get(server, "/openapi.json")
    examples = described["components"]["schemas"]["SpeechRequest"]["examples"]
    assert len(examples) >= 3
    for example in examples:
        answer = requests.post(server.url + SPEECH, json=example, timeout=30)
        assert answer.status_code == 200, answer.text
        content = described["paths"][SPEECH]["post"]["responses"]["200"]["content"]
        assert answer.headers["content-type"].partition(";")[0] in content
    assert "securitySchemes" not in described["components"]
    assert "422" not in json.dumps(described), "an error has OpenAI's shape, not FastAPI's"

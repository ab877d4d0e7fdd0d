"""Requests that nobody thought of: none is answered by a 500, none hangs, every refusal has OpenAI's shape.

Short here; long under the marker `soak`, by `make test-soak`."""

import json
import time
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from serving.encoding import FORMATS
from tests.serving import pitch
from tests.serving.conftest import SPEECH, Running, Start, inference

LONGEST_SECONDS = 20.0
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
"""All but one: whether a text can be spoken is more than a schema can say, so valid data may be refused."""


def examples(number: int) -> Any:
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def fuzzed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """A server with all that there is to ask for."""
    store = {"prefix": "", "outputs": True, "records": {"days": 1}}
    volume = tmp_path_factory.mktemp("volume")
    running = start(config=inference("1.0.0", store=store), TTS_STORE_DIR=str(volume))
    running.wait_ready()
    return running


@pytest.fixture(scope="module")
def described(fuzzed: Running) -> Any:
    return schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")


def in_shape(answer: requests.Response) -> None:
    """A refusal is OpenAI's; an answer is audio."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"].endswith((".", "?", "!")), error


VOICES = [("GET", "/v1/voices"), ("POST", "/v1/voices"), ("DELETE", "/v1/voices/{voice_id}")]
"""Tried where the model clones; elsewhere there is little of them."""

OPERATIONS = [
    *(("POST", SPEECH), ("POST", f"{SPEECH}/{{request_id}}/rating"), ("DELETE", f"{SPEECH}/{{request_id}}")),
    *(("GET", "/v1/models"), ("GET", "/v1/models/{model}"), ("GET", "/v1/versions")),
    *(("GET", "/version"), ("GET", "/livez"), ("GET", "/readyz")),
]


def test_every_operation_of_the_description_is_tried(described: Any) -> None:
    found = {(each.ok().method.upper(), each.ok().path) for each in described.get_all_operations()}
    assert found == {*OPERATIONS, *VOICES}


def fuzz(described: Any, method: str, path: str, number: int) -> None:
    """Requests that the description allows, and some that it does not."""
    operation = described[path][method]
    for mode in GenerationMode:

        @given(case=operation.as_strategy(generation_mode=mode))
        @examples(number)
        def checked(case: schemathesis.Case) -> None:
            answer = case.call(timeout=LONGEST_SECONDS)
            case.validate_response(answer, checks=CHECKS)
            if answer.status_code >= 400 and answer.request.method != "HEAD":
                in_shape(answer)

        try:
            checked()
        except hypothesis.errors.Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, "there is always something that is allowed"


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_the_description_allows_and_what_it_does_not(described: Any, method: str, path: str) -> None:
    fuzz(described, method, path, 12)


@pytest.fixture(scope="module")
def described_cloning(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The description of a server whose model clones, and which keeps voices."""
    store = {"prefix": "", "outputs": False, "voices": {"perKey": 5}}
    volume = tmp_path_factory.mktemp("voices")
    running = start(config=pitch.config(store=store), module="tests.serving.pitch", TTS_STORE_DIR=str(volume))
    running.wait_ready()
    return schemathesis.openapi.from_url(f"{running.url}/openapi.json")


@pytest.mark.parametrize(("method", "path"), [*VOICES, ("POST", SPEECH)])
def test_what_a_model_that_clones_allows(described_cloning: Any, method: str, path: str) -> None:
    fuzz(described_cloning, method, path, 12)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("method", "path"), [*VOICES, ("POST", SPEECH)])
def test_for_long_what_a_model_that_clones_allows(described_cloning: Any, method: str, path: str) -> None:
    fuzz(described_cloning, method, path, 1500)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_for_long_what_the_description_allows(described: Any, method: str, path: str) -> None:
    fuzz(described, method, path, 1500)


WORDS = [
    "the",
    "Harbour",
    "3.14",
    "1,000",
    "Dr.",
    "e.g.",
    "https://a.b/c?d=e",
    "ann@b.co",
    "x" * 60,
    "0" * 36,
]
PIECES = st.one_of(
    st.sampled_from(
        [*WORDS, " ", "\n", ". ", ", ", "—", "…", "?!", "[a](/ə/)", "[", "](/", "/)", "<b>", "&amp;"]
    ),
    st.text(max_size=8),
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF),
    st.sampled_from(["你好", "مرحبا", "😀", "\u200b", "\u0301", "\x00", "\ufeff", "٣", "½", "Ⅳ", "ﬁ"]),
)
TEXTS = st.lists(PIECES, min_size=1, max_size=40).map("".join)
BODIES = st.fixed_dictionaries(
    {"model": st.just("tts"), "input": TEXTS, "response_format": st.sampled_from(sorted(FORMATS))},
    optional={
        "speed": st.floats(min_value=0.5, max_value=2),
        "seed": st.integers(min_value=0, max_value=2**63 - 1),
        "stream_format": st.sampled_from(["audio", "sse"]),
        "phonemes": st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=8), max_size=3),
    },
)


def spoken(server: Running, body: Any) -> None:
    began = time.monotonic()
    data = json.dumps(body).encode("ascii")
    headers = {"content-type": "application/json"}
    answer = requests.post(server.url + SPEECH, data=data, headers=headers, timeout=LONGEST_SECONDS)
    in_shape(answer)
    assert answer.content, body
    assert time.monotonic() - began < LONGEST_SECONDS, body


@given(body=BODIES)
@examples(60)
def test_any_text_is_spoken_or_refused(fuzzed: Running, body: Any) -> None:
    spoken(fuzzed, body)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@given(body=BODIES)
@examples(5000)
def test_for_long_any_text_is_spoken_or_refused(fuzzed: Running, body: Any) -> None:
    spoken(fuzzed, body)


@given(
    data=st.binary(max_size=400), kind=st.sampled_from(["application/json", "text/plain", "", "a/b;c=\x7f"])
)
@examples(40)
def test_any_bytes_are_answered(fuzzed: Running, data: bytes, kind: str) -> None:
    headers = {"content-type": kind}
    in_shape(requests.post(fuzzed.url + SPEECH, data=data, headers=headers, timeout=LONGEST_SECONDS))


LEADING_OUT = [
    "/etc/passwd",
    "file:///etc/passwd",
    "../../keys",
    "http://127.0.0.1:1/x.wav",
    "\\\\host\\share",
]


@pytest.mark.parametrize("place", LEADING_OUT)
def test_no_path_or_address_of_a_caller_is_opened(fuzzed: Running, place: str) -> None:
    """A voice is a name among those that are there; nothing else names a file."""
    for voice in (place, {"id": place}):
        answer = fuzzed.speak("Hello.", voice=voice)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "voice"
    assert fuzzed.speak("Hello.", model=place).status_code == 404
    headers = {"x-request-id": place}
    body = {"model": "tts", "input": "Hello."}
    answer = requests.post(fuzzed.url + SPEECH, json=body, headers=headers, timeout=10)
    assert place not in answer.headers["x-tts-output"]
    assert len(answer.headers["x-request-id"]) == 36


def test_memory_does_not_grow_with_refusals(fuzzed: Running) -> None:
    def resident() -> int:
        return int(Path(f"/proc/{fuzzed.process.pid}/statm").read_text().split()[1]) * 4096

    with requests.Session() as session:
        for number in range(600):
            if number == 300:
                before = resident()
            answer = session.post(fuzzed.url + SPEECH, json={"model": "tts", "input": "…" * 40}, timeout=10)
            assert answer.status_code == 400
    assert resident() - before < 8 << 20

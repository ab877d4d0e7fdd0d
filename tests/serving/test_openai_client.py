"""OpenAI's own client against a real server: what an application that knows OpenAI's API does."""

import base64
import io
import json

import av
import openai
import pytest

from tests.serving.conftest import Running

TEXT = "Good morning. The harbour was quiet."


@pytest.fixture(scope="module")
def client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none is needed", max_retries=0)


def seconds_of(audio: bytes) -> float:
    with av.open(io.BytesIO(audio)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", "wav"])
def test_every_format_is_decoded_to_the_same_length(client: openai.OpenAI, name: str) -> None:
    audio = client.audio.speech.create(
        model="tts-1", voice="heart", input=TEXT, response_format=name, extra_body={"seed": 1}
    )
    pcm = client.audio.speech.create(
        model="tts-1", voice="heart", input=TEXT, response_format="pcm", extra_body={"seed": 1}
    )
    assert seconds_of(audio.content) == pytest.approx(len(pcm.content) / 48_000, abs=0.12)


def test_an_answer_is_streamed(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="heart", input=TEXT * 8, response_format="mp3", speed=1.2
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert answer.headers["x-tts-version"] == "1.0.0"
        assert "content-length" not in answer.headers
        parts = list(answer.iter_bytes())
    assert len(parts) > 4, "a sentence comes as soon as it is spoken"
    assert seconds_of(b"".join(parts)) > 10


def test_events_hold_the_audio_and_end_with_its_usage(client: openai.OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="heart", input=TEXT, response_format="pcm", stream_format="sse",
        extra_body={"seed": 1},
    ) as answer:  # fmt: skip
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert done["type"] == "speech.audio.done"
    assert set(done["usage"]) >= {"input_tokens", "output_tokens", "total_tokens"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    plain = client.audio.speech.create(
        model="tts-1", voice="heart", input=TEXT, response_format="pcm", extra_body={"seed": 1}
    )
    assert audio == plain.content


def test_mistakes_are_the_clients_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert refused.value.param == "voice"
    assert "there are: heart" in refused.value.message
    with pytest.raises(openai.NotFoundError) as unknown:
        client.audio.speech.create(model="gpt-4o", voice="heart", input=TEXT)
    assert unknown.value.code == "model_not_found"


def test_instructions_are_said_to_have_no_effect(client: openai.OpenAI) -> None:
    answer = client.audio.speech.with_raw_response.create(
        model="tts-1", voice="heart", input=TEXT, instructions="Speak cheerfully."
    ).http_response
    assert answer.status_code == 200
    assert answer.headers["x-tts-ignored"] == "instructions"

"""Audio as server-sent events."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.events import Usage, delta, done


def events(stream: bytes) -> list[dict]:
    assert stream.endswith(b"\n\n") or not stream
    return [json.loads(event.removeprefix(b"data: ")) for event in stream.split(b"\n\n") if event]


@given(st.binary(max_size=100_000))
def test_the_audio_comes_back_whole(audio: bytes) -> None:
    found = events(delta(audio))
    assert all(set(event) == {"type", "audio"} and event["type"] == "speech.audio.delta" for event in found)
    assert b"".join(base64.b64decode(event["audio"], validate=True) for event in found) == audio


def test_no_line_is_longer_than_readers_take() -> None:
    lines = delta(bytes(1_000_000)).split(b"\n")
    assert max(map(len, lines)) < 64 * 1024


@pytest.mark.parametrize(("seconds", "tokens"), [(0.0, 0), (0.05, 1), (0.051, 2), (10.0, 200)])
def test_the_last_event_says_what_it_took(seconds: float, tokens: int) -> None:
    (event,) = events(done(Usage(characters=12, audio_seconds=seconds)))
    assert event == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 12, "output_tokens": tokens, "total_tokens": 12 + tokens},
    }

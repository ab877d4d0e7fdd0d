"""A recording that comes with its request, servers that keep no voices or take none, and real processes."""

import base64
import io
import logging
import wave
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import openai
import pytest
import requests

from serving.errors import UnspeakableError
from serving.synthesis import until_over
from serving.voices.voice import new_id
from tests.object_store import ADMIN, BUCKET, ObjectStore
from tests.serving import pitch
from tests.serving.cloning import (
    ADA,
    PATH,
    PER_KEY,
    Stack,
    add,
    asked,
    delete,
    heard,
    own,
    running,
    speak,
    stack,
    two_versions,
    write_keys,
)
from tests.serving.conftest import SPEECH, Running, Start
from tests.serving.recordings import RATE, TEXT, encoded, voice
from tests.serving.test_refusals import error_of

__all__ = ["stack", "two_versions"]


def once(recording: bytes, **fields: Any) -> dict[str, Any]:
    given = {"audio": base64.b64encode(recording).decode(), "consent": True, "transcript": TEXT} | fields
    return {key: value for key, value in given.items() if value is not None}


@pytest.mark.parametrize("kind", ["wav", "mp3", "flac", "m4a"])
def test_a_recording_rides_along_once_and_nothing_is_kept(
    stack: Stack, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "serving.speech")
    assert heard(speak(stack.first, reference=once(encoded(kind, voice(230))))) == pytest.approx(230, abs=5)
    assert stack.kept() == []
    assert [each.partition(" ")[0] for each in stack.first.engine.log] == ["derived", "forgot"]
    (line,) = [each for each in caplog.records if each.message == "speech"]
    assert vars(line)["fields"]["voice"] == "reference"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"consent": None}, "must have agreed"),
        ({"consent": False}, "must have agreed"),
        ({"consent": "true"}, "not accepted"),
        ({"transcript": None}, "the words that are spoken"),
        ({"audio": None}, "`reference.audio` is missing"),
        ({"audio": "http://127.0.0.1/voice.wav"}, "no address of it"),
        ({"audio": "file:///etc/passwd"}, "no address of it"),
        ({"audio": "/etc/passwd"}, "no address of it"),
        ({"audio": "data:audio/wav;base64,UklGRg=="}, "no `data:` before it"),
        ({"audio": base64.b64encode(encoded("wav", voice(seconds=2))).decode()}, "at least 3 s"),
        ({"audio": base64.b64encode(encoded("opus")).decode()}, "none of the formats"),
        ({"audio": "A" * (4 << 20)}, "is over"),
        ({"audio": base64.b64encode(bytes((2 << 20) + 1)).decode()}, "at most 2097152 are accepted"),
    ],
)
def test_a_recording_that_rides_along_is_checked_as_strictly(
    stack: Stack, fields: dict[str, Any], says: str
) -> None:
    answer = speak(stack.first, reference=once(encoded("wav"), **fields))
    assert answer.status_code in (400, 413)
    assert says in error_of(answer, answer.status_code)["message"]


@pytest.mark.parametrize("how", ["whole", "left", "cancelled", "failed"])
def test_what_is_derived_is_forgotten_however_the_answer_ends(how: str) -> None:
    over: list[str] = []

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
            if how == "failed":
                raise UnspeakableError("No.")
            await anyio.sleep(10 if how == "cancelled" else 0)
            yield b"last"
        finally:
            over.append("closed")

    async def listen() -> None:
        stream = until_over(parts(), lambda: over.append("over"))
        with anyio.move_on_after(0.05), suppress(UnspeakableError):
            async for _ in stream:
                if how == "left":
                    break
        await stream.aclose()

    anyio.run(listen)
    assert over == ["closed", "over"]


def test_one_voice_is_enough(stack: Stack) -> None:
    error = error_of(speak(stack.first, voice="plain", reference=once(encoded("wav"))), 400)
    assert "leave one of them out" in error["message"]


def test_a_recording_rides_along_while_a_voice_of_it_is_kept(stack: Stack) -> None:
    """What was derived of the kept one stays."""
    audio = encoded("flac", voice(340))
    kept = add(stack.first, audio).json()["id"]
    for fields in ({"voice": kept}, {"reference": once(audio)}, {"voice": kept}):
        assert heard(speak(stack.first, **fields)) == pytest.approx(340, abs=5)
    derived = [each for each in stack.first.engine.log if each.startswith("derived")]
    assert len(derived) == len(set(derived))


def test_an_engine_that_does_not_clone_says_so(server: Running) -> None:
    """hibari."""
    says = "The model hibari speaks in its own voices alone: it has not the capability `cloning`"
    answer = requests.post(server.url + PATH, files={"audio": ("a.wav", encoded("wav"))}, timeout=10)
    error = error_of(answer, 400)
    assert error["code"] == "cloning_unsupported"
    assert says in error["message"]
    for fields in ({"voice": new_id()}, {"reference": once(encoded("mp3"))}):
        error = error_of(server.speak("Hello.", **fields), 400)
        assert (error["code"], error["param"]) == ("cloning_unsupported", next(iter(fields)))
        assert says in error["message"]
    assert "recordings" not in requests.get(server.url + PATH, timeout=5).json()
    answer = requests.delete(f"{server.url}{PATH}/{new_id()}", timeout=5)
    assert error_of(answer, 409)["code"] == "voices_disabled"


def test_a_server_that_keeps_no_voices_takes_a_recording_with_its_request() -> None:
    with running(None, None) as stack:
        assert heard(speak(stack.first, reference=once(encoded("wav", voice(230))))) == pytest.approx(
            230, abs=5
        )
        assert error_of(add(stack.first), 409)["code"] == "voices_disabled"
        assert error_of(delete(stack.first, new_id()), 409)["code"] == "voices_disabled"
        assert error_of(speak(stack.first, voice=new_id()), 404)["code"] == "voice_not_found"
        assert asked(stack.first)["recordings"]["kept"] is False


def test_without_keys_all_callers_are_one_owner(tmp_path: Path) -> None:
    with running(tmp_path, None) as stack:
        kept = add(stack.first, key="ada").json()["id"]
        assert own(stack.first, "bob") == [kept]
        assert stack.kept()[0].startswith("prod/voices/pitch/_/voice_")


def test_real_servers_of_two_versions_before_a_bucket(
    start: Start, object_store: ObjectStore, tmp_path: Path
) -> None:
    """A voice of before the release is spoken after it, and gone everywhere once it is deleted."""
    store = {
        "bucket": BUCKET,
        "endpoint": object_store.url,
        "region": "us-east-1",
        "prefix": "two",
        "outputs": False,
    }
    more = {
        "TTS_STORE_ACCESS_KEY_ID": ADMIN[0],
        "TTS_STORE_SECRET_ACCESS_KEY": ADMIN[1],
        "TTS_API_KEYS": str(write_keys(tmp_path / "keys")),
    }
    before, after = (
        start(
            config=pitch.config(version, store=store | {"voices": {"perKey": PER_KEY}}),
            module="tests.serving.pitch",
            **more,
        )
        for version in ("1.0.0", "2.0.0")
    )
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {ADA}-secret"
    before.wait_ready()
    fields = {"name": "Ada", "consent": "true", "transcript": TEXT}
    files = {"audio": ("ada.m4a", encoded("m4a", voice(260)))}
    made = session.post(before.url + PATH, data=fields, files=files, timeout=60)
    assert made.status_code == 201, made.text
    kept = made.json()["id"]
    after.wait_ready()
    client = openai.OpenAI(base_url=f"{after.url}/v1", api_key=f"{ADA}-secret", max_retries=0)
    spoken = client.audio.speech.create(
        model="tts-1", voice={"id": kept}, input="Good morning to you.", response_format="wav"
    )
    with wave.open(io.BytesIO(spoken.content)) as reader:
        samples = np.frombuffer(reader.readframes(RATE), "<i2").astype(np.float32)
    assert pitch.pitch_of(samples, pitch.RATE) == pytest.approx(260, abs=5)
    assert session.delete(f"{before.url}{PATH}/{kept}", timeout=10).status_code == 204
    body = {"model": "tts", "input": "Hello.", "voice": kept}
    assert session.post(after.url + SPEECH, json=body, timeout=10).status_code == 404
    said = [line["message"].partition(" ")[0] for line in after.lines("tests.pitch")]
    assert said == ["derived", "forgot"]
    assert [each["id"] for each in session.get(after.url + PATH, timeout=10).json()["data"]] == ["plain"]

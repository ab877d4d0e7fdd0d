"""`/v1/voices`: who adds, sees and deletes which voices, and what is refused."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tests.serving import pitch
from tests.serving.cloning import (
    ADA,
    BOB,
    PATH,
    PER_KEY,
    PROBE,
    Served,
    Stack,
    add,
    added,
    asked,
    delete,
    heard,
    own,
    signed,
    speak,
    stack,
    two_versions,
)
from tests.serving.recordings import RATE, TEXT, encoded, noisy, stereo, voice
from tests.serving.test_refusals import error_of

__all__ = ["stack", "two_versions"]
BY_NATURE = {
    "id": "plain",
    "object": "voice",
    "name": "plain",
    "languages": ["en"],
    "default": True,
    "own": False,
}


def test_a_voice_is_added_spoken_listed_and_deleted(stack: Stack) -> None:
    answer = add(stack.first, encoded("mp3", voice(200)), name="  Ada  Lovelace ")
    assert answer.status_code == 201
    made = answer.json()
    told = ("name", "object", "own", "default", "transcript", "warnings", "languages")
    assert {key: made[key] for key in told} == {
        "name": "Ada Lovelace",
        "object": "voice",
        "own": True,
        "default": False,
        "transcript": TEXT,
        "warnings": [],
        "languages": ["en"],
    }
    assert made["seconds"] == pytest.approx(5, abs=0.1)
    assert asked(stack.first)["data"] == [BY_NATURE, made]
    assert heard(speak(stack.first)) == pytest.approx(500, abs=5)
    assert heard(speak(stack.first, voice=made["id"])) == pytest.approx(200, abs=5)
    assert heard(speak(stack.first, voice={"id": made["id"]})) == pytest.approx(200, abs=5)
    assert delete(stack.first, made["id"]).status_code == 204
    assert own(stack.first) == []
    error = error_of(speak(stack.first, voice=made["id"]), 404)
    assert (error["code"], error["param"]) == ("voice_not_found", "voice")
    assert error_of(delete(stack.first, made["id"]), 404)["code"] == "voice_not_found"
    assert stack.kept() == []


def test_what_is_kept_says_who_agreed_to_what_and_when(
    stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "serving.voices")
    made = add(stack.first, headers={"x-request-id": "the-request"}).json()
    audio, about = stack.kept()
    assert about == f"prod/voices/pitch/ada/{made['id']}/voice.json"
    assert audio == f"prod/voices/pitch/ada/{made['id']}/reference.flac"
    consent = json.loads((stack.volume / about).read_text())["consent"]
    assert (consent["by"], consent["request_id"]) == ("ada", "the-request")
    assert consent["statement"] == asked(stack.first)["recordings"]["consent"]
    assert consent["time"].startswith("20")
    (line,) = [each for each in caplog.records if each.message == "voice added"]
    assert vars(line)["fields"] == {"voice": made["id"], "caller": "ada", "request_id": "the-request"}


def test_another_version_speaks_in_it_and_derives_its_own(stack: Stack) -> None:
    """What the old version's servers were given is there for those of the new one, and the way back."""
    kept = added(stack.first, 260)
    assert own(stack.second) == [kept]
    for server in (stack.second, stack.first, stack.second):
        assert heard(speak(server, voice=kept)) == pytest.approx(260, abs=5)
    assert len(stack.first.engine.log) == 1, "once for each revision"
    assert stack.first.engine.log == stack.second.engine.log


def test_a_deletion_reaches_every_server_and_what_was_derived(stack: Stack) -> None:
    kept = added(stack.first, 280)
    for server in (stack.first, stack.second):
        assert heard(speak(server, voice=kept)) == pytest.approx(280, abs=5)
        assert len(server.engine.derived) == 1
    assert delete(stack.first, kept).status_code == 204
    assert stack.first.engine.derived == {}
    error_of(speak(stack.second, voice=kept), 404)
    assert stack.second.engine.derived == {}
    assert own(stack.second) == []


def test_another_keys_voice_is_not_there(stack: Stack) -> None:
    kept, nobodys = added(stack.first, 220), "voice_" + "0" * 32
    heard(speak(stack.first, voice=kept))
    assert own(stack.first, BOB) == []
    error = error_of(speak(stack.first, BOB, voice=kept), 404)
    assert error["code"] == "voice_not_found"
    other = error_of(speak(stack.first, BOB, voice=nobodys), 404)
    assert other["message"].replace(nobodys, kept) == error["message"], "nothing says that it is there"
    assert error_of(delete(stack.first, kept, BOB), 404)["code"] == "voice_not_found"
    assert own(stack.first) == [kept]


def test_two_voices_are_never_mixed_up(stack: Stack) -> None:
    """Many at once, of two owners, through one server."""
    places = ((ADA, 180.0), (ADA, 320.0), (BOB, 240.0))
    voices = {(key, tone): added(stack.first, tone, key) for key, tone in places}

    def is_right(place: tuple[str, float]) -> bool:
        return abs(heard(speak(stack.first, place[0], voice=voices[place])) - place[1]) < 5

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(is_right, [*voices] * 4))


@pytest.mark.parametrize("consent", [None, "", "false", "yes"])
def test_without_consent_nothing_is_kept(stack: Stack, consent: str | None) -> None:
    error = error_of(add(stack.first, consent=consent), 400)
    assert (error["code"], error["param"]) == ("consent_missing", "consent")
    assert stack.kept() == []


@pytest.mark.parametrize(
    ("audio", "says"),
    [
        (encoded("wav", voice(seconds=2)), "2.0 s, and at least 3 s"),
        (encoded("wav", voice(seconds=13)), "longer than 12 s"),
        (encoded("wav", np.zeros(5 * RATE, np.float32)), "is silent"),
        (encoded("opus"), "in none of the formats that are read here: send wav, mp3, flac, m4a"),
        (b"", "in none of the formats"),
        (b"RIFF\x00\x00\x00\x00WAVE", "The wav file"),
        (b"http://127.0.0.1/voice.wav", "in none of the formats"),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused(stack: Stack, audio: bytes, says: str) -> None:
    error = error_of(add(stack.first, audio), 400)
    assert says in error["message"]
    assert (error["code"], error["param"]) == ("unusable_recording", "audio")
    assert stack.kept() == []


@pytest.mark.parametrize(
    ("audio", "code"),
    [
        (encoded("wav", np.clip(voice() * 6, -1, 1)), "clipped"),
        (encoded("wav", noisy(voice(), 12)), "noisy"),
        (encoded("wav", np.concatenate([voice(200, 2.1), voice(320, 2.1)])), "several_speakers"),
    ],
)
def test_a_recording_with_flaws_is_kept_with_a_warning(stack: Stack, audio: bytes, code: str) -> None:
    made = add(stack.first, audio).json()
    assert [each["code"] for each in made["warnings"]] == [code]
    assert made["warnings"][0]["message"].endswith(".")
    assert asked(stack.second)["data"][-1] == made


def test_channels_and_other_rates_are_taken(stack: Stack) -> None:
    one = voice(250, rate=44_100)
    kept = add(stack.first, stereo(one, one, 44_100)).json()
    assert heard(speak(stack.second, voice=kept["id"])) == pytest.approx(250, abs=5)
    (about,) = stack.volume.rglob("voice.json")
    fields = json.loads(about.read_text())
    assert (fields["sample_rate"], fields["channels"], fields["container"]) == (44_100, 2, "wav")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"transcript": None}, "transcript"),
        ({"transcript": "x" * 1001}, "transcript"),
    ],
)
def test_fields_that_are_wrong_are_named(stack: Stack, fields: dict[str, Any], param: str) -> None:
    assert error_of(add(stack.first, **fields), 400)["param"] == param
    assert stack.kept() == []


def test_what_is_no_form_is_refused(stack: Stack) -> None:
    def said(**request: Any) -> str:
        headers = signed(ADA) | request.pop("headers", {})
        return str(error_of(stack.first.client.post(PATH, headers=headers, **request), 400)["message"])

    assert "send multipart/form-data" in said(json={"name": "Ada"})
    assert "send multipart/form-data" in said(data={"name": "Ada"})
    assert "send multipart/form-data" in said(content=b"{}")
    assert "cannot be read" in said(content=b"x", headers={"content-type": "multipart/form-data"})
    assert "`audio` is missing or no file" in said(files={"audio": (None, "text"), "name": (None, "Ada")})
    assert "cannot be read" in said(files=[("audio", ("a.wav", b"a")), ("audio", ("b.wav", b"b"))])
    assert stack.kept() == []


def test_a_recording_that_is_too_large_is_refused(stack: Stack) -> None:
    for size in ((8 << 20) + 1, 9 << 20):
        assert "at most 8388608 bytes" in error_of(add(stack.first, bytes(size)), 413)["message"]
    assert error_of(add(stack.first, bytes(8 << 20)), 400)["code"] == "unusable_recording"
    assert stack.kept() == []


def test_a_key_has_so_many_voices_and_no_more(stack: Stack) -> None:
    audio = encoded("flac", voice(seconds=3))
    for _ in range(PER_KEY):
        assert add(stack.first, audio).status_code == 201
    assert error_of(add(stack.second, audio), 409)["code"] == "too_many_voices"
    assert add(stack.first, audio, BOB).status_code == 201
    delete(stack.first, own(stack.first)[0])
    assert add(stack.second, audio).status_code == 201


@pytest.mark.parametrize(
    "place", ["..", "%2e%2e", "..%2f..%2fbob", "voice_" + "0" * 31, "plain", "a" * 300, "voice.json"]
)
def test_an_id_leads_to_no_other_place(stack: Stack, place: str) -> None:
    kept = added(stack.first, key=BOB)
    assert delete(stack.first, place).status_code in (404, 405)
    assert own(stack.first, BOB) == [kept]
    assert speak(stack.first, voice=f"../bob/{kept}").status_code == 400


@pytest.mark.parametrize(
    "headers", [{"x-tts-answered-by": "another"}, {"host": "tts.example-shadow"}, {"x-tts-probe": "r"}]
)
def test_probes_and_copies_change_nothing(stack: Stack, headers: dict[str, str]) -> None:
    key = PROBE if "x-tts-probe" in headers else ADA
    kept = added(stack.first, key=key)
    before = stack.kept()
    assert error_of(add(stack.first, key=key, headers=headers), 409)["code"] == "not_a_callers"
    assert error_of(delete(stack.first, kept, key, **headers), 409)["code"] == "not_a_callers"
    assert heard(speak(stack.first, key, headers, voice=kept)) == pytest.approx(200, abs=5)
    assert stack.kept() == before


def test_without_a_key_nobody_is_answered(stack: Stack) -> None:
    assert stack.first.client.get(PATH).status_code == 401
    assert add(stack.first, key="eve").status_code == 401
    assert stack.kept() == []


def test_what_the_model_asks_of_a_recording_is_said(stack: Stack) -> None:
    terms = asked(stack.first)["recordings"]
    assert terms.pop("consent").startswith("The person who speaks in this recording has agreed")
    assert terms == {
        "kept": True,
        "per_key": PER_KEY,
        "seconds": list(pitch.SECONDS),
        "transcript": True,
        "emotion": True,
        "formats": ["wav", "mp3", "flac", "m4a"],
        "max_bytes": 8 << 20,
        "max_bytes_once": 2 << 20,
    }
    models = stack.first.client.get("/v1/models", headers=signed(ADA)).json()
    assert models["data"][0]["capabilities"]["cloning"] is True


def test_a_recording_that_another_model_cannot_take_is_refused_when_it_speaks(stack: Stack) -> None:
    """What was added under other limits, by a version before."""
    kept = added(stack.first)
    (about,) = stack.volume.rglob("voice.json")
    fields = json.loads(about.read_text())
    changes = (({"seconds": 25.0}, "takes 3 to 12 s"), ({"transcript": ""}, "the words that are spoken"))
    for changed, says in changes:
        about.write_text(json.dumps(fields | changed))
        assert says in error_of(speak(stack.second, voice=kept), 400)["message"]


def test_a_store_that_is_away_is_a_503_and_nothing_is_half_stored(stack: Stack) -> None:
    kept, aside = added(stack.first), stack.volume / "aside"
    (stack.volume / "prod").rename(aside)
    (stack.volume / "prod").symlink_to("prod")  # whoever follows it never comes to an end
    try:
        for answer in (
            *(add(stack.first), speak(stack.first, voice=kept), delete(stack.first, kept)),
            stack.first.client.get(PATH, headers=signed(ADA)),
        ):
            error = error_of(answer, 503)
            assert error["code"] == "store_unavailable"
            assert error["message"] == "The store does not answer; try again in a moment."
            assert answer.headers["retry-after"] == "5"
        assert heard(speak(stack.first)) == pytest.approx(500, abs=5), "the model's own voices need no store"
    finally:
        (stack.volume / "prod").unlink()
        aside.rename(stack.volume / "prod")
    assert own(stack.first) == [kept]
    assert len(stack.kept()) == 2
    text = stack.first.client.get("/metrics").text
    for operation in ("add_voice", "read_voices", "delete_voice"):
        (line,) = [
            each for each in text.splitlines() if f'tts_store_failures_total{{operation="{operation}"' in each
        ]
        assert float(line.rpartition(" ")[2]) >= 1


def test_many_are_added_and_deleted_at_once(stack: Stack) -> None:
    audio, stop = encoded("flac", voice(seconds=3)), threading.Event()

    def look() -> None:
        while not stop.is_set():
            own(stack.second)

    def come_and_go(server: Served) -> None:
        for _ in range(4):
            answer = add(server, audio)
            assert answer.status_code == 201, answer.text
            assert delete(server, answer.json()["id"]).status_code == 204

    with ThreadPoolExecutor(4) as pool:
        looking = pool.submit(look)
        going = [pool.submit(come_and_go, server) for server in (stack.first, stack.second, stack.first)]
        try:
            for each in going:
                each.result()
        finally:
            stop.set()
        looking.result()
    assert stack.kept() == []

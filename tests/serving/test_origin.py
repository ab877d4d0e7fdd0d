"""Whose request it is: probes and mirrored copies are told from users', and only users' may be stored."""

import re

import pytest
import requests

from serving.origin import Origin, gate_of, origin_of
from tests.serving.conftest import Running


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "speech.example"}, Origin.USER),
        ({}, Origin.USER),
        ({"host": "speech.example-shadow"}, Origin.MIRROR),
        ({"host": "speech.example-shadow:8080"}, Origin.MIRROR),
        ({"host": "Speech.Example-SHADOW"}, Origin.MIRROR),
        ({"host": "-shadow.example"}, Origin.USER),
        ({"host": "[::1]-shadow:80"}, Origin.MIRROR),
        ({"host": "[::1]"}, Origin.USER),
        ({"host": "speech.example", "x-tts-answered-by": "hibari-1-0-0-abcdef"}, Origin.USER),
        ({"host": "speech.example", "x-tts-answered-by": "other,hibari-1-0-0-abcdef"}, Origin.USER),
        ({"host": "speech.example", "x-tts-answered-by": "other, hibari-1-0-0-abcde"}, Origin.MIRROR),
        ({"host": "speech.example", "x-tts-answered-by": ""}, Origin.MIRROR),
        ({"x-tts-answered-by": "other", "x-tts-probe": "hibari-release-1"}, Origin.PROBE),
        ({"host": "127.0.0.1:6006", "x-tts-probe": "hibari-release-1"}, Origin.PROBE),
        ({"host": "speech.example", "x-tts-probe": ""}, Origin.PROBE),
        ({"host": "speech.example-shadow", "x-tts-probe": "hibari-release-1"}, Origin.PROBE),
    ],
)
def test_the_origin_is_read_from_the_headers(headers: dict[str, str], origin: Origin) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert origin_of({"type": "http", "headers": raw}, "hibari-1-0-0-abcdef") is origin


GATE = {"x-tts-probe": "hibari-release-1", "x-tts-keep": "gate"}
MINE = "hibari-1-0-0-abcdef"


@pytest.mark.parametrize(
    ("headers", "release"),
    [
        (GATE, "hibari-release-1"),
        (GATE | {"x-tts-answered-by": MINE}, "hibari-release-1"),
        ({"x-tts-probe": "hibari-release-1"}, None),
        ({"x-tts-keep": "gate"}, None),
        (GATE | {"x-tts-keep": "always"}, None),
        (GATE | {"x-tts-probe": ""}, None),
        (GATE | {"x-tts-probe": "a release"}, None),
        (GATE | {"x-tts-answered-by": "another"}, None),
        (GATE | {"host": "speech.example-shadow"}, None),
        (GATE | {"x-forwarded-for": "203.0.113.7"}, None),
        (GATE | {"x-forwarded-proto": "http"}, None),
    ],
)
def test_a_gate_is_a_releases_own_request_at_the_pod_itself(
    headers: dict[str, str], release: str | None
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert gate_of({"type": "http", "headers": raw}, MINE) == release


def test_where_keys_are_wanted_a_gate_has_that_of_a_release() -> None:
    raw = [(name.encode(), value.encode()) for name, value in GATE.items()]
    callers = {"probe": "hibari-release-1", "ada": None, None: None}
    for caller, release in callers.items():
        assert gate_of({"type": "http", "headers": raw, "tts.caller": caller}, MINE) == release


def test_only_what_users_send_may_be_recorded() -> None:
    assert [origin for origin in Origin if origin.recorded] == [Origin.USER]


def series(server: Running) -> dict[str, float]:
    """Every series about speech, by its name and labels without the version."""
    lines = requests.get(f"{server.url}/metrics", timeout=5).text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("tts_") and "_created" not in line)
    return {name.replace(',version="1.0.0"', ""): float(value) for name, _, value in found}


def test_each_origin_is_counted_apart_and_users_from_the_start(start) -> None:
    server = start()
    server.wait_ready()
    first = series(server)
    for name in (
        'tts_requests_total{code="200",origin="user"}',
        'tts_requests_total{code="500",origin="user"}',
        'tts_first_audio_seconds_count{origin="user"}',
        'tts_request_seconds_count{origin="user"}',
        'tts_audio_seconds_total{origin="user"}',
        'tts_in_flight{origin="user"}',
        'tts_busy_slot_seconds_total{origin="user"}',
    ):
        assert first[name] == 0
    assert not any("probe" in name or "mirror" in name for name in first)
    body = {"model": "tts", "input": "Hello."}
    speech = f"{server.url}/v1/audio/speech"
    for number in range(3):
        requests.post(speech, json=body, headers={"x-tts-probe": f"release-{number}"}, timeout=30)
    requests.post(speech, json=body, headers={"x-tts-answered-by": "another"}, timeout=30)
    then = series(server)
    for metric in ("tts_requests_total", "tts_first_audio_seconds_count", "tts_request_seconds_count"):
        code = 'code="200",' if metric == "tts_requests_total" else ""
        counted = {
            origin: then[f'{metric}{{{code}origin="{origin}"}}'] for origin in ("user", "probe", "mirror")
        }
        assert counted == {"user": 0, "probe": 3, "mirror": 1}
    assert (
        then['tts_audio_seconds_total{origin="probe"}'] > then['tts_audio_seconds_total{origin="mirror"}'] > 0
    )
    assert then['tts_audio_seconds_total{origin="user"}'] == 0
    origins = {label for name in then for label in re.findall('origin="([^"]*)"', name)}
    assert origins == {"user", "probe", "mirror"}, "what the header says is no label"
    origins = [(line["origin"], line["code"]) for line in server.lines("serving.speech")]
    assert origins == [("probe", 200)] * 3 + [("mirror", 200)]

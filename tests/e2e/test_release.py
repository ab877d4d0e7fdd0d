"""The main job, as a user sees it: release, switch under traffic, go back, edit the server, take all away."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import wave

import numpy as np
import requests

from tests.e2e.conftest import Platform, Traffic


def decode(content: bytes) -> tuple[int, np.ndarray]:
    """Sample rate in hertz and samples in -1..1 of a streamed wav, whose header does not know its length."""
    with wave.open(io.BytesIO(content)) as reader:
        rate = reader.getframerate()
    return rate, np.frombuffer(content[44:], "<i2").astype(np.float32) / 32768


def test_first_release_speaks(platform: Platform) -> None:
    answer = platform.speak("Good morning, this is the first release.", seed="1")
    assert answer.status_code == 200, answer.text
    rate, samples = decode(answer.content)
    level = 20 * np.log10(np.sqrt(np.mean(samples**2)))
    assert rate == 24000
    assert 1.5 < len(samples) / rate < 6
    assert -35 < level < -15
    assert answer.headers["x-tts-version"] == "1.0.0"
    assert "<html" in requests.get(platform.url, timeout=10).text


def test_up_without_an_edit_changes_nothing(platform: Platform) -> None:
    before = platform.processes()
    again = platform.up()
    assert again.status == 0, again.text
    assert "changes nothing" in again.text.lower() or "nothing changed" in again.text.lower(), again.text
    assert platform.processes() == before


def test_preview_names_what_an_edit_would_do_and_touches_nothing(platform: Platform) -> None:
    before = platform.processes()
    platform.configure(modelVersion="1.1.0")
    plan = platform.run("preview", "--stack", "dev")
    platform.configure(modelVersion="1.0.0")
    assert plan.status == 0, plan.text
    assert "hibari-1-1-0-" in plan.text
    assert "create" in plan.text
    assert "delete" in plan.text
    assert platform.processes() == before
    assert platform.live_version() == "1.0.0"


def test_switch_and_back_under_traffic_drops_nothing(platform: Platform) -> None:
    for version, old in (("1.1.0", "1.0.0"), ("1.0.0", "1.1.0")):
        platform.configure(modelVersion=version)
        with Traffic(platform) as traffic:
            done = platform.up()
        assert done.status == 0, done.text
        assert traffic.faults == []
        assert re.search(r"^Guard: dropped 0 of [1-9]\d* \(at most ", done.text, re.MULTILINE), done.text
        assert {old, version} == set(traffic.versions), "both versions answer while the weights move"
        assert platform.live_version() == version
        left = [name for name in platform.servers() if name.startswith(f"hibari-{old.replace('.', '-')}-")]
        assert left == [], "the old revision's processes are gone"


def test_a_pinned_request_falls_back_when_its_version_is_gone(platform: Platform) -> None:
    answer = platform.speak(**{"x-tts-version": "9.9.9"})
    assert answer.status_code == 200
    assert answer.headers["x-tts-version"] == "1.0.0"


def test_status_says_what_is_live(platform: Platform) -> None:
    said = platform.run("status", "--stack", "dev")
    assert said.status == 0, said.text
    assert "1.0.0" in said.text
    assert "100" in said.text


def test_an_edit_of_the_server_alone_is_a_release_and_a_second_up_names_who_holds_the_lock(
    platform: Platform,
) -> None:
    before = platform.speak().headers["x-tts-revision"]
    platform.edit("serving/__init__.py", "", "# A change of the server that changes no model.\n")
    with Traffic(platform) as traffic:
        first = platform.start("up", "--stack", "dev")
        assert first.stdout is not None
        assert first.stdout.readline() != ""  # it has begun
        second = platform.up()
        text, _ = first.communicate(timeout=240)
    assert first.returncode == 0, text
    assert second.status != 0
    assert str(first.pid) in second.text, second.text
    assert traffic.faults == []
    answer = platform.speak()
    assert answer.headers["x-tts-version"] == "1.0.0"
    assert answer.headers["x-tts-revision"] != before


def test_down_leaves_no_process_and_no_port(platform: Platform) -> None:
    done = platform.run("down", "--stack", "dev")
    assert done.status == 0, done.text
    assert platform.processes() == []
    listening = subprocess.run(
        [sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {platform.port}), 1)"],
        capture_output=True,
        check=False,
    )
    assert listening.returncode != 0
    back = platform.up()
    assert back.status == 0, back.text


def test_two_stacks_share_a_platform(platform: Platform) -> None:
    text = json.loads(json.dumps((platform.checkout / "Pulumi.dev.yaml").read_text()))
    (platform.checkout / "Pulumi.other.yaml").write_text(text)
    platform.configure(
        stack="other", name="other", namespace="other", host="other.test", modelVersion="1.1.0"
    )
    added = platform.up(stack="other")
    assert added.status == 0, added.text
    assert platform.live_version() == "1.0.0"
    answer = platform.speak(Host="other.test")
    assert answer.headers["x-tts-version"] == "1.1.0"
    assert answer.headers["x-tts-revision"].startswith("other-1-1-0-")
    gone = platform.run("down", "--stack", "other")
    assert gone.status == 0, gone.text
    assert platform.live_version() == "1.0.0"

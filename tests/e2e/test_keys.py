"""API keys on the embedded platform: a stack that asks for them is released as any other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import Platform, Traffic, make_platform
from tests.waiting import eventually


def versions(platform: Platform, headers: dict[str, str]) -> list[tuple[str, str, int]]:
    """What callers may know of the versions."""
    listed = requests.get(f"{platform.url}/v1/versions", headers=headers, timeout=10).json()["data"]
    return [(each["version"], each["role"], each["weight"]) for each in listed]


@pytest.mark.matrix
def test_a_stack_with_keys_is_installed_switched_and_opened_again(tmp_path: Path) -> None:
    platform = make_platform(tmp_path / "platform")
    platform.configure(
        apiKeys={"secret": "speech-keys"}, store={"claim": "kept"}, records={"days": 30}, listVersions=True
    )
    try:
        without = platform.up()
        assert without.status != 0
        assert "has no keys and no probe: `make api-key NAME=you STACK=dev`" in without.text
        made = platform.run("api-key", "ada")
        key = made.text.splitlines()[0]
        first = platform.up()
        assert first.status == 0, first.text
        assert platform.speak().status_code == 401
        mine = {"authorization": f"Bearer {key}"}
        assert platform.speak(**mine).status_code == 200
        assert requests.get(f"{platform.url}/metrics", timeout=5).status_code == 401, "through the gateway"

        answer = platform.speak("Good for training.", **mine)
        rated = requests.post(
            f"{platform.url}/v1/audio/speech/{answer.headers['x-request-id']}/rating",
            json={"rating": "up"},
            headers=mine,
            timeout=10,
        )
        assert rated.status_code == 204, rated.text
        assert eventually(lambda: versions(platform, mine)) == [("1.0.0", "stable", 100)]
        out = tmp_path / "records"
        exported = platform.run("export-records", str(out), "--rated", "up")
        assert "1 records, 1 with audio" in exported.text
        metadata = json.loads((out / "metadata.jsonl").read_text())
        assert (metadata["text"], metadata["version"]) == ("Good for training.", "1.0.0")
        whole = platform.run("export-records", str(tmp_path / "all"))
        assert "2 records" in whole.text, "what a release asks itself is none"

        with Traffic(platform, headers=mine) as traffic:
            platform.configure(modelVersion="1.1.0")
            switched = platform.up()
        assert switched.status == 0, switched.text
        assert traffic.faults == []
        assert eventually(lambda: versions(platform, mine)[0][0] == "1.1.0")
        assert re.search(r"dropped 0 of \d+", switched.text)

        platform.configure(apiKeys={"secret": "speech-keys", "required": False})
        opened = platform.up()
        assert opened.status == 0, opened.text
        assert re.search(r"dropped 0 of \d+", opened.text)
        assert "tts:apiKeys.required is false" in opened.text
        assert platform.speak().status_code == 200
        told = " ".join([first.text, switched.text, opened.text])
        assert (platform.home / "secrets/tts/speech-keys/probe").read_text() not in told
    finally:
        platform.run("down", "--stack", "dev")
    assert platform.processes() == []

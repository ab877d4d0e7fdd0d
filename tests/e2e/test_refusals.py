"""What is wrong with a release is refused with one clear sentence, and the live version never notices."""

from __future__ import annotations

import re
import time

import pytest

from tests.e2e.conftest import Platform, Traffic
from tests.e2e.faults import (
    APP,
    ENGINE,
    ENTRY,
    LOADED,
    REVERTS,
    Refusal,
    attempt,
    candidate,
    cases,
    config,
    mend,
    revert,
)

# Refused before anything is started.
AT_ONCE = [
    Refusal("unknown version", config(modelVersion="7.7.7"), ("tts:modelVersion", "7.7.7", "1.0.0", "1.1.0")),
    Refusal("latest", config(modelVersion="latest"), ("tts:modelVersion", "latest")),
    Refusal("build metadata", config(modelVersion="1.1.0+gpu"), ("tts:modelVersion", "1.1.0+gpu", "+")),
    Refusal(
        "secret in config",
        config(registry={"secure": "AAABAAjXyZ"}),
        ("tts:registry", "secret", "Secret"),
    ),
    Refusal(
        "wrong sha256",
        candidate(ENTRY, "b1cfe472da94", "000000000000"),
        ("hibari.onnx", "000000000000", "b1cfe472da94"),
    ),
]

# Refused after the candidate was started: its pods remain to be looked at.
AFTER_THE_START = [
    Refusal(
        "crash while loading",
        candidate(ENGINE, LOADED, "raise RuntimeError('the tensor is missing')\n        " + LOADED),
        ("the tensor is missing",),
    ),
    Refusal(
        "wrong sample rate",
        candidate(
            "serving/encoding.py", "return struct.pack(", "sample_rate = 16000\n    return struct.pack("
        ),
        ("sampleRate", "16000", "24000"),
    ),
    Refusal(
        "another version's name",
        candidate(APP, '"x-tts-version": config.version', '"x-tts-version": "0.9.9"'),
        ("identity", "0.9.9", "1.1.0"),
    ),
]
# The first runs always; what else a candidate's pods show is judged without a platform, in tests/release.
CASES = cases(AFTER_THE_START, always=("crash while loading",))


@pytest.mark.parametrize("refusal", AT_ONCE, ids=lambda refusal: refusal.name)
def test_refused_before_anything_starts(platform: Platform, refusal: Refusal) -> None:
    before = platform.server_processes()
    _, traffic = attempt(platform, refusal)
    assert set(traffic.versions) <= {"1.0.0"}
    assert platform.server_processes() == before


@pytest.mark.parametrize("refusal", CASES)
def test_a_bad_candidate_is_refused_and_never_gets_traffic(platform: Platform, refusal: Refusal) -> None:
    live = platform.speak().headers["x-tts-revision"]
    done, traffic = attempt(platform, refusal)
    assert set(traffic.revisions) == {live}, "the bad candidate never got traffic"
    assert re.search(r"Pod hibari-1-1-0-\S+ remains", done.text), "what remains is named:\n" + done.text
    assert REVERTS in done.text, "the line that reverts is printed:\n" + done.text
    revert(platform, live)


def test_a_candidate_that_never_gets_ready_is_refused_in_its_budget(platform: Platform) -> None:
    hanging = {"loadDelaySeconds": 7200, "timeouts": {"nodeSeconds": 0, "pullSeconds": 1}}
    platform.configure(modelVersion="1.1.0", **hanging)
    platform.edit_entry("1.1.0", "load", budgetSeconds=10)
    began = time.monotonic()
    try:
        with Traffic(platform, per_second=2) as traffic:
            done = platform.up(timeout=280)
            spent = time.monotonic() - began
    finally:
        platform.configure(loadDelaySeconds=None)
        mend(platform)
    assert done.status != 0
    assert "no progress for 11 s" in done.text, done.text
    assert "10 s to load (load.budgetSeconds of its catalog entry)" in done.text
    assert 11 <= spent < 40
    assert REVERTS in done.text
    assert traffic.faults == []
    assert set(traffic.versions) == {"1.0.0"}

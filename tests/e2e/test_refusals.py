"""What is wrong with a release is refused with one clear sentence, and the live version never notices."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import Finished, Platform, Traffic

ENGINE = "serving/engines/hibari/engine.py"
REVERTS = "To go back: make release VERSION=1.0.0"
SPOKEN = "yield np.clip(samples, -1.0, 1.0)"
LOADED = "self._hibari = Hibari("


@dataclass(frozen=True)
class Refusal:
    """A bad edit, and the words by which its cause must be named."""

    name: str
    edit: Callable[[Platform], None]
    words: tuple[str, ...]


def config(**values: object) -> Callable[[Platform], None]:
    return lambda platform: platform.configure(**values)


def candidate(relative: str, old: str, new: str) -> Callable[[Platform], None]:
    def edit(platform: Platform) -> None:
        platform.configure(modelVersion="1.1.0")
        platform.edit(relative, old, new)

    return edit


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
        candidate("models/hibari/1.1.0.yaml", "b1cfe472da94", "000000000000"),
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
        "silence",
        candidate(ENGINE, SPOKEN, "yield samples * np.float32(text == self.warm_up_text)"),
        ("level",),
    ),
    Refusal(
        "half of the audio",
        candidate(ENGINE, SPOKEN, "yield np.clip(samples[: len(samples) // 2], -1.0, 1.0)"),
        ("duration",),
    ),
    Refusal(
        "wrong sample rate",
        candidate("serving/audio.py", "return struct.pack(", "sample_rate = 16000\n    return struct.pack("),
        ("sampleRate", "16000", "24000"),
    ),
    Refusal(
        "another version's name",
        candidate("serving/app.py", '"x-tts-version": config.version', '"x-tts-version": "0.9.9"'),
        ("identity", "0.9.9", "1.1.0"),
    ),
]

EDITED = [ENGINE, "serving/audio.py", "serving/app.py", "models/hibari/1.1.0.yaml"]


def mend(platform: Platform) -> None:
    for relative in EDITED:
        platform.restore(relative)
    platform.configure(modelVersion="1.0.0", registry="local.tts", timeouts=None)


def attempt(platform: Platform, refusal: Refusal) -> tuple[Finished, list[str]]:
    """Makes the bad edit and runs `up` under traffic: it is refused in the refusal's words, and no request
    fails. Gives how `up` ended and the versions that answered."""
    refusal.edit(platform)
    try:
        with Traffic(platform) as traffic:
            done = platform.up()
    finally:
        mend(platform)
    assert done.status != 0
    for word in refusal.words:
        assert word in done.text, done.text
    assert "Traceback" not in done.text
    assert traffic.faults == []
    return done, traffic.versions


@pytest.mark.parametrize("refusal", AT_ONCE, ids=lambda refusal: refusal.name)
def test_refused_before_anything_starts(platform: Platform, refusal: Refusal) -> None:
    before = platform.processes()
    _, versions = attempt(platform, refusal)
    assert set(versions) <= {"1.0.0"}
    assert platform.processes() == before


@pytest.mark.parametrize("refusal", AFTER_THE_START, ids=lambda refusal: refusal.name)
def test_a_bad_candidate_is_refused_and_never_gets_traffic(platform: Platform, refusal: Refusal) -> None:
    done, versions = attempt(platform, refusal)
    assert set(versions) == {"1.0.0"}, "the bad candidate never got traffic"
    assert re.search(r"Pod hibari-1-1-0-\S+ remains", done.text), "what remains is named:\n" + done.text
    assert REVERTS in done.text, "the line that reverts is printed:\n" + done.text

    reverted = platform.up()
    assert reverted.status == 0, reverted.text
    assert [name for name in platform.servers() if name.startswith("hibari-1-1-0-")] == []
    assert platform.live_version() == "1.0.0"


def test_a_candidate_that_never_gets_ready_is_refused_in_its_budget(platform: Platform) -> None:
    platform.configure(modelVersion="1.1.0", timeouts={"nodeSeconds": 0, "pullSeconds": 1})
    platform.edit(ENGINE, LOADED, "__import__('time').sleep(3600)\n        " + LOADED)
    try:
        with Traffic(platform, per_second=2) as traffic:
            done = platform.up(timeout=280)
    finally:
        mend(platform)
    assert done.status != 0
    assert "ready" in done.text
    assert REVERTS in done.text
    assert traffic.faults == []
    assert set(traffic.versions) == {"1.0.0"}

"""What `make demo` shows: a version is served, the next is released under traffic, nothing is dropped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2

from local import wav
from local.home import CHECKOUT, Home
from local.keys import own_key
from local.traffic import Report, Traffic

FIRST, SECOND = "1.0.0", "1.1.0"
RATE = 5.0
AFTERWARDS_SECONDS = 2.0
SPOKEN = "This is the new version. The old one was removed after the last request had moved over."
LOCAL = (sys.executable, "-m", "local")


def run_demo(stack: str, *, home: Home | None = None, command: Sequence[str] = LOCAL) -> int:
    """Release two versions one after the other; return 0 when the second one answers and nothing was dropped.

    `command` is what releases a version: it is given `release VERSION --stack STACK`.
    """
    home = home or Home.from_environment()
    url = f"http://127.0.0.1:{home.gateway_port}"
    _say(f"1. Version {FIRST} is brought up.")
    if not _release(FIRST, stack, command):
        return _failed(FIRST)
    _say(f"\n2. Version {SECOND} is released while {RATE:g} requests a second arrive at {url}.")
    traffic = Traffic(url, rate=RATE, headers=own_key())
    traffic.start()
    try:
        released = _release(SECOND, stack, command)
        traffic.wait(AFTERWARDS_SECONDS)
    finally:
        report = traffic.stop()
    if not released:
        _say("\n".join([*report.reasons, report.sentence()]))
        return _failed(SECOND)
    _say("\n3. Which version answered, in the order of time:")
    _say("\n".join([*report.timeline(), report.first_audio()]))
    spoken = _speak(url, home.root / "demo.wav")
    _say("\n".join(_closing(report, spoken=spoken, url=url)))
    moved = bool(report.answers) and report.answers[-1].version == SECOND
    if not moved:
        _say(
            f"The last answer did not come from version {SECOND}; `python -m local status` says what is live."
        )
    return 0 if moved and spoken and not report.dropped else 1


def _release(version: str, stack: str, command: Sequence[str]) -> bool:
    finished = subprocess.run([*command, "release", version, "--stack", stack], cwd=CHECKOUT, check=False)
    return finished.returncode == 0


def _speak(url: str, file: Path) -> str:
    """Save one spoken sentence and describe it; return an empty string when the server did not speak."""
    try:
        body = {"model": "tts", "input": SPOKEN, "response_format": "wav"}
        headers = own_key()
        response = httpx2.post(
            f"{url}/v1/audio/speech", json=body, headers=headers, timeout=30, trust_env=False
        )
        response.raise_for_status()
        speech = wav.decode(response.content)
    except (httpx2.HTTPError, wav.WavError) as error:
        _say(f"The closing sentence was not spoken: {error}")
        return ""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(response.content)
    return f"{file}: {speech.seconds:.1f} s at {speech.sample_rate} Hz, level {speech.level:.0f} dBFS"


def _closing(report: Report, *, spoken: str, url: str) -> list[str]:
    said = [f"Listen to {spoken}"] if spoken else []
    return [
        "",
        *said,
        *report.reasons,
        report.sentence(),
        f"The model is served at {url}",
        f"Try next: make release VERSION={FIRST}",
    ]


def _failed(version: str) -> int:
    _say(f"The demo ends here: version {version} was not released, for the reason above.")
    return 1


def _say(text: str) -> None:
    """Print at once, so that the lines of the commands in between stay in order."""
    print(text, flush=True)

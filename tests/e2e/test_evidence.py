"""What a release leaves behind: its Events, and a receipt that anyone can decide again. And the guard, which
restores the route when the release is gone for good.

The tests build on one another, in this order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from release.lease import LEASE_SECONDS
from tests.e2e.conftest import ROLLOUT, Finished, Platform, Traffic
from tests.e2e.faults import wrong_words
from tests.e2e.live import Api, not_kept, weights

RECEIPT_BYTES = 200_000
KEYS = {
    *(
        "release",
        "target",
        "others",
        "provenance",
        "rollout",
        "started",
        "ended",
        "seconds",
        "startupSeconds",
    ),
    *("before", "outcome", "verdict", "refusedFor", "verdictAt", "restoreSeconds", "findings"),
    *("findingsLeftOut", "steps", "probes", "audioStore", "audio", "events"),
}


@pytest.fixture(scope="module")
def brief() -> bool:
    return False


def reasons(api: Api) -> list[str]:
    return [event["reason"] for event in api.events()]


def replay(platform: Platform, receipt: dict[str, Any], folder: Path) -> Finished:
    path = folder / "receipt.json"
    path.write_text(json.dumps(receipt))
    done = subprocess.run(
        [sys.executable, "-m", "release", "replay", str(path)],
        cwd=platform.checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    return Finished(done.returncode, done.stdout + done.stderr)


def test_a_release_leaves_events_in_order(platform: Platform) -> None:
    api = Api(platform.home)
    before = len(api.events())
    platform.configure(modelVersion="1.1.0", store={"claim": "kept"})
    done = platform.up()
    assert done.status == 0, done.text
    told = reasons(api)[before:]
    assert told == ["ReleaseStarted", "GatePassed", "WeightsMoved", "WeightsMoved", "Released"]
    passed = next(event["message"] for event in api.events()[before:] if event["reason"] == "GatePassed")
    assert re.search(r"What was judged can be heard: \d+ files in pvc://kept/gate/hibari,", passed), passed


def test_its_receipt_is_whole_small_and_decides_the_same_again(platform: Platform, tmp_path: Path) -> None:
    api = Api(platform.home)
    name = api.job()["metadata"]["name"]
    kept = api.get("configmaps", f"{name}-receipt")
    assert kept is not None
    assert sum(len(text.encode()) for text in kept["data"].values()) < RECEIPT_BYTES
    found = api.receipt()
    receipt, traffic = found["receipt.json"], found["traffic.json"]
    assert set(receipt) >= KEYS
    assert (receipt["outcome"], receipt["release"]) == ("released", name)
    assert receipt["findings"]
    assert not_kept(receipt, platform.home) == []
    assert (traffic["dropped"], traffic["done"]) == (0, True)
    assert traffic["sentence"].startswith(f"dropped 0 of {traffic['sent']} (at most ")
    same = replay(platform, receipt, tmp_path)
    assert same.status == 0, same.text


TAMPERED: dict[str, Callable[[dict[str, Any]], None]] = {
    "quality": lambda finding: finding["values"].update(value=1.5),
    "answers": lambda finding: finding["values"].update(wrong=finding["values"]["of"]),
    "firstAudioRatio": lambda finding: finding["limits"].update(ratio=0.5, passRatio=0.5),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_receipt_that_was_tampered_with_does_not_agree(
    platform: Platform, tmp_path: Path, name: str
) -> None:
    receipt = Api(platform.home).receipt()["receipt.json"]
    finding = next(found for found in receipt["findings"] if found["name"] == name)
    TAMPERED[name](finding)
    differs = replay(platform, receipt, tmp_path)
    assert differs.status == 1, differs.text
    assert name in differs.text
    assert "but its values say fail" in differs.text


def test_a_refusal_leaves_its_events_and_a_receipt_that_says_refused(
    platform: Platform, tmp_path: Path
) -> None:
    api, live = Api(platform.home), platform.speak().headers["x-tts-revision"]
    before = len(api.events())
    wrong_words(rollout={"steps": [1, 100], "holdSeconds": 5, "readySeconds": 60})(platform)
    done = platform.up()
    platform.restore("serving/speaking.py")
    assert done.status != 0
    assert "answered 200 with speech that is not right" in done.text, done.text
    told = reasons(api)[before:]
    assert told[:3] == ["ReleaseStarted", "GatePassed", "WeightsMoved"]
    assert set(told[3:]) == {"Restored", "Refused"}
    assert weights(api.route()) == {live: 100}
    receipt = api.receipt()["receipt.json"]
    assert receipt["outcome"] == "refused"
    assert receipt["restoreSeconds"] < 2
    same = replay(platform, receipt, tmp_path)
    assert same.status == 0, same.text


@pytest.mark.matrix
def test_the_guard_restores_when_the_release_is_gone_for_good(platform: Platform, tmp_path: Path) -> None:
    """The process is stopped first, so that nothing of it notices that its Job is deleted, and nothing starts
    it again."""
    api, log = Api(platform.home), tmp_path / "up.log"
    live = platform.speak().headers["x-tts-revision"]
    platform.configure(rollout={"steps": [25, 100], "holdSeconds": 60, "readySeconds": 60})
    platform.edit("serving/__init__.py", "", "# A server that never ran before.\n")
    up = platform.start("up", "--stack", "dev", log=log)
    with Traffic(platform) as traffic:
        wait_until(lambda: len(weights(api.route())) == 2, 90)
        (process,) = [int(line.split()[0]) for line in platform.processes() if "-m release run" in line]
        release = api.job()["metadata"]["name"]
        os.kill(process, signal.SIGSTOP)
        api.delete("jobs", release)
        os.kill(process, signal.SIGKILL)
        silent = time.monotonic()
        wait_until(lambda: weights(api.route()) == {live: 100}, LEASE_SECONDS + 3)
        print(f"\nThe guard restored {time.monotonic() - silent:.1f} s after the kill.")
        up.wait(60)
    assert traffic.faults == []
    assert up.returncode != 0, log.read_text()
    wait_until(lambda: "DeadMan" in reasons(api), 5)
    platform.configure(rollout=ROLLOUT)
    following = platform.up()
    assert following.status == 0, following.text
    (revision,) = weights(api.route())
    assert revision != live
    assert platform.servers() == [revision]


def wait_until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not come to be within {seconds:g} s"
        time.sleep(0.05)

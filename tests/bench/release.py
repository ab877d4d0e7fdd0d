"""`make bench-release`: how long releases take and what they drop, over many runs on the embedded platform.

    python -m tests.bench.release --runs 20

Each run changes the stack under 20 short requests a second: a version with float32 weights against int8 ones
and the other way, an edit of the server alone (the same version against itself), rollbacks to a version that
is gone and to one kept warm, and a candidate that answers 200 with the wrong words once real requests come.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from local.traffic import Report, Traffic, upper_bound
from tests.bench.aims import Line, all_of, at_most, percentile
from tests.e2e.conftest import Platform, make_platform
from tests.e2e.faults import SPEAKING, wrong_words
from tests.e2e.live import Api
from tests.repeating import Repeating

RATE = 20.0
TEXT = "Good morning."
IN_A_ROW = 20
RESTORED = f"verdict -> {IN_A_ROW} fresh connections in a row by the old version"
NOTICED = "first bad step -> restored"
WARM = "rollback, warm: start of the Job's process -> weights moved"
AIMS = {RESTORED: 1.0, NOTICED: 8.0, WARM: 1.0}
"""Seconds that 99 of 100 may take at most."""
HOLD_SECONDS, STEPS = 1, (25, 100)


@dataclass
class Watcher(Repeating):
    """Asks /version on fresh connections, one after the other, and remembers who answered when."""

    url: str
    answers: list[tuple[float, str]] = field(default_factory=list)
    pause: float = 0.002

    def once(self) -> None:
        parts = urlsplit(self.url)
        connection = HTTPConnection(str(parts.hostname), parts.port, timeout=5)
        try:
            connection.request("GET", "/version")
            answer = connection.getresponse()
            answer.read()
            self.answers.append((time.time(), answer.headers.get("x-tts-revision", "")))
        except OSError as error:
            self.answers.append((time.time(), repr(error)))
        finally:
            connection.close()

    def settled(self, after: float, revision: str) -> float:
        """Seconds from `after` until IN_A_ROW fresh connections in a row were answered by `revision`, for
        the last time: none was answered by anyone else later."""
        since = [(at, name) for at, name in self.answers if at >= after]
        others = [index for index, (_, name) in enumerate(since) if name != revision]
        last = (others[-1] + 1 if others else 0) + IN_A_ROW - 1
        if last >= len(since):
            raise SystemExit(f"{revision} did not answer {IN_A_ROW} times in a row.")
        return since[last][0] - after


@dataclass
class Bench:
    """The measurements, by name, in seconds; and every request."""

    platform: Platform
    seconds: dict[str, list[float]] = field(default_factory=dict)
    traffic: list[Report] = field(default_factory=list)
    guards: list[dict[str, Any]] = field(default_factory=list)
    passed: dict[str, list[bool]] = field(default_factory=dict)

    @property
    def requests(self) -> tuple[int, int]:
        """How many were sent, and how many of them dropped."""
        return sum(each.sent for each in self.traffic), sum(each.dropped for each in self.traffic)

    def note(self, name: str, value: float) -> None:
        """One measurement."""
        self.seconds.setdefault(name, []).append(value)

    def up(self, name: str, *, refused: bool = False) -> tuple[dict[str, Any], Watcher]:
        """One `up` under traffic; returns its receipt."""
        begin = time.time()
        traffic = Traffic(self.platform.url, rate=RATE, text=TEXT)
        traffic.start()
        try:
            with Watcher(self.platform.url) as watcher:
                done = self.platform.up()
                spent = time.time() - begin
                time.sleep(0.3)
        finally:
            report = traffic.stop()
        self.traffic.append(report)
        self.passed.setdefault(name, []).append((done.status != 0) == refused)
        if (done.status != 0) != refused or report.dropped:
            print("\n".join([done.text[-3000:], *report.reasons]), flush=True)
        receipt, guard = newest_receipt(self.platform)
        if guard:
            self.guards.append(guard)
        holds = HOLD_SECONDS * len(receipt["steps"])
        if not refused and receipt["steps"]:
            self.note(f"{name}: up, beyond its holds", spent - holds)
        return receipt, watcher

    def live(self) -> str:
        """The revision that answers."""
        return httpx2.get(f"{self.platform.url}/version", trust_env=False).headers["x-tts-revision"]


def newest_receipt(platform: Platform) -> tuple[dict[str, Any], dict[str, Any]]:
    """The newest receipt on an embedded platform, and the count of its guard."""
    maps = [found for found in Api(platform.home).all("configmaps") if "receipt.json" in found["data"]]
    newest = max(maps, key=lambda found: found["metadata"]["annotations"]["tts/ended"])
    data = newest["data"]
    return json.loads(data["receipt.json"]), json.loads(data.get("traffic.json", "{}"))


def run(bench: Bench, number: int) -> None:
    """One run; it begins and ends with version 1.0.0, each time by another server."""
    platform = bench.platform
    before = serving(platform)
    serving(platform, f"# Run {number}, float32.\n")
    platform.configure(modelVersion="1.1.0")
    bench.up("float32 against int8")
    serving(platform, before)
    platform.configure(modelVersion="1.0.0")
    bench.up("rollback, cold")
    serving(platform, f"# Run {number}, the same version.\n")
    bench.up("the same version against itself")
    refuse(bench, number)
    warm(bench)
    serving(platform, f"# Run {number}, int8.\n")
    platform.configure(modelVersion="1.0.0")
    bench.up("int8 against float32")


def serving(platform: Platform, text: str | None = None) -> str:
    """What stands in a file of the server: another text is another revision of the same model version."""
    file = platform.checkout / "serving" / "__init__.py"
    if text is not None:
        file.write_text(text)
    return file.read_text()


def refuse(bench: Bench, number: int) -> None:
    """A candidate that speaks well to whoever asks its pod, and says something else through the gateway."""
    platform, old, before = bench.platform, bench.live(), serving(bench.platform)
    wrong_words(modelVersion="1.0.0")(platform)  # which serves
    serving(platform, f"# Run {number}, spoilt.\n")
    receipt, watcher = bench.up("wrong words with status 200", refused=True)
    began = datetime.fromisoformat(receipt["started"]).timestamp()
    verdict, restore = receipt["verdictAt"], receipt["restoreSeconds"]
    bench.note("verdict -> route restored and read back", restore)
    bench.note(RESTORED, watcher.settled(began + verdict, old))
    bench.note(NOTICED, verdict + restore - receipt["steps"][0]["at"])
    platform.restore(SPEAKING)
    serving(platform, before)
    bench.up("the refused candidate is taken away")


def warm(bench: Bench) -> None:
    """A version is kept warm, gone back to, and left."""
    platform = bench.platform
    platform.configure(modelVersion="1.1.0", warmVersions=["1.0.0"])
    bench.up("float32 against int8")
    platform.configure(modelVersion="1.0.0", warmVersions=["1.1.0"])
    receipt, _ = bench.up("rollback, warm")
    moved = receipt["startupSeconds"] + receipt["steps"][0]["at"]
    bench.note(WARM, moved)
    platform.configure(modelVersion="1.1.0", warmVersions=None)
    bench.up("forward again to what was warm")


def aims(bench: Bench) -> list[Line]:
    """What is wanted: of the times, of how each change ends, and of the requests."""
    measured = {name: percentile(bench.seconds.get(name, [math.inf]), 99) for name in AIMS}
    sent, dropped = bench.requests
    return [
        *(at_most(f"{name}, p99", measured[name], most, "s") for name, most in AIMS.items()),
        *(all_of(f"{name}: as wanted", sum(right), len(right)) for name, right in bench.passed.items()),
        all_of("requests answered whole", sent - dropped, sent),
    ]


def table(bench: Bench) -> list[str]:
    """The figures, and what was dropped."""
    lines = [f"{'seconds':<76} {'runs':>5} {'p50':>7} {'p99':>7} {'max':>7}"]
    for name, values in bench.seconds.items():
        ordered = sorted(values)
        p50, p99 = percentile(ordered, 50), percentile(ordered, 99)
        lines.append(f"{name:<76} {len(values):>5} {p50:>7.2f} {p99:>7.2f} {ordered[-1]:>7.2f}")
    lines += map(str, aims(bench))
    sent, dropped = bench.requests
    guarded, lost = (sum(each[key] for each in bench.guards) for key in ("sent", "dropped"))
    bound = 100 * upper_bound(dropped=dropped, sent=sent)
    lines.append(f"The guards themselves: dropped {lost} of {guarded}.")
    lines.append(f"dropped {dropped} of {sent} (at most {bound:.2g} % with 95 % confidence)")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every aim is met: every change ended as wanted, in time, and no request was dropped."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.release", description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args(arguments).runs
    with tempfile.TemporaryDirectory(prefix="tts-bench-") as folder:
        platform = make_platform(Path(folder))
        steps = {"steps": list(STEPS), "holdSeconds": HOLD_SECONDS, "readySeconds": 60}
        # So many requests of its own that the evidence for a step is there after some three seconds.
        platform.configure(rollout={**steps, "probesPerSecond": 20})
        first = platform.up()
        if first.status:
            print(first.text)
            return 1
        bench = Bench(platform)
        try:
            for number in range(runs):
                begin = time.monotonic()
                run(bench, number)
                print(f"run {number + 1} of {runs}: {time.monotonic() - begin:.0f} s", flush=True)
        finally:
            platform.run("down", "--stack", "dev")
    print("\n".join(table(bench)))
    return 0 if all(line.met for line in aims(bench)) else 1


if __name__ == "__main__":
    sys.exit(main())

"""`make bench-cluster`: where a release's seconds go: Kubernetes with Istio, and the embedded platform.

    python -m tests.bench.cluster --runs 3

The setting is that in which other controllers were measured on one such cluster: a server that takes 10 s to
start, 2 replicas, weights of 10, 25, 50 and 100 % held for 5 s each, 20 requests a second. From the change to
100 % Argo Rollouts took 39 to 44 s and Flagger 43 to 52 s; they were done after 44 to 49 s and 93 to 102 s.
Neither listens to what it releases; here the gate is part of the time. Every image is there before.

The cluster is the one that KUBECONFIG and TTS_* name (tests/cluster/conftest.py); without it the embedded
platform is measured alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from local.traffic import Report, Traffic, upper_bound
from tests.bench.release import newest_receipt
from tests.cluster.conftest import NEEDED, ClusterPlatform, make_base_image, namespaced
from tests.e2e.conftest import VERSIONS, Platform, make_platform

RATE, TEXT = 20.0, "Good morning."
START_SECONDS, REPLICAS, STEPS, HOLD_SECONDS = 10, 2, (10, 25, 50, 100), 5
CPU_MILLICORES = 20
SETTLE_SECONDS = 2.0
EVENTS = {
    "The gate of ": "every pod is ready, the gate begins",
    "The gate is passed": "the gate is passed",
    "The check through the route is passed": "the check through the route is passed",
}


@dataclass
class Measured:
    """Seconds since `up` began, by what had happened then; and every request meanwhile."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    traffic: list[Report] = field(default_factory=list)

    def note(self, receipt: dict[str, Any], *, begun: float, ended: float) -> None:
        """One release: `begun` and `ended` are when its `up` did, in seconds since the epoch."""
        started = datetime.fromisoformat(receipt["started"]).timestamp() - begun
        revision, steps = receipt["target"]["revision"], receipt["steps"]
        way = "" if len(steps) == len(STEPS) else "back: "
        moments = {f"{way}the release begins, beside the pods' start": started}
        for event in receipt["events"]:
            named = (name for begin, name in EVENTS.items() if event["event"].startswith(begin))
            moments |= {f"{way}{name}": started + event["at"] for name in named}
        for step in steps:
            moments[f"{way}{step['weights'][revision]} %"] = started + step["at"]
        moments[f"{way}done, the other version is deleted"] = ended - begun
        moments[f"{way}done, without the configured holds"] = ended - begun - HOLD_SECONDS * len(steps)
        for name, seconds in moments.items():
            self.seconds.setdefault(name, []).append(seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every release went well and no request was dropped."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cluster", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="releases and ways back on each platform")
    runs = parser.parse_args(arguments).runs
    measured = {}
    with tempfile.TemporaryDirectory(prefix="tts-bench-") as folder:
        with embedded(Path(folder) / "embedded") as platform:
            measured["embedded platform"] = measure(platform, runs)
        if all(os.environ.get(name) for name in NEEDED):
            with namespaced(Path(folder) / "cluster", make_base_image(Path(folder))) as platform:
                measured["Kubernetes"] = measure(platform, runs)
        else:
            print(f"No cluster is named: set {', '.join(NEEDED)}.")
    print("\n".join(table(measured)))
    return 1 if any(each.dropped for one in measured.values() for each in one.traffic) else 0


@contextmanager
def embedded(folder: Path) -> Iterator[Platform]:
    """The embedded platform with nothing on it yet, and with nothing left of it at the end."""
    platform = make_platform(folder)
    platform.ask_no_speed()
    try:
        yield platform
    finally:
        platform.run("down", "--stack", "dev")


def measure(platform: Platform, runs: int) -> Measured:
    """Releases a revision of version 1.1.0 that has never served, and goes back, `runs` times."""
    rollout = {"steps": list(STEPS), "holdSeconds": HOLD_SECONDS, "readySeconds": 60, "probesPerSecond": 20}
    platform.configure(
        loadDelaySeconds=START_SECONDS,
        replicas=REPLICAS,
        drainSeconds=3,
        rollout=rollout,
        resources={"cpu": f"{CPU_MILLICORES}m", "memory": "1Gi"},
    )
    first, second = VERSIONS
    for version in (second, first):  # its image is there from now on
        up(platform, version)
    measured = Measured()
    for number in range(runs):
        for version in (second, first):
            # Other pods are another revision: the image is the same, and each release has to be judged.
            millicores = {first: CPU_MILLICORES, second: CPU_MILLICORES + 1 + number}[version]
            platform.configure(resources={"cpu": f"{millicores}m", "memory": "1Gi"})
            time.sleep(SETTLE_SECONDS)
            host = platform.host if isinstance(platform, ClusterPlatform) else ""
            traffic = Traffic(platform.url, rate=RATE, text=TEXT, headers={"Host": host} if host else None)
            traffic.start()
            begun = time.time()
            try:
                up(platform, version)
                ended = time.time()
            finally:
                measured.traffic.append(traffic.stop())
            measured.note(receipt(platform), begun=begun, ended=ended)
            print(f"run {number + 1} of {runs}, {version}: {ended - begun:.0f} s", flush=True)
    return measured


def up(platform: Platform, version: str) -> None:
    """One release; a failed one ends the bench with what it said."""
    platform.configure(modelVersion=version)
    done = platform.up(timeout=400)
    if done.status:
        raise SystemExit(done.text)


def receipt(platform: Platform) -> dict[str, Any]:
    """The record of the last release."""
    return platform.receipt() if isinstance(platform, ClusterPlatform) else newest_receipt(platform)[0]


def table(measured: dict[str, Measured]) -> list[str]:
    """Median and span of each moment, a column for each platform; and what was dropped."""
    lines = ["seconds since `up` began".ljust(44) + "".join(name.rjust(30) for name in measured)]
    names = dict.fromkeys(name for one in measured.values() for name in one.seconds)
    for name in names:
        cells = [one.seconds.get(name, []) for one in measured.values()]
        shown = [f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})" for each in cells]
        lines.append(name.ljust(44) + "".join(text.rjust(30) for text in shown))
    for name, one in measured.items():
        sent, dropped = sum(each.sent for each in one.traffic), sum(each.dropped for each in one.traffic)
        bound = 100 * upper_bound(dropped=dropped, sent=sent)
        lines.append(f"{name}: dropped {dropped} of {sent} (at most {bound:.2g} % with 95 % confidence)")
        lines += [reason for each in one.traffic for reason in each.reasons]
    return lines


if __name__ == "__main__":
    sys.exit(main())

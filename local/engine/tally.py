"""What the guard of a release counted: its requests through the route, and those that were dropped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.engine.cluster import Cluster, Manifest
from local.engine.diagnosis import holds
from local.engine.errors import EngineError
from local.engine.kinds import CONFIG_MAP, JOB, Address
from local.engine.report import Report

RELEASE_LABEL = "tts/release"
PATIENCE = 15.0  # seconds for the guard to see that all is done
POLL_SECONDS = 0.5
_SKEW = timedelta(seconds=5)  # between the clocks of a cluster's nodes


@dataclass(frozen=True)
class Guarded:
    """A release with a guard."""

    namespace: str
    release: str

    @property
    def jobs(self) -> tuple[Address, Address]:
        """The release's own Job and its guard's."""
        return self._job(self.release), self._job(f"{self.release}-guard")

    @property
    def receipt(self) -> Address:
        """Where both keep their records."""
        return Address(CONFIG_MAP, self.namespace, f"{self.release}-receipt")

    def _job(self, name: str) -> Address:
        return Address(JOB, self.namespace, name)


@dataclass(frozen=True)
class Tally:
    """What a guard counted; `done` once it counts no more."""

    sentence: str
    reasons: tuple[str, ...]
    done: bool


def guarded(applied: Iterable[Manifest]) -> Guarded | None:
    """Return the release whose guard is among these manifests, None where there is none."""
    for manifest in applied:
        metadata = manifest["metadata"]
        release = metadata.get("labels", {}).get(RELEASE_LABEL)
        if manifest["kind"] == JOB.name and release and metadata["name"] == f"{release}-guard":
            return Guarded(str(metadata.get("namespace", "default")), str(release))
    return None


def traffic(receipt: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the document that a guard keeps in a receipt, an empty one where there is none."""
    try:
        document = json.loads((receipt or {}).get("data", {}).get("traffic.json", "{}"))
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("sentence") else {}


def tally(receipt: Manifest | None, jobs: Iterable[Manifest | None]) -> Tally | None:
    """Return what the guard counted since these Jobs were made; None where it wrote nothing since.

    A release that is made again has the name, and so the receipt, that it had before.
    """
    document = traffic(receipt)
    made = [_time(job["metadata"].get("creationTimestamp")) for job in jobs if job]
    until = _time(document.get("until"))
    if until is None or any(time is not None and until < time - _SKEW for time in made):
        return None
    reasons = tuple(str(reason) for reason in document.get("reasons") or [])
    return Tally(str(document["sentence"]), reasons, document.get("done") is True)


def tell_tally(report: Report, cluster: Cluster, release: Guarded, *, wait: bool) -> None:
    """Say what the guard counted; with `wait` once it has ended, at the latest after PATIENCE."""
    try:
        found, complete = _wait(cluster, release, PATIENCE if wait else 0.0)
    except EngineError as error:
        report.say(f"What the guard counted cannot be read: {error}")
        return
    if found is not None:
        report.say(f"Guard{'' if found.done else ', so far'}: {found.sentence}")
        for reason in found.reasons:
            report.say(f"  {reason}")
    # On a first install there may be no route to send a request through before all is done.
    if wait and not complete and (found is None or not found.done):
        report.say("The guard has written no final count; `make status` shows what there is.")


def _wait(cluster: Cluster, release: Guarded, seconds: float) -> tuple[Tally | None, bool]:
    """What the guard counted, and whether its Job is complete."""
    end = time.monotonic() + seconds
    while True:
        jobs = [cluster.get(address) for address in release.jobs]
        found = tally(cluster.get(release.receipt), jobs)
        guard = jobs[1]
        complete = guard is not None and holds(guard, "Complete")
        ended = guard is None or complete or holds(guard, "Failed")
        if (found and found.done) or ended or time.monotonic() >= end:
            return found, complete
        time.sleep(POLL_SECONDS)


def _time(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None

"""`python -m release run`: reads the plan, walks, and ends with the verdict's exit code and termination
message."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from . import plan as plans
from .errors import ClusterError, PlanError, TerminatedError
from .receipt import Record
from .walk import FAILED, Outcome, Walk

PLAN = "/etc/tts-release/plan.json"
TERMINATION_LOG = "/dev/termination-log"
BAD_PLAN = 2


class SystemClock:
    """A `cluster.Clock`. SIGTERM ends a sleep or a probe at once, and anything else at its next check."""

    def __init__(self) -> None:
        self._stopped = False
        self._interruptible = False

    def install(self) -> None:
        """Takes over SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopped = True
        if self._interruptible:
            raise TerminatedError

    def now(self) -> float:
        """Seconds, never going back."""
        return time.monotonic()

    def utc(self) -> str:
        """The time of day."""
        return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def check(self) -> None:
        """Raises TerminatedError after SIGTERM."""
        if self._stopped:
            raise TerminatedError

    def sleep(self, seconds: float) -> None:
        """Waits; SIGTERM ends it."""
        with self.interruptible():
            time.sleep(seconds)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """What is inside may be broken off by SIGTERM: it changes nothing."""
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False


def run(environment: Mapping[str, str] = os.environ) -> int:
    """One release; returns the exit code."""
    clock = SystemClock()
    clock.install()
    log = Path(environment.get("TTS_TERMINATION_LOG", TERMINATION_LOG))
    path = Path(environment.get("TTS_PLAN", PLAN))
    try:
        outcome = _release(path, clock)
    except OSError as error:
        outcome = Outcome(BAD_PLAN, "no plan", (f"The plan {path} cannot be read: {error}.",))
    except PlanError as error:
        outcome = Outcome(BAD_PLAN, "bad plan", (str(error),))
    except ClusterError as error:
        outcome = Outcome(FAILED, "failed", (str(error), "The release will be started again."))
    if outcome.code in (BAD_PLAN, FAILED):
        print("\n".join(outcome.sentences), file=sys.stderr, flush=True)
    _write_message(log, outcome)
    return outcome.code


def _release(path: Path, clock: SystemClock) -> Outcome:
    plan = plans.parse(path.read_text(encoding="utf-8"))
    from .kubernetes import Kubernetes
    from .probe import HttpProber

    record = Record(plan, clock)
    cluster = Kubernetes(plan)
    prober = HttpProber(plan, interruptible=clock.interruptible)
    try:
        return Walk(plan, cluster, prober, clock, record, run=secrets.token_hex(4)).run()
    finally:
        prober.close()
        cluster.close()


def _write_message(path: Path, outcome: Outcome) -> None:
    """The termination message: one sentence a line, cut to what Kubernetes keeps (4096 bytes)."""
    text = "\n".join(outcome.sentences)
    try:
        path.write_bytes(text.encode()[:4096])
    except OSError as error:
        print(
            f"The termination message could not be written to {path}: {error}.", file=sys.stderr, flush=True
        )

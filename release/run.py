"""`python -m release run` and `guard`: each reads the plan, does its work, and ends with an exit code and a
termination message."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import plan as plans
from .ears import ListeningEars
from .errors import ClusterError, PlanError, TerminatedError
from .herald import Herald
from .hold import Source
from .metrics import ReleaseMetrics
from .plan import Plan
from .receipt import Record
from .statistics import dropped_sentence
from .walk import FAILED, TERMINATED, Outcome, Outside, Walk

PLAN = "/etc/tts-release/plan.json"
PROVENANCE = "/etc/tts-provenance/provenance.json"
TERMINATION_LOG = "/dev/termination-log"
BAD_PLAN, GAVE_UP = 2, 44
IDLE_SECONDS = 60.0
RUNS = 7
"""Pods that one release may take: Kubernetes starts another for every end that is no verdict."""


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
    return _guarded(environment, _release)


def guard(environment: Mapping[str, str] = os.environ) -> int:
    """The guard of one release; returns the exit code."""
    return _guarded(environment, _guard)


Work = Callable[[Plan, SystemClock, Mapping[str, str]], Outcome]


def _guarded(environment: Mapping[str, str], work: Work) -> int:
    """Reads the plan and does the work; how it ends is told in the termination message."""
    clock = SystemClock()
    clock.install()
    log = Path(environment.get("TTS_TERMINATION_LOG", TERMINATION_LOG))
    path = Path(environment.get("TTS_PLAN", PLAN))
    try:
        outcome = work(plans.parse(path.read_text(encoding="utf-8")), clock, environment)
    except OSError as error:
        outcome = Outcome(BAD_PLAN, "no plan", (f"The plan {path} cannot be read: {error}.",))
    except PlanError as error:
        outcome = Outcome(BAD_PLAN, "bad plan", (str(error),))
    except ClusterError as error:
        outcome = Outcome(FAILED, "failed", (str(error), "The release will be started again."))
    except TerminatedError:
        outcome = Outcome(TERMINATED, "terminated", ("SIGTERM arrived before anything was begun.",))
    if outcome.code in (BAD_PLAN, GAVE_UP, FAILED):
        print("\n".join(outcome.sentences), file=sys.stderr, flush=True)
    _write_message(log, outcome)
    return outcome.code


def _release(plan: Plan, clock: SystemClock, environment: Mapping[str, str]) -> Outcome:
    from .kubernetes import Kubernetes
    from .probe import HttpProber

    key = _api_key(plan, environment)
    cluster = Kubernetes(plan)
    if (failed := cluster.failed_runs()) >= RUNS:
        cluster.close()
        return _gave_up(plan, failed)
    ears = ListeningEars()
    gauges = _metrics(plan, environment)
    provenance = _provenance(environment)
    record = Record(plan, clock, provenance=provenance, startup_seconds=_age())
    prober = HttpProber(plan, key=key, interruptible=clock.interruptible)
    herald = Herald(cluster, gauges, webhook=environment.get("TTS_WEBHOOK_URL", ""))
    aside = ThreadPoolExecutor(2, thread_name_prefix="aside")
    outside = Outside(cluster, prober, clock, ears, aside, _source(plan))
    try:
        return Walk(plan, outside, record, herald, run=secrets.token_hex(4)).run()
    finally:
        aside.shutdown(wait=False, cancel_futures=True)
        prober.close()
        cluster.close()
        gauges.close()


def _api_key(plan: Plan, environment: Mapping[str, str]) -> str:
    """The key that the release shows; empty where the plan asks for none. Raises PlanError."""
    if not plan.keys_secret:
        return ""
    key = environment.get("TTS_API_KEY", "").strip()
    if not key:
        raise PlanError(
            f"The release has no API key, so no server would answer it. The Secret {plan.keys_secret} in the "
            f"namespace {plan.namespace} needs an entry `probe` with a key, and in its entry `keys` the line "
            "`probe <sha256 of that key>`; `make api-key NAME=probe` makes both."
        )
    return key


def _gave_up(plan: Plan, failed: int) -> Outcome:
    """No verdict, and no more tries; the guard brings the stable route back where it is not live."""
    sentence = (
        f"The release of {plan.target.version} ({plan.target.revision}) was begun {failed} times and never "
        f"came to a verdict, so it is given up: each pod with the label job-name={plan.release} says why."
    )
    return Outcome(GAVE_UP, "gave up", (sentence,))


def _metrics(plan: Plan, environment: Mapping[str, str]) -> ReleaseMetrics:
    """The metrics, served; a port that cannot be had is said and changes nothing."""
    target = plan.target
    metrics = ReleaseMetrics(
        release=plan.release,
        name=plan.name,
        model=plan.model,
        version=target.version,
        revision=target.revision,
    )
    failure = metrics.serve(environment)
    if failure:
        print(failure, file=sys.stderr, flush=True)
    return metrics


def _source(plan: Plan) -> Source | None:
    """Real traffic, where the plan names a Prometheus."""
    if plan.prometheus is None:
        return None
    from .traffic import RealTraffic

    return RealTraffic(plan, plan.prometheus)


def _guard(plan: Plan, clock: SystemClock, environment: Mapping[str, str]) -> Outcome:
    from .guard import Guard
    from .kubernetes import Kubernetes
    from .probe import HttpProber

    key = _api_key(plan, environment)
    gauges = _metrics(plan, environment)
    cluster = Kubernetes(plan)
    prober = HttpProber(plan, key=key)
    herald = Herald(cluster, gauges)
    work = Guard(plan, cluster, prober, clock, herald, run=secrets.token_hex(4))
    try:
        code = work.run()
    finally:
        prober.close()
        cluster.close()
        gauges.close()
    _stay(clock, environment)
    return Outcome(code, "guarded", (f"{dropped_sentence(work.tally.dropped, work.tally.sent)}.",))


def _stay(clock: SystemClock, environment: Mapping[str, str]) -> None:
    """Where it is declared as what runs for good, it does so, without a sound, until SIGTERM."""
    while environment.get("TTS_GUARD_STAYS") == "true":
        try:
            clock.sleep(IDLE_SECONDS)
        except TerminatedError:
            return


def _age() -> float:
    """How old this process is, in seconds: its imports come before the release begins."""
    try:
        ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0
    return uptime - ticks / os.sysconf("SC_CLK_TCK")


def _provenance(environment: Mapping[str, str]) -> dict[str, Any]:
    """Who released from which commit; a release without it is no worse."""
    path = Path(environment.get("TTS_PROVENANCE", PROVENANCE))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_message(path: Path, outcome: Outcome) -> None:
    """The termination message: one sentence a line, cut to what Kubernetes keeps (4096 bytes)."""
    text = "\n".join(outcome.sentences)
    try:
        path.write_bytes(text.encode()[:4096])
    except OSError as error:
        print(
            f"The termination message could not be written to {path}: {error}.", file=sys.stderr, flush=True
        )

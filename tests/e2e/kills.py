"""One cell of the kill matrix: who is killed at which moment of a release, and what is done then."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tests.e2e.conftest import Platform, Traffic, read_environment
from tests.e2e.live import Api, Object, RouteWatch, condition, document, ready, weights
from tests.waiting import eventually

LOOK_SECONDS = 0.002
"""Between two looks at a log: what follows the awaited line is often only a tenth of a second away."""
SCAN_SECONDS = 0.05
"""Between two looks for the release's process, which takes several times as long to say its first line."""
WAIT_SECONDS = 90.0
KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Moment:
    """`delay` seconds after the `count`th find of the pattern in a log: that of the Job or that of `up`."""

    pattern: str
    count: int = 1
    delay: float = 0.0
    log: str = "job"


RAISED = "The route gives "
MOMENTS = {
    "before the lease": Moment(" releases "),
    "with the lease": Moment("The lease is taken"),
    "at the gate": Moment("The live route gives "),
    "after the gate": Moment("The gate is passed"),
    "after the first raise": Moment(RAISED),
    "in the first hold": Moment(RAISED, delay=0.5),
    "after the last raise": Moment(RAISED, count=2),
    "released": Moment(" is released as "),
    "while the old is deleted": Moment("- PodDisruptionBudget ", delay=0.3, log="up"),
}
OF_UP = ("at the gate", "after the first raise", "released", "while the old is deleted")
OF_JOB = (
    "before the lease",
    "with the lease",
    "after the gate",
    "after the first raise",
    "in the first hold",
    "after the last raise",
    "released",
)
THEN = ("same", "old", "nothing")


@dataclass(frozen=True)
class Cell:
    """`victim`: who is killed, such as `up` or `job`. `then`: the same version again, the old one, or
    nothing."""

    victim: str
    moment: str
    then: str = "nothing"

    def __str__(self) -> str:
        return f"{self.victim}, {self.moment}, {self.then}"


MATRIX = [Cell("up", moment, then) for moment in OF_UP for then in THEN]
MATRIX += [Cell("job", moment, then) for moment in OF_JOB for then in THEN]


@dataclass
class Row:
    """One line of the table."""

    cell: Cell
    outcome: str = "failed"
    sent: int = 0
    dropped: int = 0
    seconds: float = 0.0


def table(rows: Sequence[Row]) -> str:
    """The rows under their heads, each column as wide as it must be."""
    lines = [["victim", "moment", "then", "outcome", "sent", "dropped", "seconds"]]
    for row in rows:
        cell, numbers = row.cell, (row.sent, row.dropped, f"{row.seconds:.1f}")
        lines.append([cell.victim, cell.moment, cell.then, row.outcome, *map(str, numbers)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines]
    return "\n".join(["", *("  ".join(line).rstrip() for line in padded), ""])


@contextmanager
def running_up(platform: Platform, log: Path) -> Iterator[subprocess.Popen[str]]:
    """`up` on its way, told into `log`; it is killed if it still runs at the end."""
    process = platform.start("up", "--stack", "dev", log=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def must_succeed(platform: Platform, *, timeout: float = 240) -> str:
    """What another `up` says."""
    done = platform.up(timeout=timeout)
    assert done.status == 0, done.text
    return done.text


def serving(platform: Platform, api: Api) -> Object:
    """The Deployment of the one revision that has all the weight, and answers."""
    ((revision, weight),) = weights(api.route()).items()
    assert weight == 100
    deployment = api.get("deployments", revision)
    assert deployment is not None
    assert platform.live_version() == version_of(deployment)
    return deployment


def version_of(deployment: Object) -> str:
    return str(deployment["metadata"]["labels"]["app.kubernetes.io/version"])


def other(version: str) -> str:
    return {"1.0.0": "1.1.0", "1.1.0": "1.0.0"}[version]


@dataclass
class Kills:
    """Cells on one platform, one after the other: each releases the version that is not live at its start."""

    platform: Platform
    folder: Path
    live: str = "1.0.0"
    settled: bool = True
    rows: list[Row] = field(default_factory=list)
    code: str = ""
    """What the server's code says in the live revision."""

    def run(self, cell: Cell) -> None:
        self._settle()
        row = Row(cell)
        self.rows.append(row)
        code = self._new_code()
        began = time.monotonic()
        traffic, watch = Traffic(self.platform), RouteWatch(Api(self.platform.home))
        try:
            with traffic, watch:
                release = _Release(self.platform, self.folder, old=self.live, go_back=self._write_code)
                end = release.run(cell)
        finally:
            row.seconds = time.monotonic() - began
            row.sent, row.dropped = traffic.sent, len(traffic.faults)
        assert traffic.faults == []
        assert watch.faults == []
        assert watch.looks > 20, "the route was hardly ever looked at"
        row.outcome = f"whole, all on the {'old' if end == self.live else 'new'} ({end})"
        self.live, self.settled = end, True
        self.code = self.code if cell.then == "old" else code

    def _new_code(self) -> str:
        """A server that never ran before: what has settled once goes back by one step and without a gate."""
        code = f"# Cell {len(self.rows)}.\n"
        self._write_code(code)
        return code

    def _write_code(self, code: str = "") -> None:
        (self.platform.checkout / "serving" / "__init__.py").write_text(code or self.code)

    def _settle(self) -> None:
        """After a cell that failed: the platform as every cell finds it."""
        if not self.settled:
            self._write_code()
            self.platform.configure(modelVersion=self.live)
            must_succeed(self.platform)
        self.settled = False

    def table(self) -> str:
        return table(self.rows)


class _Release:
    """A release from the version `old` to the other one that is hit by a kill."""

    def __init__(self, platform: Platform, folder: Path, *, old: str, go_back: Callable[[], None]) -> None:
        self._platform = platform
        self._go_back = go_back
        self._log = folder / "up.log"
        self._api = Api(platform.home)
        self._old, self._new = old, other(old)
        self._began = time.time()
        self._job_before = self._api.job()["metadata"]["uid"]

    def run(self, cell: Cell) -> str:
        """The version that serves in the end."""
        self._platform.configure(modelVersion=self._new)
        with running_up(self._platform, self._log) as up:
            self._strike(cell, up)
            if cell.victim == "job" and cell.then == "nothing":
                assert up.wait(WAIT_SECONDS) == 0, self._log.read_text()
            elif cell.victim == "job":
                up.send_signal(signal.SIGINT)
                up.wait(WAIT_SECONDS)
        if cell == Cell("up", cell.moment, "nothing"):
            self._alone()
        end = self._old if cell.then == "old" else self._new
        if cell.then == "old":
            self._go_back()
        if cell.then != "nothing":
            self._platform.configure(modelVersion=end)
            self._must_succeed()
        self._converged(end)
        again = self._must_succeed()
        assert "Nothing changed" in again, again
        return end

    def _strike(self, cell: Cell, up: subprocess.Popen[str]) -> None:
        pid, job_log = self._job_process(up)
        moment = MOMENTS[cell.moment]
        log = job_log if moment.log == "job" else self._log
        end = time.monotonic() + WAIT_SECONDS
        while len(re.findall(moment.pattern, log.read_text())) < moment.count:
            assert time.monotonic() < end, f"{moment} never came:\n{self._log.read_text()}"
            time.sleep(LOOK_SECONDS)
        time.sleep(moment.delay)
        assert up.poll() is None, f"`up` had ended before it could be hit:\n{self._log.read_text()}"
        if cell.victim == "up":
            up.kill()
            up.wait()
        else:
            os.kill(pid, signal.SIGKILL)
            code = self._exit_code(job_log.parent.parent.name)
            assert code == KILLED, f"the release ended with {code} before it could be hit"

    def _job_process(self, up: subprocess.Popen[str]) -> tuple[int, Path]:
        """The process of the release and its log, as soon as it runs."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and up.poll() is None:
            for line in self._platform.processes():
                if "-m release run" in line:
                    pid = int(line.split()[0])
                    log = self._log_of(pid)
                    if log.exists():
                        return pid, log
            time.sleep(SCAN_SECONDS)
        raise AssertionError(f"no release was started:\n{self._log.read_text()}")

    def _exit_code(self, uid: str) -> int:
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            (pod,) = [found for found in self._api.all("pods") if found["metadata"]["uid"] == uid]
            state = pod["status"]["containerStatuses"][0]["state"]
            if "terminated" in state:
                return state["terminated"]["exitCode"]
            time.sleep(SCAN_SECONDS)
        raise AssertionError("the release's process did not end although it was killed")

    @staticmethod
    def _log_of(pid: int) -> Path:
        return Path(read_environment(pid)["TTS_TERMINATION_LOG"]).parent / "logs" / "0.log"

    def _alone(self) -> None:
        """Nobody is left but the Job. Once it has ended the new version serves; the next `up` only tidies."""
        job = self._ended_job()
        assert condition(job) == "Complete", job["status"]
        assert self._serving() == self._new
        self._must_succeed()
        assert self._api.job()["metadata"]["uid"] == job["metadata"]["uid"], "the release ran twice"

    def _ended_job(self) -> Object:
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            job = self._api.job()
            if condition(job):
                return job
            time.sleep(0.1)
        raise AssertionError("the Job did not end by itself")

    def _must_succeed(self) -> str:
        return must_succeed(self._platform)

    def _serving(self) -> str:
        """The version that serves, with all its replicas."""
        deployment = serving(self._platform, self._api)
        assert ready(deployment) == deployment["spec"]["replicas"]
        return version_of(deployment)

    def _converged(self, version: str) -> None:
        assert self._serving() == version
        route = self._api.route()
        (revision,) = weights(route)
        assert [entry["name"] for entry in route["spec"]["http"]] == [f"pin-{revision}", "weighted"]
        self._ran(revision)
        deployments = [found["metadata"]["name"] for found in self._api.all("deployments")]
        assert deployments == [revision], "another revision is left"
        gone = f"hibari-{other(version).replace('.', '-')}-"
        left = [
            found["metadata"]["name"]
            for plural in ("services", "configmaps", "destinationrules", "poddisruptionbudgets", "pods")
            for found in self._api.all(plural)
            if found["metadata"]["name"].startswith(gone)
        ]
        assert left == []
        assert self._platform.servers() == [revision]
        assert self._releasing("run") == []
        # Nobody waits for the guard, which ends once it has seen the old revision gone.
        eventually(lambda: self._releasing("guard") == [])

    def _releasing(self, command: str) -> list[str]:
        return [line for line in self._platform.processes() if f"-m release {command}" in line]

    def _ran(self, revision: str) -> None:
        """A release of this revision ran within this cell, to its good end, and holds the lease."""
        job = self._api.job()
        release = job["metadata"]["name"]
        assert condition(job) == "Complete"
        assert job["metadata"]["uid"] != self._job_before
        receipt = document(self._api, f"{release}-receipt", "receipt.json")
        assert (receipt["outcome"], receipt["target"]["revision"]) == ("released", revision)
        assert datetime.fromisoformat(receipt["started"]).timestamp() >= self._began
        lease = self._api.get("leases", "hibari-release")
        assert lease is not None
        assert lease["spec"]["holderIdentity"].startswith(f"{release}/")

"""One cell of the cluster's kill matrix: who is hit at which moment of a release, and what is done then."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.conftest import NAME, ClusterPlatform
from tests.cluster.live import ClusterApi, OutageWatch
from tests.cluster.victims import ALL
from tests.e2e.conftest import Traffic
from tests.e2e.kills import (
    THEN,
    Cell,
    Moment,
    Row,
    must_succeed,
    other,
    running_up,
    serving,
    table,
    version_of,
)
from tests.e2e.live import Object, condition, ready, weights
from tests.waiting import eventually

STEPS = (25, 100)
WAIT_SECONDS = 150.0
LOOK_SECONDS = 0.02

MOMENTS = {
    "images known": Moment(r"ConfigMap \S+-provenance: "),
    "candidate starting": Moment(r"Deployment \S+: created, now waits"),
    "at the gate": Moment(r"The gate of \S+ begins"),
    "at the first step": Moment("The route gives ", delay=0.5),
    "at the last step": Moment("The route gives ", count=len(STEPS)),
    "released": Moment(" is released as "),
    "while the old is deleted": Moment("- PodDisruptionBudget ", delay=0.3),
}
"""Each by a line that `up` prints; what the release's Job says is among them."""
EARLY = ("images known", "candidate starting", "at the gate")
RAMP = ("at the first step", "at the last step")
LATE = ("released", "while the old is deleted")


def matrix() -> list[Cell]:
    """`up` and the Job with everything that may be done then; the others are left alone with it."""
    cells = [Cell("up", moment, then) for moment in MOMENTS for then in THEN]
    cells += [Cell("job", moment, then) for moment in ("at the gate", *RAMP) for then in THEN]
    moments = {
        "guard": ("images known", *RAMP, "while the old is deleted"),
        "candidate": ("at the gate", *RAMP),
        "candidate, at once": ("at the gate", *RAMP),
        "stable": ("at the gate", *RAMP),
        "stable, at once": ("at the first step",),
        "gateway": ("at the gate", *RAMP, "while the old is deleted"),
        "one gateway of two": ("at the first step",),
        "kubelet": (*EARLY, "at the first step", *LATE),
        "kube-apiserver": (*EARLY, *RAMP, *LATE),
        "prometheus": ("candidate starting", *RAMP),
        "istiod": ("candidate starting", *RAMP, "released"),
        "kubelet, killed": ("candidate starting", "at the first step"),
        "kube-apiserver, killed": ("at the gate", "at the first step", "while the old is deleted"),
    }
    return [*cells, *(Cell(victim, moment) for victim, several in moments.items() for moment in several)]


@dataclass
class Kills:
    """Cells on one stack, one after the other: each releases the version that is not live at its start."""

    stack: ClusterPlatform
    api: ClusterApi
    folder: Path
    prometheus: str = ""
    """Where the stack's pods reach a Prometheus; empty for nowhere."""
    live: str = "1.0.0"
    answer_seconds: int = 300
    settled: bool = True
    rows: list[Row] = field(default_factory=list)

    def run(self, cell: Cell) -> None:
        """The cell, from a settled stack to a settled stack."""
        self._settle()
        row = Row(cell)
        self.rows.append(row)
        began = time.monotonic()
        traffic, watch = Traffic(self.stack), OutageWatch(self.api, pause=0.2)
        victim = ALL.get(cell.victim)
        try:
            with traffic, watch:
                end = self._release(cell)
        finally:
            row.seconds = time.monotonic() - began
            row.sent, row.dropped = traffic.sent, len(traffic.faults)
        if victim is None or not victim.loses:
            assert traffic.faults == []
            assert watch.faults == []
        assert watch.looks > 5, "the route was hardly ever looked at"
        self.settled = True
        state, which = "refused" if self.refused else "whole", "old" if end == self.live else "new"
        row.outcome = f"{state}, all on the {which} ({end})"
        self.live = end

    def table(self) -> str:
        return table(self.rows)

    def _settle(self) -> None:
        """After a cell that failed: the stack as every cell finds it."""
        self.refused = False
        if not self.settled:
            self._configure(self.live, self.answer_seconds)
            self._must_succeed()
        self.settled = False

    def _configure(self, version: str, seconds: int) -> None:
        """Seconds that no revision had before make a new one, without another image: what has settled once
        would go back by one step and without a gate."""
        self.stack.configure(modelVersion=version, longestAnswerSeconds=seconds)

    def _release(self, cell: Cell) -> str:
        """The version that serves in the end."""
        self._before = {job["metadata"]["uid"] for job in self._jobs()}
        old, new = (self.live, self.answer_seconds), (other(self.live), self.answer_seconds + 1)
        self._configure(*new)
        if cell.victim == "prometheus":
            self.stack.configure(prometheusUrl=self.prometheus, prometheus={"metrics": "envoy"})
        try:
            end = self._struck(cell, old, new)
            self.answer_seconds = end[1]
            self._converged(end[0])
            again = self._must_succeed()
            assert "Nothing changed" in again, again
        finally:
            self.stack.configure(prometheusUrl=None, prometheus=None)
        return end[0]

    def _struck(self, cell: Cell, old: tuple[str, int], new: tuple[str, int]) -> tuple[str, int]:
        log = self.folder / "up.log"
        with running_up(self.stack, log) as up:
            self._await(cell.moment, up, log)
            if cell.victim == "up":
                up.kill()
                up.wait()
            else:
                self._strike(cell)
                if cell.then != "nothing":
                    up.send_signal(signal.SIGINT)
                status = up.wait(WAIT_SECONDS)
                if cell.then == "nothing" and status != 0:
                    self._may_refuse(cell, log)
                    cell = Cell(cell.victim, cell.moment, "old")
        if cell == Cell("up", cell.moment, "nothing"):
            return self._left_alone(cell, new)
        end = old if cell.then == "old" else new
        if cell.then != "nothing":
            self._configure(*end)
            self._must_succeed()
        return end

    def _strike(self, cell: Cell) -> None:
        ALL[cell.victim].strike(self.stack, self.api)

    def _may_refuse(self, cell: Cell, log: Path) -> None:
        """`up` failed: it may for this victim, with everything on the old version and the reason told."""
        text = log.read_text()
        assert ALL[cell.victim].may_refuse, text
        assert "is refused" in text, text
        assert "Traceback" not in text, text
        assert self._serving() == self.live, "a refused release leaves all on the old version"
        self.refused = True

    def _left_alone(self, cell: Cell, new: tuple[str, int]) -> tuple[str, int]:
        """Nobody is left but what runs in the cluster. A Job that was made ends by itself, and then the new
        version serves; the next `up` only tidies."""
        if [job for job in self._jobs() if job["metadata"]["uid"] not in self._before]:
            job = eventually(lambda: condition(self.api.job()) and self.api.job(), WAIT_SECONDS)
            assert condition(job) == "Complete", job["status"]
            assert self._serving() == new[0]
            self._must_succeed()
            assert self.api.job()["metadata"]["uid"] == job["metadata"]["uid"], "the release ran twice"
        else:
            assert cell.moment in EARLY
            assert self._serving() == self.live, "nothing was released yet"
            self._must_succeed()
        return new

    def _jobs(self) -> list[Object]:
        """The Jobs of releases, without their guards'."""
        return [job for job in self.api.all("jobs") if not job["metadata"]["name"].endswith("-guard")]

    def _await(self, name: str, up: subprocess.Popen[str], log: Path) -> None:
        moment, end = MOMENTS[name], time.monotonic() + WAIT_SECONDS
        while len(re.findall(moment.pattern, log.read_text())) < moment.count:
            assert time.monotonic() < end, f"{name} never came:\n{log.read_text()}"
            assert up.poll() is None, f"`up` ended before it could be hit:\n{log.read_text()}"
            time.sleep(LOOK_SECONDS)
        time.sleep(moment.delay)

    def _must_succeed(self) -> str:
        return must_succeed(self.stack, timeout=WAIT_SECONDS)

    def _serving(self) -> str:
        return version_of(serving(self.stack, self.api))

    def _converged(self, version: str) -> None:
        assert self._serving() == version
        route = self.api.route()
        (revision,) = weights(route)
        assert [entry["name"] for entry in route["spec"]["http"]] == [f"pin-{revision}", "weighted"]
        deployments = self.api.all("deployments")
        assert [found["metadata"]["name"] for found in deployments] == [revision], "another revision is left"
        assert ready(deployments[0]) == deployments[0]["spec"]["replicas"]
        gone = f"{NAME}-{other(version).replace('.', '-')}-"
        left = [name for name in self.stack.present() if f"/{gone}" in name]
        assert left == []
        assert condition(self.api.job()) in ("Complete", "")
        receipt = self.api.receipt()["receipt.json"]
        assert (receipt["outcome"], receipt["target"]["revision"]) == ("released", revision)

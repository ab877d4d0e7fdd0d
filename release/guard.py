"""`python -m release guard`: beside a release from before its first change until its last delete.

It does two things that the release itself cannot: it counts the requests that were not answered, also while
the old revision is being deleted; and it restores the route when the release's Job is gone in the middle of a
ramp and nobody goes on (the dead-man rule of docs/contracts.md).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any, TextIO

from . import autoscalers, route
from .analysis import BUSY
from .answer import Answer, Sample
from .cluster import Clock, Cluster, Lease, LiveRoute, Probe, Prober
from .errors import (
    AudioError,
    ClusterError,
    LeaseLostError,
    SupersededError,
    TerminatedError,
)
from .herald import Herald
from .lease import LEASE_SECONDS, Tenure, release_of
from .plan import Plan
from .restore import Restore
from .statistics import dropped_sentence

LOOK_SECONDS = 0.5
PROBES_PER_SECOND = 4.0
WAITING_PROBES_PER_SECOND = 1.0
SPEECH_EVERY = 2
WAITING_SECONDS = 3600.0
"""How long a release that never begins is accompanied with requests."""
TELL_SECONDS = 2.0
KEPT_REASONS = 5
SLOW_SECONDS = 5.0
DONE, TERMINATED = 0, 143


@dataclass
class Tally:
    """What became of the guard's own requests. Those refused for lack of capacity (429) were answered."""

    sent: int = 0
    dropped: int = 0
    busy: int = 0
    reasons: list[str] = field(default_factory=list)
    speaks: bool = True

    def add(self, probe: Probe, answer: Answer) -> None:
        """One answer, whole or not."""
        self.sent += 1
        self.busy += answer.status == BUSY
        wrong = _wrong(probe, answer, speaks=self.speaks)
        if wrong:
            self.dropped += 1
            if len(self.reasons) < KEPT_REASONS and wrong not in self.reasons:
                self.reasons.append(wrong)

    def document(self, *, begun: str, until: str, done: bool) -> dict[str, Any]:
        """traffic.json."""
        return {
            "sent": self.sent,
            "dropped": self.dropped,
            "busy": self.busy,
            "sentence": dropped_sentence(self.dropped, self.sent),
            "reasons": self.reasons,
            "from": begun,
            "until": until,
            "done": done,
        }


def _wrong(probe: Probe, answer: Answer, *, speaks: bool) -> str:
    if answer.error:
        return f"{answer.error}."
    if answer.status == BUSY:
        return ""
    if answer.status != 200:
        return f"The answer was {answer.status}."
    if probe.text is not None:
        try:
            sample = Sample(text=probe.text, speech=answer, version=answer)
            _ = sample.audio if speaks else sample.said
        except AudioError as error:
            return str(error)
    return ""


class Guard:
    """One run of the guard of one release."""

    def __init__(  # noqa: PLR0913 - each is a word of its own
        self,
        plan: Plan,
        cluster: Cluster,
        prober: Prober,
        clock: Clock,
        herald: Herald,
        *,
        run: str,
        out: TextIO | None = None,
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._prober = prober
        self._clock = clock
        self._herald = herald
        self._run = f"guard-{run}"
        self._out = out if out is not None else sys.stdout
        self._begin, self._begun = clock.now(), clock.utc()
        self._declared = route.parse(plan.declared_http)
        self._first_holder: str | None = None
        self._seen_mine = False
        self._lease: tuple[str, str] = ("", "")
        self._renewed = self._begin
        self._reachable = False
        self._settled = False
        self._sent = 0
        self._told = -1e9
        self._kept: dict[str, Any] = {}
        self.tally = Tally(speaks=plan.target.gate.exchange is None)

    def run(self) -> int:
        """The exit code. API errors are lived through: the guard is there for when things go wrong."""
        self._say(f"The guard of {self._plan.release} begins.")
        try:
            while not self._look():
                self._probe_for(LOOK_SECONDS)
        except TerminatedError:
            self._keep(done=False)
            return TERMINATED
        self._drain()
        self._keep(done=True)
        self._say(self.tally.document(begun="", until="", done=True)["sentence"] + ".")
        return DONE

    def _look(self) -> bool:
        """Looks at lease and route; returns whether there is nothing left to guard."""
        begin = self._clock.now()
        try:
            lease = self._cluster.read_lease()
            self._note(lease)
            live = self._cluster.read_route()
            self._forgive(begin)
            if self._overtaken(lease):
                self._say("A newer release has begun; its own guard goes on.")
                return True
            self._settled = self._is_settled(live)
            if self._settled:
                return self._others_gone()
            if lease is not None and self._is_dead(lease, live):
                self._restore(lease)
        except ClusterError as error:
            self._say(f"The cluster could not be looked at: {error}")
            self._forgive(begin)
        return False

    def _forgive(self, begin: float) -> None:
        """While the API was away, the release could not renew its lease either."""
        if self._clock.now() - begin > SLOW_SECONDS:
            self._renewed = self._clock.now()

    def _note(self, lease: Lease | None) -> None:
        """Remembers who held the lease at first, and when it was last renewed, by this clock."""
        holder, version = (lease.holder, lease.resource_version) if lease else ("", "")
        if self._first_holder is None:
            self._first_holder = release_of(holder)
        if (holder, version) != self._lease:
            self._lease, self._renewed = (holder, version), self._clock.now()
        self._seen_mine = self._seen_mine or release_of(holder) == self._plan.release

    def _overtaken(self, lease: Lease | None) -> bool:
        """Whether a release that is neither this one nor the one before it holds the lease."""
        holder = release_of(lease.holder) if lease else ""
        if holder in ("", self._plan.release):
            return False
        return self._seen_mine or holder != self._first_holder

    def _is_settled(self, live: LiveRoute | None) -> bool:
        if live is None:
            return False
        owner = live.annotations.get(route.OWNER, "")
        stable = route.parse(route.stable_http(live.annotations, live.http))
        return release_of(owner) == self._plan.release and live.route == stable == self._declared

    def _others_gone(self) -> bool:
        return self._cluster.revisions() <= {target.revision for target in self._plan.targets}

    def _stale(self) -> bool:
        return self._clock.now() - self._renewed > LEASE_SECONDS

    def _is_dead(self, lease: Lease, live: LiveRoute | None) -> bool:
        """Whether this release's holder has stopped renewing the lease with the weights half way; or an error
        ended this guard's own restoration."""
        if live is None or release_of(lease.holder) != self._plan.release:
            return False
        mine = lease.holder == f"{self._plan.release}/{self._run}"
        return (mine or self._stale()) and live.http != route.stable_http(live.annotations, live.http)

    def _restore(self, lease: Lease) -> None:
        """The dead-man rule."""
        silent = self._clock.now() - self._renewed
        self._say(f"The release has not renewed its lease for {silent:.0f} s and the weights are half way.")
        tenure = Tenure(self._cluster, self._clock, release=self._plan.release, run=self._run, silent=lease)
        try:
            tenure.take()
            live = self._cluster.read_route()
            stable = route.stable_http(live.annotations, live.http) if live else []
            proven = route.proven_of(live.annotations) if live else ()
            replicas = route.replicas_of(live.annotations) if live else {}
            restored = Restore(
                self._plan,
                self._cluster,
                tenure,
                self._clock,
                stable=stable,
                proven=proven,
                replicas=replicas,
            ).run()
        except (SupersededError, LeaseLostError) as error:
            self._say(str(error))
            return
        said = f"The Job {self._plan.release} was silent for {silent:.0f} s in the ramp. {restored.sentence}"
        self._say(said)
        self._herald.tell("DeadMan", said, warning=True)
        if restored.settled:
            autoscalers.free(self._cluster, tenure, self._say)

    def _active(self) -> bool:
        """Whether requests are being sent: not after the release has given up."""
        if self._settled:
            return True
        if self._seen_mine:
            return not self._stale()
        return self._clock.now() - self._begin < WAITING_SECONDS

    def _probe_for(self, seconds: float) -> None:
        """Sends requests, open-loop, and counts what comes back."""
        end = self._clock.now() + seconds
        if not self._active():
            self._drain()
            self._keep(done=True)
            self._clock.sleep(seconds)
            return
        text = min(self._plan.target.gate.texts, key=len)
        while self._clock.now() < end:
            speaks = self._seen_mine and self._sent % SPEECH_EVERY
            self._prober.send(Probe(text=text if speaks else None))
            self._sent += 1
            self._clock.sleep(1 / self._per_second)
            self._collect()
        self._keep(done=False)

    @property
    def _per_second(self) -> float:
        """Of requests; no more than the stack lets a release send, whose model may be slow."""
        wanted = PROBES_PER_SECOND if self._seen_mine else WAITING_PROBES_PER_SECOND
        return min(wanted, self._plan.rollout.probes_per_second)

    def _collect(self) -> None:
        """Counts from the first answer on: before it there may be no route."""
        for probe, answer in self._prober.answers():
            self._reachable = self._reachable or answer.status == 200
            if self._reachable:
                self.tally.add(probe, answer)
                self._herald.dropped(self.tally.dropped)

    def _drain(self) -> None:
        """Waits for what is still under way."""
        end = self._clock.now() + self._plan.target.gate.timeout_seconds
        while self._prober.under_way and self._clock.now() < end:
            self._clock.sleep(0.05)
        self._collect()

    def _keep(self, *, done: bool) -> None:
        """Writes the tally: now and then, at the end, and at once when more was dropped, since an update that
        is refused reads it soon after."""
        dropped = self.tally.dropped > self._kept.get("dropped", 0)
        if not done and not dropped and self._clock.now() - self._told < TELL_SECONDS:
            return
        self._told = self._clock.now()
        document = self.tally.document(begun=self._begun, until=self._clock.utc(), done=done)
        same = {**document, "until": ""} == {**self._kept, "until": ""}
        if same or not self.tally.sent:
            return
        try:
            self._cluster.write_traffic(document)
            self._kept = document
        except ClusterError as error:
            self._say(f"The count of requests could not be kept: {error}")

    def _say(self, sentence: str) -> None:
        print(f"[{self._clock.now() - self._begin:7.1f} s] {sentence}", file=self._out, flush=True)

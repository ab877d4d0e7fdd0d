"""An API server, a gateway, pods and a clock in memory, for walks that are stopped and interleaved at will.

A test hooks in before and after every read and write of the cluster: to kill the walk (`Killed`, which
nothing catches), to deliver SIGTERM, or to hand over to another walk. The laws that must hold at every
moment (laws.py) are checked inside every write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from release import plan as plans
from release import route
from release.answer import Answer
from release.cluster import Autoscaler, Lease, LiveRoute, Order, Pod, Probe, Workload
from release.errors import ConflictError, SupersededError, TerminatedError
from release.findings import Verdict
from release.hold import Source
from release.receipt import MOST_BYTES, Record
from release.replay import replay
from release.wav import Audio, decode

from .laws import law, obey_hold, obey_lease, obey_write
from .plans import RATE, VERSIONS, spoken
from .world import Enough, World, copied


@dataclass
class View:
    """One walk's (or guard's) cluster, clock and prober. `hook(when, what)` runs before and after each
    point."""

    world: World
    plan: plans.Plan
    hook: Callable[[str, str], None] = lambda when, what: None
    stopped: bool = False
    came: list[tuple[Probe, Answer]] = field(default_factory=list)
    said: dict[bytes, tuple[str, float]] = field(default_factory=dict)
    """Audio -> what whoever spoke it last said, and how well."""
    source: Source | None = None
    guard: bool = False
    until: float = float("inf")
    """When the test has seen enough."""
    record: Record | None = None
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """A revision's ready and desired replicas when this run last looked."""
    checked: int = 0
    """Right answers in a row since this run's last write of the route."""
    waiting: float | None = None
    """When this run first restored a part only."""

    def _point(self, what: str, action: Callable[[], Any]) -> Any:
        self.hook("before", what)
        found = action()
        self.hook("after", what)
        return found

    # what the laws ask
    def capacity(self, revision: str, *, rises: bool = False) -> int:
        """The percent of the traffic that its pods can take, as this run last saw it. One that rises needs as
        many as are desired, of itself or of the live one; any other at most those it had at the begin."""
        ready, desired = self._seen(revision)
        target = self.plan.find(revision)
        if rises and target is not None and self.plan.autoscaled:
            live = max([(weight, name) for name, weight in self.world.stable_weights().items()], default=None)
            most = self._seen(live[1])[1] if live else 0
            desired = max(desired, min(most, target.max_replicas))
        if not rises:
            desired = min(desired, self.world.begun.get(revision, desired))
        return min(100, 100 * ready // max(1, desired))

    def _seen(self, revision: str) -> tuple[int, int]:
        found = self.world.revisions.get(revision)
        return self.seen.get(revision, (found.ready, found.desired) if found is not None else (0, 0))

    def against(self) -> bool:
        """Whether this run has found something against going on."""
        if self.record is None:
            return False
        failed = any(finding.verdict is Verdict.FAIL for _, finding in self.record._findings)
        return failed or self.record.verdict_at is not None

    def waited(self) -> bool:
        """Whether a restoration has waited for pods as long as it may."""
        limit = self.plan.rollout.ready_seconds
        return self.waiting is not None and self.world.time - self.waiting >= limit

    # cluster
    def job_order(self) -> Order:
        def read() -> Order:
            if self.plan.release not in self.world.jobs:
                raise SupersededError("The Job does not exist any more.")
            return Order(self.world.jobs[self.plan.release], self.plan.release)

        return self._point("read job", read)

    def read_lease(self) -> Lease | None:
        return self._point("read lease", lambda: self.world.lease)

    def write_lease(self, holder: str, order: Order, *, resource_version: str | None) -> Lease:
        def write() -> Lease:
            live = self.world.lease.resource_version if self.world.lease else None
            if live != resource_version:
                raise ConflictError("lease")
            obey_lease(self.world, self, holder)
            if self.world.lease is None or self.world.lease.holder != holder:
                self.world.holders.append(holder)
                self._begin()
            if not self.guard:
                self.world.renewed = self.world.time
            self.world.lease = Lease(holder, order, self.world.next_version())
            return self.world.lease

        return self._point("write lease", write)

    def _begin(self) -> None:
        stable = self.world.stable_weights()
        if self.world.weights() == stable:
            found = self.world.revisions
            self.world.begun = {name: found[name].desired for name in stable if name in found}

    def read_route(self) -> LiveRoute | None:
        return self._point("read route", self._live)

    def _live(self) -> LiveRoute | None:
        found = self.world.route
        if found is None:
            return None
        metadata = found["metadata"]
        annotations, spec = copied(metadata.get("annotations", {})), copied(found["spec"])
        return LiveRoute(metadata["resourceVersion"], annotations, spec)

    def write_route(self, manifest: Mapping[str, Any], *, resource_version: str | None) -> LiveRoute:
        def write() -> LiveRoute | None:
            live = self._live()
            if (live.resource_version if live else None) != resource_version:
                raise ConflictError("route")
            obey_write(self.world, self, manifest)
            self.checked = 0
            self.world.put_route(manifest)
            return self._live()

        return self._point("write route", write)

    def delete_route(self, *, resource_version: str) -> None:
        def delete() -> None:
            live = self._live()
            if live is not None and live.resource_version != resource_version:
                raise ConflictError("route")
            law(not self.world.stable_http(), "A route that has settled is deleted.")
            self.world.route = None

        self._point("delete route", delete)

    def workload(self, revision: str) -> Workload | None:
        def read() -> Workload | None:
            found = self.world.revisions.get(revision)
            self.seen.pop(revision, None)
            self.seen[revision] = self._seen(revision)
            if found is None:
                return None
            pods = [
                Pod(
                    f"{revision}-{i}", f"{revision}#{i}", i < found.ready,
                    restarts=found.restarts, ended=found.ended, looping=found.looping,
                )
                for i in range(found.desired)
            ]  # fmt: skip
            return Workload(
                found.desired, found.ready, tuple(pods), found.asked, str(found.version), found.stuck
            )

        found = self._point("read workload", read)
        restoring = self.guard or self.against()
        if restoring and revision in self.world.stable_weights() and self.waiting is None:
            self.waiting = self.world.time
        return found

    def scale(self, revision: str, replicas: int, *, resource_version: str) -> None:
        def write() -> None:
            found = self.world.revisions.get(revision)
            if found is None or str(found.version) != resource_version:
                raise ConflictError("scale")
            law(self.plan.find(revision) is not None, f"{revision} is scaled by a release of others.")
            law(replicas >= found.desired, f"A release takes replicas of {revision} away.")
            found.scale(replicas, self.world.time, asked=True)
            self.seen[revision] = (found.ready, found.desired)

        self._point("write scale", write)

    def autoscalers(self) -> tuple[Autoscaler, ...]:
        def read() -> tuple[Autoscaler, ...]:
            return tuple(
                Autoscaler(name, found.holder, str(found.holder_version))
                for name, found in self.world.revisions.items()
                if found.holder is not None
            )

        return self._point("list autoscalers", read)

    def hold_autoscaler(self, revision: str, holder: str, *, resource_version: str) -> None:
        def write() -> None:
            found = self.world.revisions.get(revision)
            if found is None or found.holder is None:
                return
            if str(found.holder_version) != resource_version:
                raise ConflictError("autoscaler")
            obey_hold(self.world, holder)
            found.holder, found.holder_version = holder, found.holder_version + 1

        self._point("write autoscaler", write)

    def write_receipt(self, receipt: Mapping[str, Any]) -> None:
        text = json.dumps(receipt, allow_nan=False)
        document = json.loads(text)
        law(replay(document) == [], f"The receipt is decided otherwise: {document['outcome']}.")
        small = len(text) < MOST_BYTES / 4 or len(json.dumps(document, indent=1)) <= MOST_BYTES
        law(small, "The receipt is too large.")
        self._point("write receipt", lambda: self.world.receipts.__setitem__(self.plan.release, document))

    def revisions(self) -> frozenset[str]:
        return self._point("list revisions", lambda: frozenset(self.world.revisions))

    def write_traffic(self, traffic: Mapping[str, Any]) -> None:
        self._point("write traffic", lambda: self.world.traffic.update(json.loads(json.dumps(traffic))))

    def write_event(self, reason: str, sentence: str, *, warning: bool) -> None:
        self.world.events.append((reason, sentence))

    # clock
    def now(self) -> float:
        return self.world.time

    def utc(self) -> str:
        return f"2026-11-23T06:00:00.{int(self.world.time * 1000):06d}Z"

    def sleep(self, seconds: float) -> None:
        self.world.pass_by(seconds)
        if self.world.time >= self.until:
            raise Enough
        self.check()

    def check(self) -> None:
        if self.stopped:
            raise TerminatedError

    # prober
    def pod_version(self, pod: Pod) -> Answer:
        return self._answer(pod.address.split("#")[0], None)

    def pod_speech(self, pod: Pod, text: str, *, keep: bool = False) -> Answer:
        revision = pod.address.split("#")[0]
        answer = self._answer(revision, text)
        if not keep or answer.status != 200 or not self.world.revisions[revision].keeps:
            return answer
        return replace(answer, headers={**answer.headers, "x-tts-output": "gate/voice/"})

    def route(self, probe: Probe) -> Answer:
        answer = self._through(probe)
        right = answer.status == 200 and answer.revision in self.world.weights()
        self.checked = self.checked + 1 if right else 0
        return answer

    def _through(self, probe: Probe) -> Answer:
        weights = self.world.weights()
        if not weights:
            return Answer(404, {}, b"no route", 0.01)
        if any(probe.revision == route.revision_of(host) for host in self.world.live.pin_entries):
            return self._answer(probe.revision, probe.text, routed=True)
        self.world.requests += 1
        point = self.world.requests * 37 % 100
        for revision, weight in sorted(weights.items()):
            if point < weight:
                return self._answer(revision, probe.text, routed=True)
            point -= weight
        raise AssertionError("weights do not sum to 100")

    def send(self, probe: Probe) -> None:
        self.came.append((probe, self._through(probe)))

    under_way = 0

    def answers(self) -> list[tuple[Probe, Answer]]:
        found, self.came = self.came, []
        return found

    def hears(self, audio: Audio) -> tuple[str, float]:
        """What is said in audio that came, and how well."""
        return self.said[audio.samples.tobytes()]

    def _answer(self, revision: str, text: str | None, *, routed: bool = False) -> Answer:
        self.world.pass_by(0.01)
        found = self.world.revisions.get(revision)
        if found is None or found.ready == 0:
            return Answer(503, {}, b"no healthy upstream", 0.01)
        found.answered += routed
        every = found.route_wrong_every
        status = found.route_status if routed else found.status
        status = 500 if routed and every and found.answered % every == 0 else status
        headers = {"x-tts-version": VERSIONS[revision], "x-tts-revision": revision}
        if status != 200:
            return Answer(status, headers, b"broken", 0.01)
        if text is not None:
            body = spoken(text, found.level)
            said = found.route_heard if routed and found.route_heard is not None else found.heard
            self.said[samples_of(body)] = (text if said is None else said, found.quality)
            return Answer(200, headers, body, 2 * found.first_audio, first_audio=found.first_audio)
        about = {"version": VERSIONS[revision], "revision": revision, "sampleRate": RATE}
        return Answer(200, headers, json.dumps(about).encode(), 0.01)


@lru_cache
def samples_of(body: bytes) -> bytes:
    return decode(body).samples.tobytes()

"""An API server, a gateway, pods and a clock in memory, for walks that are stopped and interleaved at will.

A test hooks in before and after every read and write of the cluster: to kill the walk (`Killed`, which
nothing catches), to deliver SIGTERM, or to hand over to another walk. The laws that must hold at every
moment are checked inside every write.
"""

from __future__ import annotations

import copy
import io
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from release import plan as plans
from release import route
from release.cluster import Lease, LiveRoute, Order, Pod, Workload
from release.errors import ConflictError, SupersededError, TerminatedError
from release.receipt import Record
from release.smoke import Answer
from release.walk import Outcome, Walk

NAMESPACE = "tts"
RATE = 24000
V1, V2, V3 = "voice-1-0-0-aaaaaa", "voice-1-1-0-bbbbbb", "voice-1-2-0-cccccc"
VERSIONS = {V1: "1.0.0", V2: "1.1.0", V3: "1.2.0"}


class Killed(BaseException):
    """The pod was killed: no handler runs."""


def host_of(revision: str) -> str:
    return f"{revision}.{NAMESPACE}.svc.cluster.local"


def http_for(weights: Mapping[str, int]) -> route.Http:
    def to(revision: str) -> dict[str, Any]:
        return {"host": host_of(revision), "port": {"number": 80}}

    pins = [
        {
            "name": f"pin-{VERSIONS[revision]}",
            "match": [{"headers": {"x-tts-version": {"exact": VERSIONS[revision]}}}],
            "route": [{"destination": to(revision)}],
        }
        for revision in sorted(weights)
    ]
    shares = [{"destination": to(name), "weight": weight} for name, weight in sorted(weights.items())]
    return [*pins, {"name": "weighted", "route": shares}]


def virtual_service(weights: Mapping[str, int]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "voice", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/name": "voice"}},
        "spec": {"hosts": ["*"], "gateways": ["voice"], "http": http_for(weights)},
    }


def plan_document(revision: str, *, release: str | None = None, **rollout: Any) -> dict[str, Any]:
    return {
        "release": release or f"voice-release-{revision[-6:]}",
        "name": "voice",
        "namespace": NAMESPACE,
        "model": "voice",
        "target": {"revision": revision, "version": VERSIONS[revision], "replicas": 1, "containerPort": 8080},
        "route": virtual_service({revision: 100}),
        "gateway": {"address": "http://127.0.0.1:6006", "host": "*"},
        "rollout": {"steps": [10, 50, 100], "holdSeconds": 1, "readySeconds": 5, **rollout},
        "gate": {
            "sampleRate": RATE,
            "texts": ["The morning was quiet and clear."],
            "required": ["decodable", "sampleRate", "duration", "level", "identity"],
            "charactersPerSecond": {"min": 9.9, "max": 20.5},
            "rmsDbfs": {"min": -35, "max": -15},
            "timeoutSeconds": 60,
        },
    }


def plan_for(revision: str, *, release: str | None = None, **rollout: Any) -> plans.Plan:
    return plans.parse(json.dumps(plan_document(revision, release=release, **rollout)))


def wav_bytes(samples: np.ndarray, rate: int = RATE, *, size: int | None = None) -> bytes:
    data = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    sizes = 0xFFFFFFFF if size is None else size
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", sizes, b"WAVE") + form + struct.pack("<4sI", b"data", sizes) + data


def speech(text: str, *, rate: int = RATE, level: float = 0.1, pace: float = 15.0) -> np.ndarray:
    seconds = len(text.strip()) / pace
    time = np.arange(int(seconds * rate)) / rate
    return level * np.sin(2 * np.pi * 220 * time)


@dataclass
class Revision:
    """A Deployment with its pods, and how it speaks."""

    name: str
    desired: int = 1
    ready: int = 1
    level: float = 0.1
    status: int = 200
    route_status: int = 200


@dataclass
class World:
    """The API server's objects, the gateway and the time."""

    time: float = 0.0
    version: int = 0
    route: dict[str, Any] | None = None
    lease: Lease | None = None
    jobs: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)
    receipts: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, int]] = field(default_factory=list)
    requests: int = 0

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)

    def put_route(self, manifest: Mapping[str, Any]) -> None:
        self.route = copy.deepcopy(dict(manifest))
        self.route["metadata"]["resourceVersion"] = self.next_version()
        self._obey()

    def weights(self) -> dict[str, int]:
        """Revision -> percent of the live route; empty without a route."""
        if self.route is None:
            return {}
        parsed = route.parse(self.route["spec"]["http"])
        return {route.revision_of(host): weight for host, weight in parsed.weights.items()}

    def stable_weights(self) -> dict[str, int]:
        """Revision -> percent of the route a release would restore now."""
        if self.route is None:
            return {}
        annotations = self.route["metadata"].get("annotations", {})
        parsed = route.parse(route.stable_http(annotations, self.route["spec"]["http"]))
        return {route.revision_of(host): weight for host, weight in parsed.weights.items()}

    def whole(self) -> bool:
        return len(self.weights()) <= 1

    def _obey(self) -> None:
        """Weights sum to 100; what has weight is there; what gained weight is ready."""
        assert self.route is not None
        raw = [item["weight"] for item in self.route["spec"]["http"][-1]["route"]]
        assert sum(raw) == 100, raw
        weights = self.weights()
        before = self.history[-1] if self.history else {}
        for name, weight in weights.items():
            assert name in self.revisions, f"{name} has {weight} % and does not exist"
            gained = weight > before.get(name, 0)
            assert not gained or self.revisions[name].ready > 0, f"{name} is not ready"
        self.history.append(weights)

    def nothing_missing(self) -> bool:
        return all(name in self.revisions and self.revisions[name].ready > 0 for name in self.weights())

    def start_job(self, release: str, created: str) -> None:
        self.jobs[release] = created

    def deploy(self, name: str, **settings: Any) -> None:
        self.revisions.setdefault(name, Revision(name, **settings))


@dataclass
class View:
    """One walk's cluster, clock and prober. `hook(kind, number)` runs before and after each point."""

    world: World
    plan: plans.Plan
    hook: Callable[[str, str], None] = lambda when, what: None
    stopped: bool = False

    def _point(self, what: str, action: Callable[[], Any]) -> Any:
        self.hook("before", what)
        found = action()
        self.hook("after", what)
        return copy.deepcopy(found)

    # cluster
    def job_order(self) -> Order:
        def read() -> Order:
            if self.plan.release not in self.world.jobs:
                raise SupersededError("The Job does not exist any more.")
            return Order(self.world.jobs[self.plan.release], self.plan.release)

        return self._point("read job", read)

    def read_lease(self) -> Lease | None:
        return self._point("read lease", lambda: self.world.lease)

    def write_lease(self, holder: str, order: Order, *, resource_version: str | None) -> None:
        def write() -> None:
            live = self.world.lease.resource_version if self.world.lease else None
            if live != resource_version:
                raise ConflictError("lease")
            self.world.lease = Lease(holder, order, self.world.next_version())

        self._point("write lease", write)

    def read_route(self) -> LiveRoute | None:
        return self._point("read route", self._live)

    def _live(self) -> LiveRoute | None:
        found = self.world.route
        if found is None:
            return None
        metadata = found["metadata"]
        return LiveRoute(metadata["resourceVersion"], metadata.get("annotations", {}), found["spec"])

    def write_route(self, manifest: Mapping[str, Any], *, resource_version: str | None) -> LiveRoute:
        def write() -> LiveRoute | None:
            live = self._live()
            if (live.resource_version if live else None) != resource_version:
                raise ConflictError("route")
            self.world.put_route(manifest)
            return self._live()

        return self._point("write route", write)

    def delete_route(self, *, resource_version: str) -> None:
        def delete() -> None:
            live = self._live()
            if live is not None and live.resource_version != resource_version:
                raise ConflictError("route")
            self.world.route = None

        self._point("delete route", delete)

    def workload(self, revision: str) -> Workload | None:
        def read() -> Workload | None:
            found = self.world.revisions.get(revision)
            if found is None:
                return None
            pods = [Pod(f"{revision}-{i}", f"{revision}#{i}", i < found.ready) for i in range(found.desired)]
            return Workload(found.desired, found.ready, tuple(pods))

        return self._point("read workload", read)

    def write_receipt(self, receipt: Mapping[str, Any]) -> None:
        text = json.dumps(receipt, allow_nan=False)
        self._point(
            "write receipt", lambda: self.world.receipts.__setitem__(self.plan.release, json.loads(text))
        )

    # clock
    def now(self) -> float:
        return self.world.time

    def utc(self) -> str:
        return f"2026-11-23T06:00:00.{int(self.world.time * 1000):06d}Z"

    def sleep(self, seconds: float) -> None:
        self.world.time += seconds
        self.check()

    def check(self) -> None:
        if self.stopped:
            raise TerminatedError

    # prober
    def pod_version(self, pod: Pod) -> Answer:
        return self._answer(pod.address.split("#")[0], None)

    def pod_speech(self, pod: Pod, text: str) -> Answer:
        return self._answer(pod.address.split("#")[0], text)

    def route_version(self) -> Answer:
        return self._routed(None)

    def route_speech(self, text: str) -> Answer:
        return self._routed(text)

    def _routed(self, text: str | None) -> Answer:
        weights = self.world.weights()
        if not weights:
            return Answer(404, {}, b"no route", 0.01)
        self.world.requests += 1
        point = self.world.requests * 37 % 100
        for revision, weight in sorted(weights.items()):
            if point < weight:
                return self._answer(revision, text, routed=True)
            point -= weight
        raise AssertionError("weights do not sum to 100")

    def _answer(self, revision: str, text: str | None, *, routed: bool = False) -> Answer:
        self.world.time += 0.01
        found = self.world.revisions.get(revision)
        if found is None or found.ready == 0:
            return Answer(503, {}, b"no healthy upstream", 0.01)
        status = found.route_status if routed else found.status
        headers = {"x-tts-version": VERSIONS[revision], "x-tts-revision": revision}
        if status != 200:
            return Answer(status, headers, b"broken", 0.01)
        if text is not None:
            return Answer(200, headers, wav_bytes(speech(text, level=found.level)), 0.01)
        about = {"version": VERSIONS[revision], "revision": revision, "sampleRate": RATE}
        return Answer(200, headers, json.dumps(about).encode(), 0.01)


_runs = iter(range(10**9))


def run_job(
    world: World,
    plan: plans.Plan,
    *,
    hook: Callable[[str, str], None] | None = None,
    view: View | None = None,
) -> Outcome:
    """One pod of the release's Job, from start to end."""
    view = view or View(world, plan)
    if hook is not None:
        view.hook = hook
    record = Record(plan, view, out=io.StringIO())
    return Walk(plan, view, view, view, record, run=f"run{next(_runs)}").run()


def serving(revision: str, *others: str) -> World:
    """A world in which a first release of `revision` has settled, and `others` are deployed."""
    world = World()
    world.deploy(revision)
    world.start_job("voice-release-first", "2026-11-23T06:00:00Z")
    outcome = run_job(world, plan_for(revision, release="voice-release-first"))
    assert outcome.code == 0, outcome
    for other in others:
        world.deploy(other)
    return world

"""The API server's objects, the gateway's route, the revisions and the time of a simulation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from release import route
from release.cluster import Lease

from .laws import obey_route


def copied(document: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of what is JSON."""
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


class Killed(BaseException):
    """The pod was killed: no handler runs."""


STARTING = 7.0
"""Seconds until a pod that is asked for is ready."""


class Enough(BaseException):
    """The test has seen enough of a guard, which goes on for ever."""


@dataclass
class Revision:
    """A Deployment with its pods, and how it speaks."""

    name: str
    desired: int = 1
    ready: int = 1
    level: float = 0.1
    status: int = 200
    route_status: int = 200
    route_wrong_every: int = 0
    """Every so-manieth answer through the route is a 500."""
    first_audio: float = 0.01
    restarts: int = 0
    ended: str = ""
    stuck: bool = False
    looping: bool = False
    heard: str | None = None
    """What the ears hear instead of the text."""
    route_heard: str | None = None
    quality: float = 3.3
    keeps: bool = True
    """Whether its servers keep what a gate asks them to."""
    answered: int = 0
    version: int = 0
    asked: bool = True
    """Whether a release has asked for `desired`."""
    coming: float = float("inf")
    """When all that is desired is ready."""
    holder: str | None = None
    """Who holds its autoscaler; None where it has none."""
    holder_version: int = 0

    def scale(self, desired: int, time: float, *, asked: bool) -> None:
        self.coming = time + STARTING if desired > self.desired else self.coming
        self.desired, self.ready, self.asked = desired, min(self.ready, desired), asked
        self.version += 1


@dataclass
class World:
    """The API server's objects, the gateway and the time."""

    time: float = 0.0
    version: int = 0
    route: dict[str, Any] | None = None
    lease: Lease | None = None
    renewed: float = 0.0
    """When a Job last wrote the lease."""
    holders: list[str] = field(default_factory=list)
    """Who took the lease, in order."""
    begun: dict[str, int] = field(default_factory=dict)
    """Revision -> desired replicas, of what was to be restored when a Job last began from a settled route."""
    settled: set[str] = field(default_factory=set)
    """Revisions that have settled with weight."""
    jobs: dict[str, str] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)
    receipts: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, int]] = field(default_factory=list)
    requests: int = 0
    events: list[tuple[str, str]] = field(default_factory=list)
    traffic: dict[str, Any] = field(default_factory=dict)
    _read: tuple[str, Any] = ("", None)

    def next_version(self) -> str:
        self.version += 1
        return str(self.version)

    def put_route(self, manifest: Mapping[str, Any]) -> None:
        self.route = copied(manifest)
        self.route["metadata"]["resourceVersion"] = self.next_version()
        obey_route(self, self.history[-1] if self.history else {})
        self.history.append(self.weights())
        if route.STABLE not in self.route["metadata"].get("annotations", {}):
            self.settled |= set(self.weights())  # nobody but a release writes the annotation

    @property
    def live(self) -> route.Route:
        """What the live route means; read once for each write."""
        assert self.route is not None
        version = self.route["metadata"]["resourceVersion"]
        if self._read[0] != version:
            self._read = (version, route.parse(self.route["spec"]["http"]))
        return self._read[1]

    def weights(self) -> dict[str, int]:
        """Revision -> percent of the live route; empty without a route."""
        if self.route is None:
            return {}
        return {route.revision_of(host): weight for host, weight in self.live.weights.items()}

    def stable_http(self) -> route.Http:
        """What a release would restore now; empty without a route."""
        if self.route is None:
            return []
        return route.stable_http(self.route["metadata"].get("annotations", {}), self.route["spec"]["http"])

    def stable_weights(self) -> dict[str, int]:
        """Revision -> percent of the route a release would restore now."""
        parsed = route.parse(self.stable_http())
        return {route.revision_of(host): weight for host, weight in parsed.weights.items()}

    def whole(self) -> bool:
        return len(self.weights()) <= 1

    def took(self, holder: str) -> int:
        """When `holder` last took the lease, as a place in the order; -1 for never."""
        return max((place for place, name in enumerate(self.holders) if name == holder), default=-1)

    def nothing_missing(self) -> bool:
        return all(name in self.revisions and self.revisions[name].ready > 0 for name in self.weights())

    def autoscale(self, name: str, desired: int) -> None:
        """What an autoscaler may do, for whatever reason it has."""
        found = self.revisions.get(name)
        if found is None or found.holder is None or (found.holder and desired < found.desired):
            return
        found.scale(desired, self.time, asked=False)

    def pass_by(self, seconds: float) -> None:
        self.time += seconds
        for found in self.revisions.values():
            if found.coming <= self.time:
                found.ready, found.coming = found.desired, float("inf")

    def start_job(self, release: str, created: str) -> None:
        self.jobs[release] = created

    def deploy(self, name: str, **settings: Any) -> None:
        self.revisions.setdefault(name, Revision(name, **settings))

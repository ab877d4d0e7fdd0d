"""What the walk needs of a cluster, a clock and a prober. kubernetes.py, probe.py and the tests' simulation
give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .answer import Answer
from .plan import Target
from .route import Http, Route, parse
from .wav import Audio


@dataclass(frozen=True, order=True)
class Order:
    """Which release is newer: the Job's creationTimestamp (RFC 3339, UTC), then its name."""

    created: str
    release: str


@dataclass(frozen=True)
class Lease:
    """Who may write the route. `holder` is `<release>/<run>`."""

    holder: str
    order: Order
    resource_version: str


@dataclass(frozen=True)
class LiveRoute:
    """The VirtualService as it is; `resource_version` is the lock of the next write."""

    resource_version: str
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]

    @property
    def http(self) -> Http:
        """spec.http; empty when there is none."""
        http = self.spec.get("http")
        return http if isinstance(http, list) else []

    @property
    def route(self) -> Route:
        """What the http means."""
        return parse(self.http)


@dataclass(frozen=True)
class Pod:
    """A pod of a revision that is not being deleted. `message` says why it is not ready, where that is
    known; `ended` how its container ended before its last restart; `looping`: it ends again and again before
    it is ready; `port` is 0 where it names none."""

    name: str
    address: str
    ready: bool
    message: str = ""
    port: int = 0
    restarts: int = 0
    ended: str = ""
    looping: bool = False


@dataclass(frozen=True)
class Workload:
    """A revision's Deployment and pods. `desired` and `ready` count replicas; `asked`: whether `desired` is
    what a release has asked for; `resource_version` is the lock of the next request; `stuck`: whether its
    progress deadline is over."""

    desired: int
    ready: int
    pods: tuple[Pod, ...]
    asked: bool = False
    resource_version: str = ""
    stuck: bool = False

    @property
    def ready_pods(self) -> tuple[Pod, ...]:
        """The pods that are ready and have an address."""
        return tuple(pod for pod in self.pods if pod.ready and pod.address)

    @property
    def whole(self) -> bool:
        """Whether every desired replica is ready, and there is one."""
        return self.carries(self.desired)

    def carries(self, replicas: int) -> bool:
        """Whether as many replicas are ready, or all that are desired where these are fewer, and one is."""
        return 0 < min(self.desired, replicas) <= min(self.ready, len(self.ready_pods))

    @property
    def hopeless(self) -> bool:
        """Whether waiting makes no sense any more: an update gives the Deployment up at the same moment."""
        return self.stuck or any(pod.looping for pod in self.pods)

    @property
    def story(self) -> str:
        """`1 of 2 replicas are ready; pod x: 0/3 nodes are available`."""
        reasons = [f"pod {pod.name}: {pod.message}" for pod in self.pods if not pod.ready and pod.message]
        return "; ".join([f"{len(self.ready_pods)} of {self.desired} replicas are ready", *reasons])


@dataclass(frozen=True)
class Autoscaler:
    """What changes the number of replicas of a revision. While a run holds it (`<release>/<run>`, empty for
    nobody), it takes none away."""

    revision: str
    holder: str
    resource_version: str


@dataclass(frozen=True)
class Probe:
    """One request through the route: GET /version, or speech of `text`; `revision` asks for that one by
    header. How long a `timed` one takes is compared."""

    text: str | None = None
    revision: str = ""
    timed: bool = False


class Cluster(Protocol):
    """Every call may raise ClusterError; writes raise ConflictError when the object is not the one that was
    read."""

    def job_order(self) -> Order:
        """This release's own place in the order. Raises SupersededError when its Job is gone."""

    def read_lease(self) -> Lease | None:
        """The lease, or None when nobody ever took it."""

    def write_lease(self, holder: str, order: Order, *, resource_version: str | None) -> Lease:
        """Takes or renews the lease; without a resource_version it is created."""

    def read_route(self) -> LiveRoute | None:
        """The VirtualService, or None on a first install."""

    def write_route(self, manifest: Mapping[str, Any], *, resource_version: str | None) -> LiveRoute:
        """Applies the whole manifest; without a resource_version it is created."""

    def delete_route(self, *, resource_version: str) -> None:
        """Deletes the VirtualService if it is still the one that was read."""

    def workload(self, revision: str) -> Workload | None:
        """The revision's Deployment and pods, or None when there is no such Deployment."""

    def revisions(self) -> frozenset[str]:
        """The revisions of this name that have a Deployment."""

    def scale(self, revision: str, replicas: int, *, resource_version: str) -> None:
        """Asks for so many replicas of a revision."""

    def autoscalers(self) -> tuple[Autoscaler, ...]:
        """The autoscalers of the revisions of this name."""

    def hold_autoscaler(self, revision: str, holder: str, *, resource_version: str) -> None:
        """Lets an autoscaler take no replica away while `holder` holds it; without a holder it may again. One
        that is gone is fine."""

    def write_receipt(self, receipt: Mapping[str, Any]) -> None:
        """Keeps the receipt and drops the oldest ones of this name."""

    def write_traffic(self, traffic: Mapping[str, Any]) -> None:
        """Keeps the guard's count beside the receipt."""

    def write_event(self, reason: str, sentence: str, *, warning: bool) -> None:
        """An Event on the VirtualService. Tried once: a release does not wait for its own news."""


class Clock(Protocol):
    """Seconds, and SIGTERM."""

    def now(self) -> float:
        """Seconds since some fixed moment, never going back."""

    def utc(self) -> str:
        """The time of day, RFC 3339 in UTC."""

    def sleep(self, seconds: float) -> None:
        """Waits. Raises TerminatedError at once when SIGTERM arrived."""

    def check(self) -> None:
        """Raises TerminatedError when SIGTERM arrived."""


class Prober(Protocol):
    """Speaks to pods and to the route; an answer that did not come is an Answer with its error."""

    def pod_version(self, pod: Pod) -> Answer:
        """GET /version of one pod."""

    def pod_speech(self, pod: Pod, text: str, *, keep: bool = False) -> Answer:
        """One synthesis by one pod, which is asked to `keep` what it spoke in the stack's store."""

    def route(self, probe: Probe) -> Answer:
        """One request through the route, on a fresh connection."""

    def send(self, probe: Probe) -> None:
        """Begins one request through the route and does not wait for it."""

    @property
    def under_way(self) -> int:
        """How many of those sent have not been answered."""

    def answers(self) -> list[tuple[Probe, Answer]]:
        """The answers to what was sent that have come since the last call."""


class Ears(Protocol):
    """Listens to speech, for one language and one set of texts."""

    def prepare(self, target: Target) -> None:
        """Makes ready to listen, which takes a moment."""

    def transcript(self, target: Target, audio: Audio) -> str | None:
        """What is said, or None where no recogniser knows the language."""

    def guessed(self, target: Target) -> tuple[str, ...]:
        """The words of the texts whose sound is a guess, since no dictionary has them."""

    def word_error_rate(self, text: str, transcript: str) -> float:
        """Wrong words per word of the text, 0 for none."""

    def quality(self, audio: Audio) -> float:
        """The predicted opinion score, 1 to 5."""

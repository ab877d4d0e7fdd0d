"""The walk of a release: lease, first write, gate, ramp, check, and on any failing verdict one write that
restores.

Every read of the route is followed by a check of the lease, and every write carries the resourceVersion of
such a read or of this run's own last write. So once a newer run has taken the lease and written, no older
write can land.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import route
from .cluster import Clock, Cluster, LiveRoute, Prober
from .errors import (
    ClusterError,
    ConflictError,
    LeaseLostError,
    RefusedError,
    RejectedError,
    ReleaseError,
    RouteMovedError,
    SupersededError,
    TerminatedError,
)
from .lease import Tenure
from .plan import Plan
from .planner import Weights, ramp, rising
from .receipt import Record
from .restore import Restore, manifest_of
from .watch import Watch

RELEASED, FAILED, REFUSED, SUPERSEDED, TERMINATED = 0, 1, 42, 43, 143
TRIES = 5


@dataclass(frozen=True)
class Outcome:
    """How the Job ends: its exit code, the word for it, and the sentences of the termination message."""

    code: int
    word: str
    sentences: tuple[str, ...]


class Walk:
    """One run of one release. `run` makes it different from every other run of the same release."""

    def __init__(
        self, plan: Plan, cluster: Cluster, prober: Prober, clock: Clock, record: Record, *, run: str
    ) -> None:
        self._plan = plan
        self._cluster = cluster
        self._clock = clock
        self._record = record
        self._tenure = Tenure(cluster, clock, release=plan.release, run=run)
        self._watch = Watch(plan, cluster, prober, clock, record)
        self._declared = route.parse(plan.declared_http)
        self._live: LiveRoute | None = None
        self._stable: route.Http | None = None
        """What to restore; None until the route has been read, empty when no route had settled."""

    def run(self) -> Outcome:
        """Releases, or restores. Raises ClusterError when the API stayed away: then Kubernetes starts
        again."""
        try:
            return self._judged()
        except SupersededError as error:
            return self._gave_up(error, SUPERSEDED, "superseded")
        except LeaseLostError as error:
            return self._gave_up(error, FAILED, "lease lost")

    def _judged(self) -> Outcome:
        try:
            return self._released()
        except RefusedError as refusal:
            return self._refused(refusal.sentences)
        except RejectedError as error:
            return self._refused((str(error),))
        except TerminatedError:
            title = "The release was ended by SIGTERM and will be started again."
            return self._ended(TERMINATED, "terminated", (title, self._restored()))
        except (SupersededError, LeaseLostError):
            raise
        except Exception as error:
            self._record.say(f"The release cannot go on: {error}")
            self._restored()
            raise

    def _refused(self, reasons: tuple[str, ...]) -> Outcome:
        for sentence in reasons:
            self._record.say(sentence)
        title = f"{self._plan.target.version} ({self._plan.target.revision}) is refused."
        return self._ended(REFUSED, "refused", (title, *reasons, self._restored()))

    def _released(self) -> Outcome:
        target = self._plan.target
        self._record.say(f"{self._plan.release} releases {target.version} as {target.revision}.")
        before = self._tenure.take()
        self._record.say("The lease is taken" + (f"; {before} held it before." if before else "."))
        for _ in range(TRIES):
            try:
                self._advance()
                break
            except RouteMovedError as moved:
                self._record.say(f"{moved} The release starts again from the live weights.")
        else:
            raise ClusterError(
                f"The route was changed by someone else {TRIES} times during {self._plan.release}."
            )
        sentence = f"{target.version} is released as {target.revision}."
        return self._ended(RELEASED, "released", (sentence,))

    def _advance(self) -> None:
        """From whatever is live to the declared route."""
        self._live = self._read()
        if self._live is None:
            self._stable = []
            self._record.say("There is no route yet: this is a first install.")
        else:
            self._stable = route.stable_http(self._live.annotations, self._live.http)
            self._record.say(f"The live route gives {route.describe(self._live.route.weights)}.")
            self._write(self._live.http, self._step_spec(self._live.http))
        self._watch.versions = self._known_versions()
        self._watch.gate(self._watch.await_ready(self._plan.target.revision))
        self._ramp()
        self._settle()

    def _known_versions(self) -> Mapping[str, str]:
        pins = {**self._declared.pins, **(self._live.route.pins if self._live else {})}
        versions = {route.revision_of(host): version for version, host in pins.items()}
        return {**versions, self._plan.target.revision: self._plan.target.version}

    def _ramp(self) -> None:
        target = self._declared.weights
        if self._live is None:
            self._await_ready({}, target)
            self._final_write()
            return
        for weights in ramp(self._live.route.weights, target, self._steps()):
            before = self._live.route
            self._await_ready(before.weights, weights)
            if weights == target:
                self._final_write()
            else:
                http = route.step_http(self._plan.declared_http, before, weights)
                self._write(http, self._step_spec(http))
            percent = sum(w for host, w in weights.items() if self._is_target(host))
            step = self._record.step(weights)
            self._watch.hold(step, revisions=before.revisions | self._live.route.revisions, percent=percent)

    def _steps(self) -> tuple[int, ...]:
        """The way back to what is stable is walked in one step: it is known to be good, and wanted
        quickly."""
        back = self._stable and route.parse(self._stable).weights == self._declared.weights
        return (100,) if back else self._plan.rollout.steps

    def _is_target(self, host: str) -> bool:
        return route.revision_of(host) == self._plan.target.revision

    def _await_ready(self, before: Weights, after: Weights) -> None:
        for host in rising(before, after):
            self._watch.await_ready(route.revision_of(host))

    def _settle(self) -> None:
        """The declared route is live: checks it, and makes it the one to restore from now on."""
        leaving = self._live.route.revisions if self._live else frozenset()
        first = not self._stable
        if self._live is None or self._live.spec != self._plan.route["spec"]:
            self._final_write()
        revisions = self._declared.revisions
        if self._stable:
            leaving = leaving | route.parse(self._stable).revisions
        self._watch.check_route(revisions=revisions, leaving=leaving - revisions, first=first)
        self._stable_is_declared()

    def _stable_is_declared(self) -> None:
        previous, self._stable = self._stable, self._plan.declared_http
        try:
            self._write(self._plan.declared_http, self._plan.route["spec"])
        except ReleaseError:
            self._stable = previous
            raise

    def _final_write(self) -> None:
        self._write(self._plan.declared_http, self._plan.route["spec"])

    def _step_spec(self, http: route.Http) -> dict[str, Any]:
        return route.step_spec(self._plan.route["spec"], self._live.spec if self._live else {}, http)

    def _read(self) -> LiveRoute | None:
        """The live route; this run held the lease after it was read."""
        self._clock.check()
        live = self._cluster.read_route()
        self._tenure.check()
        return live

    def _write(self, http: route.Http, spec: Mapping[str, Any]) -> None:
        """One write of the route. A write by someone else that left the destinations alone is written
        over."""
        manifest = self._manifest(spec)
        for _ in range(TRIES):
            self._clock.check()
            version = self._live.resource_version if self._live else None
            try:
                self._live = self._cluster.write_route(manifest, resource_version=version)
                return
            except ConflictError:
                before = self._live
            self._live = self._read()
            if before is None or self._live is None:
                if self._landed(http):
                    return
                raise RouteMovedError("The route was made or deleted by someone else.")
            if self._live.route not in (before.route, route.parse(http)):
                raise RouteMovedError("The route's destinations were changed by someone else.")
        raise ClusterError(f"The route was changed during each of {TRIES} writes by {self._plan.release}.")

    def _landed(self, http: route.Http) -> bool:
        """Whether an own write arrived although its answer was lost."""
        live = self._live
        return (
            live is not None
            and live.annotations.get(route.OWNER) == self._tenure.holder
            and live.route == route.parse(http)
        )

    def _manifest(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return manifest_of(self._plan, spec, owner=self._tenure.holder, stable=self._stable or [])

    def _restored(self) -> str:
        """Restores the stable route and says what was done."""
        if not self._tenure.taken:
            return "The route was not touched."
        begin = self._clock.now()
        if self._stable is None:
            live = self._cluster.read_route()
            self._stable = route.stable_http(live.annotations, live.http) if live else []
        restore = Restore(self._plan, self._cluster, self._tenure, stable=self._stable)
        sentence = restore.run()
        self._record.restore_seconds = round(self._clock.now() - begin, 3)
        self._record.say(sentence)
        return sentence

    def _gave_up(self, error: ReleaseError, code: int, word: str) -> Outcome:
        self._record.say(str(error))
        return Outcome(code, word, (str(error), "This run changed nothing any more."))

    def _ended(self, code: int, word: str, sentences: tuple[str, ...]) -> Outcome:
        try:
            self._cluster.write_receipt(self._record.document(outcome=word, sentences=sentences))
        except ClusterError as error:
            self._record.say(f"The receipt could not be kept: {error}")
        self._record.say(sentences[0])
        return Outcome(code, word, sentences)

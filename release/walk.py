"""The walk of a release: lease, first write, gate, ramp, check, and on any failing verdict one write that
restores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from . import route
from .analysis import Stage
from .capacity import Capacity
from .cluster import Clock, Cluster, Ears, Prober
from .errors import (
    ClusterError,
    LeaseLostError,
    RefusedError,
    RejectedError,
    ReleaseError,
    RouteMovedError,
    SupersededError,
    TerminatedError,
)
from .gate import Gate, Reference
from .herald import Herald
from .hold import Aside, Hold, Source
from .keeper import RouteKeeper
from .lease import Tenure
from .plan import IMMEDIATE, WARM, Plan, Target
from .planner import Weights, ramp, rising
from .receipt import Record
from .watch import Watch

RELEASED, FAILED, REFUSED, SUPERSEDED, TERMINATED = 0, 1, 42, 43, 143
TRIES = 5


@dataclass(frozen=True)
class Outcome:
    """How the Job ends: its exit code, the word for it, and the sentences of the termination message."""

    code: int
    word: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Outside:
    """What a walk speaks to."""

    cluster: Cluster
    prober: Prober
    clock: Clock
    ears: Ears
    aside: Aside
    source: Source | None = None


class Walk:
    """One run of one release. `run` makes it different from every other run of the same release."""

    def __init__(self, plan: Plan, outside: Outside, record: Record, herald: Herald, *, run: str) -> None:
        self._plan = plan
        self._outside = outside
        self._cluster = outside.cluster
        self._clock = outside.clock
        self._record = record
        self._herald = herald
        self._tenure = Tenure(outside.cluster, outside.clock, release=plan.release, run=run)
        self._route = RouteKeeper(plan, outside.cluster, self._tenure, outside.clock)
        self._capacity = Capacity(
            plan, outside.cluster, outside.clock, record, keeper=self._route, tenure=self._tenure
        )
        self._watch = Watch(
            plan, outside.cluster, outside.prober, outside.clock, record, herald, outside.ears, outside.aside,
            outside.source, self._tenure.beat, self._capacity,
        )  # fmt: skip
        self._compared: set[str] = set()

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
        self._record.verdict_at = self._record.seconds
        for sentence in reasons:
            self._record.say(sentence)
        restored = self._restored()
        self._record.refused_for = list(reasons)
        title = f"{self._plan.target.version} ({self._plan.target.revision}) is refused."
        return self._ended(REFUSED, "refused", (title, *reasons, restored))

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
        self._capacity.give_back()
        sentence = f"{target.version} is released as {target.revision}."
        return self._ended(RELEASED, "released", (sentence,))

    def _advance(self) -> None:
        """From whatever is live to the declared route."""
        self._route.begin()
        live = self._route.live
        if live is None:
            self._record.say("There is no route yet: this is a first install.")
        else:
            weights = live.route.weights
            self._record.before = {route.revision_of(host): weight for host, weight in weights.items()}
            self._record.say(f"The live route gives {route.describe(weights)}.")
        self._watch.versions = self._known_versions()
        self._herald.tell("ReleaseStarted", self._begins())
        self._herald.phase("gate")
        self._capacity.begin()
        self._gate()
        self._herald.phase("ramp")
        self._ramp()
        self._herald.phase("check")
        self._settle()

    def _known_versions(self) -> Mapping[str, str]:
        live = self._route.live.route.versions if self._route.live else {}
        return {
            **self._route.declared.versions,
            **live,
            **{each.revision: each.version for each in self._plan.targets},
        }

    def _gate(self) -> None:
        """Whatever is to get requests and has not served before is listened to; what has served before and
        rises again only shows that it speaks."""
        reference = self._reference()
        for target in self._plan.targets:
            risen, proven = self._rises(target), target.revision in self._route.proven
            if target.role == WARM or (proven and not risen):
                continue
            outside, trusted = self._outside, self._trusted(target.revision)
            gate = Gate(
                target, outside.prober, outside.ears, outside.aside, self._record, self._tenure.beat,
                audio_store=self._plan.audio_store,
            )  # fmt: skip
            if not trusted:
                gate.prepare()
            workload = self._watch.await_ready(target.revision, start_seconds=target.start_seconds)
            if trusted:
                gate.smoke(workload)
            else:
                other = reference if reference and reference.revision != target.revision else None
                gate.listen(workload, other)
                passed = f"{target.version} ({target.revision}) passed the gate. {gate.where_to_hear}"
                self._herald.tell("GatePassed", passed.rstrip())
            self._watch.credit(target.revision, gate.right_answers)
            self._compared |= {target.revision} if gate.compared else set()

    def _begins(self) -> str:
        target = self._plan.target
        steps = ", ".join(f"{step} %" for step in self._steps())
        way = (
            f"from {route.describe(self._route.live.route.weights)}, in steps of {steps} of the way"
            if self._route.live
            else "as the first one"
        )
        return f"{self._plan.release} begins to release {target.version} ({target.revision}) {way}."

    def _trusted(self, revision: str) -> bool:
        return revision in self._route.proven or self._plan.rollout.strategy == IMMEDIATE

    def _rises(self, target: Target) -> bool:
        """Whether it is to get requests that it does not get by the stable route."""
        stable, host = self._route.stable, self._host_of(target.revision)
        mirrored = target.revision in self._route.declared.mirrored - stable.mirrored
        return mirrored or self._route.declared.weights.get(host, 0) > stable.weights.get(host, 0)

    def _host_of(self, revision: str) -> str:
        hosts = [*self._route.declared.weights, *self._route.declared.pin_entries]
        return next((host for host in hosts if route.revision_of(host) == revision), revision)

    def _reference(self) -> Reference | None:
        """The revision with the most weight by the stable route that does not rise, with its ready pods."""
        stable = self._route.stable
        rising_hosts = set(rising(stable.weights, self._route.declared.weights))
        for host in sorted(stable.weights, key=lambda each: (-stable.weights[each], each)):
            workload = None if host in rising_hosts else self._cluster.workload(route.revision_of(host))
            if workload is not None and workload.ready_pods:
                return Reference(route.revision_of(host), workload.ready_pods)
        return None

    def _ramp(self) -> None:
        target = self._route.declared.weights
        if self._route.live is None:
            self._await_ready({}, target)
            self._route.write_declared()
            return
        reference = self._reference()
        ways = ramp(self._route.live.route.weights, target, self._steps())
        if not ways and self._route.stable.weights and self._stages(target, target):
            ways = [dict(target)]  # an earlier run gave this weight and did not live to see its evidence
        for weights, following in pairwise([*ways, target]):
            before = self._route.live.route
            self._await_ready(before.weights, weights)
            self._route.move(weights)
            step = self._record.step(weights)
            self._herald.weights(step.weights)
            pinned = {route.revision_of(host) for host in self._route.live.route.pin_entries}
            beside = reference.revision if reference and reference.revision in pinned else ""
            stages = self._stages(weights, following)
            everyone = before.revisions | self._route.live.route.revisions | pinned
            stable = self._route.stable.revisions
            self._watch.hold(
                Hold(step=step, stages=stages, revisions=everyone, reference=beside, stable=stable)
            )

    def _stages(self, weights: Weights, following: Weights) -> tuple[Stage, ...]:
        """Whoever gets more than by the stable route."""
        hosts = rising(self._route.stable.weights, weights)
        return tuple(
            Stage(
                revision=route.revision_of(host),
                percent=weights[host],
                next_percent=following.get(host, 0),
                trusted=self._trusted(route.revision_of(host)),
                compared=route.revision_of(host) in self._compared,
            )
            for host in hosts
        )

    def _steps(self) -> tuple[int, ...]:
        """The way back to what has served before is walked in one step: it is known to be good, and wanted
        quickly. So is an immediate release."""
        risen = [target.revision for target in self._plan.targets if self._rises(target)]
        at_once = all(self._trusted(revision) for revision in risen)
        return (100,) if at_once else self._plan.rollout.steps

    def _await_ready(self, before: Weights, after: Weights) -> None:
        for host in rising(before, after):
            self._watch.await_ready(route.revision_of(host))

    def _settle(self) -> None:
        """The declared route is live: checks it, and makes it the one to restore from now on."""
        keeper = self._route
        leaving = (keeper.live.route.revisions if keeper.live else frozenset()) | keeper.stable.revisions
        first = not keeper.stable.weights
        if not keeper.is_declared:
            keeper.write_declared()
        revisions = keeper.declared.revisions
        self._watch.check_route(revisions=revisions, leaving=leaving - revisions, first=first)
        keeper.settle()

    def _restored(self) -> str:
        """Restores the stable route and says what was done."""
        if not self._tenure.taken:
            return "The route was not touched."
        begin = self._clock.now()
        restored = self._route.restore(self._watch.ready)
        self._record.restore_seconds = round(self._clock.now() - begin, 3)
        self._record.say(restored.sentence)
        self._herald.restored(restored.sentence, self._record.restore_seconds)
        if restored.settled:
            self._capacity.give_back()
        return restored.sentence

    def _gave_up(self, error: ReleaseError, code: int, word: str) -> Outcome:
        self._record.say(str(error))
        if code == SUPERSEDED:
            self._herald.tell("Superseded", str(error), warning=True)
        return Outcome(code, word, (str(error), "This run changed nothing any more."))

    def _ended(self, code: int, word: str, sentences: tuple[str, ...]) -> Outcome:
        document = self._record.document(outcome=word, sentences=sentences)
        try:
            self._cluster.write_receipt(document)
        except ClusterError as error:
            self._record.say(f"The receipt could not be kept: {error}")
        self._record.say(sentences[0])
        self._herald.ended(word, sentences, document)
        return Outcome(code, word, sentences)

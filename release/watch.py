"""Watching: waits until a revision is ready, listens to its pods, and probes the route."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from .analysis import Verdict, judge_answer
from .cluster import Clock, Cluster, Prober, Workload
from .errors import RefusedError
from .plan import Plan
from .receipt import Record, Step
from .smoke import Check, Sample, judge

READY_POLL_SECONDS = 0.5
PROBE_SECONDS = 0.25
"""Four probes a second."""
SPEECH_EVERY = 2
"""Every second probe is real speech; the others are GET /version."""
EVIDENCE_PROBES = 10
"""A hold is prolonged until the candidate has answered, up to the time this many of its answers would
take."""
CHECK_ANSWERS = 10
CHECK_SECONDS = 30.0
CHECK_POLL_SECONDS = 0.05


def _reasons(failed: Sequence[Check]) -> list[str]:
    """One sentence a cause: checks that failed for the same reason share it."""
    names: dict[str, list[str]] = {}
    for check in failed:
        names.setdefault(check.sentence, []).append(check.name)
    return [f"{', '.join(checks)}: {sentence}" for sentence, checks in names.items()]


@dataclass
class Watch:
    """The watching part of a walk."""

    plan: Plan
    cluster: Cluster
    prober: Prober
    clock: Clock
    record: Record
    versions: Mapping[str, str] = field(default_factory=dict)
    """Revision -> version, as far as the pins say."""

    def await_ready(self, revision: str) -> Workload:
        """The revision's workload once all its replicas are ready. Raises RefusedError after readySeconds."""
        limit = self.plan.rollout.ready_seconds
        deadline = self.clock.now() + limit
        while True:
            self.clock.check()
            workload = self.cluster.workload(revision)
            if workload is not None and workload.whole:
                return workload
            if self.clock.now() >= deadline:
                found = workload.story if workload is not None else "there is no such Deployment"
                raise RefusedError(f"Revision {revision} was not ready after {limit:g} s: {found}.")
            self.clock.sleep(READY_POLL_SECONDS)

    def gate(self, workload: Workload) -> None:
        """Every ready pod of the candidate speaks every text. Raises RefusedError at the first pod that
        fails."""
        for pod in workload.ready_pods:
            self.clock.check()
            version = self.prober.pod_version(pod)
            for text in self.plan.gate.texts:
                self.clock.check()
                speech = self.prober.pod_speech(pod, text)
                checks = judge(Sample(text=text, speech=speech, version=version), self.plan)
                self.record.checked(pod.name, text, speech.seconds, checks)
                failed = [check for check in checks if not check.passed]
                if failed:
                    about = f"Pod {pod.name} did not pass the gate with the text {text[:60]!r}."
                    raise RefusedError(about, *_reasons(failed))
        self.record.say(
            f"The gate is passed: {len(workload.ready_pods)} pod(s), {len(self.plan.gate.texts)} text(s), "
            f"checks {', '.join(self.plan.gate.required)}."
        )

    def hold(self, step: Step, *, revisions: Collection[str], percent: int) -> None:
        """Probes the route for holdSeconds, and longer while the candidate, at `percent` of the traffic, has
        not answered yet. Raises RefusedError at the first wrong answer, or when the candidate never
        answers."""
        target = self.plan.target.revision
        begin = self.clock.now()
        end = begin + self.plan.rollout.hold_seconds
        latest = end + EVIDENCE_PROBES * PROBE_SECONDS * 100 / percent
        answers: Counter[str] = Counter()
        number = 0
        while self.clock.now() < end or (not answers[target] and self.clock.now() < latest):
            due = self.clock.now() + PROBE_SECONDS
            verdict, revision, sentence = self._probe(revisions, speech=number % SPEECH_EVERY == 0)
            number += 1
            answers["busy" if verdict is Verdict.HOLD else revision] += 1
            step.seconds, step.answers = round(self.clock.now() - begin, 3), dict(answers)
            if verdict is Verdict.FAIL:
                step.wrong = sentence
                raise RefusedError(f"At {percent} % for {target} an answer was not right.", sentence)
            self.clock.sleep(max(0.0, due - self.clock.now()))
        if not answers[target]:
            raise RefusedError(
                f"At {percent} % for {target} none of {number} probes reached it in {step.seconds:.0f} s."
            )
        seen = ", ".join(f"{count} by {name}" for name, count in sorted(answers.items()))
        self.record.say(f"Held for {step.seconds:.1f} s: {number} answers, all right ({seen}).")

    def check_route(self, *, revisions: Collection[str], leaving: Collection[str], first: bool) -> None:
        """The route is answered by `revisions` alone, CHECK_ANSWERS times in a row and then by speech.

        An answer by one of `leaving` starts the count again: the route's change is still on its way. On a
        first install every wrong answer does, because the gateway may not know the route yet. Raises
        RefusedError.
        """
        deadline = self.clock.now() + CHECK_SECONDS
        right = 0
        while right <= CHECK_ANSWERS:
            verdict, revision, sentence = self._probe([*revisions, *leaving], speech=right == CHECK_ANSWERS)
            arrived = verdict is Verdict.PASS and revision in revisions
            if verdict is Verdict.FAIL and not first:
                raise RefusedError("The check through the route failed.", sentence)
            if not arrived and self.clock.now() >= deadline:
                wanted = ", ".join(sorted(revisions))
                raise RefusedError(
                    f"{wanted} did not answer {CHECK_ANSWERS} times in a row through the route "
                    f"within {CHECK_SECONDS:g} s.",
                    sentence,
                )
            right = right + 1 if arrived else 0
            if not arrived:
                self.clock.sleep(CHECK_POLL_SECONDS)
        self.record.say(
            f"The check through the route is passed: {CHECK_ANSWERS} answers in a row and one of speech."
        )

    def _probe(self, revisions: Collection[str], *, speech: bool) -> tuple[Verdict, str, str]:
        """(verdict, revision, sentence) of one request through the route."""
        self.clock.check()
        text = min(self.plan.gate.texts, key=len) if speech else None
        answer = self.prober.route_speech(text) if text else self.prober.route_version()
        verdict, sentence = judge_answer(answer, revisions=revisions, versions=self.versions, speech=text)
        return verdict, answer.headers.get("x-tts-revision", "unknown"), sentence

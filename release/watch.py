"""Watching the route: waits until a revision is ready, probes each step open-loop, and judges what comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from .analysis import BUSY, Bars, Beside, Evidence, judge_route, judge_stage, wrong_version_body
from .answer import Answer, excerpt
from .capacity import Capacity
from .checks import speaks_well
from .cluster import Clock, Cluster, Ears, Pod, Probe, Prober, Workload
from .errors import RefusedError
from .findings import Finding, Verdict, find
from .herald import Herald
from .hold import Aside, Hold, Source
from .plan import Plan
from .receipt import Record

READY_POLL_SECONDS = 0.5
LOOK_SECONDS = 1.0
"""How often the pods are looked at during a step, and how often an answer is listened to."""
ASK_SECONDS = 5.0
"""How often Prometheus is asked."""
TICK_SECONDS = 0.05
CHECK_ANSWERS = 10
CHECK_SECONDS = 30.0
CHECK_POLL_SECONDS = 0.05


@dataclass
class Watch:
    """The watching part of a walk. `beat` keeps the lease."""

    plan: Plan
    cluster: Cluster
    prober: Prober
    clock: Clock
    record: Record
    herald: Herald
    ears: Ears
    aside: Aside
    source: Source | None
    beat: Callable[[], None]
    capacity: Capacity
    versions: Mapping[str, str] = field(default_factory=dict)
    """Revision -> version, as far as the pins say."""
    total: dict[str, Evidence] = field(default_factory=dict)
    ends: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Pod -> its restarts, and how its container had last ended, when its revision was first ready."""
    ready: dict[str, bool] = field(default_factory=dict)
    """Whether a revision could take over when it was last looked at."""

    def await_ready(self, revision: str, *, start_seconds: float = 0.0) -> Workload:
        """The revision's workload once all replicas that it needs are ready. Raises RefusedError after
        readySeconds, or when those that the update starts (`start_seconds`), or that were asked for, had time
        enough to start; at once where waiting makes no sense."""
        begin = self.clock.now()
        while True:
            self.clock.check()
            workload = self.capacity.workload(revision)
            if workload is not None and workload.whole:
                for pod in workload.pods:
                    self.ends.setdefault(pod.name, (pod.restarts, pod.ended))
                return workload
            patience = max(self.plan.rollout.ready_seconds, start_seconds)
            deadline = max(begin + patience, self.capacity.until(revision))
            hopeless = workload is not None and workload.hopeless
            if hopeless or self.clock.now() >= deadline:
                found = workload.story if workload is not None else "there is no such Deployment"
                waited = round((self.clock.now() if hopeless else deadline) - begin, 1)
                raise RefusedError(f"Revision {revision} was not ready after {waited:g} s: {found}.")
            self.beat()
            self.clock.sleep(READY_POLL_SECONDS)

    def credit(self, revision: str, right: int) -> None:
        """Right answers that the gate has seen count as evidence too."""
        self.total.setdefault(revision, Evidence()).right += right

    def hold(self, hold: Hold) -> None:
        """Probes the route for holdSeconds, and longer while the evidence is not enough. Raises RefusedError
        at the first finding that fails, and when maxHoldSeconds brought no decision."""
        rollout, begin = self.plan.rollout, self.clock.now()
        pause = 1 / rollout.probes_per_second
        due = begin
        while True:
            self.beat()
            now = self.clock.now()
            if now >= due:
                self.prober.send(self._next_probe(hold))
                due = max(due + pause, now - pause)
            self._collect(hold)
            self._look(hold)
            self._ask(hold)
            waits = bool(hold.listening) or (self.source is not None and hold.asked is None)
            over = now - begin >= rollout.hold_seconds and not waits
            if hold.alarm or (over and hold.changed):
                hold.step.seconds = round(now - begin, 3)
                findings = self._judge(hold)
                self._refuse_failed(hold, findings)
                undecided = [each for each in findings if each.verdict is Verdict.HOLD]
                if over and not undecided:
                    break
                hold.alarm = hold.changed = False
            if now - begin >= rollout.max_hold_seconds:
                self._refuse_undecided(hold)
            self.clock.sleep(min(TICK_SECONDS, max(0.0, due - self.clock.now())))
        self._keep(hold, findings)
        seen = ", ".join(
            f"{each.answers} by {name}" for name, each in sorted(hold.window.items()) if each.answers
        )
        self.record.say(f"Held for {hold.step.seconds:.1f} s: {seen}, none against going on.")

    def _next_probe(self, hold: Hold) -> Probe:
        """In turn: each rising revision and the one beside it by header, and whoever the weights choose. Of
        two in a row to one revision the second is timed: it finds the caches warm in both."""
        text = min(self.plan.target.gate.texts, key=len)
        asked: list[Probe] = []
        for stage in hold.stages:
            for revision in (stage.revision, hold.reference) if hold.reference else (stage.revision,):
                asked += [
                    Probe(text=text, revision=revision),
                    Probe(text=text, revision=revision, timed=True),
                ]
        turn, position = divmod(hold.number, len(asked) + 1)
        hold.number += 1
        return asked[position] if position < len(asked) else Probe(text=text if turn % 2 else None)

    def _collect(self, hold: Hold) -> None:
        """Judges every answer that has come, and everything that was listened to."""
        for probe, answer in self.prober.answers():
            revision, wrong = self._problem(hold.revisions, probe, answer)
            known = revision if revision in hold.revisions else "route"
            self.record.probed(known, wrong=bool(wrong), busy=answer.status == BUSY)
            self.herald.probed(known, wrong=bool(wrong), busy=answer.status == BUSY)
            if probe.revision and known not in ("route", probe.revision):
                continue  # the pin is still on its way, and the weights answered
            hold.changed = True
            hold.alarm = hold.alarm or bool(wrong)
            for evidence in (hold.of(known), self.total.setdefault(known, Evidence())):
                evidence.add(answer, wrong, timed=probe.timed)
            if probe.text and not wrong and answer.status != BUSY:
                self._listen(hold, known, probe.text, answer)
        waiting = []
        for revision, future in hold.listening:
            if not future.done():
                waiting.append((revision, future))
            elif said := future.result():
                hold.of(revision).reasons[said] += 1
                self._refuse_heard(hold, revision, said)
        hold.listening = waiting

    def _listen(self, hold: Hold, revision: str, text: str, answer: Answer) -> None:
        """Listens to one answer a second of what rises, beside the watching; to one at a time, so that where
        listening takes longer than that, it does not pile up and hold the step for ever."""
        rising = any(stage.revision == revision and not stage.trusted for stage in hold.stages)
        target = self.plan.find(revision)
        soon = bool(hold.listening) or self.clock.now() - hold.heard_at < LOOK_SECONDS
        if not rising or target is None or soon:
            return
        hold.heard_at = self.clock.now()
        future = self.aside.submit(lambda: speaks_well(answer, text, target, self.ears))
        hold.listening.append((revision, future))

    def _problem(self, revisions: Collection[str], probe: Probe, answer: Answer) -> tuple[str, str]:
        """(revision it counts for, what is wrong; empty for nothing). Raises RefusedError for an answer by
        what should not answer at all."""
        revision = answer.revision or probe.revision
        if answer.error:
            return revision, f"No answer came: {answer.error}."
        if answer.status == BUSY:
            return revision, ""
        if answer.revision and answer.revision not in revisions:
            allowed = ", ".join(sorted(revisions))
            raise RefusedError(f"The route answered with revision {answer.revision}; it leads to {allowed}.")
        wanted = self.versions.get(answer.revision, answer.version)
        if answer.revision and answer.version != wanted:
            shown = answer.version or "unknown"
            raise RefusedError(f"Revision {answer.revision} answered as version {shown} instead of {wanted}.")
        if answer.status != 200:
            return revision, f"The answer was {answer.status}: {excerpt(answer.body)}"
        if not answer.revision:
            return "", "An answer did not say which revision it is from."
        if probe.text is None:
            return revision, wrong_version_body(answer)
        return revision, self._wrong_speech(revision, probe.text, answer)

    def _wrong_speech(self, revision: str, text: str, answer: Answer) -> str:
        target = self.plan.find(revision) or self.plan.target
        return speaks_well(answer, text, target, None)

    def _look(self, hold: Hold) -> None:
        """The containers of what rises must not have ended, and what could be restored is known. After a
        wrong answer they are looked at at once: an end is its cause, and the better reason to tell."""
        if not hold.alarm and self.clock.now() - hold.looked_at < LOOK_SECONDS:
            return
        hold.looked_at = self.clock.now()
        risen, grown = {stage.revision for stage in hold.stages}, False
        for revision in sorted(risen | hold.stable):
            workload = self.cluster.workload(revision)
            self.ready[revision] = self.capacity.could_take_over(revision, workload)
            grown = self.capacity.saw(revision, workload) or grown
            if workload is not None and revision in risen:
                self._refuse_ended(hold, workload.pods)
        for revision in sorted(risen) if grown else ():
            self.capacity.workload(revision)

    def _refuse_ended(self, hold: Hold, pods: tuple[Pod, ...]) -> None:
        for pod in pods:
            restarts, ended = self.ends.setdefault(pod.name, (pod.restarts, pod.ended))
            again = max(0, pod.restarts - restarts)
            if not again and pod.ended == ended:
                continue
            what = "ended under traffic" + (" and was started again" if again else "")
            why = f": {pod.ended}" if pod.ended else ""
            sentence = f"The container of pod {pod.name} {what}{why}."
            values, limits = {"value": max(1, again)}, {"wanted": 0}
            finding = find("restarts", pod.name, "exact", values=values, limits=limits, sentence=sentence)
            self._refuse_failed(hold, [finding])

    def _ask(self, hold: Hold) -> None:
        """Real traffic, where a Prometheus measures it; a slow one does not hold the probes up."""
        if self.source is None or (hold.asking is None and self.clock.now() - hold.asked_at < ASK_SECONDS):
            return
        if hold.asking is not None:
            if hold.asking.done():
                hold.asked, hold.asking = hold.asking.result(), None
                hold.changed = hold.alarm = True
            return
        hold.asked_at = self.clock.now()
        source = self.source
        hold.asking = self.aside.submit(
            lambda: [each for stage in hold.stages for each in source.judge(stage, hold.reference)]
        )

    def _judge(self, hold: Hold) -> list[Finding]:
        rollout = self.plan.rollout
        found: list[Finding] = []
        for stage in hold.stages:
            ratio = self.plan.first_audio_ratio(stage.revision)
            bars = Bars(rollout.limits, rollout.min_samples, ratio)
            found += judge_stage(
                stage, bars, window=hold.of(stage.revision),
                total=self.total.setdefault(stage.revision, Evidence()), beside=self._beside(hold),
            )  # fmt: skip
        bars = Bars(rollout.limits, rollout.min_samples, rollout.limits.first_audio_ratio)
        found += hold.asked or []
        if self.source is not None and hold.asked is None:
            found.append(_waited_for("prometheus", "Prometheus has not answered yet."))
        if hold.listening:
            found.append(_waited_for("heard", "An answer is still being listened to."))
        lost, answers = hold.of("route"), sum(each.answers for each in hold.window.values())
        among_all = Evidence(right=answers - lost.wrong, wrong=lost.wrong, reasons=lost.reasons)
        return [*found, judge_route(sorted(hold.revisions), bars, among_all)]

    def _beside(self, hold: Hold) -> Beside | None:
        name = hold.reference
        return Beside(name, hold.of(name), self.total.setdefault(name, Evidence())) if name else None

    def _refuse_failed(self, hold: Hold, findings: list[Finding]) -> None:
        failed = [finding for finding in findings if finding.verdict is Verdict.FAIL]
        if failed:
            self._keep(hold, findings)
            hold.step.wrong = failed[0].sentence
            raise RefusedError(f"{self._where(hold)} an answer was not right."
                               if failed[0].name in ("answers", "errors") else
                               f"{self._where(hold)} the release was stopped.",
                               *(finding.sentence for finding in failed[:3]))  # fmt: skip

    def _refuse_heard(self, hold: Hold, revision: str, said: str) -> None:
        finding = find("heard", revision, "exact", values={"value": False}, limits={"wanted": True},
                       sentence=f"{revision} answered 200 with speech that is not right: {said}")  # fmt: skip
        self._refuse_failed(hold, [finding])

    def _refuse_undecided(self, hold: Hold) -> None:
        findings = self._judge(hold)
        undecided = [each for each in findings if each.verdict is Verdict.HOLD]
        self._keep(hold, findings)
        hold.step.wrong = undecided[0].sentence
        limit = self.plan.rollout.max_hold_seconds
        title = f"{self._where(hold)} {limit:g} s brought no decision, and what is undecided does not go on."
        raise RefusedError(title, *(finding.sentence for finding in undecided[:3]))

    def _where(self, hold: Hold) -> str:
        shares = " and ".join(f"{stage.percent} % for {stage.revision}" for stage in hold.stages)
        return f"At {shares or 'the target weights'}"

    def _keep(self, hold: Hold, findings: list[Finding]) -> None:
        hold.step.answers = {name: each.answers for name, each in sorted(hold.window.items())}
        self.record.found("step", "", findings, step=hold.step)

    def check_route(self, *, revisions: Collection[str], leaving: Collection[str], first: bool) -> None:
        """The route is answered by `revisions` alone, CHECK_ANSWERS times in a row and then by speech.

        An answer by one of `leaving` starts the count again: the route's change is still on its way. On a
        first install every wrong answer does, because the gateway may not know the route yet. Raises
        RefusedError.
        """
        deadline = self.clock.now() + CHECK_SECONDS
        text = min(self.plan.target.gate.texts, key=len)
        right = 0
        while right <= CHECK_ANSWERS:
            self.clock.check()
            self.beat()
            probe = Probe(text=text if right == CHECK_ANSWERS else None)
            answer = self.prober.route(probe)
            revision, wrong = self._checked([*revisions, *leaving], probe, answer, first=first)
            arrived = not wrong and answer.status == 200 and revision in revisions
            if wrong and not first:
                raise RefusedError("The check through the route failed.", wrong)
            if not arrived and self.clock.now() >= deadline:
                wanted = ", ".join(sorted(revisions))
                raise RefusedError(
                    f"{wanted} did not answer {CHECK_ANSWERS} times in a row through the route "
                    f"within {CHECK_SECONDS:g} s.",
                    wrong or f"{revision or 'Nobody'} answered ({answer.status}).",
                )
            right = right + 1 if arrived else 0
            if not arrived:
                self.clock.sleep(CHECK_POLL_SECONDS)
        self.record.say(
            f"The check through the route is passed: {CHECK_ANSWERS} answers in a row and one of speech."
        )

    def _checked(
        self, revisions: Collection[str], probe: Probe, answer: Answer, *, first: bool
    ) -> tuple[str, str]:
        try:
            return self._problem(revisions, probe, answer)
        except RefusedError as error:
            if not first:
                raise
            return answer.revision, str(error)


def _waited_for(name: str, sentence: str) -> Finding:
    """What is not known yet holds."""
    return find(name, "route", "measured", values={"value": None}, limits={"min": 0}, sentence=sentence)

"""The gate: every pod of a candidate speaks, is listened to, and is compared with the revision that serves.

It runs before the first weight moves, on the pods themselves, beside the live traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field

from .answer import Answer, Sample
from .checks import SMOKE, judge_pod, judge_text, unjudged
from .cluster import Ears, Pod, Prober, Workload
from .compare import Pairs, compare_first_audio, problem
from .errors import RefusedError
from .findings import Finding, Verdict
from .hold import Aside
from .listening.languages import unjudged_reason
from .plan import Gate as Asked
from .plan import Target
from .receipt import Record
from .spoken import Spoken, spoken, where_to_hear
from .table import table

FIRST_PAIRS = 20
MORE_PAIRS = 10
MOST_PAIRS = 80
"""Pairs of interleaved syntheses by candidate and reference; more are taken while they decide nothing."""
BLOCK = 5
"""Pairs that are taken together: so many syntheses by the one, then by the other."""
BEAT_SECONDS = 0.2
UNAUTHORISED = 401
MOST_SILENT = 10
"""After so many answers without audio there is nothing to compare with."""


@dataclass(frozen=True)
class Reference:
    """The revision that serves beside the candidate, and its pods."""

    revision: str
    pods: tuple[Pod, ...]


@dataclass
class Gate:
    """The gate of one candidate. `beat` is called between the requests: the lease is kept there. What is
    spoken is listened to `aside`. `audio_store`: where the pods are asked to keep what is judged, empty where
    they are not."""

    target: Target
    prober: Prober
    ears: Ears
    aside: Aside
    record: Record
    beat: Callable[[], None]
    audio_store: str = ""
    right_answers: int = 0
    compared: bool = False
    heard: list[Spoken] = field(default_factory=list)

    @property
    def where_to_hear(self) -> str:
        """A sentence that leads to what was judged so far; empty where nothing is kept."""
        return where_to_hear(self.audio_store, self.heard)

    def prepare(self) -> None:
        """Has the ears made ready while the pods start."""
        self.aside.submit(lambda: self.ears.prepare(self.target))

    def listen(self, workload: Workload, reference: Reference | None) -> None:
        """All checks of the candidate. Raises RefusedError with a sentence for each that fails."""
        names, pods = self.target.gate.required, len(workload.ready_pods)
        several = f"{pods} pod{'' if pods == 1 else 's'}"
        self.record.say(f"The gate of {self.target.version} begins: {several} to listen to.")
        for pod in workload.ready_pods:
            self._pod(pod, self.target.gate.texts, names)
        if reference is not None and reference.pods:
            self._compare(workload.ready_pods, reference)
        self._tell_table()
        texts = len(self.target.gate.texts)
        self.record.say(
            f"The gate is passed by {self.target.version} on {several}: {texts} texts, {len(names)} checks"
            + not_judged(self.target.gate)
        )
        if self.where_to_hear:
            self.record.say(self.where_to_hear)

    def smoke(self, workload: Workload) -> None:
        """One text by each pod, and only what needs no listening: for a revision that has served before,
        and for an immediate release."""
        names = [name for name in self.target.gate.required if name in SMOKE]
        text = min(self.target.gate.texts, key=len)
        for pod in workload.ready_pods:
            self._pod(pod, [text], names)
        self.record.say(f"The smoke test is passed by {self.target.version}: {', '.join(names)}.")

    def _pod(self, pod: Pod, texts: Sequence[str], names: Sequence[str]) -> None:
        """One pod speaks the texts; all its failures are told, so that a person sees the whole pattern. It is
        listened to when it has spoken: what listens would hold up the clock that times the answers."""
        version = self.prober.pod_version(pod)
        samples: list[Sample] = []
        keep = bool(self.audio_store)
        for text in texts:
            self.beat()
            speech = self.prober.pod_speech(pod, text, keep=keep)
            samples.append(Sample(text=text, speech=speech, version=version))
            if samples[-1].speech.status == UNAUTHORISED:
                raise RefusedError(_not_known(pod))
        found = self._heard(pod, samples, names)
        found += judge_pod(samples, found, self.target.gate, names=names, subject=pod.name)
        heard = [spoken(pod.name, sample, asked=keep) for sample in samples if sample.came]
        self.heard += heard
        self.record.heard(heard)
        self._keep(found)
        self.right_answers += len(samples)

    def _heard(self, pod: Pod, samples: Sequence[Sample], names: Sequence[str]) -> list[Finding]:
        """What each sample showed. The two ears are different ones, so they hear two texts at a time."""

        def judge(number: int, sample: Sample) -> Future[list[Finding]]:
            subject = f"{pod.name} text {number}"
            return self.aside.submit(
                lambda: judge_text(sample, self.target, self.ears, names=names, subject=subject)
            )

        judged = [judge(number, sample) for number, sample in enumerate(samples, start=1)]
        while wait(judged, timeout=BEAT_SECONDS).not_done:
            self.beat()
        return [finding for each in judged for finding in each.result()]

    def _keep(self, findings: Sequence[Finding]) -> None:
        """Keeps the findings; those that are no pass end the release."""
        self.record.found("gate", self.target.revision, findings)
        failed = [finding for finding in findings if finding.verdict is not Verdict.PASS]
        if failed:
            self._tell_table()
            wrong = {str(finding.values.get("text", "")) for finding in failed}
            heard = where_to_hear(self.audio_store, self.heard, wrong=wrong)
            title = f"{self.target.version} did not pass the gate. {heard}".rstrip()
            raise RefusedError(title, *reasons(failed))

    def _tell_table(self) -> None:
        """Every check with its worst value; and which words a recogniser may mishear through no fault of the
        voice's."""
        findings = self.record.findings_of("gate", self.target.revision)
        for line in table(findings):
            self.record.say(line)
        listened = any(finding.name == "intelligibility" for finding in findings)
        guessed = self.ears.guessed(self.target) if listened else ()
        if guessed:
            self.record.say(
                f"  No dictionary has {', '.join(guessed)}: how they sound was guessed from their spelling."
            )

    def _compare(self, pods: Sequence[Pod], reference: Reference) -> None:
        """First audio of both, in turn, until the interval of their ratio is on one side of the limit."""
        if "firstAudio" not in self.target.gate.required:
            return
        pairs = Pairs()
        wanted = FIRST_PAIRS
        while True:
            while len(pairs.candidate) < wanted:
                self._block(pods, reference, pairs)
                if pairs.silent >= MOST_SILENT:
                    self.record.say(
                        f"{reference.revision} did not speak {pairs.silent} times ({pairs.problem}), "
                        "so the first audio is not compared with its."
                    )
                    return
            finding = compare_first_audio(
                pairs.candidate,
                pairs.reference,
                limits={"ratio": self.target.gate.first_audio_ratio, "samples": FIRST_PAIRS},
                subject=self.target.revision,
                reference=reference.revision,
            )
            if finding.verdict is not Verdict.HOLD or wanted >= MOST_PAIRS:
                break
            wanted += MORE_PAIRS
        self.right_answers += len(pairs.candidate)
        self._keep([finding])
        self.compared = True

    def _block(self, pods: Sequence[Pod], reference: Reference, pairs: Pairs) -> None:
        """A few measurements of each in a row, now this one first and now that. A pair that the reference
        does not answer counts for nobody."""
        number = pairs.taken // BLOCK
        mine, other = pods[number % len(pods)], reference.pods[number % len(reference.pods)]
        first = list(self._in_a_row(other)) if number % 2 else None
        seconds: list[float] = []
        for answer in self._in_a_row(mine):
            if answer.first_audio is None:
                sentence = f"Pod {mine.name} did not speak while it was compared: {problem(answer)}."
                raise RefusedError(sentence)
            seconds.append(answer.first_audio)
        beside = first or list(self._in_a_row(other))
        for mine_took, answer in zip(seconds[1:], beside[1:], strict=True):
            pairs.add(mine_took, answer)

    def _in_a_row(self, pod: Pod) -> Iterator[Answer]:
        """BLOCK syntheses after one that is not measured: an idle pod's first one finds its processor's
        caches cold, and the pod that serves everybody would look quicker than it is."""
        text = min(self.target.gate.texts, key=len)
        for _ in range(BLOCK + 1):
            self.beat()
            yield self.prober.pod_speech(pod, text)


def _not_known(pod: Pod) -> str:
    return (
        f"Pod {pod.name} does not know the release's API key: in the Secret of tts:apiKeys the entry `keys` "
        "must have a line `probe <sha256>` for the key in its entry `probe`."
    )


def not_judged(gate: Asked) -> str:
    """The end of the sentence about a gate that was passed: what it did not judge, and why nobody could."""
    left = unjudged(gate)
    if not left:
        return "."
    why = (unjudged_reason(name, gate.languages) for name in left)
    return " ".join([f"; not judged: {', '.join(left)}.", *(reason for reason in why if reason)])


def reasons(failed: Sequence[Finding]) -> list[str]:
    """One sentence a cause, the first three texts of each check: more of the same says nothing new."""
    grouped: dict[str, list[str]] = {}
    for finding in failed:
        said = grouped.setdefault(finding.sentence, [])
        if finding.name not in said:
            said.append(finding.name)
    kept: list[str] = []
    count: dict[str, int] = {}
    for sentence, names in grouped.items():
        name = ", ".join(names)
        count[name] = count.get(name, 0) + 1
        if count[name] <= 2:
            kept.append(f"{name}: {sentence}")
    kept += [f"{name}: and {more - 2} more like these." for name, more in count.items() if more > 2]
    return kept

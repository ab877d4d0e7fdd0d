"""The gate of one candidate: who is asked for what, what is told, and when it ends."""

import io

import pytest

from release.errors import RefusedError
from release.gate import BLOCK, MOST_PAIRS, MOST_SILENT, Gate, Reference
from release.receipt import Record

from .plans import V1, V2, plan_for, speech, wav_bytes
from .runs import FakeEars, Inline
from .simulation import View, samples_of
from .world import Revision, World

TEXTS = ["A quiet morning.", "Rain fell on the roof all night.", "Nobody knew the way to the station."]


class Setting:
    """A gate with its candidate and reference, in a world of their own."""

    def __init__(self, *, texts=TEXTS, pods=2, required=None, **candidate):
        gate = {"texts": texts, **({"required": required} if required else {})}
        self.plan = plan_for(V2, gate=gate)
        self.world = World(
            revisions={V1: Revision(V1), V2: Revision(V2, desired=pods, ready=pods, **candidate)}
        )
        self.view = View(self.world, self.plan)
        self.out = io.StringIO()
        self.record = Record(self.plan, self.view, out=self.out)
        self.beats = 0
        self.asked = []
        speak = self.view.pod_speech

        def asking(pod, text):
            self.asked.append((pod.name, text))
            return speak(pod, text)

        self.view.pod_speech = asking
        ears = FakeEars(self.view.hears)
        self.gate = Gate(self.plan.target, self.view, ears, Inline(), self.record, self._beat)

    def _beat(self):
        self.beats += 1

    @property
    def reference(self):
        return Reference(V1, self.view.workload(V1).ready_pods)

    def listen(self, reference=None):
        self.gate.listen(self.view.workload(V2), reference)

    def refused(self, reference=None):
        with pytest.raises(RefusedError) as caught:
            self.listen(reference)
        return caught.value.sentences

    def findings(self):
        return self.record.findings_of("gate", V2)


def test_every_pod_speaks_every_text_and_the_lease_is_kept_between():
    setting = Setting()
    setting.listen()
    assert setting.asked == [(f"{V2}-{pod}", text) for pod in range(2) for text in TEXTS]
    assert setting.beats == len(setting.asked) == setting.gate.right_answers
    (said,) = (line for line in setting.out.getvalue().splitlines() if "The gate is passed by 1.1.0" in line)
    assert all(words in said for words in ("2 pods", "3 texts", "10 checks"))
    table = setting.out.getvalue()
    assert all(name in table for name in setting.plan.target.gate.required)


def test_without_a_reference_nothing_is_compared():
    setting = Setting()
    setting.listen()
    assert not setting.gate.compared
    assert "firstAudioRatio" not in {finding.name for finding in setting.findings()}


def test_with_one_both_speak_in_turn_and_every_pod_takes_part():
    setting = Setting()
    setting.listen(setting.reference)
    asked = [name for name, _ in setting.asked[6:]]
    turns = BLOCK + 1  # the first in a row is not measured
    for number in range(20 // BLOCK):
        mine, other = [f"{V2}-{number % 2}"] * turns, [f"{V1}-0"] * turns
        turn = asked[2 * turns * number : 2 * turns * (number + 1)]
        assert turn == ([*other, *mine] if number % 2 else [*mine, *other])
    assert setting.gate.compared
    assert setting.gate.right_answers == 6 + 20


def test_what_does_not_need_it_is_not_compared():
    setting = Setting(required=["decodable", "level"])
    setting.listen(setting.reference)
    assert len(setting.asked) == 6
    assert not setting.gate.compared
    assert "not judged: sampleRate, duration, clipping, identity" in setting.out.getvalue()


def test_more_pairs_are_taken_while_they_decide_nothing_and_then_it_is_refused():
    setting = Setting(pods=1)
    number = iter(range(10**6))

    def jitter(pod, text):
        revision = pod.name.rsplit("-", 1)[0]
        setting.asked.append((pod.name, text))
        first = 0.01 if revision == V1 else (0.012, 0.013, 0.013, 0.013)[next(number) % 4]
        setting.world.revisions[revision].first_audio = first
        return View.pod_speech(setting.view, pod, text)

    setting.view.pod_speech = jitter
    sentences = setting.refused(setting.reference)
    assert f"by {MOST_PAIRS} pairs" in sentences[1]
    assert len(setting.asked) == 3 + 2 * MOST_PAIRS // BLOCK * (BLOCK + 1)


def test_a_reference_that_never_speaks_is_given_up():
    setting = Setting()
    setting.world.revisions[V1].status = 500
    setting.listen(setting.reference)
    assert not setting.gate.compared
    assert len(setting.asked) == 6 + 2 * MOST_SILENT // BLOCK * (BLOCK + 1)
    assert f"{V1} did not speak {MOST_SILENT} times (status 500)" in setting.out.getvalue()


def test_the_first_pods_failures_are_all_told_and_the_other_pods_are_spared():
    setting = Setting(heard="Noise.")
    title, *reasons = setting.refused()
    assert title == "1.1.0 did not pass the gate."
    assert {name for name, _ in setting.asked} == {f"{V2}-0"}
    assert len(setting.asked) == len(TEXTS)
    assert reasons == [
        "intelligibility: 100% of the words are wrong, at most 35% may be: it was heard as 'Noise.'.",
        "intelligibility: Over all texts 100% of the words are wrong; at most 15% may be.",
    ]


def test_many_failures_of_one_check_are_told_in_three_lines():
    texts = [f"Sentence number {number}." + " And more." * number for number in range(8)]
    setting = Setting(texts=texts, level=0.0005)
    setting.view._answer = lambda revision, text, **_: loudness(setting, revision, text)
    reasons = setting.refused()[1:]
    assert len(reasons) == 3
    assert reasons[0].startswith("level: The level is ")
    assert reasons[-1] == "level: and 6 more like these."


def loudness(setting, revision, text):
    """Each text at a level of its own, all too low."""
    answer = View._answer(setting.view, revision, text)
    if text is None:
        return answer
    from dataclasses import replace

    body = wav_bytes(speech(text, level=0.0005 + len(text) / 1e5))
    setting.view.said[samples_of(body)] = (text, 3.3)
    return replace(answer, body=body)


def test_another_pods_failure_spares_those_after_it():
    setting = Setting(pods=3)

    def worse(pod, text):
        setting.asked.append((pod.name, text))
        setting.world.revisions[V2].quality = 1.0 if pod.name.endswith("-1") else 3.3
        return View.pod_speech(setting.view, pod, text)

    setting.view.pod_speech = worse
    reasons = setting.refused()[1:]
    assert setting.asked == [(f"{V2}-{pod}", text) for pod in range(2) for text in TEXTS]
    said = "quality: The predicted quality (DNSMOS, 1 to 5) is 1.00; at least 2.9 is wanted."
    assert list(reasons) == [said]


def test_the_smoke_test_speaks_the_shortest_text_and_listens_to_nothing():
    setting = Setting(heard="Noise.", quality=1.0, first_audio=9.0)
    setting.gate.smoke(setting.view.workload(V2))
    assert setting.asked == [(f"{V2}-0", TEXTS[0]), (f"{V2}-1", TEXTS[0])]
    assert (
        "The smoke test is passed by 1.1.0: decodable, sampleRate, duration, level" in setting.out.getvalue()
    )


def test_the_smoke_test_refuses_silence():
    setting = Setting(level=0.0)
    with pytest.raises(RefusedError, match="The level is -inf dBFS"):
        setting.gate.smoke(setting.view.workload(V2))


def test_which_audio_was_heard_is_kept():
    setting = Setting(pods=1)
    setting.listen()
    audio = setting.record.document(outcome="released", sentences=["x"])["audio"]
    assert [(each["pod"], each["text"]) for each in audio] == [(f"{V2}-0", text) for text in TEXTS]
    assert all(len(each["sha256"]) == 64 for each in audio)

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

    def __init__(self, *, texts=TEXTS, pods=2, required=None, languages=("en",), store="", **candidate):
        gate = {"texts": texts, "languages": list(languages), **({"required": required} if required else {})}
        self.plan = plan_for(V2, gate=gate, audio_store=store)
        self.world = World(
            revisions={V1: Revision(V1), V2: Revision(V2, desired=pods, ready=pods, **candidate)}
        )
        self.view = View(self.world, self.plan)
        self.out = io.StringIO()
        self.record = Record(self.plan, self.view, out=self.out)
        self.beats = 0
        self.asked, self.kept = [], []
        speak = self.view.pod_speech

        def asking(pod, text, *, keep=False):
            self.asked.append((pod.name, text))
            self.kept += [(pod.name, text)] if keep else []
            return speak(pod, text, keep=keep)

        self.view.pod_speech = asking
        ears = FakeEars(self.view.hears)
        self.gate = Gate(
            self.plan.target, self.view, ears, Inline(), self.record, self._beat, audio_store=store
        )

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

    def passed(self):
        self.listen()
        return self.out.getvalue()

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


def test_what_nobody_can_judge_is_said_with_the_reason():
    setting = Setting(required=["decodable", "quality"], languages=("zh",))
    setting.listen()
    (said,) = (line for line in setting.out.getvalue().splitlines() if "The gate is passed" in line)
    assert "; not judged: sampleRate, duration, level, clipping, identity, intelligibility, " in said
    assert said.endswith(
        "firstAudio, realTimeFactor. The check intelligibility needs a recogniser for zh, and there is one "
        "for en only: whether the right words are spoken is not judged."
    )
    assert "a recogniser for" not in Setting(required=["decodable"]).passed()


def test_words_whose_sound_was_guessed_are_said_below_the_table_where_words_are_judged():
    texts = ["The new VoxCPM speaks."]
    said = "No dictionary has voxcpm: how they sound was guessed from their spelling."
    assert said in Setting(texts=texts).passed()
    setting = Setting(texts=texts, heard="Noise.")
    setting.refused()
    assert said in setting.out.getvalue()
    assert said not in Setting(texts=texts, required=["decodable"]).passed()
    assert "No dictionary" not in Setting().passed()


def test_more_pairs_are_taken_while_they_decide_nothing_and_then_it_is_refused():
    setting = Setting(pods=1)
    number = iter(range(10**6))

    def jitter(pod, text, **more):
        revision = pod.name.rsplit("-", 1)[0]
        setting.asked.append((pod.name, text))
        first = 0.01 if revision == V1 else (0.012, 0.013, 0.013, 0.013)[next(number) % 4]
        setting.world.revisions[revision].first_audio = first
        return View.pod_speech(setting.view, pod, text, **more)

    setting.view.pod_speech = jitter
    sentences = setting.refused(setting.reference)
    assert f"by {MOST_PAIRS} pairs" in sentences[1]
    assert len(setting.asked) == 3 + 2 * MOST_PAIRS // BLOCK * (BLOCK + 1)


def test_a_candidate_that_falls_silent_while_it_is_compared_is_not_asked_again():
    setting = Setting(pods=1)
    speak = setting.view.pod_speech

    def falling_silent(pod, text, **more):
        setting.world.revisions[V2].status = 500 if len(setting.asked) == 3 + 2 else 200
        return speak(pod, text, **more)

    setting.view.pod_speech = falling_silent
    assert setting.refused(setting.reference) == (
        f"Pod {V2}-0 did not speak while it was compared: status 500.",
    )
    assert len(setting.asked) == 3 + 3


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

    def worse(pod, text, **more):
        setting.asked.append((pod.name, text))
        setting.world.revisions[V2].quality = 1.0 if pod.name.endswith("-1") else 3.3
        return View.pod_speech(setting.view, pod, text, **more)

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


def test_only_what_is_judged_is_asked_to_be_kept_and_a_person_is_led_to_it():
    setting = Setting(store="s3://kept/gate/voice")
    setting.listen(setting.reference)
    assert setting.kept == [(f"{V2}-{pod}", text) for pod in range(2) for text in TEXTS]
    led = (
        "What was judged can be heard: 3 files in s3://kept/gate/voice, named in the receipt's audio by "
        "sha256."
    )
    assert setting.gate.where_to_hear == led
    assert led in setting.out.getvalue()
    document = setting.record.document(outcome="released", sentences=["x"])
    assert document["audioStore"] == "s3://kept/gate/voice"
    assert [each["kept"] for each in document["audio"]] == [True] * 6


def test_a_refusal_leads_to_the_file_that_sounded_wrong():
    setting = Setting(pods=1, store="pvc://kept/gate/voice", heard="Noise.")
    title = setting.refused()[0]
    first = setting.record.document(outcome="refused", sentences=["x"])["audio"][0]
    assert title == (
        "1.1.0 did not pass the gate. What was judged can be heard: "
        f"pvc://kept/gate/voice/{first['sha256']}.wav should say {TEXTS[0]!r}, and 2 more beside it, named "
        "in the receipt's audio by sha256."
    )


def test_where_a_server_keeps_nothing_nobody_is_led_anywhere():
    setting = Setting(store="s3://kept/gate/voice", keeps=False)
    assert "no server said that it keeps it in s3://kept/gate/voice" in setting.passed()
    assert not any(each.kept for each in setting.gate.heard)


def test_without_a_store_nothing_is_asked_and_nothing_said():
    setting = Setting()
    assert "heard:" not in setting.passed()
    assert setting.kept == []
    assert setting.gate.where_to_hear == ""
    assert setting.record.document(outcome="released", sentences=["x"])["audioStore"] == ""


def test_what_brought_no_audio_is_none_in_the_receipt_and_nobody_is_led_to_it():
    setting = Setting(store="s3://kept/gate/voice", status=500)
    assert setting.refused()[0] == "1.1.0 did not pass the gate."
    assert setting.record.document(outcome="refused", sentences=["x"])["audio"] == []

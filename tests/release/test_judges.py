"""The gate's checks refuse what must not pass, on the samples alone."""

import dataclasses
import json
import math

import numpy as np
import pytest

from release import wav
from release.answer import Answer, Sample
from release.checks import KNOWN, PER_TEXT, judge_pod, judge_text, speaks_well
from release.errors import AudioError
from release.findings import Verdict, decide, finding_from
from release.listening.sound import rms_dbfs

from .plans import RATE, V1, V2, VERSIONS, plan_for, speech, wav_bytes

TEXT = "The quick brown fox jumps over the lazy dog near the river."
TARGET = plan_for(V2).target


@dataclasses.dataclass
class Ears:
    """`words` None: no recogniser knows the language."""

    words: str | None = TEXT
    rate: float = 0.0
    score: float = 3.5

    def transcript(self, target, audio):
        return self.words

    def word_error_rate(self, text, transcript):
        return self.rate

    def quality(self, audio):
        return self.score


def answer(body, *, status=200, version=VERSIONS[V2], revision=V2, error="", seconds=0.1, first_audio=0.05):
    headers = {"x-tts-version": version, "x-tts-revision": revision}
    headers = {name: value for name, value in headers.items() if value}
    return Answer(status, headers, body, seconds, error, first_audio)


def about(**changes):
    return answer(
        json.dumps({"version": VERSIONS[V2], "revision": V2, "sampleRate": RATE, **changes}).encode()
    )


def with_gate(**changes):
    return dataclasses.replace(TARGET, gate=dataclasses.replace(TARGET.gate, **changes))


def judged(body=None, *, version=None, speech_answer=None, target=TARGET, ears=None):
    """All findings of one pod that spoke one text."""
    body = wav_bytes(speech(TEXT)) if body is None else body
    sample = Sample(TEXT, speech_answer or answer(body), version or about())
    names = target.gate.required
    texts = judge_text(sample, target, ears or Ears(), names=names, subject="pod text 1")
    return [*texts, *judge_pod([sample], texts, target.gate, names=names, subject="pod")]


def failed(body=None, **settings):
    return {finding.name for finding in judged(body, **settings) if finding.verdict is not Verdict.PASS}


SPOKEN = set(KNOWN) - {"answer"}
ALL = SPOKEN - {"identity", "firstAudio"}
"""What cannot be judged without audio; when it began to come is known even of noise."""


def test_good_speech_passes():
    assert failed() == set()
    assert failed(wav_bytes(speech(TEXT), size=2 * speech(TEXT).size)) == set()
    assert {finding.name for finding in judged()} == SPOKEN


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (wav_bytes(np.zeros(RATE * 4)), {"level"}),
        (wav_bytes(speech(TEXT)[: speech(TEXT).size // 2]), {"duration"}),
        (wav_bytes(np.tile(speech(TEXT), 2)), {"duration"}),
        (wav_bytes(speech(TEXT), rate=16000), {"sampleRate"}),
        (wav_bytes(speech(TEXT), rate=44100), {"sampleRate", "duration"}),
        (wav_bytes(speech(TEXT, level=0.001)), {"level"}),
        (wav_bytes(np.random.default_rng(1).uniform(-1, 1, RATE * 4)), {"level"}),
        (wav_bytes(np.where(np.arange(94400) % 200 == 0, 1, speech(TEXT))), {"clipping"}),
        (wav_bytes(speech(TEXT, level=3.0)), {"level", "clipping"}),
        (b"", ALL),
        (b"<html>busy</html>", ALL),
        (wav_bytes(np.zeros(0)), ALL),
        (wav_bytes(speech(TEXT))[:-1], ALL),
        (wav_bytes(speech(TEXT), size=10**6), ALL),
    ],
    ids=[
        "silence",
        "half",
        "twice",
        "16k",
        "44k",
        "quiet",
        "noise",
        "clicks at full scale",
        "cut peaks",
        "empty",
        "html",
        "no audio",
        "odd",
        "cut off",
    ],
)
def test_bad_audio_is_refused(body, names):
    assert failed(body) == names


@pytest.mark.parametrize("rate", [16000, None, math.nan, "24000", True])
def test_a_wrong_declared_rate_is_refused(rate):
    assert failed(version=about(sampleRate=rate)) == {"sampleRate"}


@pytest.mark.parametrize(
    "changed",
    [
        {"version": about(version="1.0.0")},
        {"version": about(revision=V1)},
        {"version": answer(b"not JSON")},
        {"version": answer(b"[]")},
        {"version": answer(about().body, version="1.0.0")},
        {"version": answer(about().body, revision=V1)},
        {"speech_answer": answer(wav_bytes(speech(TEXT)), version="1.0.0")},
        {"speech_answer": answer(wav_bytes(speech(TEXT)), revision=V1)},
        {"speech_answer": answer(wav_bytes(speech(TEXT)), revision="")},
    ],
)
def test_a_wrong_identity_is_refused(changed):
    assert "identity" in failed(**changed)


def test_answers_that_are_not_200_are_refused():
    assert failed(speech_answer=answer(wav_bytes(speech(TEXT)), status=500)) >= ALL
    no_answer = answer(b"", status=0, error="connection refused", first_audio=None)
    assert failed(speech_answer=no_answer) >= {*ALL, "firstAudio"}
    assert "identity" in failed(version=answer(about().body, status=503))


@pytest.mark.parametrize(
    ("ears", "names"),
    [
        (Ears(rate=0.36), {"intelligibility"}),
        (Ears(rate=0.16), {"intelligibility"}),  # each may have 35 %, all together 15
        (Ears(rate=0.15), set()),
        (Ears(rate=math.nan), {"intelligibility"}),
        (Ears(words=""), set()),  # what was heard is the rate's business
        (Ears(words=None), {"intelligibility"}),
        (Ears(score=2.89), {"quality"}),
        (Ears(score=2.9), set()),
        (Ears(score=math.nan), {"quality"}),
    ],
)
def test_what_the_ears_say(ears, names):
    assert failed(ears=ears) == names


def test_a_language_without_recogniser_is_refused_by_name():
    found = judged(target=with_gate(languages=("tlh",)), ears=Ears(words=None))
    said = [finding for finding in found if finding.verdict is Verdict.FAIL]
    assert {finding.name for finding in said} == {"intelligibility"}
    assert said[0].sentence == "There is no recogniser for the language tlh."


def test_one_text_that_is_not_understood_is_refused_although_the_mean_is_good():
    texts = []
    for number in range(10):
        sample = Sample(TEXT, answer(wav_bytes(speech(TEXT))), about())
        ears = Ears(rate=0.4 if number == 3 else 0.0)
        texts += judge_text(sample, TARGET, ears, names=["intelligibility"], subject=f"text {number}")
    over = judge_pod([], texts, TARGET.gate, names=["intelligibility"], subject="pod")
    assert [finding.verdict for finding in over] == [Verdict.PASS]
    assert [finding.subject for finding in texts if finding.verdict is Verdict.FAIL] == ["text 3"]
    assert judge_pod([], [], TARGET.gate, names=["intelligibility"], subject="pod")[0].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"first_audio": 2.01}, {"firstAudio"}),
        ({"first_audio": 2.0}, set()),
        ({"first_audio": None}, {"firstAudio"}),
        ({"seconds": 4.0}, {"realTimeFactor"}),
        ({"seconds": 3.9}, set()),
    ],
)
def test_a_pod_that_is_too_slow_is_refused(changed, names):
    assert failed(speech_answer=answer(wav_bytes(speech(TEXT)), **changed)) == names


def samples(*answers):
    return [Sample(TEXT, each, about()) for each in answers]


def test_the_median_decides_and_one_text_without_a_time_is_enough_to_refuse():
    names, gate, body = ["firstAudio", "realTimeFactor"], TARGET.gate, wav_bytes(speech(TEXT))
    slow = answer(body, first_audio=9.0, seconds=9.0)
    found = judge_pod(samples(answer(body), slow, answer(body)), [], gate, names=names, subject="pod")
    assert [finding.verdict for finding in found] == [Verdict.PASS, Verdict.PASS]
    found = judge_pod(samples(answer(body), slow, slow), [], gate, names=names, subject="pod")
    assert [finding.verdict for finding in found] == [Verdict.FAIL, Verdict.FAIL]
    silent = answer(b"", status=500, first_audio=None)
    found = judge_pod(samples(answer(body), silent, answer(body)), [], gate, names=names, subject="pod")
    assert [finding.verdict for finding in found] == [Verdict.FAIL, Verdict.FAIL]
    assert all(finding.values["value"] is None for finding in found)


def test_a_required_check_without_a_judge_is_refused_by_name():
    found = judged(target=with_gate(required=("decodable", "mos")))
    assert [finding.verdict for finding in found] == [Verdict.PASS, Verdict.FAIL]
    assert found[1].sentence.startswith("The check mos is required, but has no judge here: decodable")


def test_what_is_not_required_is_not_judged():
    assert [finding.name for finding in judged(target=with_gate(required=("level",)))] == ["level"]
    assert set(PER_TEXT) < set(KNOWN)


@pytest.mark.parametrize(
    ("low", "high", "value"), [(-35, -15, math.nan), (math.nan, -15, -20), (-35, -15, -math.inf)]
)
def test_nan_is_never_in_a_range(low, high, value):
    assert decide("range", {"value": value}, {"min": low, "max": high}) is Verdict.FAIL


def test_findings_carry_their_numbers_and_fit_json():
    found = judged(wav_bytes(np.zeros(RATE * 4)))
    documents = json.loads(json.dumps([finding.document() for finding in found], allow_nan=False))
    assert [finding_from(document) for document in documents] == found
    level = next(finding for finding in found if finding.name == "level")
    assert level.values == {"value": None, "text": TEXT}
    assert level.limits == {"min": -35, "max": -15}
    assert level.sentence == "The level is -inf dBFS; -35 to -15 are allowed."


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (answer(wav_bytes(speech(TEXT))), ""),
        (answer(b""), "not a WAV file"),
        (answer(b"", status=503), "The answer was 503"),
        (answer(wav_bytes(np.zeros(RATE * 4))), "The level is -inf dBFS"),
        (answer(wav_bytes(np.tile(speech(TEXT), 2))), "characters a second"),
        (answer(wav_bytes(speech(TEXT, level=3.0))), "dBFS"),
    ],
)
def test_speech_through_the_route_is_judged_by_what_is_cheap(found, said):
    assert said in speaks_well(found, TEXT, TARGET, None)
    assert bool(said) == bool(speaks_well(found, TEXT, TARGET, None))


def test_speech_through_the_route_is_listened_to_where_there_are_ears():
    body = answer(wav_bytes(speech(TEXT)))
    assert speaks_well(body, TEXT, TARGET, Ears()) == ""
    assert "of the words are wrong" in speaks_well(body, TEXT, TARGET, Ears(rate=0.4))
    assert "DNSMOS" in speaks_well(body, TEXT, TARGET, Ears(score=1.0))
    assert "no recogniser" in speaks_well(body, TEXT, TARGET, Ears(words=None))
    only = with_gate(required=("decodable",))
    assert speaks_well(answer(wav_bytes(np.zeros(RATE))), TEXT, only, Ears(rate=1.0, score=1.0)) == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"RIFF\0\0\0\0WAVE", "no data"),
        (wav_bytes(speech(TEXT)).replace(b"fmt ", b"junk"), "before its format"),
        (wav_bytes(speech(TEXT)).replace(b"\x10\0\0\0\x01\0\x01\0", b"\x10\0\0\0\x03\0\x01\0"), "format 3"),
    ],
)
def test_wav_says_what_is_wrong(body, said):
    with pytest.raises(AudioError, match=said):
        wav.decode(body)


def test_wav_skips_other_chunks_and_mixes_channels_down():
    mono = wav_bytes(np.full(100, 0.5))
    body = mono[:12] + b"LIST\x03\0\0\0abc\0" + mono[12:]
    audio = wav.decode(body)
    assert (audio.samples.size, audio.rate) == (100, RATE)
    assert rms_dbfs(audio) == pytest.approx(-6.02, abs=0.01)
    stereo = bytearray(wav_bytes(np.tile([0.5, -0.5], 50)))
    stereo[22] = 2
    assert not wav.decode(bytes(stereo)).samples.any()

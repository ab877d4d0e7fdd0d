"""The gate's judges refuse what must not pass."""

import dataclasses
import json
import math

import numpy as np
import pytest

from release import wav
from release.analysis import Verdict, judge_answer
from release.errors import AudioError
from release.plan import Range
from release.smoke import JUDGES, Answer, Sample, judge, rms_dbfs

from .simulation import RATE, V1, V2, VERSIONS, plan_for, speech, wav_bytes

TEXT = "The quick brown fox jumps over the lazy dog near the river."
PLAN = plan_for(V2)


def answer(body, *, status=200, version=VERSIONS[V2], revision=V2, error=""):
    headers = {"x-tts-version": version, "x-tts-revision": revision}
    return Answer(status, {name: value for name, value in headers.items() if value}, body, 0.1, error)


def about(**changes):
    return answer(
        json.dumps({"version": VERSIONS[V2], "revision": V2, "sampleRate": RATE, **changes}).encode()
    )


def failed(body=None, *, version=None, speech_answer=None, plan=PLAN):
    body = wav_bytes(speech(TEXT)) if body is None else body
    sample = Sample(TEXT, speech_answer or answer(body), version or about())
    return {check.name for check in judge(sample, plan) if not check.passed}


ALL = set(JUDGES) - {"identity"}


def test_good_speech_passes():
    assert failed() == set()
    assert failed(wav_bytes(speech(TEXT), size=2 * speech(TEXT).size)) == set()


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
        {"speech_answer": answer(wav_bytes(speech(TEXT)), version="1.0.0")},
        {"speech_answer": answer(wav_bytes(speech(TEXT)), revision=V1)},
        {"speech_answer": answer(wav_bytes(speech(TEXT)), revision="")},
    ],
)
def test_a_wrong_identity_is_refused(changed):
    assert "identity" in failed(**changed)


def test_answers_that_are_not_200_are_refused():
    assert failed(speech_answer=answer(wav_bytes(speech(TEXT)), status=500)) >= ALL
    assert failed(speech_answer=answer(b"", status=0, error="connection refused")) >= ALL
    assert "identity" in failed(version=answer(about().body, status=503))


def test_a_required_check_without_a_judge_is_refused_by_name():
    plan = dataclasses.replace(PLAN, gate=dataclasses.replace(PLAN.gate, required=("decodable", "mos")))
    checks = judge(Sample(TEXT, answer(wav_bytes(speech(TEXT))), about()), plan)
    assert [check.passed for check in checks] == [True, False]
    assert "mos" in checks[1].sentence
    assert "no judge" in checks[1].sentence


def test_nan_is_never_in_a_range():
    assert not Range(-35, -15).holds(math.nan)
    assert not Range(math.nan, -15).holds(-20)
    assert not Range(-35, -15).holds(-math.inf)


def test_checks_carry_their_numbers_and_fit_json():
    checks = judge(Sample(TEXT, answer(wav_bytes(np.zeros(RATE * 4))), about()), PLAN)
    json.dumps([dataclasses.asdict(check) for check in checks], allow_nan=False)
    level = next(check for check in checks if check.name == "level")
    assert level.value is None
    assert "-35..-15 dBFS" in level.limit


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


ALLOWED = {"revisions": {V1, V2}, "versions": VERSIONS}


@pytest.mark.parametrize(
    ("found", "text", "verdict"),
    [
        (about(), None, Verdict.PASS),
        (answer(wav_bytes(speech(TEXT))), TEXT, Verdict.PASS),
        (answer(b"", status=429), TEXT, Verdict.HOLD),
        (answer(b"", status=0, error="refused"), None, Verdict.FAIL),
        (answer(b"", status=503), None, Verdict.FAIL),
        (answer(b"{}"), None, Verdict.FAIL),
        (answer(b""), TEXT, Verdict.FAIL),
        (answer(wav_bytes(np.zeros(RATE))), TEXT, Verdict.FAIL),
        (answer(about().body, revision="other"), None, Verdict.FAIL),
        (answer(about().body, revision=""), None, Verdict.FAIL),
        (answer(about().body, version="9.9.9"), None, Verdict.FAIL),
        (answer(about().body, version=""), None, Verdict.FAIL),
    ],
)
def test_answers_through_the_route(found, text, verdict):
    assert judge_answer(found, speech=text, **ALLOWED)[0] is verdict

"""The ears, on real speech: what is clean passes, and each way of going wrong is caught by a judge.

The speech is the hibari engine's, of its catalog entries' texts; the limits are the contract's defaults.
"""

import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml

from release.errors import AudioError
from release.listening.decoys import DECOYS
from release.listening.languages import recogniser_for, unjudged_reason
from release.listening.quality import QualityModel
from release.listening.recogniser import Recogniser, word_error_rate
from release.listening.resample import MODEL_RATE, at_model_rate
from release.listening.sound import clipped_percent, rms_dbfs
from release.listening.words import readings, spoken
from release.wav import Audio
from serving.engines.base import Utterance
from serving.engines.hibari import dequantise
from serving.engines.hibari.engine import HibariEngine

from .corruptions import CORRUPTIONS, RATE, with_noise

ROOT = Path(__file__).parents[2]
TEXTS = tuple(yaml.safe_load((ROOT / "models/hibari/1.0.0.yaml").read_text())["gate"]["texts"])
CHARACTERS_PER_SECOND = 15.1
TOLERANCE = 0.25
WORD_ERRORS_MEAN, WORD_ERRORS_EACH = 0.15, 0.35
QUALITY_MIN = 2.9
CLIPPED_PERCENT = 0.1
RMS_DBFS = (-35, -15)


class Voice:
    """Speaks with one model file; a text is synthesised once."""

    def __init__(self, model: Path) -> None:
        engine = HibariEngine(model)
        self.say = cache(lambda text: np.concatenate(list(_chunks(engine, text))))


def _chunks(engine: HibariEngine, text: str):
    return engine.synthesise(Utterance(text=text, voice="heart", seed=1))


@dataclass(frozen=True)
class Ears:
    recogniser: Recogniser
    quality: QualityModel


@pytest.fixture(scope="session")
def ears() -> Ears:
    return Ears(Recogniser(TEXTS), QualityModel())


@pytest.fixture(scope="session")
def voices(tmp_path_factory) -> dict[str, Voice]:
    """The voices of both catalog entries; the second one's weights are made from the first one's."""
    int8 = Path(str(resources.files("hibari") / "assets" / "hibari.onnx"))
    float32 = tmp_path_factory.mktemp("weights") / "hibari.onnx"
    assert dequantise.main(int8, float32) == 0
    return {"1.0.0": Voice(int8), "1.1.0": Voice(float32)}


@pytest.fixture(scope="session")
def voice(voices) -> Voice:
    return voices["1.0.0"]


def heard_wrong(ears: Ears, text: str, samples: np.ndarray) -> float:
    return word_error_rate(text, ears.recogniser.transcript(Audio(samples, RATE)))


def outside(value: float, limits: tuple[float, float]) -> bool:
    return not limits[0] <= value <= limits[1]


# Whether a judge refuses these syntheses of these texts. Each is asked alone.
JUDGES = {
    "intelligibility": lambda ears, spoken: (
        np.mean(rates := [heard_wrong(ears, *each) for each in spoken]) > WORD_ERRORS_MEAN
        or max(rates) > WORD_ERRORS_EACH
    ),
    "quality": lambda ears, spoken: (
        min(ears.quality.overall(Audio(s, RATE)) for _, s in spoken) < QUALITY_MIN
    ),
    "level": lambda _, spoken: any(outside(rms_dbfs(Audio(s, RATE)), RMS_DBFS) for _, s in spoken),
    "clipping": lambda _, spoken: max(clipped_percent(Audio(s, RATE)) for _, s in spoken) > CLIPPED_PERCENT,
    "duration": lambda _, spoken: any(
        abs(len(text) / Audio(s, RATE).seconds / CHARACTERS_PER_SECOND - 1) > TOLERANCE for text, s in spoken
    ),
}
CAUGHT_BY = {
    "noise at 20 dB": ["quality"],
    "noise at 10 dB": ["quality"],
    "noise at 0 dB": ["quality", "intelligibility"],
    "noise only": ["quality", "intelligibility"],
    "truncated": ["intelligibility", "duration"],
    "garbled": ["intelligibility", "quality"],
    "backwards": ["intelligibility", "quality"],
    "too fast": ["intelligibility", "duration"],
    "too slow": ["intelligibility", "duration"],
    "too loud": ["clipping", "level", "quality"],
    "too quiet": ["level", "quality"],
    "silent": ["level", "intelligibility", "quality"],
    "repeated": ["intelligibility", "duration"],
    "stuck": ["intelligibility", "quality"],
    "with a hole": ["intelligibility"],
}


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
@pytest.mark.parametrize("judge", JUDGES)
def test_clean_speech_passes(voices, ears, version, judge):
    assert not JUDGES[judge](ears, [(text, voices[version].say(text)) for text in TEXTS])


@pytest.mark.parametrize(
    ("name", "judge"), [(name, judge) for name in CORRUPTIONS for judge in CAUGHT_BY[name]]
)
def test_a_corruption_is_caught_in_every_text(voice, ears, name, judge):
    # Each text as a gate of its own, so that the limit of the mean holds for it too. The opinion score takes
    # most of a second: two texts stand for all.
    for text in TEXTS[:2] if judge == "quality" else TEXTS:
        assert JUDGES[judge](ears, [(text, CORRUPTIONS[name](voice.say(text)))]), text


def test_a_wrong_text_is_caught(voice, ears):
    for said, wanted in zip(TEXTS, TEXTS[1:] + TEXTS[:1], strict=True):
        assert heard_wrong(ears, wanted, voice.say(said)) > WORD_ERRORS_EACH


def test_a_text_that_the_recogniser_was_not_told_of_is_caught(voice, ears):
    said = voice.say("Three friends walked slowly through the empty market square.")
    assert all(heard_wrong(ears, text, said) > WORD_ERRORS_EACH for text in TEXTS)


def test_decoys_are_heard_as_what_they_are(voice, ears):
    for decoy in DECOYS[:4]:
        assert heard_wrong(ears, decoy, voice.say(decoy)) == 0


def test_numbers_are_heard_in_whichever_way_they_are_read(voice):
    texts = ("In 1999 the company had 1,250 employees.", "On the 21st of May 2024 it was 25 degrees.",
             "The recipe needs 3.5 litres of water and 20 % more salt.")  # fmt: skip
    recogniser = Recogniser(texts)
    for text in texts:
        heard = recogniser.transcript(Audio(voice.say(text), RATE))
        assert word_error_rate(text, heard) == 0, heard


def test_a_wrong_number_is_a_wrong_word(voice):
    recogniser = Recogniser(["The train leaves from platform 12 at noon."])
    heard = recogniser.transcript(Audio(voice.say("The train leaves from platform nine at noon."), RATE))
    assert word_error_rate("The train leaves from platform 12 at noon.", heard) > 0


def test_words_that_no_dictionary_knows_are_heard_by_their_spelling_and_reported(voice):
    texts = ("Kubernetes restarts the pod when the chatbot hangs.", "Pulumi deploys our TTS model to a GPU.")
    recogniser = Recogniser(texts)
    assert recogniser.guessed_words == ("chatbot", "gpu", "kubernetes", "pulumi", "restarts", "tts")
    for text in texts:
        heard = recogniser.transcript(Audio(voice.say(text), RATE))
        assert word_error_rate(text, heard) == 0, heard


def test_the_gates_own_texts_need_no_guess(ears):
    assert ears.recogniser.guessed_words == ()


def test_what_was_heard_before_changes_nothing(voice):
    # So noisy that the smallest difference shows in the words.
    unclear = [Audio(with_noise(voice.say(text), snr_db=0), RATE) for text in TEXTS]
    fresh = [Recogniser(TEXTS).transcript(audio) for audio in unclear]
    recogniser = Recogniser(TEXTS)
    recogniser.transcript(Audio(CORRUPTIONS["noise only"](voice.say(TEXTS[0])), RATE))
    assert [recogniser.transcript(audio) for audio in unclear[::-1]] == fresh[::-1]


def test_several_threads_may_listen_at_once(voice, ears):
    speech = [Audio(voice.say(text), RATE) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        heard = list(pool.map(ears.recogniser.transcript, speech * 2))
    assert heard == [" ".join(spoken(text)) for text in TEXTS] * 2


@pytest.mark.parametrize("text", ["", "...", "你好"])
def test_a_text_without_english_words_is_no_sentence_to_hear(text):
    assert Recogniser([text]).guessed_words == ()
    assert word_error_rate(text, "") == word_error_rate(text, "hello") == 1


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate"),
    [
        ("It rained for 12 hours.", "it rained for twelve hours", 0),
        ("It rained for 12 hours.", "it rained for one two hours", 0.4),
        ("It rained.", "", 1),
        ("It rained.", "it rained it rained it rained", 2),
        ("One two three four", "one three four", 0.25),
        ("Don’t — it’s café-style!", "don't it's cafe style", 0),
        ("Room 105", "room one oh five", 0),
        ("Room 105", "room one hundred and five", 0),
        ("Room 105", "room one hundred six", 0.25),
    ],
)
def test_word_error_rates(reference, hypothesis, rate):
    assert word_error_rate(reference, hypothesis) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1999", "nineteen ninety nine"),
        ("1900", "nineteen hundred"),
        ("2005", "two thousand and five"),
        ("1805", "eighteen oh five"),
        ("the 1990s", "the nineteen nineties"),
        ("$1,250.50", "one thousand two hundred fifty point five zero dollars"),
        ("22nd 30th 12th", "twenty second thirtieth twelfth"),
        ("GPT4 in 10ms", "gpt four in ten ms"),
        ("Dr. Smith & Mr. Brown", "doctor smith and mister brown"),
        ("example.com at 10 a.m.", "example dot com at ten a m"),
        ("007", "zero zero seven"),
        ("1000000", "one million"),
        ("9" * 16, " ".join(["nine"] * 16)),
    ],
)
def test_readings(text, said):
    assert tuple(said.split()) in readings(text)


def test_a_text_full_of_numbers_has_few_readings():
    assert 1 < len(readings("1999 1998 1997 1996 1995 1994")) <= 32


@pytest.mark.parametrize(("seconds", "apart"), [(3.2, 0.1), (9.01, 1e-4), (9.5, 1e-4), (11.2, 1e-4)])
def test_quality_is_that_of_the_reference_implementation(voice, ears, monkeypatch, seconds, apart):
    # The reference's second model needs librosa and is not asked: any features will do.
    for name in ("librosa", "librosa.feature"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    from speechmos import dnsmos

    monkeypatch.setattr(dnsmos.DNSMOS, "audio_melspec", lambda *_, **__: np.zeros((900, 120), np.float32))
    speech = np.concatenate([voice.say(text) for text in TEXTS])[: int(seconds * RATE)]
    samples = at_model_rate(Audio(speech, RATE))
    wanted = dnsmos.run(samples, MODEL_RATE)["ovrl_mos"]
    assert ears.quality.overall(Audio(samples, MODEL_RATE)) == pytest.approx(wanted, abs=apart)


def test_levels():
    tone = np.sin(np.arange(RATE, dtype=np.float32) * np.float32(0.3))
    assert rms_dbfs(Audio(tone, RATE)) == pytest.approx(-3.01, abs=0.01)
    assert rms_dbfs(Audio(tone / 10, RATE)) == pytest.approx(-23.01, abs=0.01)
    assert rms_dbfs(Audio(np.zeros(10, np.float32), RATE)) == -np.inf
    assert rms_dbfs(Audio(np.zeros(0, np.float32), RATE)) == -np.inf


def test_clipping_counts_both_ends_of_the_scale_in_16_bits():
    samples = np.array([-32768, 32767, 32000, 0], np.float32) / 32768
    assert clipped_percent(Audio(samples, RATE)) == 50
    assert clipped_percent(Audio(samples[2:], RATE)) == 0
    assert clipped_percent(Audio(np.zeros(0, np.float32), RATE)) == 0


@pytest.mark.parametrize(
    ("samples", "said"), [([], "no audio"), ([0.1, np.nan], "not numbers"), ([0.5], "too short")]
)
def test_nothing_to_listen_to_is_said(ears, samples, said):
    audio = Audio(np.array(samples, np.float32), 96_000)
    for listen in (ears.recogniser.transcript, ears.quality.overall):
        with pytest.raises(AudioError, match=said):
            listen(audio)


@pytest.mark.parametrize("languages", [["en"], ["en-GB"], ["en_US", "EN"]])
def test_english_has_a_recogniser(languages):
    assert isinstance(recogniser_for(languages, TEXTS), Recogniser)
    assert unjudged_reason("intelligibility", languages) is None


@pytest.mark.parametrize(
    ("languages", "named"), [(["zh"], "zh"), (["en", "zh-CN"], "zh-CN"), ([], "no language")]
)
def test_what_no_recogniser_knows_is_said_to_be_unjudged(languages, named):
    assert recogniser_for(languages, TEXTS) is None
    assert named in unjudged_reason("intelligibility", languages)
    assert unjudged_reason("quality", languages) is None


def test_importing_the_ears_imports_nothing_heavy():
    modules = [f"release.listening.{path.stem}" for path in (ROOT / "release/listening").glob("*.py")
               if path.stem != "__init__"]  # fmt: skip
    assert len(modules) > 5
    heavy = "{'onnxruntime', 'pocketsphinx', 'soxr', 'jiwer', 'speechmos'}"
    program = f"import sys, {', '.join(modules)}; print(*{heavy} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout.split(), found.stderr) == (0, [], "")

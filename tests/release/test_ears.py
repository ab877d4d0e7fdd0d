"""The ears of a release: what they hear twice, and when they are made."""

import dataclasses

import numpy as np
import pytest

from release import ears as module
from release.ears import ListeningEars
from release.wav import Audio

from .plans import V2, plan_for

TARGET = plan_for(V2).target


def noise(seed: int, rate: int = 16_000) -> Audio:
    return Audio(np.random.default_rng(seed).normal(0, 0.1, 8_000).astype(np.float32), rate)


class Counting:
    """A recogniser and a quality model that count what they hear."""

    def __init__(self):
        self.heard = []

    def transcript(self, audio):
        self.heard.append("words")
        return f"{len(self.heard)} words"

    guessed_words = ("voxcpm",)

    def overall(self, audio):
        self.heard.append("quality")
        return float(len(self.heard))


@pytest.fixture
def both(monkeypatch):
    ears, counting = ListeningEars(), Counting()
    monkeypatch.setattr(ears, "_recogniser", lambda target: counting)
    monkeypatch.setattr(ears, "_quality", lambda: counting)
    return ears, counting


def test_the_same_audio_is_listened_to_once(both):
    ears, counting = both
    assert ears.transcript(TARGET, noise(1)) == ears.transcript(TARGET, noise(1)) == "1 words"
    assert ears.quality(noise(1)) == ears.quality(noise(1)) == 2.0
    assert counting.heard == ["words", "quality"]


def test_other_audio_another_rate_and_other_texts_are_not(both):
    ears, counting = both
    other = dataclasses.replace(TARGET, gate=dataclasses.replace(TARGET.gate, texts=("Another.",)))
    for target, audio in (
        (TARGET, noise(1)),
        (TARGET, noise(2)),
        (TARGET, noise(1, 24_000)),
        (other, noise(1)),
    ):
        ears.transcript(target, audio)
    assert counting.heard == ["words"] * 4


def test_what_is_remembered_is_bounded(both, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    ears, counting = both
    for seed in (1, 2, 3, 4, 4, 1):
        ears.quality(noise(seed))
    assert len(counting.heard) == 5


@pytest.mark.parametrize(
    ("required", "made"), [(("intelligibility",), ["words"]), (("quality",), ["quality"]), (("level",), [])]
)
def test_only_the_ears_that_are_needed_are_made_ready(both, required, made):
    ears, counting = both
    ears.prepare(dataclasses.replace(TARGET, gate=dataclasses.replace(TARGET.gate, required=required)))
    assert counting.heard == made


def test_where_nobody_knows_the_language_nothing_is_heard(both, monkeypatch):
    ears, counting = both
    assert ears.guessed(TARGET) == ("voxcpm",)
    monkeypatch.setattr(ears, "_recogniser", lambda target: None)
    assert ears.transcript(TARGET, noise(1)) is None
    assert ears.guessed(TARGET) == ()
    ears.prepare(TARGET)
    assert "words" not in counting.heard

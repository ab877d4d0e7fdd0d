"""How pieces of a long sentence are joined best: silence, steps, pitch, quality and words of each way.

    python -m tests.bench.serving_joins

The engine speaks long sentences, with and without punctuation, in pieces with different pauses between them,
and as one piece, which is what the joined ones should sound like. Takes three minutes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from release.listening.quality import QualityModel
from release.listening.recogniser import Recogniser, word_error_rate
from release.wav import Audio
from serving.engines import joining
from serving.engines.base import Utterance
from serving.engines.hibari import engine as hibari
from serving.engines.hibari import text as reading
from serving.engines.splitting import Boundary, pieces

RATE = 24_000
FRAME = RATE // 200
SOUND_DBFS = -50
PLAIN = (
    "the old ferry leaves the harbour every morning at seven and carries the people of the small island "
    "to the town where most of them have worked since the factory on the mainland was opened again after "
    "the long winter of the great storm",
    "when the committee met again in the spring the members had already decided that the bridge over the "
    "river would be built from stone because the wooden one had been carried away by the water twice in "
    "the same year",
    "our teacher told us that the birds which nest under the roof of the church come back every year from "
    "the south of Africa and that they find the same nest again without any help from their parents or "
    "from other birds",
    "nobody in the village could remember a summer in which so little rain had fallen and so the farmers "
    "began to bring water from the lake with horses and wagons while their children slept in the shade of "
    "the apple trees",
    "the company that sold the machine said that it would work for at least ten years but the motor "
    "stopped after a few weeks and the man who came to repair it did not know where to find the parts "
    "that he needed",
    "she opened the letter with great care and read it slowly in the light of the window because the "
    "writing of her grandmother was very small and the ink had become almost as pale as the paper after "
    "so many years in the drawer",
)
CLAUSES = (
    "The old ferry leaves the harbour every morning at seven, it carries the people of the small island "
    "to the town, and most of them have worked there since the factory was opened again; nobody wants to "
    "live without it, although the tickets are not cheap.",
    "When the committee met again in the spring, the members had already decided what to do: the bridge "
    "over the river would be built from stone, because the wooden one had been carried away by the water, "
    "twice in the same year.",
    "Our teacher told us about the birds under the roof of the church, which come back every year from "
    "the south of Africa, and she said that they find the same nest again, without any help from their "
    "parents, or from other birds.",
    "Nobody in the village could remember such a summer, for hardly any rain had fallen, so the farmers "
    "began to bring water from the lake, with horses and wagons, while their children slept in the shade "
    "of the apple trees.",
    "The company that sold the machine was sure of it, but the motor stopped after a few weeks, and the "
    "man who came to repair it, a friendly person with a very small bag, did not know where to find the "
    "parts that he needed.",
    "She opened the letter with great care, and read it slowly in the light of the window, because the "
    "writing of her grandmother was very small; the ink had become almost as pale as the paper, after so "
    "many years in the drawer.",
)
HEADS = (
    "The old ferry leaves the harbour every morning at seven",
    "Our teacher told us about the birds under the roof",
    "The company that sold the machine was sure of it",
    "She opened the letter with great care",
    "Nobody in the village could remember such a summer",
    "He waited in the shade of the apple tree",
)
TAILS = (
    "it carries the people to the town",
    "the motor stopped after a few weeks",
    "and the writing was very small",
    "because hardly any rain had fallen",
    "most of them had come on foot",
)
Pauses = dict[Boundary, float]


@dataclass(frozen=True)
class Spoken:
    """A text's audio, and where its pieces were joined, in samples."""

    text: str
    samples: NDArray[np.float32]
    joins: tuple[int, ...]


class Bench:
    """One engine and the two judges."""

    def __init__(self) -> None:
        self.engine = hibari.HibariEngine(Path(str(resources.files("hibari") / "assets" / "hibari.onnx")))
        self.quality = QualityModel()
        self.recogniser = Recogniser([*PLAIN, *CLAUSES])

    def joined(self, text: str, pauses: Pauses) -> Spoken:
        """The text in the engine's pieces with these pauses."""
        with patch.object(hibari, "_PAUSES", pauses):
            parts = list(self.engine.synthesise(Utterance(text=text, voice="heart", seed=1)))
        ends = np.cumsum([part.size for part in parts])
        return Spoken(text, np.concatenate(parts), tuple(int(end) for end in ends[:-1]))

    def whole(self, text: str) -> Spoken:
        """The text as one piece."""
        whole = patch.object(hibari, "pieces", lambda text: pieces(text, most=10_000))
        with whole, patch.object(reading, "PHONEMES", 10_000):
            spoken = self.joined(text, {})
        return Spoken(text, spoken.samples, own_joins(spoken.samples))

    def row(self, name: str, spoken: Sequence[Spoken]) -> None:
        """Prints what was measured of one way to join."""
        audio = [Audio(one.samples, RATE) for one in spoken]
        qualities = [self.quality.overall(one) for one in audio]
        errors = [
            word_error_rate(one.text, self.recogniser.transcript(heard))
            for one, heard in zip(spoken, audio, strict=True)
        ]
        joins = [(one.samples, at) for one in spoken for at in one.joins]
        silences = [silence(*join) for join in joins] or [0.0]
        steps = [step(*join) for join in joins] or [0.0]
        levels = [level_step(*join) for join in joins] or [0.0]
        print(
            f"{name:<26} {len(joins):>5} {statistics.median(silences) * 1000:>5.0f} ms {max(steps):>9.5f} "
            f"{statistics.median(levels):>6.1f} dB {statistics.mean(qualities):>8.2f} {min(qualities):>6.2f} "
            f"{statistics.mean(errors):>6.3f} {sum(one.seconds for one in audio):>7.1f} s",
            flush=True,
        )

    def own_pause(self, mark: str) -> float:
        """Seconds of the longest silence that the model makes by itself where `mark` stands; the median."""
        texts = [f"{head}{mark} {tail}." for head in HEADS for tail in TAILS]
        return statistics.median(longest_silence(self.whole(text).samples) for text in texts)


def sounding(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each frame sounds."""
    count = samples.size // FRAME
    levels = np.sqrt(np.square(samples[: count * FRAME].reshape(count, FRAME)).mean(axis=1))
    return np.asarray(levels > 10 ** (SOUND_DBFS / 20))


def silence(samples: NDArray[np.float32], at: int) -> float:
    """Seconds without sound around a join."""
    loud = np.flatnonzero(sounding(samples))
    here = at / FRAME
    return float(loud[loud >= here][0] - loud[loud < here - 0.5][-1] - 1) * FRAME / RATE


def longest_silence(samples: NDArray[np.float32]) -> float:
    """Seconds of the longest silence within speech."""
    return float(np.diff(np.flatnonzero(sounding(samples))).max() - 1) * FRAME / RATE


def own_joins(samples: NDArray[np.float32]) -> tuple[int, ...]:
    """The middles of the pauses that the model makes by itself within a sentence, of 80 ms and more."""
    loud = np.flatnonzero(sounding(samples))
    gaps = [(low, high) for low, high in pairwise(loud) if (high - low - 1) * FRAME >= 0.08 * RATE]
    return tuple(int(low + 1 + high) * FRAME // 2 for low, high in gaps)


def level_step(samples: NDArray[np.float32], at: int) -> float:
    """How many decibels the first 100 ms of sound after a join differ from the last ones before it."""
    loud = np.flatnonzero(np.repeat(sounding(samples), FRAME))
    length = RATE // 10
    parts = (samples[loud[loud < at][-length:]], samples[loud[loud >= at][:length]])
    before, after = (float(np.sqrt(np.square(part).mean())) for part in parts)
    return abs(20 * float(np.log10(after / before)))


def step(samples: NDArray[np.float32], at: int) -> float:
    """The difference of the two samples that meet at a join; full scale is 1."""
    return float(abs(samples[at] - samples[at - 1]))


def same(seconds: float) -> Pauses:
    """This pause wherever a sentence is cut."""
    return {kind: seconds for kind in Boundary if kind is not Boundary.SENTENCE}


def largest_step(spoken: Sequence[Spoken]) -> float:
    """What 99.9 of 100 steps within speech stay under: louder ones are clicks."""
    return float(np.percentile(np.concatenate([np.abs(np.diff(one.samples)) for one in spoken]), 99.9))


def main() -> None:
    """Prints a table for each kind of text."""
    bench = Bench()
    for mark in ("", ",", ";", ":", " —", "."):
        print(f"the model's own pause at {mark!r:<5} {bench.own_pause(mark) * 1000:>4.0f} ms", flush=True)
    for name, texts in (("without punctuation", PLAIN), ("with clauses", CLAUSES)):
        print(f"\n{name:<26} joins silence     step    level  quality  worst  words  length")
        whole = [bench.whole(text) for text in texts]
        bench.row("one piece", whole)
        print(f"  (steps within speech: 99.9 % under {largest_step(whole):.3f})")
        bench.row("as the model ends it", [bench.joined(text, {}) for text in texts])
        with patch.object(joining, "_FADE_SECONDS", 0.0):
            bench.row("0.00 s, not faded", [bench.joined(text, same(0.0)) for text in texts])
        for seconds in (0.0, 0.03, 0.06, 0.1, 0.15, 0.25, 0.36, 0.5):
            bench.row(f"{seconds:.2f} s", [bench.joined(text, same(seconds)) for text in texts])
        bench.row("as the server does", [bench.joined(text, dict(hibari._PAUSES)) for text in texts])


if __name__ == "__main__":
    main()

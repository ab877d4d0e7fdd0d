"""Ways in which speech goes wrong, each as a function from samples to samples (float32, full scale 1.0).

Every one is deterministic. A server under test can be given one, so that its answers are wrong in that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Corruption = Callable[[Samples], Samples]

RATE = 24_000
"""Hertz: the rate of the samples, and the one that is declared."""


def with_noise(samples: Samples, *, snr_db: float) -> Samples:
    """White noise `snr_db` decibels below the speech."""
    noise = np.random.default_rng(0).standard_normal(samples.size)
    power = np.mean(np.square(samples, dtype=np.float64)) / 10 ** (snr_db / 10)
    return np.clip(samples + noise * np.sqrt(power), -1.0, 1.0).astype(np.float32)


def noise_only(samples: Samples) -> Samples:
    """White noise as loud as the speech, in place of it."""
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    noise = np.random.default_rng(0).standard_normal(samples.size) * level
    return np.clip(noise, -1.0, 1.0).astype(np.float32)


def truncated(samples: Samples) -> Samples:
    """The first half."""
    return samples[: samples.size // 2]


def garbled(samples: Samples) -> Samples:
    """Blocks of 100 ms in a random order."""
    block = RATE // 10
    blocks = [samples[start : start + block] for start in range(0, samples.size, block)]
    order = np.random.default_rng(0).permutation(len(blocks))
    return np.concatenate([blocks[index] for index in order])


def backwards(samples: Samples) -> Samples:
    """From the end to the start."""
    return np.ascontiguousarray(samples[::-1])


def too_fast(samples: Samples) -> Samples:
    """The content of 16 kHz, declared as 24 kHz: one and a half times as fast and high."""
    return np.asarray(soxr.resample(samples, RATE, 16_000), dtype=np.float32)


def too_slow(samples: Samples) -> Samples:
    """The content of 44.1 kHz, declared as 24 kHz: a little over half as fast and high."""
    return np.asarray(soxr.resample(samples, RATE, 44_100), dtype=np.float32)


def too_loud(samples: Samples) -> Samples:
    """Twentyfold, and cut to full scale as the server does."""
    return np.clip(samples * 20, -1.0, 1.0).astype(np.float32)


def too_quiet(samples: Samples) -> Samples:
    """A hundredth: 40 dB less."""
    return (samples / 100).astype(np.float32)


def silent(samples: Samples) -> Samples:
    """As long, and nothing in it."""
    return np.zeros_like(samples)


def repeated(samples: Samples) -> Samples:
    """Everything twice."""
    return np.concatenate([samples, samples])


def stuck(samples: Samples) -> Samples:
    """The same 300 ms over and over, for the same duration: an engine caught in a loop."""
    start = samples.size // 3
    piece = samples[start : start + 3 * RATE // 10]
    return np.resize(piece, samples.size).astype(np.float32)


def with_a_hole(samples: Samples) -> Samples:
    """Silent from one third to two thirds."""
    third = samples.size // 3
    holed = samples.copy()
    holed[third : 2 * third] = 0
    return holed


CORRUPTIONS: Mapping[str, Corruption] = {
    "noise at 20 dB": lambda samples: with_noise(samples, snr_db=20),
    "noise at 10 dB": lambda samples: with_noise(samples, snr_db=10),
    "noise at 0 dB": lambda samples: with_noise(samples, snr_db=0),
    "noise only": noise_only,
    "truncated": truncated,
    "garbled": garbled,
    "backwards": backwards,
    "too fast": too_fast,
    "too slow": too_slow,
    "too loud": too_loud,
    "too quiet": too_quiet,
    "silent": silent,
    "repeated": repeated,
    "stuck": stuck,
    "with a hole": with_a_hole,
}

"""A recording in whose voice an engine is to speak."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A voice as an engine takes it. Two with the same digest are the same recording and words, so the digest
    is the key of whatever an engine keeps about it; made by `Reference.of`, which computes it."""

    samples: Samples = field(repr=False, compare=False)
    """Mono, shape [samples], within -1..1."""
    sample_rate: int
    """Hertz; any, the engine resamples."""
    transcript: str
    """The words that are spoken, empty where the engine needs none."""
    digest: str
    """The sha256, in hexadecimal, of samples, rate and transcript."""

    @classmethod
    def of(cls, samples: Samples, *, sample_rate: int, transcript: str) -> Reference:
        """The reference of these samples, copied. Raises ValueError for what is no mono recording."""
        own = np.array(samples, dtype="<f4")
        if own.ndim != 1 or own.size == 0 or sample_rate < 1:
            raise ValueError(f"samples of shape {own.shape} at {sample_rate} Hz are no mono recording")
        if not np.isfinite(own).all() or float(np.abs(own).max()) > 1.0:
            raise ValueError("the samples are not all within -1..1")
        own.flags.writeable = False
        words = " ".join(transcript.split())
        content = hashlib.sha256(struct.pack("<QQ", sample_rate, own.size))
        content.update(own.data)
        content.update(words.encode())
        return cls(samples=own, sample_rate=sample_rate, transcript=words, digest=content.hexdigest())

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.samples.size / self.sample_rate)

"""Samples as bytes: 16-bit PCM, and the header of a WAV stream whose length is not known yet."""

import struct

import numpy as np

from serving.engines.base import Samples

_UNKNOWN = 0xFFFFFFFF  # what players take as "until the end"


def to_pcm(samples: Samples) -> bytes:
    """Float samples within -1..1 as signed 16-bit little-endian PCM."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def wav_header(sample_rate: int) -> bytes:
    """The 44 bytes before a mono 16-bit PCM stream at `sample_rate` hertz, both sizes unknown."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", 16, 1, 1),
        *(sample_rate, sample_rate * 2, 2, 16, b"data", _UNKNOWN),
    )

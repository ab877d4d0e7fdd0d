"""A WAV file's samples. Streamed files (sizes 0xFFFFFFFF or 0) are read to their end."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import AudioError

STREAMED_SIZES = (0, 0xFFFFFFFF)
PCM = 1
EXTENSIBLE = 0xFFFE


@dataclass(frozen=True)
class Audio:
    """`samples`: float32 of shape (frames,), full scale 1.0, channels mixed down; `rate` in hertz."""

    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return self.samples.size / self.rate


def decode(data: bytes) -> Audio:
    """The audio in a WAV file with 16-bit PCM. Raises AudioError with a sentence for anything else."""
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioError(f"The {len(data)} bytes of the answer are not a WAV file.")
    layout: tuple[int, int] | None = None
    offset = 12
    while offset + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, offset)
        offset += 8
        if kind == b"data":
            if layout is None:
                raise AudioError("The WAV file's data comes before its format.")
            return _samples(data[offset:], size, *layout)
        if kind == b"fmt ":
            layout = _layout(data[offset : offset + size])
        offset += size + size % 2
    raise AudioError("The WAV file has no data.")


def _layout(chunk: bytes) -> tuple[int, int]:
    """(channels, rate) of a format chunk."""
    if len(chunk) < 16:
        raise AudioError("The WAV file's format chunk is cut off.")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if tag != PCM or bits != 16 or channels < 1 or rate < 1:
        raise AudioError(
            f"The WAV file holds format {tag} with {bits} bits, {channels} channels and {rate} Hz; "
            "16-bit PCM is understood."
        )
    return channels, rate


def _samples(data: bytes, size: int, channels: int, rate: int) -> Audio:
    if size not in STREAMED_SIZES:
        if len(data) < size:
            raise AudioError(f"The WAV file ends after {len(data)} of {size} bytes of audio.")
        data = data[:size]
    if not data:
        raise AudioError("The WAV file holds no audio.")
    if len(data) % (2 * channels):
        raise AudioError(f"The WAV file's {len(data)} bytes of audio are not a whole number of frames.")
    frames = np.frombuffer(data, dtype="<i2").reshape(-1, channels)
    return Audio(samples=(frames.mean(axis=1) / 32768).astype(np.float32), rate=rate)

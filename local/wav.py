"""Reading a WAV file as a speech server streams it: complete or refused."""

from __future__ import annotations

import math
import struct
import sys
from array import array
from dataclasses import dataclass

UNKNOWN_SIZE = 0xFFFFFFFF
"""The size that a streamed file declares, since its length is not known when its header is sent."""

_PCM = 1


class WavError(ValueError):
    """The bytes are not a complete WAV file with 16-bit mono sound."""


@dataclass(frozen=True)
class Speech:
    """Decoded sound: `samples` are signed 16-bit values at `sample_rate` hertz."""

    sample_rate: int
    samples: array[int]

    @property
    def seconds(self) -> float:
        """How long the sound lasts."""
        return len(self.samples) / self.sample_rate

    @property
    def level(self) -> float:
        """The root mean square in dB below full scale; minus infinity for silence."""
        power = sum(sample * sample for sample in self.samples) / len(self.samples)
        return 10 * math.log10(power / 32768**2) if power else -math.inf


def decode(content: bytes) -> Speech:
    """Decode a whole WAV file.

    Raises:
        WavError: it is empty, cut short, not WAV, or not 16-bit mono PCM.
    """
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise WavError(f"The {len(content)} bytes begin with no WAV header.")
    sample_rate = 0
    position = 12
    while position + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, position)
        body = content[position + 8 :] if size == UNKNOWN_SIZE else content[position + 8 :][:size]
        if size not in (UNKNOWN_SIZE, len(body)):
            raise WavError(
                f"The chunk {name!r} declares {size} bytes and has {len(body)}: the file is cut short."
            )
        if name == b"fmt ":
            sample_rate = _sample_rate(body)
        elif name == b"data":
            return Speech(sample_rate, _samples(body, sample_rate))
        position += 8 + size + size % 2
    raise WavError("The WAV file ends before its sound begins.")


def _sample_rate(body: bytes) -> int:
    if len(body) < 16:
        raise WavError("The format chunk is too short.")
    encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if (encoding, channels, bits) != (_PCM, 1, 16) or not rate:
        raise WavError(f"The sound has encoding {encoding}, {channels} channels, {bits} bits at {rate} Hz.")
    return int(rate)


def _samples(body: bytes, sample_rate: int) -> array[int]:
    if not sample_rate:
        raise WavError("The WAV file has sound before its format.")
    if not body or len(body) % 2:
        raise WavError(
            f"The sound has {len(body)} bytes, which is no whole number of 16-bit samples above 0."
        )
    samples = array("h", body)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples

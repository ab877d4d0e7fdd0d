"""Samples as the bytes of an audio format, part by part: nothing waits for the end of the audio.

wav and pcm are written here; mp3, opus, aac and flac by FFmpeg's libraries, through PyAV.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from serving.engines.base import Samples

_UNKNOWN = 0xFFFFFFFF  # what players take as "until the end"


class Encoder(Protocol):
    """One request's audio on its way into bytes; used by one thread at a time, and closed by whoever opened
    it, finished or not."""

    def feed(self, samples: Samples) -> bytes:
        """Takes mono samples within -1..1; returns what is ready, which may be nothing."""

    def finish(self) -> bytes:
        """Returns the rest; nothing is fed after it."""

    def close(self) -> None:
        """Frees what the encoder holds; closing twice does nothing."""


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How FFmpeg writes one format."""

    container: str
    name: str
    sample_format: str
    rates: tuple[int, ...]
    """Those it takes, in hertz; the lowest one is chosen that loses nothing."""
    bit_rate: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Format:
    """A `response_format`."""

    media_type: str
    open: Callable[[int], Encoder]
    """Opens an encoder for samples at so many hertz."""


class PcmEncoder:
    """Signed 16-bit little-endian samples, after the bytes of `header`."""

    def __init__(self, header: bytes = b"") -> None:
        self._header = header

    def feed(self, samples: Samples) -> bytes:
        """See Encoder.feed."""
        header, self._header = self._header, b""
        return header + to_pcm(samples).tobytes()

    def finish(self) -> bytes:
        """See Encoder.finish."""
        return b""

    def close(self) -> None:
        """There is nothing to free."""


class FfmpegEncoder:
    """One of FFmpeg's codecs, in a container that is written without going back."""

    def __init__(self, codec: Codec, sample_rate: int) -> None:
        self._sink = _Sink()
        self._sample_rate = sample_rate
        self._fed = 0
        # Without random serial numbers and the library's version, the same samples give the same bytes.
        options = {"fflags": "+bitexact", **codec.container_options}
        self._container = av.open(self._sink, "w", format=codec.container, options=options)
        rate = next((rate for rate in codec.rates if rate >= sample_rate), codec.rates[-1])
        stream = self._container.add_stream(codec.name, rate=rate, options=dict(codec.options))
        self._stream = cast(AudioStream, stream)
        self._stream.layout = "mono"
        self._stream.format = codec.sample_format
        if codec.bit_rate is not None:
            self._stream.bit_rate = codec.bit_rate

    def feed(self, samples: Samples) -> bytes:
        """See Encoder.feed."""
        frame = av.AudioFrame.from_ndarray(to_pcm(samples)[np.newaxis, :], format="s16", layout="mono")
        frame.sample_rate = self._sample_rate
        frame.time_base = Fraction(1, self._sample_rate)
        frame.pts = self._fed
        self._fed += samples.size
        self._container.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        """See Encoder.finish."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()

    def close(self) -> None:
        """See Encoder.close."""
        self._container.close()
        self._sink.take()


class _Sink:
    """A file that FFmpeg writes to and that cannot go back; it holds what was not taken yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole


def to_pcm(samples: Samples) -> NDArray[np.int16]:
    """Samples within -1..1 as signed 16-bit ones."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")


def wav_header(sample_rate: int) -> bytes:
    """The 44 bytes before a mono 16-bit PCM stream at `sample_rate` hertz, both sizes unknown."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", 16, 1, 1),
        *(sample_rate, sample_rate * 2, 2, 16, b"data", _UNKNOWN),
    )


def with_sizes(stream: bytearray) -> bytearray:
    """A whole WAV stream that began with `wav_header`, in place, its two sizes filled in."""
    struct.pack_into("<I", stream, 4, len(stream) - 8)
    struct.pack_into("<I", stream, 40, len(stream) - 44)
    return stream


_RATES = (16000, 22050, 24000, 32000, 44100, 48000)
# Chosen by what they cost and how they sound (decision 10): encoding must not outweigh the engine.
_MP3 = Codec(
    container="mp3",
    name="libmp3lame",
    sample_format="s16p",
    rates=_RATES,
    bit_rate=128_000,
    options={"compression_level": "7"},
    container_options={"write_xing": "0", "id3v2_version": "0"},  # both are written by going back
)
_OPUS = Codec(
    container="ogg",
    name="libopus",
    sample_format="s16",
    rates=(16000, 24000, 48000),
    bit_rate=64_000,
    options={"application": "audio", "frame_duration": "20", "compression_level": "5"},
    container_options={"page_duration": "20000"},  # microseconds: a page a frame
)
_AAC = Codec(
    container="adts",
    name="aac",
    sample_format="fltp",
    rates=_RATES,
    bit_rate=96_000,
    options={"aac_coder": "fast"},
)
_FLAC = Codec(container="flac", name="flac", sample_format="s16", rates=_RATES)

FORMATS = {
    "wav": Format(media_type="audio/wav", open=lambda rate: PcmEncoder(wav_header(rate))),
    "pcm": Format(media_type="audio/pcm", open=lambda _: PcmEncoder()),
    "mp3": Format(media_type="audio/mpeg", open=lambda rate: FfmpegEncoder(_MP3, rate)),
    "opus": Format(media_type="audio/ogg", open=lambda rate: FfmpegEncoder(_OPUS, rate)),
    "aac": Format(media_type="audio/aac", open=lambda rate: FfmpegEncoder(_AAC, rate)),
    "flac": Format(media_type="audio/flac", open=lambda rate: FfmpegEncoder(_FLAC, rate)),
}
"""What a `response_format` may be."""

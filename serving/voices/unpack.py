"""From an audio file that anybody may have sent to samples."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

CONTAINERS = {"wav": "wav", "mp3": "mp3", "flac": "flac", "m4a": "mp4"}
"""What may be sent, and who of FFmpeg reads it. Nothing else is opened: some formats name other files."""

_CODECS = {"mp3": {"mp3", "mp3float"}, "flac": {"flac"}, "m4a": {"aac", "alac"}}
# What is silence in each format of samples, and what is full scale above it.
_SCALES = {
    "u8": (128.0, 128.0),
    "s16": (0.0, 2.0**15),
    "s32": (0.0, 2.0**31),
    "flt": (0.0, 1.0),
    "dbl": (0.0, 1.0),
}
_LEAST_RATE, _MOST_RATE, _MOST_CHANNELS = 8_000, 192_000, 8
_FULL_SCALE = 0.989  # -0.1 dBFS: converters and codecs do not all end at 1
_FLAT_SAMPLES = 3  # a peak that is only touched is shorter
_PADDING_SECONDS = 0.25  # what encoders add at both ends

Samples = NDArray[np.float32]


class UnreadableError(Exception):
    """The file cannot be used; the message is a sentence for whoever sent it."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a file was: its container, rate in hertz, channels, seconds, and the part of its samples that lie
    in a row at full scale, 0 to 1."""

    container: str
    sample_rate: int
    channels: int
    seconds: float
    clipped: float


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A file as mono samples, shape [samples], at the rate that was asked for."""

    about: About
    samples: Samples


def unpack(content: bytes, *, rate: int, most_seconds: float) -> Unpacked:
    """Decodes a file, no more of it than `most_seconds`; all its channels become one, their mean. Raises
    UnreadableError."""
    name = container_of(content)
    try:
        options = {"protocol_whitelist": "none"}  # whatever a file may name, nothing is opened
        with av.open(io.BytesIO(content), "r", format=CONTAINERS[name], options=options) as container:
            if not container.streams.audio:
                raise UnreadableError(f"The {name} file holds no audio.")
            return _decode(name, container, rate, most_seconds)
    except (av.error.FFmpegError, ValueError, MemoryError) as error:
        raise UnreadableError(f"The {name} file cannot be decoded: it is damaged or not whole.") from error


def container_of(content: bytes) -> str:
    """A name of CONTAINERS, by how the file begins; what it is called or said to be counts for nothing.
    Raises UnreadableError for any other."""
    begin = content[:12]
    if begin[:4] == b"RIFF" and begin[8:] == b"WAVE":
        return "wav"
    if begin[:4] == b"fLaC":
        return "flac"
    if begin[4:8] == b"ftyp":
        return "m4a"
    # A frame of layer III begins with 11 set bits, the layer in two bits, and whether there is a checksum.
    is_frame = len(begin) > 1 and begin[0] == 0xFF and begin[1] & 0xE6 == 0xE2
    if begin[:3] == b"ID3" or is_frame:
        return "mp3"
    raise UnreadableError(
        f"The recording is in none of the formats that are read here: send {', '.join(CONTAINERS)}."
    )


def _decode(name: str, container: InputContainer, rate: int, most_seconds: float) -> Unpacked:
    stream = container.streams.audio[0]
    codec = getattr(stream.codec_context, "name", "what is unknown here")  # there is none for an unknown one
    if name == "wav" and not codec.startswith("pcm_"):
        raise UnreadableError(f"The wav file holds {codec}, and only PCM is read; save it as 16-bit PCM.")
    if name in _CODECS and codec not in _CODECS[name]:
        raise UnreadableError(
            f"The {name} file holds {codec}, which is not read; save it as wav, mp3 or flac."
        )
    gathered = _Gathered(rate, most_seconds)
    for planes, given in _planes(container, stream):
        gathered.add(planes, given)
    return gathered.ended(name)


def _planes(container: InputContainer, stream: AudioStream) -> Iterator[tuple[Samples, int]]:
    """What the file holds, frame by frame: shape [channels, samples], and its rate."""
    for frame in container.decode(stream):
        channels = frame.layout.nb_channels
        if not _LEAST_RATE <= frame.sample_rate <= _MOST_RATE or not 1 <= channels <= _MOST_CHANNELS:
            raise UnreadableError(
                f"The recording has {frame.sample_rate} Hz and {channels} channels; send one with "
                f"{_LEAST_RATE} to {_MOST_RATE} Hz and at most {_MOST_CHANNELS} channels."
            )
        yield _as_float(frame), frame.sample_rate


def _as_float(frame: av.AudioFrame) -> Samples:
    """A frame's samples, shape [channels, samples], from -1 to 1. The library's own conversion crashes on
    channels of which a file does not say where they are."""
    kind = frame.format.name.removesuffix("p")
    if kind not in _SCALES:
        raise UnreadableError(f"The recording has samples of the kind {kind}; save it with 16 bits each.")
    planes = frame.to_ndarray()
    if not frame.format.is_planar:
        planes = planes.reshape(-1, frame.layout.nb_channels).T
    middle, scale = _SCALES[kind]
    return cast(Samples, ((planes - middle) / scale).astype(np.float32))


class _Gathered:
    """Frames on their way to one array."""

    def __init__(self, rate: int, most_seconds: float) -> None:
        self._rate, self._most_seconds = rate, most_seconds
        self._resampler = AudioResampler(format="fltp", layout="mono", rate=rate)
        self._parts: list[Samples] = []
        self._given, self._channels, self._samples, self._clipped = 0, 0, 0, 0

    def add(self, planes: Samples, given: int) -> None:
        if not np.isfinite(planes).all():
            raise UnreadableError("The recording holds values that are no samples; save it anew.")
        self._given, self._channels = given, planes.shape[0]
        self._samples += planes.shape[1]
        if self._samples > (self._most_seconds + _PADDING_SECONDS) * given:
            raise UnreadableError(
                f"The recording is longer than {self._most_seconds:g} s; cut it to the best part of it."
            )
        self._clipped += sum(_flat(plane) for plane in planes)
        # The library's own way to one channel makes equal channels louder by 3 dB.
        mono = av.AudioFrame.from_ndarray(planes.mean(axis=0, keepdims=True), format="fltp", layout="mono")
        mono.sample_rate = given
        self._take(mono)

    def _take(self, frame: av.AudioFrame | None) -> None:
        self._parts += [cast(Samples, part.to_ndarray()[0]) for part in self._resampler.resample(frame)]

    def ended(self, container: str) -> Unpacked:
        if not self._samples:
            raise UnreadableError(f"The {container} file holds no sound.")
        self._take(None)
        # What encoders have added at the end is cut: no engine takes more than it says.
        samples = np.concatenate(self._parts)[: int(self._most_seconds * self._rate)]
        about = About(
            container=container,
            sample_rate=self._given,
            channels=self._channels,
            seconds=samples.size / self._rate,
            clipped=self._clipped / (self._samples * self._channels),
        )
        return Unpacked(about=about, samples=np.clip(samples, -1.0, 1.0))


def _flat(plane: Samples) -> int:
    """How many samples lie in a row at full scale."""
    full = np.concatenate(([False], np.abs(plane) >= _FULL_SCALE, [False]))
    edges = np.flatnonzero(full[1:] != full[:-1])
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= _FLAT_SAMPLES].sum())

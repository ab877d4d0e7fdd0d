"""Recordings as people send them: a voice of one pitch that pauses, in every format and with every flaw."""

import io
import wave
from fractions import Fraction

import av
import numpy as np

from serving.encoding import FORMATS, to_pcm, with_sizes
from serving.engines.base import Samples

RATE = 24_000
TEXT = "These are the words of the recording."


def voice(pitch: float = 200.0, seconds: float = 5.0, rate: int = RATE, level: float = 0.4) -> Samples:
    """Half a second of a voice, then a fifth of a second of silence, and so on."""
    time = np.arange(int(seconds * rate)) / rate
    sound = sum(np.sin(2 * np.pi * pitch * number * time) / number**2 for number in range(1, 6))
    sounding = (time % 0.7) < 0.5
    return (level * sound / 1.2 * sounding).astype(np.float32)


def noisy(samples: Samples, decibels: float) -> Samples:
    """With white noise so much softer than the whole."""
    power = float(np.sqrt((samples**2).mean())) / 10 ** (decibels / 20)
    return samples + np.random.default_rng(0).normal(size=samples.size).astype(np.float32) * power


def encoded(kind: str, samples: Samples | None = None, rate: int = RATE) -> bytes:
    """A file: one of the server's own formats, or m4a."""
    samples = voice(rate=rate) if samples is None else samples
    if kind in ("m4a", "alac"):
        return _mp4(samples, rate, "aac" if kind == "m4a" else "alac")
    encoder = FORMATS[kind].open(rate)
    content = encoder.feed(np.clip(samples, -1, 1)) + encoder.finish()
    encoder.close()
    return bytes(with_sizes(bytearray(content))) if kind == "wav" else content


def stereo(left: Samples, right: Samples, rate: int = RATE) -> bytes:
    """A wav of two channels."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((2, 2, rate, 0, "NONE", ""))
        writer.writeframes(to_pcm(np.stack([left, right], axis=1)).tobytes())
    return file.getvalue()


def _mp4(samples: Samples, rate: int, codec: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(to_pcm(samples)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()

"""How good a recording is as a reference: what must be refused, and what its sender should know.

All of it is measured on the samples alone; docs/voices.md says what each number can and cannot see."""

from dataclasses import dataclass

import numpy as np

from serving.voices.speakers import several_speakers
from serving.voices.unpack import About, Samples, Unpacked, UnreadableError

_FRAME_SECONDS = 0.02
_SOUND = 2 / 3  # of the shortest recording, that may be no pause
_SILENT_DBFS = -45.0  # a voice across a room is at -40
_PAUSE_DB = 25.0  # below the loud parts: a consonant is rarely so soft
_NOISE_DB = 20.0  # between voice and pauses: from here on clones take over what they hear in the pauses
_CLIPPED = 0.001
_EMPTY_DB = -120.0


@dataclass(frozen=True)
class Finding:
    """What may make a voice worse than it could be: a code, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Levels:
    """In dB below full scale: of the sound, and of its pauses. `sound_seconds`: what is no pause."""

    sound: float
    pauses: float
    sound_seconds: float


def check(unpacked: Unpacked, *, least_seconds: float) -> tuple[Finding, ...]:
    """What a sender should know of a recording. Raises UnreadableError for one that is no reference."""
    about, samples = unpacked.about, unpacked.samples
    if about.seconds < least_seconds:
        raise UnreadableError(
            f"The recording has {about.seconds:.1f} s, and at least {least_seconds:g} s are needed."
        )
    rate = round(samples.size / about.seconds)
    levels = levels_of(samples, rate)
    if levels.sound < _SILENT_DBFS:
        raise UnreadableError(
            f"The recording is silent: its loud parts are at {levels.sound:.0f} dBFS, and a voice is above "
            f"{_SILENT_DBFS:g}. Check the microphone."
        )
    if levels.sound_seconds < least_seconds * _SOUND:
        raise UnreadableError(
            f"The recording has {levels.sound_seconds:.1f} s of sound, and the rest are pauses; at least "
            f"{least_seconds * _SOUND:.1f} s are needed."
        )
    found = (_clipping(about), _noise(levels), _speakers(samples, rate))
    return tuple(finding for finding in found if finding is not None)


def levels_of(samples: Samples, rate: int) -> Levels:
    """The levels of mono samples, frame by frame."""
    size = int(rate * _FRAME_SECONDS)
    frames = samples[: samples.size // size * size].reshape(-1, size).astype(np.float64)
    power = (frames**2).mean(axis=1)
    decibels = 10 * np.log10(np.maximum(power, 10 ** (_EMPTY_DB / 10)))
    loud = float(np.percentile(decibels, 95))
    sounding = decibels > loud - _PAUSE_DB
    sound = 10 * np.log10(max(float(power[sounding].mean()), 10 ** (_EMPTY_DB / 10)))
    # The softest tenth: where nobody pauses it is the softest speech, and the recording seems noisier.
    return Levels(float(sound), float(np.percentile(decibels, 10)), float(sounding.sum() * _FRAME_SECONDS))


def _clipping(about: About) -> Finding | None:
    if about.clipped <= _CLIPPED:
        return None
    return Finding(
        "clipped",
        f"{about.clipped:.1%} of the recording are cut off at full scale, which is heard as a rattle; record "
        "it again with less gain.",
    )


def _noise(levels: Levels) -> Finding | None:
    distance = levels.sound - levels.pauses
    if distance >= _NOISE_DB:
        return None
    return Finding(
        "noisy",
        f"The voice is only {distance:.0f} dB louder than what is heard in its pauses, and a clone takes "
        "that over; record it in a quieter room.",
    )


def _speakers(samples: Samples, rate: int) -> Finding | None:
    if not several_speakers(samples, rate):
        return None
    return Finding(
        "several_speakers",
        "The recording seems to hold several speakers: its pitch changes for good between phrases. Use one "
        "in which a single person speaks.",
    )

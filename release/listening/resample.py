"""Audio at the rate that both listening models were trained with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from release.errors import AudioError
from release.wav import Audio

MODEL_RATE = 16_000
"""Hertz."""


def at_model_rate(audio: Audio) -> NDArray[np.float32]:
    """The samples at 16 kHz, within -1..1. Raises AudioError where there is nothing to listen to."""
    import soxr

    if audio.samples.size == 0:
        raise AudioError("There is no audio to listen to.")
    if not np.isfinite(audio.samples).all():
        raise AudioError("The audio holds samples that are not numbers.")
    samples = np.asarray(soxr.resample(audio.samples, audio.rate, MODEL_RATE), dtype=np.float32)
    if samples.size == 0:
        raise AudioError(f"The audio is too short to listen to: {audio.seconds:.4f} s.")
    # The filter rings a little beyond full scale where the audio touches it.
    return np.clip(samples, -1.0, 1.0)

"""Measures of the samples themselves; numpy and nothing else."""

from __future__ import annotations

import math

import numpy as np

from release.wav import Audio

FULL_SCALE = 0.999
"""An absolute sample value from here on counts as clipped: 16-bit audio ends at 32767 / 32768 = 0.99997, and
a server may have rounded, or mixed channels, on the way."""


def rms_dbfs(audio: Audio) -> float:
    """The level over the whole audio, in dB relative to full scale; minus infinity for silence."""
    power = float(np.mean(np.square(audio.samples, dtype=np.float64))) if audio.samples.size else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


def clipped_percent(audio: Audio) -> float:
    """How many samples lie at full scale, in percent of all; 0 where there are none.

    An engine that is too loud is cut to -1..1 by its server, so that its peaks become runs at full scale.
    Speech normalised to its highest peak touches it with a few samples only.
    """
    if not audio.samples.size:
        return 0.0
    return 100 * float(np.mean(np.abs(audio.samples) >= FULL_SCALE))

"""Pieces that were spoken alone, made to follow one another like parts of one sentence.

A model speaks a piece as if nothing came before or after it: with silence at both ends. Between two parts of
one sentence that silence is cut to a pause's length, and each cut end fades over 5 ms: nothing clicks.
"""

import numpy as np

from serving.engines.base import Samples

_FRAME_SECONDS = 0.005
_FADE_SECONDS = 0.005
_SOUND = 10 ** (-50 / 20)  # of full scale, as the root mean square of a frame


def trim(samples: Samples, rate: int, *, lead: float | None, trail: float | None) -> Samples:
    """The samples with at most `lead` seconds before their first sound and `trail` after the last one.

    None leaves that end as it is; silence is never added. Samples without any sound are returned unchanged.
    """
    frame = int(_FRAME_SECONDS * rate)
    loud = np.flatnonzero(_levels(samples, frame) > _SOUND)
    if loud.size == 0:
        return samples
    start = 0 if lead is None else max(0, int(loud[0]) * frame - round(lead * rate))
    sounding = (int(loud[-1]) + 1) * frame
    end = samples.size if trail is None else min(samples.size, sounding + round(trail * rate))
    kept = samples[start:end].copy()
    ramp = np.linspace(0.0, 1.0, min(int(_FADE_SECONDS * rate), kept.size), dtype=np.float32)
    if start > 0:
        kept[: ramp.size] *= ramp
    if end < samples.size:
        kept[kept.size - ramp.size :] *= ramp[::-1]
    return kept


def _levels(samples: Samples, frame: int) -> Samples:
    """The root mean square of each whole frame, and of the rest as the last one."""
    padded = np.pad(samples, (0, -samples.size % frame))
    levels: Samples = np.sqrt(np.square(padded.reshape(-1, frame)).mean(axis=1))
    return levels

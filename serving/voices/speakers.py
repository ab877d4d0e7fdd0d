"""Whether a recording holds more than one speaker, by the pitch of its phrases.

One person's phrases lie around one pitch; those of two people around two, mostly. So this sees people who
take turns and whose voices differ in pitch; two of the same pitch, or two at once, it does not see."""

import numpy as np
from numpy.typing import NDArray

from serving.voices.unpack import Samples

_LOWEST, _HIGHEST = 65.0, 420.0  # hertz, of speaking adults and children
_FRAME_SECONDS, _HOP_SECONDS = 0.04, 0.01
_VOICED = 0.6  # how alike a frame is to itself one period later
_GAP_HOPS = 15  # what is unvoiced for longer ends a phrase
_LEAST_HOPS = 20  # voiced, of a phrase that counts
_APART_SEMITONES = 5.0  # phrases of one person lie up to 4 apart, as groups
_LEAST_SECONDS = 0.8  # voiced, of each speaker
_WORK_RATE = 12_000
_AT_ONCE = 400  # frames


def several_speakers(samples: Samples, rate: int) -> bool:
    """Whether mono samples fall into phrases of two pitches."""
    phrases = phrases_of(pitches(samples, rate))
    if len(phrases) < 2:
        return False
    phrases.sort()
    centres = np.array([centre for centre, _ in phrases])
    seconds = np.array([hops * _HOP_SECONDS for _, hops in phrases])
    low, high = _two_groups(centres, seconds)
    apart = np.average(centres[high], weights=seconds[high]) - np.average(centres[low], weights=seconds[low])
    return bool(apart >= _APART_SEMITONES and min(seconds[low].sum(), seconds[high].sum()) >= _LEAST_SECONDS)


def _two_groups(centres: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[slice, slice]:
    """Where sorted values fall apart most: between the two groups that each lie closest together."""

    def scatter(part: slice) -> float:
        middle = np.average(centres[part], weights=weights[part])
        return float((weights[part] * (centres[part] - middle) ** 2).sum())

    cuts = [(slice(0, cut), slice(cut, centres.size)) for cut in range(1, centres.size)]
    return min(cuts, key=lambda groups: scatter(groups[0]) + scatter(groups[1]))


def pitches(samples: Samples, rate: int) -> NDArray[np.float64]:
    """The pitch of every hundredth of a second, in semitones above 1 Hz; NaN where there is none."""
    step = max(1, rate // _WORK_RATE)
    samples = samples[: samples.size // step * step].reshape(-1, step).mean(axis=1)
    rate = rate // step
    size, hop = int(rate * _FRAME_SECONDS), int(rate * _HOP_SECONDS)
    if samples.size < size:
        return np.empty(0)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    # A few seconds at a time: what is made of all frames together takes a hundred megabytes.
    pieces = [_periods(frames[at : at + _AT_ONCE], rate) for at in range(0, len(frames), _AT_ONCE)]
    period, best, level = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    voiced = (best >= _VOICED) & (level > 0.003 * np.percentile(level, 95))
    return np.where(voiced, 12 * np.log2(rate / period), np.nan)


def _periods(frames: Samples, rate: int) -> tuple[NDArray[np.float64], ...]:
    """Of each frame its period in samples, how alike it is to itself one period later, and its power."""
    centred = frames.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    first, last = int(rate / _HIGHEST), int(rate / _LOWEST)
    alike = _alike(centred, last)[:, first : last + 1]
    best = alike.max(axis=1)
    # The shortest period that is nearly as good: twice a period is as alike as once.
    period = first + np.argmax(alike >= 0.9 * best[:, np.newaxis], axis=1)
    return period.astype(np.float64), best, (centred**2).mean(axis=1)


def phrases_of(pitch: NDArray[np.float64]) -> list[tuple[float, int]]:
    """Each phrase's pitch (the median, in semitones) and how many hops of it are voiced."""
    at = np.flatnonzero(np.isfinite(pitch))
    runs = np.split(at, np.flatnonzero(np.diff(at) > _GAP_HOPS) + 1)
    return [(float(np.median(pitch[run])), run.size) for run in runs if run.size >= _LEAST_HOPS]


def _alike(frames: NDArray[np.float64], last: int) -> NDArray[np.float64]:
    """How alike each frame is to itself so many samples later, up to `last`, from -1 to 1."""
    size = frames.shape[1]
    spectrum = np.fft.rfft(frames, 2 * size)
    products = np.fft.irfft(np.abs(spectrum) ** 2)[:, : last + 1]
    # Both halves of what is compared have their own energy, which falls as the lag grows.
    energy = np.cumsum(frames**2, axis=1)
    lags = np.arange(last + 1)
    head = energy[:, size - 1 - lags]
    tail = energy[:, -1:] - np.where(lags > 0, energy[:, lags - 1], 0.0)
    return products / np.maximum(np.sqrt(head * tail), 1e-12)

"""Silence between pieces."""

import numpy as np
import pytest

from serving.engines.joining import trim

RATE = 24_000


def spoken(lead: float, sound: float, trail: float) -> np.ndarray:
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(int(sound * RATE)) / RATE)
    return np.concatenate([np.zeros(int(lead * RATE)), tone, np.zeros(int(trail * RATE))]).astype(np.float32)


@pytest.mark.parametrize(
    ("lead", "trail", "seconds"),
    [
        (None, None, 1.75),
        (0.1, None, 1.55),
        (None, 0.1, 1.4),
        (0.05, 0.05, 1.1),
        (0.0, 0.0, 1.0),
        (2.0, 2.0, 1.75),
    ],
)
def test_silence_is_cut_and_never_added(lead: float | None, trail: float | None, seconds: float) -> None:
    samples = trim(spoken(0.3, 1.0, 0.45), RATE, lead=lead, trail=trail)
    assert len(samples) / RATE == pytest.approx(seconds, abs=0.005)
    assert samples.dtype == np.float32


def test_a_cut_end_fades_and_another_one_does_not() -> None:
    steady = np.full(RATE, 0.5, np.float32)
    assert np.array_equal(trim(steady, RATE, lead=0.0, trail=0.0), steady)  # nothing was cut
    quiet_end = np.concatenate([steady, np.full(RATE, 0.003, np.float32)])
    cut = trim(quiet_end, RATE, lead=None, trail=0.1)
    assert cut[0] == 0.5
    assert cut[-1] == 0.0
    assert np.abs(np.diff(cut[-120:])).max() < 1e-4
    assert quiet_end[-1] == np.float32(0.003)  # what was given is not written to


def test_two_joined_pieces_meet_without_a_step() -> None:
    parts = [trim(spoken(0.3, 1.0, 0.4), RATE, lead=0.0, trail=0.0) for _ in range(2)]
    whole = np.concatenate(parts)
    assert abs(whole[len(parts[0])] - whole[len(parts[0]) - 1]) < 1e-6


@pytest.mark.parametrize("length", [0, 1, 50, 5000])
def test_silence_alone_stays(length: int) -> None:
    samples = np.zeros(length, np.float32)
    assert trim(samples, RATE, lead=0.0, trail=0.0) is samples


def test_a_sound_shorter_than_a_fade() -> None:
    click = np.zeros(3000, np.float32)
    click[1500] = 1.0
    assert 0 < len(trim(click, RATE, lead=0.0, trail=0.0)) <= 240

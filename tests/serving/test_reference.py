"""A recording is known by what it holds, and by nothing else."""

import numpy as np
import pytest

from serving.engines.base import Reference

SOUND = np.linspace(-0.5, 0.5, 2400, dtype=np.float32)


def reference(samples: np.ndarray = SOUND, rate: int = 24_000, words: str = "Good morning.") -> Reference:
    return Reference.of(samples, sample_rate=rate, transcript=words)


def test_the_same_recording_and_words_are_the_same_reference() -> None:
    again = reference(SOUND.astype(np.float64), words=" Good\n morning. ")
    assert again == reference()
    assert (again.digest, again.seconds) == (reference().digest, 0.1)


@pytest.mark.parametrize(
    "other",
    [reference(SOUND[:-1]), reference(-SOUND), reference(rate=48_000), reference(words="Good night.")],
)
def test_any_difference_is_another_digest(other: Reference) -> None:
    assert other.digest != reference().digest
    assert other != reference()


def test_nobody_changes_it_afterwards() -> None:
    samples = SOUND.copy()
    made = reference(samples)
    samples[:] = 0
    assert made.samples.any()
    with pytest.raises(ValueError, match="read-only"):
        made.samples[0] = 1


@pytest.mark.parametrize(
    "samples", [SOUND.reshape(2, -1), SOUND[:0], SOUND * 3, np.full(9, np.nan, np.float32)]
)
def test_what_is_no_mono_recording_is_refused(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="samples"):
        reference(samples)

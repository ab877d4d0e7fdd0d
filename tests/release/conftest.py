"""What thousands of simulated walks ask again and again is answered from memory."""

from functools import lru_cache

import pytest

from release import analysis, answer, checks, findings, statistics, wav


@pytest.fixture(scope="module")
def from_memory():
    """The same pure functions with a memory: each walk hears the same sines and bounds the same counts."""
    heard = {}

    def remembered(measure):
        def of(audio):
            key = measure.__name__, id(audio)
            if key not in heard:
                heard[key] = measure(audio), audio  # kept, so that no other audio gets its id
            return heard[key][0]

        return of

    with pytest.MonkeyPatch.context() as patch:
        interval = lru_cache(maxsize=None)(statistics.error_interval)
        patch.setattr(findings, "error_interval", interval)
        patch.setattr(analysis, "error_interval", interval)
        patch.setattr(answer.wav, "decode", lru_cache(maxsize=256)(wav.decode))
        patch.setattr(checks, "rms_dbfs", remembered(checks.rms_dbfs))
        patch.setattr(checks, "clipped_percent", remembered(checks.clipped_percent))
        yield

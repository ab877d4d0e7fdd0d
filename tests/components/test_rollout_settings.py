"""How a release walks: what is read, and the limits that no evidence could ever meet."""

from typing import Any

import pytest

from components.catalog import Catalog
from components.rollout_settings import answers_needed, answers_to_expect

from .conftest import read, refusals

PROD = {"steps": [1, 5, 25, 50, 100], "holdSeconds": 120, "maxHoldSeconds": 600}


def test_the_defaults(catalog: Catalog) -> None:
    rollout = read(catalog).rollout
    assert (rollout.strategy, rollout.steps) == ("gradual", (10, 50, 100))
    assert (rollout.hold_seconds, rollout.max_hold_seconds) == (30, 90)
    assert (rollout.min_samples, rollout.probes_per_second) == (10, 6)
    limits = rollout.limits
    assert (limits.error_percent, limits.first_audio_ratio) == (5, 1.25)
    assert (limits.first_audio_seconds, limits.p99_seconds, limits.p99_ratio) == (None, None, None)


def test_all_that_can_be_said_is_read(catalog: Catalog) -> None:
    said = PROD | {
        "minSamples": 20,
        "probesPerSecond": 2.5,
        "limits": {
            "errorPercent": 1,
            "firstAudioRatio": 1.5,
            "firstAudioSeconds": 0.8,
            "p99Seconds": 4,
            "p99Ratio": 2,
        },
    }
    rollout = read(catalog, {"tts:rollout": said}).rollout
    assert (rollout.max_hold_seconds, rollout.min_samples, rollout.probes_per_second) == (600, 20, 2.5)
    assert (rollout.limits.p99_seconds, rollout.limits.p99_ratio) == (4, 2)
    assert (rollout.limits.first_audio_seconds, rollout.limits.first_audio_ratio) == (0.8, 1.5)


@pytest.mark.parametrize(
    ("said", "key", "sentence"),
    [
        ({"strategy": "blue-green"}, "strategy", "gradual, immediate"),
        (
            {"holdSeconds": 60, "maxHoldSeconds": 30},
            "maxHoldSeconds",
            "is 30, which is below holdSeconds (60)",
        ),
        ({"minSamples": 0}, "minSamples", "from 1 to 10000"),
        ({"probesPerSecond": 0}, "probesPerSecond", "from 0.1 to 100"),
        ({"limits": {"errorPercent": 0}}, "limits.errorPercent", "from 0.01 to 50"),
        ({"limits": {"firstAudioRatio": 0.9}}, "limits.firstAudioRatio", "from 1 to 100"),
        ({"limits": {"firstAudioSeconds": 0}}, "limits.firstAudioSeconds", "from 0.001"),
        ({"limits": {"p99Seconds": "fast"}}, "limits.p99Seconds", "a number"),
        ({"limits": {"p99Ratio": 0.5}}, "limits.p99Ratio", "from 1 to 100"),
        ({"limits": {"p95Seconds": 1}}, "limits.p95Seconds", "did you mean tts:rollout.limits.p99Seconds?"),
    ],
)
def test_a_wrong_value_is_refused(catalog: Catalog, said: dict[str, Any], key: str, sentence: str) -> None:
    mistake, *more = refusals(catalog, {"tts:rollout": said | {"readySeconds": 10}})
    assert mistake.startswith(f"tts:rollout.{key} ")
    assert sentence in mistake
    assert all("answers of the candidate to decide" in each for each in more)


@pytest.mark.parametrize(("percent", "answers"), [(50, 5), (5, 59), (1, 299), (0.5, 598)])
def test_so_many_right_answers_decide(percent: float, answers: int) -> None:
    assert answers_needed(percent) == answers


def test_an_error_limit_that_no_release_could_meet_is_refused_with_its_numbers(catalog: Catalog) -> None:
    slow = {"holdSeconds": 1, "maxHoldSeconds": 7, "limits": {"errorPercent": 1}}
    # Two texts and twenty pairs of the gate; a third of 6 probes a second for 3 times 7 seconds.
    assert answers_to_expect(read(catalog, {"tts:rollout": slow | {"limits": {}}}).rollout, texts=2) == 64
    [mistake] = refusals(catalog, {"tts:rollout": slow})
    assert mistake.startswith("tts:rollout.limits.errorPercent is 1, which takes 299 answers")
    assert "at 6 probes a second 3 steps of at most 7 seconds and the gate give it 64" in mistake
    assert "raise it, or raise maxHoldSeconds or probesPerSecond." in mistake
    assert read(catalog, {"tts:rollout": slow | {"maxHoldSeconds": 47}}).rollout.limits.error_percent == 1


@pytest.mark.parametrize("limit", ["p99Seconds", "p99Ratio"])
def test_a_p99_needs_as_many_answers_as_one_percent(catalog: Catalog, limit: str) -> None:
    short = {"holdSeconds": 1, "maxHoldSeconds": 7, "limits": {limit: 2}}
    [mistake] = refusals(catalog, {"tts:rollout": short})
    assert mistake.startswith(f"tts:rollout.limits.{limit} is 2, which takes 299 answers")
    assert "drop it, or raise" in mistake
    read(catalog, {"tts:rollout": short | {"maxHoldSeconds": 60}})


def test_all_weight_at_once_asks_for_no_growing_evidence(catalog: Catalog) -> None:
    said = {"strategy": "immediate", "holdSeconds": 1, "maxHoldSeconds": 2, "limits": {"errorPercent": 1}}
    rollout = read(catalog, {"tts:rollout": said}).rollout
    assert (rollout.strategy, rollout.walked) == ("immediate", 1)

"""The intervals say what the data leave possible."""

import math
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.statistics import (
    _ratio_interval,
    answers_needed,
    dropped_sentence,
    error_interval,
    ratio_interval,
)


def at_most(count, number, share):
    """The binomial distribution by its definition."""
    return math.fsum(
        math.comb(number, hits) * share**hits * (1 - share) ** (number - hits) for hits in range(count + 1)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_at_each_bound_what_was_seen_has_the_risk_of_five_percent(counts):
    wrong, of = counts
    interval = error_interval(wrong, of)
    assert interval.low <= interval.estimate <= interval.high
    if wrong < of:
        assert at_most(wrong, of, interval.high / 100) == pytest.approx(0.05, rel=1e-6)
    else:
        assert interval.high == 100
    if wrong:
        assert 1 - at_most(wrong - 1, of, interval.low / 100) == pytest.approx(0.05, rel=1e-6)
    else:
        assert interval.low == 0


@pytest.mark.parametrize(
    ("wrong", "of", "confidence", "low", "high"),
    [
        (0, 59, 0.95, 0, 4.9508),  # 1 - 0.05 ** (1 / 59)
        (1, 1, 0.95, 5.0, 100),
        (10, 100, 0.975, 4.9005, 17.6223),  # the two-sided 95 % interval of textbooks
        (500, 1_000_000, 0.95, 0.04636, 0.05383),
    ],
)
def test_known_intervals(wrong, of, confidence, low, high):
    interval = error_interval(wrong, of, confidence=confidence)
    assert (interval.low, interval.high) == (pytest.approx(low, rel=1e-3), pytest.approx(high, rel=1e-3))


def test_counts_of_prometheus_may_be_fractions_and_lie_between_their_neighbours():
    between = error_interval(2.5, 40.5)
    assert error_interval(2, 41).high < between.high < error_interval(3, 40).high
    assert error_interval(2, 41).low < between.low < error_interval(3, 40).low


@pytest.mark.parametrize(
    ("wrong", "of"), [(0, 0), (-1, 5), (6, 5), (math.nan, 5), (1, math.nan), (1, math.inf)]
)
def test_counts_that_cannot_be_say_nothing(wrong, of):
    with pytest.raises(ValueError, match="says nothing"):
        error_interval(wrong, of)


@pytest.mark.parametrize("percent", [0.3, 1, 2.5, 5, 10, 50, 95, 99])
def test_so_many_right_answers_are_needed_and_no_fewer(percent):
    number = answers_needed(percent)
    assert error_interval(0, number).high < percent
    assert number == 1 or error_interval(0, number - 1).high >= percent - 1e-9


def test_the_number_of_answers_at_the_edges():
    assert answers_needed(5) == 59
    assert answers_needed(100) == 1
    for percent in (0, -1, math.nan):
        with pytest.raises(ValueError, match="No number of answers"):
            answers_needed(percent)


@pytest.mark.parametrize(
    ("dropped", "sent", "sentence"),
    [
        (0, 120, "dropped 0 of 120 (at most 2.5 % with 95 % confidence)"),
        (3, 3, "dropped 3 of 3 (at most 100 % with 95 % confidence)"),
        (0, 0, "No request was sent, so nothing can be said about dropped ones."),
    ],
)
def test_the_sentence_about_dropped_requests(dropped, sent, sentence):
    assert dropped_sentence(dropped, sent) == sentence


def times(chance, number, *, seconds, delayed=0.3):
    """First audio on a machine that others use: noise only adds."""
    return [
        seconds * (1 + 0.05 * chance.gauss(0, 1))
        + (chance.random() < delayed) * chance.uniform(0, 0.06)
        + (chance.random() < 0.03) * 0.3
        for _ in range(number)
    ]


@pytest.mark.parametrize("limit", [1.2, 1.25])
@pytest.mark.parametrize("true", [1.0, 1.3])
@pytest.mark.parametrize("delayed", [0.3, 0.6])
def test_looking_again_and_again_hardly_ever_decides_wrongly(true, limit, delayed):
    chance = random.Random(f"{true} {limit} {delayed}")
    runs, wrong, right = 60, 0, 0
    for _ in range(runs):
        candidate = times(chance, 80, seconds=0.04 * true, delayed=delayed)
        reference = times(chance, 80, seconds=0.04, delayed=delayed)
        for number in range(20, 81, 10):
            interval = ratio_interval(candidate[:number], reference[:number])
            if interval.low > limit or interval.high <= limit:
                decided_slow = interval.low > limit
                right += decided_slow == (true > limit)
                wrong += decided_slow != (true > limit)
                break
    assert wrong <= 3
    # 1.3 against 1.25 on a machine where most requests wait is the one that 80 pairs often leave open.
    assert right >= runs * (0.3 if (true, limit, delayed) == (1.3, 1.25, 0.6) else 0.8)


@pytest.mark.parametrize("number", [8, 12, 19])
def test_few_pairs_are_not_too_sure_of_themselves(number):
    """At the limit itself each decision is wrong; a bootstrap of 12 pairs alone decides 8 of 100 times."""
    chance = random.Random(number)
    decided = 0
    for _ in range(300):
        candidate, reference = times(chance, number, seconds=0.048), times(chance, number, seconds=0.04)
        interval = ratio_interval(candidate, reference)
        decided += not interval.low <= 1.2 < interval.high
    assert decided <= 300 * 0.05


def test_the_interval_is_the_same_for_the_same_input_and_quick():
    chance = random.Random(7)
    candidate, reference = times(chance, 80, seconds=0.05), times(chance, 80, seconds=0.04)
    first = ratio_interval(candidate, reference)
    durations = []
    for _ in range(5):
        _ratio_interval.cache_clear()
        begin = time.perf_counter()
        assert ratio_interval(candidate, reference) == first
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.02


def test_one_delay_in_five_seconds_moves_nothing():
    reference = [0.04 + 0.0001 * number for number in range(30)]
    candidate = [*reference[:27], 5.0, 5.0, 5.0]
    interval = ratio_interval(candidate, reference)
    assert interval.estimate == pytest.approx(1, abs=0.01)
    assert interval.high < 1.2


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.001, 10), st.floats(0.001, 10)), min_size=1, max_size=40),
    st.sampled_from([0.25, 4.0]),
)
def test_the_interval_holds_its_estimate_and_scales_with_the_candidate(pairs, factor):
    candidate, reference = zip(*pairs, strict=True)
    interval = ratio_interval(candidate, reference)
    assert 0 <= interval.low <= interval.estimate <= interval.high
    scaled = ratio_interval([factor * each for each in candidate], reference)
    assert scaled.estimate == pytest.approx(factor * interval.estimate)
    assert scaled.low == pytest.approx(factor * interval.low)


def test_a_few_pairs_bound_nothing():
    interval = ratio_interval([0.1] * 4, [0.1] * 4)
    assert (interval.low, interval.high) == (0, math.inf)
    assert ratio_interval([0.1] * 5, [0.1] * 5).high == 1


@pytest.mark.parametrize(
    ("candidate", "reference"),
    [([], []), ([1], [1, 2]), ([0], [1]), ([1], [-1]), ([math.nan], [1]), ([math.inf], [1])],
)
def test_what_are_no_times_in_pairs_is_refused(candidate, reference):
    with pytest.raises(ValueError, match=r"no pairs|positive numbers"):
        ratio_interval(candidate, reference)

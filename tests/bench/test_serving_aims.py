"""The bench of the speech server says that an aim is missed when it is."""

from __future__ import annotations

import pytest

from tests.bench import serving_aims as aims
from tests.bench.serving_aims import Line
from tests.bench.speech_clients import Answer

FULL = [Answer(status=200, first_audio=1.0, total=1.2, audio=3.0)] * 10
REFUSED = [Answer(status=429, total=0.01, retry_after=2)] * 10
BOUND = "first audio of who is let in"


def missed(lines: list[Line]) -> list[str]:
    return [line.name.partition(": ")[2] for line in lines if not line.met]


def test_a_percentile_lies_between_two_values_and_one_value_is_all_of_them() -> None:
    assert aims.percentile([1.0, 2.0, 3.0], 50) == 2.0
    assert aims.percentile([0.0, 1.0], 99) == pytest.approx(0.99)
    assert aims.percentile([7.0], 99) == 7.0


def test_what_was_measured_beside_one_another_is_compared_so_that_a_busy_moment_falls_on_both() -> None:
    assert aims.ratio([1.1, 11.0, 2.2], [1.0, 10.0, 2.0]) == pytest.approx(1.1)


@pytest.mark.parametrize(("value", "met"), [(1.14, True), (1.16, False)])
def test_first_audio_may_be_so_much_later(value: float, met: bool) -> None:
    assert aims.first_audio("pod", [value], [1.0]).met is met


@pytest.mark.parametrize(("value", "met"), [(95.1, True), (94.0, False)])
def test_throughput_may_be_so_much_less(value: float, met: bool) -> None:
    assert aims.throughput("pod", [value], [100.0]).met is met


@pytest.mark.parametrize(("slowest", "met"), [(0.4, True), (0.6, False)])
def test_the_slowest_of_few_first_sounds_counts(slowest: float, met: bool) -> None:
    assert aims.long_text("pod", [0.1] * 9 + [slowest] * 2).met is met


@pytest.mark.parametrize(("last", "met"), [(204.0, True), (212.0, False)])
def test_memory_may_not_grow_after_the_first_part(last: float, met: bool) -> None:
    assert aims.memory({0: 100.0, 250: 200.0, 500: 202.0, 1000: last}).met is met


def test_a_server_under_too_much_load_keeps_its_aims() -> None:
    assert missed(aims.overload([*FULL, *REFUSED], FULL, times=4)) == []


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ([*REFUSED, Answer(status=200, first_audio=1.3, total=1.5, audio=3.0)], BOUND),
        ([*FULL, *REFUSED, Answer(status=429, total=0.1)], "the rest has 429"),
        ([*FULL, *REFUSED, Answer(status=503, total=0.1, retry_after=1)], "the rest has 429"),
        ([*FULL, *REFUSED, Answer(status=0, total=0.1, fault="refused")], "the rest has 429"),
        ([*FULL, *REFUSED, Answer(status=200, first_audio=1.0, total=31.0, audio=3.0)], "the slowest"),
        ([*FULL, *REFUSED, Answer(status=200, total=1.0, fault="cut")], "let in and answered whole"),
        (FULL, "the rest has 429"),
    ],
)
def test_what_goes_wrong_under_too_much_load_is_an_aim_missed(answers: list[Answer], name: str) -> None:
    (only,) = missed(aims.overload(answers, FULL, times=4))
    assert only.startswith(name)


def test_a_server_that_lets_nobody_in_keeps_no_aim_about_them() -> None:
    assert "let in and answered whole" in missed(aims.overload(REFUSED, FULL, times=4))


def test_a_line_says_what_was_measured_beside_what_was_wanted() -> None:
    assert str(aims.at_most("a", 1.2, 1.15, "x")).split() == [
        "a",
        "1.20",
        "x",
        "<=",
        "1.15",
        "x",
        "NOT",
        "MET",
    ]

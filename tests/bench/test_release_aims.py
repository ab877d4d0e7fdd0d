"""The bench of releases says that an aim is missed when it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.traffic import Answer, Report
from tests.bench.release import NOTICED, RESTORED, WARM, Bench, aims, table
from tests.e2e.conftest import Platform

GOOD = {RESTORED: 0.2, NOTICED: 3.0, WARM: 0.6}


def bench_of(seconds: dict[str, float], *, right: bool = True, dropped: str | None = None) -> Bench:
    answers = (Answer(0.0, "1.0.0", 0.1, None), Answer(0.1, "1.0.0", 0.1, dropped))
    return Bench(
        Platform(Path(), Path(), 0),
        seconds={name: [value] * 3 for name, value in seconds.items()},
        traffic=[Report(answers)],
        passed={"the same version against itself": [True, right]},
    )


def missed(bench: Bench) -> list[str]:
    return [line.name for line in aims(bench) if not line.met]


def test_what_is_as_wanted_meets_every_aim_and_the_sentence_stands_last() -> None:
    bench = bench_of(GOOD)
    assert missed(bench) == []
    assert table(bench)[-1].startswith("dropped 0 of 2 (at most ")
    assert any(
        "the same version against itself: as wanted" in line and "2 of 2" in line for line in table(bench)
    )


@pytest.mark.parametrize(("name", "seconds"), [(RESTORED, 1.1), (NOTICED, 8.1), (WARM, 1.1)])
def test_too_slow_misses_its_aim_and_so_does_what_was_never_measured(name: str, seconds: float) -> None:
    assert missed(bench_of(GOOD | {name: seconds})) == [f"{name}, p99"]
    assert missed(bench_of({key: value for key, value in GOOD.items() if key != name})) == [f"{name}, p99"]


def test_one_change_that_ended_otherwise_or_one_request_lost_misses_its_aim() -> None:
    assert missed(bench_of(GOOD, right=False)) == ["the same version against itself: as wanted"]
    assert missed(bench_of(GOOD, dropped="cut")) == ["requests answered whole"]

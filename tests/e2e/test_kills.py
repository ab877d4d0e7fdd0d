"""Whoever is killed while a release is under way, whenever, and whatever is done then: no request fails, the
route is whole at every look, and one version serves in the end.

The handful runs always; `make test-matrix` runs every cell and prints the table.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Platform
from tests.e2e.kills import MATRIX, Cell, Kills
from tests.e2e.live import faults_of

HANDFUL = [
    Cell("up", "after the first raise", "nothing"),
    Cell("job", "after the first raise", "old"),
]


@pytest.fixture(scope="module")
def kills(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    made = Kills(platform, tmp_path_factory.mktemp("logs"))
    yield made
    print(made.table())


@pytest.mark.parametrize(
    ("shares", "serving", "words"),
    [
        ({"a": 75, "b": 25}, {"a": 1, "b": 1}, []),
        ({"a": 100, "b": 0}, {"a": 1}, []),
        ({"a": 75, "b": 20}, {"a": 1, "b": 1}, ["do not sum to 100"]),
        ({"a": 75, "b": 25}, {"a": 1, "b": 0}, ["b gets 25 % and has no ready replica"]),
        ({"a": 100}, {}, ["a gets 100 % and has no ready replica"]),
        ({}, {"a": 1}, ["do not sum to 100"]),
    ],
)
def test_a_route_that_is_not_whole_is_seen(
    shares: dict[str, int], serving: dict[str, int], words: list[str]
) -> None:
    found = faults_of(shares, serving)
    assert len(found) == len(words)
    assert all(word in fault for word, fault in zip(words, found, strict=True))


@pytest.mark.parametrize("cell", HANDFUL, ids=str)
def test_a_kill_leaves_the_service_whole(kills: Kills, cell: Cell) -> None:
    kills.run(cell)


@pytest.mark.matrix
@pytest.mark.parametrize("cell", MATRIX, ids=str)
def test_every_kill_leaves_the_service_whole(kills: Kills, cell: Cell) -> None:
    kills.run(cell)

"""The dashboard is one that Grafana reads: held to Grafana's own types, which drop what they do not know."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from components.dashboard import dashboard
from components.watched import Watched
from tests.monitoring.watched import panel_queries


def dropped(board: dict[str, Any]) -> list[str]:
    """The paths of what Grafana's types do not take over as it stands."""
    return sorted(_lost(board, json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder)), ""))


def _lost(given: Any, taken: Any, path: str) -> list[str]:
    if isinstance(given, dict) and isinstance(taken, dict):
        return [
            lost
            for key, value in given.items()
            for lost in (_lost(value, taken[key], f"{path}.{key}") if key in taken else [f"{path}.{key}"])
        ]
    if isinstance(given, list) and isinstance(taken, list) and len(given) == len(taken):
        pairs = enumerate(zip(given, taken, strict=True))
        return [lost for index, pair in pairs for lost in _lost(*pair, f"{path}[{index}]")]
    return [] if given == taken else [path]


def test_grafana_takes_all_of_it(everything: Watched) -> None:
    assert dropped(dashboard(everything)) == []


def test_what_grafana_does_not_know_would_be_seen(everything: Watched) -> None:
    board = copy.deepcopy(dashboard(everything))
    board["titel"] = "x"
    board["panels"][1]["fieldConfig"]["defaults"]["units"] = "s"
    board["panels"][1]["gridpos"] = {}
    assert dropped(board) == [".panels[1].fieldConfig.defaults.units", ".panels[1].gridpos", ".titel"]


def test_every_panel_has_a_place_a_sentence_and_queries(everything: Watched) -> None:
    panels = dashboard(everything)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    covered: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        across, down = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
        cells = {(x, y) for x in across for y in down}
        assert not cells & covered
        assert max(x for x, _ in cells) < 24
        covered |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["targets"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("title", ["GPU memory", "GPU in use", "Answers kept"])
def test_what_a_stack_has_not_has_no_panel(everything: Watched, folder: Any, title: str) -> None:
    from tests.monitoring.watched import watched

    assert title in {each for each, _ in panel_queries(dashboard(everything))}
    assert title not in {each for each, _ in panel_queries(dashboard(watched(folder)))}

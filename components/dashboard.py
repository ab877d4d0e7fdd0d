"""The dashboard of a stack as Grafana reads it. Pure functions of what the stack says."""

from collections.abc import Sequence
from typing import Any

from components.identity import content_hash
from components.panels import Panel, panel_rows
from components.watched import Watched

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_SCHEMA = 39
"""Of Grafana 11; newer ones read it too, and bring it to theirs."""

_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 3


def dashboard(watched: Watched) -> dict[str, Any]:
    """The dashboard's JSON model."""
    settings = watched.settings
    return {
        "uid": f"tts-{content_hash([settings.namespace, settings.name])}",
        "title": f"{settings.name} in {settings.namespace}",
        "tags": ["tts"],
        "schemaVersion": _SCHEMA,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [
            {
                "title": "Runbooks",
                "type": "link",
                "url": watched.monitoring.runbooks,
                "targetBlank": True,
            }
        ],
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": _placed(panel_rows(watched)),
    }


def _placed(rows: Sequence[tuple[str, Sequence[Panel]]]) -> list[dict[str, Any]]:
    """Rows one below the other, three panels beside each other."""
    placed: list[dict[str, Any]] = []
    top = 0
    for title, panels in rows:
        place = {"x": 0, "y": top, "w": 24, "h": 1}
        placed.append(
            {"id": len(placed) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": place}
        )
        top += 1
        for index, panel in enumerate(panels):
            down, across = divmod(index, _COLUMNS)
            place = {"x": across * _WIDTH, "y": top + down * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            placed.append({"id": len(placed) + 1, "gridPos": place, **_panel(panel)})
        top += -(-len(panels) // _COLUMNS) * _HEIGHT
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    custom = {
        "fillOpacity": 20 if panel.stacked else 0,
        "stacking": {"mode": "normal" if panel.stacked else "none"},
        "thresholdsStyle": {"mode": "off" if panel.limit is None else "dashed"},
    }
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": custom,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
            for index, (expr, legend) in enumerate(panel.queries)
        ],
    }

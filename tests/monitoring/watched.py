"""A stack that is watched in every way, and all that is asked about it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.alerts import release_alerts, service_alerts
from components.catalog import Catalog
from components.dashboard import dashboard
from components.queries import DEFAULT_QUERIES
from components.revision import identify
from components.settings import parse_settings
from components.watched import Alert, Watched
from tests.components.conftest import LEAST, NOW, as_text

RUNBOOKS = "https://git.example.com/speech/tts/blob/main/docs/runbooks"
MONITORING = {"tts:monitoring": {"runbooks": RUNBOOKS}}
EVERYTHING: dict[str, Any] = {
    "tts:monitoring": {"runbooks": RUNBOOKS, "webhookSecret": "channel"},
    "tts:canary": {"version": "1.1.0", "weight": 10},
    "tts:resources": {"gpus": 1},
    "tts:store": {"claim": "outputs"},
    "tts:records": {"days": 30},
}


def watched(checkout: Path, changes: Mapping[str, Any] = MONITORING) -> Watched:
    """The stack of a checkout with `changes` to the least that a stack says."""
    config = {key: as_text(value) for key, value in (LEAST | dict(changes)).items()}
    settings = parse_settings(config, Catalog(checkout / "models"), now=NOW)
    assert settings.monitoring is not None
    return Watched(settings, settings.monitoring, identify(settings, checkout))


def alerts(stack: Watched) -> list[Alert]:
    return [*release_alerts(stack), *service_alerts(stack)]


def panel_queries(board: Mapping[str, Any], window: str = "2m") -> Iterator[tuple[str, str]]:
    """Title and PromQL of every query of a dashboard, as Grafana sends it."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", window)


def expressions(stack: Watched) -> dict[str, str]:
    """All PromQL about a stack, by what asks it: its alerts, its dashboard, its releases."""
    asked = {f"{alert.name} {json.dumps(alert.labels)}": alert.expression for alert in alerts(stack)}
    for index, (title, query) in enumerate(panel_queries(dashboard(stack))):
        asked[f"{title} {index}"] = query
    names = {"revision": stack.revisions.target.name, "namespace": stack.settings.namespace, "window": "30s"}
    for name, query in DEFAULT_QUERIES[stack.monitoring.metrics].items():
        for word, value in names.items():
            query = query.replace(f"{{{word}}}", value)  # noqa: PLW2901
        asked[f"release {name}"] = query
    return asked

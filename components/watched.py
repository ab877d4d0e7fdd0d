"""A stack that is watched, and what an alert about it is as a rule of Prometheus. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from components.expressions import Expressions
from components.monitoring_settings import Monitoring
from components.queries import GATEWAYS
from components.revision import Revisions
from components.settings import Settings

CRITICAL, WARNING = "critical", "warning"


@dataclass(frozen=True)
class Alert:
    """`expression` must hold for `minutes`. A critical one is about callers who are not answered; `labels`
    keep rules of one name apart."""

    name: str
    expression: str
    minutes: int
    severity: str
    summary: str
    description: str
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """Its page in docs/runbooks: `TtsSlowLoad` -> `slow-load`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", self.name.removeprefix("Tts")).lower()


@dataclass(frozen=True)
class Watched:
    """A stack that is watched: what its alerts and its dashboard are about."""

    settings: Settings
    monitoring: Monitoring
    revisions: Revisions

    @property
    def expressions(self) -> Expressions:
        """What is asked about it."""
        return Expressions(self.settings.name, self.settings.namespace, GATEWAYS[self.monitoring.metrics])

    @property
    def about(self) -> str:
        """Which stack, in a sentence."""
        return f"{self.settings.name} in {self.settings.namespace}"


def rule_groups(watched: Watched, name: str, alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """The groups of a PrometheusRule."""
    return [{"name": name, "rules": [_rule(watched, alert) for alert in alerts]}]


def _rule(watched: Watched, alert: Alert) -> dict[str, Any]:
    settings = watched.settings
    of_stack = {"severity": alert.severity, "namespace": settings.namespace, "stack": settings.name}
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": f"{alert.minutes}m",
        "labels": {**of_stack, **alert.labels},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{watched.monitoring.runbooks}/{alert.page}.md",
        },
    }

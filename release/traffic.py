"""Real traffic as a source of evidence: PromQL about the revision that rises and the one beside it."""

from __future__ import annotations

from dataclasses import replace

from .analysis import Stage, relaxed
from .findings import Finding
from .plan import Plan, Prometheus
from .prometheus import PrometheusSource, Reading, judge

WINDOW_SECONDS = 60.0
"""What a query looks back at least: several scrapes at the usual 15 s."""
TIMEOUT_SECONDS = 2.0
"""Probing waits for an answer as long as this; a Prometheus that is slower than this brings no evidence."""


class RealTraffic:
    """A `watch.Source`."""

    def __init__(self, plan: Plan, prometheus: Prometheus) -> None:
        self._plan = plan
        self._prometheus = prometheus
        self._source = PrometheusSource(
            url=prometheus.url, queries=prometheus.queries, timeout_seconds=TIMEOUT_SECONDS
        )

    def judge(self, stage: Stage, reference: str) -> list[Finding]:
        """What it says about a revision; `reference` is the one beside it, empty for none."""
        rollout = self._plan.rollout
        ratio = self._plan.first_audio_ratio(stage.revision)
        return judge(
            self._read(stage.revision),
            self._read(reference) if reference else None,
            limits=replace(rollout.limits, first_audio_ratio=ratio),
            # With less real traffic than this the Job's own requests, which go the same way, make the sample.
            min_samples=rollout.min_samples,
            max_age_seconds=self._prometheus.max_age_seconds,
            subject=stage.revision,
            pass_percent=relaxed(rollout.limits.error_percent, stage),
        )

    def _read(self, revision: str) -> dict[str, Reading]:
        window = max(WINDOW_SECONDS, self._plan.rollout.hold_seconds)
        return self._source.read(revision, namespace=self._plan.namespace, window_seconds=window)

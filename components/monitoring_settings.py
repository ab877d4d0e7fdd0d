"""What a stack says of how it is watched: the setting `monitoring`, and where news and alerts are sent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components import checks
from components.prometheus_settings import Prometheus
from components.queries import GATEWAYS, ISTIO
from components.reader import Reader
from components.rollout_settings import Rollout
from components.version_settings import Served

SECRET_KEY = "url"  # noqa: S105 - the name of an entry
"""The entry of a webhook's Secret."""

HIGHEST_FIRST_AUDIO_SECONDS, HIGHEST_P99_SECONDS, HIGHEST_QUEUE_SECONDS = 25.6, 300.0, 10.0
"""The last buckets of the servers' histograms: no quantile is ever above them."""

_P99_SECONDS = 30.0
_RUNBOOKS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~@%+-]+)+")


@dataclass(frozen=True)
class AlertLimits:
    """Beyond these somebody is told. Seconds are 95 of 100 requests', but `p99_seconds`, that of whole
    answers; `refused_percent`: told to come back; `quiet_minutes` without a request, 0 for as long as you
    like; `load_percent` of the catalog entry's load budget; `gpu_percent` of their time in use."""

    error_percent: float
    first_audio_seconds: float
    p99_seconds: float
    queue_seconds: float
    refused_percent: float
    quiet_minutes: int
    load_percent: int
    gpu_memory_percent: int
    gpu_percent: int


@dataclass(frozen=True)
class Monitoring:
    """`runbooks`: where docs/runbooks can be read, without a / at its end. `labels`: by which a Prometheus
    takes up monitors and rules; `dashboard_labels`: by which Grafana takes up dashboards. `metrics` names one
    of queries.GATEWAYS; `webhook_secret` names the Secret of the alerts' channel, empty where the routes of
    the Alertmanager itself know where they go."""

    runbooks: str
    labels: Mapping[str, str]
    dashboard_labels: Mapping[str, str]
    metrics: str
    webhook_secret: str
    limits: AlertLimits


def read_monitoring(
    reader: Reader, served: Sequence[Served], *, rollout: Rollout, prometheus: Prometheus | None
) -> Monitoring | None:
    """None where nothing is declared; limits default to what a release holds its candidate to."""
    section = reader.section("monitoring", optional=True)
    if not section.given:
        return None
    monitoring = Monitoring(
        runbooks=section.text("runbooks", check=_runbooks).rstrip("/"),
        labels=section.labels("labels", default={"release": "kube-prometheus-stack"}),
        dashboard_labels=section.labels("dashboardLabels", default={"grafana_dashboard": "1"}),
        metrics=section.choice(
            "metrics", options=tuple(GATEWAYS), default=prometheus.metrics if prometheus else ISTIO
        ),
        webhook_secret=read_webhook_secret(section),
        limits=_read_limits(section.section("limits", optional=True), served, rollout),
    )
    section.finish()
    return monitoring


def _read_limits(section: Reader, served: Sequence[Served], rollout: Rollout) -> AlertLimits:
    limits = rollout.limits
    slowest = max((each.entry.gate.first_audio_seconds for each in served), default=1.0)
    first_audio = min(limits.first_audio_seconds or slowest, HIGHEST_FIRST_AUDIO_SECONDS - 0.1)
    p99 = min(limits.p99_seconds or _P99_SECONDS, HIGHEST_P99_SECONDS - 1)
    read = AlertLimits(
        error_percent=section.number("errorPercent", low=0.01, high=99, default=limits.error_percent),
        first_audio_seconds=_below(section, "firstAudioSeconds", HIGHEST_FIRST_AUDIO_SECONDS, first_audio),
        p99_seconds=_below(section, "p99Seconds", HIGHEST_P99_SECONDS, p99),
        queue_seconds=_below(section, "queueSeconds", HIGHEST_QUEUE_SECONDS, 2),
        refused_percent=section.number("refusedPercent", low=0.01, high=99, default=5),
        quiet_minutes=section.whole("quietMinutes", low=0, high=10_080, default=60),
        load_percent=section.whole("loadPercent", low=1, high=100, default=80),
        gpu_memory_percent=section.whole("gpuMemoryPercent", low=1, high=99, default=95),
        gpu_percent=section.whole("gpuPercent", low=1, high=99, default=95),
    )
    section.finish()
    return read


def _below(section: Reader, key: str, highest: float, default: float) -> float:
    """A limit in seconds that a histogram can show to be passed."""
    value = section.number(key, low=0.001, high=3600, default=default)
    if value >= highest:
        section.refuse(
            key,
            f"is {value:g}, but the servers tell no times beyond {highest:g} s apart, so it would never be "
            "passed: write less.",
        )
    return value


def read_webhook_secret(reader: Reader) -> str:
    """The name at `webhookSecret`; empty where nobody is told."""
    name = reader.text("webhookSecret", default="")
    if "://" in name:
        # The address of a webhook is a secret itself: it is not said again.
        reader.refuse(
            "webhookSecret",
            f"is an address, but whoever knows it can post: keep it in a Kubernetes Secret under the key "
            f"{SECRET_KEY} and write that Secret's name.",
        )
    elif name and (wrong := checks.secret_name(name)):
        reader.refuse("webhookSecret", f'is "{name}", {wrong}')
    return name


def _runbooks(value: str) -> str | None:
    if _RUNBOOKS.fullmatch(value.rstrip("/")):
        return None
    return (
        "which is no place of the pages in docs/runbooks: write the address at which your people read that "
        "folder, such as https://git.example.com/speech/tts/blob/main/docs/runbooks."
    )

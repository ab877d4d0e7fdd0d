"""What a stack may say of how it is watched, and what it is held to where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from components.catalog import Catalog
from components.monitoring_settings import AlertLimits
from tests.components.conftest import catalog, read, refusals  # noqa: F401 - a fixture
from tests.monitoring.watched import MONITORING, RUNBOOKS


def test_without_the_setting_nothing_is_watched(catalog: Catalog) -> None:  # noqa: F811
    assert read(catalog).monitoring is None


def test_one_key_is_enough(catalog: Catalog) -> None:  # noqa: F811
    monitoring = read(catalog, {"tts:monitoring": {"runbooks": f"{RUNBOOKS}/"}}).monitoring
    assert monitoring is not None
    assert monitoring.runbooks == RUNBOOKS
    assert monitoring.labels == {"release": "kube-prometheus-stack"}
    assert monitoring.dashboard_labels == {"grafana_dashboard": "1"}
    assert (monitoring.metrics, monitoring.webhook_secret) == ("istio", "")
    assert monitoring.limits == AlertLimits(5, 2, 30, 2, 5, 60, 80, 95, 95)


def test_what_releases_are_held_to_is_what_is_watched(catalog: Catalog) -> None:  # noqa: F811
    limits = {"errorPercent": 10, "firstAudioSeconds": 1.5, "p99Seconds": 8}
    stack = {
        "tts:rollout": {"limits": limits, "steps": [100], "maxHoldSeconds": 600},
        "tts:prometheusUrl": "http://prometheus.monitoring:9090",
        "tts:prometheus": {"metrics": "envoy"},
    }
    monitoring = read(catalog, stack | MONITORING).monitoring
    assert monitoring is not None
    held = monitoring.limits
    assert (held.error_percent, held.first_audio_seconds, held.p99_seconds) == (10, 1.5, 8)
    assert monitoring.metrics == "envoy"


@pytest.mark.parametrize(
    ("said", "key", "why"),
    [
        ({"labels": {"a": "b"}}, "runbooks", "is missing"),
        ({"runbooks": "docs/runbooks"}, "runbooks", "no place of the pages in docs/runbooks"),
        ({"runbooks": "https://git.example.com"}, "runbooks", "no place of the pages"),
        ({"labels": {"release": 1}}, "labels.release", "write a text"),
        ({"metrics": "statsd"}, "metrics", "istio, envoy"),
        ({"webhookSecret": "https://hooks.example.com/T0/hush"}, "webhookSecret", "is an address"),
        ({"webhookSecret": "The Channel"}, "webhookSecret", "no name of a Kubernetes Secret"),
        ({"limits": {"errorPercent": 0}}, "limits.errorPercent", "from 0.01 to 99"),
        ({"limits": {"firstAudioSeconds": 30}}, "limits.firstAudioSeconds", "no times beyond 25.6 s apart"),
        ({"limits": {"p99Seconds": 300}}, "limits.p99Seconds", "never be passed"),
        ({"limits": {"queueSeconds": 10}}, "limits.queueSeconds", "no times beyond 10 s"),
        ({"limits": {"gpuPercent": 100}}, "limits.gpuPercent", "from 1 to 99"),
        ({"limits": {"quietHours": 1}}, "limits.quietHours", "did you mean tts:monitoring.limits.quiet"),
        ({"alerts": True}, "alerts", "is not a known key"),
    ],
)
def test_mistakes(catalog: Catalog, said: dict[str, Any], key: str, why: str) -> None:  # noqa: F811
    given = said if key == "runbooks" else {"runbooks": RUNBOOKS} | said
    [mistake] = refusals(catalog, {"tts:monitoring": given})
    assert mistake.startswith(f"tts:monitoring.{key} ")
    assert why in mistake
    assert "hush" not in mistake


def test_a_slow_model_is_watched_as_far_as_servers_can_tell(catalog: Catalog) -> None:  # noqa: F811
    limits = {"firstAudioSeconds": 40, "p99Seconds": 500}
    stack = {"tts:rollout": {"limits": limits, "steps": [100], "maxHoldSeconds": 600}}
    monitoring = read(catalog, stack | MONITORING).monitoring
    assert monitoring is not None
    assert monitoring.limits.first_audio_seconds == pytest.approx(25.5)
    assert monitoring.limits.p99_seconds == 299

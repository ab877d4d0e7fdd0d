"""What each alert takes for wrong and what it does not, told by Prometheus' own rule tests.

Series are written as promtool reads them: a start, a step, how many more; one sample a minute."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.watched import Watched, rule_groups
from tests.monitoring.watched import EVERYTHING, RUNBOOKS, alerts, watched

PROMTOOL = shutil.which("promtool")
LONG = 90


@dataclass(frozen=True)
class Case:
    """`series` (name and labels -> values) at `minutes`: the alert `name` comes with `labels` beside those of
    its stack, and `value` in its sentence. Where `labels` is None it does not come."""

    name: str
    series: dict[str, str]
    labels: dict[str, str] | None = None
    value: str = ""
    minutes: int = 15


def at(pod: str = "hibari-1-0-0-3fa9c2-6d5-x", **labels: str) -> str:
    """The labels of a series of a server."""
    every = {"namespace": "tts", "pod": pod, "version": "1.0.0", "origin": "user"} | labels
    return "{" + ",".join(f'{name}="{value}"' for name, value in every.items()) + "}"


def requests(good: int, bad: int = 0, code: str = "500", **labels: str) -> dict[str, str]:
    """Answers a minute."""
    counter = "tts_requests_total"
    return {
        f"{counter}{at(code='200', **labels)}": f"0+{good}x{LONG}",
        f"{counter}{at(code=code, **labels)}": f"0+{bad}x{LONG}",
    }


def histogram(metric: str, share_below: float, bucket: str, **labels: str) -> dict[str, str]:
    """100 a minute, of which a share is below a bucket's bound, and all are below ten times as much."""
    return {
        f"{metric}_bucket{at(le=bucket, **labels)}": f"0+{100 * share_below:g}x{LONG}",
        f"{metric}_bucket{at(le=str(10 * float(bucket)), **labels)}": f"0+100x{LONG}",
        f"{metric}_bucket{at(le='+Inf', **labels)}": f"0+100x{LONG}",
    }


def gateway(metrics: str, revision: str, code: str, values: str) -> dict[str, str]:
    """Requests that a gateway sends on."""
    if metrics == "istio":
        labels = (
            f'reporter="source",destination_service_name="{revision}",destination_service_namespace="tts"'
        )
        return {f'istio_requests_total{{{labels},response_code="{code}"}}': values}
    cluster = f"outbound|80||{revision}.tts.svc.cluster.local"
    return {f'envoy_cluster_upstream_rq{{cluster_name="{cluster}",response_code="{code}"}}': values}


def ready(revision: str, values: str, namespace: str = "tts") -> dict[str, str]:
    labels = f'namespace="{namespace}",deployment="{revision}"'
    return {f"kube_deployment_status_replicas_available{{{labels}}}": values}


def job(name: str, values: str, condition: str = "true", namespace: str = "tts") -> dict[str, str]:
    labels = f'namespace="{namespace}",job_name="{name}",condition="{condition}"'
    return {f"kube_job_failed{{{labels}}}": values}


def gpu(metric: str, values: str, *, exported: bool = False) -> dict[str, str]:
    before = "exported_" if exported else ""
    labels = f'gpu="0",Hostname="node-1",{before}namespace="tts",{before}pod="hibari-1-0-0-3fa9c2-6d5-x"'
    own = ',namespace="gpu-operator",pod="dcgm-exporter-1"' if exported else ""
    return {f"DCGM_FI_DEV_{metric}{{{labels}{own}}}": values}


OLD = "hibari-0-9-0-aaaaaa"
V1, BY_SERVER = {"version": "1.0.0"}, {"version": "1.0.0", "seen_by": "server"}
NODE = {"gpu": "0", "Hostname": "node-1", "namespace": "tts", "pod": "hibari-1-0-0-3fa9c2-6d5-x"}
EXPORTED = {
    **{"gpu": "0", "Hostname": "node-1", "pod": "dcgm-exporter-1"},
    **{"exported_namespace": "tts", "exported_pod": "hibari-1-0-0-3fa9c2-6d5-x"},
}
STEADY, NONE = "0+60x60", "0x60"
CASES = [
    Case("TtsErrors", requests(90, 10), BY_SERVER, "10%"),
    Case("TtsErrors", requests(96, 4)),
    Case("TtsErrors", requests(90, 10), minutes=2),
    Case("TtsErrors", requests(90, 10, code="429")),
    Case("TtsErrors", requests(90, 10, origin="probe")),
    Case("TtsErrors", requests(90, 10, namespace="elsewhere")),
    Case("TtsErrors", requests(90, 10, pod="hibari-two-1-0-0-3fa9c2-6d5-x")),
    Case("TtsSlowFirstAudio", histogram("tts_first_audio_seconds", 0.9, "1.6"), V1, "8.8s"),
    Case("TtsSlowFirstAudio", histogram("tts_first_audio_seconds", 0.96, "1.6")),
    Case("TtsSlowFirstAudio", histogram("tts_first_audio_seconds", 0.9, "1.6"), minutes=9),
    Case("TtsSlowAnswers", histogram("tts_request_seconds", 0.98, "30"), V1, "2m 45s"),
    Case("TtsSlowAnswers", histogram("tts_request_seconds", 0.995, "30")),
    Case("TtsQueueLong", histogram("tts_queue_seconds", 0.9, "1"), V1, "5.5s"),
    Case("TtsQueueLong", histogram("tts_queue_seconds", 0.99, "1")),
    Case("TtsTurnedAway", requests(80, 20, code="429"), V1, "20%"),
    Case("TtsTurnedAway", requests(99, 1, code="429")),
    Case("TtsNoMetrics", {}, {}),
    Case("TtsNoMetrics", {"tts_slots" + at(namespace="elsewhere"): "1x60"}, {}),
    Case("TtsNoMetrics", {"tts_slots" + at(): "1x60"}),
    Case("TtsNoTraffic", requests(0), {}, minutes=80),
    Case("TtsNoTraffic", requests(0), minutes=55),
    Case("TtsNoTraffic", requests(1), minutes=58),
    Case("TtsNoTraffic", {}, minutes=80),
    Case("TtsSlowLoad", {"tts_model_load_seconds" + at(): "50x60"}, V1, "50s"),
    Case("TtsSlowLoad", {"tts_model_load_seconds" + at(): "47x60"}),
    Case("TtsReleaseFailed", job("hibari-release-91c0aa", "1x60"), {"job_name": "hibari-release-91c0aa"}),
    Case("TtsReleaseFailed", job("hibari-release-91c0aa", "0x60")),
    Case("TtsReleaseFailed", job("hibari-release-91c0aa", "1x60", "false")),
    Case("TtsReleaseFailed", job("hibari-release-91c0aa-guard", "1x60")),
    Case("TtsReleaseFailed", job("hibari-release-91c0aa", "1x60", namespace="elsewhere")),
    Case("TtsStoreFailing", {"tts_store_writes_total" + at(result="dropped"): "0+1x60"}, {}, "15"),
    Case("TtsStoreFailing", {"tts_record_writes_total" + at(result="failed"): "0+1x60"}, {}, "15"),
    Case("TtsStoreFailing", {"tts_store_writes_total" + at(result="stored"): "0+1x60"}),
    Case("TtsGpuMemory", gpu("FB_USED", "97x60") | gpu("FB_FREE", "3x60"), NODE, "97%"),
    Case(
        "TtsGpuMemory",
        gpu("FB_USED", "97x60", exported=True) | gpu("FB_FREE", "3x60", exported=True),
        EXPORTED,
        "97%",
    ),
    Case("TtsGpuMemory", gpu("FB_USED", "90x60") | gpu("FB_FREE", "10x60")),
    Case("TtsGpuBusy", gpu("GPU_UTIL", "99x60"), NODE, "99", minutes=40),
    Case("TtsGpuBusy", gpu("GPU_UTIL", "99x20 10x40"), minutes=45),
]


def cases(stack: Watched) -> list[Case]:
    """Those that name a gateway's metrics or this stack's revisions; with Istio's also those above."""
    metrics, stable = stack.monitoring.metrics, stack.revisions.target.name
    canary = stack.revisions.others[0].name
    errors, unready = "TtsErrors", "TtsRouteOnUnreadyRevision"
    both = ready(stable, "2x60") | ready(canary, "1x60")
    good = gateway(metrics, stable, "200", STEADY)
    bad = gateway(metrics, stable, "503", "0+20x60")
    lost = gateway(metrics, OLD, "503", STEADY)
    return [
        *(CASES if metrics == "istio" else ()),
        Case(errors, good | bad, {"seen_by": "gateway", "revision": stable}, "25%"),
        Case(errors, good),
        Case(errors, gateway(metrics, "other-1-0-0-abcdef", "503", STEADY)),
        Case(unready, both),
        Case(unready, both | ready(canary, NONE), {"seen_by": "route", "revision": canary}),
        Case(unready, ready(canary, "1x60"), {"seen_by": "route", "revision": stable}),
        # Without kube-state-metrics nothing is known.
        Case(unready, good),
        Case(unready, both | ready(OLD, NONE) | lost, {"seen_by": "gateway", "revision": OLD}),
        Case(unready, both | lost, {"seen_by": "gateway", "revision": OLD}),
        Case(unready, both | ready(OLD, NONE) | gateway(metrics, OLD, "503", NONE)),
        Case(unready, both | good),
    ]


def expected(stack: Watched, case: Case) -> list[dict[str, Any]]:
    """The alerts of the case, each with all of its labels and its sentences as people read them."""
    if case.labels is None:
        return []
    named = [each for each in alerts(stack) if each.name == case.name]
    (alert,) = [each for each in named if each.labels.items() <= case.labels.items()]
    (rule,) = rule_groups(stack, "hibari", [alert])[0]["rules"]
    sentences = dict(rule["annotations"])
    sentences["description"] = re.sub(r"{{ \$value .*?}}", case.value, sentences["description"])
    for name, value in case.labels.items():
        sentences["description"] = sentences["description"].replace(f"{{{{ $labels.{name} }}}}", value)
    return [{"exp_labels": {**case.labels, **rule["labels"]}, "exp_annotations": sentences}]


def promtool_says(stack: Watched, tried: list[Case], folder: Path) -> str:
    """What promtool has against the cases; nothing where each came as it should, or did not."""
    tests = [
        {
            "interval": "1m",
            "name": f"{case.name} {index}",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": f"{case.minutes}m",
                    "alertname": case.name,
                    "exp_alerts": expected(stack, case),
                }
            ],
        }
        for index, case in enumerate(tried)
    ]
    groups = {"groups": rule_groups(stack, "hibari", alerts(stack))}
    (folder / "rules.yaml").write_text(json.dumps(groups))
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yaml").write_text(json.dumps(document))
    command = [str(PROMTOOL), "test", "rules", "tests.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ("SUCCESS" in done.stdout + done.stderr), done.stdout + done.stderr
    return "" if done.returncode == 0 else done.stdout + done.stderr


with_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool is installed: it comes with Prometheus (apt-get install prometheus)"
)


def test_each_alert_has_a_case_in_which_it_comes_and_one_in_which_it_does_not(folder: Path) -> None:
    stack = watched(folder, EVERYTHING)
    tried = cases(stack)
    names = {alert.name for alert in alerts(stack)}
    assert {case.name for case in tried if case.labels is not None} == names
    assert {case.name for case in tried if case.labels is None} == names


@with_promtool
def test_alerts_come_for_what_is_wrong_and_for_nothing_else(everything: Watched, tmp_path: Path) -> None:
    assert promtool_says(everything, cases(everything), tmp_path) == ""


@pytest.fixture
def stack(folder: Path) -> Watched:
    return watched(folder)


@with_promtool
def test_one_error_among_few_requests_wakes_nobody(stack: Watched, tmp_path: Path) -> None:
    series = {name: "0 0 0 0 1x30" if "500" in name else "0+2x60" for name in requests(1)}
    never = [Case("TtsErrors", series, minutes=minute) for minute in range(3, 12)]
    assert promtool_says(stack, never, tmp_path) == ""


@with_promtool
@pytest.mark.parametrize("labels", [None, BY_SERVER])
def test_an_alert_that_should_not_have_come_and_one_that_should_would_be_seen(
    stack: Watched, tmp_path: Path, labels: dict[str, str] | None
) -> None:
    series = requests(90, 10) if labels is None else requests(96, 4)
    assert "FAILED" in promtool_says(stack, [Case("TtsErrors", series, labels, "10%")], tmp_path)


@with_promtool
def test_limits_are_those_of_the_stack(folder: Path, tmp_path: Path) -> None:
    own = {"runbooks": RUNBOOKS, "limits": {"errorPercent": 20, "quietMinutes": 0}}
    stack = watched(folder, {"tts:monitoring": own})
    tried = [Case("TtsErrors", requests(90, 10)), Case("TtsErrors", requests(70, 30), BY_SERVER, "30%")]
    assert promtool_says(stack, tried, tmp_path) == ""
    assert "TtsNoTraffic" not in {alert.name for alert in alerts(stack)}

"""All PromQL of alerts, dashboard and releases: it can be parsed, and whatever it names is told by somebody:
by a real server, by a real release, or by an exporter of the list."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from components import monitoring_settings
from components.watched import Watched
from release.metrics import ReleaseMetrics
from serving import metrics
from tests.monitoring.exporters import KNOWN, OF_SCRAPES
from tests.monitoring.watched import expressions
from tests.serving.conftest import Start, inference, model_dir, start  # noqa: F401 - fixtures

Exposition = dict[str, set[str]]
PROMTOOL = shutil.which("promtool")
MADE = re.compile(r'label_replace\(.*?, "(\w+)", "\$1"')


def told(text: str) -> Exposition:
    """The metrics of an exposition with their labels."""
    found: Exposition = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.fixture(scope="session")
def of_server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Exposition:  # noqa: F811
    """A real server's, of a stack that keeps outputs and records; the speech that made it ready is none of
    a caller's, and nobody else has asked for any."""
    store = {"prefix": "", "outputs": True, "records": {"days": 1}}
    config = inference("1.0.0", store=store)
    running = start(config=config, TTS_STORE_DIR=str(tmp_path_factory.mktemp("store")))
    running.wait_ready()
    text = requests.get(f"{running.url}/metrics", timeout=5).text
    running.process.kill()
    return told(text)


@pytest.fixture(scope="session")
def of_release() -> Exposition:
    release = ReleaseMetrics(release="r", name="n", model="m", version="1.0.0", revision="v")
    release.weights({"v": 10})
    release.probed("v", wrong=False, busy=False)
    release.dropped(0)
    return told(release.text())


@pytest.fixture(scope="session")
def known(of_server: Exposition, of_release: Exposition) -> Exposition:
    return {**KNOWN, **of_server, **of_release}


def nodes(query: str) -> list[Any]:
    found: list[Any] = []
    promql.walk(promql.parse(query), lambda node: found.append(node) or True)
    return found


def unknown(query: str, known: Exposition) -> set[str]:
    """The metrics that nobody tells, the labels that a metric has not, and those that are summed by but
    neither told nor made."""
    parsed = nodes(query)
    selectors = [node for node in parsed if isinstance(node, promql.VectorSelector)]
    wrong = {node.name for node in selectors if node.name not in known}
    every = OF_SCRAPES.union(MADE.findall(query), *(known.get(node.name, set()) for node in selectors))
    for node in selectors:
        labels = {matcher.name for matcher in node.matchers.matchers}
        wrong |= {f"{node.name}{{{each}}}" for each in labels - known.get(node.name, labels) - OF_SCRAPES}
    for node in parsed:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            wrong |= {f"by ({each})" for each in set(node.modifier.labels) - every}
    return wrong


def test_whatever_is_asked_is_told_by_somebody(everything: Watched, known: Exposition) -> None:
    asked = expressions(everything)
    assert len(asked) > 40
    assert {title: wrong for title, query in asked.items() if (wrong := unknown(query, known))} == {}


def test_what_nobody_tells_would_be_seen(known: Exposition) -> None:
    assert unknown("rate(tts_request_total[2m])", known) == {"tts_request_total"}
    assert unknown('sum by (voice) (tts_slots{version="1"})', known) == {"tts_slots{version}", "by (voice)"}
    assert unknown('max(kube_job_failed{job="x",reason="y"})', known) == {"kube_job_failed{reason}"}
    with pytest.raises(ValueError, match="matrix"):
        nodes("rate(tts_slots)")


def test_nothing_of_the_list_is_kept_that_nobody_asks(folder: Path, everything: Watched) -> None:
    named = {
        node.name
        for query in expressions(everything).values()
        for node in nodes(query)
        if isinstance(node, promql.VectorSelector)
    }
    other = "istio_" if everything.monitoring.metrics == "envoy" else "envoy_"
    assert {name for name in KNOWN if not name.startswith(other)} <= named


def test_a_limit_may_be_as_high_as_the_servers_can_tell() -> None:
    assert metrics.FIRST_AUDIO_SECONDS[-1] == monitoring_settings.HIGHEST_FIRST_AUDIO_SECONDS
    assert metrics.REQUEST_SECONDS[-1] == monitoring_settings.HIGHEST_P99_SECONDS
    assert metrics.QUEUE_SECONDS[-1] == monitoring_settings.HIGHEST_QUEUE_SECONDS


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool is installed (Debian's package prometheus has it)")
def test_prometheus_itself_reads_all_of_it(everything: Watched, tmp_path: Path) -> None:
    rules = [
        {"record": f"asked:{index}", "expr": query}
        for index, query in enumerate(expressions(everything).values())
    ]
    assert promtool_refuses(rules, tmp_path) == ""
    assert "parse error" in promtool_refuses([{"record": "asked", "expr": "sum(rate(up)"}], tmp_path)


def promtool_refuses(rules: list[dict[str, str]], folder: Path) -> str:
    file = folder / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(
        [str(PROMTOOL), "check", "rules", file], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr

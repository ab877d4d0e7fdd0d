"""A release's own metrics, scraped over HTTP and read by Prometheus' own parser."""

import socket
import threading

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from release.metrics import ReleaseMetrics

NEW, OLD = "hibari-1-1-0-bbbbbb", "hibari-1-0-0-aaaaaa"
LOOPBACK = {"TTS_BIND": "127.0.0.1", "TTS_METRICS_PORT": "0"}


@pytest.fixture
def metrics():
    found = ReleaseMetrics(
        release="hibari-release-91c0aa", name="hibari", model="hibari", version="1.1.0", revision=NEW
    )
    assert found.serve(LOOPBACK) == ""
    yield found
    found.close()


def scrape(metrics):
    """(metric, its label values) -> value, and metric -> type."""
    answer = httpx2.get(f"http://127.0.0.1:{metrics.port}/metrics", trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families)
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
    return values, {family.name: family.type for family in families}


def test_before_anything_happens_only_the_release_is_known(metrics):
    values, types = scrape(metrics)
    assert values == {("tts_release_info", "hibari-release-91c0aa", "hibari", "hibari", "1.1.0", NEW): 1}
    assert types == {"tts_release_info": "gauge"}


def test_all_that_happens_is_scraped(metrics):
    metrics.phase("gate")
    metrics.phase("step")
    metrics.weights({OLD: 100})
    metrics.weights({NEW: 10, OLD: 90})
    for wrong, busy in ((False, False), (False, False), (True, False), (False, True), (True, True)):
        metrics.probed(NEW, wrong=wrong, busy=busy)
    metrics.dropped(0)
    metrics.dropped(3)
    metrics.restored(0.25)
    metrics.outcome("refused")
    values, types = scrape(metrics)
    assert {key: value for key, value in values.items() if key[0] != "tts_release_info"} == {
        ("tts_release_phase", "gate"): 0,
        ("tts_release_phase", "step"): 1,
        ("tts_release_weight_percent", OLD): 90,
        ("tts_release_weight_percent", NEW): 10,
        ("tts_release_probes_total", NEW, "right"): 2,
        ("tts_release_probes_total", NEW, "wrong"): 1,
        ("tts_release_probes_total", NEW, "busy"): 2,
        ("tts_release_dropped_total",): 3,
        ("tts_release_restore_seconds",): 0.25,
        ("tts_release_outcome", "refused"): 1,
    }
    assert types["tts_release_probes"] == types["tts_release_dropped"] == "counter"
    assert types["tts_release_weight_percent"] == "gauge"


def test_a_revision_that_is_left_has_no_weight_any_more(metrics):
    metrics.weights({OLD: 60, NEW: 40})
    metrics.weights({NEW: 100})
    values, _ = scrape(metrics)
    assert (values["tts_release_weight_percent", OLD], values["tts_release_weight_percent", NEW]) == (0, 100)


def test_labels_are_escaped():
    odd = 'a "quoted" \\ back\\nslash\nand a line, ü {x}'
    metrics = ReleaseMetrics(release=odd, name="n", model="m", version="v", revision="r")
    (family,) = text_string_to_metric_families(metrics.text())
    assert family.samples[0].labels["release"] == odd


def test_only_metrics_are_served(metrics):
    assert httpx2.get(f"http://127.0.0.1:{metrics.port}/etc", trust_env=False).status_code == 404
    assert httpx2.get(f"http://127.0.0.1:{metrics.port}/metrics?x=1", trust_env=False).status_code == 200
    assert httpx2.post(f"http://127.0.0.1:{metrics.port}/metrics", trust_env=False).status_code == 501


def test_a_scraper_that_hangs_does_not_keep_the_next_one_waiting(metrics, capfd):
    with socket.create_connection(("127.0.0.1", metrics.port)) as hanging:
        hanging.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert scrape(metrics)[0]
    assert scrape(metrics)[0]
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_or_an_address_that_is_none_is_a_sentence(metrics):
    other = ReleaseMetrics(release="r", name="n", model="m", version="v", revision="r")
    for bind, port in (
        ("127.0.0.1", str(metrics.port)), ("127.0.0.1", "many"), ("127.0.0.1", "99999"), ("127.0.0.1", "-1"),
        ("no.such.host.invalid", "0"),
    ):  # fmt: skip
        said = other.serve({"TTS_BIND": bind, "TTS_METRICS_PORT": port})
        assert said.startswith(f"There are no metrics at {bind}:{port}: ")
        assert other.port == 0
    other.phase("gate")
    other.close()
    assert scrape(metrics)[0]


def test_the_port_is_free_again_after_the_end():
    first = ReleaseMetrics(release="r", name="n", model="m", version="v", revision="r")
    assert first.serve(LOOPBACK) == ""
    port = str(first.port)
    assert scrape(first)[0]
    first.close()
    again = ReleaseMetrics(release="r", name="n", model="m", version="v", revision="r")
    assert again.serve({**LOOPBACK, "TTS_METRICS_PORT": port}) == ""
    again.close()


def test_the_defaults_are_every_address_and_port_9464(monkeypatch):
    asked = []
    monkeypatch.setattr("release.metrics._Server", lambda address, _: asked.append(address) or 1 / 0)
    metrics = ReleaseMetrics(release="r", name="n", model="m", version="v", revision="r")
    for environment in ({}, {"TTS_BIND": "", "TTS_METRICS_PORT": ""}):
        with pytest.raises(ZeroDivisionError):
            metrics.serve(environment)
    assert asked == [("0.0.0.0", 9464)] * 2


def test_counting_from_many_threads_loses_nothing(metrics):
    def count():
        for _ in range(500):
            metrics.probed(NEW, wrong=False, busy=False)
            metrics.text()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scrape(metrics)[0]["tts_release_probes_total", NEW, "right"] == 2000

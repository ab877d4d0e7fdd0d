"""The Prometheus of a stack: its address, the queries by default, and those of a stack's own."""

from typing import Any

import pytest

from components.catalog import Catalog
from components.queries import DEFAULT_QUERIES, NAMES, query_mistake

from .conftest import read, refusals

URL = {"tts:prometheusUrl": "http://prometheus.monitoring:9090/"}
OWN = 'sum(increase(speech_total{revision="{revision}"}[{window}]))'


def test_without_an_address_there_is_none(catalog: Catalog) -> None:
    assert read(catalog).prometheus is None


@pytest.mark.parametrize("metrics", ["istio", "envoy"])
def test_the_default_queries_are_chosen_by_who_reports(catalog: Catalog, metrics: str) -> None:
    prometheus = read(catalog, URL | {"tts:prometheus": {"metrics": metrics}}).prometheus
    assert prometheus is not None
    assert (prometheus.url, prometheus.max_age_seconds) == ("http://prometheus.monitoring:9090", 60)
    assert prometheus.queries == DEFAULT_QUERIES[metrics]
    assert tuple(prometheus.queries) == NAMES


def test_a_query_of_the_stacks_own_takes_the_defaults_place(catalog: Catalog) -> None:
    said = {"maxAgeSeconds": 20, "queries": {"requests": OWN}}
    prometheus = read(catalog, URL | {"tts:prometheus": said}).prometheus
    assert prometheus is not None
    assert prometheus.queries == {**DEFAULT_QUERIES["istio"], "requests": OWN}
    assert prometheus.max_age_seconds == 20


@pytest.mark.parametrize("metrics", DEFAULT_QUERIES)
@pytest.mark.parametrize("name", NAMES)
def test_each_default_query_can_be_asked(metrics: str, name: str) -> None:
    query = DEFAULT_QUERIES[metrics][name]
    assert query_mistake(name, query) is None
    filled = query
    for word, value in (("revision", "hibari-1-0-0-3fa9c2"), ("namespace", "tts"), ("window", "30s")):
        filled = filled.replace(f"{{{word}}}", value)
    assert "hibari-1-0-0-3fa9c2" in filled
    assert filled.count("(") == filled.count(")")
    assert filled.count("{") == filled.count("}") == filled.count("[") + (name == "ageSeconds")


def test_no_error_is_a_number_too() -> None:
    assert all("or vector(0)" in queries["errors"] for queries in DEFAULT_QUERIES.values())


@pytest.mark.parametrize(
    ("said", "key", "sentence"),
    [
        ({"metrics": "statsd"}, "prometheus.metrics", "istio, envoy"),
        ({"maxAgeSeconds": 0}, "prometheus.maxAgeSeconds", "from 1 to 3600"),
        (
            {"queries": {"requests": OWN + "{pod}"}},
            "prometheus.queries.requests",
            "says {pod}, which nothing",
        ),
        ({"queries": {"errors": "sum(errors)"}}, "prometheus.queries.errors", "does not say {revision}"),
        ({"queries": {"p95": OWN}}, "prometheus.queries.p95", "known: requests, errors"),
        ({"url": "http://x"}, "prometheus.url", "is not a known key"),
    ],
)
def test_a_wrong_value_is_refused(catalog: Catalog, said: dict[str, Any], key: str, sentence: str) -> None:
    [mistake] = refusals(catalog, URL | {"tts:prometheus": said})
    assert mistake.startswith(f"tts:{key} ")
    assert sentence in mistake


def test_queries_without_an_address_are_refused(catalog: Catalog) -> None:
    [mistake] = refusals(catalog, {"tts:prometheus": {"metrics": "envoy"}})
    assert mistake.startswith("tts:prometheus is set, but tts:prometheusUrl is not")


def test_a_password_in_the_address_is_refused_and_not_said(catalog: Catalog) -> None:
    [mistake] = refusals(catalog, {"tts:prometheusUrl": "http://me:hush@prometheus:9090"})
    assert mistake.startswith("tts:prometheusUrl holds a name or a password")
    assert "hush" not in mistake


@pytest.mark.parametrize("url", ["prometheus:9090", "http://p:9090/?a=b"])
def test_an_address_is_plain(catalog: Catalog, url: str) -> None:
    [mistake] = refusals(catalog, {"tts:prometheusUrl": url})
    assert mistake.startswith("tts:prometheusUrl is ")
    assert "no address of a Prometheus" in mistake

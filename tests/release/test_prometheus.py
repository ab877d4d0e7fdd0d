"""What Prometheus says, and what it does not say, against a real HTTP server with its documented answers."""

import contextlib
import json
import re
import socket
import threading
import time

import pytest

from release.findings import Verdict
from release.plan import Limits
from release.prometheus import PrometheusSource, Reading, judge
from release.replay import Placed, outcome_of

from .replies import Replies

PASS, FAIL, HOLD = Verdict.PASS, Verdict.FAIL, Verdict.HOLD
NEW, OLD = "hibari-1-1-0-bbbbbb", "hibari-1-0-0-aaaaaa"
QUERIES = {
    "requests": 'sum(increase(requests{revision="{revision}",ns="{namespace}"}[{window}]))',
    "errors": 'sum(increase(errors{revision="{revision}"}[{window}]))',
    "p99Seconds": 'p99{revision="{revision}"}',
    "firstAudioSeconds": 'first_audio{revision="{revision}"}',
    "ageSeconds": 'age{revision="{revision}"}',
}


def vector(*samples):
    series = [
        {"metric": {"instance": str(number)}, "value": [1764031000.123, sample]}
        for number, sample in enumerate(samples)
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": series}}


def read(status, body, *, queries=None):
    replies = Replies(lambda query: (status, body))
    with replies.serving() as url:
        source = PrometheusSource(url=url + "/", queries=queries or {"requests": "up"})
        return source.read(NEW, namespace="tts", window_seconds=30)["requests"]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (vector("120"), 120), (vector("0"), 0), (vector("1.5e-3"), 0.0015), (vector("12.00002"), 12.00002),
        ({"status": "success", "data": {"resultType": "scalar", "result": [1764031000, "7"]}}, 7),
        ({**vector("3"), "infos": ["metric might not be a counter"]}, 3),
    ],
)  # fmt: skip
def test_one_sample_is_a_value(body, value):
    assert read(200, body) == Reading("up", pytest.approx(value), "")


SUCCESS = {"status": "success"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"status": "error", "errorType": "bad_data", "error": "parse"}, "400 .*bad_data.*parse"),
        (422, {"status": "error", "errorType": "execution", "error": "many-to-many"}, "422 .*many-to-many"),
        (503, {"status": "error", "errorType": "timeout", "error": "query timed out"}, "503 .*timed out"),
        (200, {"status": "error", "errorType": "internal", "error": "no"}, "200 .*internal"),
        (503, {**vector("1")}, "503 with an error"),
        (502, b"<html>Bad Gateway</html>", "502 without JSON"),
        (200, b"", "200 without JSON"),
        (200, b"[]", "200 without JSON"),
        (302, b"", "302 without JSON"),
        (200, vector(), "an empty vector"),
        (200, vector("1", "2"), "2 series instead of one"),
        (200, vector("NaN"), "gave NaN"),
        (200, vector("+Inf"), r"gave \+Inf"),
        (200, vector("-Inf"), "gave -Inf"),
        (200, vector("much"), "no readable sample"),
        (200, {**vector("3"), "warnings": ["store a is unavailable"]}, "partial: .*store a"),
        (200, {**SUCCESS, "data": {"resultType": "matrix", "result": []}}, "gave a matrix"),
        (200, {**SUCCESS, "data": {"resultType": "string", "result": [1, "7"]}}, "gave a string"),
        (200, {**SUCCESS, "data": {"resultType": "scalar", "result": [1, "NaN"]}}, "gave NaN"),
        (200, {**SUCCESS, "data": {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {}]}]}},
         "no readable sample"),
        (200, {**SUCCESS, "data": None}, "no readable sample"),
        (200, SUCCESS, "no readable sample"),
    ],
)  # fmt: skip
def test_whatever_else_comes_is_no_value_and_says_why(status, body, said):
    reading = read(status, body)
    assert reading.value is None
    assert reading.query == "up"
    assert re.search(said, reading.error)
    assert reading.error.endswith(".")


def test_nobody_there_and_an_address_that_is_none():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "prometheus:9090", "http://[", "http://no.such.host.invalid"):
        source = PrometheusSource(url=url, queries={"requests": "up"}, timeout_seconds=2)
        reading = source.read(NEW, namespace="tts", window_seconds=30)["requests"]
        assert reading.value is None
        assert reading.error.startswith("Prometheus did not answer: ")


def test_a_server_that_never_answers_costs_its_time_out_once():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        source = PrometheusSource(url=url, queries=QUERIES, timeout_seconds=0.5)
        begin = time.monotonic()
        readings = source.read(NEW, namespace="tts", window_seconds=30)
        assert time.monotonic() - begin < 2
    assert {reading.value for reading in readings.values()} == {None}
    assert all("ReadTimeout" in reading.error for reading in readings.values())


def test_a_server_that_never_ends_its_answer_costs_no_more():
    ended = threading.Event()
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen(4)

        def drip():
            connection, _ = slow.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
                while not ended.wait(0.05):
                    connection.sendall(b" ")

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{slow.getsockname()[1]}"
        source = PrometheusSource(url=url, queries={"requests": "up"}, timeout_seconds=0.4)
        # Whoever would read to the end is let go after 5 s.
        threading.Timer(5, ended.set).start()
        begin = time.monotonic()
        reading = source.read(NEW, namespace="tts", window_seconds=30)["requests"]
        took = time.monotonic() - begin
        ended.set()
    assert reading == Reading("up", None, "Prometheus' answer is too slow or too long.")
    assert took < 2


def test_a_window_is_a_second_at_least():
    queries = {"requests": "sum(x[{window}])"}
    for seconds, window in ((0.2, "1s"), (0, "1s"), (90, "90s")):
        source = PrometheusSource(url="http://127.0.0.1:1", queries=queries)
        reading = source.read(NEW, namespace="tts", window_seconds=seconds)["requests"]
        assert reading.query == f"sum(x[{window}])"


def test_the_queries_are_filled_in_and_no_proxy_is_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    replies = Replies(lambda query: (200, vector("1")))
    with replies.serving() as url:
        readings = PrometheusSource(url=url, queries=QUERIES).read(NEW, namespace="tts", window_seconds=29.6)
    assert readings["requests"].query == f'sum(increase(requests{{revision="{NEW}",ns="tts"}}[30s]))'
    assert readings["p99Seconds"] == Reading(f'p99{{revision="{NEW}"}}', 1, "")
    assert readings.keys() == QUERIES.keys()
    assert {path for _, path, _, _ in replies.asked} == {"/api/v1/query"}


def test_without_queries_nothing_is_asked():
    assert PrometheusSource(url="http://x", queries={}).read(NEW, namespace="tts", window_seconds=1) == {}


def limits(**changes):
    whole = {"error_percent": 5, "first_audio_ratio": 1.25, "first_audio_seconds": None, "p99_seconds": None,
             "p99_ratio": None, **changes}  # fmt: skip
    return Limits(**whole)


def readings(**values):
    """By name: a number, or a sentence why there is none."""
    whole = {
        "requests": 200,
        "errors": 0,
        "p99Seconds": 1.0,
        "firstAudioSeconds": 0.1,
        "ageSeconds": 9,
        **values,
    }
    told = {name: (None, value) if isinstance(value, str) else (value, "") for name, value in whole.items()}
    return {name: Reading(f"query of {name}", *each) for name, each in told.items() if each != (None, "")}


def verdicts(candidate, reference=None, *, min_samples=10, pass_percent=None, **limit):
    found = judge(candidate, reference, limits=limits(**limit), min_samples=min_samples, max_age_seconds=60,
                  subject=NEW, pass_percent=pass_percent)  # fmt: skip
    names = [finding.name for finding in found]
    assert len(set(names)) == len(names)
    for finding in found:
        assert finding.subject == NEW
        assert finding.sentence.endswith(".")
        assert "query of" in json.dumps(finding.document(), allow_nan=False)
    return {finding.name.removeprefix("prometheus."): finding.verdict for finding in found}


def test_good_traffic_passes_and_only_what_has_a_limit_is_judged():
    assert verdicts(readings()) == {"errors": PASS, "ageSeconds": PASS}
    whole = verdicts(readings(), readings(), first_audio_seconds=0.2, p99_seconds=2, p99_ratio=1.5)
    assert whole == dict.fromkeys(
        ("errors", "ageSeconds", "p99Seconds", "firstAudioSeconds", "p99Ratio", "firstAudioRatio"), PASS
    )


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"errors": 30}, FAIL), ({"errors": 10}, HOLD), ({"errors": 200}, FAIL), ({"requests": 40}, HOLD),
        ({"requests": 9, "errors": 9}, FAIL), ({"requests": 8.4, "errors": 0.0}, HOLD),
        ({"requests": 0}, HOLD), ({"requests": 0, "errors": 3}, HOLD), ({"requests": "no data."}, HOLD),
        ({"errors": "no data."}, HOLD), ({"errors": -1}, HOLD), ({"errors": 201}, HOLD),
    ],
)  # fmt: skip
def test_errors(values, verdict):
    assert verdicts(readings(**values))["errors"] is verdict


def test_errors_may_pass_by_fewer_requests_than_show_the_limit():
    few = readings(requests=12)
    assert verdicts(few)["errors"] is HOLD
    assert verdicts(few, pass_percent=100)["errors"] is PASS
    assert verdicts(few, pass_percent=100, min_samples=13)["errors"] is HOLD
    assert verdicts(readings(requests=0), pass_percent=100, min_samples=0)["errors"] is HOLD


def test_queries_that_must_be_there_hold_when_they_are_not():
    for name in ("requests", "errors"):
        assert verdicts(readings(**{name: None})) == {"errors": HOLD, "ageSeconds": PASS}


def errors_sentence(**values):
    found = judge(readings(**values), None, limits=limits(), min_samples=10, max_age_seconds=60, subject=NEW)
    return found[0].sentence


def test_the_sentence_tells_a_service_that_nobody_measures_from_a_prometheus_that_does_not_answer():
    assert "its data is not collected" in errors_sentence(requests=0)
    assert errors_sentence(requests="It is away.").endswith(f"how many requests {NEW} had. It is away.")
    assert "how many errors" in errors_sentence(errors="It is away.")
    assert "which cannot be" in errors_sentence(errors=900)
    assert "30 errors of 200 requests" in errors_sentence(errors=30)


@pytest.mark.parametrize("age", [61, 1e9, -61, "no data."])
def test_old_data_holds_whatever_it_says(age):
    whole = verdicts(readings(ageSeconds=age, p99Seconds=9), readings(), p99_seconds=2, p99_ratio=1.5)
    assert whole == {
        "errors": PASS,
        "ageSeconds": HOLD,
        "p99Seconds": HOLD,
        "p99Ratio": HOLD,
        "firstAudioRatio": HOLD,
    }
    other = verdicts(readings(), readings(ageSeconds=age))
    assert other == {"errors": PASS, "ageSeconds": PASS, "firstAudioRatio": HOLD}


def test_without_a_query_for_the_age_the_window_alone_bounds_it():
    whole = verdicts(readings(ageSeconds=None, p99Seconds=9), p99_seconds=2)
    assert whole == {"errors": PASS, "p99Seconds": FAIL}
    assert verdicts(readings(), readings(ageSeconds=None))["firstAudioRatio"] is HOLD


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"p99Seconds": 2.0}, PASS), ({"p99Seconds": 2.1}, FAIL), ({"p99Seconds": 2.1, "requests": 99}, HOLD),
        ({"p99Seconds": 1.9, "requests": 12}, PASS), ({"p99Seconds": "NaN."}, HOLD),
        ({"p99Seconds": 2.1, "requests": "no data."}, HOLD),
    ],
)  # fmt: skip
def test_a_slow_percentile_fails_only_by_enough_requests(values, verdict):
    assert verdicts(readings(**values), p99_seconds=2)["p99Seconds"] is verdict


@pytest.mark.parametrize(
    ("mine", "other", "verdict"),
    [
        ({"firstAudioSeconds": 0.125}, {}, PASS), ({"firstAudioSeconds": 0.126}, {}, FAIL),
        ({"firstAudioSeconds": 0.126, "requests": 29}, {}, HOLD),
        ({"firstAudioSeconds": 0.126}, {"requests": 29}, HOLD),
        ({"firstAudioSeconds": "NaN."}, {}, HOLD), ({}, {"firstAudioSeconds": "NaN."}, HOLD),
        ({}, {"firstAudioSeconds": 0}, HOLD), ({}, {"firstAudioSeconds": None}, HOLD),
    ],
)  # fmt: skip
def test_first_audio_beside_the_revision_that_serves(mine, other, verdict):
    assert verdicts(readings(**mine), readings(**other))["firstAudioRatio"] is verdict


def judged(url, reference=OLD):
    """As a step does: both revisions are asked for, and what they say is judged."""
    source = PrometheusSource(url=url, queries=QUERIES, timeout_seconds=2)
    said = [
        source.read(each, namespace="tts", window_seconds=60) if each else None for each in (NEW, reference)
    ]
    return judge(*said, limits=limits(), min_samples=10, max_age_seconds=60, subject=NEW, pass_percent=100)


def test_a_step_asks_for_both_revisions_and_refuses_the_slow_one():
    def reply(query):
        first_audio = "0.4" if NEW in query else "0.1"
        known = {"sum(increase(requests": "80", "sum(increase(errors": "0", "age": "3", "first": first_audio}
        return 200, vector(next((sample for start, sample in known.items() if query.startswith(start)), "1"))

    replies = Replies(reply)
    with replies.serving() as url:
        found = {each.name: each for each in judged(url)}
        alone = {each.name for each in judged(url, None)}
    slow = found["prometheus.firstAudioRatio"]
    assert slow.verdict is FAIL
    assert slow.values["candidate"] == 0.4
    assert slow.values["reference"] == 0.1
    assert NEW in slow.values["queries"]["candidate"]
    assert OLD in slow.values["queries"]["reference"]
    assert alone == {"prometheus.errors", "prometheus.ageSeconds"}


# What went wrong elsewhere, and must not here: from Prometheus' answer to the outcome of the release.


def outcome(reply):
    replies = Replies(reply)
    with replies.serving() as url:
        found = judged(url)
    assert found
    return outcome_of([Placed("step", 0, finding) for finding in found], [])[0], {
        each.verdict for each in found
    }


def test_argo_rollouts_4479_a_prometheus_that_only_errors_releases_nothing():
    error = {"status": "error", "errorType": "timeout", "error": "query timed out in expression evaluation"}
    assert outcome(lambda query: (503, error)) == ("refused", {HOLD})


def test_flagger_1035_a_canary_without_traffic_is_undecided():
    """A sum of nothing is an empty vector, `or vector(0)` makes a 0 of it, a quantile of nothing is NaN."""

    def reply(query):
        if query.startswith("sum(increase(errors"):
            return 200, vector("0")
        return 200, vector("NaN") if query.startswith(("p99", "first")) else vector()

    assert outcome(reply) == ("refused", {HOLD})


def test_flagger_1011_traffic_that_stopped_does_not_advance_on_its_old_values():
    def reply(query):
        known = {"sum(increase(requests": "80", "age": "312.5", "first": "0.1", "p99": "0.4"}
        return 200, vector(next((sample for start, sample in known.items() if query.startswith(start)), "0"))

    word, seen = outcome(reply)
    assert word == "refused"
    assert FAIL not in seen

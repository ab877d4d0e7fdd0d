"""spec.http <-> route, whatever is live."""

import json

import pytest

from release import route

from .simulation import V1, V2, V3, host_of, http_for


def test_a_route_is_read_and_compared_by_meaning():
    http = http_for({V1: 90, V2: 10})
    parsed = route.parse(http)
    assert parsed.weights == {host_of(V1): 90, host_of(V2): 10}
    assert parsed.pins == {"1.0.0": host_of(V1), "1.1.0": host_of(V2)}
    assert parsed.revisions == {V1, V2}
    assert parsed == route.parse(json.loads(json.dumps(http[::-1])))
    assert parsed != route.parse(http_for({V1: 80, V2: 20}))


@pytest.mark.parametrize(
    "http",
    [
        None,
        "text",
        [],
        [None, 3],
        [{"name": "weighted"}],
        [{"name": "weighted", "route": [{}]}],
        [{"name": "pin-1", "match": "x", "route": []}],
        [{"name": "pin-1", "match": [{"headers": None}]}],
    ],
)
def test_nonsense_is_an_empty_route(http):
    assert route.parse(http).weights == {}
    assert route.parse(http).pins == {}


def test_weights_that_do_not_sum_to_100_and_a_single_one_without_weight():
    def to(revision, **weight):
        return {"destination": {"host": host_of(revision)}, **weight}

    parsed = route.parse([{"route": [to(V1, weight=1), to(V2, weight=2), to(V3, weight=0)]}])
    assert parsed.weights == {host_of(V1): 33, host_of(V2): 67}
    assert route.parse([{"route": [to(V1)]}]).weights == {host_of(V1): 100}


def test_a_step_keeps_the_live_pin_of_the_same_version():
    live = http_for({V1: 100})
    declared = http_for({V2: 100})
    declared[0]["match"][0]["headers"]["x-tts-version"]["exact"] = "1.0.0"
    declared[-1]["timeout"] = "30s"
    http = route.step_http(declared, route.parse(live), {host_of(V1): 90, host_of(V2): 10, host_of(V3): 0})
    parsed = route.parse(http)
    assert parsed.pins == {"1.0.0": host_of(V1)}
    assert parsed.weights == {host_of(V1): 90, host_of(V2): 10}
    assert http[-1]["timeout"] == "30s"
    assert "match" not in http[-1]


def test_a_step_is_reachable_under_old_and_new_hosts():
    spec = route.step_spec({"hosts": ["b"], "gateways": ["g"]}, {"hosts": ["a"], "gateways": ["g"]}, [])
    assert spec == {"hosts": ["a", "b"], "gateways": ["g"], "http": []}


@pytest.mark.parametrize("text", [None, "not JSON", "{}", '"x"'])
def test_an_unreadable_annotation_leaves_what_is_live(text):
    annotations = {} if text is None else {route.STABLE: text}
    assert route.stable_http(annotations, http_for({V1: 100})) == http_for({V1: 100})


def test_the_annotation_is_what_was_dumped():
    http = http_for({V1: 100})
    assert route.stable_http({route.STABLE: route.dump(http)}, []) == http
    assert route.stable_http({route.STABLE: "[]"}, http) == []

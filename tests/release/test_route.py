"""spec.http <-> route, whatever is live."""

import json

import pytest

from release import route

from .plans import V1, V2, V3, V4, VERSIONS, destination, host_of, http_for, old_pin, pin

TWIN = "voice-1-0-0-eeeeee"
"""Another revision of V1's version."""


def names(http):
    return [entry["name"] for entry in http]


def test_a_route_is_read_and_compared_by_meaning():
    http = http_for({V1: 90, V2: 10})
    parsed = route.parse(http)
    assert parsed.weights == {host_of(V1): 90, host_of(V2): 10}
    assert parsed.pins == {"1.0.0": host_of(V1), "1.1.0": host_of(V2)}
    assert parsed.revisions == {V1, V2}
    assert parsed.versions == {V1: "1.0.0", V2: "1.1.0"}
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
        [{"name": "pin-1", "match": [{"headers": {"x-tts-version": {"exact": "1"}}}]}],
        [{"name": "speech", "match": [{}], "mirror": {}}],
        [{"name": "speech", "match": [{}], "mirror": "x"}],
    ],
)
def test_nonsense_is_an_empty_route(http):
    assert route.parse(http).weights == {}
    assert route.parse(http).pins == {}
    assert route.parse(http).mirrored == frozenset()


def test_weights_that_do_not_sum_to_100_and_a_single_one_without_weight():
    def to(revision, **weight):
        return {"destination": {"host": host_of(revision)}, **weight}

    parsed = route.parse([{"route": [to(V1, weight=1), to(V2, weight=2), to(V3, weight=0)]}])
    assert parsed.weights == {host_of(V1): 33, host_of(V2): 67}
    assert route.parse([{"route": [to(V1)]}]).weights == {host_of(V1): 100}


def test_an_older_pin_is_read_by_its_version():
    parsed = route.parse([old_pin(V1), *http_for({V2: 100})])
    assert parsed.pins == {"1.0.0": host_of(V1), "1.1.0": host_of(V2)}
    assert parsed.versions == {V1: "1.0.0", V2: "1.1.0"}
    http = route.step_http(http_for({V2: 100}), route.parse([old_pin(V1), *http_for({V1: 100})[1:]]),
                           {host_of(V1): 90, host_of(V2): 10})  # fmt: skip
    assert http[:2] == [old_pin(V1), pin(V2)]


def test_an_entry_that_pins_by_the_revision_alone_is_no_pin_of_a_version():
    alone = {**pin(V1), "match": [pin(V1)["match"][1]]}
    assert route.parse([alone]).pins == {}
    assert route.parse([alone]).weights == {}


def test_a_mirrored_revision_is_read_and_carries_nothing():
    parsed = route.parse(http_for({V1: 100}, mirror=V2))
    assert parsed.mirrored == {V2}
    assert parsed.weights == {host_of(V1): 100}
    assert parsed.pins == {"1.0.0": host_of(V1), "1.1.0": host_of(V2)}
    assert parsed != route.parse([pin(V2), *http_for({V1: 100})])


def test_nothing_is_mirrored_on_the_way_but_the_pins_stay():
    live, declared = http_for({V1: 100}, mirror=V2), http_for({V2: 100}, mirror=V3)
    declared[-1]["mirror"] = {"host": host_of(V3)}
    http = route.step_http(declared, route.parse(live), {host_of(V1): 90, host_of(V2): 10})
    assert names(http) == [f"pin-{V1}", f"pin-{V2}", f"pin-{V3}", "weighted"]
    assert "mirror" not in json.dumps(http)
    assert route.parse(http).mirrored == frozenset()


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


def test_of_two_revisions_of_one_version_the_live_one_wins_and_each_can_be_reached():
    declared = [
        pin(TWIN, "1.0.0"),
        {"name": "weighted", "route": [{"destination": destination(TWIN), "weight": 100}]},
    ]
    http = route.step_http(declared, route.parse(http_for({V1: 100})), {host_of(V1): 90, host_of(TWIN): 10})
    assert names(http) == [f"pin-{V1}", f"pin-{TWIN}", "weighted"]
    assert route.parse(http).pins == {"1.0.0": host_of(V1)}
    for entry, revision in zip(http, (V1, TWIN), strict=False):
        assert {"headers": {"x-tts-revision": {"exact": revision}}} in entry["match"]
        assert entry["route"] == [{"destination": destination(revision)}]


def test_a_revision_that_is_live_and_declared_is_pinned_once_as_it_is_live():
    live = [old_pin(V1), *http_for({V1: 100})[1:]]
    http = route.step_http(http_for({V1: 50, V2: 50}), route.parse(live), {host_of(V1): 80, host_of(V2): 20})
    assert names(http) == ["pin-1.0.0", f"pin-{V2}", "weighted"]


def test_only_leads_to_one_and_drops_the_pins_to_what_is_missing():
    live = route.parse(http_for({V1: 40, V2: 60}, warm=(V4,)))
    http = route.only(host_of(V2), http_for({V1: 100}), live, without=[host_of(V1)])
    assert names(http) == [f"pin-{V2}", f"pin-{V4}", "weighted"]
    assert route.parse(http).weights == {host_of(V2): 100}
    everything = route.only(host_of(V2), http_for({V1: 100}), live, without=[])
    assert names(everything) == [f"pin-{V1}", f"pin-{V2}", f"pin-{V4}", "weighted"]


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


@pytest.mark.parametrize("text", [None, "not JSON", "{}", '"x"', "null"])
def test_an_unreadable_list_proves_nobody(text):
    assert route.proven_of({} if text is None else {route.PROVEN: text}) == ()


def test_the_proven_are_the_newest_first_each_once_and_bounded():
    proven = ()
    for number in range(20):
        proven = route.proven_with(proven, [f"r{number}"])
    assert proven == tuple(f"r{number}" for number in range(19, 9, -1))
    assert len(proven) == route.PROVEN_KEPT
    again = route.proven_with(proven, ["r12"])
    assert again[0] == "r12"
    assert sorted(again) == sorted(proven)
    assert route.proven_with(["a"], ["c", "b"]) == ("b", "c", "a")
    assert route.proven_of({route.PROVEN: route.dump(again)}) == again


def test_weights_are_told_by_revision():
    assert route.describe({host_of(V2): 10, host_of(V1): 90}) == f"90 % {V1}, 10 % {V2}"
    assert route.describe({}) == "nothing"
    assert VERSIONS[V1] == "1.0.0"

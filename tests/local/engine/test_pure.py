"""The decisions that need no cluster: differences, durations, the live route, unknown values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import struct_pb2

from local.engine import diff
from local.engine.errors import EngineError
from local.engine.monitor import seconds_of
from local.engine.properties import UNKNOWN, from_struct, has_unknown, to_struct
from local.engine.route import Share, reachable, settled, shares
from local.engine.verdicts import Verdict, made_live, newest_events, verdicts, way_back


def test_differences_are_paths_with_old_and_new() -> None:
    live = {
        "metadata": {"name": "a", "uid": "1", "labels": {"x": "1"}},
        "spec": {"n": [1, {"b": 2}], "gone": 0},
    }
    future = {
        "metadata": {"name": "a", "resourceVersion": "2"},
        "spec": {"n": [1, {"b": 3}]},
        "status": {"s": 1},
    }
    assert [str(change) for change in diff.changes(live, future)] == [
        'metadata.labels: {"x":"1"} => (absent)',
        "spec.gone: 0 => (absent)",
        "spec.n[1].b: 2 => 3",
    ]


def test_long_values_are_shortened() -> None:
    (change,) = diff.changes({"data": {"a": "x" * 500}}, {"data": {"a": "y"}})
    assert len(change.old) == 60
    assert change.new == "y"


def test_what_is_not_known_yet_is_compared_with_nothing_and_told() -> None:
    wanted = {"spec": {"image": f"a@{UNKNOWN}", "other": UNKNOWN, "list": [UNKNOWN, "b"]}}
    live = {"spec": {"image": "a@1", "list": ["x", "b"]}}
    assert has_unknown(wanted)
    assert diff.without_unknown(wanted, live) == {"spec": {"image": "a@1", "list": ["x", "b"]}}
    assert [change.path for change in diff.unknown_changes(wanted, live)] == [
        "spec.image",
        "spec.other",
        "spec.list[0]",
    ]


def test_structs_keep_whole_numbers_and_open_secrets() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "s"}
    struct = to_struct({"port": 80, "half": 0.5, "token": secret, "none": None, "list": [{"a": 1}]})
    assert isinstance(struct, struct_pb2.Struct)
    values = from_struct(struct)
    assert values == {"port": 80, "half": 0.5, "token": "s", "none": None, "list": [{"a": 1}]}
    assert isinstance(values["port"], int)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("10m", 600), ("1h5m30s", 3930), ("200ms", 0.2)])
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "10m!"])
def test_a_wrong_duration_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="is no duration"):
        seconds_of(text)


def test_the_live_route_tells_who_gets_what() -> None:
    def to(revision: str, weight: int = 100) -> dict[str, object]:
        return {"destination": {"host": f"{revision}.tts.svc.cluster.local"}, "weight": weight}

    def pin(name: str, version: str, revision: str) -> dict[str, object]:
        by_revision = {"headers": {"x-tts-revision": {"exact": revision}}}
        match = [{"headers": {"x-tts-version": {"exact": version}}}]
        return {"name": name, "match": match + [by_revision] * (name != "pin-1.0.0"), "route": [to(revision)]}

    http: list[dict[str, object]] = [
        pin("pin-1.0.0", "1.0.0", "old"),  # as it was named before
        {"name": "weighted", "route": [to("old", 10), to("new", 90), to("never", 0)]},
        pin("pin-new", "1.1.0", "new"),
    ]
    route = {"spec": {"http": http}}
    assert shares(route) == (Share("new", "1.1.0", 90), Share("old", "1.0.0", 10))
    assert shares(route)[0].version == "1.1.0"
    assert shares({}) == ()
    canary = {"name": "speech", "match": [{"uri": {"exact": "/v1/audio/speech"}}], "route": [to("new")]}
    canary["mirror"] = to("canary")["destination"]
    http += [pin("pin-canary", "2.0.0", "canary"), pin("pin-twin", "1.1.0", "twin"), canary]
    assert reachable(route) == (
        Share("new", "1.1.0", 90),
        Share("old", "1.0.0", 10),
        Share("canary", "2.0.0", 0, mirrored=True),
        Share("twin", "1.1.0", 0),
    )


def test_a_route_is_settled_when_it_is_the_one_to_go_back_to() -> None:
    def route(**annotations: str) -> dict[str, Any]:
        return {"metadata": {"annotations": annotations}, "spec": {"http": [{"name": "weighted"}]}}

    assert settled(route())
    assert settled(route(**{"tts/stable": '[{"name": "weighted"}]'}))
    assert not settled(route(**{"tts/stable": "[]"}))
    assert not settled(route(**{"tts/stable": "[{"}))


def verdict(version: str, outcome: str = "released") -> Verdict:
    return Verdict("r", f"revision-{version}", version, outcome, "", (), "")


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ([], "Nothing to go back to"),
        ([verdict("2")], "Nothing to go back to"),
        ([verdict("2"), verdict("1")], "To go back: make release VERSION=1 STACK=dev"),
        (
            [verdict("2"), verdict("3", "refused"), verdict("1")],
            "To go back: make release VERSION=1 STACK=dev",
        ),
        (
            [verdict("2"), verdict("2"), verdict("1")],
            "To take back the last change, which was not of the version",
        ),
        (
            [verdict("3", "refused"), verdict("2"), verdict("1")],
            "clear the candidate away: make release VERSION=2 ",
        ),
        (
            [verdict("2", "refused"), verdict("2")],
            "clear the candidate away: undo the edit, then make up STACK=dev",
        ),
        ([verdict("3", "superseded"), verdict("2")], "Nothing to take back: version 2 never stopped."),
    ],
)
def test_the_way_back_is_the_line_to_type(known: list[Verdict], line: str) -> None:
    assert line in way_back("2", known, "STACK=dev")


def test_a_revision_is_live_since_the_release_that_made_it_so() -> None:
    first, canary, refused = (replace(verdict("2"), release=name) for name in ("first", "canary", "refused"))
    known = [
        replace(refused, revision="revision-3", outcome="refused"),
        canary,
        first,
        verdict("1"),
        verdict("2"),
    ]
    assert made_live("revision-2", known) is first
    assert made_live("revision-1", known) is None, "another one was released after it"
    assert made_live("revision-2", []) is None


def test_the_newest_verdict_is_the_one_that_ended_last_and_a_cut_receipt_is_none() -> None:
    def receipt(ended: str, text: str) -> dict[str, Any]:
        return {"metadata": {"annotations": {"tts/ended": ended}}, "data": {"receipt.json": text}}

    old, new = "2026-11-23T06:00:00Z", "2026-11-23T07:00:00Z"
    found = verdicts(
        [
            receipt(old, '{"release": "a", "outcome": "released", "target": {"version": "1"}}'),
            receipt(new, '{"release": "b", "outcome": "refused", "verdict": ["Too quiet."]}'),
            receipt("2026-11-24T07:00:00Z", "{"),
            {"metadata": {}, "data": {"receipt.json": "{}"}},
            {"metadata": {"annotations": {"tts/ended": new}}, "data": {"traffic.json": "{}"}},
            {"metadata": {}},
        ]
    )
    assert [(each.release, each.version, each.outcome) for each in found] == [
        ("b", "", "refused"),
        ("a", "1", "released"),
    ]
    assert found[0].sentences == ("Too quiet.",)


def test_the_last_events_are_told_in_the_order_of_time() -> None:
    def event(time: str, version: str, message: str) -> dict[str, Any]:
        metadata = {"creationTimestamp": "2026-11-23T05:00:00Z", "resourceVersion": version}
        return {"metadata": metadata, "lastTimestamp": time, "reason": "WeightsMoved", "message": message}

    at = "2026-11-23T06:00:00Z"
    events = [
        event(at, "10", "b"),
        event(at, "9", "a"),
        event("2026-11-23T07:00:00Z", "1", "c"),
        event("", "8", "0"),
    ]
    assert newest_events(events, 3) == [
        f"{at}  WeightsMoved: a",
        f"{at}  WeightsMoved: b",
        "2026-11-23T07:00:00Z  WeightsMoved: c",
    ]
    assert newest_events(events)[0].endswith("0")
    assert newest_events([]) == []


def test_the_protocols_constant_is_the_sdks() -> None:
    from pulumi.runtime import rpc

    assert rpc.UNKNOWN == UNKNOWN

"""The decisions that need no cluster: differences, durations, the live route, unknown values."""

from __future__ import annotations

import pytest
from google.protobuf import struct_pb2

from local.engine import diff
from local.engine.errors import EngineError
from local.engine.monitor import seconds_of
from local.engine.properties import UNKNOWN, from_struct, has_unknown, to_struct
from local.engine.route import Share, shares


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

    http = [
        {"name": "pin-1.0.0", "route": [to("old")]},
        {"name": "weighted", "route": [to("old", 10), to("new", 90), to("never", 0)]},
        {"name": "pin-1.1.0", "route": [to("new")]},
    ]
    route = {"spec": {"http": http}}
    assert shares(route) == (Share("new", "1.1.0", 90), Share("old", "1.0.0", 10))
    assert shares(route)[0].version == "1.1.0"
    assert shares({}) == ()


def test_the_protocols_constant_is_the_sdks() -> None:
    from pulumi.runtime import rpc

    assert rpc.UNKNOWN == UNKNOWN

"""The ramp: whole percents that sum to 100, go one way only, and start from anything."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from release.planner import apportion, normalise, ramp, rising

names = st.sampled_from(["a", "b", "c", "d", "e"])
weights = st.dictionaries(names, st.integers(1, 1000), min_size=1).map(normalise).filter(bool)
steps = st.sets(st.integers(1, 99), max_size=6).map(lambda found: (*sorted(found), 100))


@given(live=weights, target=weights, way=steps)
def test_ramp_sums_moves_one_way_and_arrives(live, target, way):
    walked = [live, *ramp(live, target, way)]
    for before, after in pairwise(walked):
        assert sum(after.values()) == 100
        assert all(type(weight) is int and weight > 0 for weight in after.values())
        assert after != before
        for name in {*before, *after}:
            was, now, wanted = (part.get(name, 0) for part in (before, after, target))
            assert min(was, wanted) <= now <= max(was, wanted), name
    assert walked[-1] == target
    assert len(walked) <= len(way) + 1


@given(live=weights, target=weights, way=steps, data=st.data())
def test_ramp_resumes_from_where_it_was_stopped(live, target, way, data):
    walked = [live, *ramp(live, target, way)]
    stopped = data.draw(st.sampled_from(walked))
    rest = ramp(stopped, target, way)
    assert (rest[-1] if rest else stopped) == target
    for name in {*stopped, *target}:
        series = [part.get(name, 0) for part in (stopped, *rest)]
        assert series in (sorted(series), sorted(series, reverse=True))


@given(live=weights, target=weights, way=steps)
def test_removed_destinations_disappear(live, target, way):
    for name in set(live) - set(target):
        assert name not in ([live, *ramp(live, target, way)])[-1]


@given(shares=st.dictionaries(names, st.integers(0, 100), min_size=1), data=st.data())
def test_apportion_is_exact_and_nobody_gets_more_than_their_share(shares, data):
    total = data.draw(st.integers(0, sum(shares.values())))
    units = apportion(shares, total)
    assert sum(units.values()) == total
    assert all(0 <= units[name] <= share for name, share in shares.items())


def test_two_versions_in_the_usual_steps():
    assert ramp({"old": 100}, {"new": 100}, (10, 50, 100)) == [
        {"old": 90, "new": 10},
        {"old": 50, "new": 50},
        {"new": 100},
    ]


def test_nothing_to_move_gives_no_steps():
    assert ramp({"new": 100}, {"new": 100}, (10, 50, 100)) == []


def test_largest_remainder_keeps_the_sum():
    assert normalise({"a": 1, "b": 1, "c": 1}) == {"a": 34, "b": 33, "c": 33}
    assert normalise({"a": 0}) == {}


def test_rising_names_what_gains():
    assert rising({"a": 50, "b": 50}, {"a": 40, "b": 50, "c": 10}) == ["c"]

"""Replicas that change while a release goes on: an autoscaler that does what it may, at any moment."""

from dataclasses import replace

import pytest

from release import autoscalers, capacity, route
from release.errors import ClusterError
from release.walk import REFUSED, RELEASED, SUPERSEDED, TERMINATED

from .laws import BrokenLawError
from .plans import V1, V2, V3, plan_for
from .runs import T1, T2, T3, Guarded, Stepper, StopAt, run_job, serving
from .simulation import View
from .test_guard import SILENCE
from .test_stops import kill
from .test_walk import changes
from .world import STARTING, Killed

pytestmark = pytest.mark.usefixtures("from_memory")

LEAST, MOST = 2, 8


def scaled(release, revision, **settings):
    return plan_for(revision, release=f"voice-release-{release}", replicas=(LEAST, MOST), **settings)


NEW = scaled("new", V2)
NEWER = scaled("newer", V3)
OLD = scaled("old", V1)


def world_of(live=5, *, plan=NEW, before=None, **settings):
    """V1 serves with `live` pods and an autoscaler; the other Deployments have one pod, as they begin."""
    world = serving(V1, V2, V3)
    for name, desired, holder in ((V1, live, ""), (V2, 1, None), (V3, 1, None)):
        found = world.revisions[name]
        found.desired, found.ready, found.holder, found.asked = desired, desired, holder, False
    if before is not None:
        world.start_job(before.release, "2026-11-23T06:30:00Z")
        assert run_job(world, before).code == RELEASED
        for target in before.targets:  # they are declared once the Job is over
            world.revisions[target.revision].holder = ""
    for name, value in settings.items():
        setattr(world.revisions[V2], name, value)
    world.start_job(plan.release, T1)
    del world.history[:-1]
    return world


def points(world, plan):
    passed = []
    run_job(world, plan, hook=lambda when, what: passed.append(what))
    return len(passed)


def grow(world, by=3):
    world.autoscale(V1, world.revisions[V1].desired + by)


def shrink(world):
    for name in world.revisions:
        world.autoscale(name, LEAST)


def held(world):
    return [name for name, found in world.revisions.items() if found.holder]


@pytest.mark.parametrize(("live", "wanted"), [(1, LEAST), (2, 2), (5, 5), (8, 8), (12, MOST)])
def test_a_candidate_starts_with_the_pods_that_the_live_revision_has_now(live, wanted):
    world = world_of(live)
    assert run_job(world, NEW).code == RELEASED
    assert (world.revisions[V2].desired, world.revisions[V2].ready) == (wanted, wanted)
    assert world.revisions[V2].asked
    assert world.revisions[V1].desired == live
    said = [event["event"] for event in world.receipts[NEW.release]["events"]]
    assert f"{V2} is asked for {wanted} replicas instead of 1." in said
    # one ramp, and not before all of them are ready
    assert changes(world) == [{V1: 90, V2: 10}, {V1: 50, V2: 50}, {V2: 100}]
    assert world.receipts[NEW.release]["steps"][0]["at"] >= STARTING


def test_autoscalers_are_held_on_the_way_and_let_go_at_the_end():
    world, holders = world_of(), set()

    def look(when, what):
        if world.weights() not in ({V1: 100}, {V2: 100}):
            holders.add(world.revisions[V1].holder)
            kept = world.route["metadata"]["annotations"].get(route.REPLICAS)
            assert kept == f'{{"{V1}":5}}'

    run_job(world, NEW, hook=look)
    (holder,) = holders
    assert holder.startswith(f"{NEW.release}/")
    assert held(world) == []
    assert route.REPLICAS not in world.route["metadata"]["annotations"]


def test_a_number_that_nobody_has_asked_for_is_asked_for_as_it_is():
    """Otherwise an update that stops declaring it, for an autoscaler's sake, would leave one pod."""
    world = world_of(3)
    plan = plan_for(V1, release="voice-release-fixed", replicas=(3, 3))
    world.start_job(plan.release, T1)
    assert not world.revisions[V1].asked
    assert run_job(world, plan).code == RELEASED
    assert (world.revisions[V1].asked, world.revisions[V1].desired) == (True, 3)
    assert held(world) == []


@pytest.mark.parametrize(
    ("canary", "wanted"),
    [({"weight": 10}, LEAST), ({"weight": 30}, 3), ({"weight": 50}, 4), ({"mirror": True}, 8)],
)
def test_a_canary_gets_pods_by_its_share(canary, wanted):
    plan = scaled("canary", V1, canary={"revision": V2, **canary})
    world = world_of(8, plan=plan)
    assert run_job(world, plan).code == RELEASED
    assert world.revisions[V2].desired == wanted
    assert world.revisions[V1].desired == 8


def test_a_canary_that_is_promoted_gets_as_many_a_percent_as_the_live_one():
    fed = scaled("fed", V1, canary={"revision": V2, "weight": 30})
    world = world_of(7, before=fed)
    assert world.revisions[V2].desired == 3
    run_job(world, NEW, hook=lambda when, what: shrink(world) if 30 < world.weights()[V2] < 100 else None)
    assert world.revisions[V2].desired == MOST  # 7 for 70 % are 10
    assert world.weights() == {V2: 100}


def test_a_warm_version_is_raised_before_it_gets_traffic_and_at_once_when_it_is_big_enough():
    kept = scaled("kept", V2, warm=(V1,))
    for shrunk, waited in ((True, True), (False, False)):
        world = world_of(5, before=kept)
        if shrunk:
            world.autoscale(V1, LEAST)
        back = scaled("back", V1, warm=(V2,))
        world.start_job(back.release, T2)
        begin = world.time
        assert run_job(world, back).code == RELEASED
        assert world.revisions[V1].desired == 5
        assert (world.receipts[back.release]["steps"][0]["at"] >= STARTING) == waited
        assert (world.time - begin >= STARTING) == waited


def test_the_live_revision_grows_anywhere():
    for number in range(points(world_of(), NEW)):
        world = world_of()
        grown = StopAt(number, lambda world=world: grow(world))
        assert run_job(world, NEW, hook=grown).code == RELEASED, number
        last = [weights.get(V1, 0) for weights in world.history if weights.get(V1, 0)][-1]
        assert last == 50
        # the last growth that could be seen was before the last step's weights were written
        assert world.revisions[V2].desired in (5, MOST), number
        assert held(world) == []


def test_growth_at_half_of_the_traffic_counts_twice():
    world = world_of(3)

    def at_half(when, what):
        if world.weights() == {V1: 50, V2: 50} and world.revisions[V1].desired == 3:
            world.autoscale(V1, 4)

    assert run_job(world, NEW, hook=at_half).code == RELEASED
    assert world.revisions[V2].desired == 8


def test_an_autoscaler_takes_away_what_it_may_anywhere():
    total = points(world_of(), NEW)
    for number in range(total):
        world = world_of()
        assert run_job(world, NEW, hook=StopAt(number, lambda world=world: shrink(world))).code == RELEASED
        assert world.revisions[V2].desired in (LEAST, 5), number


@pytest.mark.parametrize("act", [grow, shrink])
def test_a_restoration_waits_for_no_pod_that_was_not_there_at_the_begin(act):
    """Whatever the autoscaler has done on the way: one write, at once."""
    spoilt = {"route_status": 500}
    for number in range(points(world_of(**spoilt), NEW)):
        world = world_of(**spoilt)
        assert run_job(world, NEW, hook=StopAt(number, lambda world=world: act(world))).code == REFUSED
        assert changes(world) == [{V1: 90, V2: 10}, {V1: 100}], number
        assert world.receipts[NEW.release]["restoreSeconds"] < 0.1
        assert held(world) == []


def test_the_guard_waits_for_no_such_pod_either():
    for number in range(points(world_of(), NEW)):
        world = world_of()
        with pytest.raises(Killed):
            run_job(world, NEW, hook=StopAt(number, kill))
        on_the_way = world.weights() != world.stable_weights()
        grow(world)
        shrink(world)
        del world.history[:-1]
        Guarded(world, NEW).run(SILENCE)
        assert world.weights() == world.stable_weights(), number
        if on_the_way:
            assert changes(world) == [{V1: 100}], number
            assert held(world) == [], number


@pytest.mark.parametrize("then", [NEW, OLD])
def test_killed_anywhere_and_gone_on_with(then):
    for number in range(points(world_of(), NEW)):
        world = world_of()
        with pytest.raises(Killed):
            run_job(world, NEW, hook=StopAt(number, kill))
        grow(world)
        shrink(world)
        world.start_job(then.release, T2)
        assert run_job(world, then).code == RELEASED, number
        assert held(world) == []
        assert world.revisions[then.target.revision].desired >= LEAST


def test_sigterm_anywhere():
    for number in range(points(world_of(), NEW)):
        world = world_of()
        view = View(world, NEW)

        def stop(view=view, world=world):
            grow(world)
            view.stopped = True

        outcome = run_job(world, NEW, hook=StopAt(number, stop), view=view)
        assert outcome.code in (TERMINATED, RELEASED)
        assert world.weights() == world.stable_weights()
        assert held(world) == []


@pytest.mark.parametrize("newer", [NEWER, OLD])
def test_a_newer_release_takes_over_and_an_older_one_lets_no_autoscaler_go(newer):
    """The laws look into each write; here an autoscaler takes away what it may after every step."""
    world = world_of()
    world.start_job(newer.release, T2)
    walks = Stepper(world, NEW), Stepper(world, newer)
    counts = []
    for walk in walks:
        walk.finish()
        counts.append(walk.steps)
    for paused in range(1, counts[0], 4):
        for ahead in range(1 + paused % 3, counts[1], 7):
            world = world_of()
            world.start_job(newer.release, T2)
            first, second = Stepper(world, NEW), Stepper(world, newer)
            first.step(paused)
            second.step(ahead)
            while not first.ended:
                first.step()
                shrink(world)
            assert second.finish().code == RELEASED, (paused, ahead)
            assert first.finish().code in (RELEASED, SUPERSEDED)
            assert held(world) == []


def test_pods_that_were_asked_for_have_their_own_time_to_start(monkeypatch):
    monkeypatch.setattr("tests.release.world.STARTING", 1e9)
    world = world_of()
    outcome = run_job(world, NEW)
    assert outcome.code == REFUSED
    assert f"Revision {V2} was not ready after 60 s: 1 of 5 replicas are ready" in outcome.sentences[1]
    assert 60 <= world.time < 75
    assert changes(world) == []
    assert world.revisions[V2].desired == 5


def test_a_restarted_run_gives_them_that_time_too(monkeypatch):
    monkeypatch.setattr("tests.release.world.STARTING", 30.0)
    world = world_of()
    begin = world.time

    def stop(when, what):
        if world.time > begin + 2:
            raise Killed

    with pytest.raises(Killed):
        run_job(world, NEW, hook=stop)
    assert run_job(world, NEW).code == RELEASED
    assert world.revisions[V2].ready == 5


def test_autoscalers_that_cannot_be_let_go_change_nothing_of_a_release():
    world = world_of()

    def fail(when, what):
        if (when, what) == ("before", "list autoscalers") and world.stable_weights() == {V2: 100}:
            raise ClusterError("403")

    assert run_job(world, NEW, hook=fail).code == RELEASED
    assert held(world) == [V1]
    assert (
        "take no pods away until the next release: 403" in world.receipts[NEW.release]["events"][-1]["event"]
    )
    world.start_job(OLD.release, T3)
    assert run_job(world, OLD).code == RELEASED
    assert held(world) == []


def test_a_fixed_number_is_no_reason_to_let_a_live_one_shrink():
    """tts:autoscaling was taken away together with a new version: the live one still has its autoscaler."""
    world = world_of(5)
    world.start_job("voice-release-off", T1)
    plan = plan_for(V2, release="voice-release-off", replicas=(3, 3))
    world.revisions[V2].desired = world.revisions[V2].ready = 3
    seen = []

    def look(when, what):
        shrink(world) if len(world.weights()) > 1 else None
        seen.append(world.revisions[V1].desired)

    assert run_job(world, plan, hook=look).code == RELEASED
    assert set(seen) == {5}
    assert world.revisions[V2].desired == 3


def test_the_laws_see_a_candidate_that_is_too_small(monkeypatch):
    monkeypatch.setattr(capacity.Capacity, "_needed", lambda self, target: target.replicas)
    with pytest.raises(BrokenLawError, match="gets 50 % with pods for 40 %"):
        run_job(world_of(5), NEW)


def test_the_laws_see_a_candidate_that_does_not_follow(monkeypatch):
    monkeypatch.setattr(capacity.Capacity, "saw", lambda self, revision, workload: False)
    world = world_of(4)

    def at_half(when, what):
        if world.weights() == {V1: 50, V2: 50} and world.revisions[V1].desired == 4:
            world.autoscale(V1, 6)

    with pytest.raises(BrokenLawError, match="gets 100 % with pods for 66 %"):
        run_job(world, NEW, hook=at_half)


def test_the_laws_see_autoscalers_that_nobody_holds(monkeypatch):
    monkeypatch.setattr(autoscalers, "hold", lambda cluster, tenure: True)
    with pytest.raises(BrokenLawError, match=f"The autoscaler of {V1} may take pods away"):
        run_job(world_of(5), NEW)


def late(paused):
    """An older release that has settled and is about to let the autoscalers go, and a newer one half way."""
    world = world_of()
    world.start_job(NEWER.release, T2)
    first, second = Stepper(world, NEW), Stepper(world, NEWER)
    while world.stable_weights() != {V2: 100}:
        first.step()
    first.step(paused)
    world.revisions[V2].holder = ""
    while world.weights() != {V2: 50, V3: 50}:
        second.step()
    return world, first, second


@pytest.mark.parametrize("paused", range(4))
def test_an_older_release_that_is_late_lets_no_autoscaler_go(paused):
    world, first, second = late(paused)
    assert first.finish().code == RELEASED
    assert held(world) == [V1, V2]
    assert second.finish().code == RELEASED
    assert held(world) == []


def test_the_laws_see_an_older_release_that_does_not_look_at_the_lease(monkeypatch):
    def blind(cluster, tenure, say):
        for each in cluster.autoscalers():
            cluster.hold_autoscaler(each.revision, "", resource_version=each.resource_version)
        return True

    monkeypatch.setattr(autoscalers, "free", blind)
    _, first, second = late(0)
    with pytest.raises(BrokenLawError, match="let go on the way"):
        first.finish()
    assert second.finish().code == RELEASED


def test_a_plan_says_how_many_at_most():
    assert NEW.autoscaled
    assert not plan_for(V2).autoscaled
    assert (NEW.target.replicas, NEW.target.max_replicas, NEW.target.start_seconds) == (LEAST, MOST, 60)
    assert replace(NEW, target=replace(NEW.target, max_replicas=LEAST)).autoscaled is False

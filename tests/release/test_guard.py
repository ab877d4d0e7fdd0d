"""The guard: what it does when the Job is gone, and when it ends."""

from dataclasses import replace

import pytest

from release import route
from release.errors import ClusterError, ConflictError
from release.guard import TERMINATED
from release.lease import LEASE_SECONDS
from release.walk import RELEASED

from .plans import V1, V2, V3, http_for, plan_for
from .runs import T2, T3, Guarded, StopAt, run_job, serving
from .simulation import View
from .situations import CASES, SITUATIONS, weights_of
from .test_stops import cells, kill, points, stopped
from .world import Killed

pytestmark = pytest.mark.usefixtures("from_memory")

SILENCE = LEASE_SECONDS + 2
"""Seconds: a look each half second, and what its own requests take."""
GOOD = SITUATIONS["good"]


def half_way(number=None):
    """Killed in the middle of the ramp."""
    world = GOOD.world()

    def stop(when, what):
        if world.weights() == {V1: 50, V2: 50}:
            raise Killed

    with pytest.raises(Killed):
        run_job(world, GOOD.plan, hook=stop)
    return world


def made_good(world, situation):
    """What was before is back whole, or what is declared had settled already."""
    declared = route.parse(situation.plan.declared_http)
    live = route.parse(world.route["spec"]["http"]) if world.route else None
    if live is None:
        return situation.stable == {}
    assert world.route["spec"]["http"] == world.stable_http()
    return world.weights() == situation.stable or live == declared


@pytest.mark.parametrize(("kind", "situation"), CASES)
def test_a_job_killed_anywhere_and_not_replaced_is_made_good_in_time(kind, situation):
    for number in cells(situation):
        world = stopped(situation, number)
        before = world.route and (world.route["spec"]["http"], world.stable_http())
        code = Guarded(world, situation.plan).run(SILENCE)
        assert made_good(world, situation), (number, world.weights())
        assert world.nothing_missing()
        reasons = [reason for reason, _ in world.events]
        dead = before is not None and before[0] != before[1]
        assert reasons.count("DeadMan") == dead, number
        assert code is None or world.revisions.keys() <= {each.revision for each in situation.plan.targets}
        if not situation.bad:
            world.start_job(situation.plan.release, T2)
            assert run_job(world, situation.plan).code == RELEASED, number
            assert world.weights() == weights_of(situation.plan)


def test_not_before_the_lease_has_run_out():
    world = half_way()
    assert Guarded(world, GOOD.plan).run(LEASE_SECONDS - 0.5) is None
    assert world.weights() == {V1: 50, V2: 50}


def test_it_restores_in_one_write_and_says_so():
    world = half_way()
    before = len(world.history)
    guarded = Guarded(world, GOOD.plan)
    assert guarded.run(3 * LEASE_SECONDS) is None
    assert world.history[before:] == [{V1: 100}]
    assert world.lease.holder == f"{GOOD.plan.release}/{guarded.guard._run}"
    (said,) = (said for reason, said in world.events if reason == "DeadMan")
    assert "was silent for 2" in said
    assert f"The stable route is live: 100 % {V1}." in said
    assert "half way" in guarded.story


def test_the_route_comes_back_in_parts_when_the_pods_of_the_stable_revision_are_few():
    world = half_way()
    world.revisions[V1].desired, world.revisions[V1].ready = 4, 1
    guarded = Guarded(world, GOOD.plan)
    begin = len(world.history)

    def grow(when, what):
        if (when, what) == ("before", "read workload") and len(world.history) > begin:
            world.revisions[V1].ready = 4

    world.history.append({V1: 0, V2: 100})
    world.put_route({**world.route, "spec": {**world.route["spec"], "http": http_for({V2: 100})}})
    begin = len(world.history)
    guarded.view.hook = grow
    assert guarded.run(SILENCE + 10) is None
    assert world.history[begin:] == [{V1: 25, V2: 75}, {V1: 100}]


def test_it_leaves_a_first_install_without_route():
    world = stopped(SITUATIONS["first"], points(SITUATIONS["first"]) - 4)
    assert world.weights() == {V2: 100}
    assert Guarded(world, SITUATIONS["first"].plan).run(SILENCE) is None
    assert world.route is None


def test_it_ends_when_settled_and_the_others_are_gone():
    world = GOOD.world()
    guarded = Guarded(world, GOOD.plan)
    assert run_job(world, GOOD.plan).code == RELEASED
    assert guarded.run(30) is None
    del world.revisions[V1]
    again = Guarded(world, GOOD.plan)
    assert again.run(30) == 0
    assert again.guard.tally.dropped == 0
    assert not [holder for holder in world.holders if "guard" in holder]


def test_it_counts_while_the_old_revision_goes_and_says_the_number():
    world = GOOD.world()
    assert run_job(world, GOOD.plan).code == RELEASED
    guarded = Guarded(world, GOOD.plan)

    def gone(when, what):
        if world.time > began + 20:
            world.revisions.pop(V1, None)

    began, guarded.view.hook = world.time, gone
    assert guarded.run(60) == 0
    traffic = world.traffic
    assert traffic["done"] is True
    assert 60 < traffic["sent"] == guarded.guard.tally.sent
    assert traffic["sentence"].startswith(f"dropped 0 of {traffic['sent']} (at most ")
    assert traffic["sentence"] in guarded.story


@pytest.mark.parametrize(("allowed", "sent"), [(12, 4), (2, 2), (0.5, 0.5)])
def test_it_sends_no_more_than_the_stack_lets_a_release_send(allowed, sent):
    """A model that speaks one text at a time is not kept busy by its guard; every second one is speech."""
    world = GOOD.world()
    assert run_job(world, GOOD.plan).code == RELEASED
    rollout = replace(GOOD.plan.rollout, probes_per_second=allowed)
    guarded = Guarded(world, replace(GOOD.plan, rollout=rollout))
    asked: list[bool] = []
    send = guarded.guard._prober.send
    guarded.guard._prober.send = lambda probe: (asked.append(probe.text is not None), send(probe))
    guarded.run(40)
    assert abs(len(asked) - 40 * sent) <= 3 * sent + 1
    assert abs(2 * sum(asked) - len(asked)) <= 2


def test_answers_that_are_not_whole_are_counted_with_their_reasons():
    world = GOOD.world()
    assert run_job(world, GOOD.plan).code == RELEASED
    world.revisions[V2].route_wrong_every, world.revisions[V2].answered = 10, 0
    guarded = Guarded(world, GOOD.plan)
    assert guarded.run(30) is None
    tally = guarded.guard.tally
    assert tally.dropped == tally.sent // 10 > 5
    assert world.traffic["reasons"] == ["The answer was 500."]
    assert world.traffic["done"] is False


def test_busy_answers_are_answers():
    world = GOOD.world()
    assert run_job(world, GOOD.plan).code == RELEASED
    guarded = Guarded(world, GOOD.plan)

    def busy(when, what):
        if world.time > began + 5:
            world.revisions[V2].route_status = 429

    began, guarded.view.hook = world.time, busy
    guarded.run(30)
    assert guarded.guard.tally.dropped == 0
    assert guarded.guard.tally.busy > 50


def test_before_there_is_a_route_nothing_is_dropped():
    world = SITUATIONS["first"].world()
    guarded = Guarded(world, SITUATIONS["first"].plan)
    assert guarded.run(10) is None
    assert guarded.guard.tally.sent == 0
    assert world.traffic == {}


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_ends_when_a_newer_release_has_the_lease(when):
    world = half_way()
    next_plan = plan_for(V3, release="voice-release-next")
    world.deploy(V3)
    world.start_job(next_plan.release, T3)
    guarded = Guarded(world, GOOD.plan)
    done = []

    def newer(when_, what):
        if not done and world.time > began + (5 if when == "before" else LEASE_SECONDS + 3):
            done.append(True)
            assert run_job(world, next_plan).code == RELEASED

    began, guarded.view.hook = world.time, newer
    assert guarded.run(200) == 0
    assert done
    assert "A newer release has begun" in guarded.story
    assert world.weights() == {V3: 100}


def test_a_guard_that_starts_while_the_release_before_still_holds_the_lease_waits_for_its_own():
    world = GOOD.world()
    guarded = Guarded(world, GOOD.plan)
    assert world.lease.holder.startswith(GOOD.before[0].release)
    assert guarded.run(LEASE_SECONDS * 3) is None
    assert not [reason for reason, _ in world.events if reason == "DeadMan"]
    assert world.weights() == {V1: 100}


def test_a_half_way_route_of_another_release_is_left_to_its_own_guard():
    world = half_way()
    other = plan_for(V3, release="voice-release-other")
    world.deploy(V3)
    assert Guarded(world, other).run(3 * LEASE_SECONDS) is None
    assert world.weights() == {V1: 50, V2: 50}


def test_sigterm_ends_it_and_keeps_the_count():
    world = GOOD.world()
    assert run_job(world, GOOD.plan).code == RELEASED
    guarded = Guarded(world, GOOD.plan)

    def stop(when, what):
        guarded.view.stopped = guarded.view.stopped or world.time > began + 8.2

    began, guarded.view.hook = world.time, stop
    assert guarded.run(60) == TERMINATED
    assert world.traffic["done"] is False


def test_after_the_release_gave_up_no_more_requests_are_sent():
    world = half_way()
    guarded = Guarded(world, GOOD.plan)
    guarded.run(2 * SILENCE)
    sent = guarded.guard.tally.sent
    assert world.traffic["done"] is True
    guarded.run(100)
    assert guarded.guard.tally.sent == sent > 50


class Fails:
    """A hook that makes some calls fail: before they reach the API, or their answers after."""

    def __init__(self, numbers, *, when="before", error=ClusterError):
        self.numbers, self.when, self.error, self.number = numbers, when, error, -1

    def __call__(self, when, what):
        self.number += when == self.when
        if when == self.when and self.number in self.numbers:
            raise self.error(f"Could not {what} for 90 s: 503.")


@pytest.mark.parametrize("every", [2, 3, 7, 13])
def test_it_lives_through_api_errors_and_restores_as_soon_as_they_let_it(every):
    """Each second, third .. call fails, the restoration's too, for half a minute."""
    for offset in range(every):
        world = half_way()
        guarded = Guarded(world, GOOD.plan)
        guarded.view.hook = Fails(range(offset, 10**6, every))
        assert guarded.run(LEASE_SECONDS + 10) is None
        guarded.view.hook = lambda when, what: None
        guarded.run(2)
        assert world.weights() == {V1: 100}, offset
        assert "could not be looked at" in guarded.story


@pytest.mark.parametrize("when", ["before", "after"])
def test_any_one_call_may_fail_and_the_route_still_comes_back(when):
    total = StopAt(10**9, kill)
    guarded = Guarded(half_way(), GOOD.plan)
    guarded.view.hook = total
    guarded.run(SILENCE)
    calls = (10**9 - total.left) // 2
    for number in range(calls):
        world = half_way()
        guarded = Guarded(world, GOOD.plan)
        guarded.view.hook = Fails({number}, when=when)
        guarded.run(SILENCE + 1)
        assert world.weights() == world.stable_weights() == {V1: 100}, number


@pytest.mark.parametrize("lost", range(6))
def test_the_answer_of_any_write_of_the_guard_may_be_lost(lost):
    """It landed, and its repetition met its own resourceVersion's end."""
    world, writes = half_way(), []
    guarded = Guarded(world, GOOD.plan)

    def lose(when, what):
        if when == "after" and what in ("write lease", "write route"):
            writes.append(what)
            if len(writes) == lost + 1:
                raise ConflictError("lost")

    guarded.view.hook = lose
    guarded.run(SILENCE + 1)
    assert world.weights() == world.stable_weights() == {V1: 100}
    assert "write route" in writes


@pytest.mark.parametrize("what", ["read lease", "read route"])
@pytest.mark.parametrize("answered", [False, True])
def test_while_the_api_was_away_the_release_could_not_renew_either(what, answered):
    """A call of 90 s, answered in the end or not; the release goes on a second later."""
    world = half_way()
    guarded = Guarded(world, GOOD.plan)
    done = []

    def away(when, point):
        if not done and (when, point) == ("before", what) and world.time > began + 3:
            done.append(world.time)
            world.time += 90
            if not answered:
                raise ClusterError("Could not read for 90 s: 503.")
        elif done and world.time > done[0] + 91 and len(done) == 1:
            done.append(world.time)
            view = View(world, GOOD.plan)
            view.write_lease(world.lease.holder, world.lease.order,
                             resource_version=world.lease.resource_version)  # fmt: skip

    began, guarded.view.hook = world.time, away
    guarded.run(3 + 90 + LEASE_SECONDS - 1)
    assert len(done) == 2
    assert not [holder for holder in world.holders if "guard" in holder]
    assert world.weights() == {V1: 50, V2: 50}


def test_serving_is_settled():
    assert serving(V1).settled == {V1}

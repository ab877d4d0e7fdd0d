"""The way back: in one write, in parts while the pods are few, and to something else when there are none."""

from dataclasses import dataclass

import pytest

from release import route
from release.errors import ClusterError
from release.restore import Restore
from release.walk import REFUSED, RELEASED

from .plans import V1, V2, V3, http_for, plan_for
from .runs import T1, StopAt, run_job, serving
from .simulation import View
from .situations import SITUATIONS, weights_of
from .test_stops import cells
from .test_walk import JOB, changes, stable, world_with_candidate
from .world import Killed

pytestmark = pytest.mark.usefixtures("from_memory")

PLAN = plan_for(V2)


def spoil_at(world, weights, act):
    """A hook: once these weights are live, `act` and let the candidate answer 500."""
    done = []

    def hook(when, what):
        if not done and world.weights() == weights:
            done.append(True)
            world.revisions[V2].route_status = 500
            act(world)

    return hook


@pytest.mark.parametrize("at", [{V1: 90, V2: 10}, {V1: 50, V2: 50}, {V2: 100}])
def test_between_verdict_and_stable_weights_lies_one_write(at):
    world = world_with_candidate()
    view = View(world, PLAN)
    spoil, after = spoil_at(world, at, lambda world: None), []

    def hook(when, what):
        spoil(when, what)
        if when == "before" and view.record.verdict_at is not None:
            after.append((what, world.weights()))

    assert run_job(world, PLAN, hook=hook, view=view).code == REFUSED
    assert after[0] == ("write route", at)
    assert [what for what, _ in after].count("write route") == 1
    assert all(weights == {V1: 100} for _, weights in after[1:])
    assert world.receipts[JOB]["restoreSeconds"] < 0.1


def few(ready):
    def act(world):
        world.revisions[V1].desired, world.revisions[V1].ready = 4, ready

    return act


def growing(world, hook, *, every=1.0):
    """One pod of V1 more becomes ready each second after the candidate was spoilt."""
    state = {}

    def grow(when, what):
        hook(when, what)
        if world.revisions[V2].route_status == 500:
            begin = state.setdefault("at", world.time)
            world.revisions[V1].ready = min(4, 1 + int((world.time - begin) / every))

    return grow


def test_weight_comes_back_in_parts_as_pods_become_ready():
    """Argo Rollouts, pull request 4612: a rollback gave a stable version that had been scaled down all of the
    traffic at once."""
    world = world_with_candidate()
    outcome = run_job(world, PLAN, hook=growing(world, spoil_at(world, {V2: 100}, few(1))))
    assert outcome.code == REFUSED
    back = changes(world)[3:]
    assert back == [{V1: 25, V2: 75}, {V1: 50, V2: 50}, {V1: 75, V2: 25}, {V1: 100}]
    assert stable(world) == route.parse(http_for({V1: 100}))
    assert outcome.sentences[-1] == f"The stable route is live: 100 % {V1}."


def test_what_the_stable_revision_still_has_is_not_taken_from_it():
    world = world_with_candidate()
    hook = growing(world, spoil_at(world, {V1: 50, V2: 50}, few(1)), every=2.0)
    assert run_job(world, PLAN, hook=hook).code == REFUSED
    assert changes(world)[2:] == [{V1: 75, V2: 25}, {V1: 100}]


def test_after_ready_seconds_the_stable_revision_gets_all_although_it_is_small():
    """The candidate was refused; a stable revision that is too small is the lesser evil by then."""
    world = world_with_candidate()
    outcome = run_job(world, PLAN, hook=spoil_at(world, {V2: 100}, few(2)))
    assert changes(world)[3:] == [{V1: 50, V2: 50}, {V1: 100}]
    assert "Not all of its pods are ready." in outcome.sentences[-1]
    assert world.receipts[JOB]["restoreSeconds"] >= PLAN.rollout.ready_seconds


def test_sigterm_ends_the_waiting_for_pods():
    world = world_with_candidate()
    view = View(world, PLAN)
    spoil = spoil_at(world, {V2: 100}, few(1))

    def hook(when, what):
        spoil(when, what)
        view.stopped = view.stopped or world.weights() == {V1: 25, V2: 75}

    outcome = run_job(world, PLAN, hook=hook, view=view)
    assert outcome.code == REFUSED
    assert "comes back as its pods become ready" in outcome.sentences[-1]
    assert world.weights() == {V1: 25, V2: 75}
    assert world.stable_weights() == {V1: 100}  # the guard, or the next run, brings the rest


def test_of_several_that_rise_none_gets_more_when_the_stable_one_is_small():
    world = serving(V1, V2, V3)
    plan = plan_for(V2, canary={"revision": V3, "weight": 30})
    world.start_job(plan.release, T1)
    del world.history[:-1]
    at = {V1: 50, V2: 35, V3: 15}
    outcome = run_job(world, plan, hook=growing(world, spoil_at(world, at, few(1)), every=1.5))
    assert outcome.code == REFUSED
    walked = changes(world)
    for before, after in zip(walked[walked.index(at) :], walked[walked.index(at) + 1 :], strict=False):
        assert all(after.get(name, 0) <= before[name] for name in (V2, V3) if name in before), (before, after)
    assert walked[-1] == {V1: 100}
    assert {V1: 75, V2: 18, V3: 7} in walked


def test_when_the_stable_revision_is_gone_the_candidate_is_the_last_to_serve_instead():
    def lose(world):
        world.revisions[V1].ready = 0

    world = world_with_candidate()
    outcome = run_job(world, PLAN, hook=spoil_at(world, {V1: 50, V2: 50}, lose))
    assert outcome.code == REFUSED
    assert f"{V1} of the stable route has no ready pod; {V2} serves instead." in outcome.sentences
    assert world.weights() == {V2: 100}
    # what was refused has proved nothing: the next run hears it at the gate, and refuses it again
    world.revisions[V2].level = 0.0
    again = run_job(world, PLAN)
    assert again.code == REFUSED
    assert "did not pass the gate" in " ".join(again.sentences)
    assert world.settled == {V1}


def test_what_served_instead_is_heard_and_released_when_it_is_well_again():
    def lose(world):
        world.revisions[V1].ready = 0

    world = world_with_candidate()
    run_job(world, PLAN, hook=spoil_at(world, {V1: 50, V2: 50}, lose))
    world.revisions[V2].route_status = 200
    assert run_job(world, PLAN).code == RELEASED
    assert {each["name"] for each in world.receipts[JOB]["findings"] if each["phase"] == "gate"} >= {
        "intelligibility", "quality",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["good", "evidence", "canary", "immediate"])
def test_pods_of_the_stable_revision_lost_anywhere(kind):
    """At any read or write three of its four pods go, and from then on the candidate answers 500. The pods
    come back one by one."""
    situation = SITUATIONS[kind]
    for number in cells(situation):
        world = situation.world()
        lost = StopAt(number, lambda world=world: (few(1)(world), spoil(world)))
        outcome = run_job(world, situation.plan, hook=growing(world, lost, every=0.4))
        released = outcome.code == RELEASED
        assert outcome.code in (REFUSED, RELEASED)
        assert world.weights() == world.stable_weights()
        assert world.weights() == (weights_of(situation.plan) if released else {V1: 100}), number


def spoil(world):
    world.revisions[V2].route_status = 500


@pytest.mark.parametrize("ready", [0, 1])
def test_the_stable_revision_lost_anywhere_while_a_good_candidate_rises(ready):
    """For good: who is ready serves, and no weight leads to nobody."""
    situation = SITUATIONS["good"]
    for number in cells(situation):
        world = situation.world()
        run_job(world, situation.plan, hook=StopAt(number, lambda world=world: few(ready)(world)))
        assert world.nothing_missing() or world.weights() == {V1: 100}, number
        if world.weights() == {V1: 100} and not ready:  # it was lost before anything had risen
            assert max(weights.get(V2, 0) for weights in world.history) == 0, number


@dataclass
class Held:
    """A tenure that holds."""

    holder: str = f"{JOB}/restore"

    def check(self):
        return None


def restore(world, weights):
    view = View(world, PLAN, guard=True)
    world.holders.append(Held().holder)
    tenure = Held()
    return (
        Restore(PLAN, view, tenure, view, stable=http_for(weights), proven=(V1,), replicas={}).run().sentence
    )


def test_who_is_proven_outlives_a_run_that_could_not_read_the_route():
    world = world_with_candidate()
    with pytest.raises(Killed):
        run_job(world, PLAN, hook=spoil_at(world, {V1: 50, V2: 50}, kill_it))
    world.revisions[V2].route_status = 200
    failed = []

    def fail(when, what):
        if (when, what) == ("before", "read route") and not failed:
            failed.append(True)
            raise ClusterError("Could not read the VirtualService voice for 90 s: 503.")

    with pytest.raises(ClusterError):
        run_job(world, PLAN, hook=fail)
    assert world.weights() == {V1: 100}
    assert route.proven_of(world.route["metadata"]["annotations"]) == (V1,)


def kill_it(world):
    raise Killed


def test_what_is_as_it_should_be_is_not_written():
    world = world_with_candidate()
    version = world.route["metadata"]["resourceVersion"]
    assert restore(world, {V1: 100}) == f"The stable route is live: 100 % {V1}."
    assert world.route["metadata"]["resourceVersion"] == version

"""Guard and Job in one world, one read or write at a time."""

import pytest

from release.route import OWNER
from release.walk import FAILED, RELEASED, SUPERSEDED

from .plans import V1, V2, plan_for
from .runs import T2, T3, Guarded, Stepper, run_job
from .situations import SITUATIONS, weights_of
from .test_guard import SILENCE, half_way
from .test_stops import cells, stopped
from .world import Enough

pytestmark = pytest.mark.usefixtures("from_memory")

GOOD = SITUATIONS["good"]
LONG = plan_for(V2, release="voice-release-long", holdSeconds=25, maxHoldSeconds=60, probesPerSecond=2,
                steps=[50, 100])  # fmt: skip
"""Held for longer than a lease is good for."""


def guard_of(world, plan, seconds):
    def run(view):
        guarded = Guarded(world, plan, view=view)
        code = guarded.run(seconds)
        return code, guarded

    return Stepper(world, plan, run)


@pytest.mark.parametrize("rhythm", [(1, 1), (2, 1), (5, 1), (1, 2)])
def test_the_guard_never_writes_while_the_job_renews(rhythm):
    world = GOOD.world()
    world.start_job(LONG.release, T2)
    job, guard = Stepper(world, LONG), guard_of(world, LONG, 1000)
    while not job.ended:
        job.step(rhythm[0])
        guard.step(rhythm[1])
    assert job.finish().code == RELEASED
    assert world.time > 50
    assert not [holder for holder in world.holders if "guard" in holder]
    del world.revisions[V1]
    code, guarded = guard.finish()
    assert code == 0
    assert guarded.guard.tally.dropped == 0
    assert world.weights() == {V2: 100}


def test_a_job_that_does_not_renew_is_overtaken(monkeypatch):
    """What the test before would find."""
    monkeypatch.setattr("release.lease.RENEW_SECONDS", 1000)
    world = GOOD.world()
    world.start_job(LONG.release, T2)
    job, guard = Stepper(world, LONG), guard_of(world, LONG, 1000)
    while not job.ended:
        job.step()
        guard.step()
    assert job.finish().code == FAILED
    assert world.weights() == {V1: 100}
    assert [holder for holder in world.holders if "guard" in holder]


def steps_to_restore(world):
    """How many steps a guard takes alone until the stable route is back, and until it has read it back."""
    guard = guard_of(world, GOOD.plan, SILENCE)
    while world.weights() != {V1: 100}:
        guard.step()
    first = guard.steps
    guard.finish()
    return first


@pytest.mark.parametrize("renew", [False, True])
def test_guard_and_restarted_job_at_every_step(renew):
    """The Job's next pod comes while the guard is about to restore, restores, or has just done so; then the
    guard goes on `ahead` steps into the Job's run, and both to their end."""
    count = steps_to_restore(half_way())
    for paused in range(count - 14, count + 6):
        for ahead in range(paused % 5, 30, 5):
            world = half_way()
            guard = guard_of(world, GOOD.plan, 60)
            guard.step(paused)
            world.start_job(GOOD.plan.release, T3 if renew else world.jobs[GOOD.plan.release])
            job = Stepper(world, GOOD.plan)
            job.step(ahead)
            guard.step(8)
            assert job.finish().code == RELEASED, (paused, ahead)
            del world.revisions[V1]
            code, _ = guard.finish()
            assert code == 0
            assert world.weights() == world.stable_weights() == {V2: 100}, (paused, ahead)


@pytest.mark.parametrize("rhythm", [(1, 1), (1, 2), (3, 1)])
def test_guard_and_restarted_job_step_by_step(rhythm):
    count = steps_to_restore(half_way())
    for paused in range(count - 14, count + 6):
        world = half_way()
        guard = guard_of(world, GOOD.plan, 200)
        guard.step(paused)
        job = Stepper(world, GOOD.plan)
        while not job.ended:
            job.step(rhythm[0])
            guard.step(rhythm[1])
        code = job.finish().code
        if code != RELEASED:  # the guard took the lease from it: Kubernetes starts it again
            assert code == FAILED
            assert run_job(world, GOOD.plan).code == RELEASED
        del world.revisions[V1]
        assert guard.finish()[0] == 0
        assert world.weights() == world.stable_weights() == {V2: 100}, paused


def test_a_pod_that_was_only_slow_goes_on_when_the_guard_comes():
    """The Job's process is stopped (not killed) for longer than its lease is good for, anywhere; the guard
    restores; then the process goes on and must not write."""
    for number in range(1, len(cells(GOOD)) // 2):
        world = GOOD.world()
        job = Stepper(world, GOOD.plan)
        job.step(number)
        if job.ended:
            break
        owner = world.route["metadata"]["annotations"][OWNER]
        half = world.route["spec"]["http"] != world.stable_http()
        guarded = Guarded(world, GOOD.plan)
        guarded.run(SILENCE)
        assert world.weights() == world.stable_weights()
        outcome = job.finish()
        assert world.weights() == world.stable_weights(), number
        assert outcome.code in (FAILED, RELEASED), number
        assert not half or outcome.code == FAILED, (number, owner)
        world.start_job(GOOD.plan.release, T3)
        assert run_job(world, GOOD.plan).code == RELEASED


@pytest.mark.parametrize("way", ["old", "restart"])
def test_guard_beside_a_newer_release_at_every_step(way):
    """A newer release comes while the guard restores."""
    plan = GOOD.old
    count = steps_to_restore(half_way())
    for paused in range(count - 14, count + 6, 1 if way == "old" else 3):
        for ahead in range(0, 12, 3):
            world = half_way()
            guard = guard_of(world, GOOD.plan, 60)
            guard.step(paused)
            world.start_job(plan.release, T3)
            newer = Stepper(world, plan)
            newer.step(ahead)
            guard.step(8)
            assert newer.finish().code == RELEASED
            assert guard.finish()[0] == 0
            assert world.weights() == world.stable_weights() == weights_of(plan)
            assert run_job(world, GOOD.plan).code == SUPERSEDED


def test_stopped_and_enough_are_not_caught():
    assert not issubclass(Enough, Exception)
    assert stopped(GOOD, 3).weights() == {V1: 100}

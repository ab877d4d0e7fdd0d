"""Stopped before and after every read and write, in every situation, then continued in each way there is."""

import pytest

from release.errors import ConflictError
from release.walk import RELEASED, SUPERSEDED, TERMINATED

from .runs import T2, StopAt, run_job
from .simulation import View
from .situations import CANDIDATES, CASES, SITUATIONS, weights_of
from .world import Killed

pytestmark = pytest.mark.usefixtures("from_memory")


def points(situation):
    """How often the walk passes a point, before and after counted separately."""
    passed = []
    run_job(situation.world(), situation.plan, hook=lambda when, what: passed.append(what))
    return len(passed)


def kill():
    raise Killed


def stopped(situation, number):
    world = situation.world()
    with pytest.raises(Killed):
        run_job(world, situation.plan, hook=StopAt(number, kill))
    return world


def cells(situation):
    return range(points(situation))


def settled(world, plan):
    """What follows a Job that succeeded: the other revisions are deleted, and nothing changes again."""
    assert world.weights() == world.stable_weights() == weights_of(plan)
    assert world.route["spec"] == plan.route["spec"]
    for name in set(world.revisions) - {target.revision for target in plan.targets}:
        del world.revisions[name]
    assert world.nothing_missing()
    before = (world.route["spec"], world.route["metadata"]["annotations"]["tts/stable"])
    assert run_job(world, plan).code == RELEASED
    assert (world.route["spec"], world.route["metadata"]["annotations"]["tts/stable"]) == before


@pytest.mark.parametrize("then", ["restart", "again"])
@pytest.mark.parametrize("kind", SITUATIONS)
def test_stopped_anywhere_then_the_same_release(kind, then):
    situation = SITUATIONS[kind]
    for number in cells(situation)[:: 2 if then == "again" and kind not in ("good", "first") else 1]:
        world = stopped(situation, number)
        assert world.nothing_missing()
        if then == "again":
            world.start_job(situation.plan.release, T2)
        assert run_job(world, situation.plan).code == RELEASED, number
        assert situation.plan.release in world.receipts
        settled(world, situation.plan)


@pytest.mark.parametrize("kind", [kind for kind in SITUATIONS if kind != "first"])
def test_stopped_anywhere_then_what_was_before(kind):
    situation = SITUATIONS[kind]
    for number in cells(situation):
        world = stopped(situation, number)
        world.start_job(situation.old.release, T2)
        assert run_job(world, situation.old).code == RELEASED, number
        assert situation.old.release in world.receipts
        assert run_job(world, situation.plan).code == SUPERSEDED
        settled(world, situation.old)


@pytest.mark.parametrize("then", ["restart", "again", "old"])
@pytest.mark.parametrize("kind", CANDIDATES)
def test_a_bad_release_stopped_anywhere_never_stays(kind, then):
    situation = SITUATIONS[kind].spoilt
    for number in cells(situation):
        world = stopped(situation, number)
        plan = situation.old if then == "old" else situation.plan
        if then != "restart":
            world.start_job(plan.release, T2)
        outcome = run_job(world, plan)
        well = then == "old" and situation.subject not in situation.stable
        assert outcome.code == (RELEASED if well else 42), (number, outcome)
        assert world.weights() == situation.stable
        assert world.nothing_missing()


def test_killed_twice_then_the_same_release():
    situation = SITUATIONS["good"]
    total = points(situation)
    for first in range(0, total, 3):
        for second in range(0, total, 7):
            world = stopped(situation, first)
            try:
                run_job(world, situation.plan, hook=StopAt(second, kill))
            except Killed:
                assert world.nothing_missing()
            assert run_job(world, situation.plan).code == RELEASED, (first, second)
            settled(world, situation.plan)


@pytest.mark.parametrize(("kind", "situation"), CASES)
def test_sigterm_anywhere_leaves_what_was_or_what_is_declared(kind, situation):
    for number in cells(situation):
        world = situation.world()
        view = View(world, situation.plan)

        def stop(view=view):
            view.stopped = True

        outcome = run_job(world, situation.plan, hook=StopAt(number, stop), view=view)
        assert outcome.code in (TERMINATED, 42, RELEASED), number
        assert world.nothing_missing()
        declared = weights_of(situation.plan)
        assert world.weights() == (declared if outcome.code == RELEASED else situation.stable), number
        assert world.weights() == world.stable_weights()


def test_sigterm_after_a_kill_anywhere_leaves_what_was():
    situation = SITUATIONS["good"]
    for first in range(0, points(situation), 2):
        world = stopped(situation, first)
        lease, stable = world.lease, world.stable_weights()
        view = View(world, situation.plan)

        def stop(view=view, world=world, lease=lease):
            view.stopped = world.lease is not lease

        view.hook = lambda when, what, stop=stop: stop()
        outcome = run_job(world, situation.plan, view=view)
        assert outcome.code == TERMINATED
        assert world.weights() == stable, first


@pytest.mark.parametrize("kind", SITUATIONS)
def test_the_answer_of_any_write_may_be_lost(kind):
    """The write landed, its answer did not come, and the repeated write met its own resourceVersion's end."""
    situation = SITUATIONS[kind]
    number, lost = 0, True
    while lost:
        world, writes = situation.world(), []

        def lose(when, what, writes=writes, number=number):
            if when == "after" and what.startswith("write ") and what != "write receipt":
                writes.append(what)
                if len(writes) == number + 1:
                    raise ConflictError("lost")

        assert run_job(world, situation.plan, hook=lose).code == RELEASED, number
        settled(world, situation.plan)
        number, lost = number + 1, len(writes) > number
    assert number > 3

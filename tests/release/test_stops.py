"""Stopped before and after every read and write, then continued in each way there is."""

import pytest

from release.errors import ConflictError
from release.walk import RELEASED, SUPERSEDED, TERMINATED

from .simulation import V1, V2, Killed, View, World, plan_for, run_job, serving

NEW = plan_for(V2)
AGAIN = NEW
OLD = plan_for(V1, release="voice-release-old")
T1, T2 = "2026-11-23T07:00:00Z", "2026-11-23T08:00:00Z"


def world_before(kind):
    if kind == "first":
        world = World()
        world.deploy(V2)
    else:
        world = serving(V1, V2)
    if kind == "bad":
        world.revisions[V2].route_status = 500
    world.start_job(NEW.release, T1)
    return world


def points(kind):
    """How often the walk passes a point, before and after counted separately."""
    passed = []
    run_job(world_before(kind), NEW, hook=lambda when, what: passed.append(what))
    return len(passed)


class StopAt:
    def __init__(self, number, act):
        self.left = number
        self.act = act

    def __call__(self, when, what):
        self.left -= 1
        if self.left == -1:
            self.act()


def kill():
    raise Killed


def stopped(kind, number):
    world = world_before(kind)
    with pytest.raises(Killed):
        run_job(world, NEW, hook=StopAt(number, kill))
    return world


def cells(kind):
    return range(points(kind))


def settled(world, plan):
    """What follows a Job that succeeded: the other revisions are deleted, and nothing changes again."""
    assert world.weights() == {plan.target.revision: 100}
    for name in list(world.revisions):
        if name != plan.target.revision:
            del world.revisions[name]
    assert world.nothing_missing()
    before = (world.route["spec"], world.route["metadata"]["annotations"]["tts/stable"])
    assert run_job(world, plan).code == RELEASED
    assert (world.route["spec"], world.route["metadata"]["annotations"]["tts/stable"]) == before


@pytest.mark.parametrize("kind", ["good", "first"])
@pytest.mark.parametrize("then", ["restart", "again"])
def test_stopped_anywhere_then_the_same_release(kind, then):
    for number in cells(kind):
        world = stopped(kind, number)
        assert world.nothing_missing()
        if then == "again":
            world.start_job(AGAIN.release, T2)
        assert run_job(world, AGAIN).code == RELEASED, number
        assert AGAIN.release in world.receipts
        settled(world, AGAIN)


def test_stopped_anywhere_then_the_old_version():
    for number in cells("good"):
        world = stopped("good", number)
        world.start_job(OLD.release, T2)
        assert run_job(world, OLD).code == RELEASED, number
        assert OLD.release in world.receipts
        assert run_job(world, NEW).code == SUPERSEDED
        settled(world, OLD)


@pytest.mark.parametrize("then", ["restart", "again", "old"])
def test_a_bad_release_stopped_anywhere_never_stays(then):
    for number in cells("bad"):
        world = stopped("bad", number)
        plan = OLD if then == "old" else AGAIN
        if then != "restart":
            world.start_job(plan.release, T2)
        outcome = run_job(world, plan)
        assert outcome.code == (RELEASED if then == "old" else 42), number
        assert world.weights() == {V1: 100}
        assert world.nothing_missing()


def test_killed_twice_then_the_same_release():
    total = points("good")
    for first in range(0, total, 3):
        for second in range(0, total, 7):
            world = stopped("good", first)
            try:
                run_job(world, NEW, hook=StopAt(second, kill))
            except Killed:
                assert world.nothing_missing()
            assert run_job(world, NEW).code == RELEASED, (first, second)
            settled(world, NEW)


@pytest.mark.parametrize("kind", ["good", "first", "bad"])
def test_sigterm_anywhere_leaves_one_whole_version(kind):
    for number in cells(kind):
        world = world_before(kind)
        view = View(world, NEW)

        def stop(view=view):
            view.stopped = True

        outcome = run_job(world, NEW, hook=StopAt(number, stop), view=view)
        assert outcome.code in (TERMINATED, 42, RELEASED), number
        assert world.whole()
        assert world.nothing_missing()
        if kind != "first":
            assert world.weights() == ({V2: 100} if outcome.code == RELEASED else {V1: 100})
        else:
            assert world.weights() == ({V2: 100} if outcome.code == RELEASED else {})


def test_sigterm_after_a_kill_anywhere_leaves_one_whole_version():
    total = points("good")
    for first in range(0, total, 2):
        world = stopped("good", first)
        lease, stable = world.lease, world.stable_weights()
        view = View(world, NEW)

        def stop(view=view, world=world, lease=lease):
            view.stopped = world.lease is not lease

        view.hook = lambda when, what, stop=stop: stop()
        outcome = run_job(world, NEW, view=view)
        assert outcome.code == TERMINATED
        assert world.weights() == stable, first


def test_the_answer_of_any_write_may_be_lost():
    """The write landed, its answer did not come, and the repeated write met its own resourceVersion's end."""
    for number in range(20):
        for kind in ("good", "first"):
            world = world_before(kind)
            writes = []

            def lose(when, what, writes=writes, number=number):
                if when == "after" and what.startswith("write ") and what != "write receipt":
                    writes.append(what)
                    if len(writes) == number + 1:
                        raise ConflictError("lost")

            assert run_job(world, NEW, hook=lose).code == RELEASED, (kind, number)
            settled(world, NEW)

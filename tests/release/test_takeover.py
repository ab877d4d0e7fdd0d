"""A newer release takes over from an older one that is still running, interleaved at every step."""

import threading

import pytest

from release.cluster import Lease, Order
from release.route import OWNER
from release.walk import RELEASED, SUPERSEDED

from .simulation import V1, V2, V3, View, World, plan_for, run_job, serving

OLDER = plan_for(V2, release="voice-release-older")
NEWER = {
    "back": plan_for(V1, release="voice-release-newer"),
    "on": plan_for(V3, release="voice-release-newer"),
}
T1, T2 = "2026-11-23T07:00:00Z", "2026-11-23T08:00:00Z"
LIMIT = 10.0


class Stepper:
    """A walk in a thread that goes on only when it is told to, one read or write at a time."""

    def __init__(self, world, plan):
        self.outcome = None
        self.failure = None
        self.steps = 0
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._free = False
        self._thread = threading.Thread(target=self._run, args=(world, plan), daemon=True)
        self._thread.start()

    def _run(self, world, plan):
        self._wait()
        try:
            self.outcome = run_job(world, plan, view=View(world, plan, hook=self._hook))
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.failure = error
        finally:
            self._free = True
            self._done.release()

    def _wait(self):
        assert self._go.acquire(timeout=LIMIT)

    def _hook(self, when, what):
        if when == "before" and not self._free:
            self._done.release()
            self._wait()

    @property
    def ended(self):
        return self.outcome is not None or self.failure is not None

    def step(self, count=1):
        """Runs up to the next point before a read or write, `count` times."""
        for _ in range(count):
            if self.ended:
                return
            self.steps += 1
            self._go.release()
            assert self._done.acquire(timeout=LIMIT)

    def finish(self):
        while not self.ended:
            self.step()
        self._thread.join(LIMIT)
        if self.failure is not None:
            raise self.failure
        return self.outcome


def world_with_both():
    world = serving(V1, V2, V3)
    world.start_job(OLDER.release, T1)
    world.start_job("voice-release-newer", T2)
    return world


def alone(plan):
    """How many steps a walk takes undisturbed."""
    walk = Stepper(world_with_both(), plan)
    walk.finish()
    return walk.steps


def converged(world, plan, older, newer):
    assert newer.finish().code == RELEASED
    code = older.finish().code
    assert world.weights() == {plan.target.revision: 100}
    assert world.route["metadata"]["annotations"][OWNER].startswith("voice-release-newer/")
    assert world.nothing_missing()
    return code


@pytest.mark.parametrize("way", ["back", "on"])
def test_newer_starts_at_every_step_of_the_older(way):
    """The newer runs `ahead` steps, the older goes on to its end, then the newer does."""
    plan = NEWER[way]
    for paused in range(1, alone(OLDER) + 1):
        for ahead in range(1, alone(plan) + 1):
            world = world_with_both()
            older, newer = Stepper(world, OLDER), Stepper(world, plan)
            older.step(paused)
            newer.step(ahead)
            older.finish()
            code = converged(world, plan, older, newer)
            assert code in (RELEASED, SUPERSEDED)


@pytest.mark.parametrize("way", ["back", "on"])
@pytest.mark.parametrize("rhythm", [(1, 1), (1, 2), (2, 1), (3, 1), (1, 3)])
def test_older_and_newer_step_by_step(way, rhythm):
    plan = NEWER[way]
    for paused in range(1, alone(OLDER) + 1):
        world = world_with_both()
        older, newer = Stepper(world, OLDER), Stepper(world, plan)
        older.step(paused)
        while not (older.ended and newer.ended):
            newer.step(rhythm[0])
            older.step(rhythm[1])
        converged(world, plan, older, newer)


@pytest.mark.parametrize("status", [200, 500])
def test_no_write_of_the_older_lands_after_the_newer_wrote(status):
    """Nor does the older's restoration, when its own candidate answers 500."""
    plan = NEWER["on"]
    for paused in range(1, alone(OLDER) + 1):
        world = world_with_both()
        world.revisions[V2].route_status = status
        older, newer = Stepper(world, OLDER), Stepper(world, plan)
        older.step(paused)
        newer.finish()
        version = world.route["metadata"]["resourceVersion"]
        older.finish()
        assert world.route["metadata"]["resourceVersion"] == version


def test_first_installs_of_two_versions():
    older_plan = plan_for(V1, release=OLDER.release)
    newer_plan = NEWER["on"]

    def world_without_route():
        world = World()
        world.deploy(V1)
        world.deploy(V3)
        world.start_job(OLDER.release, T1)
        world.start_job(newer_plan.release, T2)
        return world

    for paused in range(1, 25):
        for ahead in range(1, 15, 2):
            world = world_without_route()
            older, newer = Stepper(world, older_plan), Stepper(world, newer_plan)
            older.step(paused)
            newer.step(ahead)
            older.finish()
            converged(world, newer_plan, older, newer)


def test_order_is_the_creation_time_and_then_the_name():
    assert Order(T1, "b") < Order(T2, "a")
    assert Order(T1, "a") < Order(T1, "b")
    assert Lease("x/1", Order(T1, "x"), "1").order > Order(T1, "w")

"""A newer release takes over from an older one that is still running, interleaved at every step.

Where all pairs of steps would be thousands, every third of the one is taken with every third of the other
(every sixth with every sixth in the situations that came later). Where it begins moves from way to way and
from step to step, so that the neighbours are taken too.
"""

import pytest

from release.cluster import Lease, Order
from release.route import OWNER
from release.walk import FAILED, RELEASED, SUPERSEDED

from .plans import V1, V2, V3, plan_for
from .runs import T1, T2, Stepper
from .situations import NEXT, SITUATIONS, weights_of
from .world import World

pytestmark = pytest.mark.usefixtures("from_memory")

STRIDE = 3
OLDER = ["good", "canary", "promoted", "mirrored", "mirrored, then fed", "kept warm", "immediate"]
WAYS = {
    **NEXT,
    "share": plan_for(V1, release="voice-release-next", canary={"revision": V3, "weight": 10}),
    "copies": plan_for(V1, release="voice-release-next", canary={"revision": V3, "mirror": True}),
    "at once": plan_for(V3, release="voice-release-next", strategy="immediate"),
    "same": None,
}
"""What the newer release is told; `same` is the older's own plan."""


def newer_plan(older, way):
    from dataclasses import replace

    return WAYS[way] or replace(older, release="voice-release-next")


def world_with_both(kind, *, spoilt=False):
    situation = SITUATIONS[kind].spoilt if spoilt else SITUATIONS[kind]
    world = situation.world()
    world.deploy(V3)
    world.start_job("voice-release-next", T2)
    return world


def alone(kind, plan, *, spoilt=False):
    """How many steps a walk takes undisturbed."""
    walk = Stepper(world_with_both(kind, spoilt=spoilt), plan)
    walk.finish()
    return walk.steps


def converged(world, plan, older, newer):
    assert newer.finish().code == RELEASED
    code = older.finish().code
    assert world.weights() == world.stable_weights() == weights_of(plan)
    assert world.route["spec"] == plan.route["spec"]
    assert world.route["metadata"]["annotations"][OWNER].startswith("voice-release-next/")
    assert world.nothing_missing()
    return code


CELLS = [("good", way) for way in WAYS] + [(kind, way) for kind in OLDER[1:] for way in ("back", "on")]


@pytest.mark.parametrize(("kind", "way"), CELLS)
def test_newer_starts_at_every_step_of_the_older(kind, way):
    """The newer runs `ahead` steps, the older goes on to its end, then the newer does."""
    plan = SITUATIONS[kind].plan
    newer_one = newer_plan(plan, way)
    shift, stride = CELLS.index((kind, way)), STRIDE if (kind, way) in CELLS[:2] else 2 * STRIDE
    for paused in range(1 + shift % stride, alone(kind, plan) + 1, stride):
        for ahead in range(1 + (shift + paused) % stride, alone(kind, newer_one) + 1, stride):
            world = world_with_both(kind)
            older, newer = Stepper(world, plan), Stepper(world, newer_one)
            older.step(paused)
            newer.step(ahead)
            older.finish()
            code = converged(world, newer_one, older, newer)
            assert code in (RELEASED, SUPERSEDED)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rhythm", [(1, 1), (1, 2), (2, 1), (3, 1), (1, 3)])
def test_older_and_newer_step_by_step(way, rhythm):
    plan = SITUATIONS["good"].plan
    newer_one = newer_plan(plan, way)
    for paused in range(1, alone("good", plan) + 1, 1 if way in NEXT else STRIDE):
        world = world_with_both("good")
        older, newer = Stepper(world, plan), Stepper(world, newer_one)
        older.step(paused)
        while not (older.ended and newer.ended):
            newer.step(rhythm[0])
            older.step(rhythm[1])
        converged(world, newer_one, older, newer)


@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("kind", [*OLDER, "evidence"])
def test_no_write_of_the_older_lands_after_the_newer_wrote(kind, spoilt):
    """Nor does the older's restoration, when its own candidate answers 500."""
    plan = SITUATIONS[kind].plan
    for paused in range(1, alone(kind, plan, spoilt=spoilt) + 1):
        world = world_with_both(kind, spoilt=spoilt)
        older, newer = Stepper(world, plan), Stepper(world, NEXT["on"])
        older.step(paused)
        newer.finish()
        version = world.route["metadata"]["resourceVersion"]
        older.finish()
        assert world.route["metadata"]["resourceVersion"] == version


@pytest.mark.parametrize("kind", ["good", "evidence", "canary"])
def test_a_second_pod_of_the_same_job_at_every_step(kind):
    """Kubernetes may start a pod while the one before is only cut off, not gone."""
    plan = SITUATIONS[kind].plan
    count = alone(kind, plan)
    for paused in range(1, count + 1):
        for ahead in range(1 + paused % STRIDE, count + 1, STRIDE * 3):
            world = world_with_both(kind)
            first, second = Stepper(world, plan), Stepper(world, plan)
            first.step(paused)
            second.step(ahead)
            codes = {first.finish().code, second.finish().code}
            assert RELEASED in codes, (paused, ahead)
            assert codes <= {RELEASED, FAILED}
            assert world.weights() == world.stable_weights() == weights_of(plan)


def test_first_installs_of_two_versions():
    older_plan = plan_for(V1, release="voice-release-older")
    newer_one = NEXT["on"]

    def world_without_route():
        world = World()
        world.deploy(V1)
        world.deploy(V3)
        world.start_job(older_plan.release, T1)
        world.start_job(newer_one.release, T2)
        return world

    for paused in range(1, 25):
        for ahead in range(1, 15, 2):
            world = world_without_route()
            older, newer = Stepper(world, older_plan), Stepper(world, newer_one)
            older.step(paused)
            newer.step(ahead)
            older.finish()
            converged(world, newer_one, older, newer)


def test_order_is_the_creation_time_and_then_the_name():
    assert Order(T1, "b") < Order(T2, "a")
    assert Order(T1, "a") < Order(T1, "b")
    assert Lease("x/1", Order(T1, "x"), "1").order > Order(T1, "w")
    assert V2 in weights_of(SITUATIONS["good"].plan)

"""Canary, mirrored canary, warm versions and the immediate strategy, from first to last."""

import json
from itertools import pairwise

import pytest

from release import route
from release.checks import SMOKE
from release.walk import REFUSED, RELEASED

from .plans import V1, V2, V3, host_of, http_for, plan_for
from .runs import T2, run_job
from .situations import COPIED, FED, KEPT, SITUATIONS, weights_of

pytestmark = pytest.mark.usefixtures("from_memory")


def walked(world):
    return [after for before, after in pairwise(world.history) if before != after]


def judged_at_the_gate(world, plan, revision):
    found = world.receipts[plan.release]["findings"]
    return {each["name"] for each in found if (each["phase"], each["revision"]) == ("gate", revision)}


def released(kind):
    situation = SITUATIONS[kind]
    world = situation.world()
    assert run_job(world, situation.plan).code == RELEASED
    assert world.weights() == world.stable_weights() == weights_of(situation.plan)
    return world, situation.plan


EVERYTHING = {*FED.target.gate.required, "firstAudioRatio"}


def test_a_canary_is_judged_as_a_candidate_and_gets_its_share_step_by_step():
    world, plan = released("canary")
    assert walked(world) == [{V1: 99, V2: 1}, {V1: 95, V2: 5}, {V1: 90, V2: 10}]
    assert judged_at_the_gate(world, plan, V2) == EVERYTHING
    assert judged_at_the_gate(world, plan, V1) == set()  # it serves already
    assert world.route["spec"]["http"] == http_for({V1: 90, V2: 10})
    assert json.loads(world.route["metadata"]["annotations"][route.PROVEN]) == [V1, V2]


def test_a_canary_that_has_served_is_promoted_in_one_step_after_a_smoke_test():
    world, plan = released("promoted")
    assert walked(world) == [{V2: 100}]
    assert judged_at_the_gate(world, plan, V2) == set(SMOKE) - {"answer"}


def test_a_canary_is_withdrawn_in_one_step():
    world, plan = released("withdrawn")
    assert walked(world) == [{V1: 100}]
    assert judged_at_the_gate(world, plan, V1) == set(SMOKE) - {"answer"}
    assert f"pin-{V2}" not in [entry["name"] for entry in world.route["spec"]["http"]]


def test_a_bad_canary_leaves_what_was():
    world = SITUATIONS["canary"].spoilt.world()
    outcome = run_job(world, FED)
    assert outcome.code == REFUSED
    assert f"At 1 % for {V2}" in " ".join(outcome.sentences)
    assert world.weights() == {V1: 100}


def test_a_mirrored_canary_is_listened_to_and_never_carries_weight():
    world, plan = released("mirrored")
    assert walked(world) == []
    assert judged_at_the_gate(world, plan, V2) == EVERYTHING
    assert world.route["spec"]["http"] == http_for({V1: 100}, mirror=V2)
    assert json.loads(world.route["metadata"]["annotations"][route.PROVEN]) == [V1]


def test_a_mirrored_canary_that_does_not_pass_the_gate_is_fed_nothing():
    world = SITUATIONS["mirrored"].world()
    world.revisions[V2].heard = "Noise."
    assert run_job(world, COPIED).code == REFUSED
    assert route.parse(world.route["spec"]["http"]).mirrored == frozenset()
    assert world.route["spec"]["http"] == http_for({V1: 100})


@pytest.mark.parametrize("kind", ["mirrored, then fed", "mirrored, then promoted"])
def test_who_was_only_mirrored_has_proved_nothing(kind):
    world, plan = released(kind)
    assert judged_at_the_gate(world, plan, V2) == EVERYTHING
    assert len(walked(world)) == 3
    assert route.parse(world.route["spec"]["http"]).mirrored == frozenset()


def test_a_mirrored_canary_is_not_fed_while_weights_move():
    situation = SITUATIONS["mirrored, then promoted"]
    world, seen = situation.world(), []

    def look(when, what):
        if (when, what) == ("after", "write route") and world.weights() not in ({V1: 100}, {V2: 100}):
            seen.append(route.parse(world.route["spec"]["http"]).mirrored)

    run_job(world, situation.plan, hook=look)
    assert seen == [frozenset()] * 2


def test_a_warm_version_is_not_judged_and_can_be_reached():
    world, plan = released("kept warm")
    assert judged_at_the_gate(world, plan, V1) == set()
    parsed = route.parse(world.route["spec"]["http"])
    assert parsed.pins == {"1.0.0": host_of(V1), "1.1.0": host_of(V2)}
    assert parsed.revisions == {V2}


def test_a_warm_version_that_is_not_ready_holds_nothing_up():
    world = SITUATIONS["kept warm"].world()

    def lose(when, what):
        if world.weights() == {V2: 100}:
            world.revisions[V1].ready = 0

    assert run_job(world, KEPT, hook=lose).code == RELEASED


def test_the_way_back_to_a_warm_version_is_one_step_and_a_smoke_test():
    world, plan = released("back to the warm one")
    assert walked(world) == [{V1: 100}]
    assert judged_at_the_gate(world, plan, V1) == set(SMOKE) - {"answer"}
    audio = world.receipts[plan.release]["audio"]
    assert [each["text"] for each in audio] == [min(plan.target.gate.texts, key=len)]
    step = world.receipts[plan.release]["steps"][0]
    assert step["seconds"] < 2 * plan.rollout.hold_seconds


def test_a_warm_version_that_lost_its_voice_is_refused():
    situation = SITUATIONS["back to the warm one"]
    world = situation.world()
    world.revisions[V1].level = 0.0
    outcome = run_job(world, situation.plan)
    assert outcome.code == REFUSED
    assert "level: The level is -inf dBFS" in " ".join(outcome.sentences)
    assert world.weights() == {V2: 100}


def test_an_immediate_release_takes_one_step_after_a_smoke_test():
    world, plan = released("immediate")
    assert walked(world) == [{V2: 100}]
    assert judged_at_the_gate(world, plan, V2) == set(SMOKE) - {"answer"}


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"first_audio": 0.1}, RELEASED), ({"heard": "Noise."}, RELEASED), ({"level": 0.0}, REFUSED),
     ({"ready": 0}, REFUSED), ({"route_status": 500}, REFUSED)],
)  # fmt: skip
def test_an_immediate_release_refuses_what_does_not_speak(settings, code):
    situation = SITUATIONS["immediate"]
    world = situation.world()
    for name, value in settings.items():
        setattr(world.revisions[V2], name, value)
    assert run_job(world, situation.plan).code == code
    assert world.weights() == ({V2: 100} if code == RELEASED else {V1: 100})


def test_target_and_canary_that_are_both_new_rise_together():
    world = SITUATIONS["good"].world()
    world.deploy(V3)
    plan = plan_for(V2, release="voice-release-both", canary={"revision": V3, "weight": 20})
    world.start_job(plan.release, T2)
    assert run_job(world, plan).code == RELEASED
    assert walked(world) == [{V1: 90, V2: 8, V3: 2}, {V1: 50, V2: 40, V3: 10}, {V2: 80, V3: 20}]
    assert judged_at_the_gate(world, plan, V2) == judged_at_the_gate(world, plan, V3) == EVERYTHING


@pytest.mark.parametrize("bad", [V2, V3])
def test_of_two_that_rise_together_one_bad_one_is_enough(bad):
    world = SITUATIONS["good"].world()
    world.deploy(V3)
    world.revisions[bad].route_status = 500
    plan = plan_for(V2, release="voice-release-both", canary={"revision": V3, "weight": 20})
    world.start_job(plan.release, T2)
    assert run_job(world, plan).code == REFUSED
    assert walked(world) == [{V1: 90, V2: 8, V3: 2}, {V1: 100}]


def test_who_served_eleven_releases_ago_is_heard_again():
    """The list of the proven is bounded."""
    world = SITUATIONS["good"].world()
    proven = [f"voice-9-{number}-0-ffffff" for number in range(route.PROVEN_KEPT)]
    world.settled |= {*proven}
    world.route["metadata"]["annotations"][route.PROVEN] = route.dump(proven)
    assert run_job(world, SITUATIONS["good"].plan).code == RELEASED
    kept = json.loads(world.route["metadata"]["annotations"][route.PROVEN])
    assert kept == [V2, *proven[:-1]]
    back = plan_for(V1, release="voice-release-back")
    world.start_job(back.release, T2)
    assert run_job(world, back).code == RELEASED
    assert judged_at_the_gate(world, back, V1) == EVERYTHING

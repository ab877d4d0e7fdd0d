"""What is kept and told of a release: it fits, says what was left out, can be decided again, and holds up
nothing."""

import json

import pytest

from release.errors import ClusterError
from release.receipt import MOST_BYTES
from release.replay import replay
from release.walk import RELEASED

from .plans import V1, V2, plan_for
from .runs import StopAt, run_job
from .simulation import View
from .test_evidence import findings, refused
from .test_walk import JOB, world_with_candidate

pytestmark = pytest.mark.usefixtures("from_memory")

TEXTS = [f"This is sentence number {number} of a gate with {'very ' * number}many." for number in range(12)]
"""Of different lengths: the world's voices speak a text of one length like any other."""


def test_a_receipt_of_forty_pods_fits_and_says_what_was_left_out():
    world = world_with_candidate(desired=40, ready=40)
    plan = plan_for(V2, gate={"texts": TEXTS})
    assert run_job(world, plan).code == RELEASED
    receipt = world.receipts[JOB]
    size = len(json.dumps(receipt, indent=1, sort_keys=True).encode())
    assert 50_000 < size <= MOST_BYTES == 200_000
    made = 40 * (12 * 8 + 3) + 1
    gate = findings(world, phase="gate")
    assert receipt["findingsLeftOut"] >= made - len(gate) > 0
    assert findings(world, phase="step")
    assert replay(receipt) == []


def test_a_refusal_keeps_its_reasons_however_long_the_receipt():
    world = world_with_candidate(desired=40, ready=40, route_status=500)
    refused(world, plan_for(V2, gate={"texts": TEXTS}))
    receipt = world.receipts[JOB]
    assert receipt["findingsLeftOut"] > 0
    assert findings(world, verdict="fail")
    assert replay(receipt) == []


def test_a_reading_of_the_receipt_that_differs_would_be_found():
    world = world_with_candidate()
    run_job(world, plan_for(V2))
    receipt = world.receipts[JOB]
    assert replay(receipt) == []
    assert replay({**receipt, "outcome": "refused"})
    number = next(place for place, each in enumerate(receipt["findings"]) if each["name"] == "errors")
    receipt["findings"][number]["values"]["wrong"] = 9
    assert replay(receipt)


def test_news_that_cannot_be_told_do_not_hold_a_release_up():
    world = world_with_candidate()
    view = View(world, plan_for(V2))

    def silent(reason, sentence, *, warning):
        raise ClusterError("events are forbidden")

    view.write_event = silent
    assert run_job(world, plan_for(V2), view=view).code == RELEASED


def test_a_receipt_that_cannot_be_kept_changes_no_verdict():
    world = world_with_candidate()

    def fail(when, what):
        if (when, what) == ("before", "write receipt"):
            raise ClusterError("configmaps are forbidden")

    assert run_job(world, plan_for(V2), hook=fail).code == RELEASED
    assert JOB not in world.receipts


def test_a_lease_that_was_deleted_ends_the_run_and_the_next_one_goes_on():
    world = world_with_candidate()

    def delete(when, what):
        if world.weights() == {V1: 50, V2: 50}:
            world.lease = None

    with pytest.raises(ClusterError, match="was deleted"):
        run_job(world, plan_for(V2, holdSeconds=6), hook=delete)
    assert run_job(world, plan_for(V2)).code == RELEASED


def test_the_events_of_a_release_tell_its_story():
    world = world_with_candidate()
    run_job(world, plan_for(V2))
    assert [reason for reason, _ in world.events[-6:]] == [
        "ReleaseStarted", "GatePassed", "WeightsMoved", "WeightsMoved", "WeightsMoved", "Released",
    ]  # fmt: skip
    world = world_with_candidate(route_status=500)
    run_job(world, plan_for(V2))
    assert [reason for reason, _ in world.events[-5:]] == [
        "ReleaseStarted", "GatePassed", "WeightsMoved", "Restored", "Refused",
    ]  # fmt: skip


@pytest.mark.parametrize("candidate", [{}, {"heard": "Noise."}], ids=["passed", "refused"])
def test_the_event_about_a_gate_leads_to_what_was_judged(candidate):
    world = world_with_candidate(**candidate)
    run_job(world, plan_for(V2, audio_store="s3://kept/gate/voice"))
    receipt = world.receipts[JOB]
    (sha256,) = {each["sha256"] for each in receipt["audio"]}
    reason, place = ("Refused", f"/{sha256}.wav should say") if candidate else ("GatePassed", ", named in")
    (said,) = (sentence for word, sentence in world.events if word == reason and V2 in sentence)
    assert (
        f"What was judged can be heard: {'' if candidate else '1 file in '}s3://kept/gate/voice{place}"
        in said
    )
    assert receipt["audioStore"] == "s3://kept/gate/voice"
    assert "can be heard" in " ".join(receipt["verdict"]) or not candidate


def test_stop_at_counts_from_zero():
    acted = []
    hook = StopAt(1, lambda: acted.append(True))
    hook("before", "x")
    assert not acted
    hook("after", "x")
    assert acted

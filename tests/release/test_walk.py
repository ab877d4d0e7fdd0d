"""The walk, verdict by verdict, on the simulated cluster."""

import json
from itertools import pairwise

import pytest

from release import route
from release.errors import ClusterError, RejectedError
from release.walk import FAILED, REFUSED, RELEASED, SUPERSEDED, TERMINATED

from .plans import NAMESPACE, V1, V2, V3, http_for, plan_for
from .runs import run_job, serving
from .simulation import View
from .world import World

FIRST = "voice-release-first"
JOB = plan_for(V2).release
LATER = "2026-11-23T07:00:00Z"


def world_with_candidate(**settings):
    world = serving(V1)
    world.deploy(V2, **settings)
    world.start_job(JOB, LATER)
    world.history.clear()
    world.history.append({V1: 100})
    return world


def changes(world):
    """The weights each time they changed."""
    return [after for before, after in pairwise(world.history) if before != after]


def annotations(world):
    return world.route["metadata"]["annotations"]


def stable(world):
    return route.parse(json.loads(annotations(world)[route.STABLE]))


def test_a_release_goes_through_the_steps_and_settles():
    world = world_with_candidate()
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == RELEASED
    walked = changes(world)
    assert walked == [{V1: 90, V2: 10}, {V1: 50, V2: 50}, {V2: 100}]
    assert world.route["spec"] == plan_for(V2).route["spec"]
    assert stable(world) == route.parse(http_for({V2: 100}))
    assert annotations(world)[route.OWNER].startswith(f"{JOB}/")
    receipt = world.receipts[JOB]
    assert receipt["outcome"] == "released"
    assert [step["weights"] for step in receipt["steps"]] == walked
    assert {found["name"] for found in receipt["findings"] if found["phase"] == "gate"} == {
        *plan_for(V2).target.gate.required,
        "firstAudioRatio",
    }
    assert all(step["answers"].get(V2) for step in receipt["steps"])


def test_pins_of_both_while_on_the_way_and_the_declared_ones_at_the_end():
    world = world_with_candidate()
    seen = []

    def look(when, what):
        if (when, what) == ("after", "write route"):
            seen.append(sorted(route.parse(world.route["spec"]["http"]).pins))

    run_job(world, plan_for(V2), hook=look)
    assert seen[0] == ["1.0.0"]
    assert ["1.0.0", "1.1.0"] in seen
    assert seen[-1] == ["1.1.0"]


def test_first_install_creates_the_route_only_after_the_gate():
    world = World()
    world.start_job(FIRST, LATER)
    world.deploy(V1)
    points = []
    outcome = run_job(world, plan_for(V1, release=FIRST), hook=lambda when, what: points.append(what))
    assert outcome.code == RELEASED
    assert points.index("read workload") < points.index("write route")
    assert world.weights() == {V1: 100}


@pytest.mark.parametrize("settings", [{"level": 0.0}, {"ready": 0}, {"status": 500}])
def test_first_install_refused_at_the_gate_makes_no_route(settings):
    world = World()
    world.start_job(FIRST, LATER)
    world.deploy(V1, **settings)
    outcome = run_job(world, plan_for(V1, release=FIRST))
    assert outcome.code == REFUSED
    assert world.route is None
    assert world.history == []


def test_first_install_that_fails_through_the_route_deletes_it_again():
    world = World()
    world.start_job(FIRST, LATER)
    world.deploy(V1, route_status=500)
    outcome = run_job(world, plan_for(V1, release=FIRST))
    assert outcome.code == REFUSED
    assert world.history == [{V1: 100}]
    assert world.route is None
    assert "deleted again" in outcome.sentences[-1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ready": 0}, "was not ready after 60 s: 0 of 1 replicas are ready"),
        ({"desired": 2, "ready": 1}, "1 of 2 replicas are ready"),
        ({"level": 0.0}, "level"),
        ({"level": 0.9}, "level"),
        ({"status": 500}, "500"),
    ],
)
def test_a_refusal_at_the_gate_moves_no_weight(settings, said):
    world = world_with_candidate(**settings)
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    assert said in " ".join(outcome.sentences)
    assert all(weights == {V1: 100} for weights in world.history)
    assert world.receipts[JOB]["outcome"] == "refused"


@pytest.mark.parametrize("hopeless", ["stuck", "looping"])
def test_a_candidate_that_cannot_get_ready_is_not_waited_for(hopeless):
    world = world_with_candidate(ready=0, **{hopeless: True})
    begin = world.time
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    assert f"Revision {V2} was not ready after 0 s: 0 of 1 replicas are ready" in outcome.sentences[1]
    assert world.time - begin < 5


def test_a_missing_deployment_is_refused():
    world = world_with_candidate()
    del world.revisions[V2]
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    assert "no such Deployment" in " ".join(outcome.sentences)


def test_a_wrong_answer_through_the_route_restores_in_one_write():
    world = world_with_candidate(route_status=500)
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    walked = changes(world)
    assert walked == [{V1: 90, V2: 10}, {V1: 100}]
    assert route.parse(world.route["spec"]["http"]) == route.parse(http_for({V1: 100})) == stable(world)
    receipt = world.receipts[JOB]
    assert receipt["restoreSeconds"] is not None
    assert "The answer was 500" in receipt["steps"][0]["wrong"]


def test_a_candidate_that_stops_being_ready_gets_no_further_weight():
    world = world_with_candidate()

    def fall(when, what):
        if world.weights() == {V1: 90, V2: 10} and (when, what) == ("before", "read workload"):
            world.revisions[V2].ready = 0

    outcome = run_job(world, plan_for(V2), hook=fall)
    assert outcome.code == REFUSED
    assert max(weights.get(V2, 0) for weights in world.history) == 10
    assert world.weights() == {V1: 100}


def test_a_route_that_the_cluster_finds_invalid_is_refused_at_once():
    world = World()
    world.start_job(FIRST, LATER)
    world.deploy(V1)

    def reject(when, what):
        if (when, what) == ("before", "write route"):
            raise RejectedError("Could not create the VirtualService voice: it is invalid.")

    outcome = run_job(world, plan_for(V1, release=FIRST), hook=reject)
    assert outcome.code == REFUSED
    assert "it is invalid" in " ".join(outcome.sentences)
    assert world.route is None


def test_a_step_that_the_cluster_finds_invalid_restores_the_stable_route():
    world = world_with_candidate()

    def reject(when, what):
        if (when, what) == ("before", "write route") and world.weights() == {V1: 50, V2: 50}:
            world.history.append({})
            if len([weights for weights in world.history if not weights]) == 1:
                raise RejectedError("Could not apply the VirtualService voice: it is invalid.")

    outcome = run_job(world, plan_for(V2), hook=reject)
    assert outcome.code == REFUSED
    assert world.weights() == {V1: 100}


def test_a_busy_server_is_neither_for_nor_against():
    world = world_with_candidate(route_status=429)
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    assert "brought no decision" in " ".join(outcome.sentences)
    assert world.receipts[JOB]["probes"][V2]["busy"] > 0
    assert world.weights() == {V1: 100}


def test_a_further_run_changes_nothing():
    world = world_with_candidate()
    run_job(world, plan_for(V2))
    before = (world.route["spec"], annotations(world)[route.STABLE], len(world.receipts))
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == RELEASED
    assert (world.route["spec"], annotations(world)[route.STABLE], len(world.receipts)) == before


def test_a_settled_target_that_became_bad_is_refused_and_left_alone():
    world = world_with_candidate()
    run_job(world, plan_for(V2))
    world.revisions[V2].level = 0.0
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    assert world.weights() == {V2: 100}


def test_the_way_back_is_one_step():
    world = world_with_candidate()

    class Stop(BaseException):
        pass

    def stop(when, what):
        if world.weights() == {V1: 50, V2: 50}:
            raise Stop

    with pytest.raises(Stop):
        run_job(world, plan_for(V2), hook=stop)
    back = plan_for(V1, release="voice-release-back")
    world.start_job(back.release, "2026-11-23T08:00:00Z")
    del world.history[:-1]
    assert run_job(world, back).code == RELEASED
    assert changes(world) == [{V1: 100}]


def test_a_stable_route_without_pods_is_not_restored():
    world = world_with_candidate()
    world.deploy(V3)
    world.put_route({**world.route, "spec": {**world.route["spec"], "http": http_for({V1: 50, V3: 50})}})

    def lose(when, what):
        if (when, what) == ("before", "write route"):
            world.revisions[V1].ready = 0

    world.revisions[V2].level = 0.0
    outcome = run_job(world, plan_for(V2), hook=lose)
    assert outcome.code == REFUSED
    assert f"{V3} serves instead" in outcome.sentences[-1]
    assert world.weights() == {V3: 100}
    assert stable(world).weights == {f"{V3}.{NAMESPACE}.svc.cluster.local": 100}


def test_when_nothing_is_ready_the_weights_are_left():
    world = world_with_candidate(ready=0)
    world.revisions[V1].ready = 0
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == REFUSED
    assert "weights are left" in outcome.sentences[-1]
    assert world.weights() == {V1: 100}


def test_an_older_release_ends_and_touches_nothing():
    world = world_with_candidate()
    world.start_job("voice-release-newer", "2026-11-23T09:00:00Z")
    newer = plan_for(V1, release="voice-release-newer")
    assert run_job(world, newer).code == RELEASED
    del world.jobs[newer.release]
    before = json.dumps(world.route)
    outcome = run_job(world, plan_for(V2))
    assert outcome.code == SUPERSEDED
    assert newer.release in outcome.sentences[0]
    assert json.dumps(world.route) == before
    assert JOB not in world.receipts


def test_a_release_whose_job_is_gone_touches_nothing():
    world = world_with_candidate()
    del world.jobs[JOB]
    before = json.dumps(world.route)
    assert run_job(world, plan_for(V2)).code == SUPERSEDED
    assert json.dumps(world.route) == before


def test_another_pod_of_the_same_job_takes_over():
    world = world_with_candidate()
    nested = []

    def second(when, what):
        if (when, what) == ("before", "write route") and not nested:
            nested.append(None)
            nested[0] = run_job(world, plan_for(V2))

    outcome = run_job(world, plan_for(V2), hook=second)
    assert nested[0].code == RELEASED
    assert outcome.code == FAILED
    assert world.weights() == {V2: 100}


def test_a_route_changed_by_someone_else_is_walked_from_where_it_is():
    world = world_with_candidate()
    world.deploy(V3)
    done = []

    def meddle(when, what):
        if (when, what) == ("before", "write route") and world.weights() == {V1: 90, V2: 10} and not done:
            done.append(True)
            spec = {**world.route["spec"], "http": http_for({V1: 60, V3: 40})}
            world.put_route({**world.route, "spec": spec})

    outcome = run_job(world, plan_for(V2), hook=meddle)
    assert done
    assert outcome.code == RELEASED
    assert world.weights() == {V2: 100}
    assert any("changed by someone else" in event["event"] for event in world.receipts[JOB]["events"])


def test_a_route_that_is_changed_all_the_time_fails_and_is_restored():
    world = world_with_candidate()
    shares = iter([50, 40, 30, 20, 10])

    def meddle(when, what):
        share = next(shares, 0) if (when, what) == ("before", "write route") else 0
        if share:
            spec = {**world.route["spec"], "http": http_for({V1: 100 - share, V2: share})}
            world.put_route({**world.route, "spec": spec})

    with pytest.raises(ClusterError, match="changed by someone else 5 times"):
        run_job(world, plan_for(V2), hook=meddle)
    assert world.weights() == {V1: 100}


def test_sigterm_restores_and_asks_to_be_started_again():
    world = world_with_candidate()
    plan = plan_for(V2)
    view = View(world, plan)

    def stop(when, what):
        if world.weights() == {V1: 50, V2: 50}:
            view.stopped = True

    outcome = run_job(world, plan, hook=stop, view=view)
    assert outcome.code == TERMINATED
    assert world.weights() == {V1: 100}
    assert run_job(world, plan).code == RELEASED


def test_a_route_without_annotations_is_taken_as_settled():
    world = world_with_candidate(level=0.0)
    del world.route["metadata"]["annotations"]
    assert run_job(world, plan_for(V2)).code == REFUSED
    assert stable(world) == route.parse(http_for({V1: 100}))


def test_the_declared_pins_arrive_even_when_no_weight_moves():
    world = serving(V1)
    http = http_for({V1: 100})
    world.put_route({**world.route, "spec": {**world.route["spec"], "http": http[1:]}})
    assert run_job(world, plan_for(V1, release=FIRST)).code == RELEASED
    assert world.route["spec"]["http"] == http

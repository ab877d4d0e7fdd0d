"""What the walk decides by: each test shows a release that a weaker rule would let through, or refuse."""

import pytest

from release.findings import find
from release.walk import REFUSED, RELEASED

from .plans import V1, V2, plan_for
from .runs import run_job
from .simulation import View
from .test_walk import JOB, changes, world_with_candidate
from .world import Killed

pytestmark = pytest.mark.usefixtures("from_memory")

STRICT = {"limits": {"errorPercent": 1}, "minSamples": 300, "probesPerSecond": 20, "holdSeconds": 60,
          "maxHoldSeconds": 120}  # fmt: skip


def findings(world, **wanted):
    found = world.receipts[JOB]["findings"]
    return [each for each in found if all(each[key] == value for key, value in wanted.items())]


def refused(world, plan=None, **settings):
    outcome = run_job(world, plan or plan_for(V2), **settings)
    assert outcome.code == REFUSED, outcome
    assert world.weights() == {V1: 100}
    return " ".join(outcome.sentences)


def test_first_audio_thirty_percent_slower_is_refused_at_the_gate():
    world = world_with_candidate(first_audio=0.013)
    said = refused(world)
    assert (
        f"firstAudioRatio: The first audio takes 1.30 times as long as {V1}'s (between 1.30 and 1.30 by 20 "
        "pairs); at most 1.25 times is allowed."
    ) in said
    assert all(weights == {V1: 100} for weights in world.history)


def test_first_audio_twenty_percent_slower_is_released():
    assert run_job(world_with_candidate(first_audio=0.012), plan_for(V2)).code == RELEASED


def test_first_audio_that_becomes_slower_in_the_ramp_is_refused_there():
    world = world_with_candidate()

    def slow(when, what):
        if world.weights() == {V1: 50, V2: 50}:
            world.revisions[V2].first_audio = 0.02

    plan = plan_for(V2, holdSeconds=8, probesPerSecond=20)
    said = refused(world, plan, hook=slow)
    assert "times as long as" in said
    assert changes(world)[:2] == [{V1: 90, V2: 10}, {V1: 50, V2: 50}]


@pytest.mark.parametrize("limit", ["firstAudioSeconds", "p99Seconds"])
def test_an_absolute_limit_on_times_is_held(limit):
    world = world_with_candidate(first_audio=0.3)
    world.revisions[V1].first_audio = 0.3
    plan = plan_for(V2, limits={limit: 0.25}, maxHoldSeconds=60)
    assert limit in refused(world, plan)
    world = world_with_candidate(first_audio=0.1)
    world.revisions[V1].first_audio = 0.1
    assert (
        run_job(world, plan_for(V2, limits={limit: 0.25}, holdSeconds=8, maxHoldSeconds=120)).code == RELEASED
    )


def test_a_p99_that_is_several_times_the_others_is_refused():
    world = world_with_candidate()
    plan = plan_for(V2, limits={"p99Ratio": 1.5}, probesPerSecond=20, maxHoldSeconds=120, holdSeconds=20)
    assert run_job(world, plan).code == RELEASED
    assert findings(world, name="p99Ratio", verdict="pass")
    world = world_with_candidate()

    def slow(when, what):  # the first byte comes as soon as before, the last one does not
        world.revisions[V2].first_audio = 0.016 if world.weights().get(V2) else 0.01

    plan = plan_for(V2, limits={"p99Ratio": 1.5, "firstAudioRatio": 9}, gate={"firstAudioRatio": 9.0},
                    probesPerSecond=20, maxHoldSeconds=120, holdSeconds=20)  # fmt: skip
    assert "times the other's p99" in refused(world, plan, hook=slow)


def test_two_percent_errors_are_refused_with_their_counts():
    world = world_with_candidate(route_wrong_every=50)
    said = refused(world, plan_for(V2, **STRICT))
    (errors,) = findings(world, name="errors", verdict="fail")
    wrong, of = errors["values"]["wrong"], errors["values"]["of"]
    assert 0.01 < wrong / of <= 0.025
    assert f"({wrong} of {of}), between 1.0 and " in said
    assert "at most 1 % are allowed" in said
    assert "The answer was 500: broken." in said
    assert world.receipts[JOB]["probes"][V2]["wrong"] == wrong


def test_no_errors_by_the_same_rules_are_released():
    world = world_with_candidate()
    assert run_job(world, plan_for(V2, **STRICT)).code == RELEASED
    assert all(each["values"]["of"] >= 300 for each in findings(world, name="answers", verdict="pass"))
    last = findings(world, name="errors", verdict="pass")[-1]
    assert last["values"]["wrong"] == 0
    assert last["limits"]["passPercent"] == 1


def test_what_is_undecided_when_the_time_is_over_is_refused():
    world = world_with_candidate()
    said = refused(world, plan_for(V2, **{**STRICT, "holdSeconds": 4, "maxHoldSeconds": 5}))
    assert f"At 10 % for {V2} 5 s brought no decision, and what is undecided does not go on." in said
    assert "at least 300 answers are wanted" in said
    assert not findings(world, verdict="fail")
    assert findings(world, verdict="hold")
    assert changes(world) == [{V1: 90, V2: 10}, {V1: 100}]


def test_a_hold_goes_on_until_there_is_evidence():
    world = world_with_candidate()
    assert run_job(world, plan_for(V2, minSamples=60, maxHoldSeconds=60)).code == RELEASED
    assert all(step["seconds"] > 5 for step in world.receipts[JOB]["steps"])


def test_wrong_speech_with_status_200_is_refused_within_two_seconds():
    world = world_with_candidate(route_heard="Something else was said.")
    times = {}

    def watch(when, what):
        if world.weights().get(V2):
            times.setdefault("given", world.time)
        elif "given" in times:
            times.setdefault("back", world.time)

    said = refused(world, plan_for(V2, holdSeconds=30, maxHoldSeconds=60), hook=watch)
    assert f"{V2} answered 200 with speech that is not right: " in said
    assert "it was heard as 'Something else was said.'" in said
    assert times["back"] - times["given"] < 2
    (heard,) = findings(world, name="heard")
    assert (heard["verdict"], heard["subject"]) == ("fail", V2)


def test_bad_quality_through_the_route_is_heard():
    world = world_with_candidate()

    def worse(when, what):
        world.revisions[V2].quality = 1.2 if world.weights().get(V2) else 3.3

    assert "DNSMOS" in refused(world, hook=worse)


ENDS = {
    "OOMKilled": "it was killed for using more memory than its limit (OOMKilled, exit code 137)",
    "crash": "it ended by itself (Error, exit code 139): Segmentation fault",
    "nobody knows": "",
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_container_that_is_started_again_in_a_hold_is_refused_with_its_end(kind):
    world = world_with_candidate()
    done = []

    def end(when, what):
        if world.weights() == {V1: 50, V2: 50} and not done:
            done.append(True)
            world.revisions[V2].restarts += 1
            world.revisions[V2].ended = ENDS[kind]

    said = refused(world, plan_for(V2, holdSeconds=5), hook=end)
    assert f"The container of pod {V2}-0 ended under traffic and was started again" in said
    assert ENDS[kind] in said
    assert max(weights.get(V2, 0) for weights in world.history) == 50


def test_restarts_before_the_release_and_those_of_the_reference_do_not_count():
    world = world_with_candidate(restarts=3, ended=ENDS["crash"])

    def end(when, what):
        if world.weights() == {V1: 50, V2: 50}:
            world.revisions[V1].restarts = 1

    assert run_job(world, plan_for(V2), hook=end).code == RELEASED


@pytest.mark.parametrize("every", [1, 2, 3])
def test_the_references_own_errors_through_the_route_do_not_refuse_the_candidate(every):
    world = world_with_candidate()
    world.revisions[V1].route_wrong_every = every
    outcome = run_job(world, plan_for(V2, maxHoldSeconds=60))
    assert outcome.code == RELEASED, outcome
    assert world.receipts[JOB]["probes"][V1]["wrong"] > 2
    assert world.receipts[JOB]["probes"][V2]["wrong"] == 0


def test_a_reference_that_does_not_speak_to_the_gate_does_not_refuse_the_candidate():
    """Whoever releases the way out of a broken version must get through."""
    world = world_with_candidate()
    world.revisions[V1].status = world.revisions[V1].route_status = 500
    assert run_job(world, plan_for(V2)).code == RELEASED
    said = [event["event"] for event in world.receipts[JOB]["events"]]
    assert any(f"{V1} did not speak" in each and "not compared" in each for each in said)


def test_a_reference_that_fails_now_and_then_is_still_compared():
    world = world_with_candidate(first_audio=0.013)
    numbers = iter(range(10**6))
    view = View(world, plan_for(V2))
    speak = view.pod_speech

    def stumbling(pod, text, **more):
        world.revisions[V1].status = 500 if pod.name.startswith(V1) and next(numbers) % 7 == 3 else 200
        return speak(pod, text, **more)

    view.pod_speech = stumbling
    assert "by 22 pairs" in refused(world, view=view)


def test_a_candidate_that_does_not_speak_while_it_is_compared_is_refused():
    world = world_with_candidate()
    view = View(world, plan_for(V2))
    speak, numbers = view.pod_speech, iter(range(10**6))

    def stumbling(pod, text, **more):
        world.revisions[V2].status = 500 if pod.name.startswith(V2) and next(numbers) == 9 else 200
        return speak(pod, text, **more)

    view.pod_speech = stumbling
    assert f"Pod {V2}-0 did not speak while it was compared: status 500." in refused(world, view=view)


def test_a_kill_in_the_last_hold_does_not_skip_its_evidence():
    """All weight is there, nothing has settled: the next run shows what the killed one had not."""
    world = world_with_candidate(route_wrong_every=25)

    def kill():
        raise Killed

    def stop(when, what):
        if world.weights() == {V2: 100}:
            kill()

    lax = plan_for(V2, limits={"errorPercent": 50})
    with pytest.raises(Killed):
        run_job(world, lax, hook=stop)
    assert world.weights() == {V2: 100}
    strict = plan_for(V2, limits={"errorPercent": 1}, minSamples=50, maxHoldSeconds=60)
    assert f"At 100 % for {V2} an answer was not right." in refused(world, strict)


class Source:
    """A Prometheus that always says the same."""

    def __init__(self, verdict, *, after=0.0):
        self.verdict, self.after, self.asked = verdict, after, []

    def judge(self, stage, reference):
        self.asked.append((stage.revision, stage.percent, reference))
        value = {"pass": 0.1, "fail": 9.0, "hold": None}[self.verdict]
        return [find("prometheus.errors", stage.revision, "measured", values={"value": value},
                     limits={"max": 1}, sentence=f"Real traffic: {value} %.")]  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "code", "walked"),
    [
        ("pass", RELEASED, [{V1: 90, V2: 10}, {V1: 50, V2: 50}, {V2: 100}]),
        ("fail", REFUSED, [{V1: 90, V2: 10}, {V1: 100}]),
        ("hold", REFUSED, [{V1: 90, V2: 10}, {V1: 100}]),
    ],
)
def test_what_prometheus_says_is_held_to(verdict, code, walked):
    world = world_with_candidate()
    plan = plan_for(V2, holdSeconds=6, maxHoldSeconds=15)
    source = Source(verdict)
    outcome = run_job(world, plan, view=View(world, plan, source=source))
    assert outcome.code == code
    assert changes(world) == walked
    assert source.asked[0] == (V2, 10, V1)
    step = world.receipts[JOB]["steps"][0]
    assert findings(world, name="prometheus.errors", verdict=verdict)
    if verdict == "fail":
        assert step["wrong"] == "Real traffic: 9.0 %."
        assert world.receipts[JOB]["seconds"] < 6
    if verdict == "hold":
        assert "15 s brought no decision" in " ".join(outcome.sentences)
        assert len(source.asked) >= 3

"""Models that do not speak: what is asked of them, and how an answer is judged."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from release.answer import Answer, Sample
from release.checks import judge_text, speaks_well, unjudged
from release.cluster import Pod, Probe
from release.errors import PlanError
from release.findings import Verdict
from release.guard import Tally
from release.plan import Plan, parse
from release.probe import HttpProber, fill
from tests.release import plans
from tests.release.replies import Replies
from tests.release.runs import FakeEars

EARS = FakeEars(lambda _: ("", 0.0))
GATE = {
    "texts": ["one", "two"],
    "required": ["answer", "firstAudio"],
    "firstAudioSeconds": 2.0,
    "firstAudioRatio": 1.25,
    "timeoutSeconds": 5,
    "exchange": {
        "path": "/v1/completions",
        "body": {"prompt": "say {text}", "stop": ["{text}", 7]},
        "answers": {"one": "un$", "two": "deux"},
    },
}


def document(**changes: Any) -> dict[str, Any]:
    made = plans.plan_document(plans.V2)
    made["target"]["gate"] = copy.deepcopy(GATE) | changes
    return made


@pytest.fixture
def plan() -> Plan:
    return parse(json.dumps(document()))


def answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, {}, body, 0.1, first_audio=0.05)


def test_the_text_is_put_wherever_the_body_says(plan: Plan) -> None:
    replies = Replies(lambda _: (200, b"un"))
    with replies.serving() as url:
        prober = HttpProber(plan)
        host, _, port = url.removeprefix("http://").partition(":")
        came = prober.pod_speech(Pod("p", host, True, port=int(port)), "one")
        prober.close()
    ((method, path, body, _),) = replies.asked
    assert (method, path) == ("POST", "/v1/completions")
    assert json.loads(body) == {"prompt": "say one", "stop": ["one", 7]}
    # The first byte of an answer says something already.
    assert came.first_audio is not None
    assert fill({"a": None}, "x") == {"a": None}


@pytest.mark.parametrize(
    ("body", "status", "verdict", "said"),
    [
        (b"trente et un", 200, Verdict.PASS, "holds 'un$'"),
        (b"une", 200, Verdict.FAIL, "does not hold 'un$': une"),
        (b"", 200, Verdict.FAIL, "The answer was empty."),
        (b"busy", 503, Verdict.FAIL, "The answer was 503: busy"),
    ],
)
def test_an_answer_is_judged_by_what_it_must_hold(
    plan: Plan, body: bytes, status: int, verdict: Verdict, said: str
) -> None:
    sample = Sample("one", answer(body, status), answer(b"{}"))
    (finding,) = judge_text(sample, plan.target, EARS, names=plan.target.gate.required, subject="p")
    assert (finding.name, finding.verdict) == ("answer", verdict)
    assert said in finding.sentence
    if status == 200:
        assert bool(speaks_well(answer(body), "one", plan.target, None)) is (verdict is Verdict.FAIL)


def test_without_words_about_it_no_answer_passes(plan: Plan) -> None:
    sample = Sample("three", answer(b"trois"), answer(b"{}"))
    (finding,) = judge_text(sample, plan.target, EARS, names=["answer"], subject="p")
    assert finding.verdict is Verdict.FAIL
    spoken = plans.plan_for(plans.V2).target
    (finding,) = judge_text(sample, spoken, EARS, names=["answer"], subject="p")
    assert finding.verdict is Verdict.FAIL


def test_what_could_be_judged_depends_on_the_kind(plan: Plan) -> None:
    assert unjudged(plan.target.gate) == ["identity"]
    assert unjudged(plans.plan_for(plans.V2).target.gate) == []


def test_the_guard_counts_an_empty_answer_as_dropped() -> None:
    tally = Tally(speaks=False)
    for body in (b"un", b""):
        tally.add(Probe(text="one"), answer(body))
    assert (tally.sent, tally.dropped, tally.reasons) == (2, 1, ["The answer was empty."])


def test_a_plan_that_does_not_say_how_is_refused() -> None:
    wrong = document(exchange={"path": "/a", "body": "text", "answers": {"one": "un"}})
    with pytest.raises(PlanError, match=r"exchange.body is .* it must be an object"):
        parse(json.dumps(wrong))

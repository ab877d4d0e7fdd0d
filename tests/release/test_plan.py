"""plan.json: every mistake is named."""

import json

import pytest

from release import plan as plans
from release.errors import PlanError

from .simulation import V1, V2, http_for, plan_document, plan_for


def test_a_plan_is_read():
    plan = plan_for(V2)
    assert (plan.target.version, plan.target.container_port) == ("1.1.0", 8080)
    assert plan.rollout.steps == (10, 50, 100)
    assert plan.declared_http == http_for({V2: 100})


def broken(path, value):
    document = plan_document(V2)
    *folders, last = path.split(".")
    place = document
    for key in folders:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("release", KeyError),
        ("name", ""),
        ("namespace", 7),
        ("target.revision", None),
        ("target.revision", V1),
        ("target.replicas", 0),
        ("target.containerPort", 80.5),
        ("target.containerPort", True),
        ("route", {}),
        ("gateway.address", KeyError),
        ("rollout.steps", []),
        ("rollout.steps", [10, 50]),
        ("rollout.steps", [50, 10, 100]),
        ("rollout.steps", [0, 100]),
        ("rollout.steps", [10, 10, 100]),
        ("rollout.steps", ["10", 100]),
        ("rollout.holdSeconds", -1),
        ("rollout.readySeconds", float("nan")),
        ("gate.sampleRate", "24k"),
        ("gate.texts", []),
        ("gate.texts", [" "]),
        ("gate.required", "decodable"),
        ("gate.charactersPerSecond", KeyError),
        ("gate.rmsDbfs.max", float("inf")),
        ("gate.rmsDbfs.max", -40),
        ("gate.timeoutSeconds", 0),
    ],
)
def test_each_mistake_is_named(path, value):
    with pytest.raises(PlanError, match=path.replace(".", r"\.")):
        plans.parse(broken(path, value))


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(PlanError) as caught:
        plans.parse("{}")
    for path in ("release", "target.revision", "route", "rollout.steps", "gate.texts", "gate.rmsDbfs.min"):
        assert f"{path} is missing" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_not_an_object_is_refused(text):
    with pytest.raises(PlanError):
        plans.parse(text)

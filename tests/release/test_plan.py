"""plan.json: every mistake is named, and what contradicts itself too."""

import json
import re

import pytest

from release import plan as plans
from release.errors import PlanError

from .plans import V1, V2, V3, http_for, plan_document, plan_for

PROMETHEUS = {
    "url": "http://prometheus:9090/",
    "maxAgeSeconds": 60,
    "queries": {"requests": "sum(a)", "errors": "sum(b)"},
}


def test_a_plan_is_read():
    plan = plan_for(V2)
    assert (plan.target.version, plan.target.container_port, plan.target.role) == ("1.1.0", 8080, "stable")
    assert plan.rollout.steps == (10, 50, 100)
    assert plan.declared_http == http_for({V2: 100})
    assert plan.prometheus is None
    assert plan.others == ()
    assert plan.audio_store == ""
    assert plan_for(V2, audio_store="s3://kept/gate/voice/").audio_store == "s3://kept/gate/voice"
    assert (plan.rollout.limits.error_percent, plan.rollout.limits.p99_seconds) == (10, None)
    gate = plan.target.gate
    assert (gate.word_error_mean, gate.word_error_each, gate.quality_min) == (0.15, 0.35, 2.9)


def test_canary_warm_versions_and_prometheus_are_read():
    plan = plan_for(
        V2, canary={"revision": V3, "weight": 10}, warm=(V1,), prometheus=PROMETHEUS, limits={"p99Ratio": 1.5}
    )
    assert [(each.revision, each.role) for each in plan.targets] == [
        (V2, "stable"),
        (V3, "canary"),
        (V1, "warm"),
    ]
    assert plan.find(V3).version == "1.2.0"
    assert plan.find("unknown") is None
    assert plan.prometheus.url == "http://prometheus:9090"
    assert plan.rollout.limits.p99_ratio == 1.5


def test_a_plan_without_others_and_prometheus_is_read():
    document = plan_document(V2)
    del document["others"], document["prometheus"]
    plan = plans.parse(json.dumps(document))
    assert (plan.others, plan.prometheus) == ((), None)


def broken(path, value):
    document = plan_document(V2, canary={"revision": V3, "weight": 10}, warm=(V1,), prometheus=PROMETHEUS)
    *folders, last = re.findall(r"[^.\[\]]+", path)
    place = document
    for key in folders:
        place = place[int(key)] if isinstance(place, list) else place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document)


NUMBERS = {
    "rollout.holdSeconds": [KeyError, -1, "5"],
    "rollout.maxHoldSeconds": [KeyError, -1],
    "rollout.readySeconds": [KeyError, float("nan"), 0],
    "rollout.minSamples": [KeyError, 0, 2.5],
    "rollout.probesPerSecond": [KeyError, 0, float("inf")],
    "rollout.limits.errorPercent": [KeyError, -0.1],
    "rollout.limits.firstAudioRatio": [KeyError, 0.9],
    "rollout.limits.firstAudioSeconds": [0, -1, "2"],
    "rollout.limits.p99Seconds": [0, True],
    "rollout.limits.p99Ratio": [0, float("nan")],
    "target.replicas": [KeyError, 0],
    "target.maxReplicas": [KeyError, 0],
    "target.startSeconds": [KeyError, -1],
    "target.containerPort": [KeyError, 80.5, True],
    "target.gate.sampleRate": [KeyError, "24k", 0],
    "target.gate.clippedPercent": [KeyError, -1],
    "target.gate.wordErrorRate.mean": [KeyError, float("nan")],
    "target.gate.wordErrorRate.each": [KeyError, -0.1],
    "target.gate.qualityMin": [KeyError, "2.9"],
    "target.gate.firstAudioSeconds": [KeyError, -1],
    "target.gate.realTimeFactor": [KeyError, -1],
    "target.gate.firstAudioRatio": [KeyError, 0.5],
    "target.gate.timeoutSeconds": [KeyError, 0],
    "target.gate.rmsDbfs.min": [KeyError],
    "target.gate.rmsDbfs.max": [KeyError, float("inf")],
    "prometheus.maxAgeSeconds": [KeyError, 0],
    "others[0].replicas": [0],
    "others[1].gate.sampleRate": [KeyError],
}
OTHERS = [
    ("release", KeyError),
    ("name", ""),
    ("namespace", 7),
    ("model", KeyError),
    ("target.revision", None),
    ("target.revision", V1),
    ("target.version", KeyError),
    ("target.role", "candidate"),
    ("target.role", KeyError),
    ("target.artifacts", []),
    ("target.artifacts", {"a": 3}),
    ("others", "x"),
    ("others[0].role", "live"),
    ("others[1].gate.texts", []),
    ("route", {}),
    ("gateway.address", KeyError),
    ("gateway.host", ""),
    ("rollout.strategy", "bluegreen"),
    ("rollout.strategy", KeyError),
    ("rollout.steps", []),
    ("rollout.steps", [10, 50]),
    ("rollout.steps", [50, 10, 100]),
    ("rollout.steps", [0, 100]),
    ("rollout.steps", [10, 10, 100]),
    ("rollout.steps", [12.5, 100]),
    ("rollout.steps", ["10", 100]),
    ("rollout.steps", [True, 100]),
    ("target.gate.languages", []),
    ("target.gate.texts", []),
    ("target.gate.texts", [" "]),
    ("target.gate.required", "decodable"),
    ("target.gate.required", []),
    ("target.gate.charactersPerSecond.min", KeyError),
    ("target.gate.charactersPerSecond.max", 1),
    ("target.gate.rmsDbfs.max", -40),
    ("audioStore", ""),
    ("audioStore", 7),
    ("prometheus.url", ""),
    ("prometheus.queries.requests", KeyError),
    ("prometheus.queries.errors", ""),
    ("prometheus.queries", {"requests": 1}),
]


@pytest.mark.parametrize(
    ("path", "value"), OTHERS + [(path, value) for path, values in NUMBERS.items() for value in values]
)
def test_each_mistake_is_named(path, value):
    last = path.removesuffix(".max") if value in (1, -40) else path  # a range is wrong by its two ends
    with pytest.raises(PlanError, match=re.escape(last)):
        plans.parse(broken(path, value))


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(PlanError) as caught:
        plans.parse("{}")
    for path in (
        "release", "target.revision", "target.role", "route", "rollout.strategy", "rollout.steps",
        "rollout.minSamples", "rollout.limits.errorPercent", "target.gate.texts", "target.gate.rmsDbfs.min",
        "target.gate.wordErrorRate.mean",
    ):  # fmt: skip
        assert f"{path} is missing" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_not_an_object_is_refused(text):
    with pytest.raises(PlanError):
        plans.parse(text)


def contradicting(**changes):
    document = plan_document(V2, canary={"revision": V3, "weight": 10})
    document.update(changes.pop("whole", {}))
    document["rollout"].update(changes)
    with pytest.raises(PlanError) as caught:
        plans.parse(json.dumps(document))
    return str(caught.value)


def test_a_target_that_the_route_does_not_lead_to():
    route = plan_document(V3)["route"]
    assert f"target.revision is {V2}, but route leads to {V3}." in contradicting(whole={"route": route})


@pytest.mark.parametrize("extra", [{"weights": {V2: 90, V1: 10}}, {"weights": {V2: 100}, "mirror": V1}])
def test_a_route_that_leads_to_what_the_plan_does_not_name(extra):
    route = plan_document(V2)["route"]
    route["spec"]["http"] = http_for(extra["weights"], mirror=extra.get("mirror", ""))
    said = contradicting(whole={"route": route})
    assert f"route leads to {V1}, which is neither the target nor among others." in said


def test_a_hold_that_may_not_last_as_long_as_it_must():
    assert "rollout.maxHoldSeconds is 3, below holdSeconds, 4" in contradicting(
        holdSeconds=4, maxHoldSeconds=3
    )


@pytest.mark.parametrize("weights", [[], [90, 5], [100, 10]])
def test_a_route_whose_weights_are_not_whole(weights):
    """Weights that do not sum to 100 are read as Envoy does; a route without any is no route."""
    document = plan_document(V2)
    entry = document["route"]["spec"]["http"][-1]
    entry["route"] = [{**entry["route"][0], "weight": weight} for weight in weights]
    if weights:
        assert plans.parse(json.dumps(document)).target.revision == V2
    else:
        with pytest.raises(PlanError, match="with a weighted entry"):
            plans.parse(json.dumps(document))

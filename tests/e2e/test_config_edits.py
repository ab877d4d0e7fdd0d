"""What else an edit of the config can say: a canary, copies for it, warm versions, a freeze, all at once.

The tests build on one another, in this order: each begins with what the one before it left.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.e2e.conftest import ROLLOUT, Finished, Platform, Traffic
from tests.e2e.live import Api, ready, weights
from tests.waiting import eventually


def succeed(platform: Platform, **values: object) -> tuple[str, Traffic]:
    """The config edited and brought up under traffic, of which no request fails."""
    platform.configure(**values)
    with Traffic(platform) as traffic:
        done = platform.up()
    assert done.status == 0, done.text
    assert traffic.faults == []
    return done.text, traffic


def shares(platform: Platform) -> dict[str, int]:
    """The percent of each version, by the route."""
    return {
        "-".join(revision.split("-")[1:4]).replace("-", "."): weight
        for revision, weight in weights(Api(platform.home).route()).items()
    }


def answered(platform: Platform, requests_: int) -> Counter[str]:
    """Who answers so many requests that name nobody."""
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: requests.get(f"{platform.url}/version", timeout=10), range(requests_))
        return Counter(answer.headers["x-tts-version"] for answer in answers)


def process_of(platform: Platform, version: str) -> int:
    """The one process that serves a version."""
    name = f"hibari-{version.replace('.', '-')}-"
    (found,) = [pid for pid, revision in platform.server_processes().items() if revision.startswith(name)]
    return found


def built_or_started(text: str) -> list[str]:
    """The lines of an `up` that say that an image was built or a Deployment made."""
    return [line for line in text.splitlines() if ": built (" in line or "+ Deployment" in line]


def test_a_canary_gets_its_share_and_each_version_is_reached_by_header(platform: Platform) -> None:
    succeed(platform, canary={"version": "1.1.0", "weight": 20})
    assert shares(platform) == {"1.0.0": 80, "1.1.0": 20}
    seen = answered(platform, 200)
    assert set(seen) == {"1.0.0", "1.1.0"}
    assert 18 <= seen["1.1.0"] <= 64, f"20 % of 200, give or take four standard deviations: {seen}"
    for version in ("1.0.0", "1.1.0"):
        for _ in range(5):
            assert platform.speak(**{"x-tts-version": version}).headers["x-tts-version"] == version


def test_another_up_keeps_the_canary(platform: Platform) -> None:
    before = platform.processes()
    again = platform.up()
    assert again.status == 0, again.text
    assert "Nothing changed" in again.text
    assert shares(platform) == {"1.0.0": 80, "1.1.0": 20}
    assert platform.processes() == before


def test_a_promotion_changes_weights_and_starts_nothing(platform: Platform) -> None:
    before = process_of(platform, "1.1.0")
    text, _ = succeed(platform, modelVersion="1.1.0", canary=None)
    assert built_or_started(text) == []
    assert shares(platform) == {"1.1.0": 100}
    assert list(platform.server_processes()) == [before], "the canary's process serves on, alone"


def test_a_canary_is_withdrawn(platform: Platform) -> None:
    before = process_of(platform, "1.1.0")
    succeed(platform, canary={"version": "1.0.0", "weight": 20})
    assert shares(platform) == {"1.1.0": 80, "1.0.0": 20}
    succeed(platform, canary=None)
    assert shares(platform) == {"1.1.0": 100}
    assert list(platform.server_processes()) == [before]
    assert platform.speak(**{"x-tts-version": "1.0.0"}).headers["x-tts-version"] == "1.1.0"


def test_a_mirrored_canary_hears_all_and_is_heard_by_nobody(platform: Platform) -> None:
    _, during = succeed(platform, canary={"version": "1.0.0", "mirror": True})
    assert set(during.versions) == {"1.1.0"}
    before = mirrored(platform)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda _: platform.speak(), range(20)))
    assert {answer.headers["x-tts-version"] for answer in answers} == {"1.1.0"}
    assert {answer.status_code for answer in answers} == {200}
    copies = eventually(lambda: mirrored(platform) - before >= 20 and mirrored(platform) - before)
    assert copies == 20, "copies are answered after the caller is"
    log = platform.run("logs", "--stack", "dev", "--tail", "200").text
    canary = [line for line in log.splitlines() if "hibari-1-0-0-" in line and '"origin"' in line]
    assert any('"origin": "mirror"' in line for line in canary), log
    assert not any('"origin": "user"' in line for line in canary), log
    assert platform.speak(**{"x-tts-version": "1.0.0"}).headers["x-tts-version"] == "1.0.0"


def mirrored(platform: Platform) -> int:
    """The copies of speech requests that the canary 1.0.0 has answered, as its own metrics count them."""
    (pod,) = Api(platform.home).all(
        "pods", "app.kubernetes.io/version=1.0.0,app.kubernetes.io/component=model-server"
    )
    metrics = requests.get(f"http://{pod['status']['podIP']}:8080/metrics", timeout=10).text
    counted = [line for line in metrics.splitlines() if line.startswith('tts_requests_total{code="200"')]
    assert not [line for line in counted if 'origin="user"' in line and not line.endswith(" 0.0")]
    return sum(int(float(line.split()[-1])) for line in counted if 'origin="mirror"' in line)


def test_the_way_back_to_a_warm_version_is_a_change_of_weights(platform: Platform) -> None:
    text, _ = succeed(platform, canary=None, warmVersions=["1.0.0"])
    assert built_or_started(text) == [], "the canary's pod stays as the warm one"
    assert shares(platform) == {"1.1.0": 100}
    assert platform.speak(**{"x-tts-version": "1.0.0"}).headers["x-tts-version"] == "1.0.0"
    before = platform.server_processes()
    text, traffic = succeed(platform, modelVersion="1.0.0", warmVersions=["1.1.0"])
    assert built_or_started(text) == []
    assert platform.server_processes() == before
    assert shares(platform) == {"1.0.0": 100}
    assert set(traffic.versions) == {"1.0.0", "1.1.0"}
    receipt = Api(platform.home).receipt()["receipt.json"]
    (step,) = receipt["steps"]
    assert step["weights"] == {receipt["target"]["revision"]: 100}
    assert step["at"] < 1.0, "seconds from the Job's first line to the weights"


FREEZE = {"version": "1.0.0", "until": "2999-01-01", "reason": "the big sale"}


def refused(done: Finished) -> None:
    assert done.status != 0
    assert 'tts:modelVersion is "1.1.0", but 1.0.0 is frozen until 2999-01-01' in done.text, done.text
    assert "(the big sale)" in done.text
    assert "Traceback" not in done.text


def test_a_freeze_refuses_in_preview_and_up(platform: Platform) -> None:
    before = platform.processes()
    platform.configure(modelVersion="1.1.0", warmVersions=None, freeze=FREEZE)
    refused(platform.run("preview", "--stack", "dev"))
    refused(platform.up())
    assert platform.processes() == before
    assert platform.live_version() == "1.0.0"


def test_an_override_lifts_the_freeze_aloud_and_immediate_is_one_step(platform: Platform) -> None:
    lifted = {**FREEZE, "override": {"by": "Ada", "reason": "a wrong price is read out"}}
    platform.configure(freeze=lifted)
    platform.edit("serving/__init__.py", "", "# A server that never ran before.\n")
    said = "is lifted for 1.1.0 by Ada: a wrong price is read out"
    plan = platform.run("preview", "--stack", "dev")
    assert plan.status == 0, plan.text
    assert said in plan.text
    text, _ = succeed(platform, rollout={"strategy": "immediate", **ROLLOUT})
    assert said in text
    assert "The smoke test is passed by 1.1.0" in text
    receipt = Api(platform.home).receipt()["receipt.json"]
    assert [step["weights"] for step in receipt["steps"]] == [{receipt["target"]["revision"]: 100}]
    assert shares(platform) == {"1.1.0": 100}


def test_a_candidate_starts_with_the_pods_that_the_live_revision_has(platform: Platform) -> None:
    before = platform.server_processes()
    text, _ = succeed(platform, freeze=None, autoscaling={"maxReplicas": 3})
    assert "HorizontalPodAutoscaler" in text.partition("Accepted without effect")[2], text
    assert platform.server_processes() == before, "the number is declared no more, and stays"
    api = Api(platform.home)
    (live,) = before.values()
    api.scale(live, 2)
    eventually(lambda: ready(api.get("deployments", live) or {}) == 2)
    succeed(platform, modelVersion="1.0.0")
    assert shares(platform) == {"1.0.0": 100}
    first, second = platform.servers()
    assert first == second != live
    (autoscaler,) = api.all("horizontalpodautoscalers")
    assert autoscaler["metadata"]["name"] == first
    assert not autoscaler["metadata"]["annotations"].get("tts/held-by")
    said = [event["event"] for event in api.receipt()["receipt.json"]["events"]]
    assert f"{first} is asked for 2 replicas instead of 1." in said

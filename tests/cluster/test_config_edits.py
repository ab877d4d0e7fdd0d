"""What else an edit of the config can say, under traffic on a real cluster: a canary with weight, then with
copies, its promotion, a way back to what was kept warm, a freeze."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.cluster.conftest import NAME, ClusterPlatform, kubectl
from tests.e2e.conftest import Traffic
from tests.e2e.live import weights
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

FREEZE = {"version": "1.0.0", "until": "2999-01-01", "reason": "the big sale"}


@pytest.fixture(scope="module")
def traffic(stack: ClusterPlatform) -> Iterator[Traffic]:
    """Five requests a second, through all that happens here."""
    with Traffic(stack, per_second=5) as made:
        yield made


def succeed(stack: ClusterPlatform, **values: object) -> str:
    stack.configure(**values)
    done = stack.up(timeout=280)
    assert done.status == 0, done.text
    return done.text


def shares(stack: ClusterPlatform) -> dict[str, int]:
    """The percent of each version, by the route."""
    route = stack.get("virtualservice.networking.istio.io", NAME)
    return {
        "-".join(revision.split("-")[1:4]).replace("-", "."): weight
        for revision, weight in weights(route).items()
    }


def answered(stack: ClusterPlatform, count: int) -> Counter[str]:
    """Who answers so many requests that name nobody."""

    def ask(_: int) -> str:
        return requests.get(f"{stack.url}/version", headers={"Host": stack.host}, timeout=10).headers[
            "x-tts-version"
        ]

    with ThreadPoolExecutor(4) as threads:
        return Counter(threads.map(ask, range(count)))


def built_or_started(text: str) -> list[str]:
    """The lines of an `up` that say that an image was built or a Deployment made."""
    return [line for line in text.splitlines() if ": built (" in line or "+ Deployment" in line]


def test_a_canary_gets_its_share(stack: ClusterPlatform, traffic: Traffic) -> None:
    succeed(stack, canary={"version": "1.1.0", "weight": 20})
    assert shares(stack) == {"1.0.0": 80, "1.1.0": 20}
    seen = answered(stack, 200)
    assert 18 <= seen["1.1.0"] <= 64, f"20 % of 200, give or take four standard deviations: {seen}"
    for version in ("1.0.0", "1.1.0"):
        assert stack.speak(**{"x-tts-version": version}).headers["x-tts-version"] == version


def test_a_canary_that_is_fed_copies_is_heard_by_nobody(stack: ClusterPlatform, traffic: Traffic) -> None:
    text = succeed(stack, canary={"version": "1.1.0", "mirror": True})
    assert built_or_started(text) == []
    assert shares(stack) == {"1.0.0": 100}
    assert set(answered(stack, 30)) == {"1.0.0"}
    before = copies(stack)
    assert eventually(lambda: copies(stack) > before + 5, 20), "speech requests are copied"
    assert stack.speak(**{"x-tts-version": "1.1.0"}).headers["x-tts-version"] == "1.1.0"


def copies(stack: ClusterPlatform) -> int:
    """The mirrored requests that the canary has answered, as its own metrics count them."""
    labels = "app.kubernetes.io/version=1.1.0,app.kubernetes.io/component=model-server"
    (pod,) = stack.get("pods", "--selector", labels)["items"]
    path = f"/api/v1/namespaces/{stack.namespace}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
    counted = [
        line for line in kubectl("get", "--raw", path).splitlines() if line.startswith("tts_requests_total{")
    ]
    return sum(int(float(line.split()[-1])) for line in counted if 'origin="mirror"' in line)


def test_a_promotion_and_the_way_back_to_what_is_warm_start_nothing(
    stack: ClusterPlatform, traffic: Traffic
) -> None:
    promoted = succeed(stack, canary=None, modelVersion="1.1.0", warmVersions=["1.0.0"])
    assert built_or_started(promoted) == []
    assert shares(stack) == {"1.1.0": 100}
    assert stack.live_version() == "1.1.0"
    back = succeed(stack, modelVersion="1.0.0", warmVersions=["1.1.0"])
    assert built_or_started(back) == []
    assert shares(stack) == {"1.0.0": 100}
    receipt = stack.receipt()
    moved = receipt["startupSeconds"] + receipt["steps"][0]["at"]
    assert moved < 10, "a warm way back waits for nothing; the bench says how long it takes"
    succeed(stack, warmVersions=None)
    assert stack.of_version("1.1.0") == []


def test_a_freeze_refuses_and_changes_nothing(stack: ClusterPlatform, traffic: Traffic) -> None:
    before = stack.present()
    stack.configure(modelVersion="1.1.0", freeze=FREEZE)
    refused = [stack.run("preview", "--stack", "dev"), stack.up()]
    stack.configure(modelVersion="1.0.0", freeze=None)
    for done in refused:
        assert done.status != 0
        assert 'tts:modelVersion is "1.1.0", but 1.0.0 is frozen until 2999-01-01' in done.text, done.text
        assert "Traceback" not in done.text
    assert stack.present() == before
    assert stack.live_version() == "1.0.0"


def test_no_request_failed_through_all_of_it(traffic: Traffic) -> None:
    assert traffic.faults == []
    assert traffic.sent > 100
    assert set(traffic.versions) == {"1.0.0", "1.1.0"}

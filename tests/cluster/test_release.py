"""The main job on a real cluster: a first release speaks, and a switch and its way back drop nothing."""

from __future__ import annotations

import pytest

from local.wav import decode
from tests.cluster.conftest import NAME, ClusterPlatform
from tests.e2e.conftest import Traffic
from tests.e2e.live import weights

pytestmark = pytest.mark.cluster


def test_the_first_release_speaks_through_the_gateway(stack: ClusterPlatform) -> None:
    answer = stack.speak("Good morning, this is the first release.")
    assert answer.status_code == 200, answer.text
    speech = decode(answer.content)
    assert speech.sample_rate == 24000
    assert 1.5 < speech.seconds < 6
    assert -35 < speech.level < -15
    assert answer.headers["x-tts-version"] == "1.0.0"


def test_a_version_is_reached_by_its_header(stack: ClusterPlatform) -> None:
    assert stack.speak(**{"x-tts-version": "1.0.0"}).headers["x-tts-version"] == "1.0.0"


def test_up_and_preview_without_an_edit_change_nothing(stack: ClusterPlatform) -> None:
    before = {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in objects(stack)}
    again = stack.up()
    assert again.status == 0, again.text
    assert "Nothing changed" in again.text, again.text
    plan = stack.run("preview", "--stack", "dev")
    assert "Nothing would change" in plan.text, plan.text
    assert {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in objects(stack)} == before


def objects(stack: ClusterPlatform) -> list[dict[str, object]]:
    """All that an update could change; the guard's Job ends by itself a moment after it."""
    kinds = "deployments,services,jobs,configmaps,virtualservices.networking.istio.io"
    return [item for item in stack.get(kinds)["items"] if not item["metadata"]["name"].endswith("-guard")]


def test_a_switch_and_the_way_back_drop_nothing(stack: ClusterPlatform) -> None:
    for version, old in (("1.1.0", "1.0.0"), ("1.0.0", "1.1.0")):
        stack.configure(modelVersion=version)
        with Traffic(stack, per_second=5) as traffic:
            done = stack.up(timeout=280)
        assert done.status == 0, done.text
        assert traffic.faults == []
        assert set(traffic.versions) == {old, version}, "both versions answer while the weights move"
        assert stack.live_version() == version
        assert stack.of_version(old) == []
        (share,) = weights(stack.get("virtualservice.networking.istio.io", NAME)).items()
        assert share[0].startswith(f"hibari-{version.replace('.', '-')}-")
        assert share[1] == 100


def test_preview_of_an_edit_touches_nothing(stack: ClusterPlatform) -> None:
    before = stack.present()
    stack.configure(modelVersion="1.1.0")
    plan = stack.run("preview", "--stack", "dev")
    stack.configure(modelVersion="1.0.0")
    assert plan.status == 0, plan.text
    assert "hibari-1-1-0-" in plan.text
    assert stack.present() == before

"""A candidate that does not speak is refused on a real cluster, and the live version never notices."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import ClusterPlatform
from tests.e2e.conftest import Traffic
from tests.e2e.live import condition

pytestmark = pytest.mark.cluster

ENGINE = "serving/engines/hibari/engine.py"
SPOKEN = "yield np.clip(samples, -1.0, 1.0)"
# The server starts, since its own first synthesis is heard; all others are silent.
SILENT = "yield samples * np.float32(utterance.text == _WARM_UP_TEXT)"


def test_silence_is_refused_and_the_revert_takes_it_away(stack: ClusterPlatform) -> None:
    live = stack.of_version("1.0.0")
    stack.configure(modelVersion="1.1.0")
    stack.edit(ENGINE, SPOKEN, SILENT)
    try:
        with Traffic(stack, per_second=5) as traffic:
            done = stack.up(timeout=280)
    finally:
        stack.restore(ENGINE)
        stack.configure(modelVersion="1.0.0")
    assert done.status != 0
    assert "level: The level is -inf dBFS" in done.text, done.text
    assert f"make release VERSION=1.0.0 STACK=dev KUBECONFIG={stack.kubeconfig}" in done.text, done.text
    assert "Traceback" not in done.text
    assert traffic.faults == []
    assert set(traffic.versions) == {"1.0.0"}, "the bad candidate never got traffic"
    left = [name for name in stack.of_version("1.0.0") if "release" not in name]
    assert left == [name for name in live if "release" not in name], "the live revision is untouched"
    job = stack.job()
    assert condition(job) == "Failed"
    assert job["status"]["failed"] == 1, "the verdict was not asked for again"
    reasons = {each["reason"] for each in job["status"]["conditions"]}
    assert reasons == {"BackoffLimitExceeded"}, (
        "for any other but a deadline, the Pulumi engine waits its time"
    )
    assert stack.of_version("1.1.0"), "the candidate stays to be looked at"

    with Traffic(stack, per_second=2) as traffic:
        reverted = stack.up()
    assert reverted.status == 0, reverted.text
    assert traffic.faults == []
    assert set(traffic.versions) == {"1.0.0"}
    assert stack.of_version("1.1.0") == []

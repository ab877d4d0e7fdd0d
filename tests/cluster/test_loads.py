"""A load of ninety seconds is left alone, and one that hangs is refused when its budgets are over."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.cluster.conftest import ClusterPlatform, namespaced
from tests.e2e.conftest import Finished, Traffic
from tests.e2e.live import condition

pytestmark = pytest.mark.cluster

LOAD_SECONDS, BUDGET_SECONDS = 90, 150
HANG_SECONDS, PULL_SECONDS = 7200, 5
USUAL_BUDGET = 60
"""Of the catalog entry."""


class SlowUp(threading.Thread):
    """`up` of version 1.1.0 after a load of ninety seconds, on a stack of its own."""

    def __init__(self, stack: ClusterPlatform) -> None:
        super().__init__(daemon=True)
        self._stack = stack
        self.done = Finished(-1, "not done")

    def run(self) -> None:
        self.done = self._stack.up(timeout=280)


def test_a_slow_load_is_released_and_a_hanging_one_refused(
    stack: ClusterPlatform, base_image: str, tmp_path: Path
) -> None:
    """Both at once, since both wait."""
    with namespaced(tmp_path, base_image) as slow:
        slow.edit_entry("1.1.0", "load", budgetSeconds=BUDGET_SECONDS)
        slow.configure(modelVersion="1.1.0", loadDelaySeconds=LOAD_SECONDS)
        loading = SlowUp(slow)
        loading.start()
        _a_load_that_hangs_is_refused(stack)
        loading.join(280)
        assert loading.done.status == 0, loading.done.text
        assert f"until {LOAD_SECONDS} s after its start" in loading.done.text
        (server,) = slow.get("pods", "--selector", "app.kubernetes.io/component=model-server")["items"]
        (status,) = server["status"]["containerStatuses"]
        assert status["restartCount"] == 0
        assert slow.live_version() == "1.1.0"


def _a_load_that_hangs_is_refused(stack: ClusterPlatform) -> None:
    live, job = stack.speak().headers["x-tts-revision"], stack.job()
    stack.configure(
        modelVersion="1.1.0",
        loadDelaySeconds=HANG_SECONDS,
        timeouts={"nodeSeconds": 0, "pullSeconds": PULL_SECONDS},
    )
    began = time.monotonic()
    with Traffic(stack, per_second=5) as traffic:
        done = stack.up(timeout=280)
        spent = time.monotonic() - began
    stack.configure(modelVersion="1.0.0", loadDelaySeconds=None, timeouts=None)
    assert done.status != 0, done.text
    assert "Its release will be refused: by its catalog entry 1.1.0 may take 60 s" in done.text
    assert f"made no progress for {USUAL_BUDGET + PULL_SECONDS} s" in done.text, done.text
    assert f"{USUAL_BUDGET} s to load (load.budgetSeconds of its catalog entry)" in done.text
    assert USUAL_BUDGET + PULL_SECONDS <= spent < USUAL_BUDGET + PULL_SECONDS + 20
    assert traffic.faults == []
    assert set(traffic.revisions) == {live}
    back = stack.up(timeout=280)
    assert back.status == 0, back.text
    assert stack.of_version("1.1.0") == []
    assert stack.speak().headers["x-tts-revision"] == live
    assert condition(job) == "Complete"

"""`up` is killed while its release goes on in the cluster; the next one, of the old version, mends all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.conftest import NAME, ClusterPlatform
from tests.e2e.conftest import Traffic
from tests.e2e.live import condition, weights

pytestmark = pytest.mark.cluster


def kill_in_the_ramp(stack: ClusterPlatform, log: Path) -> None:
    """Starts a release and kills `up`, by SIGKILL, as soon as the first weight has moved. The server it
    releases has never served before: one that has would go back in a single step."""
    server = stack.checkout / "serving" / "__init__.py"
    before = server.read_text()
    server.write_text(f"# Killed in the ramp, {time.time()}.\n")
    process = stack.start("up", "--stack", "dev", log=log)
    try:
        deadline = time.monotonic() + 240
        while "] The route gives " not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
        server.write_text(before)


def test_a_killed_up_and_a_revert_converge(stack: ClusterPlatform, tmp_path: Path) -> None:
    with Traffic(stack, per_second=5) as traffic:
        stack.configure(modelVersion="1.1.0")
        kill_in_the_ramp(stack, tmp_path / "up.log")
        moving = weights(stack.get("virtualservice.networking.istio.io", NAME))
        abandoned = stack.job()["metadata"]["uid"]
        stack.configure(modelVersion="1.0.0")
        done = stack.up(timeout=280)
    assert len(moving) == 2, moving
    assert done.status == 0, done.text
    assert traffic.faults == []
    assert stack.live_version() == "1.0.0"
    assert stack.of_version("1.1.0") == []
    job = stack.job()
    assert condition(job) == "Complete"
    assert job["metadata"]["uid"] != abandoned, "the revert ran a Job of its own"
    again = stack.up()
    assert "Nothing changed" in again.text, again.text

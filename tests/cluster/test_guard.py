"""The release's process is killed in the ramp and its Job deleted: nobody goes on, and the guard restores."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.cluster.conftest import NAME, ClusterPlatform, kubectl
from tests.cluster.test_kill import kill_in_the_ramp
from tests.e2e.conftest import Traffic
from tests.e2e.live import weights

pytestmark = pytest.mark.cluster

DEAD_SECONDS = 20.0


def release_processes(uid: str) -> list[int]:
    """The processes of a pod on this machine, by its uid in their control groups."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and uid.replace("-", "_") in (entry / "cgroup").read_text().replace(
                "-", "_"
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_job_that_is_gone_and_not_replaced_is_restored_by_its_guard(
    stack: ClusterPlatform, tmp_path: Path
) -> None:
    with Traffic(stack, per_second=5) as traffic:
        stack.configure(modelVersion="1.1.0")
        kill_in_the_ramp(stack, tmp_path / "up.log")
        job = stack.job()["metadata"]["name"]
        (pod,) = stack.get("pods", "--selector", f"batch.kubernetes.io/job-name={job}")["items"]
        processes = release_processes(pod["metadata"]["uid"])
        if not processes:
            pytest.skip("The pods of this cluster do not run on this machine.")
        for process in processes:
            os.kill(process, signal.SIGKILL)
        kubectl("delete", "job", job, "--namespace", stack.namespace, "--wait=false")
        assert len(weights(stack.get("virtualservice.networking.istio.io", NAME))) == 2
        begin = time.monotonic()
        while len(weights(stack.get("virtualservice.networking.istio.io", NAME))) != 1:
            assert time.monotonic() - begin < DEAD_SECONDS + 10, "the guard did not restore"
            time.sleep(0.5)
    assert traffic.faults == []
    assert stack.live_version() == "1.0.0"
    assert "DeadMan" in stack.events()
    stack.configure(modelVersion="1.0.0")
    back = stack.up(timeout=280)
    assert back.status == 0, back.text
    assert stack.of_version("1.1.0") == []

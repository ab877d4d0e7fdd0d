"""Who can be killed on a cluster, and how.

Pods are deleted through the API, anywhere. Processes of the cluster itself are stopped for some seconds and
go on by themselves, only where TTS_TEST_PIDS names a folder with `kubelet.pid`, `kube-apiserver.pid` and so
on: files whose first word is a process's number on this machine. Where TTS_TEST_START is a command that
starts what does not run, such a process is killed, too, and started again by it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.conftest import ClusterPlatform, kubectl
from tests.e2e.live import Api, weights

OUTAGE_SECONDS = 6.0
"""Long enough for requests to wait and for probes and scrapes to fail."""
GATEWAY = ("--namespace", "istio-system", "--selector", "istio=ingressgateway")
PROGRAMS = {"istiod": "pilot-discovery"}
AT_ONCE = ("--force", "--grace-period=0")


@dataclass(frozen=True)
class Victim:
    """`strike(stack, api)` hits it. `process`: which of the cluster's processes it is, empty for a pod.
    `loses`: requests that are under way may fail; `may_refuse`: and the release may be refused for it."""

    strike: Callable[[ClusterPlatform, Api], None]
    process: str = ""
    loses: bool = False
    may_refuse: bool = False


def missing(victim: Victim) -> str:
    """Why it cannot be hit here; empty where it can."""
    if not victim.process:
        return ""
    folder = os.environ.get("TTS_TEST_PIDS")
    if not folder:
        return "TTS_TEST_PIDS names no folder with the numbers of the cluster's processes."
    if not (Path(folder) / f"{victim.process}.pid").exists():
        return f"{folder} has no {victim.process}.pid."
    return ""


def _pod_of_job(suffix: str) -> Callable[[ClusterPlatform, Api], None]:
    def strike(stack: ClusterPlatform, api: Api) -> None:
        name = f"{api.job()['metadata']['name']}{suffix}"
        _delete(stack, "--selector", f"batch.kubernetes.io/job-name={name}", *AT_ONCE)

    return strike


def _server(*words: str, live: bool) -> Callable[[ClusterPlatform, Api], None]:
    """One of the pods of the revision with the most weight, or of the other one."""

    def strike(stack: ClusterPlatform, api: Api) -> None:
        shares = weights(api.route())
        stable = max(shares, key=lambda revision: shares[revision])
        pods = [
            pod["metadata"]["name"]
            for pod in api.all("pods", "app.kubernetes.io/component=model-server")
            if (pod["metadata"]["labels"]["tts/revision"] == stable) is live
            and "deletionTimestamp" not in pod["metadata"]
        ]
        assert pods, f"there is no such pod beside {shares}"
        _delete(stack, pods[0], *words)

    return strike


def _delete(stack: ClusterPlatform, *words: str) -> None:
    kubectl("delete", "pod", "--namespace", stack.namespace, "--wait=false", *words)


def _gateway(replicas: int) -> Callable[[ClusterPlatform, Api], None]:
    def strike(stack: ClusterPlatform, api: Api) -> None:
        names = kubectl("get", "pods", *GATEWAY, "--output", "name").split()
        assert len(names) == replicas
        kubectl("delete", "--namespace", "istio-system", names[0], "--wait=false")

    return strike


def _stopped(process: str) -> Callable[[ClusterPlatform, Api], None]:
    def strike(stack: ClusterPlatform, api: Api) -> None:
        number = _number(process)
        # Should this test end before its time, the cluster must not stay like that.
        rescue = f"sleep {OUTAGE_SECONDS + 5}; kill -CONT {number}"
        subprocess.Popen(["sh", "-c", rescue], start_new_session=True)
        os.kill(number, signal.SIGSTOP)
        try:
            time.sleep(OUTAGE_SECONDS)
        finally:
            os.kill(number, signal.SIGCONT)

    return strike


def _killed(process: str) -> Callable[[ClusterPlatform, Api], None]:
    def strike(stack: ClusterPlatform, api: Api) -> None:
        os.kill(_number(process), signal.SIGKILL)
        start = shlex.split(os.environ["TTS_TEST_START"])
        done = subprocess.run(start, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    return strike


def _number(process: str) -> int:
    """The process's number; asserts that it is still that process."""
    words = (Path(os.environ["TTS_TEST_PIDS"]) / f"{process}.pid").read_text().split()
    name = (Path("/proc") / words[0] / "comm").read_text().strip()
    assert name in (process, PROGRAMS.get(process)), f"{words[0]} is {name}, not {process}"
    return int(words[0])


VICTIMS = {
    "job": Victim(_pod_of_job("")),
    "guard": Victim(_pod_of_job("-guard")),
    "candidate": Victim(_server(live=False)),
    "candidate, at once": Victim(_server(*AT_ONCE, live=False), loses=True, may_refuse=True),
    "stable": Victim(_server(live=True)),
    "stable, at once": Victim(_server(*AT_ONCE, live=True), loses=True, may_refuse=True),
    "gateway": Victim(_gateway(1), loses=True, may_refuse=True),
    "one gateway of two": Victim(_gateway(2), loses=True, may_refuse=True),
    **{
        name: Victim(_stopped(name), process=name)
        for name in ("kubelet", "kube-apiserver", "prometheus", "istiod")
    },
}
RESTARTED = {f"{name}, killed": Victim(_killed(name), process=name) for name in ("kubelet", "kube-apiserver")}
ALL = VICTIMS | RESTARTED

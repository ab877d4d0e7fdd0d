"""Whoever is hit while a release is under way, and whenever: it converges, and nothing is lost.

Zero requests fail, too, but for what a dying gateway or server had under way. The handful runs always;
`make test-matrix CLUSTER=1` runs every cell and prints the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import kubectl, namespaced
from tests.cluster.kills import STEPS, Kills, matrix
from tests.cluster.live import ClusterApi, proxied
from tests.cluster.test_evidence import reachable_prometheus
from tests.cluster.victims import ALL, GATEWAY, RESTARTED, missing
from tests.e2e.kills import Cell

pytestmark = pytest.mark.cluster

HANDFUL = [
    Cell("up", "candidate starting", "same"),
    Cell("job", "at the first step"),
    Cell("gateway", "at the first step"),
    Cell("candidate", "at the first step"),
    Cell("kubelet", "candidate starting"),
    Cell("kube-apiserver", "at the first step"),
    Cell("prometheus", "at the first step"),
]


@pytest.fixture(scope="module")
def kills(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    folder = tmp_path_factory.mktemp("kills")
    with namespaced(folder / "stack", base_image) as stack, proxied(stack.kubeconfig) as proxy:
        rollout = {"steps": list(STEPS), "holdSeconds": 1, "readySeconds": 60, "probesPerSecond": 12}
        stack.configure(replicas=2, rollout=rollout)
        first = stack.up(timeout=290)
        assert first.status == 0, first.text
        made = Kills(stack, ClusterApi(proxy, stack.namespace), folder)
        if os.environ.get("TTS_PROMETHEUS_URL"):
            with reachable_prometheus() as url:
                made.prometheus = url
                yield made
        else:
            yield made
        print(made.table())


def run(kills: Kills, cell: Cell) -> None:
    victim = ALL.get(cell.victim)
    if victim is not None and (why := missing(victim)):
        pytest.skip(why)
    if cell.victim in RESTARTED and not os.environ.get("TTS_TEST_START"):
        pytest.skip("TTS_TEST_START names no command that starts what was killed.")
    if cell.victim == "prometheus" and not kills.prometheus:
        pytest.skip("TTS_PROMETHEUS_URL names no Prometheus.")
    if cell.victim != "one gateway of two":
        kills.run(cell)
        return
    scale("2")
    try:
        kills.run(cell)
    finally:
        scale("1")


def scale(replicas: str) -> None:
    """So many gateways, ready."""
    (name,) = kubectl("get", "deployments", *GATEWAY, "--output", "name").split()
    words = ("--namespace", "istio-system", name)
    kubectl("scale", *words, "--replicas", replicas)
    kubectl("rollout", "status", *words, "--timeout=60s")


@pytest.mark.parametrize("cell", HANDFUL, ids=str)
def test_a_kill_leaves_the_service_whole(kills: Kills, cell: Cell) -> None:
    run(kills, cell)


@pytest.mark.matrix
@pytest.mark.parametrize("cell", matrix(), ids=str)
def test_every_kill_leaves_the_service_whole(kills: Kills, cell: Cell) -> None:
    run(kills, cell)

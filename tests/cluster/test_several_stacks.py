"""Stacks that share a cluster: two names in one namespace, two namespaces. A change of one is none of the
others'."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.conftest import NAME, ClusterPlatform, namespaced
from tests.e2e.conftest import Finished, Traffic
from tests.e2e.live import weights

pytestmark = pytest.mark.cluster

SECOND = "second"
KINDS = (
    "deployments,services,configmaps,jobs,leases,serviceaccounts,roles,rolebindings,poddisruptionbudgets,"
    "networkpolicies,pods,virtualservices.networking.istio.io,gateways.networking.istio.io,"
    "destinationrules.networking.istio.io"
)


@pytest.fixture
def neighbour(stack: ClusterPlatform) -> Iterator[ClusterPlatform]:
    """A stack of another name in the same namespace, and in the same checkout."""
    made, file = replace(stack, host=f"{SECOND}.{stack.host}"), stack.checkout / f"Pulumi.{SECOND}.yaml"
    shutil.copy(stack.checkout / "Pulumi.dev.yaml", file)
    made.configure(stack=SECOND, name=SECOND, host=made.host)
    yield made
    made.run("down", "--stack", SECOND)
    file.unlink()


@pytest.fixture
def namesake(base_image: str, tmp_path: Path) -> Iterator[ClusterPlatform]:
    """A stack of the same name in another namespace."""
    with namespaced(tmp_path, base_image) as made:
        yield made


def succeed(done: Finished) -> None:
    assert done.status == 0, done.text


def versions(stack: ClusterPlatform) -> dict[str, str]:
    """All that the stack has, each object with its version in the store. The guard of the last release ends a
    moment after its `up`, and writes its count."""
    items = stack.get(KINDS, "--selector", f"app.kubernetes.io/name={NAME}")["items"]
    found = {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items
    }
    return {
        name: version for name, version in found.items() if "-guard" not in name and "-receipt" not in name
    }


def test_a_change_of_one_stack_is_none_of_the_others(
    stack: ClusterPlatform, neighbour: ClusterPlatform, namesake: ClusterPlatform
) -> None:
    with Traffic(stack, per_second=5) as first:
        succeed(neighbour.up(stack=SECOND, timeout=280))
        succeed(namesake.up(timeout=280))
        before = versions(stack), versions(namesake)
        assert len(before[0]) == len(before[1]) > 10
        with Traffic(neighbour, per_second=5) as second, Traffic(namesake, per_second=2) as third:
            neighbour.configure(stack=SECOND, modelVersion="1.1.0")
            succeed(neighbour.up(stack=SECOND, timeout=280))
        assert (versions(stack), versions(namesake)) == before
        succeed(neighbour.run("down", "--stack", SECOND))
        succeed(namesake.run("down", "--stack", "dev"))
        assert namesake.present() == []
        assert stack.present(f"app.kubernetes.io/name={SECOND}") == []
        assert versions(stack) == before[0]
    assert [*first.faults, *second.faults, *third.faults] == []
    assert [set(each.versions) for each in (first, second, third)] == [
        {"1.0.0"},
        {"1.0.0", "1.1.0"},
        {"1.0.0"},
    ]
    assert list(weights(stack.get("virtualservice.networking.istio.io", NAME)).values()) == [100]

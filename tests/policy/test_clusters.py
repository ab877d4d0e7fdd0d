"""What no cluster that a stack makes may be: open, unprotected, or with charts that move."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from policy.declared import UNKNOWN
from tests.aws.conftest import OWN_CLUSTER

from .conftest import Rendered, changed, kind, violations

Edit = Callable[[dict[str, Any]], object]
CLUSTER, CHART = "aws:eks/cluster:Cluster", "kubernetes:helm.sh/v3:Release"
OF_A_CLUSTER: tuple[tuple[str, Edit, str, str], ...] = (
    (
        CLUSTER,
        lambda p: p["vpcConfig"].pop("publicAccessCidrs"),
        "closed-control-plane",
        r"lets 0\.0\.0\.0/0",
    ),
    (
        CLUSTER,
        lambda p: p["vpcConfig"].update(publicAccessCidrs=["::/0"]),
        "closed-control-plane",
        "lets ::/0",
    ),
    (
        CLUSTER,
        lambda p: p["accessConfig"].update(authenticationMode="API_AND_CONFIG_MAP"),
        "closed-control-plane",
        "authenticationMode is not API",
    ),
    (
        CLUSTER,
        lambda p: p["accessConfig"].pop("bootstrapClusterCreatorAdminPermissions"),
        "closed-control-plane",
        "CreatorAdminPermissions is not false",
    ),
    (CHART, lambda p: p.pop("version"), "charts-by-version", "version is None"),
    (CHART, lambda p: p.update(version="1.31.x"), "charts-by-version", "version is 1.31.x"),
)


@pytest.mark.parametrize(("about", "edit", "rule", "says"), OF_A_CLUSTER)
def test_a_cluster_is_closed_and_its_charts_are_exact(
    rendered: Rendered, about: str, edit: Edit, rule: str, says: str
) -> None:
    resources = rendered("prod", OWN_CLUSTER)
    one = next(each for each in resources if each.type == about)
    properties = copy.deepcopy(dict(one.properties))
    edit(properties)
    found = violations(changed(resources, one, properties=properties))
    assert list(found) == [rule]
    assert re.search(says, found[rule][0]), found
    unknown = dict.fromkeys(("vpcConfig", "accessConfig", "version"), UNKNOWN)
    assert violations(changed(resources, one, properties={**one.properties, **unknown})) == {}


def test_a_cluster_is_protected(rendered: Rendered) -> None:
    resources = rendered("prod", OWN_CLUSTER)
    cluster = kind(resources, CLUSTER)
    assert "runs in it" in violations(changed(resources, cluster, protected=False))["data-is-protected"][0]

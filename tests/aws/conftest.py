"""The resources of AWS that the stacks declare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.components.conftest import DIGEST, Program, make_checkout, run_stack

PLUGIN = f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/k8s-device-plugin:v1@{DIGEST}"
GROUP = {
    "enabled": True,
    "clusterName": "speech-prod",
    "subnetIds": ["subnet-0a1b2c3d4e5f60718"],
    "devicePlugin": PLUGIN,
    "diskThroughput": 1000,
    "capacityType": "SPOT",
    "updateStrategy": "MINIMAL",
    "maxSize": 4,
}
CLUSTER = {
    "name": "speech",
    "version": "1.35",
    "subnetIds": ["subnet-0a1b2c3d4e5f60718", "subnet-0f9e8d7c6b5a43210"],
    "admins": ["arn:aws:iam::123456789012:role/platform", "arn:aws:iam::123456789012:role/deploy"],
    "publicAccessCidrs": ["203.0.113.0/24"],
    "secretsKey": "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f",
    "addOns": {"vpc-cni": "v1.20.4-eksbuild.1"},
}
OWN_CLUSTER: dict[str, Any] = {
    "tts:gateway": "",
    "tts:tlsSecret": "speech-tls",
    "tts:aws": {
        "cluster": CLUSTER,
        "podIdentity": {"clusterName": "speech"},
        "dns": {"zoneId": "Z0123456789EXAMPLE"},
    },
    "tts:nodeGroup": {"enabled": True, "ami": "bottlerocket", "maxSize": 4},
}
STACKS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "staging": ("staging", {}),
    "prod": ("prod", {}),
    "prod-on-amazon-linux": ("prod", {"tts:nodeGroup": GROUP}),
    "prod-with-its-own-cluster": ("prod", OWN_CLUSTER),
}

Declare = Callable[..., Program]


@pytest.fixture(scope="session")
def declare(tmp_path_factory: pytest.TempPathFactory) -> Declare:
    """Runs a stack of STACKS once, or any other with changes."""
    folder = make_checkout(tmp_path_factory.mktemp("checkout"))
    known: dict[str, Program] = {}

    def run(name: str, changes: Mapping[str, Any] | None = None, *, preview: bool = False) -> Program:
        stack, own = STACKS[name]
        if changes is not None or preview:
            return run_stack(folder, stack, {**own, **(changes or {})}, preview=preview)
        if name not in known:
            known[name] = run_stack(folder, stack, own)
        return known[name]

    return run

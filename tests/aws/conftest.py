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
STACKS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "staging": ("staging", {}),
    "prod": ("prod", {}),
    "prod-on-amazon-linux": ("prod", {"tts:nodeGroup": GROUP}),
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

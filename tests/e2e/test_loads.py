"""A model that loads for ninety seconds is left alone by its probes."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Platform, Traffic
from tests.e2e.live import Api

LOAD_SECONDS, BUDGET_SECONDS = 90, 150


@pytest.mark.matrix
@pytest.mark.timeout(400)
def test_a_load_of_ninety_seconds_is_released(platform: Platform) -> None:
    platform.edit_entry("1.1.0", "load", budgetSeconds=BUDGET_SECONDS)
    platform.configure(modelVersion="1.1.0", loadDelaySeconds=LOAD_SECONDS)
    with Traffic(platform) as traffic:
        done = platform.up(timeout=280)
    assert done.status == 0, done.text
    assert f"until {LOAD_SECONDS} s after its start" in done.text
    assert traffic.faults == []
    assert platform.live_version() == "1.1.0"
    (server,) = Api(platform.home).all("pods", "app.kubernetes.io/component=model-server")
    assert server["status"]["containerStatuses"][0]["restartCount"] == 0

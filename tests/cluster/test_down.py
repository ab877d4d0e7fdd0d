"""`down` on a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import namespaced

pytestmark = pytest.mark.cluster


def test_down_leaves_nothing_in_the_namespace(base_image: str, tmp_path: Path) -> None:
    with namespaced(tmp_path, base_image) as platform:
        done = platform.up(timeout=290)
        assert done.status == 0, done.text
        assert platform.present() != []
        gone = platform.run("down", "--stack", "dev")
        assert gone.status == 0, gone.text
        assert platform.present() == []

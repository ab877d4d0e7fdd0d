"""Stacks that are watched: in every way, by either gateway's metrics."""

from pathlib import Path

import pytest

from components.watched import Watched
from tests.components.conftest import make_checkout
from tests.monitoring.watched import EVERYTHING, watched


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout."""
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session", params=["istio", "envoy"])
def everything(request: pytest.FixtureRequest, folder: Path) -> Watched:
    monitoring = EVERYTHING["tts:monitoring"] | {"metrics": request.param}
    return watched(folder, EVERYTHING | {"tts:monitoring": monitoring})

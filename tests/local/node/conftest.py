from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.home import Home
from local.images import ImageBuild, ImageStore
from local.node import daemon
from tests.local.node.platform_client import Client, gateway
from tests.ports import free_port

DOCKERFILE = """FROM python:3.11-slim
WORKDIR /app
COPY app.py /app/app.py
ENTRYPOINT ["python", "/app/app.py"]
"""


def new_home() -> Home:
    """A home of its own with a free gateway port and the image app:1."""
    home = Home(root=Path(tempfile.mkdtemp(prefix="tts-node-")), gateway_port=free_port())
    context = home.root / "context"
    context.mkdir()
    shutil.copy(Path(__file__).parent / "app.py", context)
    ImageStore(home).build(ImageBuild(context, DOCKERFILE, tags=("app:1",)), log=lambda _: None)
    return home


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    home = new_home()
    try:
        daemon.ensure_running(home)
        yield home
    finally:
        daemon.stop(home)
        shutil.rmtree(home.root)


@pytest.fixture(scope="session")
def client(home: Home) -> Client:
    client = Client(home)
    client.declare(gateway())
    return client


@pytest.fixture
def bare_home(tmp_path: Path) -> Iterator[Home]:
    """A home without images whose daemon is not meant to start."""
    home = Home(root=tmp_path, gateway_port=free_port())
    yield home
    daemon.stop(home)


@pytest.fixture
def own_home() -> Iterator[Home]:
    """A home for tests that end its daemon."""
    home = new_home()
    try:
        yield home
    finally:
        daemon.stop(home)
        shutil.rmtree(home.root, ignore_errors=True)

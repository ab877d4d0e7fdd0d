"""What the cluster's API shows of one namespace, read quickly and often."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from tests.e2e.live import Api, RouteWatch
from tests.ports import free_port
from tests.waiting import eventually


class ClusterApi(Api):
    """As on the embedded platform, through a `kubectl proxy`: whatever its kubeconfig needs to sign in."""

    def __init__(self, proxy: str, namespace: str) -> None:
        self._server, self.namespace = proxy, namespace
        self._session = requests.Session()


class OutageWatch(RouteWatch):
    """A RouteWatch while the API itself may be away: what could not be read is no fault of the route's."""

    def _look(self) -> None:
        try:
            super()._look()
        except (requests.RequestException, ValueError):
            return


@contextmanager
def proxied(kubeconfig: str) -> Iterator[str]:
    """The address of a `kubectl proxy` of its own."""
    port = free_port()
    words = ["kubectl", "--kubeconfig", kubeconfig, "proxy", "--port", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(f"{url}/readyz"))
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False

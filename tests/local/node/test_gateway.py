"""Routes through the real Envoy."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.local.node.platform_client import Client, deployment, eventually, ready_probe, route, service


@pytest.fixture(scope="module")
def revisions(client: Client) -> Iterator[None]:
    for name in ("old", "new"):
        client.declare(deployment(name, readinessProbe=ready_probe()), service(name))
    for name in ("old", "new"):
        eventually(lambda name=name: client.available(name))
    yield
    for name in ("old", "new"):
        client.delete("Deployment", name)


def ask(client: Client, host: str, path: str = "/", **headers: str) -> requests.Response:
    url = f"http://127.0.0.1:{client.home.gateway_port}{path}"
    return requests.get(url, headers={"Host": host, **headers}, timeout=10)


def served(client: Client, host: str, wanted: str) -> None:
    eventually(lambda: ask(client, host).text == wanted)


def under_load(client: Client, host: str, change: Callable[[], None]) -> list[str]:
    """Requests from three threads while `change` runs; what failed."""
    stop, failures, count = threading.Event(), [], Counter()

    def load() -> None:
        while not stop.is_set() and count["requests"] < 300:
            count["requests"] += 1
            try:
                answer = ask(client, host, "/slow" if count["requests"] % 20 == 0 else "/")
                if answer.status_code != 200:
                    failures.append(f"{answer.status_code} {answer.text}")
            except requests.RequestException as error:
                failures.append(str(error))
            stop.wait(0.02)

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        change()
        eventually(lambda: count["requests"] >= 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return failures


@pytest.mark.usefixtures("revisions")
def test_weights_and_pins_are_honoured(client: Client) -> None:
    client.declare(route("split", "split.test", {"old": 75, "new": 25}, pins=("new",)))
    eventually(lambda: ask(client, "split.test").ok)
    seen = Counter(ask(client, "split.test").text for _ in range(200))
    assert 25 <= seen["new"] <= 80
    assert seen["old"] + seen["new"] == 200
    assert {ask(client, "split.test", **{"x-tts-version": "new"}).text for _ in range(20)} == {"new"}


@pytest.mark.usefixtures("revisions")
def test_a_flip_fails_no_request(client: Client) -> None:
    client.declare(route("flip", "flip.test", {"old": 100, "new": 0}))
    served(client, "flip.test", "old")

    def flip() -> None:
        for weight in (50, 0, 100, 0):
            client.declare(route("flip", "flip.test", {"old": weight, "new": 100 - weight}))
            served(client, "flip.test", "old" if weight > 50 else "new")

    assert under_load(client, "flip.test", flip) == []


@pytest.mark.usefixtures("revisions")
def test_pods_leave_without_a_failed_request(client: Client) -> None:
    client.declare(deployment("roll", replicas=2, readinessProbe=ready_probe()), service("roll"))
    client.declare(route("roll", "roll.test", {"roll": 100}))
    eventually(lambda: client.available("roll"))
    served(client, "roll.test", "roll")

    def shrink() -> None:
        client.declare(deployment("roll", replicas=1, readinessProbe=ready_probe()))
        eventually(lambda: len(client.pods("app=roll")) == 1)
        for pod in client.pods("app=roll"):
            client.declare(deployment("roll", {"VERSION": "2"}, readinessProbe=ready_probe()))
            eventually(lambda pod=pod: client.gone("Pod", pod["metadata"]["name"]))

    assert under_load(client, "roll.test", shrink) == []
    client.delete("Deployment", "roll")
    eventually(lambda: client.gone("Deployment", "roll"))
    assert ask(client, "roll.test").status_code == 503


def test_a_host_or_service_that_is_not_there_is_said_plainly(client: Client) -> None:
    nobody = ask(client, "nobody.test")
    assert nobody.status_code == 404
    assert "No VirtualService routes this host" in nobody.text
    client.declare(route("lost", "lost.test", {"no-such": 100}))
    eventually(lambda: ask(client, "lost.test").status_code == 503)
    client.delete("VirtualService", "lost")
    eventually(lambda: ask(client, "lost.test").status_code == 404)

"""Routes through the real Envoy."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.local.node.platform_client import (
    Client,
    deployment,
    destination,
    ready_probe,
    route,
    service,
)
from tests.waiting import eventually

SPEECH = "/v1/audio/speech"


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


def speech_route(host: str, mirror: str) -> dict[str, Any]:
    """A route as a stack with a mirrored canary declares it."""
    declared = route(f"mirror-{host}", host, {"old": 100})
    pins = [
        {
            "name": f"pin-{name}",
            "match": [
                {"headers": {"x-tts-version": {"exact": version}}},
                {"headers": {"x-tts-revision": {"exact": name}}},
            ],
            "route": [{"destination": destination(name)}],
        }
        for name, version in (("old", "1"), ("new", "1"))
    ]
    (weighted,) = declared["spec"]["http"]
    speech = {
        "name": "speech",
        "match": [{"uri": {"exact": SPEECH}}],
        "route": weighted["route"],
        "mirror": destination(mirror),
        "mirrorPercentage": {"value": 100},
        "headers": {"request": {"set": {"x-tts-answered-by": "old"}}},
    }
    declared["spec"]["http"] = [*pins, speech, weighted]
    return declared


def speak(client: Client, host: str) -> requests.Response:
    url = f"http://127.0.0.1:{client.home.gateway_port}{SPEECH}"
    return requests.post(url, json={"input": "Hello."}, headers={"Host": f"{host}:6006"}, timeout=10)


def spoken(client: Client, name: str) -> list[str]:
    """The Host of each request for speech that a revision's pod got, and who answers it by the route."""
    address = client.pods(f"app={name}")[0]["status"]["podIP"]
    return list(requests.get(f"http://{address}:8080/spoken", timeout=5).json())


@pytest.mark.usefixtures("revisions")
def test_copies_of_speech_reach_the_canary_and_answers_come_from_the_stable_one(client: Client) -> None:
    client.declare(speech_route("speech.test", "new"))
    served(client, "speech.test", "old")
    before = {name: len(spoken(client, name)) for name in ("old", "new")}
    assert {speak(client, "speech.test").text for _ in range(20)} == {"old"}
    eventually(lambda: len(spoken(client, "new")) == before["new"] + 20)
    assert set(spoken(client, "new")[before["new"] :]) == {"speech.test old"}, "a copy"
    assert set(spoken(client, "old")[before["old"] :]) == {"speech.test old"}
    assert ask(client, "speech.test").text == "old", "only speech is copied"
    assert len(spoken(client, "new")) == before["new"] + 20


@pytest.mark.usefixtures("revisions")
def test_one_version_is_the_live_revisions_and_each_revision_is_reached_by_its_name(client: Client) -> None:
    client.declare(speech_route("both.test", "new"))
    served(client, "both.test", "old")
    for header, value, revision in (
        ("x-tts-version", "1", "old"),
        ("x-tts-revision", "old", "old"),
        ("x-tts-revision", "new", "new"),
        ("x-tts-revision", "gone", "old"),
    ):
        assert {ask(client, "both.test", **{header: value}).text for _ in range(5)} == {revision}


@pytest.mark.usefixtures("revisions")
@pytest.mark.parametrize("canary", ["no-such", "down", "hanging", "crashing"])
def test_a_canary_that_does_not_answer_delays_and_fails_nobody(client: Client, canary: str) -> None:
    environment = {"hanging": {"SPEAK_SECONDS": "60"}, "crashing": {"SPEAK_SECONDS": "crash"}}
    if canary != "no-such":
        declared = deployment(canary, environment.get(canary), readinessProbe=ready_probe())
        declared["spec"]["replicas"] = int(canary != "down")
        client.declare(declared, service(canary))
        if canary != "down":
            eventually(lambda: client.available(canary))
    host = f"{canary}.test"
    client.declare(speech_route(host, canary))
    served(client, host, "old")
    for _ in range(20):
        answer = speak(client, host)
        assert (answer.status_code, answer.text) == (200, "old")
        assert answer.elapsed.total_seconds() < 0.5
    if canary in environment:
        eventually(lambda: spoken(client, canary))
    client.delete("VirtualService", f"mirror-{host}")
    if canary != "no-such":
        client.delete("Deployment", canary)


RETRIES = {"attempts": 2, "retryOn": "connect-failure,refused-stream"}


def tried_again(name: str, host: str, retries: dict[str, Any]) -> dict[str, Any]:
    declared = route(name, host, {name: 100})
    declared["spec"]["http"][0] |= {"retries": retries} if retries else {}
    return declared


def test_a_pod_that_cannot_be_reached_costs_no_request(client: Client) -> None:
    """Of two pods that are ready, one does not listen."""
    listening = deployment("half", readinessProbe=ready_probe())
    deaf = deployment("deaf", {"SLEEP": "600"})
    for each in (listening, deaf):
        each["spec"]["template"]["metadata"]["labels"]["half"] = "yes"
    both = service("half")
    both["spec"]["selector"] = {"half": "yes"}
    client.declare(listening, deaf, both)
    for name in ("half", "deaf"):
        eventually(lambda name=name: client.available(name))
    client.declare(tried_again("half", "half.test", {}))
    eventually(lambda: ask(client, "half.test").ok)
    assert {ask(client, "half.test").status_code for _ in range(20)} == {200, 503}
    client.declare(tried_again("half", "half.test", RETRIES))
    eventually(lambda: {ask(client, "half.test").status_code for _ in range(20)} == {200})
    assert {ask(client, "half.test").text for _ in range(20)} == {"half"}
    for name in ("half", "deaf"):
        client.delete("Deployment", name)


def test_an_answer_of_a_server_is_never_asked_for_again(client: Client) -> None:
    client.declare(deployment("busy", {"SPEAK_STATUS": "503"}, readinessProbe=ready_probe()), service("busy"))
    eventually(lambda: client.available("busy"))
    client.declare(tried_again("busy", "busy.test", RETRIES))
    served(client, "busy.test", "busy")
    before = len(spoken(client, "busy"))
    assert [speak(client, "busy.test").status_code for _ in range(5)] == [503] * 5
    assert len(spoken(client, "busy")) == before + 5
    client.declare(tried_again("busy", "busy.test", RETRIES | {"retryOn": "5xx"}))
    eventually(lambda: speak(client, "busy.test").status_code and len(spoken(client, "busy")) > before + 10)
    client.delete("Deployment", "busy")


def test_a_host_or_service_that_is_not_there_is_said_plainly(client: Client) -> None:
    nobody = ask(client, "nobody.test")
    assert nobody.status_code == 404
    assert "No VirtualService routes this host" in nobody.text
    client.declare(route("lost", "lost.test", {"no-such": 100}))
    eventually(lambda: ask(client, "lost.test").status_code == 503)
    client.delete("VirtualService", "lost")
    eventually(lambda: ask(client, "lost.test").status_code == 404)

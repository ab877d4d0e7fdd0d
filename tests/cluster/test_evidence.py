"""What a release leaves to be seen on a real cluster: Events, a receipt, a real Prometheus's judgement."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from release.replay import replay
from tests.cluster.conftest import ClusterPlatform, node_address
from tests.e2e.conftest import Traffic

pytestmark = pytest.mark.cluster


@contextmanager
def reachable_prometheus() -> Iterator[str]:
    """The cluster's Prometheus as its pods reach it: on the node's address, where it listens on loopback."""
    url = os.environ["TTS_PROMETHEUS_URL"].rstrip("/")
    if "127.0.0.1" not in url and "localhost" not in url:
        yield url
        return

    class Forward(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            kind = {"Content-Type": self.headers.get("Content-Type", "")}
            body = self.rfile.read(length)
            answer = requests.request(self.command, url + self.path, data=body, headers=kind, timeout=10)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer((node_address(), 0), Forward)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{server.server_address[0]}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def edit_server(stack: ClusterPlatform, text: str) -> None:
    """Another text in the server is another revision of the same model version."""
    (stack.checkout / "serving" / "__init__.py").write_text(f"# {text}\n")


def test_a_release_judged_by_prometheus_is_told_in_events_and_can_be_replayed(stack: ClusterPlatform) -> None:
    edit_server(stack, "judged by Prometheus")
    with reachable_prometheus() as url, Traffic(stack, per_second=5) as traffic:
        # The test cluster's gateway is a plain Envoy.
        stack.configure(prometheusUrl=url, prometheus={"metrics": "envoy"})
        done = stack.up(timeout=280)
    stack.configure(prometheusUrl=None, prometheus=None)
    assert done.status == 0, done.text
    assert traffic.faults == []
    assert "dropped 0 of " in done.text
    receipt = stack.receipt()
    judged = [found for found in receipt["findings"] if found["name"].startswith("prometheus")]
    assert judged, "Prometheus was asked"
    assert {found["verdict"] for found in judged} == {"pass"}
    assert replay(receipt) == []
    assert receipt["provenance"]["images"]
    told = stack.events()
    assert told.index("ReleaseStarted") < told.index("GatePassed") < told.index("WeightsMoved")
    assert told[-1] == "Released"


def test_a_prometheus_that_is_not_there_passes_nothing(stack: ClusterPlatform) -> None:
    before = stack.speak().headers["x-tts-revision"]
    edit_server(stack, "judged by nobody")
    rollout = {"steps": [25, 100], "holdSeconds": 1, "maxHoldSeconds": 20, "readySeconds": 60}
    stack.configure(prometheusUrl="http://127.0.0.1:9", rollout=rollout)
    with Traffic(stack, per_second=5) as traffic:
        done = stack.up(timeout=280)
    stack.configure(prometheusUrl=None, prometheus=None)
    edit_server(stack, "judged by Prometheus")
    assert done.status != 0, done.text
    assert "Prometheus" in done.text, done.text
    assert traffic.faults == []
    assert stack.speak().headers["x-tts-revision"] == before
    back = stack.up(timeout=280)
    assert back.status == 0, back.text

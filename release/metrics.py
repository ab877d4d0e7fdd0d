"""What a running release measures of itself, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import os
import socketserver
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 9464
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CLIENT_SECONDS = 5.0
POLL_SECONDS = 0.1
HELP: Mapping[str, tuple[str, str]] = {
    "info": ("gauge", "The release that runs; always 1."),
    "weight_percent": ("gauge", "Share of the requests that the route gives a revision."),
    "phase": ("gauge", "1 for the phase the release is in, 0 for those it was in."),
    "probes_total": ("counter", "Answers to the release's own requests: right, wrong, busy (429)."),
    "dropped_total": ("counter", "Requests of the guard that were not answered whole."),
    "restore_seconds": ("gauge", "How long it took to bring the stable route back."),
    "outcome": ("gauge", "1 for how the release ended."),
}
"""Metric without its prefix -> its type and what it says."""

Labels = tuple[tuple[str, str], ...]


class ReleaseMetrics:
    """The values, from any thread. They tell what happened and decide nothing."""

    def __init__(self, *, release: str, name: str, model: str, version: str, revision: str) -> None:
        about = {"release": release, "name": name, "model": model, "version": version, "revision": revision}
        self._lock = threading.Lock()
        self._values: dict[tuple[str, Labels], float] = {("info", tuple(about.items())): 1}
        self._server: _Server | None = None

    def weights(self, weights: Mapping[str, int]) -> None:
        """Percent by revision; what is not named has none any more."""
        self._only("weight_percent", "revision", weights)

    def phase(self, phase: str) -> None:
        """The phase that begins."""
        self._only("phase", "phase", {phase: 1})

    def outcome(self, outcome: str) -> None:
        """How it ended."""
        self._only("outcome", "outcome", {outcome: 1})

    def probed(self, revision: str, *, wrong: bool, busy: bool) -> None:
        """One answer to the release's own requests."""
        key = (
            "probes_total",
            (("revision", revision), ("result", "busy" if busy else "wrong" if wrong else "right")),
        )
        with self._lock:
            self._values[key] = self._values.get(key, 0) + 1

    def dropped(self, total: int) -> None:
        """How many of the guard's requests were dropped so far."""
        with self._lock:
            self._values["dropped_total", ()] = total

    def restored(self, seconds: float) -> None:
        """The stable route came back after so many seconds."""
        with self._lock:
            self._values["restore_seconds", ()] = seconds

    def _only(self, metric: str, label: str, values: Mapping[str, float]) -> None:
        """Sets these; every other value of the metric becomes 0."""
        with self._lock:
            for name, labels in self._values:
                if name == metric:
                    self._values[name, labels] = 0
            for value, number in values.items():
                self._values[metric, ((label, value),)] = number

    def text(self) -> str:
        """Everything as Prometheus reads it."""
        with self._lock:
            values = dict(self._values)
        lines = []
        for metric, (kind, help_text) in HELP.items():
            found = [(labels, value) for (name, labels), value in values.items() if name == metric]
            if found:
                lines += [f"# HELP tts_release_{metric} {help_text}", f"# TYPE tts_release_{metric} {kind}"]
                lines += [f"tts_release_{metric}{_labels(labels)} {value:.10g}" for labels, value in found]
        return "\n".join(lines) + "\n"

    def serve(self, environment: Mapping[str, str] = os.environ) -> str:
        """Begins to answer GET /metrics, at TTS_BIND and TTS_METRICS_PORT. Returns a sentence why it cannot,
        empty when it does: a release goes on without."""
        bind, port = environment.get("TTS_BIND") or "0.0.0.0", environment.get("TTS_METRICS_PORT") or PORT  # noqa: S104
        try:
            self._server = _Server((bind, int(port)), self)
        except (OSError, ValueError, OverflowError) as error:
            return f"There are no metrics at {bind}:{port}: {error}."
        threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="metrics", daemon=True
        ).start()
        return ""

    @property
    def port(self) -> int:
        """Where they are served; 0 when they are not."""
        return int(self._server.server_address[1]) if self._server else 0

    def close(self) -> None:
        """Frees the port."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], metrics: ReleaseMetrics) -> None:
        self.metrics = metrics
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As HTTPServer, but without asking a name server for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """A scraper that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        """The metrics."""
        known = self.path.split("?", 1)[0] == "/metrics"
        body = self.server.metrics.text() if known else "The metrics are at /metrics.\n"
        data = body.encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", CONTENT_TYPE if known else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Scrapes are not part of the story."""


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

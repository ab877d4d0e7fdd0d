"""What the server tells Prometheus about speech requests, and the log line of each."""

import logging
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SPEECH_PATH = "/v1/audio/speech"
CLIENT_GONE = "499"

_FIRST_AUDIO_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_log = logging.getLogger("serving.speech")


class Metrics:
    """The server's metrics, each with the label `version`."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "tts_requests",
            "Speech requests by status code; 499: the client went away.",
            ["code", "version"],
            registry=self._registry,
        )
        # Both exist at 0 from the start, so that a rate over them is never missing its first request.
        self._requests.labels("200", version)
        self._requests.labels("500", version)
        self._first_audio = self._histogram(
            "tts_first_audio_seconds", "Seconds from a request to its first audio.", _FIRST_AUDIO_SECONDS
        )
        self._total = self._histogram(
            "tts_request_seconds", "Seconds from a request to the end of its audio.", _REQUEST_SECONDS
        )
        self._audio = Counter(
            "tts_audio_seconds", "Seconds of audio made.", ["version"], registry=self._registry
        ).labels(version)
        self._in_flight = Gauge(
            "tts_in_flight", "Speech requests under way.", ["version"], registry=self._registry
        ).labels(version)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        histogram = Histogram(name, text, ["version"], buckets=buckets, registry=self._registry)
        return histogram.labels(self._version)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)

    def audio(self, seconds: float) -> None:
        """Counts audio that was made."""
        self._audio.inc(seconds)

    def began(self) -> None:
        """A speech request came."""
        self._in_flight.inc()

    def ended(self, code: str, *, first_audio: float | None, total: float) -> None:
        """A speech request ended; times in seconds, those of failed requests stay out of the histograms."""
        self._in_flight.dec()
        self._requests.labels(code, self._version).inc()
        if first_audio is not None:
            self._first_audio.observe(first_audio)
        if code == "200":
            self._total.observe(total)
        first = "none" if first_audio is None else f"{first_audio:.3f} s"
        _log.info("code=%s first_audio=%s total=%.3f s", code, first, total)


class Measured:
    """ASGI middleware: measures each speech request by what is really sent."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != SPEECH_PATH:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        code, first_audio, complete = CLIENT_GONE, None, False

        async def watch(message: Message) -> None:
            nonlocal code, first_audio, complete
            await send(message)
            if message["type"] == "http.response.start":
                code = str(message["status"])
            elif message["type"] == "http.response.body":
                if code == "200" and first_audio is None and message.get("body"):
                    first_audio = time.monotonic() - began
                complete = not message.get("more_body", False)

        self._metrics.began()
        try:
            await self._app(scope, receive, watch)
        except Exception:
            code, complete = "500", True
            raise
        finally:
            total = time.monotonic() - began
            self._metrics.ended(code if complete else CLIENT_GONE, first_audio=first_audio, total=total)

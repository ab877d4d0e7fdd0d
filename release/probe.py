"""Requests to pods and through the route. Each opens its own connection, and none uses a proxy of the
environment."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx2

from .answer import Answer
from .cluster import Pod, Probe
from .plan import Plan
from .route import REVISION_HEADER

CONNECT_SECONDS = 3.0
CHEAP_SECONDS = 5.0
MOST_UNDER_WAY = 64
SEED = 1
"""The same text gives the same audio, so a verdict can be repeated."""
WAV_HEADER_BYTES = 44
SPEECH_PATH = "/v1/audio/speech"
KEEP = {"x-tts-keep": "gate"}
"""Asks a server to keep what it speaks, which it does for a release alone."""


def fill(value: Any, text: str) -> Any:
    """JSON with the text wherever it says {text}."""
    if isinstance(value, Mapping):
        return {key: fill(each, text) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, text) for each in value]
    return value.replace("{text}", text) if isinstance(value, str) else value


class HttpProber:
    """A `cluster.Prober`. `key` is the API key that servers want, empty for none; `interruptible` surrounds
    each request of the main thread: SIGTERM may end it there."""

    def __init__(
        self,
        plan: Plan,
        *,
        key: str = "",
        interruptible: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._plan = plan
        self._interruptible = interruptible
        self._client = httpx2.Client(
            trust_env=False,
            headers={"x-tts-probe": plan.release, **({"authorization": f"Bearer {key}"} if key else {})},
            limits=httpx2.Limits(max_keepalive_connections=0, max_connections=None),
        )
        host = plan.gateway.host
        self._route_headers = {} if host == "*" else {"Host": host}
        self._threads = ThreadPoolExecutor(MOST_UNDER_WAY, thread_name_prefix="probe")
        self._came: queue.SimpleQueue[tuple[Probe, Answer]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._under_way = 0

    def close(self) -> None:
        """Closes the connections; what is still under way is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def pod_version(self, pod: Pod) -> Answer:
        """GET /version of one pod."""
        with self._interruptible():
            return self._ask("GET", f"{self._base(pod)}/version", seconds=CHEAP_SECONDS)

    def pod_speech(self, pod: Pod, text: str, *, keep: bool = False) -> Answer:
        """One synthesis by one pod, whole within the gate's timeoutSeconds. `keep`: the pod is asked to keep
        it in the stack's store."""
        url, headers = f"{self._base(pod)}{self._path}", dict(KEEP) if keep else None
        with self._interruptible():
            body = self._speech(text)
            return self._ask("POST", url, seconds=self._speech_seconds, body=body, headers=headers)

    def route(self, probe: Probe) -> Answer:
        """One request through the route."""
        with self._interruptible():
            return self._through(probe)

    def send(self, probe: Probe) -> None:
        """Begins one request in a thread of its own: a slow answer does not hold back the next request."""
        with self._lock:
            late = self._under_way >= MOST_UNDER_WAY
            self._under_way += not late
        if late:
            error = f"{MOST_UNDER_WAY} earlier requests are still unanswered"
            self._came.put((probe, Answer(0, {}, b"", 0.0, error=error)))
            return
        self._threads.submit(self._carry_out, probe)

    @property
    def under_way(self) -> int:
        """How many of those sent have not been answered."""
        return self._under_way

    def answers(self) -> list[tuple[Probe, Answer]]:
        """The answers that have come since the last call."""
        found = []
        while True:
            try:
                found.append(self._came.get_nowait())
            except queue.Empty:
                return found

    def _carry_out(self, probe: Probe) -> None:
        try:
            answer = self._through(probe)
        except Exception as error:  # noqa: BLE001 - no thread may die with a request uncounted
            answer = Answer(0, {}, b"", 0.0, error=f"{type(error).__name__}: {error}")
        self._came.put((probe, answer))
        with self._lock:
            self._under_way -= 1

    def _through(self, probe: Probe) -> Answer:
        headers = dict(self._route_headers)
        if probe.revision:
            headers[REVISION_HEADER] = probe.revision
        address = self._plan.gateway.address
        if probe.text is None:
            return self._ask("GET", f"{address}/version", seconds=CHEAP_SECONDS, headers=headers)
        url = f"{address}{self._path}"
        return self._ask(
            "POST", url, seconds=self._speech_seconds, body=self._speech(probe.text), headers=headers
        )

    @property
    def _speech_seconds(self) -> float:
        return self._plan.target.gate.timeout_seconds

    def _base(self, pod: Pod) -> str:
        address = f"[{pod.address}]" if ":" in pod.address else pod.address
        return f"http://{address}:{pod.port or self._plan.target.container_port}"

    @property
    def _path(self) -> str:
        exchange = self._plan.target.gate.exchange
        return exchange.path if exchange else SPEECH_PATH

    @property
    def _header_bytes(self) -> int:
        """What comes before an answer says anything."""
        return 0 if self._plan.target.gate.exchange else WAV_HEADER_BYTES

    def _speech(self, text: str) -> dict[str, Any]:
        if exchange := self._plan.target.gate.exchange:
            filled: dict[str, Any] = fill(exchange.body, text)
            return filled
        return {"model": self._plan.model, "input": text, "response_format": "wav", "seed": SEED}

    def _ask(
        self,
        method: str,
        url: str,
        *,
        seconds: float,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request; `seconds` bounds the whole answer, not only its first byte."""
        begin = time.monotonic()
        timeout = httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))
        data = bytearray()
        first_audio: float | None = None
        try:
            with self._client.stream(method, url, json=body, headers=headers, timeout=timeout) as response:
                for chunk in response.iter_bytes():
                    data += chunk
                    now = time.monotonic() - begin
                    if first_audio is None and body is not None and len(data) > self._header_bytes:
                        first_audio = now
                    if now > seconds:
                        raise httpx2.ReadTimeout(f"the answer was not complete after {seconds:g} s")
                found = {name.lower(): value for name, value in response.headers.items()}
                status = response.status_code
                spent = time.monotonic() - begin
                first = first_audio if status == 200 else None
                return Answer(status, found, bytes(data), spent, first_audio=first)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            said = str(error) or type(error).__name__
            return Answer(0, {}, b"", time.monotonic() - begin, error=f"{method} {url}: {said}")

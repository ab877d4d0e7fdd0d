"""Requests to pods and through the route. Each opens its own connection, and none uses a proxy of the
environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import httpx2

from .cluster import Pod
from .plan import Plan
from .smoke import Answer

CONNECT_SECONDS = 3.0
CHEAP_SECONDS = 5.0
SEED = 1
"""The same text gives the same audio, so a verdict can be repeated."""


class HttpProber:
    """A `cluster.Prober`. `interruptible` surrounds each request: SIGTERM may end it there."""

    def __init__(
        self, plan: Plan, *, interruptible: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._plan = plan
        self._interruptible = interruptible
        self._client = httpx2.Client(
            trust_env=False,
            headers={"x-tts-probe": plan.release},
            limits=httpx2.Limits(max_keepalive_connections=0),
        )
        host = plan.gateway.host
        self._route_headers = {} if host == "*" else {"Host": host}

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def pod_version(self, pod: Pod) -> Answer:
        """GET /version of one pod."""
        return self._ask("GET", f"{self._base(pod)}/version", seconds=CHEAP_SECONDS)

    def pod_speech(self, pod: Pod, text: str) -> Answer:
        """One synthesis by one pod, whole within the gate's timeoutSeconds."""
        url = f"{self._base(pod)}/v1/audio/speech"
        return self._ask("POST", url, seconds=self._plan.gate.timeout_seconds, body=self._speech(text))

    def route_version(self) -> Answer:
        """GET /version through the route."""
        return self._ask(
            "GET", f"{self._plan.gateway.address}/version", seconds=CHEAP_SECONDS, headers=self._route_headers
        )

    def route_speech(self, text: str) -> Answer:
        """One synthesis through the route."""
        url = f"{self._plan.gateway.address}/v1/audio/speech"
        seconds, headers = self._plan.gate.timeout_seconds, self._route_headers
        return self._ask("POST", url, seconds=seconds, body=self._speech(text), headers=headers)

    def _base(self, pod: Pod) -> str:
        address = f"[{pod.address}]" if ":" in pod.address else pod.address
        return f"http://{address}:{self._plan.target.container_port}"

    def _speech(self, text: str) -> dict[str, Any]:
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
        try:
            with (
                self._interruptible(),
                self._client.stream(method, url, json=body, headers=headers, timeout=timeout) as response,
            ):
                for chunk in response.iter_bytes():
                    data += chunk
                    if time.monotonic() - begin > seconds:
                        raise httpx2.ReadTimeout(f"the answer was not complete after {seconds:g} s")
                found = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, found, bytes(data), time.monotonic() - begin)
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            said = str(error) or type(error).__name__
            return Answer(0, {}, b"", time.monotonic() - begin, error=f"{method} {url}: {said}")

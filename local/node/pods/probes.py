"""Startup, readiness and liveness probes, with the meaning Kubernetes gives their numbers."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Probe:
    """One probe; times in seconds."""

    action: dict[str, Any]
    initial_delay: float
    period: float
    timeout: float
    failure_threshold: int
    success_threshold: int

    @classmethod
    def parse(cls, declared: dict[str, Any] | None) -> Probe | None:
        if not declared:
            return None
        return cls(
            action={key: declared[key] for key in ("httpGet", "tcpSocket", "exec") if key in declared},
            initial_delay=declared.get("initialDelaySeconds", 0),
            period=declared.get("periodSeconds", 10),
            timeout=declared.get("timeoutSeconds", 1),
            failure_threshold=declared.get("failureThreshold", 3),
            success_threshold=declared.get("successThreshold", 1),
        )


Execute = Callable[[list[str], float], Awaitable[str | None]]


@dataclass(frozen=True)
class Prober:
    """Carries probes out against one pod; `execute` runs a command there and says what failed, or None."""

    address: str
    ports: dict[str, int]
    execute: Execute

    async def failure(self, probe: Probe) -> str | None:
        """Why a probe failed, or None: it succeeded."""
        try:
            async with asyncio.timeout(probe.timeout):
                if "exec" in probe.action:
                    return await self.execute(probe.action["exec"]["command"], probe.timeout)
                if "tcpSocket" in probe.action:
                    await self._connect(self._port(probe.action["tcpSocket"]["port"]))
                    return None
                return await self._get(probe.action["httpGet"])
        except TimeoutError:
            return f"no answer within {probe.timeout} s"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return str(error)

    async def _connect(self, port: int) -> None:
        _, writer = await asyncio.open_connection(self.address, port)
        writer.close()

    async def _get(self, action: dict[str, Any]) -> str | None:
        port = self._port(action["port"])
        headers = {"Host": f"{self.address}:{port}", "User-Agent": "kube-probe/1.36", "Connection": "close"}
        headers |= {header["name"]: header["value"] for header in action.get("httpHeaders", [])}
        request = f"GET {action.get('path', '/')} HTTP/1.1\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in headers.items()
        )
        reader, writer = await asyncio.open_connection(self.address, port)
        try:
            writer.write(request.encode() + b"\r\n")
            status = (await reader.readline()).split()
        finally:
            writer.close()
        code = int(status[1]) if len(status) > 1 else 0
        return None if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"

    def _port(self, port: int | str) -> int:
        if isinstance(port, int):
            return port
        if port not in self.ports:
            raise ValueError(f"the container declares no port named {port}")
        return self.ports[port]


Report = Callable[[bool, str], None]


async def watch(probe: Probe, prober: Prober, since: float, report: Report) -> None:
    """Probe for ever and report when a threshold is reached.

    `report(True, "")` at each success from the `success_threshold`-th in a row on, `report(False, why)` at
    each failure from the `failure_threshold`-th on. `since` is the loop's time when the container started.
    """
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, since + probe.initial_delay - loop.time()))
    successes = failures = 0
    while True:
        began = loop.time()
        why = await prober.failure(probe)
        successes, failures = (successes + 1, 0) if why is None else (0, failures + 1)
        if successes >= probe.success_threshold:
            report(True, "")
        elif failures >= probe.failure_threshold:
            report(False, why or "")
        await asyncio.sleep(max(0.0, began + probe.period - loop.time()))


async def first_success(probe: Probe, prober: Prober, since: float) -> str | None:
    """Carry a startup probe out: None once it succeeded, or why it failed for good."""
    verdict: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

    def report(success: bool, why: str) -> None:
        if not verdict.done():
            verdict.set_result(None if success else why)

    task = asyncio.create_task(watch(probe, prober, since, report))
    try:
        return await verdict
    finally:
        task.cancel()

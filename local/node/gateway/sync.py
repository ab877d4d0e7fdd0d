"""Keeps Envoy's configuration equal to the objects."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from local.node.errors import NodeError
from local.node.gateway.config import gateway_config
from local.node.gateway.envoy import Envoy
from local.node.kinds import BY_NAME
from local.node.store import Object, Store

SETTLE_LIMIT = 10.0  # seconds a pod's end waits for the gateway at most


class GatewaySync:
    """One loop; `settled` tells when Envoy uses the objects as they are now."""

    def __init__(self, store: Store, envoy: Envoy) -> None:
        self._store, self._envoy = store, envoy
        self._done = 0
        self._moved = asyncio.Condition()

    @property
    def ready(self) -> bool:
        """Whether Envoy has accepted a configuration since the start."""
        return self._done > 0

    async def run(self) -> None:
        while not await self._envoy.answers():
            await asyncio.sleep(0.05)
        while True:
            seen = self._store.version
            try:
                await self._envoy.configure(
                    gateway_config(
                        *(self._all(name) for name in ("Service", "Pod", "Gateway", "VirtualService"))
                    )
                )
            except NodeError as error:
                print(error, file=sys.stderr, flush=True)
                await asyncio.sleep(1)
                continue
            async with self._moved:
                self._done = seen
                self._moved.notify_all()
            await self._store.changed(seen, 30)

    async def settled(self) -> None:
        """Wait until Envoy has accepted what the objects say now (at most 10 s)."""
        wanted = self._store.version
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_LIMIT), self._moved:
                await self._moved.wait_for(lambda: self._done >= wanted)

    def _all(self, kind: str) -> list[Object]:
        return [item for _, item in self._store.of_kind(BY_NAME[kind])]

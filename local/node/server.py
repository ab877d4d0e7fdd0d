"""All parts of the node in one process: API, controllers, pods, gateway."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import yaml

from local.home import Home
from local.images import Image
from local.node import state
from local.node.api import application
from local.node.controllers.loop import Controllers
from local.node.gateway.envoy import Envoy
from local.node.gateway.sync import GatewaySync
from local.node.kinds import BY_NAME
from local.node.objects import Objects
from local.node.pods.manager import PodManager
from local.node.pods.runner import Host
from local.node.process import end_leftovers
from local.node.store import Key, Store


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the daemon, which ends the pods before it stops answering."""
        yield


async def serve(home: Home, resolve: Callable[[str], Image]) -> None:
    """Run the node until SIGTERM, SIGINT or the loss of its folder; `resolve` finds images by reference."""
    folder = state.folder(home)
    records = folder / "processes"
    records.mkdir(parents=True, exist_ok=True)
    end_leftovers(records)
    store = Store(folder / "objects.sqlite", BY_NAME)
    objects = Objects(store)
    envoy = Envoy(folder / "gateway", home.gateway_port, records)
    gateway = GatewaySync(store, envoy)
    pods = PodManager(Host(home, objects, resolve, gateway.settled, records))
    pods.recover()
    default = Key(BY_NAME["Namespace"], "", "default")
    if store.get(default) is None:
        objects.add(default, {"status": {"phase": "Active"}})
    envoy.prepare()
    listener, token = _listener(home)
    api = application(objects, pods, token=token, ready=lambda: gateway.ready)
    config = uvicorn.Config(api, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    server = _Uvicorn(config)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    tasks = {
        name: asyncio.create_task(work)
        for name, work in (
            ("api", server.serve(sockets=[listener])),
            ("controllers", Controllers(objects, pods).run()),
            ("envoy", envoy.keep_running()),
            ("gateway", gateway.run()),
            ("stop", stopping.wait()),
            ("folder", _folder_gone(home)),
        )
    }
    try:
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        for name, task in tasks.items():
            if name not in ("stop", "folder") and task.done():
                task.result()
    finally:
        for name in ("controllers", "folder", "stop"):
            tasks[name].cancel()
        await pods.shut_down()
        for name in ("gateway", "envoy"):
            tasks[name].cancel()
        await envoy.stop()
        server.should_exit = True
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        store.close()


async def _folder_gone(home: Home) -> None:
    """Return once the home is gone: a checkout that was deleted must leave no process and no open port."""
    while state.folder(home).is_dir():
        await asyncio.sleep(1.0)


def _listener(home: Home) -> tuple[socket.socket, str]:
    """The API's socket and token: those of the last start where they are free, so clients find them again."""
    known = state.credentials(home)
    token = known[1] if known else secrets.token_urlsafe(32)
    # asyncio turns Nagle's delay off only where the protocol is named: without, each answer takes 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", known[0] if known else 0))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "embedded",
        "clusters": [{"name": "embedded", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "embedded", "user": {"token": token}}],
        "contexts": [
            {
                "name": "embedded",
                "context": {"cluster": "embedded", "user": "embedded", "namespace": "default"},
            }
        ],
    }
    temporary = home.kubeconfig.with_suffix(".next")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    temporary.replace(home.kubeconfig)
    return listener, token

"""All pods of the node: each pod object gets a runner, each runner's end is carried out."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from local.node.kinds import BY_NAME
from local.node.pods.addresses import Addresses
from local.node.pods.runner import Host, PodRunner
from local.node.store import Key, Object

POD = BY_NAME["Pod"]
DONE = ("Succeeded", "Failed")


class PodManager:
    """Keeps the processes of this machine equal to the pod objects."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._store = host.objects.store
        self._addresses = Addresses(host.home.root)
        self._runners: dict[str, tuple[PodRunner, asyncio.Task[None]]] = {}

    def recover(self) -> None:
        """After a start: pods that were running are gone (their owners make new ones), finished ones stay."""
        for key, pod in self._store.of_kind(POD):
            if pod.get("status", {}).get("phase") not in DONE or "deletionTimestamp" in pod["metadata"]:
                self._store.delete(key)
        kept = {pod["metadata"]["uid"] for _, pod in self._store.of_kind(POD)}
        self._host.home.pods.mkdir(parents=True, exist_ok=True)
        for folder in self._host.home.pods.iterdir():
            if folder.name not in kept:
                _remove(folder)

    def reconcile(self) -> None:
        for key, pod in self._store.of_kind(POD):
            uid = pod["metadata"]["uid"]
            ending = "deletionTimestamp" in pod["metadata"]
            if uid in self._runners:
                if ending:
                    self._runners[uid][0].end()
            elif ending:
                self._forget(key, uid)
            elif pod.get("status", {}).get("phase") not in DONE:
                runner = PodRunner(self._host, key, pod, self._addresses.take())
                task = asyncio.create_task(runner.run())
                self._runners[uid] = (runner, task)
                task.add_done_callback(lambda task, key=key, uid=uid: self._ended(task, key, uid))  # type: ignore[misc]

    def log(self, key: Key, *, previous: bool) -> Path | None:
        """The log file of a pod's container, or of the one before it."""
        folder = self._host.home.pods / self._uid(key) / "logs"
        logs = sorted(folder.glob("*.log"), key=lambda path: int(path.stem)) if folder.is_dir() else []
        position = 2 if previous else 1
        return logs[-position] if len(logs) >= position else None

    def is_writing(self, key: Key, log: Path) -> bool:
        """Whether a pod's container runs and writes to this log."""
        entry = self._runners.get(self._uid(key))
        return entry is not None and entry[0].running and self.log(key, previous=False) == log

    async def shut_down(self) -> None:
        """End all pods; their objects stay as they are."""
        for runner, _ in self._runners.values():
            runner.end(drain=False)
        await asyncio.gather(*(task for _, task in self._runners.values()), return_exceptions=True)

    def _uid(self, key: Key) -> str:
        pod: Object = self._store.get(key) or {"metadata": {"uid": "none"}}
        return str(pod["metadata"]["uid"])

    def _ended(self, task: asyncio.Task[None], key: Key, uid: str) -> None:
        runner, _ = self._runners.pop(uid)
        self._addresses.give_back(runner.address)
        if not task.cancelled() and task.exception():
            task.get_loop().call_exception_handler(
                {"message": f"The pod {key.name} failed in the node itself.", "exception": task.exception()}
            )
        live = self._store.get(key)
        if live is not None and "deletionTimestamp" in live["metadata"]:
            self._forget(key, uid)

    def _forget(self, key: Key, uid: str) -> None:
        self._store.delete(key)
        _remove(self._host.home.pods / uid)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)

"""The life of one pod: pull, start, probe, restart, end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lightkube.utils.quantity import parse_quantity

from local.errors import LocalError
from local.home import Home
from local.images import Image
from local.node import clock, procfs
from local.node.kinds import BY_NAME
from local.node.objects import Objects
from local.node.pods.command import Command, MissingValueError, command
from local.node.pods.files import Sources, follow_config_maps, path_map, write_volumes
from local.node.pods.probes import Probe, Prober, first_success, watch
from local.node.pods.status import ContainerState, pod_status
from local.node.process import Child, start
from local.node.store import Key, Object

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 30.0  # seconds; Kubernetes: 10 s to 5 min
FORGIVEN_AFTER = 600.0  # seconds a container has to run for its back-off to begin anew
AFTER_DRAIN = 0.4  # seconds between the gateway's acknowledgement and SIGTERM
LOG_LIMIT = 20 << 20  # bytes; a longer log begins anew
MESSAGE_LIMIT = 4096  # bytes of a termination message
LOOK_SECONDS = 0.25  # between two looks at the memory of a process


@dataclass(frozen=True)
class Host:
    """What a pod needs of the node; `settled` waits until the gateway uses the objects as they are now."""

    home: Home
    objects: Objects
    resolve: Callable[[str], Image]
    settled: Callable[[], Awaitable[None]]
    records: Path


class WaitingError(Exception):
    """The container cannot be started yet."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PodRunner:
    """One pod from its creation to its end; `run` returns when nothing of it runs any more."""

    def __init__(self, host: Host, key: Key, pod: Object, address: str) -> None:
        self._host, self._key, self._pod, self.address = host, key, pod, address
        self._spec = pod["spec"]
        self._declared = self._spec["containers"][0]
        self._folder = host.home.pods / pod["metadata"]["uid"]
        self._container = ContainerState()
        self._ending = asyncio.Event()
        self._drain = True
        self._was_ready = False
        self._killed_because = ""
        self._told: dict[str, dict[str, str]] = {}
        self.running = False

    def end(self, *, drain: bool = True) -> None:
        """Begin the pod's end; without `drain` nobody is told first."""
        self._drain = self._drain and drain
        self._ending.set()

    async def run(self) -> None:
        self._folder.joinpath("logs").mkdir(parents=True, exist_ok=True)
        self._publish()
        pull_delay = crash_delay = FIRST_BACKOFF
        while not self._ending.is_set():
            try:
                prepared = await self._prepare()
            except WaitingError as error:
                self._wait_state(error.reason, str(error))
                await self._pause(min(1.0, pull_delay))
                if error.reason == "ErrImagePull" and not self._ending.is_set():
                    self._wait_state("ImagePullBackOff", f"Back-off pulling image: {error}")
                await self._pause(pull_delay)
                pull_delay = min(pull_delay * 2, LONGEST_BACKOFF)
                continue
            began = asyncio.get_running_loop().time()
            await self._run_container(prepared)
            if self._ending.is_set() or self._spec.get("restartPolicy") == "Never":
                return
            if asyncio.get_running_loop().time() - began > FORGIVEN_AFTER:
                crash_delay = FIRST_BACKOFF
            self._wait_state("CrashLoopBackOff", f"back-off {crash_delay:g}s restarting failed container")
            await self._pause(crash_delay)
            crash_delay = min(crash_delay * 2, LONGEST_BACKOFF)
            self._container.restarts += 1

    async def _prepare(self) -> Command:
        """Image, volumes, words; raises WaitingError with Kubernetes' reason."""
        try:
            image = await asyncio.to_thread(self._host.resolve, self._declared["image"])
        except LocalError as error:
            raise WaitingError("ErrImagePull", str(error)) from error
        home, namespace = self._host.home, self._key.namespace
        self._told = self._config_maps()
        sources = Sources(self._told, home.claims / namespace, home.secrets / namespace)
        problem = write_volumes(self._pod, self._folder, sources)
        if problem:
            raise WaitingError("CreateContainerConfigError", problem)
        try:
            return command(
                self._pod,
                image,
                path_map(self._pod, self._folder, image.rootfs),
                address=self.address,
                kubeconfig=self._host.home.kubeconfig,
                sources=sources,
            )
        except MissingValueError as error:
            raise WaitingError("CreateContainerConfigError", str(error)) from error

    def _config_maps(self) -> dict[str, dict[str, str]]:
        """Those of the pod's namespace, as they are now."""
        found = self._host.objects.store.of_kind(BY_NAME["ConfigMap"], self._key.namespace)
        return {key.name: item.get("data", {}) for key, item in found}

    async def _run_container(self, prepared: Command) -> None:
        message = self._folder / "termination-message"
        message.write_text("")
        log = self._folder / "logs" / f"{self._container.restarts}.log"
        (log.parent / f"{self._container.restarts - 2}.log").unlink(missing_ok=True)
        self._killed_because = ""
        began = clock.now()
        env = prepared.env | {"TTS_TERMINATION_LOG": prepared.env.get("TTS_TERMINATION_LOG", str(message))}
        prepared = Command(prepared.words, env, prepared.folder)
        try:
            child = await self._start(prepared, log)
        except (OSError, IndexError) as error:
            self._ended(128, f"The container cannot be started: {error}", "StartError", began)
            return
        self.running = True
        self._container.state = {"running": {"startedAt": began}}
        self._container.phase, self._container.why_not_ready = "Running", "no probe has succeeded yet"
        self._publish()
        code = await self._supervise(child, prepared, log)
        self.running = False
        reason = (
            "OOMKilled" if self._killed_because == "OOMKilled" else ("Completed" if code == 0 else "Error")
        )
        self._ended(code, self._message(message, log, code), reason, began)

    async def _supervise(self, child: Child, prepared: Command, log: Path) -> int:
        """Probe until the process ends, has to be restarted or the pod ends; the exit code."""
        exited = asyncio.create_task(child.wait())
        checks = asyncio.create_task(self._check(prepared))
        ending = asyncio.create_task(self._ending.wait())
        guard = asyncio.create_task(self._guard(child, log))
        try:
            await asyncio.wait({exited, checks, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                grace = float(self._spec.get("terminationGracePeriodSeconds", 30))
                if ending.done():
                    grace = await self._say_goodbye(prepared, grace)
                else:
                    self._killed_because = checks.result()
                    self._set_ready(False, self._killed_because)
                await child.end(grace)
            return await exited
        finally:
            for task in (checks, ending, guard):
                task.cancel()

    async def _check(self, prepared: Command) -> str:
        """Carry out the probes; returns only when the container has to be restarted, with the reason."""
        ports = {
            port["name"]: port["containerPort"] for port in self._declared.get("ports", []) if "name" in port
        }
        prober = Prober(self.address, ports, lambda words, limit: self._execute(prepared, words, limit))
        since = asyncio.get_running_loop().time()
        startup, readiness, liveness = (
            Probe.parse(self._declared.get(name))
            for name in ("startupProbe", "readinessProbe", "livenessProbe")
        )
        if startup:
            why = await first_success(startup, prober, since)
            if why:
                return f"Startup probe failed: {why}"
        self._container.started = True
        dead: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def judge_life(alive: bool, why: str) -> None:
            if not alive and not dead.done():
                dead.set_result(f"Liveness probe failed: {why}")

        tasks = []
        if readiness:
            judge = lambda ready, why: self._set_ready(ready, f"Readiness probe failed: {why}")  # noqa: E731
            tasks.append(asyncio.create_task(watch(readiness, prober, since, judge)))
        else:
            self._set_ready(True, "")
        if liveness:
            tasks.append(asyncio.create_task(watch(liveness, prober, since, judge_life)))
        try:
            return await dead
        finally:
            for task in tasks:
                task.cancel()

    async def _say_goodbye(self, prepared: Command, grace: float) -> float:
        """Let the gateway forget the pod and carry out preStop; the seconds of grace that are left."""
        if not self._drain:
            return grace
        loop = asyncio.get_running_loop()
        began = loop.time()
        hook = self._declared.get("lifecycle", {}).get("preStop", {})
        if "exec" in hook:
            await self._execute(prepared, hook["exec"]["command"], grace)
        if self._was_ready:
            await self._host.settled()
            await asyncio.sleep(AFTER_DRAIN)
        await asyncio.sleep(max(0.0, float(hook.get("sleep", {}).get("seconds", 0)) - (loop.time() - began)))
        return max(2.0, grace - (loop.time() - began))

    async def _guard(self, child: Child, log: Path) -> None:
        """Hold the memory limit and the log's size, and tell the container what its ConfigMaps say now."""
        declared = self._declared.get("resources", {}).get("limits", {}).get("memory")
        limit = parse_quantity(str(declared)) if declared else None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if limit and procfs.anonymous_memory(child.pid) > limit:
                self._killed_because = "OOMKilled"
                child.signal(signal.SIGKILL)
            if log.stat().st_size > LOG_LIMIT:
                os.truncate(log, 0)
            if (now := self._config_maps()) != self._told:
                follow_config_maps(self._pod, self._folder, self._told, now)
                self._told = now

    async def _execute(self, prepared: Command, words: list[str], limit: float) -> str | None:
        """Run a command beside the container's process; what went wrong, or None."""
        child = await self._start(Command(words, prepared.env, prepared.folder), Path(os.devnull))
        try:
            code = await asyncio.wait_for(asyncio.shield(child.process.wait()), limit)
        except TimeoutError:
            return f"the command did not end within {limit:g} s"
        finally:
            child.signal(signal.SIGKILL)
            await child.wait()
        return None if code == 0 else f"the command ended with exit code {code}"

    async def _start(self, prepared: Command, log: Path) -> Child:
        return await start(
            prepared.words, env=prepared.env, folder=prepared.folder, log=log, records=self._host.records
        )

    def _message(self, file: Path, log: Path, code: int) -> str:
        text = file.read_bytes()[:MESSAGE_LIMIT].decode(errors="replace") if file.is_file() else ""
        fallback = self._declared.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not text and fallback and code != 0:
            text = log.read_bytes()[-2048:].decode(errors="replace")
        return text or ("" if self._killed_because == "OOMKilled" else self._killed_because)

    def _ended(self, code: int, message: str, reason: str, began: str) -> None:
        terminated = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": clock.now()}
        if code > 128 and reason != "StartError":
            terminated["signal"] = code - 128
        if message:
            terminated["message"] = message
        container = self._container
        container.state = {"terminated": terminated}
        container.started = container.ready = False
        container.why_not_ready = f"the container ended with exit code {code}"
        if self._spec.get("restartPolicy") == "Never":
            container.phase = "Succeeded" if code == 0 else "Failed"
        self._publish()

    def _wait_state(self, reason: str, message: str) -> None:
        if "terminated" in self._container.state:
            self._container.last_state = self._container.state
        self._container.state = {"waiting": {"reason": reason, "message": message}}
        self._container.why_not_ready = message
        self._publish()

    def _set_ready(self, ready: bool, why: str) -> None:
        self._was_ready = self._was_ready or ready
        if (ready, why) != (self._container.ready, self._container.why_not_ready):
            self._container.ready, self._container.why_not_ready = ready, why
            self._publish()

    def _publish(self) -> None:
        store = self._host.objects.store
        live = store.get(self._key)
        if live is not None and live["metadata"]["uid"] == self._pod["metadata"]["uid"]:
            status = pod_status(live, self._container, address=self.address, at=clock.now())
            self._host.objects.set_status(self._key, status)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

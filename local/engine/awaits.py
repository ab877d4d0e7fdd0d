"""Waiting for what was declared: Deployments, Jobs, and objects that must be gone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from local.engine.cluster import Cluster, Manifest
from local.engine.diagnosis import (
    CRASHES,
    condition,
    crash_loop,
    deadline_exceeded,
    deployment_ready,
    finished,
    holds,
    no_progress,
    starting,
    termination_messages,
    why_not_ready,
)
from local.engine.errors import AwaitError, StoppedError
from local.engine.kinds import DEPLOYMENT, JOB, POD, Address
from local.engine.report import Report

POLL_SECONDS = 0.25
TELL_SECONDS = 5.0
DEFAULT_TIMEOUT = 600.0


class Waiter:
    """Polls the cluster until an object is where it should be, and tells why it is not there yet."""

    def __init__(self, cluster: Cluster, report: Report, stop: threading.Event) -> None:
        self._cluster = cluster
        self._report = report
        self._stop = stop

    def is_settled(self, live: Manifest) -> bool:
        """Whether there is nothing to wait for on this object."""
        if live["kind"] == DEPLOYMENT.name:
            return deployment_ready(live)
        return live["kind"] != JOB.name or holds(live, "Complete")

    def settle(self, address: Address, *, timeout: float) -> Manifest:
        """Wait until a Deployment is ready or a Job complete; return the live object. `timeout` in seconds.

        Raises:
            AwaitError: it failed, went away or took too long; the lines say why.
            StoppedError: the update was stopped meanwhile.
        """
        if address.kind == JOB:
            return self._job(address, timeout)
        return self._deployment(address, timeout)

    def gone(self, address: Address, *, uid: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Wait until the object with this uid and all that it owns are gone. `timeout` in seconds."""

        def check() -> Manifest | None:
            live = self._cluster.get(address)
            return {} if live is None or live["metadata"].get("uid") != uid else None

        self._poll(check, lambda: f"waits until {address} is gone", lambda: [], timeout, address)

    def _deployment(self, address: Address, timeout: float) -> Manifest:
        last: Manifest = {}

        def check() -> Manifest | None:
            nonlocal last
            last = self._get(address)
            if deployment_ready(last):
                return last
            if deadline_exceeded(last):
                raise self._failed(no_progress(last), last)
            if crash_loop(self._pods(last)):
                raise self._failed(f"{address} has a pod that crashed again after {CRASHES} restarts.", last)
            return None

        def told() -> str:
            ready = last.get("status", {}).get("readyReplicas", 0)
            return f"waits for {address}: {ready} of {last['spec'].get('replicas', 1)} pods ready"

        return self._poll(check, told, lambda: self._why(last), timeout, address)

    def _job(self, address: Address, timeout: float) -> Manifest:
        story = _Story(self._cluster, self._report)
        last: Manifest = {}

        def check() -> Manifest | None:
            nonlocal last
            last = self._get(address)
            pods = self._pods(last)
            story.tell(pods)
            if holds(last, "Complete") or finished(last, pods):
                return last
            if holds(last, "Failed"):
                why = condition(last, "Failed")
                # A pod that was started again has often failed for the same reason.
                said = list(dict.fromkeys(termination_messages(pods)))
                said = said or [str(why.get("message") or why.get("reason") or "")]
                raise AwaitError("\n".join([f"{address} failed:", *said]))
            return None

        def told() -> str:
            return f"waits for {address}"

        return self._poll(check, told, lambda: why_not_ready(self._pods(last)), timeout, address)

    def _poll(
        self,
        check: Callable[[], Manifest | None],
        told: Callable[[], str],
        why: Callable[[], list[str]],
        timeout: float,
        address: Address,
    ) -> Manifest:
        start = time.monotonic()
        tell_at = start + TELL_SECONDS
        known: list[str] = []
        while True:
            done = check()
            if done is not None:
                return done
            now = time.monotonic()
            if now - start > timeout:
                raise AwaitError("\n".join([f"{address} is not done after {timeout:g} s.", *why()]))
            if now >= tell_at:
                reasons = why()
                shown = reasons if reasons != known else []
                self._report.step(".", f"{told()} ({now - start:.0f} s)", shown)
                known, tell_at = reasons, now + TELL_SECONDS * 2
            if self._stop.wait(POLL_SECONDS):
                raise StoppedError(f"The update stopped while it waited for {address}.")

    def _get(self, address: Address) -> Manifest:
        live = self._cluster.get(address)
        if live is None:
            raise AwaitError(f"{address} was deleted by someone else while the update waited for it.")
        return live

    def _pods(self, owner: Manifest) -> list[Manifest]:
        labels: dict[str, Any] = owner.get("spec", {}).get("selector", {}).get("matchLabels", {})
        if not labels and owner.get("kind") == JOB.name:
            labels = {"job-name": owner["metadata"]["name"]}
        if not labels:
            return []
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        return self._cluster.find(POD, labels=selector, namespace=owner["metadata"]["namespace"])

    def _failed(self, sentence: str, deployment: Manifest) -> AwaitError:
        return AwaitError("\n".join([sentence, *self._why(deployment)]))

    def _why(self, deployment: Manifest) -> list[str]:
        """What keeps its pods from being ready; of those that start, what they said last."""
        pods = self._pods(deployment)
        namespace = deployment["metadata"].get("namespace", "")
        logs = {name: self._cluster.pod_log(namespace, name, tail=1) for name in starting(pods)}
        return why_not_ready(
            pods, {name: f"its log: {said(lines[-1])}" for name, lines in logs.items() if lines}
        )


def said(line: str) -> str:
    """The message of a line of a log, which may be a JSON object."""
    try:
        found = json.loads(line)
    except ValueError:
        return line
    return str(found["message"]) if isinstance(found, dict) and "message" in found else line


class _Story:
    """Prints each log line of a Job's pods once."""

    def __init__(self, cluster: Cluster, report: Report) -> None:
        self._cluster = cluster
        self._report = report
        self._told: dict[str, int] = {}
        self._ended: set[str] = set()

    def tell(self, pods: list[Manifest]) -> None:
        for pod in pods:
            if pod.get("status", {}).get("phase") in (None, "Pending"):
                continue
            metadata = pod["metadata"]
            if metadata["uid"] in self._ended:
                continue
            lines = self._cluster.pod_log(metadata["namespace"], metadata["name"])
            done = self._told.get(metadata["uid"], 0)
            for line in lines[done:]:
                self._report.step(".", f"  {line}")
            self._told[metadata["uid"]] = len(lines)
            if pod["status"]["phase"] in ("Succeeded", "Failed"):
                self._ended.add(metadata["uid"])

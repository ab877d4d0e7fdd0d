"""A folder of manifests, brought to a cluster as Argo CD brings it: by waves, each healthy before the next
begins, server-side, pruned last; what the Application ignores is neither drift nor written.

What is imitated is gitops-engine's sync (Argo CD 3.6) as far as this project relies on it, and nothing else.
"""

from __future__ import annotations

import copy
import json
import subprocess
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.conftest import ALL_KINDS, kubectl

Manifest = dict[str, Any]
MANAGER = "argocd-controller"
TRACKED = "argocd.argoproj.io/tracking-id"
WAVE = "argocd.argoproj.io/sync-wave"
LOOK_SECONDS = 0.5
# Within a wave, what others need comes first.
KINDS = ("Namespace", "NetworkPolicy", "ServiceAccount", "ConfigMap", "Role", "RoleBinding", "Service")


class SyncFailedError(Exception):
    """A wave did not become healthy, or something was not taken: nothing after it was done."""


@dataclass(frozen=True)
class Application:
    """What the Application's own document says, and the checkout of the repository it names."""

    document: Manifest
    repository: Path

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.document["spec"]["destination"]["namespace"])

    def targets(self) -> list[Manifest]:
        """The manifests of the folder, marked as this Application's, in the order of their waves."""
        folder = self.repository / self.document["spec"]["source"]["path"]
        found = [yaml.safe_load(path.read_text()) for path in sorted(folder.rglob("*.yaml"))]
        for each in found:
            name = f"{self.name}:{each['kind']}/{each['metadata']['name']}"
            each["metadata"].setdefault("annotations", {})[TRACKED] = name
        return sorted(found, key=lambda each: (wave_of(each), _rank(each["kind"]), each["metadata"]["name"]))

    def ignored(self, manifest: Manifest) -> list[str]:
        """The JSON pointers of a manifest that are not the Application's."""
        rules = self.document["spec"]["ignoreDifferences"]
        return [
            pointer
            for rule in rules
            if (rule["kind"], rule["name"]) == (manifest["kind"], manifest["metadata"]["name"])
            for pointer in rule["jsonPointers"]
        ]


def wave_of(manifest: Manifest) -> int:
    return int(manifest["metadata"].get("annotations", {}).get(WAVE, 0))


def _rank(kind: str) -> int:
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


class ArgoCd:
    """One Application's controller."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.said: list[str] = []

    def sync(self, *, seconds: float = 240) -> None:
        """One whole sync. Raises SyncFailedError."""
        targets, end = self.application.targets(), time.monotonic() + seconds
        for wave, together in groupby(targets, key=wave_of):
            begun = list(together)
            self._apply(begun)
            self._wait(begun, wave, end)
        self._prune(targets, end)

    def drift(self) -> list[Manifest]:
        """The targets that the cluster does not have as they are declared, but for what is ignored."""
        targets = self.application.targets()
        live = self._live(targets)
        future = self._send(self._without_ignored(targets, live), "--dry-run=server")
        return [
            each
            for each in targets
            if key_of(each) not in live
            or _comparable(live[key_of(each)]) != _comparable(future[key_of(each)])
        ]

    def self_heal(self) -> list[str]:
        """One look: what has drifted is applied again. Which it was."""
        drifted = self.drift()
        if drifted:
            self._apply(drifted)
        return [" ".join(key_of(each)) for each in drifted]

    def tracked(self) -> list[Manifest]:
        """What this Application has brought to its namespace and is there."""
        words = ["get", ALL_KINDS, "--namespace", self.application.namespace, "--output", "json"]
        own = f"{self.application.name}:"
        return [
            each
            for each in json.loads(kubectl(*words))["items"]
            if each["metadata"].get("annotations", {}).get(TRACKED, "").startswith(own)
            # Pods, ReplicaSets and endpoints are their owners'.
            and not each["metadata"].get("ownerReferences")
        ]

    def _apply(self, manifests: list[Manifest]) -> None:
        self._send(self._without_ignored(manifests, self._live(manifests)))

    def _without_ignored(
        self, manifests: list[Manifest], live: dict[tuple[str, str], Manifest]
    ) -> list[Manifest]:
        """RespectIgnoreDifferences: what is ignored is written as it is."""
        made = copy.deepcopy(manifests)
        for each in made:
            for pointer in self.application.ignored(each) if key_of(each) in live else ():
                *path, last = pointer.strip("/").split("/")
                place, there = each, live[key_of(each)]
                for key in path:
                    place, there = place[key], there[key]
                place[last] = there[last]
        return made

    def _send(self, manifests: list[Manifest], *more: str) -> dict[tuple[str, str], Manifest]:
        words = ["apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", *more]
        return self._about(manifests, *words)

    def _live(self, manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
        return self._about(manifests, "get", "--ignore-not-found")

    def _about(self, manifests: list[Manifest], *words: str) -> dict[tuple[str, str], Manifest]:
        """What kubectl answers about these objects, by kind and name. Raises SyncFailedError."""
        whole = {"apiVersion": "v1", "kind": "List", "items": manifests}
        done = subprocess.run(
            ["kubectl", *words, "--output", "json", "--filename", "-"],
            input=json.dumps(whole),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise SyncFailedError(done.stderr.strip())
        answer = json.loads(done.stdout or '{"kind": "List", "items": []}')
        found = answer["items"] if answer["kind"] == "List" else [answer]
        return {key_of(each): each for each in found}

    def _wait(self, begun: list[Manifest], wave: int, end: float) -> None:
        """Until all of a wave is healthy; what is degraded ends the sync."""
        while True:
            live = self._live(begun)
            health = {" ".join(key_of(each)): health_of(live.get(key_of(each))) for each in begun}
            if degraded := [name for name, (state, _) in health.items() if state == "Degraded"]:
                said = "; ".join(f"{name}: {health[name][1]}" for name in degraded)
                raise SyncFailedError(f"Wave {wave}: {said}")
            if all(state == "Healthy" for state, _ in health.values()):
                self.said.append(f"wave {wave} is healthy")
                return
            if time.monotonic() > end:
                raise SyncFailedError(f"Wave {wave} is not healthy: {health}")
            time.sleep(LOOK_SECONDS)

    def _prune(self, targets: list[Manifest], end: float) -> None:
        """PruneLast: what is no longer in the folder, once everything else is done."""
        wanted = {key_of(each) for each in targets}
        gone = [each for each in self.tracked() if key_of(each) not in wanted]
        for each in gone:
            place = ["--namespace", self.application.namespace, "--wait=false", "--cascade=foreground"]
            kubectl("delete", _resource(each), each["metadata"]["name"], *place)
            self.said.append(f"pruned {' '.join(key_of(each))}")
        while gone and self._live(gone):
            if time.monotonic() > end:
                raise SyncFailedError("What was pruned is still there.")
            time.sleep(LOOK_SECONDS)


def key_of(manifest: Manifest) -> tuple[str, str]:
    """Kind and name: an Application here has one namespace."""
    return str(manifest["kind"]), str(manifest["metadata"]["name"])


def _resource(manifest: Manifest) -> str:
    group, _, _ = manifest["apiVersion"].rpartition("/")
    return f"{manifest['kind'].lower()}.{group}" if group else manifest["kind"].lower()


def health_of(live: Manifest | None) -> tuple[str, str]:
    """Argo CD's word for an object, and why. Kinds that it does not judge are healthy when they are there."""
    if live is None:
        return "Missing", ""
    conditions = {each["type"]: each for each in live.get("status", {}).get("conditions", [])}
    if live["kind"] == "Job":
        if "Failed" in conditions:
            return "Degraded", str(conditions["Failed"].get("message", ""))
        return ("Healthy", "") if "Complete" in conditions else ("Progressing", "")
    if live["kind"] == "Deployment":
        return _deployment_health(live, conditions)
    return "Healthy", ""


def _deployment_health(live: Manifest, conditions: dict[str, Manifest]) -> tuple[str, str]:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "Progressing", ""
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        return "Degraded", "its progress deadline has passed"
    done = status.get("updatedReplicas", 0) >= wanted and status.get("availableReplicas", 0) >= wanted
    return ("Healthy", "") if done and status.get("replicas", 0) <= wanted else ("Progressing", "")


def _comparable(manifest: Manifest) -> Manifest:
    made = {key: value for key, value in manifest.items() if key != "status"}
    own = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")
    made["metadata"] = {key: value for key, value in made["metadata"].items() if key not in own}
    return made

"""The Kubernetes API as an update needs it: objects are dictionaries, writes are server-side applies."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import yaml
from lightkube import KubeConfig
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.core.exceptions import ConfigError as KubeConfigError

from local.engine.errors import ClusterError
from local.engine.kinds import OWNERS, POD, Address, Kind

FIELD_MANAGER = "tts-local"
_TRIES = 5
_RETRIED = {429, 500, 502, 503, 504}
Manifest = dict[str, Any]


class Cluster:
    """One API server, reached by a kubeconfig's current context."""

    def __init__(self, kubeconfig: Path) -> None:
        """Raises ClusterError when the kubeconfig cannot be read."""
        try:
            config = KubeConfig.from_file(kubeconfig).get()
            if config is None:
                raise ClusterError(f"The kubeconfig {kubeconfig} names no current context; set one in it.")
            parameters = ConnectionParams(timeout=httpx2.Timeout(30.0))
            self._http = Client(config, parameters)
        except (OSError, KubeConfigError, yaml.YAMLError) as error:
            raise ClusterError(f"The kubeconfig {kubeconfig} cannot be used: {error}") from error
        self.server = config.cluster.server

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def get(self, address: Address) -> Manifest | None:
        """Return the live object, None when there is none."""
        try:
            return self._json("GET", address.kind.path(address.namespace, address.name))
        except ClusterError as error:
            if error.code == 404:
                return None
            raise

    def find(self, kind: Kind, *, labels: str, namespace: str | None = None) -> list[Manifest]:
        """Return the objects that a label selector matches; none where the cluster lacks the kind."""
        try:
            found = self._json("GET", kind.path(namespace), params={"labelSelector": labels})
        except ClusterError as error:
            if error.code == 404:
                return []
            raise
        return [{"apiVersion": kind.api_version, "kind": kind.name} | item for item in found.get("items", [])]

    def apply(self, manifest: Manifest, *, force: bool = False, dry_run: bool = False) -> Manifest:
        """Apply a manifest on the server under the platform's field manager and return the result.

        Raises ClusterError; `immutable` says that the object must be replaced instead.
        """
        address = Address.of(manifest)
        params = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        if dry_run:
            params["dryRun"] = "All"
        try:
            return self._json(
                "PATCH",
                address.kind.path(address.namespace, address.name),
                params=params,
                content=json.dumps(manifest),
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
        except ClusterError as error:
            # What is applied is made where it is missing: not found is its namespace, or its kind.
            if error.code != 404 or 'namespaces "' in str(error):
                raise
            kind = address.kind
            raise ClusterError(
                f"The cluster knows no {kind.name} of {kind.api_version}: install what brings it, or take "
                "away the setting that asks for it.",
                code=404,
            ) from error

    def delete(self, address: Address) -> None:
        """Ask for the deletion of an object after that of its dependents; one that is gone is fine."""
        path = address.kind.path(address.namespace, address.name)
        # Foreground takes a turn of the garbage collector, which what owns nothing need not wait for.
        policy = "Foreground" if address.kind in OWNERS else "Background"
        try:
            self._json("DELETE", path, params={"propagationPolicy": policy})
        except ClusterError as error:
            if error.code != 404:
                raise

    def pod_log(
        self, namespace: str, name: str, *, previous: bool = False, tail: int | None = None
    ) -> list[str]:
        """Return the log lines of a pod so far; none when its container has not started."""
        params = {"previous": "true"} if previous else {}
        if tail is not None:
            params["tailLines"] = str(tail)
        try:
            return self._send("GET", POD.path(namespace, name) + "/log", params=params).text.splitlines()
        except ClusterError as error:
            if error.code in (400, 404):
                return []
            raise

    def follow_log(self, namespace: str, name: str, *, tail: int) -> Iterator[str]:
        """Yield the last `tail` log lines of a pod and each new one until its container ends."""
        params = {"follow": "true", "tailLines": str(tail)}
        timeout = httpx2.Timeout(30.0, read=None)
        path = POD.path(namespace, name) + "/log"
        with self._http.stream("GET", path, params=params, timeout=timeout) as answer:
            if answer.is_success:
                yield from answer.iter_lines()

    def _json(self, method: str, path: str, **request: Any) -> Manifest:
        found: Manifest = self._send(method, path, **request).json()
        return found

    def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Send one request; every request here may be repeated, so a short outage is waited out."""
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(method, path, **request)
            except httpx2.TransportError as error:
                if attempt == _TRIES:
                    raise ClusterError(
                        f"The Kubernetes API at {self.server} does not answer: {error}"
                    ) from error
            else:
                if answer.is_success:
                    return answer
                if answer.status_code not in _RETRIED or attempt == _TRIES:
                    raise ClusterError(_reason(answer, method, path), code=answer.status_code)
            time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")


def _reason(answer: httpx2.Response, method: str, path: str) -> str:
    try:
        status: Mapping[str, Any] = answer.json()
        message = str(status.get("message") or "")
    except ValueError:
        message = ""
    return message or f"The Kubernetes API answered {method} {path} with status {answer.status_code}."

"""Calls of the Kubernetes API, through lightkube. Calls that fail for a moment (no connection, 429, 5xx) are
repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx2
import msgspec
from lightkube import Client
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.resource import ApiInfo, ResourceDef
from lightkube.generic_resource import GenericNamespacedResource, create_api_info
from lightkube.types import PatchType

from .errors import ClusterError, ConflictError, RejectedError

FIELD_MANAGER = "tts-release"
RETRY_SECONDS = 90.0  # how long a call is repeated: an API server's restart takes less
INVALID = (400, 422)  # an admission webhook, the API server
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)

T = TypeVar("T")
Kind = type[GenericNamespacedResource]


class MissingError(Exception):
    """404."""


def kind(group: str, version: str, name: str, plural: str) -> Kind:
    """A resource as a plain dict: the walk reads a handful of fields and must not stumble over the others."""
    info = {"_api_info": create_api_info(group, version, name, plural)}
    return type(name, (GenericNamespacedResource,), info)


def scale_of(kind: Kind) -> Kind:
    """The number of replicas of a resource, which may be changed without the rest of it."""
    parent = kind._api_info
    scale = ResourceDef("autoscaling", "v1", "Scale")
    info = ApiInfo(scale, parent.plural, ["patch"], parent=parent.resource, action="scale")
    return type(f"{kind.__name__}Scale", (GenericNamespacedResource,), {"_api_info": info})


def _object(kind: Kind, body: Mapping[str, Any]) -> GenericNamespacedResource:
    found: GenericNamespacedResource = kind(**body)
    return found


class Api:
    """The objects of one namespace. Raises ClusterError once a call has failed for `retry_seconds`."""

    def __init__(
        self, namespace: str, *, config: SingleConfig | None = None, retry_seconds: float = RETRY_SECONDS
    ) -> None:
        self._retry_seconds = retry_seconds
        self._client = Client(
            config=config or KubeConfig.from_env().get(),
            namespace=namespace,
            field_manager=FIELD_MANAGER,
            timeout=httpx2.Timeout(10.0, connect=3.0),
            trust_env=False,
        )

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._call(f"read the {kind.__name__} {name}", lambda: self._client.get(kind, name)))
        except MissingError:
            return None

    def list(self, what: str, kind: Kind, labels: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The objects with these labels."""
        return self._call(f"list the {what}", lambda: [*self._client.list(kind, labels=dict(labels))])

    def create(self, what: str, kind: Kind, body: Mapping[str, Any]) -> None:
        """Creates an object; tried once."""
        self._call(f"write the {what}", lambda: self._client.create(_object(kind, body)), once=True)

    def delete(self, kind: Kind, name: str) -> None:
        """Deletes an object; one that is gone is fine."""
        try:
            self._call(f"delete the {kind.__name__} {name}", lambda: self._client.delete(kind, name))
        except MissingError:
            return

    def delete_version(self, kind: Kind, name: str, *, resource_version: str) -> None:
        """Deletes an object if it is still the one that was read."""
        inner = self._client._client

        def delete() -> None:
            request = inner.prepare_request("delete", kind, name=name)
            request.data = {"preconditions": {"resourceVersion": resource_version}}
            inner.handle_response("delete", inner.send(inner.build_adapter_request(request)), request)

        try:
            self._call(f"delete the {kind.__name__} {name}", delete)
        except MissingError:
            return

    def keep(self, what: str, kind: Kind, body: Mapping[str, Any], *, manager: str = FIELD_MANAGER) -> None:
        """Applies what this manager has of an object, whatever its version."""
        self._call(f"keep the {what}", lambda: self._patch(kind, body, manager=manager))

    def merge(self, kind: Kind, name: str, change: Mapping[str, Any]) -> None:
        """Changes what `change` says of an object; one that is gone is fine."""
        patch = PatchType.MERGE
        try:
            self._call(
                f"change the {kind.__name__} {name}",
                lambda: self._client.patch(kind, name, dict(change), patch_type=patch),
            )
        except MissingError:
            return

    def apply(self, kind: Kind, body: Mapping[str, Any], version: str | None) -> dict[str, Any]:
        """Creates, or applies under the lock of the resourceVersion."""
        what = f"{kind.__name__} {body['metadata']['name']}"
        try:
            if version is None:
                made = self._call(f"create the {what}", lambda: self._client.create(_object(kind, body)))
                return dict(made)
            locked = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
            return dict(self._call(f"apply the {what}", lambda: self._patch(kind, locked)))
        except MissingError as error:
            raise ConflictError(f"The {what} does not exist any more.") from error

    def _patch(
        self,
        kind: Kind,
        body: Mapping[str, Any],
        *,
        manager: str = FIELD_MANAGER,
    ) -> Mapping[str, Any]:
        name = str(body["metadata"]["name"])
        found: Mapping[str, Any] = self._client.patch(
            kind,
            name,
            _object(kind, body),
            patch_type=PatchType.APPLY,
            field_manager=manager,
            force=True,
        )
        return found

    def _call(self, what: str, call: Callable[[], T], *, once: bool = False) -> T:
        """Calls until an answer comes that repeating would not change; `once` it gives up at once."""
        deadline = time.monotonic() + (0 if once else self._retry_seconds)
        tries = 0
        while True:
            try:
                return call()
            except httpx2.HTTPStatusError as error:
                code = error.response.status_code
                if code == 404:
                    raise MissingError from error
                if code == 409:
                    raise ConflictError(f"Could not {what}: {error}") from error
                if code != 429 and code < 500:
                    kind = RejectedError if code in INVALID else ClusterError
                    raise kind(f"Could not {what}: the API server answered {code}: {error}.") from error
                failure: Exception = error
            except httpx2.TransportError as error:
                failure = error
            except (httpx2.HTTPError, msgspec.MsgspecError) as error:
                raise ClusterError(f"Could not {what}: {error}.") from error
            if time.monotonic() >= deadline:
                raise ClusterError(f"Could not {what} for {self._retry_seconds:g} s: {failure}.") from failure
            time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
            tries += 1


def at(document: Any, *path: str) -> Any:
    """The value at a path, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document

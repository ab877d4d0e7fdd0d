"""Pulumi's resource monitor and engine, in this process: what the SDK calls while the program runs."""
# ruff: noqa: N802 - the methods are named by Pulumi's protocol

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, resource_pb2

from local.engine.awaits import DEFAULT_TIMEOUT
from local.engine.cluster import Manifest
from local.engine.errors import EngineError, StoppedError, UnsupportedError
from local.engine.images import Images
from local.engine.properties import from_struct, has_unknown, holds_secret, to_struct
from local.engine.report import Report
from local.engine.steps import Wanted
from local.errors import LocalError

_IMAGE = "docker-build:index:Image"
_LOOKUP = "docker:index/getRegistryImage:getRegistryImage"
_STACK = "pulumi:pulumi:Stack"
_PROVIDER = "pulumi:providers:"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
# A whole top-level key; an object's identity can hardly be ignored.
_IGNORABLE = re.compile(r"(?!(?:apiVersion|kind|metadata)$)[A-Za-z]+")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
Request = Any  # the generated messages carry no types
T = TypeVar("T")


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration as Pulumi writes it, for instance `10m` or `1h5m30s`.

    Raises EngineError when it is none.
    """
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise EngineError(f"The time-out {duration!r} is no duration; write it like 90s or 10m.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Bringing(Protocol):
    """What becomes of the objects that a program declares: applied, told, or written to a folder."""

    @property
    def preview(self) -> bool:
        """Whether nothing is made, so that what only a cluster knows stays unknown."""

    @property
    def stop(self) -> threading.Event:
        """Set once nothing new is to be begun."""

    def leave(self, kind: str, name: str) -> None:
        """Leave what is no object of Kubernetes to Pulumi itself; raises UnsupportedError where it counts."""

    def prepare(self, manifest: Manifest, *, urn: str, namespace: str) -> Manifest:
        """Return the manifest as it is brought; `namespace` is its provider's. Raises UnsupportedError."""

    def bring(self, wanted: Wanted) -> Manifest:
        """Bring one object to what is declared and return it; raises LocalError."""


class Monitor:
    """Answers the SDK's calls. A call that blocks holds back whatever depends on its resource, nothing else.

    `failures` are the errors of steps, in the order in which they came; the first one stops all waiting.
    """

    def __init__(self, objects: Bringing, images: Images, *, project: str, stack: str) -> None:
        self.failures: list[LocalError] = []
        self.outputs: dict[str, Any] = {}
        self._objects = objects
        self._images = images
        self._project = project
        self._stack = stack
        self._providers: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End all waiting; nothing new is begun."""
        self._objects.stop.set()

    def GetDeploymentInfo(self, _request: Request) -> Any:
        """Tell the SDK which optional parts of the protocol this monitor has: it is told what is secret."""
        return resource_pb2.DeploymentInfo(supportedFeatures=[resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS])

    def SignalAndWaitForShutdown(self, _request: Request) -> Any:
        """The program has ended well; deletions follow after it."""
        return empty_pb2.Empty()

    def RegisterResourceOutputs(self, request: Request) -> Any:
        """Keep the outputs of the stack."""
        if request.urn.split("::")[2] == _STACK:
            self.outputs = from_struct(request.outputs)
        return empty_pb2.Empty()

    def RegisterResource(self, request: Request) -> Any:
        """Bring one resource to what is declared and answer with what it then is."""
        urn = self._urn(request)
        if not request.custom and not request.remote:
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        identity, outputs = self._guarded(lambda: self._custom(request, urn))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=identity, object=to_struct(outputs))

    def Invoke(self, request: Request) -> Any:
        """Answer a look-up in a registry; others are refused, in a preview answered with nothing."""
        arguments = from_struct(request.args)

        def answer() -> dict[str, Any]:
            if request.tok == _LOOKUP:
                return self._images.lookup(str(arguments["name"]))
            if self._objects.preview:
                return {}
            raise UnsupportedError(_unsupported("calls", request.tok))

        return resource_pb2.ResourceInvokeResponse(**{"return": to_struct(self._guarded(answer))})

    def ReadResource(self, request: Request) -> Any:
        """Refuse to read a resource that the program does not declare itself."""
        return self._guarded(lambda: _refuse("reads", request.type))

    def Call(self, request: Request) -> Any:
        """Refuse a provider's method."""
        return self._guarded(lambda: _refuse("calls", request.tok))

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do one step unless another failed; keep its failure and stop all waiting."""
        if self._objects.stop.is_set():
            raise StoppedError("The update has stopped; nothing new is begun.")
        try:
            return work()
        except StoppedError:
            raise
        except LocalError as error:
            with self._lock:
                self.failures.append(error)
            self._objects.stop.set()
            raise
        except Exception:
            self._objects.stop.set()
            raise

    def _custom(self, request: Request, urn: str) -> tuple[str, dict[str, Any]]:
        inputs = from_struct(request.object)
        if request.type.startswith(_PROVIDER):
            return self._provider(request, urn, inputs)
        if request.type == _IMAGE:
            outputs = self._images.image(request.name, inputs)
            return request.name, outputs
        if request.type.startswith("kubernetes:") and request.custom and "kind" in inputs:
            return self._kubernetes(request, urn, inputs)
        self._objects.leave(request.type, request.name)
        return "", inputs

    def _provider(self, request: Request, urn: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._providers[f"{urn}::{request.name}"] = inputs
        return request.name, inputs

    def _kubernetes(self, request: Request, urn: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        provider = self._providers.get(request.provider, {})
        manifest = self._manifest(request, urn, inputs, namespace=str(provider.get("namespace") or "default"))
        metadata = manifest["metadata"]
        if not metadata.get("name") or has_unknown(metadata["name"]):
            raise UnsupportedError(
                f"{request.type} {request.name} has no metadata.name that is known when the program runs; "
                f"`python -m local` carries out objects with plain names alone."
            )
        timeouts = request.customTimeouts
        limits = [seconds_of(text) for text in (timeouts.create, timeouts.update) if text]
        live = self._objects.bring(
            Wanted(
                urn=urn,
                manifest=manifest,
                delete_before_replace=request.deleteBeforeReplace,
                timeout=max(limits, default=DEFAULT_TIMEOUT),
                ignored=tuple(request.ignoreChanges),
                folder=str(provider.get("renderYamlToDirectory") or ""),
                secret=holds_secret(request.object),
            )
        )
        shown = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
        return f"{metadata.get('namespace', '')}/{metadata['name']}".lstrip("/"), live | {"metadata": shown}

    def _manifest(self, request: Request, urn: str, inputs: dict[str, Any], *, namespace: str) -> Manifest:
        if any(_IGNORABLE.fullmatch(path) is None for path in request.ignoreChanges):
            raise UnsupportedError(
                f"{request.type} {request.name} uses ignore_changes, which `python -m local` does not carry "
                f"out; use `pulumi up` for this stack."
            )
        return self._objects.prepare(inputs, urn=urn, namespace=namespace)

    def _urn(self, request: Request) -> str:
        kind = request.type
        if request.parent:
            above = request.parent.split("::")[2]
            kind = f"{above}${kind}" if above != _STACK else kind
        return f"urn:pulumi:{self._stack}::{self._project}::{kind}::{request.name}"


class EngineLog:
    """Receives what the program logs."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def Log(self, request: Request) -> Any:
        """Print what is meant for a person; errors reach the report as failures of their own."""
        if request.severity == engine_pb2.INFO:
            self._report.step(".", request.message)
        elif request.severity in (engine_pb2.WARNING, engine_pb2.ERROR):
            self._report.failure(request.message)
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, _request: Request) -> Any:
        """Any version does: the protocol is the SDK's own."""
        return engine_pb2.RequirePulumiVersionResponse()


def _unsupported(verb: str, what: str) -> str:
    return (
        f"The program {verb} {what}, which `python -m local` does not carry out; "
        f"use Pulumi itself (`pulumi up`)."
    )


def _refuse(verb: str, what: str) -> Any:
    raise UnsupportedError(_unsupported(verb, what))

"""The metadata that every object carries."""

from collections.abc import Mapping
from typing import Any

from components.settings import Settings

# A part of an object in the words of Kubernetes: pulumi-kubernetes takes it, but types only its own spelling.
Manifest = Any


def stack_labels(settings: Settings, component: str) -> dict[str, str]:
    """The labels of an object of the stack; `component` is model-server, release or route."""
    return {
        "app.kubernetes.io/name": settings.name,
        "app.kubernetes.io/part-of": "tts",
        "app.kubernetes.io/component": component,
    }


def revision_labels(settings: Settings, revision: str, component: str) -> dict[str, str]:
    """The labels of an object that belongs to one revision."""
    return stack_labels(settings, component) | {
        "app.kubernetes.io/version": settings.entry.version,
        "tts/model": settings.entry.model,
        "tts/revision": revision,
    }


def object_metadata(
    settings: Settings,
    name: str,
    labels: Mapping[str, str],
    *,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """The metadata of a namespaced object. Empty annotations would be a lasting difference."""
    metadata = {"name": name, "namespace": settings.namespace, "labels": dict(labels)}
    return metadata | {"annotations": dict(annotations)} if annotations else metadata

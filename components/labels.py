"""The metadata that every object carries."""

from collections.abc import Mapping
from typing import Any

from components.catalog import ModelVersion
from components.settings import Settings

# A part of an object in the words of Kubernetes: pulumi-kubernetes takes it, but types only its own spelling.
Manifest = Any


def stack_labels(settings: Settings, component: str) -> dict[str, str]:
    """The labels of an object of the stack; `component` is model-server, release, route or network."""
    return {
        **member_labels(settings),
        "app.kubernetes.io/instance": settings.name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": "pulumi",
    }


def member_labels(settings: Settings) -> dict[str, str]:
    """What selects all that belongs to the stack: several may share a namespace."""
    return {"app.kubernetes.io/name": settings.name, "app.kubernetes.io/part-of": "tts"}


def revision_labels(settings: Settings, entry: ModelVersion, revision: str, component: str) -> dict[str, str]:
    """The labels of an object that belongs to one revision. Its role is none of them: roles change."""
    return stack_labels(settings, component) | {
        "app.kubernetes.io/version": entry.version,
        "tts/model": entry.model,
        "tts/revision": revision,
    }


def namespace_labels() -> dict[str, str]:
    """The labels of a namespace that the stack makes: no pod in it may have more rights than its own have.

    Enforced as of the version these pods were tried on, so that an upgrade of the cluster refuses nothing
    that ran; what a later version would refuse is warned of."""
    versions = {"enforce": "v1.36", "warn": "latest", "audit": "latest"}
    labels = {"app.kubernetes.io/part-of": "tts", "app.kubernetes.io/managed-by": "pulumi"}
    for mode, version in versions.items():
        labels[f"pod-security.kubernetes.io/{mode}"] = "restricted"
        labels[f"pod-security.kubernetes.io/{mode}-version"] = version
    return labels


def object_metadata(
    settings: Settings,
    name: str,
    labels: Mapping[str, str],
    *,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """The metadata of a namespaced object.

    What is declared wins over what somebody changed by hand: without the annotation the next update would
    stop at a conflict instead of mending it."""
    return {
        "name": name,
        "namespace": settings.namespace,
        "labels": dict(labels),
        "annotations": {"pulumi.com/patchForce": "true", **(annotations or {})},
    }

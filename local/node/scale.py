"""The scale of a Deployment: its number of replicas, which may be changed without the rest of it."""

from __future__ import annotations

from local.node.errors import bad_request
from local.node.store import Object


def scale_of(deployment: Object) -> Object:
    """The Scale that stands for a Deployment."""
    metadata = deployment["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = deployment["spec"]["selector"]["matchLabels"]
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": deployment["spec"]["replicas"]},
        "status": {
            "replicas": deployment.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        },
    }


def scale_change(body: Object) -> Object:
    """What a patch of a Scale changes of its Deployment, with its locks. Raises ApiError."""
    replicas = body.get("spec", {}).get("replicas") if isinstance(body.get("spec"), dict) else None
    if body.get("kind", "Scale") != "Scale" or not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request("A scale is patched with a Scale that names spec.replicas, a whole number.")
    locks = {
        key: value for key, value in body.get("metadata", {}).items() if key in ("resourceVersion", "uid")
    }
    return {"metadata": locks, "spec": {"replicas": replicas}}

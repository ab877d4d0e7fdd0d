"""The revision of a stack: which it is, how it is routed to, and what its release is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.identity import content_hash, image_inputs_hash, release_name, revision_name
from components.labels import revision_labels, stack_labels
from components.pod import CONTAINER_PORT, inference_config, pod_template
from components.settings import Settings

ISTIO = "networking.istio.io/v1"
RELEASE_DOCKERFILE = "release/Dockerfile"
_GATE_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Revision:
    """What one program run declares. `base_hash` and `release_image_hash` stand for the contents of the
    server base and of the release's own image."""

    name: str
    base_hash: str
    release_image_hash: str


def server_dockerfile(settings: Settings) -> str:
    """The Dockerfile of the engine's server base, relative to the checkout."""
    return f"serving/engines/{settings.entry.engine}/Dockerfile"


def build_args(settings: Settings) -> dict[str, str]:
    """What both base images are built with."""
    return {"PYTHON_IMAGE": settings.base_image}


def identify(settings: Settings, root: Path) -> Revision:
    """The revision that `settings` and the checkout at `root` stand for.

    Raises SourceError when a file that an image is built from is missing."""
    base = image_inputs_hash(root, server_dockerfile(settings), build_args(settings))
    inputs = {
        "entry": settings.entry.document,
        # A promoted image is what it is, whatever this checkout would build.
        "image": settings.image_digest or base,
        "pod": pod_template(settings, revision="", image=""),
        "config": inference_config(settings, ""),
    }
    return Revision(
        name=revision_name(settings.name, settings.entry.version, content_hash(inputs)),
        base_hash=base,
        release_image_hash=image_inputs_hash(root, RELEASE_DOCKERFILE, build_args(settings)),
    )


def service_host(settings: Settings, revision: str) -> str:
    """The name of a revision's Service inside the cluster."""
    return f"{revision}.{settings.namespace}.svc.cluster.local"


def virtual_service(settings: Settings, revision: str) -> dict[str, Any]:
    """The route once the release is over: all traffic to `revision`, its version also reachable by header."""
    version = settings.entry.version
    # No timeout: Istio's default is none, which a stream needs, and it refuses "0s" for it.
    destination = {"host": service_host(settings, revision), "port": {"number": 80}}
    return {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {
            "name": settings.name,
            "namespace": settings.namespace,
            "labels": stack_labels(settings, "route"),
            # The release moves the weights under a name of its own; this lets the next change take over.
            "annotations": {"pulumi.com/patchForce": "true"},
        },
        "spec": {
            "hosts": [settings.host],
            "gateways": [settings.gateway or f"{settings.namespace}/{settings.name}"],
            "http": [
                {
                    "name": f"pin-{version}",
                    "match": [{"headers": {"x-tts-version": {"exact": version}}}],
                    "route": [{"destination": destination}],
                },
                {
                    "name": "weighted",
                    "route": [{"destination": destination, "weight": 100}],
                },
            ],
        },
    }


def release_plan(settings: Settings, revision: Revision) -> dict[str, Any]:
    """What the release is told, its own name included; the name covers all the rest and its image."""
    plan = {
        "name": settings.name,
        "namespace": settings.namespace,
        "model": settings.entry.model,
        "target": {
            "revision": revision.name,
            "version": settings.entry.version,
            "replicas": settings.replicas,
            "containerPort": CONTAINER_PORT,
        },
        "route": virtual_service(settings, revision.name),
        "gateway": {"address": settings.gateway_address, "host": settings.host},
        "rollout": {
            "steps": list(settings.rollout.steps),
            "holdSeconds": settings.rollout.hold_seconds,
            "readySeconds": settings.rollout.ready_seconds,
        },
        "gate": _gate(settings),
    }
    hash6 = content_hash({"plan": plan, "image": revision.release_image_hash})
    return {"release": release_name(settings.name, hash6), **plan}


def release_labels(settings: Settings, revision: str, release: str) -> dict[str, str]:
    """The labels of the Job, its pods and its plan."""
    return revision_labels(settings, revision, "release") | {"tts/release": release}


def _gate(settings: Settings) -> dict[str, Any]:
    gate = settings.entry.gate
    rate, tolerance = gate.baseline_characters_per_second, gate.characters_per_second_tolerance
    return {
        "sampleRate": settings.entry.sample_rate,
        "texts": list(gate.texts),
        "required": list(gate.required),
        "charactersPerSecond": {
            "min": round(rate * (1 - tolerance), 2),
            "max": round(rate * (1 + tolerance), 2),
        },
        "rmsDbfs": {"min": gate.rms_dbfs_min, "max": gate.rms_dbfs_max},
        "timeoutSeconds": _GATE_TIMEOUT_SECONDS,
    }

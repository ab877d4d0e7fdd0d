"""The pod of a model server, as Kubernetes reads it; a pure function, which a revision's hash covers."""

from math import ceil
from typing import Any

from components.labels import revision_labels
from components.settings import Settings

CONTAINER_PORT = 8080
USER = 65532
"""The images' unprivileged user; by number, since the kubelet cannot tell whether a name is root."""

TERMINATION_LOG = "/dev/termination-log"

_PROBE_PERIOD_SECONDS = 1


def inference_config(settings: Settings, revision: str) -> dict[str, Any]:
    """What the server reads from /etc/tts/inference.json."""
    entry = settings.entry
    return {
        "model": entry.model,
        "version": entry.version,
        "revision": revision,
        "engine": entry.engine,
        "sampleRate": entry.sample_rate,
        "languages": list(entry.languages),
        "license": entry.license,
        "artifacts": [
            {"path": artifact.path, "size": artifact.size, "sha256": artifact.sha256}
            for artifact in entry.artifacts
        ],
        "slots": settings.slots,
    }


def pod_template(settings: Settings, *, revision: str, image: Any) -> dict[str, Any]:
    """The Deployment's pod template; `image` is a reference by digest, known or not yet."""
    return {
        "metadata": {"labels": revision_labels(settings, revision, "model-server")},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": settings.grace_seconds,
            "securityContext": pod_security(),
            **_placement(settings, revision),
            "containers": [_container(settings, image)],
            "volumes": [
                {"name": "config", "configMap": {"name": f"{revision}-inference-cfg"}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }


def pod_security() -> dict[str, Any]:
    """What the restricted Pod Security Standard asks of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """What the restricted Pod Security Standard asks of a container, and a read-only root file system."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _container(settings: Settings, image: Any) -> dict[str, Any]:
    ready = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": _PROBE_PERIOD_SECONDS}
    container: dict[str, Any] = {
        "name": "server",
        "image": image,
        "command": ["python", "-m", "serving"],
        # The server's defaults, said so that a platform that moves files sees which paths are meant.
        "env": [
            {"name": "TTS_CONFIG", "value": "/etc/tts/inference.json"},
            {"name": "TTS_MODEL_DIR", "value": "/model"},
            {"name": "TTS_TERMINATION_LOG", "value": TERMINATION_LOG},
        ],
        "ports": [{"name": "http", "containerPort": CONTAINER_PORT}],
        "resources": _resources(settings),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/tts", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the only place the server may write
        ],
        "startupProbe": {
            **ready,
            "timeoutSeconds": 2,
            "failureThreshold": ceil(settings.entry.load_budget_seconds / _PROBE_PERIOD_SECONDS),
        },
        "readinessProbe": {**ready, "timeoutSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }
    if settings.drain_seconds:
        # Endpoints are removed while the pod is told to stop: keep serving until the gateway has seen it.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": settings.drain_seconds}}}
    return container


def _resources(settings: Settings) -> dict[str, Any]:
    wanted = settings.resources
    # No limit on cpu: throttling would turn a busy second into broken audio.
    limits = {"memory": wanted.memory}
    if wanted.gpus:
        limits["nvidia.com/gpu"] = str(wanted.gpus)
    return {"requests": {"cpu": wanted.cpu, **limits}, "limits": limits}


def _placement(settings: Settings, revision: str) -> dict[str, Any]:
    placement: dict[str, Any] = {}
    selector = dict(settings.node_selector)
    if settings.node_group is not None:
        selector["tts/node-group"] = settings.name
    if selector:
        placement["nodeSelector"] = selector
    if settings.resources.gpus:
        placement["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    # A function of the pods' own labels alone: the number of replicas is no part of a revision.
    placement["topologySpreadConstraints"] = [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {"tts/revision": revision}},
        }
    ]
    return placement

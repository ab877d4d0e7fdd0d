"""The pod of a model server, as Kubernetes reads it; a pure function, which a revision's hash covers."""

from math import ceil
from typing import Any

from components import budgets
from components.catalog import ModelVersion
from components.labels import revision_labels
from components.settings import DEFAULT_LONGEST_ANSWER_SECONDS, Settings
from components.storage import (
    MODEL_DIR,
    artifact_config,
    ephemeral_storage,
    storage_config,
    storage_env,
    storage_mounts,
    storage_volumes,
)

CONTAINER_PORT = 8080
METRICS_PORT = 9464
"""Of the release and its guard; a server's metrics are on its one port."""

USER = 65532
"""The images' unprivileged user; by number, since the kubelet cannot tell whether a name is root."""

TERMINATION_LOG = "/dev/termination-log"

PULL_POLICY = "IfNotPresent"
"""Images are named by digest: what a node has is what was asked for, and it starts without its registry."""

_PROBE_PERIOD_SECONDS = 1
_TOLD = {"api-keys": "/etc/tts-keys", "versions": "/etc/tts-versions"}


def inference_config(settings: Settings, entry: ModelVersion, revision: str) -> dict[str, Any]:
    """What the server reads from /etc/tts/inference.json."""
    config: dict[str, Any] = {
        "model": entry.model,
        "version": entry.version,
        "revision": revision,
        "engine": entry.engine,
        **(
            {"sampleRate": entry.sample_rate, "languages": list(entry.languages)} if entry.sample_rate else {}
        ),
        "license": entry.license,
        "artifacts": [artifact_config(settings, entry, artifact) for artifact in entry.artifacts],
        "slots": settings.slots,
        **storage_config(settings, fetch_seconds=budgets.fetch_seconds(settings, entry)),
    }
    if settings.lexicon:
        config["lexicon"] = dict(sorted(settings.lexicon.items()))
    if settings.load_delay_seconds:
        config["loadDelaySeconds"] = settings.load_delay_seconds
    if settings.longest_answer_seconds != DEFAULT_LONGEST_ANSWER_SECONDS:
        config["longestAnswerSeconds"] = settings.longest_answer_seconds
    if settings.callers.log_texts:
        config["logTexts"] = True
    if entry.settings:
        config["settings"] = entry.settings
    if settings.callers.admission:
        config["admission"] = dict(settings.callers.admission)
    return config


def pod_template(settings: Settings, entry: ModelVersion, *, revision: str, image: Any) -> dict[str, Any]:
    """The Deployment's pod template; `image` is a reference by digest, known or not yet."""
    return {
        "metadata": {
            "labels": revision_labels(settings, entry, revision, "model-server"),
            "annotations": scraped(CONTAINER_PORT),
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": budgets.termination_grace(settings),
            **({"serviceAccountName": settings.service_account} if settings.service_account else {}),
            "securityContext": pod_security(),
            **_placement(settings, revision),
            "containers": [_container(settings, entry, image)],
            "volumes": [
                {"name": "config", "configMap": {"name": f"{revision}-inference-cfg"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": settings.resources.ephemeral_storage}},
                *storage_volumes(settings),
                *_told_volumes(settings),
            ],
        },
    }


def versions_config_map(settings: Settings) -> str:
    """The ConfigMap with the versions of the stack: of one name for all revisions, and a part of none."""
    return f"{settings.name}-versions"


def server_labels(revision: str) -> dict[str, str]:
    """What selects the servers of a revision; the pods of a release carry its name too."""
    return {"app.kubernetes.io/component": "model-server", "tts/revision": revision}


def scraped(port: int) -> dict[str, str]:
    """The annotations by which a Prometheus without operator finds the metrics of a pod."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port),
        "prometheus.io/path": "/metrics",
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


def _container(settings: Settings, entry: ModelVersion, image: Any) -> dict[str, Any]:
    ready = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": _PROBE_PERIOD_SECONDS}
    container: dict[str, Any] = {
        "name": "server",
        "image": image,
        "imagePullPolicy": PULL_POLICY,
        "command": ["python", "-m", "serving"],
        # The server's defaults, said so that a platform that moves files sees which paths are meant.
        "env": [
            {"name": "TTS_CONFIG", "value": "/etc/tts/inference.json"},
            {"name": "TTS_MODEL_DIR", "value": MODEL_DIR},
            {"name": "TTS_TERMINATION_LOG", "value": TERMINATION_LOG},
            *storage_env(settings),
            *_told_env(settings),
        ],
        "ports": [{"name": "http", "containerPort": CONTAINER_PORT}],
        "resources": _resources(settings, entry),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/tts", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the only place the server may write
            *storage_mounts(settings),
            *(
                {"name": volume["name"], "mountPath": _TOLD[volume["name"]], "readOnly": True}
                for volume in _told_volumes(settings)
            ),
        ],
        "startupProbe": {
            **ready,
            "timeoutSeconds": 2,
            "failureThreshold": ceil(budgets.startup_seconds(settings, entry) / _PROBE_PERIOD_SECONDS),
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


def _told_volumes(settings: Settings) -> list[dict[str, Any]]:
    """What a server is told while it runs; nothing where the stack asks for nothing."""
    volumes: list[dict[str, Any]] = []
    if settings.callers.api_keys is not None and settings.callers.api_keys.required:
        # The sha256 of the keys and nothing else of their Secret, which has the release's own key in clear.
        secret = {"secretName": settings.callers.api_keys.secret, "items": [{"key": "keys", "path": "keys"}]}
        volumes.append({"name": "api-keys", "secret": secret})
    if settings.callers.list_versions:
        config_map = {"name": versions_config_map(settings), "optional": True}
        volumes.append({"name": "versions", "configMap": config_map})
    return volumes


def _told_env(settings: Settings) -> list[dict[str, Any]]:
    files = {"api-keys": ("TTS_API_KEYS", "keys"), "versions": ("TTS_VERSIONS", "versions.json")}
    found = [(volume["name"], *files[volume["name"]]) for volume in _told_volumes(settings)]
    return [{"name": variable, "value": f"{_TOLD[name]}/{file}"} for name, variable, file in found]


def _resources(settings: Settings, entry: ModelVersion) -> dict[str, Any]:
    wanted = settings.resources
    memory = wanted.memory or entry.load_memory
    shared = {"ephemeral-storage": ephemeral_storage(settings, entry)}
    if wanted.gpus:
        shared["nvidia.com/gpu"] = str(wanted.gpus)
    return {
        "requests": {"cpu": wanted.cpu, "memory": memory, **shared},
        # No limit on cpu: throttling would turn a busy second into broken audio.
        "limits": {"memory": wanted.memory_limit or memory, **shared},
    }


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
            "topologyKey": key,
            # A pod on a node that is taken is better than none.
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": server_labels(revision)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
    return placement

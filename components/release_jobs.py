"""The two Jobs of a release as Kubernetes reads them: the one that walks the weights, and its guard."""

from typing import Any

from components.labels import Manifest
from components.pod import (
    METRICS_PORT,
    PULL_POLICY,
    TERMINATION_LOG,
    container_security,
    pod_security,
    scraped,
)
from components.settings import Settings

# Exit codes: a plan that cannot be read, a refusal, a newer release, too many tries.
_BAD_PLAN, _REFUSED, _SUPERSEDED, _GAVE_UP = 2, 42, 43, 44
_FINAL = [_BAD_PLAN, _REFUSED, _SUPERSEDED, _GAVE_UP]
_GUARD_RETRIES = 6
# The release runs a recogniser and a judge of quality; the guard only sends requests.
_RELEASE_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "384Mi", "ephemeral-storage": "256Mi"},
    "limits": {"memory": "768Mi", "ephemeral-storage": "256Mi"},
}
_GUARD_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "128Mi"},
    "limits": {"memory": "256Mi", "ephemeral-storage": "128Mi"},
}
_TEMPORARY_FILES = "64Mi"
_DISRUPTED = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def release_spec(settings: Settings, release: str, labels: dict[str, str], image: Any) -> Manifest:
    """The Job that judges the candidates and walks the weights. It fails at its first verdict, by its limit:
    pulumi-kubernetes would wait its whole time for a Job that a failure policy has ended. So what is no
    verdict does not count, and the release itself bounds its tries."""
    container = _container(settings, "release", ["python", "-m", "release", "run"], image)
    policy = [
        {"action": "Count", "onExitCodes": _codes("release", "In", _FINAL)},
        {"action": "Ignore", "onExitCodes": _codes("release", "NotIn", _FINAL)},
        _DISRUPTED,
    ]
    spec = _job(settings, release, labels, container | {"resources": _RELEASE_RESOURCES})
    return {"backoffLimit": 0, "podFailurePolicy": {"rules": policy}, **spec}


def guard_spec(settings: Settings, release: str, labels: dict[str, str], image: Any) -> Manifest:
    """The Job beside it: it counts what callers get, and restores the route when the other one is gone."""
    container = _container(settings, "guard", ["python", "-m", "release", "guard"], image)
    spec = _job(settings, release, labels, container | {"resources": _GUARD_RESOURCES})
    spec["template"]["spec"]["affinity"] = _apart_from(release)
    verdicts = _codes("guard", "In", [_REFUSED, _SUPERSEDED])
    policy = [{"action": "FailJob", "onExitCodes": verdicts}, _DISRUPTED]
    return {"backoffLimit": _GUARD_RETRIES, "podFailurePolicy": {"rules": policy}, **spec}


def standing_guard_spec(settings: Settings, release: str, labels: dict[str, str], image: Any) -> Manifest:
    """The guard under Argo CD, which waits for the end of each Job before it goes on, while a guard ends only
    after all else has: so it stands, as a Deployment, and does nothing more once it has counted."""
    spec = guard_spec(settings, release, labels, image)
    template = spec["template"]
    own = {"tts/guard": release}
    template["metadata"]["labels"] = {**labels, **own}
    template["spec"]["restartPolicy"] = "Always"
    template["spec"]["containers"][0]["env"].append({"name": "TTS_GUARD_STAYS", "value": "true"})
    return {
        "replicas": 1,
        "selector": {"matchLabels": own},
        "strategy": {"type": "Recreate"},
        "revisionHistoryLimit": 1,
        "template": template,
    }


def _apart_from(release: str) -> Manifest:
    """Rather on another node than the release, which comes later: a node that dies should not take both."""
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"batch.kubernetes.io/job-name": release}},
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _job(settings: Settings, release: str, labels: dict[str, str], container: dict[str, Any]) -> Manifest:
    return {
        # No deadline and no time to live: a release ends when the route is safe; its Job stays as proof.
        "template": {
            "metadata": {"labels": labels, "annotations": scraped(METRICS_PORT)},
            "spec": {
                "serviceAccountName": f"{settings.name}-release",
                # The account itself hands out none.
                "automountServiceAccountToken": True,
                "enableServiceLinks": False,
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 30,
                "securityContext": pod_security(),
                "containers": [container],
                "volumes": [
                    {"name": "plan", "configMap": {"name": f"{release}-plan"}},
                    # It knows the images only once they are built, and nobody waits for it.
                    {
                        "name": "provenance",
                        "configMap": {"name": f"{release}-provenance", "optional": True},
                    },
                    {"name": "tmp", "emptyDir": {"sizeLimit": _TEMPORARY_FILES}},
                ],
            },
        },
    }


def _codes(container: str, operator: str, values: list[int]) -> Manifest:
    return {"containerName": container, "operator": operator, "values": values}


def _container(settings: Settings, name: str, command: list[str], image: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": PULL_POLICY,
        "command": command,
        "env": _environment(settings),
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": "plan", "mountPath": "/etc/tts-release", "readOnly": True},
            {"name": "provenance", "mountPath": "/etc/tts-provenance", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the only place it may write
        ],
    }


def _environment(settings: Settings) -> list[dict[str, Any]]:
    values = {
        "TTS_PLAN": "/etc/tts-release/plan.json",
        "TTS_PROVENANCE": "/etc/tts-provenance/provenance.json",
        "TTS_TERMINATION_LOG": TERMINATION_LOG,
        "TTS_METRICS_PORT": str(METRICS_PORT),
    }
    variables: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in values.items()]
    if settings.webhook_secret:
        # Optional: a release must not fail for want of somebody to tell.
        reference = {"name": settings.webhook_secret, "key": "url", "optional": True}
        variables.append({"name": "TTS_WEBHOOK_URL", "valueFrom": {"secretKeyRef": reference}})
    if settings.callers.api_keys:
        # Optional, so that the release itself can say at once what is missing.
        reference = {"name": settings.callers.api_keys.secret, "key": "probe", "optional": True}
        variables.append({"name": "TTS_API_KEY", "valueFrom": {"secretKeyRef": reference}})
    return variables

"""What the embedded node does with each kind and field: carried out, accepted without effect, or refused.

Three lists. A field is written as its path with `[]` for "each item"; it stands for everything below it too.
A field in none of the lists is refused: the node never drops what somebody declared without saying so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local.node.fields import SERVER_METADATA
from local.node.values import CLUSTER, VALUES

POD = "spec.template."
CONTAINER = POD + "spec.containers[]."
EVERYWHERE = tuple(
    f"metadata.{field}"
    for field in ("name", "generateName", "namespace", "labels", "annotations", "ownerReferences")
)
PROBES = tuple(
    f"{CONTAINER}{probe}.{field}"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    for field in [
        *("httpGet.path", "httpGet.port", "httpGet.httpHeaders", "httpGet.scheme", "tcpSocket.port"),
        *("exec.command", "initialDelaySeconds", "periodSeconds", "timeoutSeconds"),
        *("failureThreshold", "successThreshold"),
    ]
)
POD_FIELDS = (
    *(POD + field for field in ("metadata.labels", "metadata.annotations")),
    *(
        f"{POD}spec.{field}"
        for field in [
            "serviceAccountName",
            "automountServiceAccountToken",
            "terminationGracePeriodSeconds",
            "restartPolicy",
            "volumes[].name",
            "volumes[].configMap.name",
            "volumes[].configMap.items",
            "volumes[].configMap.optional",
            "volumes[].configMap.defaultMode",
            "volumes[].emptyDir",
            "volumes[].persistentVolumeClaim.claimName",
            *(f"volumes[].secret.{field}" for field in ("secretName", "items", "optional", "defaultMode")),
        ]
    ),
    *(
        CONTAINER + field
        for field in [
            "name",
            "image",
            "command",
            "args",
            "workingDir",
            "env[].name",
            "env[].value",
            "env[].valueFrom.fieldRef",
            "env[].valueFrom.configMapKeyRef",
            "env[].valueFrom.secretKeyRef",
            "ports[].name",
            "ports[].containerPort",
            "ports[].protocol",
            "volumeMounts[].name",
            "volumeMounts[].mountPath",
            "volumeMounts[].readOnly",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "resources.limits.memory",
            "lifecycle.preStop.sleep",
            "lifecycle.preStop.exec",
        ]
    ),
    *PROBES,
)

CARRIED_OUT: dict[str, tuple[str, ...]] = {
    "Namespace": (),
    "ConfigMap": ("data", "immutable"),
    "Lease": ("spec",),
    "Event": (
        *("involvedObject", "related", "reason", "message", "type", "action", "source"),
        *("count", "series", "firstTimestamp", "lastTimestamp", "eventTime"),
        *("reportingComponent", "reportingInstance"),
    ),
    "Service": (
        "spec.selector",
        "spec.type",
        *(f"spec.ports[].{f}" for f in ("name", "port", "targetPort", "protocol")),
    ),
    "Deployment": (
        *("spec.replicas", "spec.selector.matchLabels"),
        *("spec.minReadySeconds", "spec.progressDeadlineSeconds"),
        *POD_FIELDS,
    ),
    "Job": (
        *("spec.backoffLimit", "spec.activeDeadlineSeconds", "spec.completions", "spec.parallelism"),
        *("spec.podFailurePolicy.rules[].action", "spec.podFailurePolicy.rules[].onExitCodes"),
        *POD_FIELDS,
    ),
    "Gateway": (*("spec.selector.istio", "spec.servers[].hosts", "spec.servers[].port"),),
    "VirtualService": (
        *("spec.hosts", "spec.gateways", "spec.http[].name", "spec.http[].timeout"),
        *("spec.http[].match[].name", "spec.http[].match[].headers", "spec.http[].match[].uri"),
        *("spec.http[].route[].destination.host", "spec.http[].route[].destination.port.number"),
        *("spec.http[].route[].weight", "spec.http[].mirror.host", "spec.http[].mirror.port.number"),
        *(
            "spec.http[].mirrorPercentage.value",
            "spec.http[].retries.attempts",
            "spec.http[].retries.perTryTimeout",
        ),
        *("spec.http[].retries.retryOn", "spec.http[].headers.request.set"),
    ),
}

ONE_MACHINE = "everything runs on this one machine"
ONE_USER = "every process runs as you, with your rights"
POD_WITHOUT_EFFECT = {
    f"{POD}spec.securityContext": ONE_USER,
    f"{CONTAINER}securityContext": ONE_USER,
    f"{CONTAINER}resources.requests": "nothing is scheduled",
    f"{CONTAINER}resources.limits.cpu": "processes share the machine's cores",
    f"{CONTAINER}resources.limits.ephemeral-storage": "files count against the machine's disk alone",
    f"{POD}spec.volumes[].emptyDir.sizeLimit": "files count against the machine's disk alone",
    f"{CONTAINER}imagePullPolicy": "images are folders of this machine",
    f"{POD}spec.imagePullSecrets": "images are folders of this machine",
    **{
        f"{POD}spec.{field}": ONE_MACHINE
        for field in [
            "nodeSelector",
            "tolerations",
            "affinity",
            "topologySpreadConstraints",
            "priorityClassName",
            "schedulerName",
            "dnsPolicy",
            "enableServiceLinks",
        ]
    },
}
WITHOUT_EFFECT: dict[str, dict[str, str]] = {
    "ServiceAccount": {"": "a pod with a service account may do everything in the node's API"},
    "Role": {"": "a pod with a service account may do everything in the node's API"},
    "RoleBinding": {"": "a pod with a service account may do everything in the node's API"},
    "NetworkPolicy": {"": "all processes of this machine reach one another"},
    "PodDisruptionBudget": {"": "the node evicts no pods"},
    "HorizontalPodAutoscaler": {"": "the number of replicas changes with a release alone"},
    "DestinationRule": {"": "the gateway ejects no servers and keeps time-outs of its own"},
    "ServiceMonitor": {"": "there is no Prometheus here"},
    "PodMonitor": {"": "there is no Prometheus here"},
    "PrometheusRule": {"": "there is no Prometheus here"},
    "AlertmanagerConfig": {"": "there is no Alertmanager here"},
    "Service": {
        "spec.clusterIP": "a Service is known to the gateway alone and has no address of its own",
        "spec.publishNotReadyAddresses": "the gateway sends requests to ready pods alone",
        "spec.sessionAffinity": "requests are spread evenly",
        "spec.ports[].appProtocol": "the gateway speaks HTTP/1.1",
    },
    "Deployment": {
        "spec.strategy": "pods of a changed template replace the old ones one by one, each ready first",
        "spec.revisionHistoryLimit": "no history is kept",
        **POD_WITHOUT_EFFECT,
    },
    "Job": {
        "spec.completionMode": "a Job runs one pod at a time",
        "spec.podReplacementPolicy": "a pod is replaced once it has ended",
        "spec.podFailurePolicy.rules[].onPodConditions": "pods are never disrupted here",
        **POD_WITHOUT_EFFECT,
    },
    "VirtualService": {"spec.exportTo": "there is no mesh, only a gateway"},
}

NO_GPU = "this machine offers no GPU to pods; use a cluster or a CPU engine"
POD_REFUSED = {
    f"{CONTAINER}resources.limits.nvidia.com/gpu": NO_GPU,
    f"{CONTAINER}resources.requests.nvidia.com/gpu": NO_GPU,
    f"{POD}spec.hostNetwork": "a pod is on the machine's network already, at an address of its own",
    f"{POD}spec.hostPID": f"processes are not kept apart; {CLUSTER}",
    f"{POD}spec.hostIPC": f"processes are not kept apart; {CLUSTER}",
    f"{POD}spec.initContainers": f"a pod is one process; {CLUSTER}",
    f"{POD}spec.ephemeralContainers": f"a pod is one process; {CLUSTER}",
    **{
        f"{POD}spec.volumes[].{volume}": f"only configMap, secret, emptyDir and claims exist; {CLUSTER}"
        for volume in [
            "hostPath",
            "csi",
            "nfs",
            "projected",
            "downwardAPI",
            "ephemeral",
        ]
    },
    f"{CONTAINER}envFrom": "name each variable in env",
}
REFUSED_KINDS = {
    "StatefulSet": f"only Deployments and Jobs run here; {CLUSTER}",
    "DaemonSet": f"only Deployments and Jobs run here; {CLUSTER}",
    "ReplicaSet": "declare a Deployment",
    "Pod": "declare a Deployment or a Job",
    "CronJob": f"only Deployments and Jobs run here; {CLUSTER}",
    "Secret": "a secret is a folder here, secrets/<namespace>/<name> below .tts, with a file for each entry",
    "PersistentVolumeClaim": "a claim is a folder here, made when a pod first names it",
    "Ingress": "declare a Gateway and a VirtualService",
}
REFUSED: dict[str, dict[str, str]] = {
    "Service": {
        "spec.externalName": "only a selector names pods",
        "spec.ports[].nodePort": "the gateway is the way in",
    },
    "Deployment": POD_REFUSED,
    "Job": {
        "spec.ttlSecondsAfterFinished": "a finished Job stays until it is deleted; its verdict can be read",
        "spec.suspend": "a Job runs from the moment it is declared",
        **POD_REFUSED,
    },
    "Gateway": {"spec.servers[].tls": f"the gateway of this machine speaks plain HTTP; {CLUSTER}"},
    "VirtualService": {
        "spec.tcp": "the gateway routes HTTP alone",
        "spec.tls": "the gateway routes HTTP alone",
        "spec.http[].fault": f"faults are not injected; {CLUSTER}",
        "spec.http[].redirect": f"only routes to Services are carried out; {CLUSTER}",
        "spec.http[].rewrite": f"only routes to Services are carried out; {CLUSTER}",
        "spec.http[].route[].destination.subset": "route to a Service per revision",
    },
}


def refusals(manifest: dict[str, Any]) -> list[str]:
    """A sentence for each kind, field or value of a manifest that the node refuses; empty: it is accepted."""
    kind = manifest.get("kind", "")
    if kind in REFUSED_KINDS:
        return [f"{kind} is not carried out by the embedded platform: {REFUSED_KINDS[kind]}."]
    if kind not in CARRIED_OUT and kind not in WITHOUT_EFFECT:
        return [f"{kind} is not a kind that the embedded platform knows; {CLUSTER}."]
    sentences = []
    for path in dict.fromkeys(_paths(_declared(manifest))):
        reason = _reason(path, REFUSED.get(kind, {}))
        if reason:
            sentences.append(f"{path} is refused by the embedded platform: {reason}.")
        elif not _known(kind, path):
            sentences.append(
                f"{path} is not a field that the embedded platform knows for a {kind};"
                " remove it or use a cluster."
            )
    return sentences + [
        sentence for check in VALUES.get(kind, ()) for sentence in check(manifest.get("spec", {}))
    ]


def without_effect(manifest: dict[str, Any]) -> list[str]:
    """One sentence for each accepted field of a manifest (or for its whole kind) that has no effect here."""
    kind = manifest.get("kind", "")
    listed = WITHOUT_EFFECT.get(kind, {})
    if "" in listed:
        return [f"{kind} has no effect here: {listed['']}."]
    present = list(_paths(_declared(manifest)))
    return [
        f"{kind} {field} has no effect here: {reason}."
        for field, reason in listed.items()
        if any(_below(path, field) for path in present)
    ]


def _declared(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        key: value for key, value in manifest.get("metadata", {}).items() if key not in SERVER_METADATA
    }
    rest = {
        key: value
        for key, value in manifest.items()
        if key not in {"apiVersion", "kind", "status", "metadata"}
    }
    return {"metadata": metadata, **rest}


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _paths(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, f"{path}[]")
    elif value is not None and value != {}:
        yield path


def _below(path: str, field: str) -> bool:
    return path == field or path.startswith((f"{field}.", f"{field}["))


def _reason(path: str, fields: dict[str, str]) -> str | None:
    return next((reason for field, reason in fields.items() if _below(path, field)), None)


def _known(kind: str, path: str) -> bool:
    listed = WITHOUT_EFFECT.get(kind, {})
    fields = (*EVERYWHERE, *CARRIED_OUT.get(kind, ()), *listed)
    return "" in listed or any(_below(path, field) for field in fields)

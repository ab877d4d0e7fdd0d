"""The restricted Pod Security Standard, told before a cluster is asked; and namespaces that enforce it."""

from collections.abc import Iterable, Mapping
from typing import Any

from policy.declared import (
    UNKNOWN,
    Config,
    Declared,
    Pod,
    Rule,
    at,
    containers,
    items,
    listed,
    mapping,
    number,
    pods,
)

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_CAPABILITIES = ["NET_BIND_SERVICE"]
_PROFILES = ("RuntimeDefault", "Localhost")
# A device plugin speaks to its node's kubelet, by a folder of the node.
_OPTIONS = {"exempt": {"type": "array", "items": {"type": "string"}, "default": ["kube-system/DaemonSet"]}}
_ENFORCE = "pod-security.kubernetes.io/enforce"


def _unrestricted(declared: Declared, config: Config) -> Iterable[str]:
    if f"{at(declared.properties, 'metadata', 'namespace')}/{declared.kind}" in config["exempt"]:
        return
    for pod in pods(declared):
        yield from _of_pod(pod)
        for path, container in containers(pod):
            yield from _of_container(path, container, pod)


def _of_pod(pod: Pod) -> Iterable[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key):
            yield f"{pod.path}.{key} is true: a pod must not share what is its node's. Leave it out."
    for volume in items(pod.spec.get("volumes")):
        for kind in sorted(volume.keys() - {"name"} - _VOLUMES):
            yield (
                f"{pod.path}.volumes[{volume.get('name')}] is a {kind}: it reaches beyond the pod. "
                "Take a PersistentVolumeClaim."
            )
    if at(pod.spec, "securityContext", "sysctls"):
        yield f"{pod.path}.securityContext.sysctls changes the node's kernel: leave it out."


def _of_container(path: str, container: Mapping[str, Any], pod: Pod) -> Iterable[str]:
    own = mapping(container.get("securityContext"))
    yield from _own_rights(f"{path}.securityContext", own)
    yield from _user(f"{path}.securityContext", {**mapping(pod.spec.get("securityContext")), **own})
    for port in items(container.get("ports")):
        if port.get("hostPort"):
            yield f"{path}.ports has the hostPort {port['hostPort']:g}: take a Service."


def _own_rights(path: str, security: Mapping[str, Any]) -> Iterable[str]:
    """What each container says for itself."""
    if security.get("privileged"):
        yield f"{path}.privileged is true: such a container is its node's root. Leave it out."
    if security.get("allowPrivilegeEscalation") not in (False, UNKNOWN):
        yield f"{path}.allowPrivilegeEscalation is not false: write it."
    if security.get("readOnlyRootFilesystem") not in (True, UNKNOWN):
        yield f"{path}.readOnlyRootFilesystem is not true: write it, and mount an emptyDir to write to."
    if "ALL" not in listed(at(security, "capabilities", "drop")):
        yield f"{path}.capabilities.drop does not hold ALL: write [ALL]."
    for added in listed(at(security, "capabilities", "add")):
        if added not in _CAPABILITIES:
            yield f"{path}.capabilities.add holds {added}: leave it out."


def _user(path: str, security: Mapping[str, Any]) -> Iterable[str]:
    """What a container says for itself or its pod says for all."""
    if security.get("runAsNonRoot") not in (True, UNKNOWN):
        yield f"{path}.runAsNonRoot is not true, here or for the pod: write it."
    if number(security.get("runAsUser")) == 0:
        yield f"{path}.runAsUser is 0, which is root: name another user by its number."
    profile = at(security, "seccompProfile", "type")
    if profile is not UNKNOWN and profile not in _PROFILES:
        yield f"{path}.seccompProfile.type is {profile}: write RuntimeDefault, here or for the pod."


def _open_namespaces(declared: Declared, _: Config) -> Iterable[str]:
    if declared.kind != "Namespace":
        return
    level = at(declared.properties, "metadata", "labels", _ENFORCE)
    if level is not UNKNOWN and level != "restricted":
        yield (
            f'metadata.labels["{_ENFORCE}"] is {level or "missing"}: write restricted, so that the cluster '
            "refuses whatever this pack does not see."
        )


RULES = (
    Rule(
        "restricted-pods",
        "Pods meet the restricted Pod Security Standard, with a read-only root.",
        _unrestricted,
        _OPTIONS,
    ),
    Rule("restricted-namespaces", "Namespaces admit restricted pods alone.", _open_namespaces),
)

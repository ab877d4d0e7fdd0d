"""NVIDIA's device plugin on a stack's own nodes, where their machine image has none."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps.v1 import DaemonSet

from components.labels import Manifest, member_labels, stack_labels
from components.settings import Settings

NAMESPACE = "kube-system"
"""Pods of its priority class are admitted there, and pods that are not restricted."""

_SOCKETS = "/var/lib/kubelet/device-plugins"


@dataclass(frozen=True)
class DevicePluginArgs:
    """`image` by digest; `node_label` is the label and its value that the nodes are known by."""

    settings: Settings
    image: str
    node_label: tuple[str, str]
    after: Sequence[pulumi.Resource] = ()


class DevicePlugin(pulumi.ComponentResource):
    """Tells Kubernetes of the GPUs of the stack's nodes. It alone of all pods here reaches into its node: the
    kubelet's folder of sockets, and, as root in it, nothing else."""

    daemon_set: DaemonSet

    def __init__(self, name: str, args: DevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tts:nodes:DevicePlugin", name, None, opts)
        labels = stack_labels(args.settings, "device-plugin")
        selected = {**member_labels(args.settings), "app.kubernetes.io/component": "device-plugin"}
        self.daemon_set = DaemonSet(
            name,
            metadata=_metadata(name, labels),
            spec=_spec(args, labels, selected),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        self.register_outputs({})


def _metadata(name: str, labels: dict[str, str]) -> Manifest:
    forced = {"pulumi.com/patchForce": "true"}
    return {"name": name, "namespace": NAMESPACE, "labels": labels, "annotations": forced}


def _spec(args: DevicePluginArgs, labels: dict[str, str], selected: dict[str, str]) -> Manifest:
    template = {"metadata": {"labels": labels}, "spec": _pod(args)}
    return {"selector": {"matchLabels": selected}, "template": template}


def _pod(args: DevicePluginArgs) -> Manifest:
    key, value = args.node_label
    container = {
        "name": "device-plugin",
        "image": args.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "sockets", "mountPath": _SOCKETS}],
    }
    return {
        "automountServiceAccountToken": False,
        "priorityClassName": "system-node-critical",
        "nodeSelector": {key: value},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "sockets", "hostPath": {"path": _SOCKETS, "type": "Directory"}}],
    }

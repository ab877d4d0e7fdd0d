"""The Kubernetes kinds a stack may declare, in the order in which they are installed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.engine.errors import UnsupportedError


@dataclass(frozen=True)
class Kind:
    """One kind of object and where its collection lies in the Kubernetes API."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the path of one object, of a namespace's collection, or of the whole collection."""
        root = "/api" if "/" not in self.api_version else "/apis"
        parts = [root, self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
POD = Kind("v1", "Pod", "pods")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
JOB = Kind("batch/v1", "Job", "jobs")
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
SERVICE = Kind("v1", "Service", "services")
VIRTUAL_SERVICE = Kind("networking.istio.io/v1", "VirtualService", "virtualservices")

# Deletion walks this order backwards: the route goes first, the namespace last.
INSTALL_ORDER: tuple[Kind, ...] = (
    NAMESPACE,
    Kind("v1", "ResourceQuota", "resourcequotas"),
    Kind("v1", "LimitRange", "limitranges"),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Kind("v1", "ServiceAccount", "serviceaccounts"),
    Kind("v1", "Secret", "secrets"),
    CONFIG_MAP,
    Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles"),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    SERVICE,
    Kind("networking.istio.io/v1", "Gateway", "gateways"),
    Kind("networking.istio.io/v1", "DestinationRule", "destinationrules"),
    DEPLOYMENT,
    Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors"),
    Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
    Kind("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"),
    Kind("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig", "alertmanagerconfigs"),
    JOB,
    VIRTUAL_SERVICE,
)

# Whose deletion is that of other objects too: replica sets and pods, endpoint slices.
OWNERS = frozenset({DEPLOYMENT, JOB, SERVICE})

# Leases and events are made by release Jobs, not declared; `down` removes them all the same.
_BY_NAME = {(kind.api_version, kind.name): kind for kind in (*INSTALL_ORDER, LEASE, EVENT)}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Return the kind of a manifest.

    Raises:
        UnsupportedError: the kind is none of those a stack may declare.
    """
    api_version, name = manifest.get("apiVersion"), manifest.get("kind")
    kind = _BY_NAME.get((str(api_version), str(name)))
    if kind is None:
        raise UnsupportedError(
            f"The program declares a {name} of {api_version}, which `python -m local` does not carry out; "
            f"use Pulumi itself (`pulumi up`) for this stack."
        )
    return kind


@dataclass(frozen=True)
class Address:
    """Which object: its kind, its namespace (empty for cluster-wide kinds) and its name."""

    kind: Kind
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any], *, default_namespace: str = "default") -> Address:
        """Return the address of a manifest that has a name."""
        kind = kind_of(manifest)
        metadata = manifest.get("metadata", {})
        namespace = str(metadata.get("namespace") or default_namespace) if kind.namespaced else ""
        return cls(kind, namespace, str(metadata.get("name", "")))

    def __str__(self) -> str:
        return f"{self.kind.name} {self.name}"

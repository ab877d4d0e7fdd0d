"""The kinds the API server knows: how each is called in a path and where it lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind; `versions` are those it can be asked for in, the first is the preferred one."""

    group: str
    versions: tuple[str, ...]
    name: str
    plural: str
    namespaced: bool = True

    @property
    def resource(self) -> str:
        """`deployments.apps`, as Kubernetes writes it in messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version


KINDS = (
    Kind("", ("v1",), "Namespace", "namespaces", namespaced=False),
    Kind("", ("v1",), "ConfigMap", "configmaps"),
    Kind("", ("v1",), "Service", "services"),
    Kind("", ("v1",), "ServiceAccount", "serviceaccounts"),
    Kind("", ("v1",), "Pod", "pods"),
    Kind("", ("v1",), "Event", "events"),
    Kind("apps", ("v1",), "Deployment", "deployments"),
    Kind("batch", ("v1",), "Job", "jobs"),
    Kind("coordination.k8s.io", ("v1",), "Lease", "leases"),
    Kind("policy", ("v1",), "PodDisruptionBudget", "poddisruptionbudgets"),
    Kind("autoscaling", ("v2",), "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    Kind("networking.k8s.io", ("v1",), "NetworkPolicy", "networkpolicies"),
    Kind("rbac.authorization.k8s.io", ("v1",), "Role", "roles"),
    Kind("rbac.authorization.k8s.io", ("v1",), "RoleBinding", "rolebindings"),
    Kind("networking.istio.io", ("v1", "v1beta1"), "Gateway", "gateways"),
    Kind("networking.istio.io", ("v1", "v1beta1"), "VirtualService", "virtualservices"),
    Kind("networking.istio.io", ("v1", "v1beta1"), "DestinationRule", "destinationrules"),
    Kind("monitoring.coreos.com", ("v1",), "ServiceMonitor", "servicemonitors"),
    Kind("monitoring.coreos.com", ("v1",), "PodMonitor", "podmonitors"),
    Kind("monitoring.coreos.com", ("v1",), "PrometheusRule", "prometheusrules"),
    Kind("monitoring.coreos.com", ("v1alpha1",), "AlertmanagerConfig", "alertmanagerconfigs"),
)

BY_NAME = {kind.name: kind for kind in KINDS}
BY_PATH = {(kind.group, version, kind.plural): kind for kind in KINDS for version in kind.versions}

"""A client of the node under test, and the manifests its tests declare."""

from __future__ import annotations

import json
from typing import Any

import requests

from local.home import Home
from local.node import state

GROUPS = {
    "Deployment": "apps/v1/deployments",
    "Job": "batch/v1/jobs",
    "Lease": "coordination.k8s.io/v1/leases",
}
ISTIO = "networking.istio.io/v1"
GROUPS |= {"VirtualService": f"{ISTIO}/virtualservices", "Gateway": f"{ISTIO}/gateways"}
GROUPS |= {"NetworkPolicy": "networking.k8s.io/v1/networkpolicies"}
CORE = {"ConfigMap": "configmaps", "Service": "services", "Pod": "pods", "Event": "events"}


class Client:
    """Speaks to the API of one home, in one namespace."""

    def __init__(self, home: Home, namespace: str = "default") -> None:
        port, token = state.credentials(home) or (0, "")
        self.home, self.namespace = home, namespace
        self.base = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def url(self, kind: str, name: str = "") -> str:
        if kind == "Namespace":
            return f"{self.base}/api/v1/namespaces/{name}"
        group, _, plural = (
            f"/apis/{GROUPS[kind]}".rpartition("/") if kind in GROUPS else ("/api/v1", "", CORE[kind])
        )
        return f"{self.base}{group}/namespaces/{self.namespace}/{plural}/{name}".rstrip("/")

    def apply(self, manifest: dict[str, Any], manager: str = "tests", **query: str) -> requests.Response:
        return self.session.patch(
            self.url(manifest["kind"], manifest["metadata"]["name"]),
            data=json.dumps(manifest),
            params={"fieldManager": manager, **query},
            headers={"content-type": "application/apply-patch+yaml"},
        )

    def declare(self, *manifests: dict[str, Any]) -> None:
        for manifest in manifests:
            answer = self.apply(manifest, force="true")
            assert answer.ok, answer.text

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.session.get(self.url(kind, name)).json()

    def gone(self, kind: str, name: str) -> bool:
        return self.session.get(self.url(kind, name)).status_code == 404

    def delete(self, kind: str, name: str, policy: str = "Foreground") -> None:
        answer = self.session.delete(self.url(kind, name), params={"propagationPolicy": policy})
        assert answer.ok, answer.text

    def pods(self, label: str) -> list[dict[str, Any]]:
        return self.session.get(self.url("Pod"), params={"labelSelector": label}).json()["items"]

    def condition(self, kind: str, name: str, type_: str) -> dict[str, Any]:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((item for item in conditions if item["type"] == type_), {})

    def available(self, name: str) -> bool:
        status = self.get("Deployment", name).get("status", {})
        return status.get("availableReplicas", 0) == status.get("replicas", -1) > 0


def config_map(name: str, data: dict[str, str], **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data, **fields}


def pod_template(name: str, env: dict[str, str], **container: Any) -> dict[str, Any]:
    variables = [{"name": key, "value": value} for key, value in env.items()]
    variables.append({"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    main = {"name": "main", "image": "app:1", "env": variables, **container}
    main.setdefault("ports", [{"name": "http", "containerPort": 8080}])
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [main]}}


def deployment(
    name: str, env: dict[str, str] | None = None, replicas: int = 1, **container: Any
) -> dict[str, Any]:
    template = pod_template(name, {"VERSION": name, **(env or {})}, **container)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def ready_probe(path: str = "/readyz") -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}, "periodSeconds": 1}


def job(name: str, env: dict[str, str], **spec: Any) -> dict[str, Any]:
    template = pod_template(name, env, args=["/dev/termination-log"])
    template["spec"]["restartPolicy"] = "Never"
    body = {"template": template, **spec}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def service(name: str) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def gateway() -> dict[str, Any]:
    servers = [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}]
    spec = {"selector": {"istio": "ingressgateway"}, "servers": servers}
    return {"apiVersion": ISTIO, "kind": "Gateway", "metadata": {"name": "gw"}, "spec": spec}


def destination(name: str) -> dict[str, Any]:
    return {"host": f"{name}.default.svc.cluster.local", "port": {"number": 80}}


def route(name: str, host: str, weights: dict[str, int], pins: tuple[str, ...] = ()) -> dict[str, Any]:
    http: list[dict[str, Any]] = [
        {
            "name": f"pin-{pin}",
            "match": [{"headers": {"x-tts-version": {"exact": pin}}}],
            "route": [{"destination": destination(pin)}],
        }
        for pin in pins
    ]
    weighted = [{"destination": destination(to), "weight": weight} for to, weight in weights.items()]
    http.append({"name": "weighted", "route": weighted})
    spec = {"hosts": [host], "gateways": ["gw"], "http": http}
    return {"apiVersion": ISTIO, "kind": "VirtualService", "metadata": {"name": name}, "spec": spec}

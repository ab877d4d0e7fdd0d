"""A stack on a real Kubernetes with Istio: a copy of the checkout and a namespace of its own.

From the environment: KUBECONFIG; TTS_REGISTRY, where images are pushed and pulled; TTS_GATEWAY_URL, where
this machine reaches Istio's ingress gateway; and, where they differ from the defaults below,
TTS_GATEWAY_ADDRESS (the gateway seen from inside the cluster), TTS_BASE_IMAGE (an image with Python 3.11 and
pip), TTS_BUILDER and TTS_BUILD_ARGS.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from local.images.pushed import PushedImages
from local.images.values import ImageBuild
from tests.e2e.conftest import Platform, make_platform

GATEWAY_ADDRESS = "http://istio-ingressgateway.istio-system.svc.cluster.local"
NEEDED = ("KUBECONFIG", "TTS_REGISTRY", "TTS_GATEWAY_URL")
NAME = "hibari"
ALL_KINDS = (
    "deployments,replicasets,pods,services,endpointslices,configmaps,jobs,leases,serviceaccounts,roles,rolebindings,"
    "poddisruptionbudgets,networkpolicies,horizontalpodautoscalers,virtualservices.networking.istio.io,"
    "gateways.networking.istio.io,"
    "destinationrules.networking.istio.io"
)
# What Kubernetes and Istio put into each namespace.
OF_KUBERNETES = {"serviceaccount/default", "configmap/kube-root-ca.crt"}
OF_ISTIO = {"configmap/istio-ca-root-cert", "configmap/istio-ca-crl"}
# `RUN` in both images names `python`, which a bare Debian does not have.
BASE = """\
ARG SOURCE_DATE_EPOCH
FROM {base}
RUN command -v python || ln -s "$(command -v python3)" /usr/local/bin/python
"""


def kubectl(*words: str, given: str | None = None) -> str:
    """What kubectl prints; an error fails the test with kubectl's own words."""
    done = subprocess.run(
        ["kubectl", *words], input=given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


def node_address() -> str:
    """Where pods reach what listens on the machine of the cluster's node, which these tests run on."""
    nodes = json.loads(kubectl("get", "nodes", "--output", "json"))["items"]
    addresses = nodes[0]["status"]["addresses"]
    return str(next(each["address"] for each in addresses if each["type"] == "InternalIP"))


@dataclass
class ClusterPlatform(Platform):
    """A Platform whose stack is on the cluster, in `namespace`, and answers to the name `host`."""

    namespace: str = ""
    gateway_url: str = ""
    host: str = ""
    kubeconfig: str = field(default_factory=lambda: os.environ["KUBECONFIG"])

    @property
    def url(self) -> str:
        return self.gateway_url or super().url

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen[str]:
        command, *rest = words
        return super().start(command, "--kubeconfig", self.kubeconfig, *rest, log=log)

    def speak(self, text: str = "Good morning.", timeout: float = 30, **headers: str) -> requests.Response:
        return super().speak(text, timeout, Host=self.host, **headers)

    def live_version(self) -> str:
        answer = requests.get(f"{self.url}/version", headers={"Host": self.host}, timeout=10)
        return str(answer.json()["version"])

    def get(self, *words: str) -> Any:
        """What `kubectl get ... -o json` finds in the namespace."""
        return json.loads(kubectl("get", *words, "--namespace", self.namespace, "--output", "json"))

    def present(self, labels: str = "") -> list[str]:
        """Kind and name of all that is in the namespace, but for what Kubernetes and Istio put there."""
        words = ["get", ALL_KINDS, "--namespace", self.namespace, "--output", "json"]
        items = json.loads(kubectl(*words, *(["--selector", labels] if labels else [])))["items"]
        names = {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in items}
        return sorted(names - OF_KUBERNETES - OF_ISTIO)

    def of_version(self, version: str) -> list[str]:
        """All that is left of the revisions of a version."""
        return self.present(f"app.kubernetes.io/version={version}")

    def job(self) -> dict[str, Any]:
        """The release's Job: there is never more than one, and its guard beside it."""
        jobs = self.get("jobs")["items"]
        (job,) = [each for each in jobs if not each["metadata"]["name"].endswith("-guard")]
        return dict(job)

    def receipt(self) -> dict[str, Any]:
        """The record of the release whose Job is there."""
        found = self.get("configmap", f"{self.job()['metadata']['name']}-receipt")
        return dict(json.loads(found["data"]["receipt.json"]))

    def events(self) -> list[str]:
        """The reasons of the Events on the route, in the order of time."""
        found = self.get(
            "events", "--field-selector", f"involvedObject.kind=VirtualService,involvedObject.name={NAME}"
        )
        return [
            item["reason"]
            for item in sorted(found["items"], key=lambda item: item["metadata"]["creationTimestamp"])
        ]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Skips everything here where no cluster is named. A skip from here is told in one line for all tests."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"No cluster is named: set {', '.join(missing)}.")


@pytest.fixture(scope="session")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_base_image(tmp_path_factory.mktemp("base"))


def make_base_image(folder: Path) -> str:
    """The image that both images of a release are built on, in the cluster's registry."""
    registry = os.environ["TTS_REGISTRY"]
    base = os.environ.get("TTS_BASE_IMAGE", f"{registry}/base/python:bookworm")
    tag = f"{registry}/tts-test/python:3.11"
    epoch, export = {"SOURCE_DATE_EPOCH": "0"}, "oci-mediatypes=true,rewrite-timestamp=true"
    build = ImageBuild(folder, BASE.format(base=base), epoch, (tag,), export=export)
    PushedImages().build(build, log=print)
    return tag


@contextmanager
def namespaced(folder: Path, base_image: str) -> Iterator[ClusterPlatform]:
    """A platform with nothing on it yet. Its namespace admits restricted pods alone, and goes at the end."""
    made = make_platform(folder)
    namespace = f"tts-test-{secrets.token_hex(4)}"
    platform = ClusterPlatform(
        made.checkout,
        made.home,
        made.port,
        namespace=namespace,
        gateway_url=os.environ["TTS_GATEWAY_URL"].rstrip("/"),
        host=f"{namespace}.test",
    )
    platform.configure(
        namespace=namespace,
        createNamespace=False,
        registry=os.environ["TTS_REGISTRY"],
        baseImage=base_image,
        host=platform.host,
        gatewayAddress=os.environ.get("TTS_GATEWAY_ADDRESS", GATEWAY_ADDRESS),
        drainSeconds=3,
        # Several stacks at a time on one machine, each of which does little.
        resources={"cpu": "20m", "memory": "1Gi"},
        rollout={"steps": [25, 60, 100], "holdSeconds": 2, "readySeconds": 60},
    )
    platform.ask_no_speed()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    document = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": labels},
    }
    kubectl("create", "--filename", "-", given=json.dumps(document))
    try:
        yield platform
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="session")
def stack(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterPlatform]:
    """A stack whose first release, of version 1.0.0, has gone well. Each test leaves that version live."""
    with namespaced(tmp_path_factory.mktemp("cluster"), base_image) as platform:
        first = platform.up(timeout=290)
        assert first.status == 0, first.text
        yield platform

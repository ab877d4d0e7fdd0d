"""A stack that Argo CD brings to the cluster: the waves gate a release there too, self-heal leaves the
weights alone, and a way back is the revert of a commit. `argo.py` stands for Argo CD."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.argo import Application, ArgoCd, SyncFailedError, health_of
from tests.cluster.conftest import NAME, ClusterPlatform, kubectl, namespaced
from tests.e2e.conftest import Traffic
from tests.e2e.live import weights

pytestmark = pytest.mark.cluster

PERSON = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]


@dataclass
class Deploy:
    """The deploy repository, the stack that is rendered to it, and what watches it."""

    platform: ClusterPlatform
    repository: Path

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.repository), *PERSON, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def release(self, **values: Any) -> str:
        """Edits the config, renders it, commits; the commit."""
        self.platform.configure(**values)
        done = self.platform.run("render", "--stack", "dev", timeout=280)
        assert done.status == 0, done.text
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"{values}")
        return self.git("rev-parse", "HEAD").strip()

    @property
    def argo(self) -> ArgoCd:
        path = self.repository / f"{NAME}-dev.application.yaml"
        return ArgoCd(Application(yaml.safe_load(path.read_text()), self.repository))

    def live_http(self) -> list[Any]:
        return list(self.platform.get("virtualservice.networking.istio.io", NAME)["spec"]["http"])

    def patch(self, spec: dict[str, Any]) -> None:
        """Writes a part of the route as the release does."""
        name = ["virtualservice.networking.istio.io", NAME, "--namespace", self.platform.namespace]
        words = ["--type=merge", "--field-manager=tts-release", "--patch", json.dumps({"spec": spec})]
        kubectl("patch", *name, *words)

    def live(self) -> dict[str, int]:
        """Version -> percent of the traffic."""
        route = self.platform.get("virtualservice.networking.istio.io", NAME)
        return {".".join(name.split("-")[1:4]): share for name, share in weights(route).items()}


@pytest.fixture(scope="module")
def deploy(base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Version 1.0.0 has been brought to the cluster by its first sync."""
    folder = tmp_path_factory.mktemp("gitops")
    with namespaced(folder, base_image) as platform:
        repository = folder / "deploy"
        repository.mkdir()
        made = Deploy(platform, repository)
        made.git("init", "--quiet")
        made.release(
            modelVersion="1.0.0",
            gitops={
                "repository": f"file://{repository}",
                "path": "dev",
                "directory": str(repository / "dev"),
            },
        )
        made.argo.sync()
        yield made


def test_the_first_sync_makes_the_route_and_another_changes_nothing(deploy: Deploy) -> None:
    assert deploy.platform.live_version() == "1.0.0"
    assert deploy.argo.drift() == []
    before = deploy.platform.get("jobs")["items"]
    deploy.argo.sync()
    assert deploy.platform.get("jobs")["items"] == before
    kinds = {each["kind"] for each in deploy.argo.tracked()}
    assert {"VirtualService", "Deployment", "Job"} <= kinds


def test_a_release_and_its_revert_walk_the_weights_and_drop_nothing(deploy: Deploy) -> None:
    commit = deploy.release(modelVersion="1.1.0")
    for version, old in (("1.1.0", "1.0.0"), ("1.0.0", "1.1.0")):
        if version == "1.0.0":
            deploy.git("revert", "--no-edit", commit)
        seen, stop = [], threading.Event()
        argo = deploy.argo
        watcher = threading.Thread(target=lambda: watch(deploy, seen, stop))  # noqa: B023
        watcher.start()
        try:
            with Traffic(deploy.platform, per_second=5) as traffic:
                argo.sync()
        finally:
            stop.set()
            watcher.join()
        assert traffic.faults == []
        assert set(traffic.versions) == {old, version}
        assert deploy.platform.live_version() == version
        assert deploy.platform.of_version(old) == []
        # The route came last but for the prune, and the Job was what moved it.
        assert argo.said[-1].startswith("pruned ")
        healthy = [line for line in argo.said if "healthy" in line]
        assert healthy[-2:] == ["wave 0 is healthy", "wave 1 is healthy"]
        shares = [each.get(version, 0) for each in seen]
        assert shares == sorted(shares), f"the weights went back on their way: {shares}"
        assert argo.drift() == []
    deploy.platform.configure(modelVersion="1.0.0")


def watch(deploy: Deploy, seen: list[dict[str, int]], stop: threading.Event) -> None:
    """Each change of the weights, as it is seen."""
    while not stop.is_set():
        now = deploy.live()
        if not seen or seen[-1] != now:
            seen.append(now)
        stop.wait(0.3)


@pytest.fixture
def half_way(deploy: Deploy) -> Iterator[list[Any]]:
    """The weights as a ramp has them on its way."""
    settled = deploy.live_http()
    half = copy.deepcopy(settled)
    (there,) = half[-1]["route"]
    half[-1]["route"] = [there | {"weight": 60}, there | {"weight": 40}]
    deploy.patch({"http": half})
    yield half
    deploy.patch({"http": settled})


def test_self_heal_in_the_middle_of_a_ramp_leaves_the_weights_and_mends_the_rest(
    deploy: Deploy, half_way: list[Any]
) -> None:
    argo, platform = deploy.argo, deploy.platform
    assert argo.drift() == []
    servers = deployment(platform)
    kubectl("scale", "deployment", servers, "--replicas=2", "--namespace", platform.namespace)
    assert argo.self_heal() == [f"Deployment {servers}"]
    assert platform.get("deployment", servers)["spec"]["replicas"] == 1
    deploy.patch({"hosts": ["elsewhere.test"]})
    assert argo.self_heal() == [f"VirtualService {NAME}"]
    assert platform.get("virtualservice.networking.istio.io", NAME)["spec"]["hosts"] == [platform.host]
    assert deploy.live_http() == half_way
    assert argo.drift() == []


def test_were_the_weights_not_ignored_self_heal_would_revert_the_ramp(
    deploy: Deploy, half_way: list[Any]
) -> None:
    """So the test above can fail."""
    argo = deploy.argo
    argo.application.document["spec"]["ignoreDifferences"] = []
    assert argo.self_heal() == [f"VirtualService {NAME}"]
    assert deploy.live_http() != half_way


def deployment(platform: ClusterPlatform) -> str:
    """The live servers'."""
    labels = "app.kubernetes.io/component=model-server"
    (only,) = platform.get("deployments", "--selector", labels)["items"]
    return str(only["metadata"]["name"])


def test_a_refused_release_prunes_nothing_and_its_revert_takes_the_candidate_away(deploy: Deploy) -> None:
    platform = deploy.platform
    platform.edit_entry("1.1.0", "limits", qualityMin=4.9)
    commit = deploy.release(modelVersion="1.1.0")
    with pytest.raises(SyncFailedError, match=r"Wave 0: Job hibari-release-\w+: "):
        deploy.argo.sync()
    assert platform.live_version() == "1.0.0"
    assert platform.of_version("1.0.0") != []
    (refused,) = [each for each in platform.get("jobs")["items"] if health_of(each)[0] == "Degraded"]
    # A further try, as Argo CD makes three, finds the verdict and begins no release anew.
    with pytest.raises(SyncFailedError):
        deploy.argo.sync()
    (again,) = [each for each in platform.get("jobs")["items"] if health_of(each)[0] == "Degraded"]
    assert again["metadata"]["uid"] == refused["metadata"]["uid"]

    deploy.git("revert", "--no-edit", commit)
    with Traffic(platform, per_second=5) as traffic:
        deploy.argo.sync()
    assert traffic.faults == []
    assert set(traffic.versions) == {"1.0.0"}
    assert platform.of_version("1.1.0") == []
    assert deploy.argo.drift() == []


def test_no_secret_is_in_the_repository(deploy: Deploy) -> None:
    text = "".join(path.read_text() for path in sorted((deploy.repository / "dev").iterdir()))
    kinds = {
        each["kind"] for each in yaml.safe_load_all(text.replace("# Rendered", "---\n# Rendered")) if each
    }
    assert "Secret" not in kinds
    assert os.environ["KUBECONFIG"] not in text

"""Model files from object storage and answers kept there, on a real cluster beside a real S3 server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import ClusterPlatform, kubectl, namespaced, node_address
from tests.e2e.conftest import Traffic
from tests.object_store import ADMIN, BUCKET, READER, Network, ObjectStore, network, running
from tests.waiting import eventually

pytestmark = pytest.mark.cluster

PLACE = {"bucket": BUCKET, "prefix": "models", "parallel": 2}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with running(tmp_path_factory.mktemp("objects"), node_address()) as store:
        yield store


@pytest.fixture(scope="module")
def files(objects: ObjectStore) -> Iterator[Network]:
    """The way that model files take."""
    with network(objects) as made:
        yield made


@pytest.fixture(scope="module")
def kept(objects: ObjectStore) -> Iterator[Network]:
    """The way that answers take."""
    with network(objects) as made:
        yield made


@pytest.fixture(scope="module")
def fetching(
    base_image: str,
    objects: ObjectStore,
    files: Network,
    kept: Network,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ClusterPlatform]:
    """A stack whose pods fetch version 1.0.0 themselves and keep what they answer. 1.1.0 is not uploaded."""
    with namespaced(tmp_path_factory.mktemp("fetching"), base_image) as platform:
        for name, keys in (("reader", READER), ("writer", ADMIN)):
            literals = [f"--from-literal=accessKeyId={keys[0]}", f"--from-literal=secretAccessKey={keys[1]}"]
            kubectl("create", "secret", "generic", name, "--namespace", platform.namespace, *literals)
        platform.configure(
            resources={"cpu": "100m", "memory": "1Gi"},  # two revisions fit beside whatever is there
            delivery="objectStore",
            objectStore=PLACE | {"endpoint": files.url, "secret": "reader"},
            store={"bucket": BUCKET, "prefix": "kept", "endpoint": kept.url, "secret": "writer"},
        )
        upload(platform, "1.0.0")
        first = platform.up(timeout=290)
        assert first.status == 0, first.text
        yield platform


def upload(platform: ClusterPlatform, version: str) -> None:
    """As an ML engineer does it, with keys that may write."""
    platform.extra |= {"AWS_ACCESS_KEY_ID": ADMIN[0], "AWS_SECRET_ACCESS_KEY": ADMIN[1]}
    done = platform.run("upload", version)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del platform.extra[name]
    assert done.status == 0, done.text


def pod_of(platform: ClusterPlatform, version: str) -> str:
    """The name of the one server of a version, empty while there is none."""
    labels = f"app.kubernetes.io/component=model-server,app.kubernetes.io/version={version}"
    pods = platform.get("pods", "--selector", labels)["items"]
    return str(pods[0]["metadata"]["name"]) if pods else ""


def log_of(platform: ClusterPlatform, pod: str) -> str:
    return kubectl("logs", pod, "--namespace", platform.namespace)


def writes(platform: ClusterPlatform, result: str) -> float:
    """What the server of 1.0.0 counted."""
    pod = f"/api/v1/namespaces/{platform.namespace}/pods/{pod_of(platform, '1.0.0')}:8080/proxy/metrics"
    (found,) = re.findall(
        rf'tts_store_writes_total{{result="{result}",.*}} (.*)', kubectl("get", "--raw", pod)
    )
    return float(found)


def test_pods_run_the_server_base_and_fetch_the_model(fetching: ClusterPlatform, files: Network) -> None:
    pod = pod_of(fetching, "1.0.0")
    (container,) = fetching.get("pod", pod)["spec"]["containers"]
    assert "/tts-server-hibari:" in container["image"], "no image holds the model"
    assert files.sent > 7_936_868
    log = log_of(fetching, pod)
    assert "The model files are there after" in log
    described = json.dumps(fetching.get("configmaps,pods,deployments,jobs,events")) + log
    assert not any(secret in described for secret in (ADMIN[1], READER[1]))


def test_answers_are_kept_and_a_store_that_is_away_is_counted(
    fetching: ClusterPlatform, objects: ObjectStore, kept: Network
) -> None:
    answer = fetching.speak("Keep this.")
    key = answer.headers["x-tts-output"]
    eventually(lambda: key in objects.keys("kept"), 20)
    content, metadata = objects.read(key)
    assert content[44:] == answer.content[44:]
    assert metadata["revision"] == answer.headers["x-tts-revision"]
    assert len(objects.keys("kept")) == 1, "nothing of the release's own requests"

    kept.down = True
    kept.close()
    with Traffic(fetching, per_second=5) as traffic:
        eventually(lambda: writes(fetching, "failed") > 0, 60)
    assert traffic.faults == []
    kept.down = False
    before = writes(fetching, "stored")
    eventually(lambda: fetching.speak().ok and writes(fetching, "stored") > before, 60)
    assert "Answers that were not stored: 1; the last: The object store http" in log_of(
        fetching, pod_of(fetching, "1.0.0")
    )


def test_a_version_that_nobody_uploaded_is_refused_in_a_sentence(fetching: ClusterPlatform) -> None:
    fetching.configure(modelVersion="1.1.0")
    with Traffic(fetching, per_second=2) as traffic:
        done = fetching.up(timeout=290)
    fetching.configure(modelVersion="1.0.0")
    assert done.status != 0, done.text
    assert (
        "exit code 3: The object s3://speech/models/hibari/1.1.0/hibari.onnx does not exist at http"
        in done.text
    )
    assert traffic.faults == []
    assert set(traffic.versions) == {"1.0.0"}
    back = fetching.up(timeout=290)
    assert back.status == 0, back.text


def test_a_container_that_dies_while_it_fetches_goes_on_where_it_was(
    fetching: ClusterPlatform, files: Network, tmp_path: Path
) -> None:
    upload(fetching, "1.1.0")
    fetching.configure(modelVersion="1.1.0")
    files.slow = 0.03  # two parts of 8 MiB in 4 seconds, then two more
    files.sent = 0
    log = tmp_path / "up.log"
    with Traffic(fetching, per_second=2) as traffic:
        process = fetching.start("up", "--stack", "dev", log=log)
        eventually(lambda: files.sent > 18_500_000 or process.poll() is not None, 120)
        assert process.poll() is None, log.read_text()
        pod = pod_of(fetching, "1.1.0")
        kubectl(
            "exec", pod, "--namespace", fetching.namespace, "--", "python", "-c", "import os; os.kill(1, 15)"
        )
        files.slow = 0
        assert process.wait(280) == 0, log.read_text()
    assert traffic.faults == []
    assert fetching.live_version() == "1.1.0"
    assert "Fetching: " in log.read_text(), "up says how far the fetch is"
    (status,) = fetching.get("pod", pod)["status"]["containerStatuses"]
    assert status["restartCount"] == 1
    first = log_of(fetching, pod).partition("Fetching: ")[2]
    assert not first.startswith("0 of 32 MB"), first[:200]

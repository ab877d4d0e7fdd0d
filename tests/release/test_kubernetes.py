"""The real client against a small API on loopback."""

import json

import pytest
from lightkube.config.kubeconfig import KubeConfig

from release.cluster import Order
from release.errors import ClusterError, ConflictError, RejectedError, SupersededError
from release.kubernetes import RECEIPTS_KEPT, Kubernetes

from .servers import Api, kubeconfig
from .simulation import V2, plan_for

PLAN = plan_for(V2)
ISTIO = "/apis/networking.istio.io/v1/namespaces/tts/virtualservices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/tts/leases"
JOBS = "/apis/batch/v1/namespaces/tts/jobs"
PODS = "/api/v1/namespaces/tts/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/tts/deployments"
CONFIGMAPS = "/api/v1/namespaces/tts/configmaps"


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def cluster(api, tmp_path):
    with api.serving() as port:
        config = KubeConfig.from_file(kubeconfig(tmp_path, port)).get()
        found = Kubernetes(PLAN, config=config, retry_seconds=1.0)
        yield found
        found.close()


def test_the_route_is_created_applied_under_its_lock_and_deleted(api, cluster):
    assert cluster.read_route() is None
    first = cluster.write_route(PLAN.route, resource_version=None)
    with pytest.raises(ConflictError):
        cluster.write_route(PLAN.route, resource_version=None)
    second = cluster.write_route(PLAN.route, resource_version=first.resource_version)
    with pytest.raises(ConflictError):
        cluster.write_route(PLAN.route, resource_version=first.resource_version)
    method, path, query, body, kind = api.requests[-1]
    assert (method, path, kind) == ("PATCH", f"{ISTIO}/voice", "application/apply-patch+yaml")
    assert query == {"fieldManager": ["tts-release"], "force": ["true"]}
    assert body["metadata"]["resourceVersion"] == first.resource_version
    assert cluster.read_route() == second
    assert second.http == PLAN.declared_http
    with pytest.raises(ConflictError):
        cluster.delete_route(resource_version=first.resource_version)
    cluster.delete_route(resource_version=second.resource_version)
    cluster.delete_route(resource_version=second.resource_version)
    assert cluster.read_route() is None


def test_a_write_of_a_route_that_is_gone_conflicts(cluster):
    live = cluster.write_route(PLAN.route, resource_version=None)
    cluster.delete_route(resource_version=live.resource_version)
    with pytest.raises(ConflictError):
        cluster.write_route(PLAN.route, resource_version=live.resource_version)


def test_the_lease_is_created_and_taken_under_its_lock(api, cluster):
    order = Order("2026-11-23T06:00:00Z", PLAN.release)
    assert cluster.read_lease() is None
    cluster.write_lease(f"{PLAN.release}/one", order, resource_version=None)
    lease = cluster.read_lease()
    assert (lease.holder, lease.order) == (f"{PLAN.release}/one", order)
    with pytest.raises(ConflictError):
        cluster.write_lease(f"{PLAN.release}/two", order, resource_version=None)
    cluster.write_lease(f"{PLAN.release}/two", order, resource_version=lease.resource_version)
    with pytest.raises(ConflictError):
        cluster.write_lease(f"{PLAN.release}/three", order, resource_version=lease.resource_version)
    stored = api.objects[f"{LEASES}/voice-release"]
    assert stored["spec"]["holderIdentity"] == f"{PLAN.release}/two"
    assert stored["metadata"]["labels"]["app.kubernetes.io/name"] == "voice"


def test_the_order_comes_from_the_own_job(api, cluster):
    with pytest.raises(SupersededError):
        cluster.job_order()
    made = {"metadata": {"name": PLAN.release, "creationTimestamp": "2026-11-23T07:00:00Z"}}
    api.put(f"{JOBS}/{PLAN.release}", made)
    assert cluster.job_order() == Order("2026-11-23T07:00:00Z", PLAN.release)


def put_pod(api, name, *, ready, address="127.0.0.2", **metadata):
    conditions = [
        {"type": "Ready", "status": "True" if ready else "False", "message": "" if ready else "starting"}
    ]
    labels = {"tts/revision": V2, "app.kubernetes.io/component": "model-server"}
    status = {"podIP": address, "conditions": conditions}
    api.put(f"{PODS}/{name}", {"metadata": {"name": name, "labels": labels, **metadata}, "status": status})


def put_deployment(api, *, observed=3, **status):
    document = {
        "metadata": {"name": V2, "generation": 3},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": observed, **status},
    }
    api.put(f"{DEPLOYMENTS}/{V2}", document)


def test_a_workload_is_whole_when_all_its_replicas_are_ready(api, cluster):
    assert cluster.workload(V2) is None
    put_deployment(api, readyReplicas=1)
    put_pod(api, "a", ready=True)
    put_pod(api, "b", ready=False)
    put_pod(api, "c", ready=True, deletionTimestamp="2026-11-23T07:00:00Z")
    found = cluster.workload(V2)
    assert not found.whole
    assert found.story == "1 of 2 replicas are ready; pod b: starting"
    put_pod(api, "b", ready=True)
    put_deployment(api, readyReplicas=2, observed=2)
    assert not cluster.workload(V2).whole
    put_deployment(api, readyReplicas=2)
    assert cluster.workload(V2).whole
    assert [pod.address for pod in cluster.workload(V2).ready_pods] == ["127.0.0.2", "127.0.0.2"]


def test_the_releases_own_pod_is_no_server_of_the_revision(api, cluster):
    put_deployment(api, replicas=2, readyReplicas=2)
    put_pod(api, "a", ready=True)
    own = {"tts/revision": V2, "app.kubernetes.io/component": "release"}
    api.put(f"{PODS}/job", {"metadata": {"name": "job", "labels": own}, "status": {"podIP": "127.0.0.9"}})
    assert [pod.name for pod in cluster.workload(V2).pods] == ["a"]


def test_a_pod_that_cannot_be_scheduled_says_why(api, cluster):
    put_deployment(api)
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes have a free GPU."}
    metadata = {"name": "a", "labels": {"tts/revision": V2, "app.kubernetes.io/component": "model-server"}}
    api.put(f"{PODS}/a", {"metadata": metadata, "status": {"conditions": [condition]}})
    assert "0/3 nodes have a free GPU." in cluster.workload(V2).story


@pytest.mark.parametrize("failures", [[500], [503, 429], [0], [0, 0, 502]])
def test_failures_that_pass_are_repeated(api, cluster, failures):
    api.failures = list(failures)
    assert cluster.read_route() is None
    assert len(api.requests) == len(failures) + 1


def test_failures_that_stay_end_after_a_bound(api, cluster):
    api.failures = [503] * 1000
    with pytest.raises(ClusterError, match=r"read the VirtualService voice for 1 s"):
        cluster.read_route()


def test_a_refusal_is_not_repeated(api, cluster):
    api.failures = [403]
    with pytest.raises(ClusterError, match="403"):
        cluster.read_route()
    assert len(api.requests) == 1


@pytest.mark.parametrize("code", [400, 422])
def test_an_object_that_is_not_valid_is_told_apart(api, cluster, code):
    api.failures = [code]
    with pytest.raises(RejectedError, match=str(code)):
        cluster.write_route(PLAN.route, resource_version=None)
    assert len(api.requests) == 1


def test_receipts_are_kept_up_to_a_bound(api, cluster):
    labels = {"app.kubernetes.io/name": "voice", "app.kubernetes.io/part-of": "tts"}
    labels["app.kubernetes.io/component"] = "release"
    api.put(f"{CONFIGMAPS}/a-plan", {"metadata": {"name": "a-plan", "labels": labels}})
    for day in range(1, 13):
        metadata = {"name": f"r{day}", "labels": labels, "annotations": {"tts/ended": f"2026-10-{day:02d}"}}
        api.put(f"{CONFIGMAPS}/r{day}", {"metadata": metadata})
    cluster.write_receipt({"ended": "2026-11-23T08:00:00Z", "outcome": "released"})
    names = {path.rsplit("/", 1)[1] for path in api.objects}
    assert names == {"a-plan", f"{PLAN.release}-receipt", *(f"r{day}" for day in range(4, 13))}
    assert len(names) - 1 == RECEIPTS_KEPT
    kept = api.objects[f"{CONFIGMAPS}/{PLAN.release}-receipt"]
    assert json.loads(kept["data"]["receipt.json"])["outcome"] == "released"
    assert kept["metadata"]["labels"]["tts/release"] == PLAN.release

"""The real client against a small API on loopback."""

import json
from datetime import UTC, datetime

import pytest
from lightkube.config.kubeconfig import KubeConfig

from local.engine import diagnosis
from release import pods
from release.cluster import Order
from release.errors import ClusterError, ConflictError, RejectedError, SupersededError
from release.kubernetes import RECEIPTS_KEPT, Kubernetes

from .plans import V1, V2, V3, plan_for
from .servers import Api, kubeconfig

PLAN = plan_for(V2)
ISTIO = "/apis/networking.istio.io/v1/namespaces/tts/virtualservices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/tts/leases"
JOBS = "/apis/batch/v1/namespaces/tts/jobs"
PODS = "/api/v1/namespaces/tts/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/tts/deployments"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/tts/horizontalpodautoscalers"
CONFIGMAPS = "/api/v1/namespaces/tts/configmaps"
EVENTS = "/api/v1/namespaces/tts/events"
LABELS = {
    "app.kubernetes.io/name": "voice",
    "app.kubernetes.io/part-of": "tts",
    "app.kubernetes.io/component": "release",
}
MADE = {
    **LABELS,
    "app.kubernetes.io/instance": PLAN.name,
    "app.kubernetes.io/managed-by": "tts-release",
}


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


def test_a_renewal_says_when_and_for_how_long(api, cluster):
    order = Order("2026-11-23T06:00:00Z", PLAN.release)
    lease = cluster.write_lease(f"{PLAN.release}/one", order, resource_version=None)
    times = []
    for _ in range(2):
        before = datetime.now(UTC)
        lease = cluster.write_lease(lease.holder, order, resource_version=lease.resource_version)
        spec = api.objects[f"{LEASES}/voice-release"]["spec"]
        times.append(datetime.fromisoformat(spec["renewTime"]))
        assert before <= times[-1] <= datetime.now(UTC)
        assert spec["leaseDurationSeconds"] == 20
        assert spec["holderIdentity"] == f"{PLAN.release}/one"
    assert times[0] < times[1]
    stored = api.objects[f"{LEASES}/voice-release"]
    assert stored["metadata"]["annotations"] == {"tts/created": order.created}
    assert cluster.read_lease() == lease


def test_an_event_is_on_the_route(api, cluster):
    cluster.write_event("Refused", "It was noise. " * 200, warning=True)
    cluster.write_event("Released", "All is well.", warning=False)
    bad, good = (document for path, document in api.objects.items() if path.startswith(EVENTS))
    assert bad["involvedObject"] == {
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "namespace": "tts", "name": "voice",
    }  # fmt: skip
    assert (bad["reason"], bad["type"], good["reason"], good["type"]) == (
        "Refused", "Warning", "Released", "Normal",
    )  # fmt: skip
    assert (good["message"], len(bad["message"])) == ("All is well.", 1000)
    assert bad["source"] == {"component": "tts-release"}
    assert bad["count"] == 1
    assert bad["firstTimestamp"] == bad["lastTimestamp"]
    assert datetime.fromisoformat(bad["firstTimestamp"]).tzinfo is not None
    assert bad["metadata"]["labels"] == MADE
    assert bad["metadata"]["name"].startswith("voice-release-")


@pytest.mark.parametrize("failure", [503, 0, 403])
def test_an_event_is_tried_once(api, cluster, failure):
    api.failures = [failure]
    with pytest.raises(ClusterError, match="write the Event Released"):
        cluster.write_event("Released", "All is well.", warning=False)
    assert len(api.requests) == 1


def test_the_revisions_are_the_servers_deployments(api, cluster):
    assert cluster.revisions() == frozenset()
    server = {**LABELS, "app.kubernetes.io/component": "model-server"}
    other = {**server, "app.kubernetes.io/name": "another"}
    for name, labels in ((V1, server), (V2, server), (V3, other), ("job", LABELS)):
        api.put(f"{DEPLOYMENTS}/{name}", {"metadata": {"name": name, "labels": labels}})
    assert cluster.revisions() == {V1, V2}


def test_the_order_comes_from_the_own_job(api, cluster):
    with pytest.raises(SupersededError):
        cluster.job_order()
    made = {"metadata": {"name": PLAN.release, "creationTimestamp": "2026-11-23T07:00:00Z"}}
    api.put(f"{JOBS}/{PLAN.release}", made)
    assert cluster.job_order() == Order("2026-11-23T07:00:00Z", PLAN.release)


def test_the_runs_that_failed_are_counted_among_the_own_pods(api, cluster):
    assert cluster.failed_runs() == 0
    for number, (job, phase) in enumerate(
        [
            (PLAN.release, "Failed"),
            (PLAN.release, "Running"),
            (PLAN.release, "Failed"),
            (f"{PLAN.release}-guard", "Failed"),
        ]
    ):
        metadata = {"name": f"p{number}", "namespace": "tts", "labels": {"job-name": job}}
        api.put(f"{PODS}/p{number}", {"metadata": metadata, "status": {"phase": phase}})
    assert cluster.failed_runs() == 2


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


def test_replicas_are_asked_for_under_the_lock_and_stay_the_releases(api, cluster):
    put_deployment(api, readyReplicas=2)
    found = cluster.workload(V2)
    assert (found.desired, found.asked) == (2, False)
    cluster.scale(V2, 5, resource_version=found.resource_version)
    method, path, query, body, kind = api.requests[-1]
    assert (method, path) == ("PATCH", f"{DEPLOYMENTS}/{V2}/scale")
    assert kind == "application/apply-patch+yaml"
    assert query == {"fieldManager": ["tts-release"], "force": ["true"]}
    assert (body["apiVersion"], body["kind"], body["spec"]) == ("autoscaling/v1", "Scale", {"replicas": 5})
    again = cluster.workload(V2)
    assert (again.desired, again.asked) == (5, True)
    with pytest.raises(ConflictError):
        cluster.scale(V2, 4, resource_version=found.resource_version)
    with pytest.raises(ConflictError):
        cluster.scale(V1, 4, resource_version="1")
    assert cluster.workload(V2).desired == 5


def test_an_autoscaler_is_held_by_a_field_that_nobody_declares_and_let_go(api, cluster):
    labels = {**LABELS, "app.kubernetes.io/component": "model-server"}
    behaviour = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    spec = {"maxReplicas": 8, "behavior": behaviour}
    api.put(f"{AUTOSCALERS}/{V2}", {"metadata": {"name": V2, "labels": labels}, "spec": spec})
    api.put(f"{AUTOSCALERS}/other", {"metadata": {"name": "other", "labels": {}}, "spec": spec})
    (found,) = cluster.autoscalers()
    assert (found.revision, found.holder) == (V2, "")
    cluster.hold_autoscaler(V2, "voice-release-a/1", resource_version=found.resource_version)
    assert api.requests[-1][2] == {"fieldManager": ["tts-release"]}
    assert api.objects[f"{AUTOSCALERS}/{V2}"]["spec"] == {
        "maxReplicas": 8,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600, "selectPolicy": "Disabled"}},
    }
    with pytest.raises(ConflictError):
        cluster.hold_autoscaler(V2, "", resource_version=found.resource_version)
    (found,) = cluster.autoscalers()
    assert found.holder == "voice-release-a/1"
    cluster.hold_autoscaler(V2, "", resource_version=found.resource_version)
    assert api.objects[f"{AUTOSCALERS}/{V2}"]["spec"] == spec
    assert cluster.autoscalers()[0].holder == ""
    cluster.hold_autoscaler(V3, "voice-release-a/1", resource_version="1")  # it is gone
    assert f"{AUTOSCALERS}/{V3}" not in api.objects


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


def pod_with(api, containers, statuses, *, ready=True):
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    status = {"podIP": "127.0.0.2", "conditions": [condition], "containerStatuses": statuses}
    labels = {"tts/revision": V2, "app.kubernetes.io/component": "model-server"}
    document = {"metadata": {"name": "a", "labels": labels}, "spec": {"containers": containers}}
    api.put(f"{PODS}/a", {**document, "status": status})


def test_a_pod_says_its_port_and_how_often_it_was_started_again(api, cluster):
    put_deployment(api)
    server = {"ports": [{"name": "grpc", "containerPort": 1}, {"name": "http", "containerPort": 8081}]}
    pod_with(api, [{"ports": []}, server], [{"restartCount": 1}, {"restartCount": 2}])
    (pod,) = cluster.workload(V2).pods
    assert (pod.port, pod.restarts, pod.ended) == (8081, 3, "")
    pod_with(api, [{}], [])
    (pod,) = cluster.workload(V2).pods
    assert (pod.port, pod.restarts, pod.ended) == (0, 0, "")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ({"reason": "OOMKilled", "exitCode": 137},
         "it was killed for using more memory than its limit (OOMKilled, exit code 137)"),
        ({"reason": "Error", "exitCode": 3, "message": "The file\nis wrong."},
         "it ended by itself (Error, exit code 3): The file is wrong."),
        ({"exitCode": 139}, "it ended by itself (Error, exit code 139)"),
        ({"reason": "Completed", "exitCode": 0}, "it ended by itself (Completed, exit code 0)"),
        ({"reason": "Error", "exitCode": 1, "message": "x" * 999}, "x" * 200),
    ],
)  # fmt: skip
def test_a_pod_says_how_its_container_ended(api, cluster, last, said):
    put_deployment(api)
    pod_with(api, [{}], [{"restartCount": 0}, {"restartCount": 1, "lastState": {"terminated": last}}])
    ended = cluster.workload(V2).pods[0].ended
    assert ended.endswith(said)
    assert len(ended) < 300


@pytest.mark.parametrize(
    ("restarts", "reason", "looping"),
    [(3, "CrashLoopBackOff", True), (2, "CrashLoopBackOff", False), (3, "ImagePullBackOff", False)],
)
def test_a_container_that_ends_again_and_again_is_given_up(api, cluster, restarts, reason, looping):
    put_deployment(api)
    pod_with(api, [{}], [{"restartCount": restarts, "state": {"waiting": {"reason": reason}}}], ready=False)
    assert cluster.workload(V2).pods[0].looping is looping
    assert cluster.workload(V2).hopeless is looping


def test_the_update_and_the_release_give_a_container_up_together():
    assert pods.CRASHES == diagnosis.CRASHES


@pytest.mark.parametrize(
    ("reason", "observed", "stuck"),
    [
        ("ProgressDeadlineExceeded", 3, True),
        ("ProgressDeadlineExceeded", 2, False),
        ("ReplicaSetUpdated", 3, False),
    ],
)
def test_a_deployment_past_its_progress_deadline_is_given_up(api, cluster, reason, observed, stuck):
    progressing = {"type": "Progressing", "status": "False", "reason": reason}
    put_deployment(api, observed=observed, conditions=[progressing])
    assert cluster.workload(V2).stuck is stuck
    assert cluster.workload(V2).hopeless is stuck


def test_a_container_that_waits_says_why(api, cluster):
    put_deployment(api)
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pod_with(api, [{}], [waiting], ready=False)
    assert cluster.workload(V2).story.endswith("pod a: no such image")


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


RECEIPT = {"ended": "2026-11-23T08:00:00Z", "outcome": "released"}
PLACE = f"{CONFIGMAPS}/{PLAN.release}-receipt"


def test_receipts_are_kept_up_to_a_bound(api, cluster):
    """That of a release which never ended, with its guard's count alone, is as old as it is."""
    api.put(f"{CONFIGMAPS}/a-plan", {"metadata": {"name": "a-plan", "labels": LABELS}})
    for day in range(1, 13):
        at = f"2026-10-{day:02d}T06:00:00Z"
        when = {"creationTimestamp": at} if day in (2, 5) else {"annotations": {"tts/ended": at}}
        name = f"r{day}-receipt"
        api.put(f"{CONFIGMAPS}/{name}", {"metadata": {"name": name, "labels": LABELS, **when}})
    cluster.write_receipt(RECEIPT)
    names = {path.rsplit("/", 1)[1] for path in api.objects}
    assert names == {"a-plan", f"{PLAN.release}-receipt", *(f"r{day}-receipt" for day in range(4, 13))}
    assert len(names) - 1 == RECEIPTS_KEPT
    kept = api.objects[PLACE]
    assert json.loads(kept["data"]["receipt.json"])["outcome"] == "released"
    assert kept["metadata"]["labels"] == {**MADE, "tts/release": PLAN.release, "tts/model": "voice"}
    assert kept["metadata"]["annotations"]["tts/ended"] == RECEIPT["ended"]


@pytest.mark.parametrize("first", ["receipt", "traffic"])
def test_job_and_guard_keep_their_parts_of_one_receipt(api, cluster, first):
    """Each by a field manager of its own: neither write takes away what the other wrote."""
    traffic = {"sent": 120, "dropped": 0}
    writes = [lambda: cluster.write_receipt(RECEIPT), lambda: cluster.write_traffic(traffic)]
    for write in writes if first == "receipt" else writes[::-1]:
        write()
    cluster.write_traffic({**traffic, "sent": 130})
    kept = api.objects[PLACE]
    assert {key: json.loads(text) for key, text in kept["data"].items()} == {
        "receipt.json": RECEIPT, "traffic.json": {"sent": 130, "dropped": 0},
    }  # fmt: skip
    assert kept["metadata"]["annotations"]["tts/ended"] == RECEIPT["ended"]
    patches = [request for request in api.requests if request[:2] == ("PATCH", PLACE)]
    managers = {tuple(body["data"]): query["fieldManager"] for _, _, query, body, _ in patches}
    assert managers == {("receipt.json",): ["tts-release"], ("traffic.json",): ["tts-guard"]}


def test_a_role_that_lets_no_receipts_be_listed_keeps_this_one(api, cluster):
    class Listing:
        """Refuses every list."""

        def pop(self, _):
            return 403

        def __bool__(self):
            method, path, *_ = api.requests[-1]
            return (method, path) == ("GET", CONFIGMAPS)

    api.failures = Listing()
    with pytest.raises(ClusterError, match="403"):
        cluster.write_receipt(RECEIPT)
    assert PLACE in api.objects

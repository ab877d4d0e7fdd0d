"""What a write to the node's API means."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import requests

from local.node.kinds import BY_NAME
from local.node.objects import EVENTS_KEPT, Objects
from local.node.store import Key, Store
from local.node.supported import without_effect
from tests.local.node.platform_client import Client, config_map, deployment, job, route


def test_apply_merges_by_field_and_removes_what_its_manager_no_longer_declares(client: Client) -> None:
    client.declare(config_map("merge", {"a": "1", "b": "2"}))
    assert client.apply(config_map("merge", {"c": "3"}), manager="other").status_code == 200
    assert client.get("ConfigMap", "merge")["data"] == {"a": "1", "b": "2", "c": "3"}
    client.declare(config_map("merge", {"a": "1"}))
    found = client.get("ConfigMap", "merge")
    assert found["data"] == {"a": "1", "c": "3"}
    assert [entry["manager"] for entry in found["metadata"]["managedFields"]] == ["other", "tests"]


def test_another_managers_value_conflicts_until_forced(client: Client) -> None:
    client.declare(config_map("fight", {"a": "1", "b": "2"}))
    refused = client.apply(config_map("fight", {"a": "9"}), manager="other")
    assert refused.status_code == 409
    assert 'conflict with "tests": .data.a' in refused.json()["message"]
    assert client.apply(config_map("fight", {"a": "1"}), manager="agreeing").status_code == 200
    assert client.apply(config_map("fight", {"a": "9"}), manager="other", force="true").status_code == 200
    assert client.get("ConfigMap", "fight")["data"] == {"a": "9", "b": "2"}
    assert client.apply(config_map("fight", {"a": "1"})).status_code == 409


def test_a_field_that_two_managers_own_stays_when_one_lets_go(client: Client) -> None:
    client.declare(config_map("shared", {"a": "1"}))
    client.apply(config_map("shared", {"a": "1"}), manager="other")
    client.declare(config_map("shared", {"b": "2"}))
    assert client.get("ConfigMap", "shared")["data"] == {"a": "1", "b": "2"}


def test_an_outdated_resource_version_is_refused(client: Client) -> None:
    client.declare(config_map("lock", {"a": "1"}))
    old = client.get("ConfigMap", "lock")["metadata"]["resourceVersion"]
    client.declare(config_map("lock", {"a": "2"}))
    stale = config_map("lock", {"a": "3"})
    stale["metadata"]["resourceVersion"] = old
    assert client.apply(stale, force="true").status_code == 409
    assert client.session.put(client.url("ConfigMap", "lock"), json=stale).status_code == 409
    stale["metadata"]["resourceVersion"] = client.get("ConfigMap", "lock")["metadata"]["resourceVersion"]
    assert client.session.put(client.url("ConfigMap", "lock"), json=stale).status_code == 200


def test_a_dry_run_changes_nothing(client: Client) -> None:
    answer = client.apply(config_map("dry", {"a": "1"}), dryRun="All")
    assert answer.status_code == 201
    assert client.gone("ConfigMap", "dry")
    client.declare(config_map("dry", {"a": "1"}))
    before = client.get("ConfigMap", "dry")
    assert client.apply(config_map("dry", {"a": "2"}), dryRun="All").json()["data"] == {"a": "2"}
    client.session.delete(client.url("ConfigMap", "dry"), params={"dryRun": "All"})
    assert client.get("ConfigMap", "dry") == before


def test_an_equal_apply_writes_nothing_and_a_new_spec_is_a_new_generation(client: Client) -> None:
    declared = deployment("generation", replicas=0)
    client.declare(declared)
    first = client.get("Deployment", "generation")["metadata"]
    client.declare(declared)
    again = client.get("Deployment", "generation")["metadata"]
    assert (again["generation"], again["managedFields"]) == (first["generation"], first["managedFields"])
    patch = {"spec": {"minReadySeconds": 1}}
    merge = {"content-type": "application/merge-patch+json"}
    patched = client.session.patch(
        client.url("Deployment", "generation"), data=json.dumps(patch), headers=merge
    )
    assert patched.json()["metadata"]["generation"] == first["generation"] + 1


def test_what_is_immutable_is_refused(client: Client) -> None:
    client.declare(config_map("fixed", {"a": "1"}, immutable=True), job("fixed", {"EXIT": "0"}))
    client.declare(deployment("fixed", replicas=0))
    assert client.apply(config_map("fixed", {"a": "2"}, immutable=True), force="true").status_code == 422
    assert "spec.template" in client.apply(job("fixed", {"EXIT": "1"}), force="true").json()["message"]
    other = deployment("fixed", replicas=0)
    other["spec"]["selector"]["matchLabels"] = {"app": "fixed", "b": "c"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "fixed", "b": "c"}
    assert "spec.selector" in client.apply(other, force="true").json()["message"]


def test_status_codes_are_those_of_kubernetes(client: Client) -> None:
    assert client.get("ConfigMap", "nobody")["reason"] == "NotFound"
    url = client.url("ConfigMap")
    assert client.session.post(url, json=config_map("twice", {})).status_code == 201
    assert client.session.post(url, json=config_map("twice", {})).json()["reason"] == "AlreadyExists"
    assert requests.get(url, timeout=5).status_code == 401
    assert client.session.post(url.replace("default", "nowhere"), json=config_map("x", {})).status_code == 404


def test_labels_and_fields_select(client: Client) -> None:
    for name, tier in (("one", "a"), ("two", "b")):
        labelled = config_map(f"sel-{name}", {})
        labelled["metadata"]["labels"] = {"tier": tier}
        client.declare(labelled)

    def names(**query: str) -> list[str]:
        items = client.session.get(client.url("ConfigMap"), params=query).json()["items"]
        return [item["metadata"]["name"] for item in items]

    assert names(labelSelector="tier=a") == ["sel-one"]
    assert names(labelSelector="tier in (a, b),tier!=a") == ["sel-two"]
    assert names(labelSelector="tier", fieldSelector="metadata.name=sel-one") == ["sel-one"]
    assert (
        client.session.get(client.url("ConfigMap"), params={"fieldSelector": "data.x=1"}).status_code == 400
    )


def test_a_watch_tells_what_begins_and_stops_to_match(client: Client) -> None:
    version = client.session.get(client.url("ConfigMap")).json()["metadata"]["resourceVersion"]
    seen = config_map("watched", {"a": "1"})
    seen["metadata"]["labels"] = {"watch": "yes"}
    query = {
        "watch": "true",
        "resourceVersion": version,
        "labelSelector": "watch=yes",
        "timeoutSeconds": "20",
    }
    with client.session.get(client.url("ConfigMap"), params=query, stream=True, timeout=20) as stream:
        lines = stream.iter_lines()
        client.declare(seen)
        assert json.loads(next(lines))["type"] == "ADDED"
        client.declare(seen | {"data": {"a": "2"}})
        assert json.loads(next(lines))["object"]["data"] == {"a": "2"}
        client.declare(config_map("watched", {"a": "2"}))
        assert json.loads(next(lines))["type"] == "DELETED"


def test_refused_kinds_and_fields_are_named(client: Client) -> None:
    gpu = deployment("gpu", resources={"limits": {"nvidia.com/gpu": 1}})
    assert "no GPU" in client.apply(gpu).json()["message"]
    sidecar = deployment("sidecar")
    sidecar["spec"]["template"]["spec"]["containers"].append({"name": "second", "image": "app:1"})
    assert "has 2 items" in client.apply(sidecar).json()["message"]
    unknown = deployment("unknown", wishes=["more"])
    assert "wishes[] is not a field" in client.apply(unknown).json()["message"]
    assert client.apply(deployment("broken", env=None) | {"spec": {"template": []}}).status_code == 422
    assert client.gone("Deployment", "gpu")
    assert (
        client.session.post(
            f"{client.base}/apis/apps/v1/namespaces/default/statefulsets", json={}
        ).status_code
        == 404
    )
    bare = {"kind": "Pod", "metadata": {"name": "bare"}, "spec": {"containers": []}}
    assert "declare a Deployment or a Job" in client.apply(bare).json()["message"]


def test_routes_must_sum_to_a_hundred_and_have_a_host_of_their_own(client: Client) -> None:
    assert "sum to 100" in client.apply(route("sum", "sum.test", {"a": 60, "b": 30})).json()["message"]
    client.declare(route("first", "same.test", {"a": 100}))
    refused = client.apply(route("second", "same.test", {"a": 100}))
    assert refused.status_code == 422
    assert "VirtualService default/first" in refused.json()["message"]


def test_fields_without_effect_are_told() -> None:
    manifest = deployment("told", securityContext={"runAsNonRoot": True})
    manifest["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    sentences = without_effect(manifest)
    assert len(sentences) == 2
    assert "securityContext has no effect here" in sentences[0]
    assert without_effect(deployment("silent")) == []
    manifest = deployment("limited")
    manifest["spec"]["template"]["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Mi"}}]
    assert "emptyDir.sizeLimit has no effect here" in without_effect(manifest)[0]
    assert "NetworkPolicy has no effect" in without_effect({"kind": "NetworkPolicy", "spec": {}})[0]


def test_answers_on_a_kept_connection_come_at_once(client: Client) -> None:
    client.declare(config_map("quick", {"a": "1"}))
    answers = [client.session.get(client.url("ConfigMap", "quick")) for _ in range(21)]
    assert statistics.median(answer.elapsed.total_seconds() for answer in answers[1:]) < 0.03


def event(message: str, **metadata: str) -> dict[str, Any]:
    about = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "hibari"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": metadata,
        "involvedObject": about | {"namespace": "default"},
        "reason": "WeightsMoved",
        "message": message,
        "type": "Normal",
        "source": {"component": "tts-release"},
        "firstTimestamp": "2026-11-23T06:00:00Z",
        "lastTimestamp": "2026-11-23T06:00:00Z",
        "count": 1,
    }


def test_events_are_posted_with_a_generated_name_and_listed(client: Client) -> None:
    made = [
        client.session.post(client.url("Event"), json=event("10 %", generateName="hibari.")) for _ in "ab"
    ]
    names = {answer.json()["metadata"]["name"] for answer in made}
    assert [answer.status_code for answer in made] == [201, 201]
    assert len(names) == 2
    assert all(name.startswith("hibari.") and len(name) > len("hibari.") for name in names)
    named = client.session.post(client.url("Event"), json=event("50 %", name="hibari.one"))
    assert named.json()["metadata"]["name"] == "hibari.one"

    def found(fields: str) -> set[str]:
        answer = client.session.get(client.url("Event"), params={"fieldSelector": fields}).json()
        return {item["metadata"]["name"] for item in answer["items"]}

    assert found("involvedObject.kind=VirtualService,involvedObject.name=hibari") == names | {"hibari.one"}
    assert found("involvedObject.name=hibari,reason!=WeightsMoved") == set()
    assert client.session.post(client.url("Event"), json=event("no name")).status_code == 422


def test_the_oldest_events_go_beyond_their_bound(tmp_path: Path) -> None:
    objects = Objects(Store(tmp_path / "objects.sqlite", BY_NAME))
    objects.add(Key(BY_NAME["Namespace"], "", "default"), {})
    numbers = range(EVENTS_KEPT + 3)
    for number in reversed(numbers):
        key = Key(BY_NAME["Event"], "default", f"e{number:04}")
        objects.create(key, event("x", name=key.name), manager="m")
    kept = [key.name for key, _ in objects.store.of_kind(BY_NAME["Event"])]
    assert kept == [f"e{number:04}" for number in numbers[:EVENTS_KEPT]]


def scaled(
    client: Client, name: str, replicas: int, manager: str = "release", **metadata: str
) -> requests.Response:
    body = {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": name, **metadata},
        "spec": {"replicas": replicas},
    }
    return client.session.patch(
        client.url("Deployment", name) + "/scale",
        data=json.dumps(body),
        params={"fieldManager": manager, "force": "true"},
        headers={"content-type": "application/apply-patch+yaml"},
    )


def test_replicas_that_somebody_asked_for_outlive_a_declaration_without_them(client: Client) -> None:
    declared = deployment("scaled", replicas=0)
    client.declare(declared)
    answer = scaled(client, "scaled", 0)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["kind"], answer.json()["spec"]) == ("Scale", {"replicas": 0})
    del declared["spec"]["replicas"]
    client.declare(declared)
    assert client.get("Deployment", "scaled")["spec"]["replicas"] == 0
    # without that, one pod is what Kubernetes makes of no number
    alone = deployment("unscaled", replicas=0)
    client.declare(alone)
    del alone["spec"]["replicas"]
    assert client.apply(alone, dryRun="All").json()["spec"]["replicas"] == 1


def test_a_scale_changes_the_number_alone_under_its_lock(client: Client) -> None:
    declared = deployment("locked", replicas=0)
    client.declare(declared)
    version = client.session.get(client.url("Deployment", "locked") + "/scale").json()["metadata"][
        "resourceVersion"
    ]
    assert scaled(client, "locked", 101, resourceVersion=version).status_code == 422
    assert scaled(client, "locked", 0, resourceVersion="1").status_code == 409
    assert scaled(client, "nobody", 1).status_code == 404
    url = client.url("Deployment", "locked") + "/scale"
    assert client.session.delete(url).status_code == 405
    wrong = client.session.patch(
        url, data='{"spec": {"replicas": "2"}}', headers={"content-type": "application/merge-patch+json"}
    )
    assert wrong.status_code == 400
    assert client.apply(deployment("locked", replicas=0) | {"spec": declared["spec"]}).status_code == 200
    assert (
        client.get("Deployment", "locked")["spec"]
        == client.get("Deployment", "locked")["spec"] | declared["spec"]
    )

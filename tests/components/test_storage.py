"""Deliveries and stores: what the settings refuse, and what a pod is given for them."""

from pathlib import Path
from typing import Any

import pytest

from components import budgets
from components.catalog import Catalog
from components.network_policies import server_policy
from components.plan import release_plan
from components.pod import inference_config, pod_template
from components.revision import Revision, identify
from components.settings import Settings

from .conftest import BASE_DIGEST, DIGEST, RunProgram, entry, read, refusals, write_entry

PLACE = {"bucket": "speech", "prefix": "models", "region": "eu-central-1"}
FETCHED = {"tts:delivery": "objectStore", "tts:objectStore": PLACE}
OWN = {"bucket": "kept", "endpoint": "http://minio.storage.svc:9000", "secret": "store-keys"}


def pod(settings: Settings) -> dict[str, Any]:
    return dict(pod_template(settings, settings.stable.entry, revision="r", image="i")["spec"])


def config(settings: Settings) -> dict[str, Any]:
    return inference_config(settings, settings.stable.entry, "r")


def revision(checkout: Path, changes: dict[str, Any]) -> Revision:
    return identify(read(Catalog(checkout / "models"), changes), checkout).target


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"tts:delivery": "bucket"}, "tts:delivery", "image, objectStore"),
        ({"tts:delivery": "objectStore"}, "tts:delivery", "tts:objectStore is not set"),
        ({"tts:objectStore": {"region": "x"}}, "tts:objectStore.bucket", "is missing"),
        ({"tts:objectStore": {"bucket": "speech"}}, "tts:objectStore.region", "the bucket is Amazon's"),
        ({"tts:objectStore": PLACE | {"bucket": "s3://speech/x"}}, "tts:objectStore.bucket", "no bucket"),
        ({"tts:objectStore": PLACE | {"prefix": "/models"}}, "tts:objectStore.prefix", "no prefix"),
        ({"tts:objectStore": PLACE | {"prefix": "a/../b"}}, "tts:objectStore.prefix", "no prefix"),
        ({"tts:objectStore": PLACE | {"region": "Frankfurt!"}}, "tts:objectStore.region", "no region"),
        ({"tts:objectStore": PLACE | {"secret": "No_Name"}}, "tts:objectStore.secret", "Kubernetes Secret"),
        (
            {"tts:objectStore": PLACE | {"cacheClaim": "No_Name"}},
            "tts:objectStore.cacheClaim",
            "PersistentVolume",
        ),
        ({"tts:objectStore": PLACE | {"parallel": 0}}, "tts:objectStore.parallel", "from 1 to 64"),
        ({"tts:objectStore": PLACE | {"endpoint": "minio:9000"}}, "tts:objectStore.endpoint", "no address"),
        ({"tts:objectStore": PLACE | {"keys": "x"}}, "tts:objectStore.keys", "not a known key"),
        ({"tts:store": {"outputs": True}}, "tts:store.bucket", "and so is claim"),
        (
            {"tts:store": {"claim": "kept", "bucket": "kept", "region": "x"}},
            "tts:store.claim",
            "keep one of the two",
        ),
        ({"tts:store": {"claim": "kept", "secret": "keys"}}, "tts:store.secret", "goes with a bucket"),
        ({"tts:store": {"claim": "No_Name"}}, "tts:store.claim", "PersistentVolumeClaim"),
        ({"tts:store": {"claim": "kept", "outputs": "perhaps"}}, "tts:store.outputs", "true or false"),
        ({"tts:store": {"bucket": "kept"}}, "tts:store.region", "the bucket is Amazon's"),
        ({"tts:serviceAccount": "No_Name"}, "tts:serviceAccount", "no name of an object"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(
    catalog: Catalog, changes: dict[str, Any], key: str, says: str
) -> None:
    [mistake] = refusals(catalog, changes)
    assert mistake.split(" ")[0] == key
    assert says in mistake


def test_a_password_in_an_endpoint_is_never_said_again(catalog: Catalog) -> None:
    [mistake] = refusals(catalog, {"tts:objectStore": PLACE | {"endpoint": "http://me:hunter2@minio:9000"}})
    assert mistake.startswith("tts:objectStore.endpoint holds a name or a password")
    assert "hunter2" not in mistake


def test_what_is_not_used_leaves_no_trace(catalog: Catalog) -> None:
    """So that revisions keep their names: a bucket that versions are only uploaded to is no part of a pod."""
    plain, uploaded = read(catalog), read(catalog, {"tts:objectStore": PLACE})
    assert (pod(plain), config(plain)) == (pod(uploaded), config(uploaded))
    assert not {"fetch", "store"} & config(plain).keys()
    assert [each["name"] for each in pod(plain)["volumes"]] == ["config", "tmp"]
    assert "serviceAccountName" not in pod(plain)
    assert budgets.fetch_seconds(plain, plain.stable.entry) == 0


def test_files_are_fetched_from_the_bucket_or_from_their_own_source(checkout: Path) -> None:
    own = {"path": "voices/a.bin", "source": "s3://elsewhere/a.bin", "size": 5, "sha256": "ab" * 32}
    write_entry(checkout, entry(artifacts=[*entry()["artifacts"], own]))
    told = config(read(Catalog(checkout / "models"), FETCHED))
    assert [each["source"] for each in told["artifacts"]] == [
        "s3://speech/models/hibari/1.0.0/hibari.onnx",
        "s3://elsewhere/a.bin",
    ]
    assert told["fetch"] == {"region": "eu-central-1", "parallel": 8, "seconds": 60}


def test_a_pod_that_fetches_has_a_cache_and_the_time_for_it(catalog: Catalog) -> None:
    settings = read(catalog, FETCHED | {"tts:timeouts": {"pullSeconds": 500}})
    (container,) = pod(settings)["containers"]
    volumes = {each["name"]: each for each in pod(settings)["volumes"]}
    assert (volumes["model"]["emptyDir"], volumes["cache"]["emptyDir"]) == ({}, {})
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert (mounts["model"], mounts["cache"]) == ("/model", "/cache")
    assert {"name": "TTS_CACHE_DIR", "value": "/cache"} in container["env"]
    load = settings.stable.entry.load_budget_seconds
    assert container["startupProbe"]["failureThreshold"] == 500 + load
    assert config(settings)["fetch"]["seconds"] == 500
    assert budgets.progress_deadline(settings, settings.stable.entry) == 500 + 500 + load
    # The image holds no model: what its pull may take does not grow with one.
    large = read(catalog, FETCHED)
    assert budgets.progress_deadline(large, large.stable.entry) == 60 + 60 + load


def test_the_time_for_a_fetch_and_the_room_for_it_grow_with_the_model(checkout: Path) -> None:
    artifact = entry()["artifacts"][0] | {"size": 5_000_000_000}
    write_entry(checkout, entry(artifacts=[artifact]))
    catalog = Catalog(checkout / "models")
    settings = read(catalog, FETCHED | {"tts:resources": {"ephemeralStorage": "1Gi"}})
    assert config(settings)["fetch"]["seconds"] == 260
    (container,) = pod(settings)["containers"]
    assert container["resources"]["limits"]["ephemeral-storage"] == "5793Mi"
    claimed = read(catalog, FETCHED | {"tts:objectStore": PLACE | {"cacheClaim": "models"}})
    (container,) = pod(claimed)["containers"]
    assert container["resources"]["limits"]["ephemeral-storage"] == "512Mi"
    claims = [each for each in pod(claimed)["volumes"] if "persistentVolumeClaim" in each]
    assert claims == [{"name": "cache", "persistentVolumeClaim": {"claimName": "models"}}]


def test_keys_come_from_a_secret_and_from_nowhere_else(catalog: Catalog) -> None:
    settings = read(
        catalog,
        {"tts:delivery": "objectStore", "tts:objectStore": PLACE | {"secret": "keys"}, "tts:store": OWN},
    )
    (container,) = pod(settings)["containers"]
    named = {
        each["name"]: each["valueFrom"]["secretKeyRef"] for each in container["env"] if "valueFrom" in each
    }
    assert named == {
        "TTS_OBJECT_STORE_ACCESS_KEY_ID": {"name": "keys", "key": "accessKeyId"},
        "TTS_OBJECT_STORE_SECRET_ACCESS_KEY": {"name": "keys", "key": "secretAccessKey"},
        "TTS_STORE_ACCESS_KEY_ID": {"name": "store-keys", "key": "accessKeyId"},
        "TTS_STORE_SECRET_ACCESS_KEY": {"name": "store-keys", "key": "secretAccessKey"},
    }
    assert "keys" not in str(config(settings))
    own = pod(read(catalog, FETCHED | {"tts:serviceAccount": "speech"}))
    assert own["serviceAccountName"] == "speech"
    assert not any("valueFrom" in each for each in own["containers"][0]["env"])


def test_a_store_is_a_bucket_or_a_volume(catalog: Catalog) -> None:
    bucket = read(catalog, {"tts:store": OWN | {"prefix": "speech"}})
    assert config(bucket)["store"] == {
        **{"bucket": "kept", "endpoint": "http://minio.storage.svc:9000", "region": "us-east-1"},
        **{"prefix": "speech", "outputs": True},
    }
    volume = read(catalog, {"tts:store": {"claim": "kept", "prefix": "speech", "outputs": False}})
    assert config(volume)["store"] == {"prefix": "speech", "outputs": False}
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "kept"}} in pod(volume)["volumes"]
    (container,) = pod(volume)["containers"]
    assert {"name": "store", "mountPath": "/store"} in container["volumeMounts"]
    assert {"name": "TTS_STORE_DIR", "value": "/store"} in container["env"]


def test_a_release_is_told_where_its_audio_is_kept_and_of_nothing_where_it_is_not(checkout: Path) -> None:
    def place(changes: dict[str, Any]) -> Any:
        settings = read(Catalog(checkout / "models"), changes)
        return release_plan(settings, identify(settings, checkout)).get("audioStore")

    assert place({"tts:store": OWN | {"prefix": "prod"}}) == "s3://kept/prod/gate/hibari"
    assert place({"tts:store": {"claim": "kept"}}) == "pvc://kept/gate/hibari"
    assert place({"tts:store": OWN | {"outputs": False}}) is None
    assert place({}) is None


def test_a_server_that_stores_gets_the_time_for_it_when_it_ends(catalog: Catalog) -> None:
    plain = budgets.termination_grace(read(catalog))
    assert budgets.termination_grace(read(catalog, {"tts:store": OWN})) == plain + budgets.STORING_SECONDS
    assert budgets.termination_grace(read(catalog, {"tts:store": OWN | {"outputs": False}})) == plain


def test_servers_reach_their_buckets_and_nothing_else(catalog: Catalog) -> None:
    assert "egress" not in server_policy(read(catalog), "r")
    egress = server_policy(read(catalog, {"tts:store": OWN}), "r")["egress"]
    assert [port["port"] for port in egress[0]["ports"]] == [53, 53]
    assert [rule["to"][0]["namespaceSelector"] for rule in egress[1:]] == [
        {"matchLabels": {"kubernetes.io/metadata.name": "storage"}}
    ]
    amazon = server_policy(read(catalog, FETCHED | {"tts:objectStore": PLACE | {"secret": "keys"}}), "r")[
        "egress"
    ]
    assert [rule["ports"] for rule in amazon[1:]] == [[{"protocol": "TCP", "port": 443}]]
    identity = server_policy(read(catalog, FETCHED), "r")["egress"]
    assert [rule["ports"][0]["port"] for rule in identity[1:]] == [443, 80]
    assert {to["ipBlock"]["cidr"] for to in identity[2]["to"]} == {"169.254.170.23/32", "169.254.169.254/32"}


def test_another_delivery_is_another_revision(checkout: Path) -> None:
    names = {
        revision(checkout, changes).name
        for changes in (
            {},
            FETCHED,
            {"tts:store": OWN},
            FETCHED | {"tts:objectStore": PLACE | {"prefix": "other"}},
        )
    }
    assert len(names) == 4


def test_servers_that_fetch_run_the_server_base_alone(run_program: RunProgram) -> None:
    program = run_program("dev", FETCHED | {"tts:canary": {"version": "1.1.0", "weight": 10}})
    images = [each.name for each in program.registered if each.type == "docker-build:index:Image"]
    assert sorted(images) == ["release-image", "server-base-hibari"]
    for deployment in (each for each in program.registered if each.inputs.get("kind") == "Deployment"):
        (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
        repository, _, digest = container["image"].partition("@")
        assert repository.startswith("local.tts/tts-server-hibari:")
        assert digest == BASE_DIGEST
    assert program.exported["imageDigest"] == BASE_DIGEST


def test_a_promoted_server_base_is_looked_up(run_program: RunProgram) -> None:
    program = run_program("dev", FETCHED | {"tts:imageDigest": DIGEST})
    assert f"local.tts/tts-server-hibari@{DIGEST}" in program.looked_up
    deployment = program.kind("Deployment")
    (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"local.tts/tts-server-hibari@{DIGEST}"

"""`tts:aws`, `tts:tlsSecret` and the node group: what is refused, and the sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from tests.components.conftest import DIGEST, entry, read, refusals, write_entry

ECR = {"tts:registry": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/hibari"}
STORE = {"bucket": "speech-outputs", "prefix": "prod", "region": "eu-central-1"}
MODELS = {"bucket": "speech-models", "prefix": "models", "region": "eu-central-1"}
MINIO = {"bucket": "kept", "endpoint": "http://minio.storage.svc:9000", "secret": "keys"}
ZONE = {"zoneId": "Z0123456789ABC", "target": "gateway.elb.eu-central-1.amazonaws.com"}
HOST = {"tts:host": "tts.example.com"}
NODES = {"enabled": True, "clusterName": "speech", "subnetIds": ["subnet-1"]}
GPUS: dict[str, Any] = {"tts:resources": {"gpus": 1}}


def nodes(**values: Any) -> dict[str, Any]:
    return GPUS | {"tts:nodeGroup": NODES | values}


def aws(**parts: Any) -> dict[str, Any]:
    return {"tts:aws": parts}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    write_entry(tmp_path, entry("1.0.0"))
    elsewhere = entry("1.1.0", engine="voxcpm")
    elsewhere["artifacts"][0]["source"] = "s3://trained/run-7/hibari.onnx"
    write_entry(tmp_path, elsewhere)
    return Catalog(tmp_path / "models")


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        (aws(repositories={"keepImages": 30}), "tts:aws.repositories", "tts:registry is"),
        (ECR | aws(repositories={"keepImages": 3}), "tts:aws.repositories.keepImages", "from 12 to"),
        (ECR | aws(repositories={"keep": 30}), "tts:aws.repositories.keepImages", "is missing"),
        (aws(buckets={"keepOldVersionsDays": 30}), "tts:aws.buckets", "there is none"),
        ({"tts:store": MINIO} | aws(buckets={"keepOldVersionsDays": 30}), "tts:aws.buckets", "an endpoint"),
        (
            {"tts:store": STORE} | aws(buckets={"keepOldVersionsDays": 0}),
            "tts:aws.buckets.keepOldVersionsDays",
            "from 1 to 3650",
        ),
        ({"tts:store": STORE} | aws(podIdentity={"name": "x"}), "tts:aws.podIdentity.clusterName", "missing"),
        (aws(podIdentity={"clusterName": "speech"}), "tts:aws.podIdentity", "there is none"),
        (
            {"tts:store": STORE | {"secret": "keys"}} | aws(podIdentity={"clusterName": "speech"}),
            "tts:aws.podIdentity",
            "without a secret",
        ),
        (aws(dns=ZONE), "tts:aws.dns", 'tts:host is "*"'),
        (HOST | aws(dns=ZONE | {"zoneId": "example.com"}), "tts:aws.dns.zoneId", "no hosted zone"),
        (HOST | aws(dns=ZONE | {"target": "http://gateway:80"}), "tts:aws.dns.target", "no host name"),
        (aws(cdn={"a": 1}), "tts:aws.cdn", "not a known key"),
        ({"tts:tlsSecret": "speech-tls"}, "tts:tlsSecret", 'tts:host is "*"'),
        (
            HOST | {"tts:tlsSecret": "speech-tls", "tts:gateway": "istio-system/public"},
            "tts:tlsSecret",
            "tts:gateway names one",
        ),
        (HOST | {"tts:tlsSecret": "Speech TLS"}, "tts:tlsSecret", "Kubernetes Secret"),
        (nodes(updateStrategy="SLOW"), "tts:nodeGroup.updateStrategy", "DEFAULT, MINIMAL"),
        (nodes(ami="ubuntu"), "tts:nodeGroup.ami", "al2023, bottlerocket"),
        (nodes(devicePlugin="nvcr.io/nvidia/k8s:v1"), "tts:nodeGroup.devicePlugin", "by its digest"),
        (
            nodes(ami="bottlerocket", devicePlugin=f"r/plugin:v1@{DIGEST}"),
            "tts:nodeGroup.devicePlugin",
            "has its own",
        ),
    ],
)
def test_what_is_refused(catalog: Catalog, changes: dict[str, Any], key: str, says: str) -> None:
    sentences = refusals(catalog, changes)
    assert any(each.startswith(f"{key} ") and says in each for each in sentences), sentences


def test_nothing_is_asked_of_aws_by_default(catalog: Catalog) -> None:
    found = read(catalog).aws
    assert (found.repositories, found.buckets, found.pod_identity, found.dns) == (None, None, None, None)


def test_repositories_are_those_of_every_version(catalog: Catalog) -> None:
    found = read(catalog, ECR | aws(repositories={"keepImages": 30})).aws.repositories
    assert found is not None
    assert (found.path, found.region, found.keep_images) == ("hibari", "eu-central-1", 30)
    # 1.1.0 has another engine: a way back and forth finds both.
    servers = ("tts-server-hibari", "tts-server-voxcpm")
    assert found.names == ("hibari", *servers, "tts-release", "tts-build-cache")


def test_an_identity_becomes_the_servers_account(catalog: Catalog) -> None:
    asked = aws(podIdentity={"clusterName": "speech"})
    changes = {"tts:objectStore": MODELS, "tts:store": STORE} | asked
    settings = read(catalog, changes)
    identity = settings.aws.pod_identity
    assert identity is not None
    assert settings.service_account == identity.service_account == "hibari-server"
    assert identity.declared
    assert identity.reads == ("speech-models/models/hibari/*", "trained/run-7/hibari.onnx")
    assert identity.writes == ("speech-outputs/prod/*",)
    given = read(catalog, changes | {"tts:serviceAccount": "speech"})
    assert given.service_account == "speech"
    assert given.aws.pod_identity is not None
    assert not given.aws.pod_identity.declared


def test_an_identity_has_no_right_to_what_there_are_keys_for(catalog: Catalog) -> None:
    asked = aws(podIdentity={"clusterName": "speech"})
    changes = {"tts:objectStore": MODELS | {"secret": "keys"}, "tts:store": STORE}
    identity = read(catalog, changes | asked).aws.pod_identity
    assert identity is not None
    assert identity.reads == ()
    assert identity.writes


@pytest.mark.parametrize("kept", [{"tts:records": {"days": 30}}, {"tts:voices": {"perKey": 5}}])
def test_what_is_kept_for_callers_is_read_listed_and_deleted_too(
    catalog: Catalog, kept: dict[str, Any]
) -> None:
    pytest.importorskip("pulumi_aws")
    from components.pod_identity import rights_of

    asked = {"tts:store": STORE} | aws(podIdentity={"clusterName": "speech"})
    objects, bucket = "arn:aws:s3:::speech-outputs/prod/*", "arn:aws:s3:::speech-outputs"

    def rights(changes: dict[str, Any]) -> list[tuple[str, list[str]]]:
        identity = read(catalog, asked | changes).aws.pod_identity
        assert identity is not None
        return [(each["Action"], each["Resource"]) for each in rights_of(identity)["Statement"]]

    assert rights({}) == [("s3:PutObject", [objects])]
    assert rights(kept) == [
        ("s3:GetObject", [objects]),
        ("s3:PutObject", [objects]),
        ("s3:DeleteObject", [objects]),
        ("s3:ListBucket", [bucket]),
    ]


def test_the_cluster_of_the_node_group_is_the_identity_s(catalog: Catalog) -> None:
    changes = nodes() | {"tts:store": STORE} | aws(podIdentity={"clusterName": ""})
    identity = read(catalog, changes).aws.pod_identity
    assert identity is not None
    assert identity.cluster_name == "speech"

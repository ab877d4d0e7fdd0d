"""`tts:aws.cluster`: what is refused, with its sentences, and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.catalog import Catalog
from tests.components.conftest import ROOT, entry, read, refusals, write_entry

from .conftest import CLUSTER

GPUS: dict[str, Any] = {"tts:resources": {"gpus": 1}}
NODES = {"enabled": True}


def made(**changes: Any) -> dict[str, Any]:
    """Settings with the cluster of the tests, changed; None takes a key away."""
    cluster = {key: value for key, value in {**CLUSTER, **changes}.items() if value is not None}
    return {"tts:aws": {"cluster": cluster}}


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    write_entry(tmp_path, entry("1.0.0"))
    return Catalog(tmp_path / "models")


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        (made(version=None), "tts:aws.cluster.version", "is missing"),
        (made(version="1.29"), "tts:aws.cluster.version", "write 1.30 or newer"),
        (made(version="35"), "tts:aws.cluster.version", "no version of Kubernetes"),
        (made(version=1.35), "tts:aws.cluster.version", "write it in quotes"),
        (made(subnetIds=None), "tts:aws.cluster.subnetIds", "is missing"),
        (made(subnetIds=CLUSTER["subnetIds"][:1]), "tts:aws.cluster.subnetIds", "two in different zones"),
        (made(subnetIds=CLUSTER["subnetIds"][:1] * 2), "tts:aws.cluster.subnetIds", "names one twice"),
        (made(subnetIds=["vpc-1", "vpc-2"]), "tts:aws.cluster.subnetIds[0]", "no subnet"),
        (made(admins=[]), "tts:aws.cluster.admins", "at least one"),
        (
            made(admins=["arn:aws:sts::123456789012:assumed-role/platform/ada"]),
            "tts:aws.cluster.admins[0]",
            "not its session's",
        ),
        (made(publicAccessCidrs=["0.0.0.0/0"]), "tts:aws.cluster.publicAccessCidrs[0]", "everybody"),
        (made(publicAccessCidrs=["here"]), "tts:aws.cluster.publicAccessCidrs[0]", "no range"),
        (made(secretsKey="alias/speech"), "tts:aws.cluster.secretsKey", "no key of KMS"),
        (made(addOns={"vpc_cni": "v1.20.4-eksbuild.1"}), "tts:aws.cluster.addOns.vpc_cni", "no add-on"),
        (made(addOns={"coredns": "latest"}), "tts:aws.cluster.addOns.coredns", "EKS's default"),
        (made(nodes={"minSize": 5}), "tts:aws.cluster.nodes.minSize", "above maxSize"),
        (made(nodes={"gpus": 1}), "tts:aws.cluster.nodes.gpus", "not a known key"),
        (made(istio="1.31"), "tts:aws.cluster.istio", "no release of Istio"),
        (made(loadBalancer="public"), "tts:aws.cluster.loadBalancer", "internal, internet-facing"),
        (made(name="speech prod"), "tts:aws.cluster.name", "no name of an EKS cluster"),
        (
            made() | GPUS | {"tts:nodeGroup": NODES | {"clusterName": "speech-prod"}},
            "tts:nodeGroup.clusterName",
            'makes "speech"',
        ),
        (
            {"tts:store": {"bucket": "kept", "region": "eu-central-1"}}
            | {"tts:aws": {"cluster": CLUSTER, "podIdentity": {"clusterName": "speech-prod"}}},
            "tts:aws.podIdentity.clusterName",
            'makes "speech"',
        ),
        (made() | {"tts:gateway": "istio-system/public"}, "tts:gateway", "makes one"),
        (made() | {"tts:kubeContext": "speech-prod"}, "tts:kubeContext", "makes one"),
        (made() | {"tts:gatewayAddress": "http://gateway:80"}, "tts:gatewayAddress", "makes one"),
        (made() | {"tts:gatewaySelector": {"app": "gateway"}}, "tts:gatewaySelector", "makes one"),
        (
            made() | {"tts:gitops": {"repository": "https://git.example.com/deploy", "path": "prod"}},
            "tts:aws.cluster",
            "tts:gitops",
        ),
    ],
)
def test_what_is_refused(catalog: Catalog, changes: Mapping[str, Any], key: str, says: str) -> None:
    sentences = refusals(catalog, changes)
    assert any(each.startswith(f"{key} ") and says in each for each in sentences), sentences


def test_what_is_left_out_has_a_default(catalog: Catalog) -> None:
    least = {key: CLUSTER[key] for key in ("name", "version", "subnetIds", "admins")}
    cluster = read(catalog, {"tts:aws": {"cluster": least}}).aws.cluster
    assert cluster is not None
    assert (cluster.public_access_cidrs, cluster.secrets_key, cluster.add_ons) == ((), "", {})
    assert (cluster.nodes.min_size, cluster.nodes.max_size) == (2, 4)
    assert cluster.load_balancer == "internal"
    assert cluster.istio in (ROOT / "docs" / "production-on-aws.md").read_text()

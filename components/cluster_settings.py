"""The EKS cluster that a stack makes where there is none yet: `cluster` of the setting `aws`."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from components.reader import Reader

BEFORE_NODES = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
"""The add-ons that make a machine a node: each runs once on every one."""

ON_NODES = ("coredns",)
"""Those that are ready once there is a node to run on."""

INTERNET_FACING = "internet-facing"
_ISTIO = "1.31.4"
"""The newest release of the API that the objects here were tried with."""

_LEAST_MINOR = 30
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_VERSION = re.compile(r"1\.([0-9]{1,3})")
_RELEASE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-zA-Z-]+")
_ADD_ON = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+")


@dataclass(frozen=True)
class CpuNodes:
    """The machines without GPUs, for all that is not speech on GPUs; sizes in nodes, disk in GiB."""

    instance_types: tuple[str, ...]
    min_size: int
    max_size: int
    disk_gib: int


@dataclass(frozen=True)
class EksCluster:
    """`admins` are the IAM roles and users that may do everything in it, whoever runs `up` among them; its
    API is reached from inside the VPC and from `public_access_cidrs`; `secrets_key` is the KMS key that
    Kubernetes' Secrets are encrypted with, empty for AWS's own; `add_ons` are versions, EKS's default for
    those that are left out; `istio` is a version of its Helm charts."""

    name: str
    version: str
    subnet_ids: tuple[str, ...]
    admins: tuple[str, ...]
    public_access_cidrs: tuple[str, ...]
    secrets_key: str
    add_ons: Mapping[str, str]
    nodes: CpuNodes
    istio: str
    load_balancer: str


def read_cluster(section: Reader) -> EksCluster | None:
    """The cluster below `section`, None where the stack runs on one that exists."""
    part = section.section("cluster", optional=True)
    if not part.given:
        return None
    cluster = EksCluster(
        name=part.text("name", check=_name),
        version=part.text("version", check=_version),
        subnet_ids=part.texts("subnetIds", check=_subnet),
        admins=part.texts("admins", check=_principal),
        public_access_cidrs=part.texts("publicAccessCidrs", default=[], check=_cidr),
        secrets_key=part.text("secretsKey", default="", check=_key),
        add_ons=_read_add_ons(part),
        nodes=_read_nodes(part),
        istio=part.text("istio", default=_ISTIO, check=_release),
        load_balancer=part.choice("loadBalancer", options=("internal", INTERNET_FACING), default="internal"),
    )
    for key, values in (("subnetIds", cluster.subnet_ids), ("admins", cluster.admins)):
        if len(set(values)) < len(values):
            part.refuse(key, "names one twice: leave the second out.")
    if len(cluster.subnet_ids) == 1:
        part.refuse("subnetIds", "is one subnet, but EKS asks for two in different zones: add another.")
    part.finish()
    return cluster


def _read_add_ons(part: Reader) -> dict[str, str]:
    add_ons = part.labels("addOns", default={})
    known = (*BEFORE_NODES, *ON_NODES)
    for name, version in add_ons.items():
        if name not in known:
            part.refuse(f"addOns.{name}", f"is no add-on of this cluster: known: {', '.join(known)}.")
        elif not _ADD_ON.fullmatch(version):
            part.refuse(
                f"addOns.{name}",
                f'is "{version}", which is no version of an add-on: write it as v1.20.4-eksbuild.1, or leave '
                "it out for EKS's default.",
            )
    return add_ons


def _read_nodes(part: Reader) -> CpuNodes:
    section = part.section("nodes", optional=True)
    nodes = CpuNodes(
        instance_types=section.texts("instanceTypes", default=["m7i.large"]),
        min_size=section.whole("minSize", low=2, high=100, default=2),
        max_size=section.whole("maxSize", low=2, high=100, default=4),
        disk_gib=section.whole("diskGiB", low=20, high=16_384, default=50),
    )
    if nodes.min_size > nodes.max_size:
        section.refuse(
            "minSize", f"is {nodes.min_size}, which is above maxSize ({nodes.max_size}): swap or change them."
        )
    section.finish()
    return nodes


def check_same(section: Reader, cluster: EksCluster | None, named: str) -> None:
    """Refuses a `clusterName` of `section` beside a cluster that the stack makes."""
    if cluster is not None and named and named != cluster.name:
        section.refuse(
            "clusterName",
            f'is "{named}", a cluster that exists, but tts:aws.cluster makes "{cluster.name}": leave out one '
            "of them.",
        )


def _name(value: str) -> str | None:
    if _NAME.fullmatch(value):
        return None
    return "which is no name of an EKS cluster: use at most 100 letters, digits, - and _."


def _version(value: str) -> str | None:
    found = _VERSION.fullmatch(value)
    if found is None:
        return 'which is no version of Kubernetes on EKS: write it in quotes, such as "1.35".'
    if int(found[1]) < _LEAST_MINOR:
        return f"in which a pod cannot sleep before it stops: write 1.{_LEAST_MINOR} or newer."
    return None


def _subnet(value: str) -> str | None:
    return None if _SUBNET.fullmatch(value) else "which is no subnet: write its id, such as subnet-0a1b2c3d."


def _principal(value: str) -> str | None:
    if _PRINCIPAL.fullmatch(value):
        return None
    return "which is no role or user of IAM: write arn:aws:iam::<account>:role/<name>, not its session's ARN."


def _cidr(value: str) -> str | None:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return "which is no range of IPv4 addresses: write it as 203.0.113.0/24."
    return None if network.prefixlen else "which is everybody: name the ranges that administrators come from."


def _key(value: str) -> str | None:
    if _KEY.fullmatch(value):
        return None
    return "which is no key of KMS: write its ARN, arn:aws:kms:<region>:<account>:key/<id>."


def _release(value: str) -> str | None:
    return None if _RELEASE.fullmatch(value) else f"which is no release of Istio: write it as {_ISTIO}."

"""What a stack makes on AWS beside its nodes: the setting `aws`."""

import re
from dataclasses import dataclass
from typing import TypeGuard

from components.catalog import ModelVersion
from components.cluster_settings import EksCluster, check_same
from components.reader import Reader
from components.storage_settings import Bucket

_REGISTRY = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<path>.+)"
)
_ZONE = re.compile(r"Z[A-Z0-9]{5,31}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_S3 = "s3://"
_LEAST_KEPT = 12
"""Ten revisions that a way back needs no second gate to, the live one and the candidate."""


@dataclass(frozen=True)
class Repositories:
    """The ECR repositories below `path` of the registry, in `region`, one for each of `names`; each keeps its
    newest `keep_images`."""

    path: str
    region: str
    names: tuple[str, ...]
    keep_images: int


@dataclass(frozen=True)
class Buckets:
    """The buckets that the stack makes; what was overwritten or deleted is kept for so many days."""

    buckets: tuple[Bucket, ...]
    keep_old_versions_days: int


@dataclass(frozen=True)
class PodIdentity:
    """The servers' identity: a role for `service_account` in the EKS cluster `cluster_name`. `declared`:
    whether the stack makes that ServiceAccount, too. `reads` and `writes` are objects as
    `<bucket>/<key, which may end in *>`; with `keeps_objects` what is written is read, listed and deleted
    too."""

    cluster_name: str
    service_account: str
    declared: bool
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    keeps_objects: bool


@dataclass(frozen=True)
class Dns:
    """The record of the stack's host in a zone of Route 53: another name of `target`, the load balancer; that
    of the cluster which the stack makes where it is empty."""

    zone_id: str
    target: str


@dataclass(frozen=True)
class Aws:
    """Each part is None where the stack does not ask for it."""

    cluster: EksCluster | None = None
    repositories: Repositories | None = None
    buckets: Buckets | None = None
    pod_identity: PodIdentity | None = None
    dns: Dns | None = None


@dataclass(frozen=True)
class Surroundings:
    """What the parts are about, from the stack's other settings. `entries` are all versions of the model, so
    that a way back finds its repository and its files; servers read from `fetched` and write to `stored`,
    also records and voices where `keeps_objects`."""

    name: str
    entries: tuple[ModelVersion, ...]
    registry: str
    host: str
    service_account: str
    cluster_name: str
    cluster: EksCluster | None
    fetched: Bucket | None
    stored: Bucket | None
    keeps_objects: bool


def read_aws(section: Reader, around: Surroundings) -> Aws:
    """All of `aws` but its cluster, which is read before the rest."""
    aws = Aws(
        cluster=around.cluster,
        repositories=_read_repositories(section, around),
        buckets=_read_buckets(section, around),
        pod_identity=_read_pod_identity(section, around),
        dns=_read_dns(section, around),
    )
    section.finish()
    return aws


def _read_repositories(section: Reader, around: Surroundings) -> Repositories | None:
    part = section.section("repositories", optional=True)
    if not part.given:
        return None
    keep = part.whole("keepImages", low=_LEAST_KEPT, high=1000)
    part.finish()
    found = _REGISTRY.fullmatch(around.registry)
    if found is None:
        section.refuse(
            "repositories",
            f'are made in ECR, but tts:registry is "{around.registry}": write '
            "<account>.dkr.ecr.<region>.amazonaws.com/<path>, or leave this out.",
        )
        return None
    models = sorted({entry.model for entry in around.entries})
    servers = sorted({f"tts-server-{entry.engine}" for entry in around.entries})
    names = (*models, *servers, "tts-release", BUILD_CACHE)
    return Repositories(found["path"], found["region"], names, keep)


BUILD_CACHE = "tts-build-cache"
"""The one repository whose tags move."""


def _read_buckets(section: Reader, around: Surroundings) -> Buckets | None:
    part = section.section("buckets", optional=True)
    if not part.given:
        return None
    days = part.whole("keepOldVersionsDays", low=1, high=3650)
    part.finish()
    used = [bucket for bucket in (around.fetched, around.stored) if bucket and not bucket.endpoint]
    own = tuple({bucket.name: bucket for bucket in used}.values())
    if not own:
        section.refuse(
            "buckets",
            "are those of tts:objectStore and tts:store without an endpoint, and there is none: name one or "
            "leave this out.",
        )
    return Buckets(own, days)


def _read_pod_identity(section: Reader, around: Surroundings) -> PodIdentity | None:
    part = section.section("podIdentity", optional=True)
    if not part.given:
        return None
    known = around.cluster.name if around.cluster else around.cluster_name
    cluster = part.text("clusterName", default=known or None)
    check_same(part, around.cluster, cluster)
    part.finish()
    reads, writes = _reads(around), _writes(around)
    if not reads and not writes:
        section.refuse(
            "podIdentity",
            "is for Amazon's buckets without a secret, in tts:objectStore and tts:store, and there is none: "
            "name one or leave this out.",
        )
    account = around.service_account or f"{around.name}-server"
    return PodIdentity(cluster, account, not around.service_account, reads, writes, around.keeps_objects)


def _reads(around: Surroundings) -> tuple[str, ...]:
    """Where the files of all versions are: below the model's own prefix, or where their entry says."""
    if not _by_identity(around.fetched):
        return ()
    own = (around.fetched.name, around.fetched.prefix)
    sources = {
        artifact.source.removeprefix(_S3)
        if artifact.source.startswith(_S3)
        else _below(*own, entry.model, "*")
        for entry in around.entries
        for artifact in entry.artifacts
    }
    return tuple(sorted(sources))


def _writes(around: Surroundings) -> tuple[str, ...]:
    return (_below(around.stored.name, around.stored.prefix, "*"),) if _by_identity(around.stored) else ()


def _by_identity(bucket: Bucket | None) -> TypeGuard[Bucket]:
    """Whether a bucket is Amazon's and no keys are named for it."""
    return bucket is not None and not bucket.endpoint and not bucket.secret


def _below(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _read_dns(section: Reader, around: Surroundings) -> Dns | None:
    part = section.section("dns", optional=True)
    if not part.given:
        return None
    target = part.text("target", default="" if around.cluster else None, check=_target)
    dns = Dns(part.text("zoneId", check=_zone), target)
    part.finish()
    if around.host == "*":
        section.refuse("dns", 'needs a name to give, but tts:host is "*": write the host there.')
    return dns


def _zone(value: str) -> str | None:
    return (
        None if _ZONE.fullmatch(value) else "which is no hosted zone: write its id, such as Z0123456789ABC."
    )


def _target(value: str) -> str | None:
    if _HOST.fullmatch(value) and "." in value:
        return None
    return "which is no host name: write the load balancer's, without http:// or a port."

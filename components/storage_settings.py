"""Where model files come from and where what is made is kept: `delivery`, `objectStore` and `store`."""

import re
from dataclasses import dataclass
from typing import Any

from components import checks
from components.reader import Reader

IMAGE, OBJECT_STORE = "image", "objectStore"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_REGION_ANYWHERE = "us-east-1"  # what servers other than Amazon's take, whatever they are called


@dataclass(frozen=True)
class Bucket:
    """A bucket of S3, or of a server that speaks like it. `endpoint` is empty for Amazon's own; `secret`
    names a Secret with the keys accessKeyId and secretAccessKey, empty for the pods' own identity."""

    name: str
    prefix: str
    endpoint: str
    region: str
    secret: str


@dataclass(frozen=True)
class ObjectStore:
    """Where the files of models are. `cache_claim` names the PersistentVolumeClaim that keeps them on the
    node, empty for a cache that ends with its pod; `parallel` requests at the same time."""

    bucket: Bucket
    cache_claim: str
    parallel: int


@dataclass(frozen=True)
class Store:
    """Where what is made is kept: on the volume of a PersistentVolumeClaim, below `prefix`, or in a bucket.
    `outputs`: whether answers are kept, to users and to the gates of releases."""

    claim: str
    prefix: str
    bucket: Bucket | None
    outputs: bool


def read_delivery(reader: Reader) -> dict[str, Any]:
    """`delivery` and `object_store`, which may be named before it is used: versions are uploaded first."""
    delivery = reader.choice("delivery", options=(IMAGE, OBJECT_STORE), default=IMAGE)
    section = reader.section("objectStore", optional=True)
    if not section.given:
        if delivery == OBJECT_STORE:
            reader.refuse(
                "delivery", "is objectStore, but tts:objectStore is not set: name its bucket, or write image."
            )
        return {"delivery": delivery, "object_store": None}
    store = ObjectStore(
        bucket=_read_bucket(section),
        cache_claim=section.text("cacheClaim", default="", check=_claim),
        parallel=section.whole("parallel", low=1, high=64, default=8),
    )
    section.finish()
    return {"delivery": delivery, "object_store": store}


def read_store(reader: Reader) -> Store | None:
    """The store of the stack; None where it names none."""
    section = reader.section("store", optional=True)
    if not section.given:
        return None
    claim = section.text("claim", default="", check=_claim)
    named = section.text("bucket", default="")
    of_buckets = {key: section.text(key, default="") for key in ("endpoint", "region", "secret")}
    if claim and named:
        section.refuse("claim", f'is "{claim}" beside a bucket: keep one of the two.')
    if not claim and not named:
        section.refuse("bucket", "is missing, and so is claim: name a bucket or a PersistentVolumeClaim.")
    for key in (key for key, value in of_buckets.items() if value and claim and not named):
        section.refuse(key, f'goes with a bucket, but "{claim}" is a volume: leave it out.')
    outputs = section.flag("outputs", default=True)
    bucket = _read_bucket(section) if named else None
    prefix = bucket.prefix if bucket else section.text("prefix", default="", check=_prefix)
    section.finish()
    return Store(claim, prefix, bucket, outputs)


def _read_bucket(section: Reader) -> Bucket:
    endpoint = section.text("endpoint", default="")
    if "@" in endpoint:
        # Whatever stands before the @ is not said again.
        section.refuse("endpoint", "holds a name or a password: keep them in a Secret and name it in secret.")
    elif endpoint and (wrong := checks.address(endpoint)):
        section.refuse("endpoint", f'is "{endpoint}", {wrong}')
    region = section.text("region", default="", check=_region)
    if not region and not endpoint:
        section.refuse(
            "region",
            "is missing, and without an endpoint the bucket is Amazon's: name the bucket's region, "
            "or the endpoint of your own server.",
        )
    return Bucket(
        name=section.text("bucket", check=_bucket),
        prefix=section.text("prefix", default="", check=_prefix),
        endpoint=endpoint,
        region=region or _REGION_ANYWHERE,
        secret=section.text("secret", default="", check=checks.secret_name),
    )


def _bucket(value: str) -> str | None:
    if _BUCKET.fullmatch(value):
        return None
    return "which is no bucket: use 3 to 63 of a-z, 0-9, - and dots, without s3:// or a path."


def _prefix(value: str) -> str | None:
    if _PREFIX.fullmatch(value) and not {".", ".."} & set(value.split("/")):
        return None
    return "which is no prefix: write folders such as speech/models, without a / at either end."


def _region(value: str) -> str | None:
    return (
        None if re.fullmatch(r"[a-z0-9-]+", value) else "which is no region: write one such as eu-central-1."
    )


def _claim(value: str) -> str | None:
    if checks.object_name(value):
        return "which is no name of a PersistentVolumeClaim: use a-z, 0-9, - and dots."
    return None

"""What a pod needs to fetch its model files and to keep what it makes; pure, and part of a revision's hash.

What a stack does not use leaves no trace here, so that its revisions keep their names."""

from math import ceil
from typing import Any

from components.catalog import Artifact, ModelVersion
from components.labels import Manifest
from components.quantity import memory_bytes
from components.settings import Settings
from components.storage_settings import Bucket

MODEL_DIR = "/model"
_CACHE_DIR = "/cache"
_STORE_DIR = "/store"
_S3, _CLAIM = "s3://", "pvc://"
_MEBIBYTE = 1 << 20


def artifact_config(settings: Settings, entry: ModelVersion, artifact: Artifact) -> dict[str, Any]:
    """One file of inference.json; `source` only where the server fetches it."""
    config: dict[str, Any] = {"path": artifact.path, "size": artifact.size, "sha256": artifact.sha256}
    if settings.fetched_from is None:
        return config
    if artifact.source.startswith(_S3):
        return config | {"source": artifact.source}
    bucket = settings.fetched_from.bucket
    key = _joined(bucket.prefix, entry.model, entry.version, artifact.path)
    return config | {"source": f"{_S3}{bucket.name}/{key}"}


def storage_config(settings: Settings, *, fetch_seconds: int) -> dict[str, Any]:
    """The parts `fetch` and `store` of inference.json, each only where it is used."""
    config: dict[str, Any] = {}
    if settings.fetched_from is not None:
        config["fetch"] = {
            **_endpoint(settings.fetched_from.bucket),
            "parallel": settings.fetched_from.parallel,
            "seconds": fetch_seconds,
        }
    store = settings.store
    if store is not None:
        place = {"bucket": store.bucket.name, **_endpoint(store.bucket)} if store.bucket else {}
        config["store"] = {**place, "prefix": store.prefix, "outputs": store.outputs}
        if settings.callers.record_days is not None:
            config["store"]["records"] = {"days": settings.callers.record_days}
        if settings.callers.voices_per_key is not None:
            config["store"]["voices"] = {"perKey": settings.callers.voices_per_key}
    return config


def gate_audio_place(settings: Settings, entry: ModelVersion) -> str:
    """Where servers keep what the gate of a release has judged, as `s3://bucket/folder` or `pvc://claim/folder`;
    empty where they keep no answers, or none that could be heard."""
    store = settings.store
    if store is None or not store.outputs or entry.gate.exchange is not None:
        return ""
    root = f"{_S3}{store.bucket.name}" if store.bucket else f"{_CLAIM}{store.claim}"
    return _joined(root, store.prefix, "gate", entry.model)


def storage_env(settings: Settings) -> list[Manifest]:
    """Where the folders are, and the keys of each bucket from its Secret."""
    env: list[Manifest] = []
    if settings.fetched_from is not None:
        env.append({"name": "TTS_CACHE_DIR", "value": _CACHE_DIR})
        env += _keys("TTS_OBJECT_STORE", settings.fetched_from.bucket)
    if settings.store is not None and settings.store.bucket is not None:
        env += _keys("TTS_STORE", settings.store.bucket)
    elif settings.store is not None:
        env.append({"name": "TTS_STORE_DIR", "value": _STORE_DIR})
    return env


def storage_mounts(settings: Settings) -> list[Manifest]:
    """Where the container sees the volumes of `storage_volumes`."""
    places = {"model": MODEL_DIR, "cache": _CACHE_DIR, "store": _STORE_DIR}
    return [
        {"name": volume["name"], "mountPath": places[volume["name"]]} for volume in storage_volumes(settings)
    ]


def storage_volumes(settings: Settings) -> list[Manifest]:
    """The folder of the model's files, the cache that they lie in, and the store where that is a volume."""
    volumes: list[Manifest] = []
    if settings.fetched_from is not None:
        volumes += [
            {"name": "model", "emptyDir": {}},
            {"name": "cache", **_cache(settings.fetched_from.cache_claim)},
        ]
    if settings.store is not None and settings.store.claim:
        volumes.append({"name": "store", "persistentVolumeClaim": {"claimName": settings.store.claim}})
    return volumes


def ephemeral_storage(settings: Settings, entry: ModelVersion) -> str:
    """What a pod may write on its node's own disk: what the stack says, and the model where it lies there."""
    wanted = settings.resources.ephemeral_storage
    if settings.fetched_from is None or settings.fetched_from.cache_claim:
        return wanted
    return f"{ceil(((memory_bytes(wanted) or 0) + entry.size) / _MEBIBYTE)}Mi"


def buckets(settings: Settings) -> list[Bucket]:
    """The buckets that servers speak to."""
    store = settings.store.bucket if settings.store else None
    fetched = settings.fetched_from.bucket if settings.fetched_from else None
    return [bucket for bucket in (fetched, store) if bucket is not None]


def _cache(claim: str) -> Manifest:
    # An emptyDir outlives its container, so a fetch that was cut by a restart goes on where it was.
    return {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}


def _endpoint(bucket: Bucket) -> dict[str, Any]:
    return {**({"endpoint": bucket.endpoint} if bucket.endpoint else {}), "region": bucket.region}


def _keys(prefix: str, bucket: Bucket) -> list[Manifest]:
    """The two variables of a Secret; none for the pod's own identity, which the platform hands over."""
    if not bucket.secret:
        return []
    names = {"ACCESS_KEY_ID": "accessKeyId", "SECRET_ACCESS_KEY": "secretAccessKey"}
    return [
        {"name": f"{prefix}_{name}", "valueFrom": {"secretKeyRef": {"name": bucket.secret, "key": key}}}
        for name, key in names.items()
    ]


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)

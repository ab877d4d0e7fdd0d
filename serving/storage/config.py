"""The parts `fetch` and `store` of an inference config, and the keys that come with the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def place_of(url: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`; what is missing is empty."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The two halves of a bucket's credentials; neither is ever shown."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server of object storage: an address, empty for Amazon's own, a region, and who asks there. Without
    keys it is the process itself: what AWS_* in its environment says, or the machine's own role."""

    address: str = ""
    region: str = ""
    keys: Keys | None = None


@dataclass(frozen=True, kw_only=True)
class FetchConfig:
    """How model files are fetched: `parallel` requests at once, `seconds` in all, into `cache_dir`."""

    endpoint: Endpoint
    parallel: int
    seconds: float
    cache_dir: Path


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """Where what is made is kept, in `bucket` or below `folder`; `outputs`: whether answers are, to users and
    to gates; `record_days`: for how long records are, None where none are made; `voices_per_key`: how many
    voices a caller may add, None where none are kept."""

    endpoint: Endpoint
    bucket: str
    folder: Path
    prefix: str
    outputs: bool
    record_days: int | None = None
    voices_per_key: int | None = None


def parse_fetch(fields: Mapping[str, Any] | None, environ: Mapping[str, str]) -> FetchConfig | None:
    """The value of `fetch`. Raises KeyError, TypeError or ValueError."""
    if fields is None:
        return None
    parallel, seconds = int(fields["parallel"]), float(fields["seconds"])
    if parallel < 1 or seconds <= 0:
        raise ValueError(f"fetch needs parallel and seconds above 0, and has {parallel} and {seconds:g}")
    return FetchConfig(
        endpoint=_endpoint(fields, environ, "TTS_OBJECT_STORE"),
        parallel=parallel,
        seconds=seconds,
        cache_dir=Path(environ.get("TTS_CACHE_DIR", "/cache")),
    )


def parse_store(fields: Mapping[str, Any] | None, environ: Mapping[str, str]) -> StoreConfig | None:
    """The value of `store`. Raises KeyError, TypeError or ValueError."""
    if fields is None:
        return None
    return StoreConfig(
        endpoint=_endpoint(fields, environ, "TTS_STORE"),
        bucket=str(fields.get("bucket", "")),
        folder=Path(environ.get("TTS_STORE_DIR", "/store")),
        prefix=str(fields.get("prefix", "")),
        outputs=bool(fields["outputs"]),
        record_days=_whole(fields, "records", "days"),
        voices_per_key=_whole(fields, "voices", "perKey"),
    )


def _whole(fields: Mapping[str, Any], section: str, key: str) -> int | None:
    """The number in a section, None where there is no such section."""
    if fields.get(section) is None:
        return None
    number = int(fields[section][key])
    if number < 1:
        raise ValueError(f"store.{section}.{key} is {number}, and at least 1 is needed")
    return number


def _endpoint(fields: Mapping[str, Any], environ: Mapping[str, str], prefix: str) -> Endpoint:
    key_id, secret = (environ.get(f"{prefix}_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    if bool(key_id) != bool(secret):
        raise ValueError(f"of {prefix}_ACCESS_KEY_ID and {prefix}_SECRET_ACCESS_KEY only one is set")
    return Endpoint(
        address=str(fields.get("endpoint", "")),
        region=str(fields.get("region", "")),
        keys=Keys(access_key_id=key_id, secret_access_key=secret) if key_id else None,
    )

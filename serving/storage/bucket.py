"""One bucket of S3, or of a server that speaks like it; what goes wrong is said in sentences without keys."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from serving.errors import StorageError
from serving.storage.config import Endpoint
from serving.storage.reasons import explain

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ClientConfig

READ_BYTES = 256 * 1024
_CONNECT_SECONDS, _SILENT_SECONDS = 5, 15
# A multipart upload has at most 10,000 parts, each of 5 MiB or more.
_PART_BYTES, _PARTS = 16 << 20, 10_000
_WHOLE_BYTES = 64 << 20  # up to here one request, which can ask that nothing be replaced


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object's size in bytes, and the metadata that it was put with."""

    size: int
    metadata: Mapping[str, str]


class Bucket:
    """Reads and writes objects by key. Every method raises StorageError; one that is `transient` may be asked
    again. Nothing is tried twice here: whoever asks knows how long it can wait."""

    def __init__(self, name: str, endpoint: Endpoint, *, request_seconds: float = 3600) -> None:
        from obstore.store import S3Store  # only servers that are configured for it load it

        self.name = name
        self._where = endpoint.address or "Amazon S3"
        options: ClientConfig = {
            "allow_http": endpoint.address.startswith("http://"),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=_SILENT_SECONDS),
            "timeout": timedelta(seconds=request_seconds),
        }
        given: dict[str, Any] = {"endpoint": endpoint.address, "region": endpoint.region}
        if endpoint.keys is not None:
            given["access_key_id"] = endpoint.keys.access_key_id
            given["secret_access_key"] = endpoint.keys.secret_access_key
        self._store = S3Store(
            name,
            **{key: value for key, value in given.items() if value},
            client_options=options,
            retry_config={"max_retries": 0},
        )

    def url(self, key: str) -> str:
        """`s3://<bucket>/<key>`."""
        return f"s3://{self.name}/{key}"

    def find(self, key: str) -> Found | None:
        """Size and metadata of an object, None where there is none."""
        result = self._ask(key, {"head": True})
        return None if result is None else Found(size=result.meta["size"], metadata=_own(result.attributes))

    def read(self, key: str, start: int = 0, *, end: int, size: int) -> Iterator[bytes]:
        """The bytes from `start` up to `end` of an object that must have `size` bytes, as they arrive."""
        import obstore

        with self._explained(key):
            result = obstore.get(self._store, key, options={"range": (start, end)})
            if result.meta["size"] != size:
                found = result.meta["size"]
                raise StorageError(f"The object {self.url(key)} has {found} bytes, and {size} are expected.")
            for chunk in result.stream(min_chunk_size=READ_BYTES):
                yield bytes(chunk)

    def get(self, key: str) -> tuple[bytes, dict[str, str]] | None:
        """A whole object that fits into memory, and its metadata; None where there is none."""
        result = self._ask(key, {})
        if result is None:
            return None
        with self._explained(key):
            return bytes(result.bytes()), _own(result.attributes)

    def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str], *, kind: str) -> None:
        """Puts a whole object of a content type. Raises TakenError where the key has one already."""
        import obstore

        with self._explained(key):
            attributes = {**metadata, "Content-Type": kind}
            obstore.put(self._store, key, content, attributes=attributes, mode="create", use_multipart=False)

    def put_parts(self, key: str, parts: Iterable[bytes], size: int, metadata: Mapping[str, str]) -> None:
        """Puts an object of `size` bytes that need not fit into memory. S3 has no way to ask that a large one
        replaces nothing: look before, with `find`."""
        import obstore

        if size <= _WHOLE_BYTES:
            self.put(key, b"".join(parts), metadata, kind="application/octet-stream")
            return
        with self._explained(key):
            obstore.put(
                self._store,
                key,
                iter(parts),
                attributes={**metadata, "Content-Type": "application/octet-stream"},
                chunk_size=max(_PART_BYTES, -(-size // _PARTS)),
                max_concurrency=4,
            )

    def list(self, prefix: str) -> Iterator[str]:
        """The keys below a folder, in no order that could be relied on."""
        import obstore

        with self._explained(prefix):
            for page in obstore.list(self._store, prefix or None):
                yield from (str(found["path"]) for found in page)

    def delete(self, key: str) -> None:
        """Deletes an object; one that is gone is fine."""
        import obstore

        with self._explained(key):
            obstore.delete(self._store, key)

    def _ask(self, key: str, options: "GetOptions") -> "GetResult | None":
        """The beginning of an answer, None for an object that does not exist."""
        import obstore

        with self._explained(key):
            try:
                return obstore.get(self._store, key, options=options)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """The library's errors as our own. Theirs hold whole answers of the server, so they end here."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            raise explain(error, self.url(key), self._where) from None


def _own(attributes: Mapping[str, str]) -> dict[str, str]:
    """The metadata that somebody gave, without what HTTP adds."""
    known = ("content-", "cache-control", "storage-class")
    return {key.lower(): value for key, value in attributes.items() if not key.lower().startswith(known)}

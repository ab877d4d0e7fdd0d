"""Putting a version's model files where servers fetch them from. What is there is never replaced."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from serving.artifacts import Artifact, fetch_one, read_entry, verify_file
from serving.errors import ArtifactError
from serving.storage.bucket import Bucket, Found
from serving.storage.config import Endpoint, place_of

_CHUNK_BYTES = 8 << 20
_TELL_SECONDS = 5.0


def upload(
    entry: Path, place: str, endpoint: Endpoint, *, files: Path | None, say: Callable[[str], None]
) -> None:
    """Puts every file of a catalog entry below `place` (s3://bucket/prefix), as <model>/<version>/<path>, or
    where its own s3:// source says. The files come from the folder `files`, or from the entry's sources.

    Raises ArtifactError or StorageError: a file is wrong, or its place holds another content."""
    name, artifacts = read_entry(entry)
    if not place.startswith("s3://") or not place.removeprefix("s3://"):
        raise ArtifactError(f"{place} is no place for model files; write s3://BUCKET/PREFIX.")
    for artifact in artifacts:
        own = artifact.source.startswith("s3://")
        target = artifact.source if own else f"{place.rstrip('/')}/{name}/{artifact.path}"
        bucket_name, key = place_of(target)
        bucket = Bucket(bucket_name, endpoint)
        found = bucket.find(key)
        if found is not None:
            _check(artifact, found, bucket, key)
            say(f"{target}: is there already, sha256 {artifact.sha256}")
            continue
        if own and files is None:
            raise ArtifactError(
                f"{target} does not exist, and is its own source: name the folder that has {artifact.path}."
            )
        with tempfile.TemporaryDirectory() as folder:
            _put(artifact, _file(artifact, files, Path(folder), entry.parent), bucket, key, say)


def _file(artifact: Artifact, files: Path | None, folder: Path, base: Path) -> Path:
    """The file, verified."""
    if files is None:
        file = folder / artifact.path
        fetch_one(artifact, file, base)
        return file
    verify_file(artifact, files / artifact.path)
    return files / artifact.path


def _put(artifact: Artifact, file: Path, bucket: Bucket, key: str, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    chunks = _chunks(file, artifact.size, bucket.url(key), say)
    bucket.put_parts(key, chunks, artifact.size, {"sha256": artifact.sha256})
    seconds = max(time.monotonic() - began, 1e-3)
    rate = artifact.size / 1e6 / seconds
    done = f"{artifact.size} bytes in {seconds:.1f} s ({rate:.1f} MB/s), sha256 {artifact.sha256}"
    say(f"{bucket.url(key)}: {done}")


def _chunks(file: Path, size: int, url: str, say: Callable[[str], None]) -> Iterator[bytes]:
    """The file in pieces; says now and then how much of it is on its way."""
    told, sent = time.monotonic(), 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk
            sent += len(chunk)
            if time.monotonic() - told >= _TELL_SECONDS:
                told = time.monotonic()
                say(f"{url}: {sent / 1e6:,.0f} of {size / 1e6:,.0f} MB")


def _check(artifact: Artifact, found: Found, bucket: Bucket, key: str) -> None:
    """Raises ArtifactError unless the object is this very file. Its sha256 is in the metadata of what this
    command put there; of anything else the content is read."""
    sha256 = found.metadata.get("sha256")
    if found.size == artifact.size and sha256 is None:
        digest = hashlib.sha256()
        for chunk in bucket.read(key, end=found.size, size=found.size):
            digest.update(chunk)
        sha256 = digest.hexdigest()
    if found.size != artifact.size or sha256 != artifact.sha256:
        held = f"{found.size} bytes, sha256 {sha256 or 'unknown'}"
        raise ArtifactError(
            f"{bucket.url(key)} holds another content ({held}) than the catalog entry names ({artifact.size} "
            f"bytes, sha256 {artifact.sha256}). A version never changes: publish this one under another "
            "version, or delete the object."
        )

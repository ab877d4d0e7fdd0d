"""The one store: bytes with metadata under keys such as `outputs/hibari/1.0.0/...`, in a bucket or a folder.

Nothing that is stored is ever replaced: a key that is taken stays as it is until it is deleted."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from serving.errors import StorageError, TakenError
from serving.storage.config import StoreConfig

_METADATA = ".metadata.json"
_TRIES = 100
_REQUEST_SECONDS = 15.0
_KINDS = {".wav": "audio/wav", ".pcm": "audio/pcm", ".json": "application/json"}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What is kept under a key."""

    content: bytes
    metadata: Mapping[str, str]


class Store(Protocol):
    """Keys are relative paths; metadata are texts by lower-case names. Every method raises StorageError."""

    def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str]) -> None:
        """Keeps `content`, whole or not at all. Raises TakenError where the key is taken."""

    def get(self, key: str) -> Stored | None:
        """What is kept, None where nothing is."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """All keys below a folder, in no order that could be relied on."""

    def delete(self, key: str) -> None:
        """Forgets a key; one that is not there is fine."""


def open_store(config: StoreConfig) -> Store:
    """The store that a configuration names. Nothing is asked of it yet, so this works while it is down."""
    if not config.bucket:
        return FolderStore(config.folder)
    return BucketStore(config)


def joined(*parts: str) -> str:
    """A folder of keys; parts that are empty are left out."""
    return "/".join(part for part in parts if part)


class BucketStore:
    """A store in a bucket; metadata are those of the objects."""

    def __init__(self, config: StoreConfig) -> None:
        from serving.storage.bucket import Bucket

        self._bucket = Bucket(config.bucket, config.endpoint, request_seconds=_REQUEST_SECONDS)

    def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str]) -> None:
        """See Store.put; metadata travel in headers, which hold ASCII alone."""
        ascii_only = {
            name: value.encode("ascii", "backslashreplace").decode() for name, value in metadata.items()
        }
        self._bucket.put(_checked(key), content, ascii_only, kind=_kind(key))

    def get(self, key: str) -> Stored | None:
        """See Store.get."""
        found = self._bucket.get(_checked(key))
        return None if found is None else Stored(content=found[0], metadata=found[1])

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Store.list."""
        return self._bucket.list(prefix)

    def delete(self, key: str) -> None:
        """See Store.delete."""
        self._bucket.delete(_checked(key))


class FolderStore:
    """A store on a volume; metadata lie beside each file as `<file>.metadata.json`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, content: bytes | bytearray, metadata: Mapping[str, str]) -> None:
        """See Store.put."""
        file = self._folder / _checked(key)
        with _told(file), _beside(file, content) as new:
            # A link, unlike a rename, replaces nothing.
            os.link(new, file)
            if metadata:
                _describe(file, metadata)

    def get(self, key: str) -> Stored | None:
        """See Store.get."""
        file = self._folder / _checked(key)
        with _told(file):
            content = _read(file)
            if content is None:
                return None
            described = _read(file.with_name(file.name + _METADATA))
            return Stored(content=content, metadata=json.loads(described) if described else {})

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Store.list."""
        root = self._folder / prefix
        with _told(root):
            for folder, _, names in os.walk(root, onerror=_unless_gone):
                for name in names:
                    if not name.startswith(".") and not name.endswith(_METADATA):
                        yield (Path(folder) / name).relative_to(self._folder).as_posix()

    def delete(self, key: str) -> None:
        """See Store.delete."""
        file = self._folder / _checked(key)
        with _told(file):
            file.with_name(file.name + _METADATA).unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        for folder in file.relative_to(self._folder).parents[:-1]:
            try:
                (self._folder / folder).rmdir()
            except OSError:  # something else is in it
                break


@contextmanager
def _beside(file: Path, content: bytes | bytearray) -> Iterator[str]:
    """A hidden file in the folder of another one, whole, for as long as it is held."""
    descriptor, name = _made_beside(file)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.chmod(name, 0o644)  # noqa: PTH101
        yield name
    finally:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108


def _made_beside(file: Path) -> tuple[int, str]:
    for _ in range(_TRIES):
        # Whoever deletes the last file of a folder takes the folder away: it is there, and then it is not.
        with suppress(FileNotFoundError, FileExistsError):
            file.parent.mkdir(parents=True, exist_ok=True)
            return tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".new")
    return tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".new")


def _describe(file: Path, metadata: Mapping[str, str]) -> None:
    """The metadata of a file that has just been put; without them it is taken back."""
    described = file.with_name(file.name + _METADATA)
    try:
        with _beside(file, json.dumps(dict(metadata), indent=1).encode()) as new:
            os.replace(new, described)  # noqa: PTH105 - whoever reads sees all of it or nothing
    except OSError:
        file.unlink(missing_ok=True)
        raise


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def _unless_gone(error: OSError) -> None:
    """A folder may be deleted while it is listed: then nothing is in it."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _checked(key: str) -> str:
    """The key, if it lies below the store. Raises StorageError."""
    path = PurePosixPath(key)
    if not path.parts or path.is_absolute() or ".." in path.parts or path.name.endswith(_METADATA):
        raise StorageError(f"The key {key!r} does not name a place in the store.")
    return str(path)


def _kind(key: str) -> str:
    return _KINDS.get(PurePosixPath(key).suffix, "application/octet-stream")


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """What the disk refuses, as a sentence; a full one may have room again."""
    try:
        yield
    except FileExistsError as error:
        raise TakenError(f"{file} exists already, and nothing is replaced.") from error
    except OSError as error:
        raise StorageError(f"{file} cannot be used: {error.strerror}.", transient=True) from error

"""Model files on the node, each named by its sha256: filled by one pod at a time, checked before every use.

A file that a pod fills is locked, and so is each file that a running server uses. The locks are the kernel's:
whoever dies lets go, and the next one goes on from the parts that are there."""

import errno
import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from serving.artifacts import Artifact, is_right, verify_file
from serving.errors import ArtifactError

PART_BYTES = 8 << 20


class Cache:
    """A folder that several pods may share. Files that nobody uses are removed, the longest unused first,
    when there is no room for what is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sha256"
        self._used: list[int] = []
        with told(folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def file(self, artifact: Artifact) -> Path:
        """Where the file lies, or would."""
        return self._folder / artifact.sha256

    def use(self, artifact: Artifact) -> bool:
        """Whether the file is there and right; if so, nobody removes it while this process lives. A wrong one
        is removed."""
        file = self.file(artifact)
        with told(file):
            try:
                used = os.open(file, os.O_RDONLY)
            except FileNotFoundError:
                return False
            fcntl.flock(used, fcntl.LOCK_SH)
            if not (_is(used, file) and _kept_if_right(artifact, file)):
                os.close(used)
                return False
            os.utime(used)
        self._used.append(used)
        return True

    def fill(self, artifact: Artifact) -> "Filling | None":
        """The right to fill the file, or None while another pod does or just has done so."""
        part = self.file(artifact).with_suffix(".part")
        with told(part):
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            # Between the two calls whoever filled it may have given it its name, or removed it.
            if not _is(descriptor, part):
                os.close(descriptor)
                return None
            return Filling(artifact, part, descriptor, self._used)

    def make_room(self, size: int, *, keep: Collection[Artifact]) -> None:
        """Removes what nobody uses until `size` bytes are free, or nothing is left to remove. Raises
        ArtifactError where that is not enough."""
        kept = {artifact.sha256 for artifact in keep}
        with told(self._folder):
            found = [file for file in self._folder.iterdir() if file.suffix in ("", ".part")]
            files = [file for file in found if file.stem not in kept]
            for file in sorted(files, key=lambda file: file.stat().st_mtime):
                if self._free() >= size:
                    return
                _remove_unused(file)
            free = self._free()
        if free < size:
            raise ArtifactError(
                f"The cache folder {self._folder.parent} has {free / 1e6:,.0f} MB free, and the model files "
                f"need {size / 1e6:,.0f} MB more: enlarge its volume or the node's disk."
            )

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free


class Filling:
    """A file that this process alone fills, part by part, in any order."""

    def __init__(self, artifact: Artifact, part: Path, descriptor: int, used: list[int]) -> None:
        self.artifact = artifact
        self._part, self._descriptor, self._used = part, descriptor, used
        self._published = False
        # A byte for each part that is there. The size of a part belongs to its name: another has others.
        self._record = part.with_suffix(f".{PART_BYTES}")
        count = -(-artifact.size // PART_BYTES)
        known = self._record.read_bytes() if self._record.is_file() else b""
        fits = len(known) == count and os.fstat(descriptor).st_size == artifact.size
        self._done = bytearray(known if fits else count)
        if not fits:
            self._begin()
        self.resumed = any(self._done)

    def missing(self) -> list[tuple[int, int]]:
        """The parts that are not there yet, each from its first byte up to its end."""
        starts = range(0, self.artifact.size, PART_BYTES)
        spans = [(start, min(start + PART_BYTES, self.artifact.size)) for start in starts]
        return [span for span, done in zip(spans, self._done, strict=True) if not done]

    def write(self, at: int, content: bytes) -> None:
        """Writes some bytes of a part."""
        with told(self._part):
            while content:
                written = os.pwrite(self._descriptor, content, at)
                at, content = at + written, content[written:]

    def complete(self, start: int) -> None:
        """The part that begins at `start` is there, and stays there if this process dies."""
        with told(self._record):
            self._done[start // PART_BYTES] = 1
            with self._record.open("r+b") as record:
                record.seek(start // PART_BYTES)
                record.write(b"\1")

    def publish(self) -> None:
        """Checks the whole file, gives it its name, and uses it from then on, as `Cache.use` does. Raises
        ArtifactError, and forgets all parts, where it is another."""
        try:
            verify_file(self.artifact, self._part)
        except ArtifactError:
            self._begin()
            raise
        with told(self._part):
            self._part.rename(self._part.with_suffix(""))
            self._record.unlink(missing_ok=True)
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        self._used.append(self._descriptor)
        self._published = True

    def close(self) -> None:
        """Lets go of a file that is not published; what is there stays for the next one."""
        if not self._published:
            os.close(self._descriptor)

    def _begin(self) -> None:
        with told(self._part):
            self._done = bytearray(len(self._done))
            self.resumed = False
            self._record.write_bytes(self._done)
            os.truncate(self._descriptor, 0)
            os.truncate(self._descriptor, self.artifact.size)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the disk refuses, as an ArtifactError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ArtifactError(
                f"The disk of the cache is full: {path} cannot be written. Enlarge its volume or the node's "
                "disk."
            ) from error
        raise ArtifactError(f"The cache cannot be used at {path}: {error.strerror}.") from error


def _kept_if_right(artifact: Artifact, file: Path) -> bool:
    """Whether the file is what it is called; a wrong one is removed."""
    right = is_right(artifact, file)
    if not right:
        file.unlink(missing_ok=True)
    return right


def _is(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _remove_unused(file: Path) -> None:
    """Removes a file unless somebody uses or fills it."""
    with suppress(FileNotFoundError):
        descriptor = os.open(file, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
            file.with_suffix(f".{PART_BYTES}").unlink(missing_ok=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)

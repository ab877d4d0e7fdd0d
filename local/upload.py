"""`make upload`: a version's model files, put where the stack's servers fetch them from."""

from __future__ import annotations

import json
import subprocess
import sys
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
    place = _object_store(config.get("objectStore"), target.stack)
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
    prefix = f"/{place['prefix']}" if place.get("prefix") else ""
    words = [python, "-m", "serving.artifacts", "upload", str(entry), f"s3://{place['bucket']}{prefix}"]
    for option, value in (("--endpoint", place.get("endpoint")), ("--region", place.get("region"))):
        words += [option, str(value)] if value else []
    if files is not None:
        words += ["--files", str(files.resolve())]
    return subprocess.run(words, cwd=target.root, check=False).returncode


def _object_store(text: str, stack: str) -> dict[str, Any]:
    try:
        place = json.loads(text or "{}")
    except ValueError:
        place = {}
    if not isinstance(place, dict) or not place.get("bucket"):
        raise LocalError(
            f"tts:objectStore of the stack {stack} names no bucket to upload to; write into "
            f"Pulumi.{stack}.yaml: tts:objectStore: {{bucket: ..., prefix: ..., region: ...}}."
        )
    return place


def _engine_python(root: Path, engine: str, home: Home, report: Report) -> str:
    """The Python of an environment with what the engine's image is built with."""
    folder = root / "serving" / "engines" / engine
    names = ("requirements.txt", "build-requirements.txt")
    texts = tuple((folder / name).read_text(encoding="utf-8") for name in names if (folder / name).is_file())
    environments = Environments(home.environments)
    return str(environments.ensure(texts, log=lambda line: report.step(".", line)).python)

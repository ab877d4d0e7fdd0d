"""The entries that are there, and the question whether a new one will be taken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.register.errors import RegisterError

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")
_MODEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_EXAMPLE = ".example"


@dataclass(frozen=True)
class Before:
    """What a new version takes over where its training says nothing else: the newest entry of its model, or
    the example of one; `name` is its file, empty where there is neither."""

    name: str
    document: dict[str, Any]


def refuse_name(root: Path, model: str, version: str) -> None:
    """Raises RegisterError where a version of that name cannot be added."""
    if not _MODEL.fullmatch(model):
        raise RegisterError(f'The model "{model}" may hold only a-z, 0-9 and - between them.')
    if not _VERSION.fullmatch(version):
        raise RegisterError(f'The version "{version}" is no semantic version: write it as 1.6.0.')
    if (root / "models" / model / f"{version}.yaml").exists():
        raise RegisterError(
            f"models/{model}/{version}.yaml is there already, and a version never changes: "
            f"register this output as another one. There are {', '.join(versions(root, model))}."
        )
    if (folder := root / "models" / model / version).exists():
        raise RegisterError(f"{folder} is there already, without an entry: look what it is and remove it.")


def versions(root: Path, model: str) -> list[str]:
    """The versions of a model, the oldest first."""
    return sorted((path.stem for path in (root / "models" / model).glob("*.yaml")), key=_order)


def before(root: Path, model: str) -> Before:
    """The newest entry of the model, or its newest example. Raises RegisterError when it cannot be read."""
    folder, known = root / "models" / model, versions(root, model)
    examples = sorted(folder.glob(f"*.yaml{_EXAMPLE}"))
    if not known and not examples:
        return Before("", {})
    path = folder / f"{known[-1]}.yaml" if known else examples[-1]
    name = str(path.relative_to(root))
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RegisterError(
            f"{name}, whose gate and limits the new version would take, cannot be read: {error}"
        ) from None
    if not isinstance(document, dict):
        raise RegisterError(f"{name}, whose gate and limits the new version would take, is no catalog entry.")
    if "exchange" in document:
        raise RegisterError(f"{name} is of a model that does not speak: write the entry by hand, beside it.")
    return Before(name, document)


def told(root: Path, models: Path, model: str, version: str) -> dict[str, Any]:
    """What servers and release are told of the entry in the folder `models`: `inference` and `plan`.

    Raises RegisterError with a sentence for each mistake of the entry."""
    words = [sys.executable, "-m", "components", model, version, str(models)]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RegisterError(*(done.stderr.strip().splitlines() or ["The entry cannot be checked."]))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _order(version: str) -> tuple[tuple[int, ...], bool, str]:
    core, _, pre = version.partition("-")
    numbers = tuple(int(part) if part.isdigit() else -1 for part in core.split("."))
    return (numbers, not pre, pre)

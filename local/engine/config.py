"""The stack's config file: read as Pulumi reads it, and edited in the one line that a release changes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.engine.errors import ConfigError

_VERSION_LINE = re.compile(
    r"""^(?P<key>[ \t]+["']?tts:modelVersion["']?[ \t]*:[ \t]*)"""
    r"""(?P<quote>["']?)(?P<value>[^\s"'#]+)(?P=quote)"""
    r"""(?P<rest>[ \t]*(?:\#.*)?)$""",
    re.MULTILINE,
)


@dataclass(frozen=True)
class StackConfig:
    """The project's name and the values the program sees, `project:key` to text; nested values are JSON."""

    project: str
    values: Mapping[str, str]

    def get(self, key: str, default: str = "") -> str:
        """Return the value of the project's own `key`."""
        return self.values.get(f"{self.project}:{key}", default)


def stack_file(root: Path, stack: str) -> Path:
    """Return the path of a stack's config file.

    Raises:
        ConfigError: there is none; the sentence lists the stacks that exist.
    """
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.name.split(".")[1] for found in root.glob("Pulumi.*.yaml")))
        raise ConfigError(
            f"There is no stack {stack}: {path.name} does not exist. Known stacks: {known or 'none'}."
        )
    return path


def load(root: Path, stack: str, overrides: Sequence[str] = ()) -> StackConfig:
    """Read the config of a stack: the project's defaults, the stack's file, then `key=value` overrides, of
    which a key such as `store.claim` sets one value of an object.

    Raises:
        ConfigError: a file is missing or unreadable, or an override is not `key=value`.
    """
    path = stack_file(root, stack)
    project, declared = _read(root / "Pulumi.yaml"), _read(path)
    name = str(project.get("name", "tts"))
    values: dict[str, str] = {}
    for key, schema in (project.get("config") or {}).items():
        given = schema.get("value", schema.get("default")) if isinstance(schema, dict) else schema
        if given is not None:
            values[_qualified(name, key)] = _text(given)
    for key, value in (declared.get("config") or {}).items():
        if isinstance(value, dict) and "secure" in value:
            raise ConfigError(
                f"{path.name}: {key} is an encrypted value, which no part of this project takes; keep the "
                f"secret in a Kubernetes Secret and name that Secret in the config."
            )
        values[_qualified(name, key)] = _text(value)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"--config {override}: expected key=value, for instance --config modelVersion=1.1.0."
            )
        whole, *inside = _qualified(name, key).split(".")
        values[whole] = _nested(values.get(whole, ""), inside, text, override) if inside else text
    return StackConfig(project=name, values=values)


def _nested(value: str, path: Sequence[str], text: str, override: str) -> str:
    """The object `value` (JSON) with the text at one place of it."""
    try:
        whole = json.loads(value or "{}")
    except ValueError:
        whole = None
    place = whole
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise ConfigError(f"--config {override}: what stands before the last dot holds no further keys.")
    place[path[-1]] = text
    return json.dumps(whole)


def write_version(root: Path, stack: str, version: str) -> str:
    """Write `version` into the stack's `tts:modelVersion` line, keep all else as it is, return the old value.

    Raises:
        ConfigError: the file has no such line, or `models/` has no such version of the stack's model.
    """
    path = stack_file(root, stack)
    model = load(root, stack).get("model")
    known = sorted(entry.stem for entry in (root / "models" / model).glob("*.yaml")) if model else []
    if known and version not in known:
        raise ConfigError(f"models/{model} has no version {version}; it has {', '.join(known)}.")
    text = path.read_text()
    line = _VERSION_LINE.search(text)
    if line is None:
        raise ConfigError(f"{path.name} has no line `tts:modelVersion: ...`; write one below `config:`.")
    quote = line["quote"] or ("" if isinstance(yaml.safe_load(version), str) else '"')
    edited = f"{line['key']}{quote}{version}{quote}{line['rest']}"
    path.write_text(text[: line.start()] + edited + text[line.end() :])
    return line["value"]


class _TextLoader(yaml.SafeLoader):
    """Reads each number as it is written: the version 1.10 must not become 1.1."""


def _as_written(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


_TextLoader.add_constructor("tag:yaml.org,2002:float", _as_written)
_TextLoader.add_constructor("tag:yaml.org,2002:timestamp", _as_written)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
        written = yaml.load(path.read_text(), Loader=_TextLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path.name} must be a mapping with `config:` at its top.")
    # Top-level scalars are passed on as written; nested values keep their types, as in Pulumi.
    config, texts = document.get("config") or {}, written.get("config") or {}
    kept = {key: texts[key] if isinstance(value, float) else value for key, value in config.items()}
    return document | {"config": kept}


def _qualified(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

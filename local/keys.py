"""API keys: `make api-key` makes a caller's, shows it once, and keeps its sha256 in the stack's Secret."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from local.engine.cluster import Cluster
from local.engine.config import StackConfig, load
from local.engine.errors import ClusterError
from local.engine.kinds import Address, kind_of
from local.engine.platform import Platform
from local.engine.report import Report
from local.engine.target import Target
from local.errors import LocalError

KEYS, PROBE = "keys", "probe"
"""The entries of the Secret: a line `NAME SHA256` for each key, and the key of the stack's releases."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_KEY_BYTES = 32
FORBIDDEN = 403


class Kept(Protocol):
    """Where the Secret is."""

    def read(self) -> dict[str, str]:
        """Its entries, none where there is no such Secret."""

    def write(self, entries: Mapping[str, str]) -> None:
        """Makes it, or sets these entries of it."""


def api_key(target: Target, name: str, platform: Platform, report: Report, *, revoke: bool) -> int:
    """Make a key for `name`, or take all of its keys away; return the exit status.

    Raises:
        LocalError: the config names no Secret, the name is none, or there is nothing to take away.
    """
    if not _NAME.fullmatch(name):
        raise LocalError(f"{name!r} is no name of a key; use letters, digits, dots, _ and -.")
    namespace, secret = _place(target)
    kept = _kept(platform, namespace, secret)
    entries = kept.read()
    lines = entries.get(KEYS, "").splitlines()
    if revoke:
        left = [line for line in lines if line.split()[:1] != [name]]
        if left == lines:
            raise LocalError(f"The Secret {secret} in the namespace {namespace} has no key of {name}.")
        kept.write({KEYS: _text(left)})
        report.say(f"{name} is taken out of {secret}; servers see that within a minute or two.")
        return 0
    made = {} if entries.get(PROBE) and name != PROBE else {PROBE: _new()}
    mine = made[PROBE] if name == PROBE else _new()
    # An older key of a release stays: what runs may still know the older one alone.
    lines += [_line(PROBE, key) for key in made.values()] + ([_line(name, mine)] if name != PROBE else [])
    kept.write({KEYS: _text(lines), **made})
    if name == PROBE:
        report.say(f"The releases of {target.stack} have a new key, in {secret} of {namespace}.")
    else:
        report.say(f"{mine}\nThis is the key of {name}, shown this once. {secret} keeps its sha256 alone.")
    return 0


def check_keys(target: Target, config: StackConfig, platform: Platform) -> None:
    """Raises LocalError where the stack asks for API keys and its Secret lacks what servers and releases
    need: without it no pod of theirs would start."""
    secret = _secret(config)
    if not secret:
        return
    namespace = config.get("namespace") or "tts"
    try:
        entries = _kept(platform, namespace, secret).read()
    except ClusterError as error:
        if error.code != FORBIDDEN:
            raise
        return  # who may not read it may still bring the stack up
    missing = [entry for entry in (KEYS, PROBE) if not entries.get(entry)]
    if missing:
        raise LocalError(
            f"tts:apiKeys asks for API keys, but the Secret {secret} in the namespace {namespace} has no "
            f"{' and no '.join(missing)}: `make api-key NAME=you {target.words}` makes a key and the Secret."
        )


def own_key() -> dict[str, str]:
    """The header with the key of whoever runs a command here, from TTS_API_KEY; empty without one."""
    key = os.environ.get("TTS_API_KEY", "").strip()
    return {"authorization": f"Bearer {key}"} if key else {}


NO_KEY = (
    "The server asks for an API key: put one into TTS_API_KEY (`make api-key NAME=you` makes one where the "
    "stack is yours)."
)


def _place(target: Target) -> tuple[str, str]:
    """Namespace and name of the Secret that the config names."""
    config = load(target.root, target.stack, target.overrides)
    secret = _secret(config)
    if not secret:
        raise LocalError(
            f"The stack {target.stack} asks for no API keys; write into Pulumi.{target.stack}.yaml: "
            "tts:apiKeys: {secret: speech-keys}."
        )
    return config.get("namespace") or "tts", secret


def _secret(config: StackConfig) -> str:
    """The Secret that a stack names; empty where it names none, or where the program will say what is
    wrong."""
    try:
        keys = json.loads(config.get("apiKeys") or "{}")
    except ValueError:
        return ""
    return str(keys.get("secret") or "") if isinstance(keys, dict) else ""


def _kept(platform: Platform, namespace: str, secret: str) -> Kept:
    if platform.embedded:
        return Folder(platform.home.secrets / namespace / secret)
    return ClusterSecret(platform.cluster(), namespace, secret)


class Folder:
    """The Secret as the embedded platform keeps it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, str]:
        """See Kept.read."""
        files = sorted(self._folder.glob("[!.]*")) if self._folder.is_dir() else []
        return {file.name: file.read_text(encoding="utf-8") for file in files}

    def write(self, entries: Mapping[str, str]) -> None:
        """See Kept.write; nobody else may read them."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for key, value in entries.items():
            new = self._folder / f".{key}.new"
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
                stream.write(value)
            new.replace(self._folder / key)


class ClusterSecret:
    """The Secret of a cluster; entries that are not named stay as they are."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._manifest: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
        }
        self._entries: dict[str, str] = {}
        self._version = ""

    def read(self) -> dict[str, str]:
        """See Kept.read."""
        metadata = self._manifest["metadata"]
        address = Address(kind_of(self._manifest), metadata["namespace"], metadata["name"])
        found = self._cluster.get(address) or {}
        self._version = found.get("metadata", {}).get("resourceVersion", "")
        data = (found.get("data") or {}).items()
        self._entries = {key: base64.b64decode(value).decode() for key, value in data if key in (KEYS, PROBE)}
        return dict(self._entries)

    def write(self, entries: Mapping[str, str]) -> None:
        """See Kept.write. Raises ClusterError when somebody changed it since it was read."""
        # An entry that an apply leaves out would be taken away.
        whole = self._entries | dict(entries)
        data = {key: base64.b64encode(value.encode()).decode() for key, value in whole.items()}
        metadata = self._manifest["metadata"]
        if self._version:
            metadata = {**metadata, "resourceVersion": self._version}
        self._cluster.apply({**self._manifest, "metadata": metadata, "data": data}, force=True)


def _new() -> str:
    return f"tts-{secrets.token_urlsafe(_KEY_BYTES)}"


def _line(name: str, key: str) -> str:
    return f"{name} {hashlib.sha256(key.encode()).hexdigest()}"


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)

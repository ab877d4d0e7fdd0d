"""The catalog entry of a registered version: what its training says, what the version before said, what was
measured. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import yaml

from local.register.errors import RegisterError
from local.register.files import DESCRIPTION, ModelFile

Entry = dict[str, Any]
LEAST_BUDGET_SECONDS, MOST_BUDGET_SECONDS = 60, 3600
SAID = (
    *("engine", "license", "description", "sampleRate", "languages"),
    *("settings", "checks", "limits", "gate", "load"),
)
"""What a training output may say in place of what the version before says."""
DRAFT_PACE = 10.0
"""Characters a second, until it is measured."""
_DRAFT_MEMORY = "1Gi"
_LOAD_FACTOR, _LOAD_STEP = 3, 10
"""A node that reads its disk for the first time, with others beside it, is that much slower than this one."""
_MEMORY_FACTOR, _MEMORY_STEP = 1.25, 64
_UNITS = {
    "": 1,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
}
_MEMORY = re.compile(r"(\d+)([KMGT]i|[kMG]|)")


@dataclass(frozen=True)
class Measured:
    """Of one server on the machine that registers: from its start until it was ready, its memory at the most,
    its pace by the median."""

    load_seconds: float
    memory_bytes: int
    characters_per_second: float


def said_by(text: str, where: str) -> tuple[Entry, tuple[str, ...]]:
    """What register.yaml says of the version, and the patterns of the model's files. Raises RegisterError."""
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise RegisterError(f"{where} is not readable YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(document, dict):
        raise RegisterError(f"{where} is not a mapping of keys to values.")
    mistakes = []
    for key in document:
        if key not in (*SAID, "files"):
            near = difflib.get_close_matches(str(key), (*SAID, "files"), n=1)
            known = f"did you mean {near[0]}?" if near else f"known: files, {', '.join(SAID)}."
            mistakes.append(f"{where}: {key} is nothing that a training output says: {known}")
    files = document.pop("files", [])
    if not isinstance(files, list) or not all(isinstance(each, str) for each in files):
        mistakes.append(f"{where}: files is {files!r}: write a list of names, such as [model.safetensors].")
    if mistakes:
        raise RegisterError(*mistakes)
    return document, tuple(files)


def draft(
    model: str,
    version: str,
    said: Mapping[str, Any],
    before: Mapping[str, Any],
    *,
    artifacts: Sequence[Entry],
) -> Entry:
    """The entry before anything is measured; `before` is that of an earlier version, or empty."""
    known = {key: said.get(key, _inherited(key, before)) for key in SAID}
    load = dict(known.pop("load") or {})
    entry: Entry = {"model": model, "version": version}
    for key in ("engine", "license", "description", "sampleRate", "languages"):
        entry[key] = known[key]
    entry["artifacts"] = [dict(each) for each in artifacts]
    entry["load"] = {"budgetSeconds": MOST_BUDGET_SECONDS, "memory": load.get("memory") or _DRAFT_MEMORY}
    entry |= {
        "settings": known["settings"],
        "checks": known["checks"],
        "baseline": {"charactersPerSecond": DRAFT_PACE},
    }
    entry |= {"limits": known["limits"], "gate": known["gate"]}
    return {key: value for key, value in entry.items() if value is not None}


def _inherited(key: str, before: Mapping[str, Any]) -> Any:
    """What a version takes over. That the one before was slower on purpose says nothing of this one."""
    if key == "description":
        return "A version that training has written."
    value = before.get(key)
    if key == "limits" and isinstance(value, dict):
        return {name: limit for name, limit in value.items() if name != "firstAudioRatio"}
    return value


def artifact(file: ModelFile, source: str) -> Entry:
    """One file of the entry."""
    return {"path": file.path, "source": source, "size": file.size, "sha256": file.sha256}


def finished(
    entry: Mapping[str, Any], said: Mapping[str, Any], before: Mapping[str, Any], measured: Measured
) -> Entry:
    """The entry with what was measured. What somebody has written holds, unless this machine needed more.

    Raises RegisterError: register.yaml gives less time or memory than the server took."""
    own = said.get("load") or {}
    known = {**(before.get("load") or {}), **own}
    budget, memory = load_budget(measured.load_seconds), memory_of(measured.memory_bytes)
    mistakes = []
    if "budgetSeconds" in own and own["budgetSeconds"] < measured.load_seconds:
        mistakes.append(
            f"{DESCRIPTION}: load.budgetSeconds is {own['budgetSeconds']}, but here the server took "
            f"{measured.load_seconds:.1f} s: write at least {budget}."
        )
    if "memory" in own and memory_bytes(str(own["memory"])) < measured.memory_bytes:
        mistakes.append(
            f"{DESCRIPTION}: load.memory is {own['memory']}, but here the server took "
            f"{measured.memory_bytes / (1 << 20):.0f} MiB: write at least {memory}."
        )
    if mistakes:
        raise RegisterError(*mistakes)
    if "budgetSeconds" in known:
        budget = (
            int(known["budgetSeconds"]) if "budgetSeconds" in own else max(budget, known["budgetSeconds"])
        )
    if "memory" in known and ("memory" in own or memory_bytes(str(known["memory"])) >= memory_bytes(memory)):
        memory = str(known["memory"])
    pace = {"charactersPerSecond": round(measured.characters_per_second, 1)}
    return {**entry, "load": {"budgetSeconds": budget, "memory": memory}, "baseline": pace}


def load_budget(seconds: float) -> int:
    """What a server may take from its start until it is ready, after it took `seconds` here."""
    steps = ceil(seconds * _LOAD_FACTOR / _LOAD_STEP)
    return min(max(steps * _LOAD_STEP, LEAST_BUDGET_SECONDS), MOST_BUDGET_SECONDS)


def memory_of(measured: int) -> str:
    """What a pod asks for, after its server took `measured` bytes here: for instance 448Mi."""
    return f"{ceil(measured * _MEMORY_FACTOR / (_MEMORY_STEP << 20)) * _MEMORY_STEP}Mi"


def memory_bytes(text: str) -> int:
    """The bytes of an amount such as 512Mi; 0 for none, which the catalog refuses itself."""
    match = _MEMORY.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else 0


def written(entry: Mapping[str, Any], comment: Sequence[str]) -> str:
    """The entry as its file holds it, `comment` above it."""

    body = yaml.dump(dict(entry), Dumper=_Indented, sort_keys=False, allow_unicode=True, width=100)
    return "".join(f"# {line}\n" for line in comment) + body


class _Indented(yaml.SafeDumper):
    """Lists one step to the right of their keys, as in the entries that people write."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

"""Label and field selectors of the Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from typing import Any

from local.node.errors import bad_request

Match = Callable[[dict[str, Any]], bool]
SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")
FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "involvedObject.kind",
    "involvedObject.name",
    "reason",
    "type",
)
EQUAL = re.compile(r"^([^\s!=]+)\s*(==|!=|=)\s*(\S*)$")


def matcher(labels: str, fields: str) -> Match:
    """A predicate over objects for a labelSelector and a fieldSelector; an unknown selector is a 400."""
    requirements = [_label(part.strip()) for part in re.split(r",(?![^(]*\))", labels) if part.strip()]
    requirements += [_field(part.strip()) for part in fields.split(",") if part.strip()]
    return lambda item: all(requirement(item) for requirement in requirements)


def has_labels(item: dict[str, Any], wanted: dict[str, str]) -> bool:
    labels: dict[str, str] = item.get("metadata", {}).get("labels", {})
    return bool(wanted) and wanted.items() <= labels.items()


def _label(part: str) -> Match:
    def value(item: dict[str, Any], key: str) -> Any:
        return item.get("metadata", {}).get("labels", {}).get(key)

    if found := SET.match(part):
        key, operator, listed = found.groups()
        values = {word.strip() for word in listed.split(",")}
        return lambda item: (value(item, key) in values) == (operator == "in")
    if found := EQUAL.match(part):
        key, operator, wanted = found.groups()
        return lambda item: (value(item, key) == wanted) == (operator != "!=")
    if re.fullmatch(r"!?[\w./-]+", part):
        key = part.removeprefix("!")
        return lambda item: (value(item, key) is None) == part.startswith("!")
    raise bad_request(f"The label selector {part} cannot be read.")


def _field(part: str) -> Match:
    found = EQUAL.match(part)
    if not found or found[1] not in FIELDS:
        raise bad_request(f"The field selector {part} is unknown; use one of {', '.join(FIELDS)}.")
    parts, operator, wanted = found[1].split("."), found[2], found[3]
    return lambda item: (reduce(_below, parts, item) == wanted) == (operator != "!=")


def _below(value: Any, key: str) -> Any:
    return value.get(key, {}) if isinstance(value, dict) else {}

"""Other projects' own CRDs (`shrink.py` has made the files) -> what is wrong with a manifest, as the API
server says it with --validate=strict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

HERE = Path(__file__).parent


def mistakes(manifest: dict[str, Any]) -> list[str]:
    """Unknown fields, missing ones, and those of another type; each with its place."""
    crd = read(manifest["kind"])
    assert manifest["apiVersion"] == f"{crd['group']}/{crd['version']}"
    validator = Draft202012Validator(_strict({**crd["schema"], "$defs": crd["$defs"]}))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


def read(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{kind.lower()}.json").read_text())
    return found


def whole(kind: str) -> dict[str, Any]:
    """The CRD as a cluster takes it."""
    crd = read(kind)
    names = crd["names"]
    version = {
        "name": crd["version"],
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _spread(crd["schema"], crd["$defs"])},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{crd['group']}"},
        "spec": {"group": crd["group"], "names": names, "scope": crd["scope"], "versions": [version]},
    }


def _strict(value: Any) -> Any:
    """JSON Schema's words for Kubernetes' own."""
    if isinstance(value, list):
        return [_strict(each) for each in value]
    if not isinstance(value, dict):
        return value
    strict = {key: _strict(each) for key, each in value.items()}
    if strict.get("x-kubernetes-int-or-string") is True:
        strict["type"] = ["integer", "string"]
    open_ended = strict.get("x-kubernetes-preserve-unknown-fields") is True
    if isinstance(strict.get("properties"), dict) and strict.get("type") == "object" and not open_ended:
        strict.setdefault("additionalProperties", False)
    return strict


def _spread(value: Any, parts: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_spread(each, parts) for each in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _spread(parts[value["$ref"].rpartition("/")[2]], parts)
    return {key: _spread(each, parts) for key, each in value.items()}

"""The CustomResourceDefinitions of prometheus-operator, and what they refuse.

As they stand, an API server takes them. Here jsonschema holds manifests to their schemas, and a field that
they do not name is refused, as by `kubectl --validate=strict`. They are kept in the checkout so that every
test run holds to them; reduced (tests/monitoring/reduce_crds.py), since whole they are a megabyte, most of it
descriptions and receivers that nobody uses here."""

import json
from pathlib import Path
from typing import Any

import jsonschema

CRDS = Path(__file__).parent / "crds"
Manifest = dict[str, Any]


def definitions() -> dict[str, Manifest]:
    """Kind -> its CustomResourceDefinition."""
    found = [json.loads(path.read_text()) for path in sorted(CRDS.glob("*.json"))]
    return {each["spec"]["names"]["kind"]: each for each in found}


def mistakes(manifest: Manifest, definition: Manifest) -> list[str]:
    """What is wrong with a manifest, each with the path of its field."""
    spec = definition["spec"]
    (version,) = spec["versions"]
    wanted = f"{spec['group']}/{version['name']}"
    if manifest["apiVersion"] != wanted:
        return [f"apiVersion: {manifest['apiVersion']} is not {wanted}"]
    schema = _closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    found = jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def _closed(schema: Any) -> Any:
    """A schema in which an object has the named fields and no other."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in schema and "type" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    return closed

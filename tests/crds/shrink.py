"""`python tests/crds/shrink.py CRD.yaml SOURCE > NAME.json`: a project's own CRD without its prose, each part
that is said several times said once. What it takes and refuses is the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

_PROSE = ("description", "externalDocs", "example", "title")
_LEAST = 200
"""Characters of a part that are worth a name."""


def shrink(crd: dict[str, Any], source: str) -> dict[str, Any]:
    """The names of the CRD and the schema of its served version, the shared parts below `$defs`."""
    (version,) = [each for each in crd["spec"]["versions"] if each["served"]]
    shared: dict[str, tuple[str, Any]] = {}
    schema = _shared(_plain(version["schema"]["openAPIV3Schema"]), shared)
    return {
        "source": source,
        "group": crd["spec"]["group"],
        "version": version["name"],
        "scope": crd["spec"]["scope"],
        "names": {key: crd["spec"]["names"][key] for key in ("kind", "listKind", "plural", "singular")},
        "$defs": dict(shared.values()),
        "schema": schema,
    }


def _plain(value: Any, *, names: bool = False) -> Any:
    """Without prose; `names`: the keys are those of properties, of which one may be called description."""
    if isinstance(value, dict):
        kept = value if names else {key: each for key, each in value.items() if key not in _PROSE}
        return {key: _plain(each, names=not names and key == "properties") for key, each in kept.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _shared(value: Any, shared: dict[str, tuple[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_shared(each, shared) for each in value]
    if not isinstance(value, dict):
        return value
    small = {key: _shared(each, shared) for key, each in value.items()}
    text = json.dumps(small, sort_keys=True)
    if "type" not in small or not isinstance(small["type"], str) or len(text) < _LEAST:
        return small
    name = shared.setdefault(text, (str(len(shared)), small))[0]
    return {"$ref": f"#/$defs/{name}"}


if __name__ == "__main__":
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    # A plain `=` is a text: an operator among the values of an enumeration.
    loader.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: node.value)
    document = yaml.load(Path(sys.argv[1]).read_text(), Loader=loader)
    print(json.dumps(shrink(document, sys.argv[2]), separators=(",", ":")))

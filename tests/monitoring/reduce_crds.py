"""Writes tests/monitoring/crds from a checkout of prometheus-operator: its CustomResourceDefinitions without
descriptions, at the versions that the program declares; of AlertmanagerConfig the receivers of Slack alone.

    python -m tests.monitoring.reduce_crds CHECKOUT
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parent / "crds"
FOLDER = "example/prometheus-operator-crd"
VERSIONS = {
    "servicemonitors": "v1",
    "podmonitors": "v1",
    "prometheusrules": "v1",
    "alertmanagerconfigs": "v1alpha1",
}


class _Loader(yaml.SafeLoader):
    """Takes a plain `=`, an operator of matchers, as the text that it is."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)
_RECEIVER = {"name", "slackConfigs"}
_SPEC = {"route", "receivers"}


def main(checkout: str) -> None:
    """Writes all of them, each with where it is from."""
    commit = _git(checkout, "rev-parse", "HEAD").strip()
    release = _git(checkout, "show", "HEAD:VERSION").strip()
    for plural, version in VERSIONS.items():
        text = _git(checkout, "show", f"HEAD:{FOLDER}/monitoring.coreos.com_{plural}.yaml")
        reduced = _reduced(yaml.load(text, _Loader), version)
        reduced["metadata"]["annotations"] = {
            "tts/source": f"github.com/prometheus-operator/prometheus-operator {release} ({commit})",
            "tts/license": "Apache-2.0",
            "tts/changed": "reduced by tests/monitoring/reduce_crds.py",
        }
        (CRDS / f"{plural}.json").write_text(
            json.dumps(reduced, separators=(",", ":"), sort_keys=True) + "\n"
        )


def _git(checkout: str, *words: str) -> str:
    return subprocess.run(["git", "-C", checkout, *words], capture_output=True, text=True, check=True).stdout


def _reduced(crd: dict[str, Any], version: str) -> dict[str, Any]:
    spec = crd["spec"]
    (kept,) = [each for each in spec["versions"] if each["name"] == version]
    schema = _bare(kept["schema"]["openAPIV3Schema"])
    if spec["names"]["kind"] == "AlertmanagerConfig":
        own = schema["properties"]["spec"]["properties"]
        schema["properties"]["spec"]["properties"] = {key: own[key] for key in sorted(_SPEC)}
        receiver = own["receivers"]["items"]
        receiver["properties"] = {key: receiver["properties"][key] for key in sorted(_RECEIVER)}
    return {
        "apiVersion": crd["apiVersion"],
        "kind": crd["kind"],
        "metadata": {"name": crd["metadata"]["name"]},
        "spec": {
            "group": spec["group"],
            "names": spec["names"],
            "scope": spec["scope"],
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def _bare(schema: Any) -> Any:
    """A schema without its descriptions; a property may be called `description`."""
    if isinstance(schema, list):
        return [_bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _bare(each) for name, each in value.items()} if key == "properties" else _bare(value)
        for key, value in schema.items()
        if key != "description"
    }


if __name__ == "__main__":
    main(sys.argv[1])

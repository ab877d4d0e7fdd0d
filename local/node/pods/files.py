"""The files of a pod: its volumes, and where the paths of its container lie on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True)
class PathMap:
    """Paths of the container and where they are: mounts and the termination message first, then the image."""

    rootfs: Path
    places: dict[str, Path]

    def word(self, word: str) -> str:
        """A word of a command or environment, rewritten when it begins with a path of the container."""
        if not word.startswith("/"):
            return word
        for inside in sorted(self.places, key=len, reverse=True):
            if word == inside or word.startswith(inside.rstrip("/") + "/"):
                return str(self.places[inside]) + word[len(inside.rstrip("/")) :]
        top = word.split("/")[1].split(":", maxsplit=1)[0]
        return str(self.rootfs) + word if top and (self.rootfs / top).exists() else word


def path_map(pod: dict[str, Any], folder: Path, rootfs: Path) -> PathMap:
    """The places of a pod whose files lie in `folder`."""
    container = pod["spec"]["containers"][0]
    places = {
        mount["mountPath"]: folder / "volumes" / mount["name"] for mount in container.get("volumeMounts", [])
    }
    places[container.get("terminationMessagePath", TERMINATION_LOG)] = folder / "termination-message"
    return PathMap(rootfs, places)


def write_volumes(pod: dict[str, Any], folder: Path, config_maps: dict[str, dict[str, str]]) -> str | None:
    """Write a pod's volumes below `folder`; `config_maps` gives data by name. Answers what is missing."""
    for volume in pod["spec"].get("volumes", []):
        target = folder / "volumes" / volume["name"]
        source = volume.get("configMap")
        if source is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        data = config_maps.get(source["name"])
        if data is None and not source.get("optional"):
            return f'configmap "{source["name"]}" not found'
        items = source.get("items") or [{"key": key, "path": key} for key in data or {}]
        missing = [item["key"] for item in items if item["key"] not in (data or {})]
        if missing and not source.get("optional"):
            return f'configmap "{source["name"]}" has no key {", ".join(missing)}'
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for item in items:
            file = target / item["path"]
            if not file.resolve().is_relative_to(target.resolve()):
                return f'the path "{item["path"]}" leaves the volume "{volume["name"]}"'
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text((data or {}).get(item["key"], ""), encoding="utf-8")
            file.chmod(0o444)
    return None

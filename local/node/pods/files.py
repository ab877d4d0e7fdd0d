"""The files of a pod: its volumes, and where the paths of its container lie on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.node.pods import secrets as kept_secrets

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


@dataclass(frozen=True)
class Sources:
    """What volumes and variables are filled from, of one namespace: ConfigMaps by name, a folder for each
    claim, made when it is first named, and one for each Secret."""

    config_maps: dict[str, dict[str, str]]
    claims: Path
    secrets: Path


def write_volumes(pod: dict[str, Any], folder: Path, sources: Sources) -> str | None:
    """Write a pod's volumes below `folder`. Answers what is missing."""
    for volume in pod["spec"].get("volumes", []):
        target = folder / "volumes" / volume["name"]
        if claim := volume.get("persistentVolumeClaim"):
            _link_claim(target, sources.claims / claim["claimName"])
            continue
        if kept := volume.get("secret"):
            if problem := kept_secrets.write_volume(target, sources.secrets, kept):
                return problem
            continue
        source = volume.get("configMap")
        if source is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        if problem := _missing(source, sources.config_maps.get(source["name"])):
            return problem
        shutil.rmtree(target, ignore_errors=True)
        if problem := _write(target, source, sources.config_maps.get(source["name"]) or {}):
            return problem
    return None


def follow_config_maps(
    pod: dict[str, Any], folder: Path, old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]
) -> None:
    """Write the volumes anew whose ConfigMap has changed, as a kubelet does while a pod runs."""
    for volume in pod["spec"].get("volumes", []):
        source = volume.get("configMap")
        if source is None or old.get(source["name"]) == new.get(source["name"]):
            continue
        data = new.get(source["name"])
        if _missing(source, data) is None:
            _write(folder / "volumes" / volume["name"], source, data or {})


def _missing(source: dict[str, Any], data: dict[str, str] | None) -> str | None:
    if source.get("optional"):
        return None
    if data is None:
        return f'configmap "{source["name"]}" not found'
    missing = [item["key"] for item in source.get("items", ()) if item["key"] not in data]
    return f'configmap "{source["name"]}" has no key {", ".join(missing)}' if missing else None


def _write(target: Path, source: dict[str, Any], data: dict[str, str]) -> str | None:
    """Each file at once, since somebody may be reading; answers what cannot be written."""
    target.mkdir(parents=True, exist_ok=True)
    items = source.get("items") or [{"key": key, "path": key} for key in data]
    wanted = {target / item["path"]: data.get(item["key"], "") for item in items}
    for file, text in wanted.items():
        if not file.resolve().is_relative_to(target.resolve()):
            return f'the path "{file.relative_to(target)}" leaves the volume "{target.name}"'
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o444)
        new.replace(file)
    for file in target.rglob("*"):
        if file.is_file() and file not in wanted:
            file.unlink()
    return None


def _link_claim(target: Path, kept: Path) -> None:
    """Lead a volume to a folder that stays when the pod goes."""
    kept.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_symlink():
        target.symlink_to(kept, target_is_directory=True)

"""What a pod's process is started with: its words, environment and folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.images import Image
from local.node.pods import secrets as kept_secrets
from local.node.pods.files import PathMap, Sources

KEPT = ("HOME", "LANG", "TZ")
IDENTITY = "AWS_"  # a pod's identity in the cloud is that of whoever started the platform


@dataclass(frozen=True)
class Command:
    words: list[str]
    env: dict[str, str]
    folder: Path


class MissingValueError(Exception):
    """A variable refers to a ConfigMap, a Secret or a key of one that does not exist."""


def command(
    pod: dict[str, Any],
    image: Image,
    paths: PathMap,
    *,
    address: str,
    kubeconfig: Path,
    sources: Sources,
) -> Command:
    """The process of a pod; raises MissingValueError."""
    container = pod["spec"]["containers"][0]
    words = list(container.get("command") or image.config.entrypoint)
    words += container.get("args") or (() if container.get("command") else image.config.cmd)
    env = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(IDENTITY)}
    env["PATH"] = f"{Path(image.config.python).parent}:{os.environ.get('PATH', os.defpath)}"
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "TTS_BIND": address}
    if pod["spec"].get("serviceAccountName") and pod["spec"].get("automountServiceAccountToken", True):
        env["KUBECONFIG"] = str(kubeconfig)
    declared, hidden = {}, {}
    for item in container.get("env", []):
        if reference := item.get("valueFrom", {}).get("secretKeyRef"):
            if (value := _secret(reference, sources.secrets)) is not None:
                hidden[item["name"]] = value
        else:
            declared[item["name"]] = _value(item, pod, address, sources.config_maps)
    image_env = {name: value for name, value in image.config.env.items() if name != "PATH"}
    env |= {name: paths.word(value) for name, value in (image_env | declared).items()}
    env |= hidden  # whatever it looks like, a secret is no path
    # Pods declare where they listen for a network of their own; here they share one.
    env["TTS_BIND"] = address
    folder = Path(paths.word(container.get("workingDir") or image.config.workdir or "/"))
    if folder == Path("/"):
        folder = paths.rootfs
    return Command(executable_words(words, image, paths), env, folder)


def executable_words(words: list[str], image: Image, paths: PathMap) -> list[str]:
    """Words with the environment's Python in front where they ask for `python`, and paths of this machine."""
    if words and Path(words[0]).name in ("python", "python3"):
        words = [image.config.python, *words[1:]]
        return [words[0], *(paths.word(word) for word in words[1:])]
    return [paths.word(word) for word in words]


def _secret(reference: dict[str, Any], secrets: Path) -> str | None:
    """An entry of a Secret; None for an optional one that is not there."""
    found = kept_secrets.value(secrets, reference)
    if found is None and not reference.get("optional"):
        raise MissingValueError(kept_secrets.missing(secrets, reference["name"], [reference["key"]]))
    return found


def _value(
    item: dict[str, Any], pod: dict[str, Any], address: str, config_maps: dict[str, dict[str, str]]
) -> str:
    source = item.get("valueFrom", {})
    if field := source.get("fieldRef", {}).get("fieldPath"):
        metadata = pod["metadata"]
        known = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "status.podIP": address,
        }
        return str(known[field])
    if reference := source.get("configMapKeyRef"):
        data = config_maps.get(reference["name"], {})
        if reference["key"] not in data:
            raise MissingValueError(f'configmap "{reference["name"]}" has no key {reference["key"]}')
        return data[reference["key"]]
    return str(item.get("value", ""))

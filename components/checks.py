"""What single values of a stack's configuration must look like; each check returns what is wrong, or None."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from components.catalog import Catalog
from components.quantity import is_cpu, memory_bytes

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_REPOSITORY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_URL = re.compile(_ADDRESS.pattern + r"(/[A-Za-z0-9._~-]+)*/?")
_PLATFORM = re.compile(r"linux/(amd64|arm64)")


def known_model(value: str, catalog: Catalog) -> str | None:
    models = catalog.models()
    if value in models:
        return None
    near = difflib.get_close_matches(value, models, n=1)
    remedy = f"did you mean {near[0]}?" if near else f"known: {', '.join(models) or 'none'}."
    return f"which is not in the catalog: {remedy}"


def dns_label(value: str) -> str | None:
    if _LABEL.fullmatch(value):
        return None
    return "which is no DNS label: use at most 63 of a-z, 0-9 and -, with - only between them."


def gateway(value: str) -> str | None:
    parts = value.split("/")
    if len(parts) == 2 and all(_LABEL.fullmatch(part) for part in parts):
        return None
    return "which names no gateway: write <namespace>/<name>, or leave it empty for the stack's own."


def host(value: str) -> str | None:
    if value == "*" or (len(value) <= 253 and all(_LABEL.fullmatch(part) for part in value.split("."))):
        return None
    return 'which is no host name: write one such as tts.example.com, or "*" for any.'


def address(value: str) -> str | None:
    return (
        None
        if _ADDRESS.fullmatch(value)
        else "which is no address: write http://<host>:<port> without a path."
    )


def prometheus_url(value: str) -> str | None:
    if _URL.fullmatch(value):
        return None
    return (
        "which is no address of a Prometheus: write http://<host>:<port>[/<path>], "
        "without a password or a query."
    )


def object_name(value: str) -> str | None:
    if len(value) <= 253 and all(_LABEL.fullmatch(part) for part in value.split(".")):
        return None
    return "which is no name of an object in Kubernetes: use a-z, 0-9, - and dots."


def secret_name(value: str) -> str | None:
    return (
        "which is no name of a Kubernetes Secret: use a-z, 0-9, - and dots." if object_name(value) else None
    )


def registry(value: str) -> str | None:
    if "://" in value:
        return "which begins with a scheme: image names have none, so write only the host and path."
    if _REPOSITORY.fullmatch(value):
        return None
    return (
        "which is no place for images: write <host>[:<port>][/<path>] in lower case, "
        "without a tag or a / at the end."
    )


def digest(value: str) -> str | None:
    return (
        None
        if _DIGEST.fullmatch(value)
        else "which is no digest: write sha256: and its 64 hexadecimal digits."
    )


def image_by_digest(value: str) -> str | None:
    name, _, named = value.partition("@")
    if name and digest(named) is None:
        return None
    return "which names no image by its digest: write <repository>:<tag>@sha256:<64 hexadecimal digits>."


def base_image(value: str) -> str | None:
    tag = value.rpartition("/")[2].partition(":")[2]
    if "@sha256:" in value or (tag and tag != "latest"):
        return None
    return "which may be another image tomorrow: name a tag other than latest, or better a digest."


def platform(value: str) -> str | None:
    return (
        None
        if _PLATFORM.fullmatch(value)
        else "which the server has no wheels for: write linux/amd64 or linux/arm64."
    )


def cpu(value: str) -> str | None:
    return None if is_cpu(value) else "which is no amount of processor time: write it as 500m or 2."


def storage(value: str) -> str | None:
    return None if memory_bytes(value) else "which is no amount of storage: write it as 512Mi or 4Gi."


def holds_secret(value: Any) -> bool:
    """Whether a value is, or holds, one that Pulumi encrypts (`secure: ...`)."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    if isinstance(value, Mapping):
        return "secure" in value or any(holds_secret(item) for item in value.values())
    return isinstance(value, list) and any(holds_secret(item) for item in value)


def secret_mistake(key: str) -> str:
    return (
        f"{key} is a secret value, but no setting takes one, so that none reaches the state, the logs or "
        "an image: name a Kubernetes Secret instead, log in to registries with a credential helper, and let "
        "pods reach object stores by their own identity."
    )


def without_repeats(mistakes: Sequence[str]) -> list[str]:
    """The mistakes in order, each key that holds a secret named only once and as that."""
    secret = [sentence.partition(" ")[0] for sentence in mistakes if " is a secret value, " in sentence]
    kept: list[str] = []
    for sentence in mistakes:
        key = sentence.partition(" ")[0]
        repeat = any(key == each or key.startswith((f"{each}.", f"{each}[")) for each in secret)
        if sentence not in kept and (not repeat or " is a secret value, " in sentence):
            kept.append(sentence)
    return kept

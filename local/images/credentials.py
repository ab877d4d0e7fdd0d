"""Logins of registries, as `docker login` keeps them: in a file or with a credential helper."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from local.images.errors import ImageError

_DOCKER_HUB = "https://index.docker.io/v1/"


def login(registry: str) -> tuple[str, str] | None:
    """Return user and password for a registry, None where nobody has logged in.

    Raises ImageError when a credential helper is named and cannot be asked.
    """
    config = _config()
    key = _DOCKER_HUB if registry == "docker.io" else registry
    helper = config.get("credHelpers", {}).get(key) or config.get("credsStore")
    if helper:
        return _ask(f"docker-credential-{helper}", key)
    encoded = config.get("auths", {}).get(key, {}).get("auth")
    if not encoded:
        return None
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return user, password


def _config() -> dict[str, Any]:
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ImageError(f"Docker's logins in {folder / 'config.json'} cannot be read: {error}") from error


def _ask(helper: str, key: str) -> tuple[str, str] | None:
    try:
        asked = subprocess.run([helper, "get"], input=key, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ImageError(
            f"The credential helper {helper}, which Docker's config names, cannot be run: {error.strerror}."
        ) from error
    if asked.returncode != 0:  # it has none for this registry
        return None
    answer = json.loads(asked.stdout)
    return str(answer["Username"]), str(answer["Secret"])

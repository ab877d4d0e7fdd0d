"""`make export-records`: the stack's records as a data set, from where the stack's config keeps them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.engine.config import load
from local.engine.platform import Platform
from local.engine.target import Target
from local.errors import LocalError


def export_records(target: Target, out: Path, platform: Platform, options: Sequence[str]) -> int:
    """Write the data set into `out` and return the exit status; `options` are words of
    `python -m serving.dataset`.

    Raises:
        LocalError: the config names no store, or one that this machine cannot read.
    """
    config = load(target.root, target.stack, target.overrides)
    store = _store(config.get("store"), target.stack)
    words = [sys.executable, "-m", "serving.dataset"]
    if store.get("bucket"):
        prefix = f"/{store['prefix']}" if store.get("prefix") else ""
        words.append(f"s3://{store['bucket']}{prefix}")
        for option, value in (("--endpoint", store.get("endpoint")), ("--region", store.get("region"))):
            options = [*options, option, str(value)] if value else options
    elif platform.embedded:
        words.append(str(platform.home.claims / (config.get("namespace") or "tts") / str(store["claim"])))
        options = [*options, "--prefix", str(store["prefix"])] if store.get("prefix") else options
    else:
        raise LocalError(
            f"The records are on the claim {store['claim']}, which this machine cannot read: run "
            "`python -m serving.dataset /store MODEL OUT` in a pod that mounts it, such as a server's."
        )
    command = [*words, config.get("model"), str(out.resolve()), *options]
    return subprocess.run(command, cwd=target.root, check=False).returncode


def _store(text: str, stack: str) -> dict[str, Any]:
    try:
        store = json.loads(text or "{}")
    except ValueError:
        store = {}
    if not isinstance(store, dict) or not (store.get("bucket") or store.get("claim")):
        raise LocalError(
            f"tts:store of the stack {stack} names no place that could have records; write into "
            f"Pulumi.{stack}.yaml: tts:store: {{claim: ...}} or a bucket, and tts:records: {{days: 90}}."
        )
    return store

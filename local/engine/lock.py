"""One command at a time changes a stack."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from local.engine.errors import LockedError


@contextmanager
def hold(folder: Path, stack: str) -> Iterator[None]:
    """Hold the stack's lock file in `folder`; the kernel frees it when the process ends, however it ends.

    Raises:
        LockedError: another process holds it; the sentence says who, and since when.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{stack}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(_sentence(file.name, stack)) from None
        file.truncate(0)
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        json.dump({"pid": os.getpid(), "user": getpass.getuser(), "since": since}, file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _sentence(path: str, stack: str) -> str:
    try:
        holder = json.loads(Path(path).read_text())
        who = f"process {holder['pid']} of {holder['user']}, since {holder['since']}"
    except (ValueError, KeyError):
        who = "a process that has just begun"
    return f"Stack {stack} is being changed by {who}; wait until it ends, or end it, and run this again."

"""Recordings that callers send, read in processes of their own, a few at a time."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np

from serving.errors import RequestError
from serving.voices.checks import Finding
from serving.voices.reading import REFUSED
from serving.voices.unpack import About, Samples, UnreadableError, container_of

_SECONDS = 30.0
_AT_ONCE, _WAITING = 2, 8
_ROOT = Path(__file__).parents[2]
# The keys of the store and of the platform are in the environment: a process that reads what strangers send
# gets none of them. One thread, since each takes addresses.
_HANDED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG")
_OWN = {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording that can be used: mono samples, shape [samples], at the rate that was asked for, what the
    file was, and what its sender should know of it."""

    samples: Samples
    about: About
    findings: tuple[Finding, ...]


class Decoder:
    """Reads a few recordings at a time; a few more wait. It belongs to one event loop."""

    def __init__(self) -> None:
        self._limiter: anyio.CapacityLimiter | None = None
        self._held = 0

    async def read(self, content: bytes, *, rate: int, seconds: tuple[float, float]) -> Recording:
        """See `read_apart`. Raises RequestError (429) where too many others wait."""
        if self._held >= _AT_ONCE + _WAITING:
            raise RequestError(
                "The server is reading as many recordings as it can; send this one again in a moment.",
                status=429,
                code="queue_full",
                headers={"retry-after": "2"},
            )
        if self._limiter is None:  # it belongs to the running event loop
            self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._held += 1
        try:
            return await anyio.to_thread.run_sync(
                lambda: read_apart(content, rate=rate, seconds=seconds), limiter=self._limiter
            )
        finally:
            self._held -= 1


def read_apart(content: bytes, *, rate: int, seconds: tuple[float, float]) -> Recording:
    """Decodes and checks a file, in another process; `seconds`: how short and how long it may be. Raises
    UnreadableError, also where that process breaks."""
    container_of(content)  # most of what is no recording is known without a process
    environ = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    command = [sys.executable, "-m", "serving.voices.reading", *map(str, (rate, *seconds))]
    try:
        done = subprocess.run(
            command,
            cwd=_ROOT,
            env=environ | _OWN,
            input=content,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _too_much() from None
    if done.returncode == REFUSED:
        raise UnreadableError(done.stdout.decode())
    if done.returncode != 0:
        raise _too_much()
    line, _, samples = done.stdout.partition(b"\n")
    found = json.loads(line)
    return Recording(
        samples=np.frombuffer(samples, dtype="<f4"),
        about=About(**found["about"]),
        findings=tuple(Finding(**each) for each in found["findings"]),
    )


def _too_much() -> UnreadableError:
    return UnreadableError(
        "The recording cannot be read with the time and the memory that there are for it; save it as a plain "
        "wav and send that."
    )

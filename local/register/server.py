"""A server of the version that is being registered, on this machine: how long it loads, what it takes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from local.register.errors import RegisterError

_LOOK_SECONDS = 0.05
_END_SECONDS = 20.0


@dataclass(frozen=True)
class Server:
    """One that is ready, after `load_seconds`."""

    address: str
    pid: int
    load_seconds: float

    @property
    def memory_bytes(self) -> int:
        """Its memory at the most so far."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("VmHWM:"))


@contextmanager
def running(
    python: Path, root: Path, inference: Mapping[str, Any], files: Path, *, folder: Path, seconds: float
) -> Iterator[Server]:
    """A server of `files` from its first second until the block ends; `folder` keeps its config and log.

    Raises RegisterError: it ended, or is not ready after `seconds`; with its own sentence."""
    config, log, word = folder / "inference.json", folder / "server.log", folder / "termination-log"
    config.write_text(json.dumps(inference), encoding="utf-8")
    port = _free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TTS_")} | {
        "TTS_CONFIG": str(config),
        "TTS_MODEL_DIR": str(files),
        "TTS_BIND": "127.0.0.1",
        "TTS_PORT": str(port),
        "TTS_TERMINATION_LOG": str(word),
    }
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            [str(python), "-m", "serving"], cwd=root, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/readyz", seconds=seconds, log=log, word=word)
            yield Server(f"127.0.0.1:{port}", process.pid, time.monotonic() - began)
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, *, seconds: float, log: Path, word: Path) -> None:
    end = time.monotonic() + seconds
    with httpx2.Client(trust_env=False, timeout=5.0) as client:
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RegisterError(
                    f"The server of the new version ended while it loaded: {_reason(log, word)}"
                )
            with suppress(httpx2.HTTPError):
                if client.get(url).status_code == httpx2.codes.OK:
                    return
            time.sleep(_LOOK_SECONDS)
    raise RegisterError(f"The server of the new version was not ready after {seconds:g} s.")


def _reason(log: Path, word: Path) -> str:
    """Its own last sentence, or the last line of its log."""
    for path in (word, log):
        with suppress(OSError):
            if lines := path.read_text(encoding="utf-8", errors="replace").strip().splitlines():
                return lines[-1]
    return "it said nothing."


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

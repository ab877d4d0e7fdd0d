"""The node's daemon from outside: started when needed, asked whether it runs, stopped without a trace."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from local.home import CHECKOUT, Home
from local.node import procfs, state
from local.node.errors import NodeError
from local.node.process import end_leftovers

START_LIMIT = 30.0  # seconds
PORT_LIMIT = 3.0  # seconds
STOP_LIMIT = 60.0  # seconds for all pods to end; then they are killed
LOG_LIMIT = 5 << 20  # bytes of the daemon's log that are kept at a start


def ensure_running(home: Home) -> None:
    """Start the daemon of a home unless it runs; returns when it is ready, raises NodeError."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise NodeError(
            f"The embedded platform runs on Linux x86-64 only (also under WSL2), not on {system} {machine}."
        )
    with _locked(home):
        if is_running(home):
            return
        _end(home)
        _check_port(home.gateway_port)
        log = state.folder(home) / "node.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.unlink()
        offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.node"],
                cwd=CHECKOUT,
                env=os.environ | {"TTS_HOME": str(home.root), "TTS_GATEWAY_PORT": str(home.gateway_port)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        state.record_daemon(home, process.pid)
        _wait_ready(home, process, log, offset)


def is_running(home: Home) -> bool:
    """Whether the daemon lives, answers and its gateway is up."""
    return state.daemon_pid(home) is not None and _answers(home)


def stop(home: Home) -> None:
    """End the daemon, all pods and the gateway; none of them runs or listens afterwards. Objects are kept."""
    if state.folder(home).is_dir():
        with _locked(home):
            _end(home)


def _end(home: Home) -> None:
    pid = state.daemon_pid(home)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not _gone(pid, STOP_LIMIT):
            os.kill(pid, signal.SIGKILL)
            _gone(pid, 10)
    end_leftovers(state.folder(home) / "processes")
    (state.folder(home) / "daemon.json").unlink(missing_ok=True)


def _gone(pid: int, limit: float) -> bool:
    end = time.monotonic() + limit
    while procfs.start_time(pid) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # where this process had started it
    return True


def _wait_ready(home: Home, process: subprocess.Popen[bytes], log: Path, offset: int) -> None:
    end = time.monotonic() + START_LIMIT
    while not _answers(home):
        if process.poll() is not None or time.monotonic() > end:
            text = log.read_bytes()[offset:].decode(errors="replace")
            lines = "\n".join(text.splitlines()[-15:])
            what = (
                "ended while it started"
                if process.returncode is not None
                else f"was not ready after {START_LIMIT:g} s"
            )
            if process.returncode is None:
                _end(home)
            raise NodeError(f"The embedded node {what}; the last lines of {log}:\n{lines}")
        time.sleep(0.05)


def _answers(home: Home) -> bool:
    known = state.credentials(home)
    if known is None:
        return False
    connection = http.client.HTTPConnection("127.0.0.1", known[0], timeout=5)
    try:
        connection.request("GET", "/version", headers={"Authorization": f"Bearer {known[1]}"})
        answer = connection.getresponse()
        answer.read()
        connection.request("GET", "/readyz")
        return answer.status == 200 and connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _check_port(port: int) -> None:
    """Raise NodeError for a port that stays taken; the last thread of a killed gateway lets it go late."""
    end = time.monotonic() + PORT_LIMIT
    while not _is_free(port):
        if time.monotonic() > end:
            raise NodeError(
                f"The gateway's port {port} is taken by {procfs.listening_process(port)}; stop that,"
                " or choose another port with TTS_GATEWAY_PORT."
            )
        time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    state.folder(home).mkdir(parents=True, exist_ok=True)
    with (state.folder(home) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

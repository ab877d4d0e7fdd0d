"""What /proc says about processes and sockets of this machine."""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LISTEN = "0A"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared with, never bound


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None: it is gone. Pid and start name it for good."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def session_members(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields is not None and fields[0] != "Z" and int(fields[3]) == session:
                found.append(int(entry.name))
    return found


def kill_session(session: int) -> None:
    """End every process of a session at once."""
    for pid in session_members(session):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def anonymous_memory(pid: int) -> int:
    """The memory of a process in bytes without mapped files; 0 when it is gone."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def listeners() -> set[tuple[str, int]]:
    """The address and port of each listening IPv4 socket."""
    return {(address, port) for address, port, _ in _sockets()}


def listening_process(port: int) -> str:
    """Who listens on a port of 127.0.0.1, in words."""
    wanted = {
        f"socket:[{inode}]"
        for address, number, inode in _sockets()
        if number == port and address in ("127.0.0.1", ANY_ADDRESS)
    }
    for entry in PROC.iterdir():
        if entry.name.isdigit() and wanted & _open_files(entry):
            return f"process {entry.name} ({(entry / 'comm').read_text().strip()})"
    return "another process"


def _open_files(process: Path) -> set[str]:
    """What the descriptors of a process point to; nothing for another user's process."""
    found = set()
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                found.add(str(link.readlink()))
    return found


def _sockets() -> list[tuple[str, int, str]]:
    found = []
    for line in (PROC / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTEN:
            address, port = fields[1].split(":")
            found.append((socket.inet_ntoa(struct.pack("<I", int(address, 16))), int(port, 16), fields[9]))
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command's name: [0] state, [3] session, [19] start time."""
    with suppress(OSError, IndexError):
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return None

"""Starting and ending processes that never outlive the daemon."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from local.node import procfs

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Child:
    """A started process, the leader of its own session."""

    process: asyncio.subprocess.Process
    record: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def wait(self) -> int:
        """The exit code (128 + n for signal n) once the process has ended; what it left is ended too."""
        code = await self.process.wait()
        procfs.kill_session(self.pid)
        self.record.unlink(missing_ok=True)
        return code if code >= 0 else 128 - code

    async def end(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds."""
        self.signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), grace)
        if self.process.returncode is None:
            self.signal(signal.SIGKILL)
            await self.process.wait()


async def start(
    words: Sequence[str], *, env: dict[str, str], folder: Path, log: Path, records: Path
) -> Child:
    """Start a process in its own session; output is appended to `log`, the start is recorded in `records`.

    Raises OSError when the program cannot be started.
    """
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *words,
            env=env,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    record = records / str(process.pid)
    record.write_text(str(procfs.start_time(process.pid) or 0))
    return Child(process, record)


def end_leftovers(records: Path) -> None:
    """End what an earlier daemon started and did not see ending."""
    if not records.is_dir():
        return
    for record in records.iterdir():
        pid = int(record.name)
        alive = procfs.start_time(pid)
        # A pid in use by a younger process says that the recorded session is gone.
        if alive is None or str(alive) == record.read_text():
            procfs.kill_session(pid)
        record.unlink(missing_ok=True)


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

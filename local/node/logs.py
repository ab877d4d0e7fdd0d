"""Reading the log files of pods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

BLOCK = 1 << 20  # bytes of a log's end that are searched for its last lines


def last_lines(path: Path, count: int) -> bytes:
    """The last `count` lines of a file, of at most a mebibyte."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - BLOCK))
        lines = file.read().splitlines(keepends=True)
    return b"".join(lines[-count:]) if count else b""


async def follow(path: Path, start: bytes, offset: int, goes_on: Callable[[], bool]) -> AsyncIterator[bytes]:
    """`start`, then what is written to a file after `offset`, while `goes_on` says that more may come."""
    if start:
        yield start
    while True:
        running = goes_on()
        if path.exists():
            with path.open("rb") as file:
                file.seek(min(offset, path.stat().st_size))
                if block := file.read(BLOCK):
                    offset = file.tell()
                    yield block
        if not running:
            return
        await asyncio.sleep(0.2)

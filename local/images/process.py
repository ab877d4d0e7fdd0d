"""Running one program of an image build: its lines are passed on as they come."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

KEPT_LINES = 12


def run(words: Sequence[str], *, cwd: Path, environ: Mapping[str, str], log: Callable[[str], None]) -> None:
    """Run a program to its end, with nothing on its standard input.

    Raises:
        subprocess.CalledProcessError: it ended with another status than 0; `output` holds its last lines.
    """
    last: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        words,
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last.append(line.rstrip())
                log(line.rstrip())
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status != 0:
        raise subprocess.CalledProcessError(status, words, output="\n".join(last))

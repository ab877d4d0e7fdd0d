"""`python -m release`: the release, its guard, the replay of a receipt, and the gate outside of a cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .run import guard, run

USAGE = """Usage: python -m release run           one release, by the plan at TTS_PLAN
       python -m release guard         the guard beside it
       python -m release replay FILE   decides a receipt again, offline
       python -m release hear PLAN HOST:PORT OUT
                                       judges one server as the gate would, and keeps what it spoke"""


def main(arguments: list[str]) -> int:
    """The exit code."""
    match arguments:
        case ["run"]:
            return run()
        case ["guard"]:
            return guard()
        case ["replay", path]:
            from .replay import main as replay

            return replay(path)
        case ["hear", plan, address, out]:
            from .audition import main as hear

            return hear(Path(plan), address, Path(out))
        case _:
            print(USAGE, file=sys.stderr)
            return 64


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: it would wait for the threads of requests that nobody answers.
    os._exit(code)

"""`python -m release`: the release, its guard, and the replay of a receipt."""

from __future__ import annotations

import os
import sys

from .run import guard, run

USAGE = """Usage: python -m release run           one release, by the plan at TTS_PLAN
       python -m release guard         the guard beside it
       python -m release replay FILE   decides a receipt again, offline"""


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
        case _:
            print(USAGE, file=sys.stderr)
            return 64


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: it would wait for the threads of requests that nobody answers.
    os._exit(code)

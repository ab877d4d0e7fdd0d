"""`python -m release run` carries out one release; its plan and place come from the environment."""

from __future__ import annotations

import sys

from .run import run

USAGE = "Usage: python -m release run (the plan: TTS_PLAN; the verdict: TTS_TERMINATION_LOG)."


def main(arguments: list[str]) -> int:
    """The exit code."""
    if arguments != ["run"]:
        print(USAGE, file=sys.stderr)
        return 64
    return run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

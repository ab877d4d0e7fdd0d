"""Where a release comes from: which commit, which stack, who, which images. Told, never decided upon."""

import getpass
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pulumi

_GIT_SECONDS = 5.0


def provenance(root: Path, *, stack: str, images: Mapping[str, pulumi.Input[str]]) -> pulumi.Output[str]:
    """provenance.json of the checkout at `root`; `images` maps revisions to references by digest."""
    commit, dirty = commit_of(root)
    known = {"commit": commit, "dirty": dirty, "stack": stack, "by": author()}
    return pulumi.Output.from_input(dict(images)).apply(
        lambda references: json.dumps({**known, "images": references}, indent=1)
    )


def commit_of(root: Path) -> tuple[str, bool]:
    """The commit that is checked out, and whether it was edited since; without git, what a runner says."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return os.environ.get("GITHUB_SHA", ""), False
    return commit, bool(_git(root, "--no-optional-locks", "status", "--porcelain"))


def author() -> str:
    """Who runs the program, as far as this machine knows."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have
        return ""


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()

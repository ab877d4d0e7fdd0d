"""What was brought to a stack, as its branch `released/<stack>` records it: one commit a deployment."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import PipelineError

_FORMAT = "%x09".join(
    f"%(trailers:key={key},valueonly,separator=%x20)" for key in ("Model-Version", "Image-Digest")
)


def message(stack: str, *, version: str, digest: str) -> str:
    """The message of the commit that records a deployment."""
    return f"Release {version} to {stack}\n\nModel-Version: {version}\nImage-Digest: {digest}\n"


def find_digest(root: Path, version: str, refs: Sequence[str]) -> str:
    """The digest with which `version` was deployed last, by the first of `refs` that knows it.

    Raises PipelineError when none does."""
    for ref in refs:
        for line in _log(root, ref):
            found, _, digest = line.partition("\t")
            if found.strip() == version and digest.strip():
                return digest.strip()
    raise PipelineError(
        f"No record of {', '.join(refs)} says with which image {version} was deployed: it was never there, "
        "so release it by its tag."
    )


def _log(root: Path, ref: str) -> list[str]:
    known = _git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    return _git(root, "log", f"--format={_FORMAT}", ref, "--").splitlines() if known else []


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
    ).stdout

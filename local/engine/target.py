"""What a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """Which stack of which checkout, and the values that override its config this once."""

    root: Path
    stack: str
    overrides: tuple[str, ...] = ()

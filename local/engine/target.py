"""What a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """Which stack of which checkout, the values that override its config this once, and the kubeconfig of
    the cluster it is on; None for the embedded platform."""

    root: Path
    stack: str
    overrides: tuple[str, ...] = ()
    kubeconfig: Path | None = None

    @property
    def words(self) -> str:
        """What `make` must be told to mean this stack where it is."""
        return f"STACK={self.stack}" + (f" KUBECONFIG={self.kubeconfig}" if self.kubeconfig else "")

"""Where the embedded platform keeps its files: one git-ignored folder of the checkout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DEFAULT_GATEWAY_PORT = 6006


@dataclass(frozen=True)
class Home:
    """The folder of one embedded platform and the port its gateway listens on.

    Two platforms on one machine need two folders and two ports; nothing else is shared.
    """

    root: Path
    gateway_port: int = DEFAULT_GATEWAY_PORT

    @classmethod
    def from_environment(cls) -> Home:
        """Read `TTS_HOME` (default: `.tts` in the checkout) and `TTS_GATEWAY_PORT` (default: 6006)."""
        root = Path(os.environ.get("TTS_HOME", CHECKOUT / ".tts")).resolve()
        return cls(root=root, gateway_port=int(os.environ.get("TTS_GATEWAY_PORT", DEFAULT_GATEWAY_PORT)))

    @property
    def kubeconfig(self) -> Path:
        """How clients reach the API server; readable by its owner alone."""
        return self.root / "kubeconfig"

    @property
    def images(self) -> Path:
        """Built images, each in a folder named by the sha256 of its tree."""
        return self.root / "images"

    @property
    def environments(self) -> Path:
        """Python environments of images, each in a folder named by the sha256 of its requirements."""
        return self.root / "environments"

    @property
    def pods(self) -> Path:
        """Volumes and logs of pods, a folder each."""
        return self.root / "pods"

    @property
    def claims(self) -> Path:
        """What pods keep on PersistentVolumeClaims, a folder for each, below one for each namespace."""
        return self.root / "claims"

    @property
    def secrets(self) -> Path:
        """What stands for Secrets: a folder for each with a file an entry, below one for each namespace."""
        return self.root / "secrets"

    @property
    def locks(self) -> Path:
        """One lock file a stack, held while a command changes it."""
        return self.root / "locks"

"""`python -m tests.serving.pitch`: the server with an engine that clones, without a model: what it speaks is
a tone of the pitch of the recording, so that a voice that was mixed up is heard."""

import logging
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from serving.config import InferenceConfig
from serving.engines.base import Capabilities, Cloning, Reference, Samples, Utterance

RATE = 24_000
OWN_PITCH = 500.0
"""Hertz, of the engine's own voice."""

SECONDS = (3.0, 12.0)
NAME = "pitch"
_log = logging.getLogger("tests.pitch")


class PitchEngine:
    """Derives the pitch of a reference once, in `derived` until it is told to forget it; `log` has both."""

    capabilities = Capabilities(languages=("en",), cloning=Cloning(seconds=SECONDS))
    sample_rate = RATE
    voices = ("plain",)
    speeds = (1.0, 1.0)

    def __init__(self) -> None:
        self.derived: dict[str, float] = {}
        self.log: list[str] = []

    def warm_up(self) -> Samples:
        return tone(OWN_PITCH, 0.1)

    def synthesise(self, utterance: Utterance) -> Generator[Samples, None, None]:
        pitch = OWN_PITCH if utterance.reference is None else self._pitch(utterance.reference)
        for _ in range(max(1, len(utterance.text) // 10)):
            yield tone(pitch, 0.2)

    def forget(self, digest: str) -> None:
        if self.derived.pop(digest, None) is not None:
            self._say(f"forgot {digest}")

    def _say(self, what: str) -> None:
        self.log.append(what)
        _log.info("%s", what)

    def _pitch(self, reference: Reference) -> float:
        if reference.digest not in self.derived:
            self._say(f"derived {reference.digest}")
            self.derived[reference.digest] = pitch_of(reference.samples, reference.sample_rate)
        return self.derived[reference.digest]


def tone(pitch: float, seconds: float, rate: int = RATE) -> Samples:
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def pitch_of(samples: Samples, rate: int) -> float:
    """The frequency, in hertz, that is the loudest."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum)) * rate / samples.size


def config(version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    """The inference config of one version of it."""
    return {
        "model": "pitch",
        "version": version,
        "revision": f"pitch-{version.replace('.', '-')}-abcdef",
        "engine": NAME,
        "sampleRate": RATE,
        "languages": ["en"],
        "license": "Apache-2.0",
        "artifacts": [],
        "slots": 2,
        **changes,
    }


def install() -> None:
    """Has the server find the engine by its name."""
    module = ModuleType(f"serving.engines.{NAME}.engine")

    def load(model_dir: Path, config: InferenceConfig) -> PitchEngine:
        return PitchEngine()

    vars(module)["load"] = load
    sys.modules[module.__name__] = module


if __name__ == "__main__":
    install()
    from serving.__main__ import main

    sys.exit(main())

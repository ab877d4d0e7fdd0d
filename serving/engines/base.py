"""What the server asks of an engine, and how it finds one by name."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serving.config import InferenceConfig
from serving.errors import EngineError

Samples = NDArray[np.float32]

_SILENCE = 1e-3  # of full scale; NaN is not above it either


class Engine(Protocol):
    """A loaded model. The server runs up to `slots` syntheses of one engine at the same time, from
    several threads, and interleaves them between chunks."""

    @property
    def sample_rate(self) -> int:
        """Hertz."""

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices that are here, the default one first."""

    @property
    def speeds(self) -> tuple[float, float]:
        """The lowest and the highest speed that still sounds right; 1.0 is the model's own pace."""

    @property
    def warm_up_text(self) -> str:
        """A short sentence in the model's language, spoken once before the server reports ready."""

    def synthesise(self, text: str, *, voice: str, speed: float, seed: int | None) -> Iterator[Samples]:
        """Yields mono chunks, shape [samples], each non-empty and within -1..1, as soon as each is ready.

        The same seed gives the same samples. Raises UnspeakableError for a text that this engine cannot
        speak, before the first chunk wherever that can be known by then.
        """


def load_engine(config: InferenceConfig, model_dir: Path) -> Engine:
    """Loads `serving/engines/<engine>/engine.py` with its model and speaks once. Raises EngineError."""
    if not config.engine.isidentifier():
        raise EngineError(
            f"The engine name {config.engine!r} is not the name of a folder in serving/engines."
        )
    try:
        module = importlib.import_module(f"serving.engines.{config.engine}.engine")
        engine: Engine = module.load(model_dir, config)
        loudest = _warm_up(engine)
    except Exception as error:
        raise EngineError(f"The engine {config.engine} could not be loaded: {error}.") from error
    if not loudest > _SILENCE:
        raise EngineError(f"The engine {config.engine} was loaded, and its first synthesis gave no sound.")
    if engine.sample_rate != config.sample_rate:
        raise EngineError(
            f"The engine {config.engine} speaks at {engine.sample_rate} Hz, and the catalog entry says "
            f"{config.sample_rate} Hz; correct sampleRate."
        )
    return engine


def _warm_up(engine: Engine) -> float:
    """Speaks once, which also loads what the engine loads lazily; returns the loudest sample."""
    chunks = engine.synthesise(engine.warm_up_text, voice=engine.voices[0], speed=1.0, seed=0)
    return max((float(np.abs(chunk).max()) for chunk in chunks), default=0.0)

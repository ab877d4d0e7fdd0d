"""What the server asks of an engine, and how it finds one by name."""

import importlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from serving.config import InferenceConfig
from serving.engines.reference import Reference, Samples
from serving.errors import EngineError, UnspeakableError

__all__ = [
    "Alphabet",
    "Capabilities",
    "Cloning",
    "Engine",
    "Reference",
    "Samples",
    "Utterance",
    "load_engine",
]

Alphabet = Literal["ipa", "pinyin"]
"""Of pronunciations: the International Phonetic Alphabet, or pinyin with the number of the tone."""

_SILENCE = 1e-3  # of full scale; NaN is not above it either


@dataclass(frozen=True, kw_only=True)
class Cloning:
    """What an engine asks of a recording whose voice it is to speak in."""

    seconds: tuple[float, float]
    """How short and how long it may be."""
    transcript: bool = True
    """Whether the words that are spoken in it are needed."""
    emotion: bool = True
    """Whether how it is spoken, happy or sad, is taken over with the voice."""


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What an engine can do, beyond speaking a text."""

    languages: tuple[str, ...]
    """Codes of ISO 639-1."""
    cloning: Cloning | None = None
    """Of which recordings it takes the voice (`Utterance.reference`); None: of none."""
    emotion: bool = False
    """Follows `Utterance.instructions`."""
    phonemes: Alphabet | None = None
    """Follows `Utterance.phonemes`, in this alphabet; None: does not."""
    streaming: bool = True
    """Gives its first chunk before it has made the last one."""
    interleaved: bool = True
    """Whether a synthesis may begin while another one is open. Otherwise there is one slot, and the server
    ends each synthesis before it begins the next one."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """What an engine is to speak, and how; an engine is asked only for what its capabilities say."""

    text: str
    voice: str
    """Where there is a reference, only what the caller calls it."""
    reference: Reference | None = None
    """The recording in whose voice to speak, in place of one of the engine's own."""
    speed: float = 1.0
    """1.0 is the model's own pace."""
    seed: int | None = None
    phonemes: Mapping[str, str] = field(default_factory=dict)
    """How words are to be spoken, in the alphabet of the engine's capabilities."""
    instructions: str | None = None


class Engine(Protocol):
    """A loaded model. The server runs up to `slots` syntheses of one engine at the same time, from
    several threads, and interleaves them between chunks where the capabilities allow it."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def sample_rate(self) -> int:
        """Hertz."""

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices that are here, the default one first."""

    @property
    def speeds(self) -> tuple[float, float]:
        """The lowest and the highest speed that can be asked for; 1.0 is the model's own pace."""

    def warm_up(self) -> Samples:
        """Loads all that is loaded late by speaking once; returns what was spoken."""

    def synthesise(self, utterance: Utterance) -> Generator[Samples, None, None]:
        """Yields mono chunks, shape [samples], each non-empty and within -1..1, as soon as each is ready.

        The chunks one after the other are the audio: an engine that speaks in pieces joins them itself. The
        same seed gives the same samples. Raises UnspeakableError for what this engine cannot speak, before
        the first chunk wherever that can be known by then. The caller closes it when nobody listens.
        """

    def forget(self, digest: str) -> None:
        """Drops whatever it has derived from the reference of this digest, where it has; from any thread,
        also while a synthesis in that voice is under way, for whose end it does not wait."""


def load_engine(config: InferenceConfig, model_dir: Path) -> Engine:
    """Loads `serving/engines/<engine>/engine.py` with its model and speaks once. Raises EngineError."""
    if not config.engine.isidentifier():
        raise EngineError(
            f"The engine name {config.engine!r} is not the name of a folder in serving/engines."
        )
    try:
        module = importlib.import_module(f"serving.engines.{config.engine}.engine")
        engine: Engine = module.load(model_dir, config)
        spoken = engine.warm_up()
    except Exception as error:
        raise EngineError(f"The engine {config.engine} could not be loaded: {error}.") from error
    if not float(np.abs(spoken).max(initial=0.0)) > _SILENCE:
        raise EngineError(f"The engine {config.engine} was loaded, and its first synthesis gave no sound.")
    if config.slots > 1 and not engine.capabilities.interleaved:
        raise EngineError(
            f"The engine {config.engine} speaks one text at a time, and the stack says {config.slots} slots; "
            "set tts:slots to 1, and tts:replicas to as many as are to be spoken at the same time."
        )
    _check_lexicon(engine, config)
    if engine.sample_rate != config.sample_rate:
        raise EngineError(
            f"The engine {config.engine} speaks at {engine.sample_rate} Hz, and the catalog entry says "
            f"{config.sample_rate} Hz; correct sampleRate."
        )
    return engine


def _check_lexicon(engine: Engine, config: InferenceConfig) -> None:
    """Speaks its first word, before which an engine reads all of it: a server that cannot speak the stack's
    lexicon is not to get any traffic. Raises EngineError."""
    if not config.lexicon:
        return
    if engine.capabilities.phonemes is None:
        raise EngineError(
            f"The engine {config.engine} takes no pronunciations, and the stack has some; leave out "
            "tts:lexicon."
        )
    voice = next(iter(engine.voices), "")
    spoken = engine.synthesise(
        Utterance(text=next(iter(config.lexicon)), voice=voice, phonemes=config.lexicon)
    )
    try:
        next(spoken)
    except UnspeakableError as error:
        raise EngineError(f"The stack's tts:lexicon cannot be spoken: {error}") from error
    finally:
        spoken.close()

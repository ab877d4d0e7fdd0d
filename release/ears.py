"""The ears of a release: recogniser and quality model, made when they are first needed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .listening.resample import MODEL_RATE
from .plan import Target
from .wav import Audio

if TYPE_CHECKING:
    from .listening.quality import QualityModel
    from .listening.recogniser import Recogniser


REMEMBERED = 500
"""Pieces of audio whose verdict is kept. A seed makes the same text the same audio, from every pod of a
revision and at every step; and both ears say of the same audio always the same."""

Heard = TypeVar("Heard")


class ListeningEars:
    """A `cluster.Ears`. May be used from several threads: each ear hears one thing at a time."""

    def __init__(self) -> None:
        self._recognisers: dict[tuple[tuple[str, ...], tuple[str, ...]], Recogniser | None] = {}
        self._model: QualityModel | None = None
        self._making = threading.Lock()
        self._remembered: dict[Hashable, Any] = {}

    def prepare(self, target: Target) -> None:
        """Makes the ears that the target's checks need, and has each hear something: the first time takes
        longest."""
        silence = Audio(np.zeros(MODEL_RATE // 2, dtype=np.float32), MODEL_RATE)
        if "intelligibility" in target.gate.required:
            self.transcript(target, silence)
        if "quality" in target.gate.required:
            self.quality(silence)

    def transcript(self, target: Target, audio: Audio) -> str | None:
        """What is said, or None where no recogniser knows the language."""
        recogniser = self._recogniser(target)
        if recogniser is None:
            return None
        return self._once((target.gate.texts, _print(audio)), lambda: recogniser.transcript(audio))

    def guessed(self, target: Target) -> tuple[str, ...]:
        """The words of the texts whose sound is a guess, since the recogniser's dictionary lacks them."""
        recogniser = self._recogniser(target)
        return recogniser.guessed_words if recogniser else ()

    def word_error_rate(self, text: str, transcript: str) -> float:
        """Wrong words per word of the text, 0 for none."""
        from .listening.recogniser import word_error_rate

        return word_error_rate(text, transcript)

    def quality(self, audio: Audio) -> float:
        """DNSMOS' overall score, 1 to 5."""
        return self._once(_print(audio), lambda: self._quality().overall(audio))

    def _once(self, key: Hashable, listen: Callable[[], Heard]) -> Heard:
        """What was heard the last time, or is heard now."""
        found: Heard | None = self._remembered.get(key)
        if found is None:
            found = listen()
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found

    def _recogniser(self, target: Target) -> Recogniser | None:
        key = (target.gate.languages, target.gate.texts)
        with self._making:
            if key not in self._recognisers:
                from .listening.languages import recogniser_for

                self._recognisers[key] = recogniser_for(*key)
            return self._recognisers[key]

    def _quality(self) -> QualityModel:
        with self._making:
            if self._model is None:
                from .listening.quality import QualityModel

                self._model = QualityModel()
            return self._model


def _print(audio: Audio) -> str:
    """What tells one piece of audio from every other."""
    return hashlib.sha256(audio.samples.tobytes() + str(audio.rate).encode()).hexdigest()

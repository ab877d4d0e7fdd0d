"""The hibari engine: small English voices on one CPU core, with onnxruntime."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hibari import Hibari

from serving.config import InferenceConfig
from serving.engines.base import Samples
from serving.engines.hibari.text import phoneme_chunks, pieces, reason_not_to_speak
from serving.errors import UnspeakableError

_VOICE = "heart"  # the only voice whose model is in the package; the others would be downloaded


class HibariEngine:
    """One shared instance; its session and its text front end may be used from several threads."""

    sample_rate = int(Hibari.sample_rate)
    voices = (_VOICE,)
    speeds = (0.5, 2.0)
    warm_up_text = "The quick brown fox is ready."

    def __init__(self, model: Path) -> None:
        self._hibari = Hibari(voice=_VOICE, model=str(model), threads=1)

    def synthesise(self, text: str, *, voice: str, speed: float, seed: int | None) -> Iterator[Samples]:
        """See Engine.synthesise; a chunk is a sentence, or a part of a long one."""
        del voice  # there is one
        reason = reason_not_to_speak(text)
        if reason is not None:
            raise UnspeakableError(reason)
        random = np.random.default_rng(seed)
        silent = True
        for phonemes in self._phonemes(text, speed):
            samples = self._hibari.from_ids(self._hibari.ids(phonemes), speed, random)
            if len(samples) > 0:
                silent = False
                yield np.clip(samples, -1.0, 1.0)
        if silent:
            raise UnspeakableError(
                "The field `input` gave no sound: this model speaks English words, and the text has none."
            )

    def _phonemes(self, text: str, speed: float) -> Iterator[str]:
        for sentence in self._hibari.split_sentences(text):
            for piece in pieces(sentence):
                for phonemes in self._phonemize(piece):
                    # Punctuation alone would be spoken as a breath.
                    if any(character.isalpha() for character in phonemes):
                        yield from phoneme_chunks(phonemes, speed)

    def _phonemize(self, piece: str) -> list[str]:
        try:
            found: list[str] = self._hibari.phonemize(piece)
        except (IndexError, KeyError, ValueError) as error:
            raise UnspeakableError(
                f"The field `input` holds a part that this model cannot read: {piece[:60]!r}."
            ) from error
        return found


def load(model_dir: Path, config: InferenceConfig) -> HibariEngine:
    """Loads the model file the revision names."""
    if len(config.artifacts) != 1:
        raise ValueError(f"hibari has one model file, and the config names {len(config.artifacts)}")
    return HibariEngine(model_dir / config.artifacts[0].path)

"""The hibari engine: small English voices on one CPU core, with onnxruntime."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hibari import Hibari

from serving.config import InferenceConfig
from serving.engines.base import Capabilities, Samples, Utterance
from serving.engines.hibari.text import phoneme_chunks, prepared, reason_not_to_speak
from serving.engines.joining import trim
from serving.engines.splitting import Boundary, pieces
from serving.errors import UnspeakableError

_VOICE = "heart"  # the only voice whose model is in the package; the others would be downloaded
_WARM_UP_TEXT = "The quick brown fox is ready, xyloquix too."  # with a word that no dictionary has

# Seconds of silence between two pieces, half on either side (decision 10). Sentences keep the model's own.
_PAUSES = {Boundary.CLAUSE: 0.37, Boundary.PHRASE: 0.20, Boundary.WORD: 0.06, Boundary.HELD: 0.03}


@dataclass(frozen=True)
class _Chunk:
    """What the model sees at once, and the silence behind it in seconds; None: as the model makes it."""

    phonemes: str
    pause: float | None


class HibariEngine:
    """One shared instance; its session and its text front end may be used from several threads."""

    capabilities = Capabilities(languages=("en",), phonemes="ipa")
    sample_rate = int(Hibari.sample_rate)
    voices = (_VOICE,)
    # Beyond, words get lost (at 0.25 44 % of them) or the pace stays behind (4.0 is 2.3 times that of 1.0):
    # decision 10.
    speeds = (0.5, 2.0)

    def __init__(self, model: Path) -> None:
        self._hibari = Hibari(voice=_VOICE, model=str(model), threads=1)

    def warm_up(self) -> Samples:
        """See Engine.warm_up; the dictionary and the reader of unknown words are loaded late."""
        return np.concatenate(list(self.synthesise(Utterance(text=_WARM_UP_TEXT, voice=_VOICE, seed=0))))

    def synthesise(self, utterance: Utterance) -> Generator[Samples, None, None]:
        """See Engine.synthesise; a chunk is a sentence, or a part of a long one."""
        speed, random = utterance.speed, np.random.default_rng(utterance.seed)
        pause: float | None = None
        for chunk in self._chunks(utterance):
            samples = self._hibari.from_ids(self._hibari.ids(chunk.phonemes), speed, random)
            lead, pause = _half(pause, speed), chunk.pause
            samples = trim(samples, self.sample_rate, lead=lead, trail=_half(pause, speed))
            yield np.clip(samples, -1.0, 1.0)

    def forget(self, digest: str) -> None:
        """See Engine.forget; it takes no voice from a recording."""

    def _chunks(self, utterance: Utterance) -> list[_Chunk]:
        """All that is spoken, in order. The whole text is read first: what cannot be spoken shows before the
        first sound, and reading takes a fiftieth of speaking."""
        reason = reason_not_to_speak(utterance.text)
        if reason is not None:
            raise UnspeakableError(reason)
        text = prepared(utterance.text, utterance.phonemes, self._knows)
        found = [chunk for piece in pieces(text) for chunk in self._read(piece.text, piece.end)]
        if not found:
            raise UnspeakableError(
                "The field `input` holds nothing that can be spoken: this model speaks English, and the text "
                "has no word or number of it."
            )
        return found

    def _read(self, text: str, end: Boundary) -> Iterator[_Chunk]:
        try:
            phonemes = self._hibari.g2p(text)
        except (IndexError, KeyError, ValueError) as error:
            raise UnspeakableError(
                f"The field `input` holds a part that this model cannot read: {text[:60]!r}."
            ) from error
        # Punctuation alone would be spoken as a breath.
        chunks = [chunk for chunk in phoneme_chunks(phonemes) if any(sign.isalpha() for sign in chunk)]
        for chunk in chunks[:-1]:
            yield _Chunk(chunk, _PAUSES.get(Boundary.WORD if chunk[-1].isalpha() else Boundary.CLAUSE))
        for chunk in chunks[-1:]:
            yield _Chunk(chunk, _PAUSES.get(end))

    def _knows(self, word: str) -> bool:
        return bool(self._hibari.g2p.lexicon.is_known(word.lower(), None))


def _half(pause: float | None, speed: float) -> float | None:
    return None if pause is None else pause / 2 / speed


def load(model_dir: Path, config: InferenceConfig) -> HibariEngine:
    """Loads the model file the revision names."""
    if len(config.artifacts) != 1:
        raise ValueError(f"hibari has one model file, and the config names {len(config.artifacts)}")
    return HibariEngine(model_dir / config.artifacts[0].path)

"""What was said: pocketsphinx with a language model of a handful of sentences.

Its stock language model misses a third of the words of perfectly clear speech. Told that one of few sentences
is spoken, it hears clear speech without a mistake, and unclear speech as something else.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from release.listening.decoys import DECOYS
from release.listening.pronunciation import guesses
from release.listening.resample import at_model_rate
from release.listening.words import readings, spoken
from release.wav import Audio


class Recogniser:
    """Hears English, as far as it is one of `texts` or of the decoys.

    What it heard before has no influence, so that the same audio always gives the same transcript. One
    decoder hears one thing at a time, since pocketsphinx is not thread-safe: callers on several threads wait
    for each other.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        sentences = _sentences([*texts, *DECOYS])
        vocabulary = sorted({word for sentence in sentences for word in sentence})
        dictionary, self._guessed = _dictionary(vocabulary)
        self._lock = threading.Lock()
        self._decoder = _decoder(sentences, dictionary)

    @property
    def guessed_words(self) -> tuple[str, ...]:
        """The words of the texts that the dictionary lacks: how they sound is guessed from the spelling."""
        return self._guessed

    def transcript(self, audio: Audio) -> str:
        """The words that were heard, in lower case with numbers as words; empty when none were.

        Raises AudioError where there is nothing to listen to.
        """
        pcm = np.round(at_model_rate(audio) * 32767).astype("<i2").tobytes()
        with self._lock:
            # Forgets the noise floor of what was heard before, which would change what is heard now.
            self._decoder.reinit_feat()
            self._decoder.start_utt()
            # The whole at once is normalised by its own mean, not by a running one.
            self._decoder.process_raw(pcm, full_utt=True)
            self._decoder.end_utt()
            heard = self._decoder.hyp()
        return "" if heard is None else str(heard.hypstr)


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Wrong, missing and added words for each word of `reference`: 0 for none, above 1 for many added ones.

    Both are compared as they are spoken; of several ways to read a number, the one that was heard counts.
    A reference without a word that English can speak is never understood: 1.
    """
    import jiwer

    said = [" ".join(words) for words in readings(reference)]
    if not all(said):
        return 1.0
    heard = " ".join(spoken(hypothesis))
    return min(float(jiwer.wer(words, heard)) for words in said)


def _sentences(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Every reading of every text, once."""
    found = [words for text in texts for words in readings(text) if words]
    return list(dict.fromkeys(found))


def _dictionary(vocabulary: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """(the pronunciations of each word, the words whose pronunciation is a guess)."""
    known = _known_pronunciations()
    guessed = tuple(word for word in vocabulary if word not in known)
    found = {word: tuple(known.get(word, ())) or guesses(word, known) for word in vocabulary}
    return found, guessed


def _known_pronunciations() -> dict[str, list[str]]:
    """The CMU dictionary that comes with pocketsphinx. A further pronunciation stands there as `word(2)`."""
    import pocketsphinx

    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    known: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, phones = line.partition(" ")
        known.setdefault(word.partition("(")[0], []).append(phones)
    return known


def _decoder(sentences: Sequence[Sequence[str]], dictionary: Mapping[str, Sequence[str]]) -> Any:
    """A pocketsphinx decoder for these sentences. It has read its files when this returns."""
    import pocketsphinx
    from pocketsphinx.lm import ArpaBoLM

    model = ArpaBoLM(text="\n".join(" ".join(words) for words in sentences), add_start=True)
    model.compute()
    lines = [
        f"{word}({number}) {phones}" if number > 1 else f"{word} {phones}"
        for word, variants in dictionary.items()
        for number, phones in enumerate(variants, start=1)
    ]
    with tempfile.TemporaryDirectory(prefix="tts-ears-") as folder:
        words, language = Path(folder) / "words.dict", Path(folder) / "sentences.lm"
        words.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with language.open("w", encoding="utf-8") as file:
            model.write(file)
        return pocketsphinx.Decoder(dict=str(words), lm=str(language), loglevel="FATAL")

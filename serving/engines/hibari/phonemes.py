"""The International Phonetic Alphabet in hibari's own: General American, one sign for each diphthong."""

import re
from functools import lru_cache

from serving.errors import UnspeakableError

MOST_PHONEMES = 200  # of one word: more than the longest word has

_ALPHABET = frozenset("ˈˌəɹnsɪltkidmpɛæɑbzŋʌOfIAɡvᵊɔʃuwʤᵻhɜʧjWθʊYðʒɐTɾʔ ")
_WRAPPED = re.compile(r"\s*(?:/(.*)/|\[(.*)\])\s*", re.DOTALL)
# In this order: what is longer, or made of signs that stand for something else alone, comes first.
_SIGNS = (
    *(("\u0361", ""), ("\u035c", ""), ("ː", ""), ("ˑ", ""), (":", ""), (".", ""), ("‿", ""), ("'", "ˈ")),
    *(("eɪ", "A"), ("aɪ", "I"), ("oʊ", "O"), ("əʊ", "O"), ("aʊ", "W"), ("ɔɪ", "Y")),
    *(("dʒ", "ʤ"), ("tʃ", "ʧ"), ("n\u0329", "ᵊn"), ("l\u0329", "ᵊl"), ("m\u0329", "ᵊm")),
    *(("ɝ", "ɜɹ"), ("ɚ", "əɹ"), ("ɒ", "ɑ"), ("a", "ɑ"), ("e", "A"), ("o", "O"), ("ø", "ɜ"), ("œ", "ɜ")),
    *(("y", "u"), ("ɨ", "ᵻ"), ("g", "ɡ"), ("r", "ɹ"), ("ɾ", "T"), ("ʁ", "ɹ"), ("ʀ", "ɹ"), ("ɫ", "l")),
    *(("ʍ", "w"), ("x", "k"), ("ç", "h"), ("c", "k"), ("ɲ", "nj"), ("ʎ", "lj"), ("β", "b"), ("ɣ", "ɡ")),
    *(("ʰ", ""), ("\u0303", ""), ("\u032f", ""), ("\u0325", "")),
)  # fmt: skip


@lru_cache(maxsize=4096)  # a stack's lexicon is read for every text
def to_alphabet(spoken: str, word: str) -> str:
    """How `word` is spoken, in hibari's signs; what is in these already stays as it is.

    Sounds that English lacks become the nearest one it has. Raises UnspeakableError for signs that stand for
    no sound, and for nothing at all.
    """
    wrapped = _WRAPPED.fullmatch(spoken)
    signs = (wrapped[1] if wrapped[1] is not None else wrapped[2]) if wrapped else spoken
    for sign, own in _SIGNS:
        signs = signs.replace(sign, own)
    signs = " ".join(signs.split())
    unknown = sorted(set(signs) - _ALPHABET)
    if unknown:
        raise UnspeakableError(
            f"The pronunciation {spoken!r} of {word!r} holds {', '.join(map(repr, unknown))}, which this "
            "model cannot speak; give it in the International Phonetic Alphabet, as in American English.",
            param="phonemes",
        )
    if not signs.strip("ˈˌ ") or len(signs) > MOST_PHONEMES:
        raise UnspeakableError(
            f"The pronunciation of {word!r} has {len(signs)} signs; give from 1 to {MOST_PHONEMES}.",
            param="phonemes",
        )
    return signs


def in_place(word: str, signs: str) -> str:
    """The word with its pronunciation in hibari's signs, as hibari reads it in a text."""
    plain = " ".join(re.sub(r"[][]", " ", word).split())
    return f"[{plain or '-'}](/{signs}/)"


def possessive(signs: str) -> str:
    """How a word is spoken with 's behind it."""
    last = signs[-1:]
    return signs + ("ᵻz" if last in "szʃʒʧʤ" else "s" if last in "ptkfθ" else "z")

"""How words are pronounced, in the phones of the CMU dictionary (ARPAbet without stress).

A word that the dictionary lacks gets guesses: the recogniser chooses between few sentences, so a rough one is
enough, and a word left out would be heard as some other word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, islice, product

Pronunciations = Mapping[str, Sequence[str]]

_ENDINGS = {
    "'s": "Z", "s": "Z", "'ll": "L", "'d": "D", "d": "D", "ed": "D", "er": "ER", "ers": "ER Z",
    "ing": "IH NG", "ings": "IH NG Z", "ly": "L IY", "ness": "N AH S", "able": "AH B AH L",
}  # fmt: skip
_NAMES = {
    "a": "EY", "b": "B IY", "c": "S IY", "d": "D IY", "e": "IY", "f": "EH F", "g": "JH IY", "h": "EY CH",
    "i": "AY", "j": "JH EY", "k": "K EY", "l": "EH L", "m": "EH M", "n": "EH N", "o": "OW", "p": "P IY",
    "q": "K Y UW", "r": "AA R", "s": "EH S", "t": "T IY", "u": "Y UW", "v": "V IY", "w": "D AH B AH L Y UW",
    "x": "EH K S", "y": "W AY", "z": "Z IY",
}  # fmt: skip
_VOWELS = {
    "a": ("AE", "AA", "EY"), "e": ("EH", "IY"), "i": ("IH", "IY", "AY"), "o": ("OW", "AA"),
    "u": ("UW", "AH", "Y UW"), "y": ("IY", "AY"),
}  # fmt: skip
_SOUNDS = {
    "tion": "SH AH N", "sion": "ZH AH N", "igh": "AY", "tch": "CH", "sch": "SH", "tre": "T ER", "ch": "CH",
    "sh": "SH", "th": "TH", "ph": "F", "wh": "W", "ck": "K", "qu": "K W", "ng": "NG", "gh": "G", "kn": "N",
    "wr": "R", "ee": "IY", "ea": "IY", "oo": "UW", "ou": "AW", "ow": "OW", "oi": "OY", "oy": "OY", "ai": "EY",
    "ay": "EY", "ei": "EY", "ey": "IY", "ie": "IY", "au": "AO", "aw": "AO", "eu": "Y UW", "ew": "UW",
    "oa": "OW", "ar": "AA R", "or": "AO R", "er": "ER", "ir": "ER", "ur": "ER", "ce": "S EH", "ci": "S IH",
    "cy": "S IY", "ge": "JH EH", "b": "B", "c": "K", "d": "D", "f": "F", "g": "G", "h": "HH", "j": "JH",
    "k": "K", "l": "L", "m": "M", "n": "N", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "v": "V",
    "w": "W", "x": "K S", "z": "Z", "'": "",
}  # fmt: skip
_LONGEST_SOUND = max(map(len, _SOUNDS))
_MOST_GUESSES = 36


def guesses(word: str, known: Pronunciations) -> tuple[str, ...]:
    """Likely pronunciations of a word that `known` lacks: lower case, letters a to z and apostrophes."""
    letters = word.replace("'", "")
    spelled = " ".join(_NAMES[letter] for letter in letters)
    if not set(letters) & set(_VOWELS):
        return (spelled,)
    found = [_of_parts(word, known), spelled if len(letters) <= 4 else ""]
    found += [" ".join(sounds) for sounds in islice(product(*_sounds(letters)), _MOST_GUESSES)]
    return tuple(dict.fromkeys(" ".join(phones.split()) for phones in found if phones))


def _of_parts(word: str, known: Pronunciations) -> str:
    """Two known words in one, or a known word with an ending; empty when it is neither."""
    for cut in range(len(word) - 1, 2, -1):
        head, tail = word[:cut], word[cut:]
        if head in known and tail in _ENDINGS:
            return f"{known[head][0]} {_ENDINGS[tail]}"
        if head in known and len(tail) > 2 and tail in known:
            return f"{known[head][0]} {known[tail][0]}"
    return ""


def _sounds(letters: str) -> list[tuple[str, ...]]:
    """What each letter, or group of letters, may sound like; the longest group first."""
    letters = _written_plainly(letters)
    found: list[tuple[str, ...]] = []
    at = 0
    while at < len(letters):
        sizes = range(min(_LONGEST_SOUND, len(letters) - at), 0, -1)
        size = next(size for size in sizes if size == 1 or letters[at : at + size] in _SOUNDS)
        part = letters[at : at + size]
        found.append(_VOWELS[part] if part in _VOWELS else (_SOUNDS[part],))
        at += size
    return found


def _written_plainly(letters: str) -> str:
    """Without doubled consonants, and without a last e that is silent after another vowel and a consonant."""
    runs = ((letter, len(list(run))) for letter, run in groupby(letters))
    plain = "".join(letter * (2 if letter in "eo" and count > 1 else 1) for letter, count in runs)
    silent = len(plain) > 3 and plain[-1] == "e" and plain[-2] not in _VOWELS
    return plain[:-1] if silent and set(plain[:-1]) & set(_VOWELS) else plain

"""How words are to be spoken, found in a text: whole words, the longest first.

An entry in small letters is found in any case (`nginx` in "Nginx"), one with a capital only as it is written
(`US` never in "us"). In scripts without spaces between words an entry is found anywhere.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping

_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"\w")
# What is never looked into: a pronunciation given in place, and an address.
_TAKEN = re.compile(r"\[[^\[\]]{1,200}\]\([^()]{1,400}\)|(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w.-]+")


class Lexicon:
    """Words and how they are spoken; it does not matter in which alphabet."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._by_word: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for word, spoken in entries.items():
            flat = " ".join(word.split())
            if flat:
                small = _lower(flat)
                self._by_word[small].append((flat, spoken))
                lengths[small[0]].add(len(small))
        for written in self._by_word.values():
            written.sort(key=lambda entry: entry[0] == _lower(entry[0]))  # as it is written before any case
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def apply(self, text: str, write: Callable[[str, str], str]) -> str:
        """The text with `write(word, spoken)` in the place of each word that has an entry."""
        if not self._by_word:
            return text
        taken = _TAKEN.finditer(text)
        found, begin = [], 0
        for match in taken:
            found += [self._applied(text[begin : match.start()], write), match.group()]
            begin = match.end()
        return "".join([*found, self._applied(text[begin:], write)])

    def _applied(self, text: str, write: Callable[[str, str], str]) -> str:
        flat = re.sub(r"\s", " ", text)  # the same length: positions hold in both
        lower = _lower(flat)
        found, begin, at = [], 0, 0
        while at < len(text):
            entry = self._find(flat, lower, at) if _may_begin(flat, at) else None
            if entry is None:
                at += 1
                continue
            end = at + len(entry[0])
            found += [text[begin:at], write(text[at:end], entry[1])]
            begin = at = end
        return "".join([*found, text[begin:]])

    def _find(self, flat: str, lower: str, at: int) -> tuple[str, str] | None:
        for length in self._lengths.get(lower[at], ()):
            small = lower[at : at + length]
            if len(small) < length or small not in self._by_word or not _may_begin(flat, at + length):
                continue
            for entry in self._by_word[small]:
                if entry[0] in (small, flat[at : at + length]):
                    return entry
        return None


def merged(*lexicons: Mapping[str, str]) -> dict[str, str]:
    """One lexicon of several; where two have the same word, the later one holds."""
    return {word: spoken for lexicon in lexicons for word, spoken in lexicon.items()}


def _may_begin(text: str, at: int) -> bool:
    """Whether a word may end or begin before the character at `at`."""
    if at in (0, len(text)):
        return True
    before, after = text[at - 1], text[at]
    if _UNSPACED.match(before) or _UNSPACED.match(after):
        return True
    return not (_WORD.match(before) and _WORD.match(after))


def _lower(text: str) -> str:
    """In small letters, character by character, so that the length stays."""
    return "".join(small if len(small := character.lower()) == 1 else character for character in text)

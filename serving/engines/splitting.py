"""Text cut into pieces of bounded length where a speaker would pause.

A cut is never made within a word, a number, an address or a pronunciation given in place, nor after an
abbreviation, as long as there is any other way.
"""

import re
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

PIECE_CHARACTERS = 150


class Boundary(Enum):
    """What stands between a piece and the next one; the value is what a cut there costs."""

    SENTENCE = 0.0
    CLAUSE = 1.0
    PHRASE = 2.2
    WORD = 4.0
    HELD = 40.0  # two words that belong together, such as a number and its unit


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A text that is spoken at once, and what stands behind it."""

    text: str
    end: Boundary


_EVENNESS = 8.0  # what a piece costs that is a whole maximum longer or shorter than the others

# A word, or text with its pronunciation given in place, which may hold spaces: [New York](/nu jˈɔɹk/).
_TOKEN = re.compile(r"(?:\[[^\[\]]{1,200}\]\([^()]{1,400}\)|[^\s\[]|\[(?![^\[\]]{1,200}\]\([^()]{1,400}\)))+")
_CLOSERS = "\"'”’»)]"
_OPENERS = "\"'“‘«(["
_CURRENCIES = ("$", "£", "€")
_PARAGRAPH = re.compile(r"\n\s*\n")
_SPOKEN = re.compile(r"[^\W_]")
_LIST_NUMBER = re.compile(r"[(\[]?\w{1,2}[.)]")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+")
_SCALE = re.compile("hundred|thousand|[mbtr]+illion|percent|degrees|dollars|euros|pounds|cents|o'clock", re.I)
_ABBREVIATION = re.compile(
    "adm|apt|approx|assn|atty|ave|bldg|blvd|bros|capt|cf|ch|cmdr|co|col|corp|cpl|dept|dr|eds?|est|etc|fig|fr|ft|"
    "gen|gov|govt|hon|hwy|inc|jr|ln|lt|ltd|maj|mr|mrs|ms|msgr|mt|nos?|pkwy|pl|pp|pres|prof|rd|rep|rev|sen|sgt|sr|"
    "st|ste|supt|univ|vol|vs",
    re.I,
)
_PHRASE_START = re.compile(
    "and|but|n?or|so|yet|because|(?:al)?though|while|where(?:as)?|which|who[ms]?e?|that|when|if|unless|until|since|"
    "after|before|as|than|with(?:out)?|from|into|through|between|under|over|about|against|during|for|in|on",
    re.I,
)


def pieces(text: str, most: int = PIECE_CHARACTERS) -> list[Piece]:
    """The text in pieces of at most `most` characters, sentence by sentence; white space is normalised.

    A single word, and what a pronunciation is given for, is never cut: a piece that is one may be longer.
    """
    return [piece for sentence in _sentences(text) for piece in _cut(sentence, most)]


def _sentences(text: str) -> list[list[str]]:
    """The words of each sentence."""
    found: list[list[str]] = []
    for paragraph in _paragraphs(text):
        words: list[str] = []
        tokens = _TOKEN.findall(paragraph)
        for at, token in enumerate(tokens):
            words.append(token)
            following = tokens[at + 1] if at + 1 < len(tokens) else None
            numbers_a_list = len(words) == 1 and _LIST_NUMBER.fullmatch(token)
            if following is None or (not numbers_a_list and _ends_sentence(token, following)):
                found.append(words)
                words = []
    return found


def _paragraphs(text: str) -> list[str]:
    """Lines that belong together: one that goes on with a small letter was only wrapped."""
    found: list[str] = []
    for block in _PARAGRAPH.split(text.strip()):
        lines = block.splitlines()
        whole = lines[:1]
        for line in lines[1:]:
            if line.lstrip()[:1].islower():
                whole[-1] += " " + line
            else:
                whole.append(line)
        found += whole
    return found


def _ends_sentence(word: str, following: str) -> bool:
    bare = word.rstrip(_CLOSERS)
    if not bare.endswith((".", "!", "?", "…")):
        return False
    begins = following.lstrip(_OPENERS)[:1]
    return (begins.isalnum() or begins in _CURRENCIES) and not begins.islower() and not _is_abbreviation(bare)


def _is_abbreviation(word: str) -> bool:
    """Whether the full stop may only belong to the word: "Dr.", "J.", "U.S.", "p.m."."""
    word = word.lstrip(_OPENERS)
    return word[-1:] == "." and bool(_ABBREVIATION.fullmatch(word[:-1]) or _INITIALS.fullmatch(word))


def _cut(words: list[str], most: int) -> list[Piece]:
    """The words in the pieces that cost least: cut at strong boundaries, and of even length."""
    ends = []  # of each word, in characters of the sentence
    length = -1
    for word in words:
        length += len(word) + 1
        ends.append(length)
    if length <= most:
        return [Piece(text=" ".join(words), end=Boundary.SENTENCE)]
    even = length / -(-length // most)
    boundaries = [_between(*pair) for pair in pairwise(words)]
    boundaries.append(Boundary.SENTENCE)
    best: list[
        tuple[float, int]
    ] = []  # for the words up to each: what they cost, where the last piece begins
    for end in range(len(words)):
        choices = []
        for start in range(end, -1, -1):
            size = ends[end] - (ends[start - 1] + 1 if start else 0)
            if size > most and start < end:
                break
            before = best[start - 1][0] if start else 0.0
            choices.append((before + _EVENNESS * ((size - even) / most) ** 2, start))
        cost, start = min(choices)
        best.append((cost + boundaries[end].value, start))
    return _walk_back(words, boundaries, best)


def _walk_back(words: list[str], boundaries: list[Boundary], best: list[tuple[float, int]]) -> list[Piece]:
    found = []
    end = len(words)
    while end > 0:
        start = best[end - 1][1]
        found.append(Piece(text=" ".join(words[start:end]), end=boundaries[end - 1]))
        end = start
    return found[::-1]


def _between(word: str, following: str) -> Boundary:
    if _belong_together(word, following):
        return Boundary.HELD
    bare = word.rstrip(_CLOSERS)
    if bare.endswith((".", "!", "?", "…")):
        return Boundary.SENTENCE
    if bare.endswith((",", ";", ":", "—", "–")) or bare == "-" or word.endswith(")") or following[0] == "(":
        return Boundary.CLAUSE
    if _is_phrase_start(following) and not _is_phrase_start(word):
        return Boundary.PHRASE
    return Boundary.WORD


def _belong_together(word: str, following: str) -> bool:
    bare, next_bare = word.rstrip(_CLOSERS + ",."), following.lstrip(_OPENERS)
    if next_bare[:1].isdigit() or next_bare[:1] in _CURRENCIES or not _SPOKEN.search(following):
        return True
    if bare[-1:].isdigit():
        unit = next_bare.rstrip(_CLOSERS + ",.;:!?")
        return len(unit) <= 3 or bool(_SCALE.fullmatch(unit))
    return _is_abbreviation(word) or word in ("&", "+", "=", "@", "/")


def _is_phrase_start(word: str) -> bool:
    return bool(_PHRASE_START.fullmatch(word))

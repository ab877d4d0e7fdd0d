"""Text cut into pieces of bounded length, also where a script puts no spaces between its words.

Sentences without a character of such a script are cut as elsewhere (splitting.py).
"""

import re
from collections.abc import Iterator

from serving.engines import splitting
from serving.engines.splitting import Boundary, Piece

UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

_SENTENCE = re.compile(r"[^。！？!?…\n]*(?:[。！？!?…]+[”’」』）》\"')]*|\n|$)")
_CLAUSE = re.compile(r"[^，、；：,;:—]*(?:[，、；：,;:—]+[”’」』）》]*|$)")


def pieces(text: str, most: int) -> list[Piece]:
    """The text in pieces of at most `most` characters, sentence by sentence; white space is normalised.

    A word of a spaced script is never cut: a piece that is one may be longer.
    """
    found = []
    for sentence in _sentences(text):
        if UNSPACED.search(sentence):
            found += _cut(" ".join(sentence.split()), most)
        else:
            found += splitting.pieces(sentence, most)
    return found


def _sentences(text: str) -> Iterator[str]:
    """The sentences of unspaced scripts, and between them whatever there is of others, as it stands."""
    spaced = ""
    for match in _SENTENCE.finditer(text):
        if UNSPACED.search(match.group()):
            yield from (each for each in (spaced, match.group()) if each.strip())
            spaced = ""
        else:
            spaced += match.group()
    if spaced.strip():
        yield spaced


def _cut(sentence: str, most: int) -> list[Piece]:
    """One sentence in pieces of even length, cut between clauses as far as that suffices."""
    count = -(-len(sentence) // most)
    texts: list[str] = []
    ends: list[Boundary] = []
    current = ""
    for part, end in _parts(sentence, most):
        if current and (len(current) + len(part) > most or len(current) >= len(sentence) / count):
            texts.append(current)
            current = ""
        current += part
        ends[len(texts) :] = [end]
    texts.append(current)
    ends[-1] = Boundary.SENTENCE
    return [Piece(text=text.strip(), end=end) for text, end in zip(texts, ends, strict=True) if text.strip()]


def _parts(sentence: str, most: int) -> Iterator[tuple[str, Boundary]]:
    """What is not cut further, and what stands behind it."""
    for clause in _CLAUSE.findall(sentence):
        rest = clause
        while len(rest) > most:
            size = -(-len(rest) // -(-len(rest) // most))
            at = next((at for at in range(size, 0, -1) if _may_cut(rest, at)), size)
            yield rest[:at], Boundary.WORD
            rest = rest[at:]
        if rest:
            yield rest, Boundary.CLAUSE


def _may_cut(text: str, at: int) -> bool:
    """Whether the character at `at` may begin a piece: no word or number of a spaced script goes on there."""
    before, after = text[at - 1], text[at]
    return not (_in_word(before) and _in_word(after))


def _in_word(character: str) -> bool:
    return (character.isalnum() or character in ".'’-") and not UNSPACED.match(character)

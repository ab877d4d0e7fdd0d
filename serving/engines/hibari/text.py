"""English text that hibari reads in bounded time, and completely.

Its step from letters to phonemes takes time that grows with the cube of the parts of one unspaced word, reads
no number of more than 36 digits, and drops what a word it does not know has beyond its 24th letter.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

from serving.engines.hibari.phonemes import in_place, possessive, to_alphabet
from serving.engines.lexicon import Lexicon

DIGITS = 36
LETTERS = 24
PARTS = 24
PHONEMES = 200

_LONG_NUMBER = re.compile(rf"\d(?:,?\d){{{DIGITS},}}")
_IN_PLACE = re.compile(r"\[([^\[\]]{1,200})\]\((/[^()]{1,400}/)\)")
_POSSESSIVE = re.compile(_IN_PLACE.pattern + r"['’]s\b")
_WORD = re.compile(r"\S+")
# The parts in which hibari takes a word, or more: letters change their case, all else stands for itself.
_PART = re.compile(r"[^\W\d_](?:['’]?[^\W\d_A-ZÀ-ÖØ-Þ])*|\d[\d,.]*|[\W_]")
_CLAUSE_END = re.compile(r"[,;:.!?—…] ")


def reason_not_to_speak(text: str) -> str | None:
    """Why this text cannot be spoken, as far as it can be seen before trying."""
    number = _LONG_NUMBER.search(_IN_PLACE.sub(" ", text))
    if number is None:
        return None
    digits = sum(character.isdigit() for character in number.group())
    return (
        f"The field `input` holds a number of {digits} digits, and at most {DIGITS} can be read; "
        "put spaces between its digits or groups."
    )


def prepared(text: str, phonemes: Mapping[str, str], known: Callable[[str], bool]) -> str:
    """The text with pronunciations in place, and without words that are too long to be read whole.

    `known` says which words hibari's dictionary has, however long. Raises UnspeakableError for a
    pronunciation that cannot be spoken.
    """
    text = _composed(text)
    spoken = {_composed(word): to_alphabet(signs, word) for word, signs in phonemes.items()}
    text = _IN_PLACE.sub(lambda match: in_place(match[1], to_alphabet(match[2], match[1])), text)
    text = Lexicon(spoken).apply(text, in_place)
    text = _POSSESSIVE.sub(lambda match: in_place(match[1], possessive(match[2][1:-1])), text)
    found, begin = [], 0
    for match in _IN_PLACE.finditer(text):
        found += [_shortened(text[begin : match.start()], known), match.group()]
        begin = match.end()
    return "".join([*found, _shortened(text[begin:], known)])


def _composed(text: str) -> str:
    """Each letter as one character, in capitals and in small letters: İ alone is two in small ones, at which
    hibari fails."""
    return unicodedata.normalize("NFC", text).replace("İ", "I")


def _shortened(text: str, known: Callable[[str], bool]) -> str:
    return _WORD.sub(lambda match: _short(match.group(), known), text)


def _short(word: str, known: Callable[[str], bool]) -> str:
    """One unspaced word, with spaces where it is cut: between its parts, or within too long a one."""
    if len(word) <= PARTS:
        return word
    cut, length = [], 0
    for part in _PART.findall(word):
        if length + 1 > PARTS:
            cut.append(" ")
            length = 0
        cut.append(part if len(part) <= LETTERS or not part[0].isalpha() or known(part) else _halved(part))
        length += 1
    return "".join(cut)


def _halved(letters: str) -> str:
    """Letters in the fewest parts of even length that hibari reads whole."""
    count = -(-len(letters) // LETTERS)
    size = -(-len(letters) // count)
    return " ".join(letters[at : at + size] for at in range(0, len(letters), size))


def phoneme_chunks(phonemes: str) -> list[str]:
    """A piece's phonemes in chunks of at most PHONEMES: numbers read out grow many times over.

    A chunk is at most 22 s of audio, at half speed, and takes at most 150 MiB while it is made.
    """
    chunks = []
    while len(phonemes) > PHONEMES:
        clauses = [match.end() for match in _CLAUSE_END.finditer(phonemes, PHONEMES // 2, PHONEMES + 1)]
        at = clauses[-1] if clauses else phonemes.rfind(" ", 1, PHONEMES + 1)
        at = at if at > 0 else PHONEMES
        chunks.append(phonemes[:at].rstrip())
        phonemes = phonemes[at:].lstrip()
    return [*chunks, phonemes]

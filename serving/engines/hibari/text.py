"""English text cut into pieces whose synthesis time stays bounded.

The model sees a piece at once, and its time grows faster than the piece; so does the time of its
grapheme-to-phoneme step with the length of one unspaced word such as a run of `&`.
"""

import re

PIECE_CHARACTERS = 300
WORD_CHARACTERS = 40
PIECE_PHONEMES = 400

# A word, or a word with its pronunciation given in place: [word](/phonemes/).
_TOKEN = re.compile(r"\S{0,40}\[[^\]]{1,80}\]\(/[^/)]{1,300}/\)\S{0,40}|\S+")
_LONG_NUMBER = re.compile(r"\d(?:,?\d){36,}")


def reason_not_to_speak(text: str) -> str | None:
    """Why this text cannot be spoken, as far as it can be seen before trying."""
    if not any(character.isalnum() or character in "&@%$€£#+=" for character in text):
        return "The field `input` holds nothing that can be spoken; give some English words."
    number = _LONG_NUMBER.search(text)
    if number is not None:
        digits = sum(character.isdigit() for character in number.group())
        return (
            f"The field `input` holds a number of {digits} digits, and at most 36 can be read; "
            "put spaces between its digits or groups."
        )
    return None


def pieces(sentence: str) -> list[str]:
    """The sentence in pieces of at most PIECE_CHARACTERS, cut after a clause where there is one.

    Spaces are normalised, and words longer than WORD_CHARACTERS are cut. A pronunciation given in place
    is never cut, so a piece that holds one may be longer.
    """
    found: list[str] = []
    words: list[str] = []
    length = 0
    for word in _words(sentence):
        if words and length + len(word) > PIECE_CHARACTERS:
            head, words = _cut(words)
            found.append(" ".join(head))
            length = sum(len(kept) + 1 for kept in words)
        words.append(word)
        length += len(word) + 1
    if words:
        found.append(" ".join(words))
    return found


def _words(sentence: str) -> list[str]:
    words: list[str] = []
    for token in _TOKEN.findall(sentence):
        if len(token) <= WORD_CHARACTERS or "](/" in token:
            words.append(token)
        else:
            words += [token[at : at + WORD_CHARACTERS] for at in range(0, len(token), WORD_CHARACTERS)]
    return words


def _cut(words: list[str]) -> tuple[list[str], list[str]]:
    """Cuts after the last clause in the second half of the words, else after all of them."""
    for at in range(len(words), len(words) // 2, -1):
        if words[at - 1][-1] in ",;:—–":
            return words[:at], words[at:]
    return words, []


def phoneme_chunks(phonemes: str, speed: float) -> list[str]:
    """One piece in chunks of at most PIECE_PHONEMES: numbers read out grow many times over.

    Slow speech has shorter chunks, since time and memory follow the length of the audio.
    """
    limit = int(PIECE_PHONEMES * min(speed, 1.0))
    chunks = []
    while len(phonemes) > limit:
        at = phonemes.rfind(" ", 1, limit + 1)
        at = at if at > 0 else limit
        chunks.append(phonemes[:at])
        phonemes = phonemes[at:].lstrip()
    return [*chunks, phonemes]

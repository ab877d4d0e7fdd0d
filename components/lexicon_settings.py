"""How a stack has words spoken."""

from collections.abc import Mapping

from components.reader import Reader

MOST_WORDS, WORD_LENGTH = 500, 80


def read_lexicon(reader: Reader) -> Mapping[str, str]:
    """`tts:lexicon`, in the engine's alphabet. Whether that can be spoken, a server says before it gets any
    traffic."""
    lexicon = reader.labels("lexicon", default={})
    if len(lexicon) > MOST_WORDS:
        reader.refuse("lexicon", f"has {len(lexicon)} words: at most {MOST_WORDS} are read for every text.")
    for word in lexicon:
        if not word.strip() or len(word) > WORD_LENGTH:
            reader.refuse(
                "lexicon", f"has the word {word[:20]!r}: write one of 1 to {WORD_LENGTH} characters."
            )
    return lexicon

"""Pronunciations of Chinese words as GLM-TTS takes them: 重 as zhong4 is `<|ZH|><|ONG4|>`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pypinyin import Style
from pypinyin.contrib.tone_convert import tone3_to_tone
from pypinyin.style import convert

from serving.errors import UnspeakableError

_CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_SYLLABLE = re.compile(r"[a-zü]+[1-5]")
_RETROFLEX, _SIBILANT = ("zh", "ch", "sh", "r"), ("z", "c", "s")


def replacements(phonemes: Mapping[str, str], knows: Callable[[str], bool]) -> dict[str, str]:
    """For each word what stands in the text in its place; `knows` says which signs the model has.

    Raises UnspeakableError for a word that is not Chinese, and for what is no pinyin of it.
    """
    return {word: "".join(_signs(word, spoken, knows)) for word, spoken in phonemes.items()}


def _signs(word: str, spoken: str, knows: Callable[[str], bool]) -> Iterator[str]:
    if not _CHINESE.fullmatch(word):
        raise _refusal(
            f"The field `phonemes` names {word!r}; this model takes pronunciations of Chinese words only."
        )
    syllables = spoken.lower().replace("u:", "ü").replace("v", "ü").split()
    if len(syllables) != len(word):
        raise _refusal(
            f"The pronunciation {spoken!r} of {word!r} has {len(syllables)} syllables for {len(word)} "
            "characters; give one for each, with its tone and with spaces between them, such as zhong4."
        )
    for syllable in syllables:
        signs = [f"<|{part.upper()}|>" for part in _parts(syllable) if part]
        if not signs or not all(knows(sign) for sign in signs):
            raise _refusal(
                f"The pronunciation {spoken!r} of {word!r} holds {syllable!r}, which is no syllable of "
                "pinyin with its tone as a number from 1 to 5, such as zhong4."
            )
        yield from signs


def _parts(syllable: str) -> tuple[str, str]:
    """Initial and final as the model calls them: those of the strict scheme, and three kinds of i."""
    if not _SYLLABLE.fullmatch(syllable):
        return "", ""
    marked = tone3_to_tone(syllable)
    initial = str(convert(marked, Style.INITIALS, True))
    final = str(convert(marked, Style.FINALS_TONE3, True))
    if not final[-1:].isdigit():
        final += "5"  # the neutral tone, which has no mark
    if final.startswith("i") and initial in _RETROFLEX:
        final = f"iii{final[1:]}"
    elif final.startswith("i") and initial in _SIBILANT:
        final = f"ii{final[1:]}"
    return initial, final


def _refusal(sentence: str) -> UnspeakableError:
    return UnspeakableError(sentence, param="phonemes")


@contextmanager
def pronounced(text_frontend: Any, words: Mapping[str, str]) -> Iterator[None]:
    """Has the code speak words so, beside those that it knows itself; for one text at a time."""
    known = text_frontend.replace_dict
    text_frontend.replace_dict = {**known, **words}
    try:
        yield
    finally:
        text_frontend.replace_dict = known

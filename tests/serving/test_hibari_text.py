"""How hibari's texts are prepared, so that it reads all of them, and in bounded time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.hibari.phonemes import MOST_PHONEMES, possessive, to_alphabet
from serving.engines.hibari.text import (
    LETTERS,
    PARTS,
    PHONEMES,
    phoneme_chunks,
    prepared,
    reason_not_to_speak,
)
from serving.errors import UnspeakableError


def prepare(text: str, **phonemes: str) -> str:
    return prepared(text, phonemes, lambda word: word.startswith("known"))


@pytest.mark.parametrize(
    "text", ["Hello.", "&", "7", "1" * 36, "1,234,567", "你好", f"[x](/{'1' * 40}/)", "1.5" * 30]
)
def test_what_may_be_tried(text: str) -> None:
    assert reason_not_to_speak(text) is None


@pytest.mark.parametrize("text", ["1" * 37, "a 12,345," + "678," * 13 + "9", "٣" * 40, "x" + "1" * 37 + "y"])
def test_numbers_that_cannot_be_read(text: str) -> None:
    assert "at most 36" in str(reason_not_to_speak(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Plain text stays.", "Plain text stays."),
        ("x" * 24, "x" * 24),
        ("x" * 25, "x" * 13 + " " + "x" * 12),
        ("x" * 60, " ".join(["x" * 20] * 3)),
        ("known" + "x" * 60, "known" + "x" * 60),
        ("cafe\u0301", "café"),
        ("https://example.com/a?b=c", "https://example.com/a?b=c"),
    ],
)
def test_words_too_long_to_be_read_whole(text: str, found: str) -> None:
    assert prepare(text) == found


@given(st.text(alphabet="aB1-&_.'你é [(]", max_size=400))
def test_nothing_but_spaces_is_added(text: str) -> None:
    found = prepare(text)
    assert "".join(found.split()) == "".join(text.split())
    for word in found.split():
        assert sum(not character.isalnum() for character in word) <= PARTS
        assert all(len(run) <= LETTERS for run in "".join(c if c.isalpha() else " " for c in word).split())


def test_pronunciations_are_written_in_place() -> None:
    assert prepare("Lark's lark, (Lark)", lark="lɑːrk") == "[Lark](/lɑɹks/) [lark](/lɑɹk/), ([Lark](/lɑɹk/))"
    assert prepare("[a b](/ˈeɪ\nbiː/) c", c="/siː/") == "[a b](/ˈA bi/) [c](/si/)"
    assert prepare("[link](https://example.com)") == "[link](https://example.com)"
    assert prepare("a[b]", **{"a[b]": "ˈeɪ"}) == "[a b](/ˈA/)"


@pytest.mark.parametrize(
    ("spoken", "signs"),
    [
        ("həˈloʊ", "həˈlO"),
        ("hɛlˈO", "hɛlˈO"),
        ("/ˌɛndʒɪnˈɛks/", "ˌɛnʤɪnˈɛks"),
        ("[t͡ʃɛɹ]", "ʧɛɹ"),
        ("ˈbɝd wɚld", "ˈbɜɹd wəɹld"),
        ("ˈbʌtn\u0329", "ˈbʌtᵊn"),
        ("ˈwɑː.tər", "ˈwɑtəɹ"),
        ("kafˈe", "kɑfˈA"),
        ("ɡɡg", "ɡɡɡ"),
    ],
)
def test_the_phonetic_alphabet(spoken: str, signs: str) -> None:
    assert to_alphabet(spoken, "word") == signs
    assert to_alphabet(signs, "word") == signs


@pytest.mark.parametrize(
    "spoken", ["", "//", "ˈ", "h5", "你好", "N", "a" * (MOST_PHONEMES + 1), "a]b", "a)b", "a/b"]
)
def test_pronunciations_that_cannot_be_spoken(spoken: str) -> None:
    with pytest.raises(UnspeakableError, match="'word'") as caught:
        to_alphabet(spoken, "word")
    assert caught.value.param == "phonemes"


@pytest.mark.parametrize(("signs", "found"), [("nɪks", "nɪksᵻz"), ("lɑɹk", "lɑɹks"), ("lˈO", "lˈOz")])
def test_possessives(signs: str, found: str) -> None:
    assert possessive(signs) == found


@given(st.text(alphabet="aˈ ,.", max_size=3000))
def test_phoneme_chunks_are_bounded_and_lose_nothing(phonemes: str) -> None:
    found = phoneme_chunks(phonemes)
    assert "".join("".join(found).split()) == "".join(phonemes.split())
    assert all(len(chunk) <= PHONEMES for chunk in found)


def test_phonemes_are_cut_after_a_clause_where_there_is_one() -> None:
    assert phoneme_chunks("a" * 150 + ", " + "b " * 120)[0] == "a" * 150 + ","

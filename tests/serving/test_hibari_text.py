"""How hibari's texts are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.hibari.text import (
    PIECE_CHARACTERS,
    PIECE_PHONEMES,
    WORD_CHARACTERS,
    phoneme_chunks,
    pieces,
    reason_not_to_speak,
)


def test_a_short_sentence_stays_whole() -> None:
    assert pieces("It is quiet,  and early.") == ["It is quiet, and early."]


def test_a_long_one_is_cut_after_a_clause() -> None:
    head = "word " * 45 + "comma, "
    assert pieces(head + "more " * 40)[0] == head.strip()


def test_without_clauses_it_is_cut_at_a_word() -> None:
    found = pieces("word " * 300)
    assert " ".join(found) == ("word " * 300).strip()
    assert len(found) == 5


def test_a_pronunciation_given_in_place_is_never_cut() -> None:
    given_in_place = "[hibari](/hɪbˈɑɹi ɪz ɐ lˈɑɹk ænd ðɪs ɪz lˈɔŋɡəɹ ðən fˈɔɹTi/)"
    assert pieces(f"A {given_in_place} sings.") == [f"A {given_in_place} sings."]


@given(st.text(alphabet="ab ,;:-&\n", max_size=2000))
def test_pieces_are_bounded_and_lose_nothing(text: str) -> None:
    found = pieces(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(len(piece) <= PIECE_CHARACTERS for piece in found)
    assert all(len(word) <= WORD_CHARACTERS for piece in found for word in piece.split())


@given(st.text(alphabet="aˈ ", max_size=3000), st.floats(0.5, 2))
def test_phoneme_chunks_are_bounded_and_lose_nothing(phonemes: str, speed: float) -> None:
    found = phoneme_chunks(phonemes, speed)
    assert "".join("".join(found).split()) == "".join(phonemes.split())
    assert all(len(chunk) <= PIECE_PHONEMES * min(speed, 1) for chunk in found)


@pytest.mark.parametrize("text", ["Hello.", "&", "7", "1" * 36, "1,234,567", "你好"])
def test_what_may_be_tried(text: str) -> None:
    assert reason_not_to_speak(text) is None

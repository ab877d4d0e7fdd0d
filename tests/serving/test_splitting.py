"""Where a text is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.splitting import PIECE_CHARACTERS, Boundary, pieces

MARKED = "the old ferry leaves the harbour at seven and takes the people of the island to the town"
IN_PLACE = "[New York State](/nu jˈɔɹk stˈAt/)"


def texts(text: str, most: int = PIECE_CHARACTERS) -> list[str]:
    return [piece.text for piece in pieces(text, most)]


def ends(text: str, most: int = PIECE_CHARACTERS) -> list[Boundary]:
    return [piece.end for piece in pieces(text, most)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is quiet,  and early.", ["It is quiet, and early."]),
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        (
            'He said "Stop!" She did. (She had to.) Why?',
            ['He said "Stop!"', "She did.", "(She had to.)", "Why?"],
        ),
        ('"Stop!" she said. "Now."', ['"Stop!" she said.', '"Now."']),
        ("Dr. Smith met J. K. Rowling at 3 p.m. today.", ["Dr. Smith met J. K. Rowling at 3 p.m. today."]),
        ("The U.S. Army, Inc. Ltd. and No. 5 vs. Mr. X.", ["The U.S. Army, Inc. Ltd. and No. 5 vs. Mr. X."]),
        ("It was 1999. He left.", ["It was 1999.", "He left."]),
        ("It cost 3.50. $5 was paid.", ["It cost 3.50.", "$5 was paid."]),
        ("1. First thing\n2) Second thing", ["1. First thing", "2) Second thing"]),
        ("Milk\nEggs\n\nBread", ["Milk", "Eggs", "Bread"]),
        ("A line that was\nwrapped here\nand here.", ["A line that was wrapped here and here."]),
        (f"{IN_PLACE}. {IN_PLACE}!", [f"{IN_PLACE}.", f"{IN_PLACE}!"]),
        ("See www.example.com. Then go.", ["See www.example.com.", "Then go."]),
        ("Great! 😀 Then we went.", ["Great! 😀 Then we went."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences(text: str, found: list[str]) -> None:
    assert texts(text) == found
    assert set(ends(text)) <= {Boundary.SENTENCE}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        # A clause goes before words, even where words are nearer to the middle.
        (f"{MARKED}, {MARKED} again", [f"{MARKED},", f"{MARKED} again"]),
        (f"{MARKED} ({MARKED})", [MARKED, f"({MARKED})"]),
    ],
)
def test_a_long_sentence_is_cut_at_a_clause(text: str, found: list[str]) -> None:
    assert texts(text) == found
    assert ends(text) == [Boundary.CLAUSE, Boundary.SENTENCE]


def test_without_punctuation_it_is_cut_before_a_phrase() -> None:
    text = (
        "the company that sold the machine said that it would work for at least ten years but the motor "
        "stopped again and the man who came to repair it did not know where to find the parts"
    )
    second = texts(text)[1]
    assert second.split()[0] in ("but", "and")
    assert ends(text) == [Boundary.PHRASE, Boundary.SENTENCE]


def test_pieces_of_a_long_sentence_are_even() -> None:
    found = texts("word " * 61)  # 304 characters: two would do for all but four
    assert len(found) == 3
    assert max(map(len, found)) - min(map(len, found)) <= 15


@pytest.mark.parametrize(
    "together",
    [
        "10 000 000",
        "March 3, 2024",
        "3.5 million",
        "20 km",
        "$ 5",
        "Dr. Smith",
        "J. K. Rowling",
        "No. 5",
        "Chapter 12",
        "salt & pepper",
        IN_PLACE,
        "https://www.example.com/a,b.c?d=e",
        "1,234,567.89",
        "e.g. this",
        "3 p.m. Then",
    ],
)
def test_what_belongs_together_is_never_cut(together: str) -> None:
    for before in range(8, 26):
        for tail in ("", " more" * 20):
            text = "lone " * before + together + tail
            assert any(together in piece for piece in texts(text, 60)), (before, texts(text, 60))


@given(st.text(alphabet="aB1 ,.;:!?-&\n\"'()[]/$é你", max_size=1500), st.integers(20, 200))
def test_pieces_are_bounded_and_lose_nothing(text: str, most: int) -> None:
    found = pieces(text, most)
    assert "".join("".join(piece.text for piece in found).split()) == "".join(text.split())
    assert all(len(piece.text) <= most or " " not in piece.text or "](" in piece.text for piece in found)
    assert all(piece.text for piece in found)
    assert not found or found[-1].end is Boundary.SENTENCE


def test_a_text_of_nothing_but_numbers_is_cut_all_the_same() -> None:
    found = texts("12345 " * 600)
    assert all(len(piece) <= PIECE_CHARACTERS for piece in found)
    assert " ".join(found) == " ".join(["12345"] * 600)

"""Chinese is cut where it pauses, and nothing of a text is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.splitting import Boundary
from serving.engines.unspaced import UNSPACED, pieces

LONG = "今天早上的海港非常安静，第一班渡轮还没有出发，只有几只海鸥站在旧石墙上；它们看着太阳慢慢升起来。"


def texts(text: str, most: int) -> list[str]:
    return [piece.text for piece in pieces(text, most)]


def test_sentences_are_pieces() -> None:
    assert texts("你好。今天怎么样？“很好！”他说……走吧", 40) == [
        "你好。",
        "今天怎么样？",
        "“很好！”",
        "他说……",
        "走吧",
    ]


def test_a_long_sentence_is_cut_between_clauses() -> None:
    found = pieces(LONG, 25)
    assert [piece.text[-1] for piece in found] == ["，", "。"]
    assert [piece.end for piece in found] == [Boundary.CLAUSE, Boundary.SENTENCE]


def test_a_clause_without_a_mark_is_cut_evenly_and_never_within_a_foreign_word_or_number() -> None:
    assert texts("海港" * 9, 10) == ["海港海港海港海港海"[:9], "港海港海港海港海港"[:9]]
    for piece in texts("我们明天用Kubernetes部署1234567.89个模型" * 4, 13):
        assert not piece.startswith(("ubernetes", "234567"))
        assert len(piece) <= 13


def test_other_scripts_are_cut_as_elsewhere() -> None:
    assert texts("Dr. Smith came. He left.\n她走了。Good night.", 40) == [
        "Dr. Smith came.",
        "He left.",
        "她走了。",
        "Good night.",
    ]


@pytest.mark.parametrize("text", ["", " \n ", "。", "……"])
def test_marks_alone_are_left_for_the_engine_to_refuse(text: str) -> None:
    assert not any(character.isalnum() for piece in pieces(text, 10) for character in piece.text)


@given(
    st.text(alphabet="海港很静天早，。；！？、 ab1.\n“”", max_size=200),
    st.integers(min_value=5, max_value=60),
)
def test_nothing_is_lost_and_no_piece_is_too_long(text: str, most: int) -> None:
    found = texts(text, most)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece == piece.strip() and piece for piece in found)
    # A word of a spaced script stays whole, with the marks that stand at it.
    longest = max(map(len, UNSPACED.sub(" ", text).split()), default=0)
    assert all(len(piece) <= max(most, longest) for piece in found)

"""Words found in a text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.lexicon import Lexicon, merged


def apply(entries: dict[str, str], text: str) -> str:
    return Lexicon(entries).apply(text, lambda word, spoken: f"<{word}|{spoken}>")


@pytest.mark.parametrize(
    ("entries", "text", "found"),
    [
        ({"nginx": "X"}, "nginx, Nginx and NGINX.", "<nginx|X>, <Nginx|X> and <NGINX|X>."),
        ({"US": "X"}, "Tell us of the US.", "Tell us of the <US|X>."),
        ({"US": "X", "us": "Y"}, "us US Us", "<us|Y> <US|X> <Us|Y>"),
        ({"ion": "X"}, "ion ionic lion ion's on-ion ion_2", "<ion|X> ionic lion <ion|X>'s on-<ion|X> ion_2"),
        (
            {"york": "Y", "new york": "X"},
            "New York, york, New\nYork",
            "<New York|X>, <york|Y>, <New\nYork|X>",
        ),
        ({"new": "N", "new york times": "T"}, "new york time", "<new|N> york time"),
        ({"C++": "X", "c": "Y"}, "C++ or C, c++17", "<C++|X> or <C|Y>, <c|Y>++17"),
        ({".net": "X"}, "Use .NET now", "Use <.NET|X> now"),
        ({"café": "X"}, "Café, cafés", "<Café|X>, cafés"),
        ({"银行": "X"}, "他去银行了", "他去<银行|X>了"),
        ({"行": "Y", "银行": "X"}, "银行行", "<银行|X><行|Y>"),
        ({"lark": "X"}, "[lark](/lɑɹk/) lark", "[lark](/lɑɹk/) <lark|X>"),
        ({"example": "X"}, "https://example.com a@example.com www.example.org example", None),
        ({"  ": "X", "": "Y"}, "nothing", "nothing"),
        ({}, "nothing", "nothing"),
        ({"İstanbul": "X"}, "İİ İstanbul", "İİ <İstanbul|X>"),
        ({"a": "X"}, "", ""),
    ],
)
def test_words(entries: dict[str, str], text: str, found: str | None) -> None:
    expected = text.removesuffix("example") + "<example|X>" if found is None else found
    assert apply(entries, text) == expected


@given(
    st.dictionaries(st.text("abA 'é你", min_size=1, max_size=4), st.just("X"), max_size=8),
    st.text("abA 'é你\n"),
)
def test_what_is_not_found_stays(entries: dict[str, str], text: str) -> None:
    assert Lexicon(entries).apply(text, lambda word, _: word) == text


def test_later_lexicons_go_before_earlier_ones() -> None:
    assert merged({"a": "1", "b": "1"}, {"b": "2"}) == {"a": "1", "b": "2"}


def test_a_large_lexicon_is_quick() -> None:
    entries = {f"word{number}": "X" for number in range(10_000)}
    lexicon = Lexicon(entries)
    began = time.process_time()
    lexicon.apply("word word12 wordy and others " * 140, lambda word, _: word)
    assert time.process_time() - began < 1

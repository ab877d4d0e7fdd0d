"""English text as the words a voice says: lower case, no signs, numbers spelled out.

Some numbers can be read in several ways (1999, 2005, 105): `readings` gives them all, and whichever fits best
is taken to be meant.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice, product

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_LONGEST = 15
"""Digits of the largest number that has a name here; a longer one is read digit by digit."""
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
             "nine": "ninth", "twelve": "twelfth"}  # fmt: skip
_SIGNS = {"%": "percent", "&": "and", "+": "plus", "=": "equals", "@": "at", "°": "degrees"}
_CURRENCIES = {"$": "dollars", "£": "pounds", "€": "euros"}
_ABBREVIATIONS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "vs": "versus"}
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MONEY = re.compile(r"([$£€])\s?(\d+(?:\.\d+)?)")
_DOT = re.compile(r"(?<=[a-z]{2})\.(?=[a-z]{2})")
_TOKEN = re.compile(r"\d+(?:\.\d+)?(?:st|nd|rd|th|s)?(?![a-z\d])|\d+|[a-z]+(?:'[a-z]+)*|[%&+=@°]")
_ABBREVIATED = re.compile(rf"\b({'|'.join(_ABBREVIATIONS)})\.")
_MOST_READINGS = 32
"""So that a text full of numbers does not outweigh all others."""

Words = tuple[str, ...]


def readings(text: str) -> tuple[Words, ...]:
    """The words of `text` for each way in which its numbers can be read, the plainest first; at most 32."""
    ways = product(*(_ways(token) for token in _tokens(text)))
    found = (tuple(word for words in way for word in words) for way in islice(ways, _MOST_READINGS))
    return tuple(dict.fromkeys(found))


def spoken(text: str) -> Words:
    """The words of `text` in the plainest reading."""
    return readings(text)[0]


def _tokens(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.replace("’", "'").replace("‘", "'")).lower()
    plain = "".join(sign for sign in folded if not unicodedata.combining(sign))
    plain = _MONEY.sub(lambda match: f"{match[2]} {_CURRENCIES[match[1]]}", _GROUPED.sub("", plain))
    plain = _ABBREVIATED.sub(lambda match: _ABBREVIATIONS[match[1]], plain)
    return _TOKEN.findall(_DOT.sub(" dot ", plain))


def _ways(token: str) -> tuple[Words, ...]:
    """The ways to say one token."""
    if not token[0].isdigit():
        return ((_SIGNS.get(token, token),),)
    number = token.rstrip("stndrh")
    whole, _, fraction = number.partition(".")
    if fraction:
        found = [(*cardinal(whole), "point", *_digits(fraction))]
    else:
        found = [cardinal(whole), cardinal(whole, joined_by_and=True), _in_pairs(whole)]
    if token.endswith("s"):
        found = [_plural(words) for words in found]
    elif token != number:
        found = [_ordinal(words) for words in found]
    elif len(whole) > 2 and not fraction:
        # As a code, a room or a telephone number is read; a short number read so would be a mistake.
        found += [_digits(whole), _digits(whole, zero="oh")]
    return tuple(dict.fromkeys(found))


def cardinal(digits: str, *, joined_by_and: bool = False) -> Words:
    """The words of a whole number: `105` is "one hundred five", or "one hundred and five"."""
    if len(digits) > _LONGEST or (digits[0] == "0" and len(digits) > 1):
        return _digits(digits)
    number = int(digits)
    if number < 20:
        return (_ONES[number],)
    if number < 100:
        return (_TENS[number // 10], *((_ONES[number % 10],) if number % 10 else ()))
    size, name = next((scale for scale in _SCALES if number >= scale[0]), (100, "hundred"))
    count, rest = divmod(number, size)
    link = ("and",) if joined_by_and and 0 < rest < 100 else ()
    tail = cardinal(str(rest), joined_by_and=joined_by_and) if rest else ()
    return (*cardinal(str(count), joined_by_and=joined_by_and), name, *link, *tail)


def _in_pairs(digits: str) -> Words:
    """As a year is read: `1999` is "nineteen ninety nine", `1805` "eighteen oh five"."""
    if len(digits) != 4 or digits[0] == "0" or digits[1:3] == "00":
        return cardinal(digits)
    low = digits[2:]
    if low == "00":
        return (*cardinal(digits[:2]), "hundred")
    return (*cardinal(digits[:2]), *(("oh", *cardinal(low[1])) if low[0] == "0" else cardinal(low)))


def _digits(digits: str, *, zero: str = "zero") -> Words:
    return tuple(zero if digit == "0" else _ONES[int(digit)] for digit in digits)


def _ordinal(words: Words) -> Words:
    last = words[-1]
    ending = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return (*words[:-1], _ORDINALS.get(last, ending))


def _plural(words: Words) -> Words:
    last = words[-1]
    ending = last[:-1] + "ies" if last.endswith("y") else last + ("es" if last.endswith("x") else "s")
    return (*words[:-1], ending)

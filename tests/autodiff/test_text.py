"""Names as they are shown: nothing in them breaks a line or steers a terminal."""

from __future__ import annotations

import sys

import pytest

from tinygrad_lr.autodiff.text import quoted, shortened, shown


@pytest.mark.parametrize("words", ["plain", "größe 身長", "", 'it\'s "quoted"', "back\\slash"])
def test_what_can_be_printed_stays(words):
    assert shown(words) == words


@pytest.mark.parametrize(
    "words, want",
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x07\0", r"\x1b[2J\x07\x00"),
        ("\x85\u2028\u202e", r"\x85\u2028\u202e"),  # line breaks of other kinds, and what turns the direction of writing
        ("\ud800\udcff", r"\ud800\udcff"),  # halves of characters, as in file names that are no UTF-8
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_cannot_is_escaped(words, want):
    assert shown(words) == want
    assert shown(want) == want
    assert quoted(words) == f"'{want}'"


def test_all_characters():
    words = "".join(map(chr, range(sys.maxunicode + 1)))
    assert shown(words).isprintable()
    assert shown(words).encode()


def test_what_fits_is_not_shortened():
    assert shortened("0123456789", 10) == "0123456789"
    assert len(shortened("0123456789a", 10)) == 10
    assert "..." in shortened("0123456789a", 10)

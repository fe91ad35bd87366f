"""Tables from CSV files: what is read, what is refused, and the error texts. tests/cli/test_misuse.py runs the same files through the command line."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lr.autodiff.text import quoted, shortened
from tinygrad_lr.regression.data import PRIMES, DataError, quoted_names, read_csv, split

GOOD = {
    "plain": b"a,b,y\n1,2,0\n3,4,1\n",
    "target-first": b"y,a,b\n0,1,2\n1,3,4\n",
    "no-newline-at-the-end": b"a,b,y\n1,2,0\n3,4,1",
    "byte-order-mark": b"\xef\xbb\xbfa,b,y\n1,2,0\n3,4,1\n",
    "byte-order-mark-target-first": b"\xef\xbb\xbfy,a,b\n0,1,2\n1,3,4\n",
    "windows-lines": b"a,b,y\r\n1,2,0\r\n3,4,1\r\n",
    "old-mac-lines": b"a,b,y\r1,2,0\r3,4,1\r",
    "blank-lines": b"\n\na,b,y\n\n1,2,0\n   \n3,4,1\n\t\n\n",
    "spaces": b" a , b,  y \n 1,2 , 0\n3  ,\t4,1 \n",
    "quotes": b'"a","b","y"\n"1","2","0"\n3, "4","1"\n',
    "number-formats": b"a,b,y\n+1.0,.2e1,0.0\n3.,4E0,1e0\n",
}

BAD = {
    "nan": (b"a,y\n1,0\nnan,1\n", "points.csv, row 3, column 'a': expected a finite number, found 'nan'"),
    "inf": (b"a,y\n-inf,0\n2,1\n", "points.csv, row 2, column 'a': expected a finite number, found '-inf'"),
    "overflow": (b"a,y\n1,0\n1e400,1\n", "points.csv, row 3, column 'a': expected a finite number, found '1e400'"),
    "too-large": (b"a,y\n1,0\n-1e200,1\n", "points.csv, row 3, column 'a': expected 0 or a size from 1e-100 to 1e+100 (try another unit), found '-1e200'"),
    "too-small": (b"a,y\n1,0\n1e-200,1\n", "points.csv, row 3, column 'a': expected 0 or a size from 1e-100 to 1e+100 (try another unit), found '1e-200'"),
    "text": (b"a,y\n1,0\nlarge,1\n", "points.csv, row 3, column 'a': expected a number, found 'large'"),
    "underscore": (b"a,y\n1_000,0\n2,1\n", "points.csv, row 2, column 'a': expected a number, found '1_000'"),
    "thousands": (b'a,y\n"1,000",0\n2,1\n', "points.csv, row 2, column 'a': expected a number, found '1,000'"),
    "empty-field": (b"a,b,y\n1,2,0\n1,,1\n", "points.csv, row 3, column 'b': expected a number, the field is empty"),
    "empty-class": (b"a,y\n1,0\n1, \n", "points.csv, row 3, column 'y': the class must be 0 or 1, the field is empty"),
    "empty-fields-only": (b"a,b,y\n1,2,0\n,,\n1,2,1\n", "points.csv, row 3, column 'a': expected a number, the field is empty"),
    "blank-lines-count": (b"a,y\n\n1,0\n\nx,1\n", "points.csv, row 5, column 'a': expected a number, found 'x'"),
    "row-too-short": (b"a,b,y\n1,2,0\n1,1\n", "points.csv, row 3: 2 fields where the header has 3; column 'y' is missing"),
    "row-too-long": (b"a,y\n1,0\n1,1,5\n", "points.csv, row 3: 3 fields where the header has 2; '5' has no column"),
    "semicolons-below-the-header": (b"a,b,y\n1;2;0\n", "points.csv, row 2: 1 field where the header has 3; column 'b' is missing"),
    "one-class": (b"a,y\n1,1\n2,1\n", "points.csv, column 'y': every row has class 1; both 0 and 1 must occur"),
    "one-row": (b"a,y\n1,0\n", "points.csv, column 'y': every row has class 0; both 0 and 1 must occur"),
    "class-two": (b"a,y\n1,1\n2,2\n", "points.csv, row 3, column 'y': the class must be 0 or 1, found '2'"),
    "class-text": (b"a,y\n1,yes\n2,no\n", "points.csv, row 2, column 'y': the class must be 0 or 1, found 'yes'"),
    "class-nan": (b"a,y\n1,nan\n2,1\n", "points.csv, row 2, column 'y': the class must be 0 or 1, found 'nan'"),
    "no-target": (b"a,b,class\n1,2,0\n", "points.csv has no column 'y'; its header has 'a', 'b', 'class'"),
    "target-in-capitals": (b"a,Y\n1,0\n", "points.csv has no column 'y'; its header has 'a', 'Y'"),
    "many-columns": (
        ",".join(f"x{i}" for i in range(1, 31)).encode() + b"\n",
        "points.csv has no column 'y'; its header has " + ", ".join(f"'x{i}'" for i in range(1, 21)) + ", and 10 more",
    ),
    "semicolons": (b"a;b;y\n1,5;2;0\n", "points.csv has no column 'y'; its header has 'a;b;y'; separate fields by ',' instead of ';'"),
    "tabs": (b"a\tb\ty\n1\t2\t0\n", "points.csv has no column 'y'; its header has 'a b y'; separate fields by ',' instead of '\\t'"),
    "bars": (b"a|y\n1|0\n", "points.csv has no column 'y'; its header has 'a|y'; separate fields by ',' instead of '|'"),
    "repeated-name": (b"a,b,a,y,b\n1,2,3,0,4\n", "points.csv, row 1: the header names 'a', 'b' more than once"),
    "repeated-but-for-spaces": (b"a, a,y\n1,2,0\n", "points.csv, row 1: the header names 'a' more than once"),
    "repeated-target": (b"y,a,y\n1,2,0\n", "points.csv, row 1: the header names 'y' more than once"),
    "no-name": (b",a,y\n0,1,0\n1,2,1\n", "points.csv, row 1, column 1: the column has no name"),
    "no-name-below-blank-lines": (b"\n\na,,y\n0,1,0\n", "points.csv, row 3, column 2: the column has no name"),
    "comma-at-the-end": (b"a,y,\n1,0,\n", "points.csv, row 1, column 3: the column has no name"),
    "no-features": (b"y\n0\n1\n", "points.csv has no column besides 'y': at least one feature is needed"),
    "empty": (b"", "points.csv is empty: expected a header row and rows of numbers"),
    "blank": (b"\n  \n\n", "points.csv is empty: expected a header row and rows of numbers"),
    "only-commas": (b",,\n", "points.csv, row 1, column 1: the column has no name"),
    "header-only": (b"a,y\n\n", "points.csv has a header but no rows of numbers below it"),
    "latin-1": (b"a,y\n1,0\n1,gr\xf6\xdfer\n", "points.csv, row 3, column 2: byte 0xf6 is not UTF-8; save the file as UTF-8 text"),
    "latin-1-header": (b"gr\xf6\xdfe,y\n1,0\n", "points.csv, row 1, column 1: byte 0xf6 is not UTF-8; save the file as UTF-8 text"),
    "latin-1-after-a-quoted-newline": (b'"a\n(cm)",y\n1,\xe9\n', "points.csv, row 2, column 2: byte 0xe9 is not UTF-8; save the file as UTF-8 text"),
    "latin-1-at-a-line-start": (b"a,y\n\xe9,1\n", "points.csv, row 2, column 1: byte 0xe9 is not UTF-8; save the file as UTF-8 text"),
    "utf-16": ("a,y\n1,0\n".encode("utf-16"), "points.csv, row 1, column 1: byte 0xff is not UTF-8; save the file as UTF-8 text"),
    "utf-16-without-mark": ("a,y\n1,0\n".encode("utf-16-le"), "points.csv, row 1, column 1: the name 'a\\x00' cannot be printed"),
    "quoted-newline": (b'a,y\n1,0\n"2\n",1\n"two\nlines",0\nx,1\n', "points.csv, row 4, column 'a': expected a number, found 'two\\nlines'"),
    "quoted-newline-in-the-header": (b'"a\n(cm)",y\n1,0\nx,1\n', "points.csv, row 3, column 'a (cm)': expected a number, found 'x'"),
    "open-quote": (b'a,y\n1,0\n"2,1\n3,0\n', "points.csv, row 3: unexpected end of data; is a quotation mark missing or not doubled?"),
    "quote-within": (b'a,y\n1,0\n"2"x,1\n', "points.csv, row 3: ',' expected after '\"'; is a quotation mark missing or not doubled?"),
    "latin-1-in-quotes": (b'a,y\n"\n\xe9",1\n', "points.csv, row 2, column 1: byte 0xe9 is not UTF-8; save the file as UTF-8 text"),
    "long-text": (
        b"a,y\n" + b"abcdefghij" * 20 + b",0\n",
        "points.csv, row 2, column 'a': expected a number, found 'abcdefghijabcdefghijabcdefghi...cdefghijabcdefghijabcdefghij'",
    ),
    "huge-field": (
        b"a,y\n1,0\n" + b"1" * 200_000 + b",1\n",
        "points.csv, row 3: field larger than field limit (131072); is a quotation mark missing or not doubled?",
    ),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD)
def test_reads(tmp_path, content):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    data = read_csv(path, "y")
    assert data.X.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert data.y.tolist() == [[0.0], [1.0]]
    assert data.X.dtype == data.y.dtype == np.float64
    assert (data.names, data.target) == (("a", "b"), "y")


@pytest.mark.parametrize("content, message", BAD.values(), ids=BAD)
def test_refuses(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_csv("points.csv", "y")
    assert str(caught.value) == message


def test_cannot_be_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^cannot read points\.csv: No such file or directory$"):
        read_csv("points.csv", "y")
    (tmp_path / "points.csv").mkdir()
    with pytest.raises(DataError, match=r"^cannot read points\.csv: (Is a directory|Permission denied)$"):
        read_csv("points.csv", "y")


def test_names_on_several_lines_become_one(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text('"height\n (cm)","is\ttall"\n1,0\n2,1\n', encoding="utf-8")
    assert read_csv(path, "is tall").names == ("height (cm)",)
    assert read_csv(path, " is\ttall ").target == "is tall"


def test_names_in_any_script(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("größe,身長,y\n1,2,0\n3,4,1\n", encoding="utf-8")
    assert read_csv(path, "y").names == ("größe", "身長")


def test_values_are_exact(tmp_path):
    values = [0.1, -1e-100, 1e100, 123456789.123456789, 5e-324 * 0, 2 / 3]
    path = tmp_path / "points.csv"
    path.write_text("a,y\n" + "".join(f"{value!r},{i % 2}\n" for i, value in enumerate(values)), encoding="utf-8")
    assert read_csv(path, "y").X[:, 0].tolist() == values


def test_one_hundred_thousand_rows(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("a,b,y\n" + "".join(f"{i},{-i},{i % 2}\n" for i in range(100_000)), encoding="utf-8")
    data = read_csv(path, "y")
    assert data.X.shape == (100_000, 2)
    assert data.X[:, 0].sum() == -data.X[:, 1].sum() == sum(range(100_000))


def test_primes_are_six_and_mixed():
    assert PRIMES.X[:, 0].tolist() == [2, 3, 5, 7, 11, 13]
    assert PRIMES.y[:, 0].tolist() == [0, 0, 1, 0, 1, 1]


def test_split_holds_out_a_share():
    y = (np.arange(100) % 2).reshape(-1, 1).astype(float)
    kept, held_out = split(y, 0.25)
    assert len(held_out) == 25
    assert sorted([*kept, *held_out]) == list(range(100))
    assert list(kept) == sorted(kept)
    assert list(held_out) == sorted(held_out)
    assert list(held_out) != list(range(75, 100))  # drawn, for files are often sorted by class
    assert split(y, 0.25)[1].tolist() == held_out.tolist()
    assert len(split(y, 1e-9)[1]) == 1


def test_split_without_a_share_keeps_all():
    kept, held_out = split(PRIMES.y, None)
    assert kept.tolist() == [0, 1, 2, 3, 4, 5]
    assert not len(held_out)


def test_split_that_leaves_one_class():
    with pytest.raises(DataError, match="holding out 5 samples of 6 does not leave both classes to learn from"):
        split(PRIMES.y, 0.9)


def test_shortened_keeps_both_ends():
    assert shortened("short", 5) == "short"
    assert [shortened("abcdefghij", width) for width in (9, 8, 7)] == ["abc...hij", "abc...ij", "ab...ij"]
    assert quoted("it's\n") == '"it\'s\\n"'
    assert len(quoted("x" * 1000)) == 62


def test_only_the_first_of_many_names_are_quoted():
    assert quoted_names(["a", "b", "c"]) == "'a', 'b', 'c'"
    assert quoted_names(["a", "b", "c"], most=2) == "'a', 'b', and 1 more"

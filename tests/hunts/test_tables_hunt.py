"""Broken tables at random: each ends in a fit, or in one error line that names the place.

TINYGRAD_LR_HUNT=20 makes the hunt 20 times as long.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re

import numpy as np
import pytest

from tinygrad_lr import cli

SIZE = int(os.environ.get("TINYGRAD_LR_HUNT", "1"))

NAMES = ["height", "weight (kg)", "größe", "x", "a,b", 'the "x"', "1", "sample", "a very long name of a column that has to be shortened somewhere", "身長"]
NO_NUMBERS = [
    "",
    " ",
    "large",
    "nan",
    "-inf",
    "1e400",
    "1e-200",
    "-1e200",
    "1_000",
    "1,5",
    "0x10",
    "1e",
    "--1",
    "1 2",
    "½",
    "None",
    "two\nlines",
    "\x1b[2J",
    "\0",
    "a" * 300,
]
NO_CLASSES = ["", "2", "-1", "0.5", "yes", "nan", "1e-300", "True", "\t"]


def a_table(rng):
    """A header and rows that can be fitted, as texts; the last column is the class y."""
    m, n = int(rng.integers(4, 15)), int(rng.integers(1, 5))
    X = (rng.normal(size=(m, n)) + rng.choice([0, 0, 10], n)) * 10.0 ** rng.choice([-90, -8, 0, 0, 0, 8, 90], n)
    y = rng.permutation([0, 1, *rng.integers(0, 2, m - 2)])
    texts = [[f"{x:{rng.choice(['.17g', '.3g', '.3e', 'g'])}}" for x in row] for row in X]
    columns = [*rng.choice(NAMES, n, replace=False), "y"]
    return columns, [[*row, str(rng.choice(["{}", " {}", "{}.0", "+{}", "{} "])).format(c)] for row, c in zip(texts, y)]


def written(columns, rows):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
    return stream.getvalue()


def outcome(path, content, *options):
    """(exit status, standard output, standard error) of fitting the table."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = cli.main(["fit", str(path), "--target", "y", "--epochs", "2", *options])
    return status, out.getvalue(), errors.getvalue()


WHERE = re.compile(
    r"(, row \d+, column ('|\")?.+: .+"
    r"|, row \d+: \d+ fields? where the header has \d+; (column ('|\").+('|\") is missing|('|\").*('|\") has no column)"
    r"|, row \d+: .+; is a quotation mark missing or not doubled\?"
    r"|, row \d+: the header names .+ more than once"
    r"|, column 'y': every row has class [01]; both 0 and 1 must occur"
    r"|: every feature is constant, so there is nothing to tell the classes apart by"
    r"| is empty: expected a header row and rows of numbers"
    r"| has a header but no rows of numbers below it"
    r"| has no column 'y'; its header has .+"
    r"| has no column besides 'y': at least one feature is needed)"
)
"""What may follow the file's name: a place as exact as there is one."""


def assert_told_or_fitted(path, result):
    """Nothing else than a whole fit or one line; tell which."""
    status, out, errors = result
    if status == 0:
        assert errors == ""
        assert out.endswith("Autodiff agrees with both.\n")
        return True
    assert (status, out) == (2, "")
    assert errors.removesuffix("\n").isprintable()
    assert WHERE.fullmatch(errors.removesuffix("\n").removeprefix(f"error: {path}")), errors
    return False


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path.joinpath("t.csv").relative_to(tmp_path)


def test_whole_tables_are_fitted(path):
    rng = np.random.default_rng(0)
    for _ in range(30 * SIZE):
        assert assert_told_or_fitted(path, outcome(path, written(*a_table(rng))))


def test_one_broken_field_is_named_by_row_and_column(path):
    rng = np.random.default_rng(1)
    for _ in range(200 * SIZE):
        columns, rows = a_table(rng)
        i, j = int(rng.integers(len(rows))), int(rng.integers(len(columns)))
        rows[i][j] = str(rng.choice(NO_CLASSES if j == len(columns) - 1 else NO_NUMBERS))
        blank = int(rng.integers(i + 1))  # rows count as in a spreadsheet, blank ones among them
        content = written(columns, rows[:blank]) + "\n" + written(rows[blank], rows[blank + 1 :])
        result = outcome(path, content)
        assert not assert_told_or_fitted(path, result)
        name = " ".join(columns[j].split())
        shown = name if len(name) <= 60 else name[:29]
        assert result[2].startswith((f"error: t.csv, row {i + 3}, column '{shown}", f'error: t.csv, row {i + 3}, column "{shown}')), (result, content)


def test_a_row_too_short_or_too_long_is_named(path):
    rng = np.random.default_rng(2)
    for _ in range(100 * SIZE):
        columns, rows = a_table(rng)
        i = int(rng.integers(len(rows)))
        rows[i] = rows[i][: rng.integers(1, len(columns))] if rng.random() < 0.5 else rows[i] + ["7"] * int(rng.integers(1, 3))
        result = outcome(path, written(columns, rows))
        assert not assert_told_or_fitted(path, result)
        assert result[2].startswith(f"error: t.csv, row {i + 2}: {len(rows[i])} field")


def test_damaged_tables_are_fitted_or_told(path):
    """Bytes changed, cut out, put in twice and cut off; separators, quotes and line ends among what is put in."""
    rng = np.random.default_rng(3)
    pieces = [
        b",",
        b'"',
        b"\n",
        b"\r",
        b"\r\n",
        b";",
        b"\t",
        b" ",
        b"\0",
        b"\xff",
        b"\xc3",
        b"\xef\xbb\xbf",
        b"-",
        b"e",
        b"9" * 40,
        b"0",
        b"1",
        b"y",
        b"'",
        b"#",
    ]
    fitted = 0
    for _ in range(400 * SIZE):
        content = bytearray(written(*a_table(rng)).encode())
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(len(content) + 1))
            end = at + int(rng.integers(0, 1 + min(20, len(content) - at)))
            kind = rng.integers(5)
            if kind == 0:
                content[at:at] = pieces[rng.integers(len(pieces))]
            elif kind == 1:
                del content[at:end]
            elif kind == 2:
                content[at:at] = content[at:end]
            elif kind == 3:
                content[at:end] = rng.integers(0, 256, end - at, np.uint8).tobytes()
            elif rng.random() < 0.2:
                del content[at:]
        options = ["--test", "0.3"] if rng.random() < 0.1 else []
        result = outcome(path, bytes(content), *options)
        if not result[2].startswith("error: holding out"):
            fitted += assert_told_or_fitted(path, result)
    assert 0 < fitted < 300 * SIZE


def test_noise_is_told(path):
    rng = np.random.default_rng(4)
    letters = list("y,,,,\n\n\"' 01.e-+\t\rnaif\0ß")
    for _ in range(200 * SIZE):
        content = "".join(rng.choice(letters, rng.integers(0, 60)))
        assert_told_or_fitted(path, outcome(path, content if rng.random() < 0.8 else f"a,y\n{content}"))

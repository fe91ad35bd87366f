"""Data to fit: the six primes, and tables of numbers from CSV files.

A table is accepted as it is or refused: nothing is guessed, dropped or filled in. An error names the place, counted
as in a spreadsheet: the header is row 1, and blank lines are rows too.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_lr.autodiff.text import quoted, shown

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SMALLEST, LARGEST = 1e-100, 1e100  # the squares of such numbers, and sums of those, neither underflow nor overflow


class Samples(NamedTuple):
    """Samples in rows: features X (m, n), targets y (m, 1) of 0 and 1, and the features' names."""

    X: Floats
    y: Floats
    names: tuple[str, ...]
    target: str


class DataError(ValueError):
    """A table that cannot be fitted; the message names the file, row and column."""


PRIMES = Samples(np.array([[2.0], [3], [5], [7], [11], [13]]), np.array([[0.0], [0], [1], [0], [1], [1]]), ("x",), "y")
"""The running example: six primes, three of each class, not separable."""


def read_csv(path: str | Path, target: str) -> Samples:
    """Read a CSV file of numbers with a header row.

    Fields are separated by commas. Spaces around names and numbers don't matter, nor do blank lines, a byte
    order mark, or whether lines end as on Windows. White space inside a name counts as one space.

    Parameters
    ----------
    path : str or Path
        The file, in UTF-8.
    target : str
        The name of the column with the classes, 0 and 1. All others are features.

    Returns
    -------
    Samples
        float64 throughout.

    Raises
    ------
    DataError
        If the file cannot be read, a column has no name or shares it, the target column is missing, a row
        has too many or too few fields, a field is not a finite number (or one whose square is not), a class is
        neither 0 nor 1, or only one class occurs.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "points.csv"
    >>> _ = path.write_text("height,y\\n1.5,0\\n1.8,1\\n")
    >>> read_csv(path, "y").X.tolist()
    [[1.5], [1.8]]
    """
    where = shown(str(path))
    rows = records(where, text_of(path, where))
    top, header = next(rows, (1, []))
    names, target = [column_name(field) for field in header], column_name(target)
    check_header(where, top, header, names, target)
    numbers = np.array([numbers_in(where, row, names, fields, target) for row, fields in rows])
    if not len(numbers):
        raise DataError(f"{where} has a header but no rows of numbers below it")
    at = names.index(target)
    y = numbers[:, at : at + 1]
    if y.min() == y.max():
        raise DataError(f"{where}, column {quoted(target)}: every row has class {y[0, 0]:g}; both 0 and 1 must occur")
    return Samples(np.delete(numbers, at, axis=1), y, tuple(names[:at] + names[at + 1 :]), target)


def text_of(path: str | Path, where: str) -> str:
    """The whole file, decoded."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {where}: {error.strerror}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode() + "?"  # its place is found from the fields before it
        *_, (row, fields) = records(where, before, strict=False)
        place = f"{where}, row {row}, column {len(fields)}"
        raise DataError(f"{place}: byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8 text") from error


def records(where: str, text: str, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
    """(row, fields) of every row that is not blank."""
    row = 0
    try:
        for row, fields in enumerate(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=strict), 1):
            if len(fields) > 1 or "".join(fields).strip():
                yield row, fields
    except csv.Error as error:
        raise DataError(f"{where}, row {row + 1}: {error}; is a quotation mark missing or not doubled?") from error


def column_name(text: str) -> str:
    """A column's name, with any white space in it, line breaks included, as a single space."""
    return " ".join(text.split())


def check_header(where: str, row: int, header: list[str], names: list[str], target: str) -> None:
    """Refuse a header that does not identify the columns."""
    if not header:
        raise DataError(f"{where} is empty: expected a header row and rows of numbers")
    for column, name in enumerate(names, 1):
        if not name or not name.isprintable():
            raise DataError(f"{where}, row {row}, column {column}: {f'the name {quoted(name)} cannot be printed' if name else 'the column has no name'}")
    repeated = dict.fromkeys(name for name in names if names.count(name) > 1)
    if repeated:
        raise DataError(f"{where}, row {row}: the header names {quoted_names(repeated)} more than once")
    if target not in names:
        other = next((mark for mark in ";\t|" if len(header) == 1 and mark in header[0]), None)
        hint = f"; separate fields by ',' instead of {other!r}" if other else ""
        raise DataError(f"{where} has no column {quoted(target)}; its header has {quoted_names(names)}{hint}")
    if len(names) == 1:
        raise DataError(f"{where} has no column besides {quoted(target)}: at least one feature is needed")


def numbers_in(where: str, row: int, names: list[str], fields: list[str], target: str) -> list[float]:
    """The row's fields as numbers, one under each name."""
    if len(fields) != len(names):
        missing = f"column {quoted(names[len(fields)])} is missing" if len(fields) < len(names) else f"{quoted(fields[len(names)])} has no column"
        raise DataError(f"{where}, row {row}: {plural(len(fields), 'field')} where the header has {len(names)}; {missing}")
    numbers = []
    for name, field in zip(names, fields):
        try:
            numbers.append(as_number(field, name == target))
        except ValueError as error:
            raise DataError(f"{where}, row {row}, column {quoted(name)}: {error}") from None
    return numbers


def as_number(text: str, is_class: bool = False) -> float:
    """The field as a number to compute with; 1_000 is a number in Python, but more likely a typo in a table."""
    try:
        value = float(text) if "_" not in text else None
    except ValueError:
        value = None
    if value in (0.0, 1.0) or (value is not None and not is_class and SMALLEST <= abs(value) <= LARGEST):
        return value
    if is_class:
        expected = "the class must be 0 or 1"
    elif value is None:
        expected = "expected a number"
    elif not math.isfinite(value):
        expected = "expected a finite number"
    else:
        expected = f"expected 0 or a size from {SMALLEST:g} to {LARGEST:g} (try another unit)"
    raise ValueError(f"{expected}, {f'found {quoted(text)}' if text.strip() else 'the field is empty'}")


def split(y: Floats, share: float | None) -> tuple[Indices, Indices]:
    """The indices of the samples to learn from and of those to hold out: a share of all, drawn with a fixed seed.

    Examples
    --------
    >>> kept, held_out = split(PRIMES.y, 1 / 3)
    >>> len(kept), len(held_out)
    (4, 2)
    """
    count = max(1, round(share * len(y))) if share else 0
    drawn = np.random.default_rng(0).permutation(len(y))
    kept, held_out = np.sort(drawn[count:]), np.sort(drawn[:count])
    if len(np.unique(y[kept])) < 2:
        raise DataError(f"holding out {plural(count, 'sample')} of {len(y)} does not leave both classes to learn from")
    return kept, held_out


class Table(NamedTuple):
    """Samples to learn from, with features standardised to mean 0 and standard deviation 1, and samples held out, on the same scale."""

    samples: Samples
    held_out: Samples
    rows: Indices  # the indices in the file of the samples to learn from
    raw: Floats  # their features in the file's units
    mean: Floats  # of these features
    deviation: Floats
    constant: tuple[str, ...]  # the columns left out

    def in_units(self, weight: Floats, bias: float) -> list[float]:
        """The weights of the same neuron for features in the file's units, then its bias."""
        weight = weight / self.deviation
        return [*weight.tolist(), bias - float(weight @ self.mean)]


def read_table(path: str | Path, target: str, share: float | None = None) -> Table:
    """Read a CSV file as `read_csv` does, hold out a share of the samples, leave out constant columns, and standardise the others.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "points.csv"
    >>> _ = path.write_text("height,y\\n1.5,0\\n1.7,1\\n")
    >>> table = read_table(path, "y")
    >>> table.samples.X.round(9).tolist(), np.round(table.in_units(np.array([1.0]), 0.0), 9).tolist()
    ([[-1.0], [1.0]], [10.0, -16.0])
    """
    data = read_csv(path, target)
    kept, held_out = split(data.y, share)
    varies = np.ptp(data.X[kept], axis=0) > 0
    if not varies.any():
        raise DataError(f"{shown(str(path))}: every feature is constant, so there is nothing to tell the classes apart by")
    raw = data.X[:, varies]
    mean, deviation = raw[kept].mean(axis=0), raw[kept].std(axis=0)
    X, names = (raw - mean) / deviation, tuple(itertools.compress(data.names, varies))
    samples, others = (Samples(X[rows], data.y[rows], names, data.target) for rows in (kept, held_out))
    return Table(samples, others, kept, raw[kept], mean, deviation, tuple(itertools.compress(data.names, ~varies)))


def quoted_names(names: Iterable[str], most: int = 20) -> str:
    """The names in quotes, only the first of many."""
    names = list(names)
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([quoted(name) for name in names[:most]] + more)


def plural(n: int, noun: str) -> str:
    """1 row, 2 rows."""
    return f"{n} {noun}{'s' * (n != 1)}"

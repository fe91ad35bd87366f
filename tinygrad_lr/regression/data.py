"""Data to fit: the six primes, and tables of numbers from CSV files."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Data(NamedTuple):
    """Samples in rows: features X (m, n), targets y (m, 1) of 0 and 1, and the features' names."""

    X: Floats
    y: Floats
    names: tuple[str, ...]
    target: str


class DataError(ValueError):
    """A table that cannot be fitted; the message names the file, row and column."""


PRIMES = Data(
    X=np.array([[2.0], [3.0], [5.0], [7.0], [11.0], [13.0]]),
    y=np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]]),
    names=("x",),
    target="y",
)
"""The running example: six primes, three of each class, not separable."""


def read_csv(path: str | Path, target: str) -> Data:
    """Read a CSV file of numbers with a header row.

    Parameters
    ----------
    path : str or Path
        The file, in UTF-8.
    target : str
        The name of the column with the classes, 0 and 1. All others are features.

    Returns
    -------
    Data
        float64 throughout.

    Raises
    ------
    DataError
        If the file cannot be read, the target column is missing, a row has too many or too few fields, a
        field is no finite number, a class is neither 0 nor 1, or only one class occurs.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "points.csv"
    >>> _ = path.write_text("height,y\\n1.5,0\\n1.8,1\\n")
    >>> read_csv(path, "y").X.tolist()
    [[1.5], [1.8]]
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(nonblank(csv.reader(file)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not rows:
        raise DataError(f"{path} is empty: expected a header row and rows of numbers")
    header = [name.strip() for name in rows[0][1]]
    check_header(path, header, target)
    if len(rows) == 1:
        raise DataError(f"{path} has a header but no rows")
    numbers = np.array([[number(path, line, name, text) for name, text in zip(header, fields(path, line, row, header))] for line, row in rows[1:]])
    at = header.index(target)
    y = numbers[:, at : at + 1]
    for (line, _), value in zip(rows[1:], y[:, 0]):
        if value not in (0.0, 1.0):
            raise DataError(f"{path}, row {line}, column {target!r}: the class must be 0 or 1, found {value:g}")
    if y.min() == y.max():
        raise DataError(f"{path}, column {target!r}: every row has class {y[0, 0]:g}; both 0 and 1 must occur")
    return Data(np.delete(numbers, at, axis=1), y, tuple(name for name in header if name != target), target)


def nonblank(rows: Any) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of every row that is not empty."""
    for row in rows:
        if row:
            yield rows.line_num, row


def check_header(path: str | Path, header: list[str], target: str) -> None:
    """Refuse a header that does not say which column is which."""
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path}: the header names {', '.join(map(repr, repeated))} more than once")
    if target not in header:
        raise DataError(f"{path} has no column {target!r}; its columns are {', '.join(map(repr, header))}")
    if len(header) == 1:
        raise DataError(f"{path} has no column besides {target!r}: at least one feature is needed")


def fields(path: str | Path, line: int, row: list[str], header: list[str]) -> list[str]:
    """The row, if it is as long as the header."""
    if len(row) != len(header):
        missing = f"column {header[len(row)]!r} is missing" if len(row) < len(header) else f"field {row[len(header)]!r} has no column"
        raise DataError(f"{path}, row {line}: {len(row)} fields where the header has {len(header)}; {missing}")
    return row


def number(path: str | Path, line: int, name: str, text: str) -> float:
    """The field as a finite number."""
    try:
        value = float(text)
    except ValueError:
        found = f"found {text!r}" if text.strip() else "the field is empty"
        raise DataError(f"{path}, row {line}, column {name!r}: expected a number, {found}") from None
    if not math.isfinite(value):
        raise DataError(f"{path}, row {line}, column {name!r}: expected a finite number, found {text!r}")
    return value

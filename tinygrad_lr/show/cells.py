"""Arrays in few bytes for the page: a matrix averaged down to cells, and cells as text in base64."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr.show.picture import number

Data = dict[str, Any]
Floats = npt.NDArray[np.floating]

MAP_ROWS, MAP_COLUMNS = 32, 48


def matrix_of(array: Floats) -> Floats:
    """The array as a matrix, its last axis across.

    Examples
    --------
    >>> [matrix_of(np.zeros(shape)).shape for shape in ((), (3,), (2, 3), (4, 2, 3))]
    [(1, 1), (1, 3), (2, 3), (8, 3)]
    """
    return array.reshape(-1, array.shape[-1]) if array.ndim > 2 else np.atleast_2d(array)


def averaged(matrix: Floats) -> Floats:
    """The matrix, averaged down to at most `MAP_ROWS` by `MAP_COLUMNS` cells.

    Examples
    --------
    >>> averaged(np.arange(64.0).reshape(64, 1))[:3, 0]
    array([0.5, 2.5, 4.5])
    """
    parts = [np.linspace(0, n, min(n, most) + 1).astype(int)[:-1] for n, most in zip(matrix.shape, (MAP_ROWS, MAP_COLUMNS))]
    sums, counts = matrix.astype(float), np.ones(matrix.shape)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf is nan, and is shown as a hole
        for axis, starts in enumerate(parts):
            sums, counts = np.add.reduceat(sums, starts, axis=axis), np.add.reduceat(counts, starts, axis=axis)
    return sums / counts


def signed_cells(means: Floats, largest: float) -> str:
    """Numbers as bytes: 1 is -largest, 128 is 0, 255 is largest, and 0 is a number that is not finite."""
    finite = np.isfinite(means)
    return encoded(np.where(finite, 128 + np.rint(127 * np.where(finite, means, 0) / largest), 0))


def largest_of(means: Floats) -> float:
    """The largest finite magnitude, or 1 where all is 0."""
    return float(np.max(np.abs(means), where=np.isfinite(means), initial=0.0)) or 1.0


def heat_map(matrix: Floats) -> Data:
    """The matrix as cells, coloured on its own scale."""
    means = averaged(matrix)
    largest = largest_of(means)
    return {"rows": means.shape[0], "columns": means.shape[1], "largest": number(largest), "cells": signed_cells(means, largest)}


def encoded(cells: Floats, dtype: str = "u1") -> str:
    """Integers as bytes in base64, little-endian where ``dtype`` has several bytes."""
    return base64.b64encode(np.rint(cells).astype(np.dtype(dtype).newbyteorder("<")).tobytes()).decode()

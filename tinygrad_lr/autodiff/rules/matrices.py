"""A small vocabulary of matrices, which the rules of linear algebra share; every word takes stacks of matrices too."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array


def array(x: Any) -> Array:
    """A list or number as an array; arrays of every kind as they are."""
    return x if hasattr(x, "ndim") else np.asarray(x)


def transposed(x: Array) -> Array:
    """Each matrix of a stack transposed."""
    return np.swapaxes(x, -1, -2)


def sides(x: Array) -> tuple[int, int]:
    """Rows and columns of a matrix, or of each in a stack."""
    if x.ndim < 2:
        raise np.linalg.LinAlgError(f"a matrix or a stack of matrices is needed, got shape {x.shape}")
    return x.shape[-2], x.shape[-1]


def symmetric(x: Array) -> Array:
    """The symmetric part (x + x^T) / 2."""
    return (x + transposed(x)) / 2


def antisymmetric(x: Array) -> Array:
    """The antisymmetric part (x - x^T) / 2."""
    return (x - transposed(x)) / 2


def scale(g: Array) -> Array:
    """One number per matrix, ready to multiply the matrices of a stack."""
    return np.expand_dims(g, (-2, -1))


def diagonal(x: Array) -> Array:
    """The diagonals of matrices."""
    return np.diagonal(x, 0, -2, -1)


def diagonal_matrix(d: Array) -> Array:
    """Matrices with the vectors ``d`` on their diagonals."""
    return np.expand_dims(d, -2) * np.eye(d.shape[-1], dtype=d.dtype)


def lower_triangle(x: Array, k: int = 0) -> Array:
    """``x`` with zeros above its k-th diagonal."""
    return np.where(np.tri(*sides(x), k, dtype=bool), x, 0)


def reciprocal(d: Array) -> Array:
    """1/d, and 0 where d is 0."""
    lost = d == 0
    return np.where(lost, 0, 1 / np.where(lost, 1, d))


def column_times(x: Array, d: Array) -> Array:
    """Each column of ``x`` times its number in ``d``."""
    return x * np.expand_dims(d, -2)

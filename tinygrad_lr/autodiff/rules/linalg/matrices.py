"""Operations on matrices that the rules of linear algebra share; each works on stacks of matrices too."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array, Function


def as_array(x: Any) -> Array:
    """A list or number as an array; arrays of every kind as they are."""
    return x if hasattr(x, "ndim") else np.asarray(x)


def result_class(func: Function) -> Any:
    """The named tuple that a NumPy function returns."""
    return type(func(np.eye(1)))


def rows_and_columns(x: Array) -> tuple[int, int]:
    """How many rows and columns each matrix has."""
    if x.ndim < 2:
        raise np.linalg.LinAlgError(f"a matrix or a stack of matrices is needed, got shape {x.shape}")
    return x.shape[-2], x.shape[-1]


def transposed(x: Array) -> Array:
    """Each matrix transposed."""
    return np.swapaxes(x, -1, -2)


def symmetric(x: Array) -> Array:
    """The symmetric part (x + x^T) / 2."""
    return (x + transposed(x)) / 2


def antisymmetric(x: Array) -> Array:
    """The antisymmetric part (x - x^T) / 2."""
    return (x - transposed(x)) / 2


def diagonal_matrix(d: Array) -> Array:
    """Matrices with the vectors ``d`` on their diagonals."""
    return np.expand_dims(d, -2) * np.eye(d.shape[-1], dtype=d.dtype)


def lower_triangle(x: Array, k: int = 0) -> Array:
    """``x`` with zeros above its k-th diagonal."""
    return np.where(np.tri(*rows_and_columns(x), k, dtype=bool), x, 0)


def per_matrix(g: Array) -> Array:
    """One number per matrix, with two axes more, to multiply the matrices by."""
    return np.expand_dims(g, (-2, -1))


def scaled_columns(x: Array, d: Array) -> Array:
    """Each column of ``x`` times its number in ``d``."""
    return x * np.expand_dims(d, -2)

"""Rules of inverses and of solutions of linear equations; pinv and lstsq are differentiated at constant rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.linalg.decompositions import singular_values
from tinygrad_lr.autodiff.rules.linalg.matrices import as_array, transposed
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, like


def inv_input(g: Array, y: Array, a: Array) -> Array:
    """-y^T g y^T."""
    y = transposed(y)
    return -(y @ g @ y)


def pinv_input(g: Array, y: Array, a: Array, *settings: Any, **more: Any) -> Array:
    """The inverse's rule, and one term each for what lies outside the column space and the row space (Golub and Pereyra 1973)."""
    t, h = transposed(y), transposed(g)
    return -(t @ g @ t) + (h - a @ (y @ h)) @ y @ t + t @ y @ (h - (h @ y) @ a)


def solve_left(g: Array, y: Array, a: Array, b: Array) -> Array:
    """-a^-T g y^T."""
    if np.ndim(b) == 1:
        g, y = np.expand_dims(g, -1), np.expand_dims(y, -1)
    return like(-(np.linalg.solve(transposed(a), g) @ transposed(y)), a)


def solve_right(g: Array, y: Array, a: Array, b: Array) -> Array:
    """a^-T g."""
    if b.ndim == 1:
        return like(np.linalg.solve(transposed(a), np.expand_dims(g, -1)).reshape(g.shape), b)
    return like(np.linalg.solve(transposed(a), g), b)


def lstsq(a: Array, b: Array, rcond: float | None = None) -> tuple[Array, Array, int, Array]:
    """pinv(a) b, and the residuals, the rank and the singular values, as NumPy returns them."""
    a, b = as_array(a), as_array(b)
    m, n = a.shape
    eps = float(np.finfo(np.float64).eps)  # NumPy computes in float64, and rounds what it returns
    cutoff = max(m, n) * eps if rcond is None else eps if rcond == -1 else rcond
    s = singular_values(a)
    rank = int(np.count_nonzero(s > cutoff * np.max(s)))
    x = np.matmul(np.linalg.pinv(a, cutoff), b)
    residuals = np.sum((b - np.matmul(a, x)) ** 2, axis=0, keepdims=b.ndim == 1) if rank == n < m else np.zeros(0, dtype=b.dtype)
    return x, residuals, rank, s


def tensorinv(a: Array, ind: int = 2) -> Array:
    """The inverse of the array reshaped to a matrix."""
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv needs ind > 0, got {ind}")
    shape = a.shape[ind:] + a.shape[:ind]
    return np.linalg.inv(a.reshape(math.prod(a.shape[:ind]), math.prod(a.shape[ind:]))).reshape(shape)


def tensorsolve(a: Array, b: Array, axes: Sequence[int] | None = None) -> Array:
    """The solution for the array reshaped to a matrix."""
    a, b = as_array(a), as_array(b)
    if axes is not None:
        a = np.moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    return np.linalg.solve(a.reshape(b.size, b.size), np.ravel(b)).reshape(a.shape[b.ndim :])


# fmt: off
RULES.update({
    np.linalg.inv:          (inv_input,),
    np.linalg.pinv:         (pinv_input,),
    np.linalg.solve:        (solve_left, solve_right),
})
COMPOSITES.update({
    np.linalg.lstsq:        lstsq,
    np.linalg.tensorinv:    tensorinv,
    np.linalg.tensorsolve:  tensorsolve,
})
# fmt: on

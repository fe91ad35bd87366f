"""Rules of linear algebra. Vectors are lifted to matrices of one row or one column, so one rule serves every rank."""

from __future__ import annotations

import numpy as np

from tinygrad_lr.autodiff.rules.registry import RULES, Array, like


def lifted(g: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Operands and gradient of ``a @ b`` as (stacks of) matrices."""
    if b.ndim == 1:
        b, g = np.expand_dims(b, 1), np.expand_dims(g, -1)
    if a.ndim == 1:
        a, g = np.expand_dims(a, 0), np.expand_dims(g, -2)
    return g, a, b


def matmul_left(g: Array, y: Array, a: Array, b: Array) -> Array:
    g, rows, columns = lifted(g, a, b)
    return like(g @ columns.swapaxes(-1, -2), rows).reshape(a.shape)


def matmul_right(g: Array, y: Array, a: Array, b: Array) -> Array:
    g, rows, columns = lifted(g, a, b)
    return like(rows.swapaxes(-1, -2) @ g, columns).reshape(b.shape)


RULES.update({np.matmul: (matmul_left, matmul_right)})

"""Rules of norms, determinants and the other numbers that describe a vector or a matrix.

Conventions, where mathematics leaves a choice:

- The norm of a zero vector has gradient 0, for every order. Ties share the gradient of a maximum.
- det is a polynomial, and its first two derivatives are right for every matrix, singular ones included.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import or_inf
from tinygrad_lr.autodiff.rules.linalg.decompositions import gaps_to_zero, rounding_of, singular_values, with_singular_values
from tinygrad_lr.autodiff.rules.linalg.matrices import diagonal_matrix, per_matrix, result_class, transposed
from tinygrad_lr.autodiff.rules.reductions import Axis
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, PUBLIC, RULES, Array, Function, dispatching

Order = float | str | None

# -- norms -------------------------------------------------------------------------------------------


@dispatching
def p_norm(x: Array, p: float, axis: Axis = None, keepdims: bool = False) -> Array:
    """(sum |x|^p)^(1/p) along ``axis``."""
    if p == 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    return np.sum(np.abs(x) ** p, axis=axis, keepdims=keepdims) ** (1 / p)


def p_norm_input(g: Array, y: Array, x: Array, p: float, axis: Axis = None, keepdims: bool = False) -> Array:
    """sign(x) (|x| / y)^(p-1), and 0 for a zero vector; for 1 < p < 2 a zero element has no second derivative (nan)."""
    if not keepdims:
        axes = tuple(range(x.ndim)) if axis is None else axis
        g, y = np.expand_dims(g, axes), np.expand_dims(y, axes)
    nonzero = y != 0
    if p == 2:
        return g * (x / or_inf(y, nonzero))
    if p > 1:  # two powers, so that the second derivative of a zero element does not reach the other elements through y
        return g * or_inf(y, nonzero) ** (1 - p) * (np.sign(x) * np.abs(np.where(nonzero, x, 1)) ** (p - 1))
    unit = x / or_inf(y, nonzero)
    return g * np.sign(unit) * np.abs(np.where(unit == 0, 1, unit)) ** (p - 1)  # a negative power of 0 would make 0 * inf of a zero element


@dispatching
def singular_norm(x: Array, ord: Order) -> Array:
    """The sum, the largest or the smallest of the singular values, for the orders "nuc", 2 and -2."""
    s = np.linalg.svd(x, compute_uv=False)
    return s.sum(axis=-1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]


def singular_norm_input(g: Array, y: Array, x: Array, ord: Order) -> Array:
    """u d v^T, where d is the gradient of the norm with respect to the singular values; the norm has a kink where ties share, or where a 0 counts."""
    s = singular_values(x)
    d = singular_norm_slopes(s, ord)
    kink = np.any((gaps_to_zero(s)[..., 0, :] == 0) & (d > 0), axis=-1) | ((ord != "nuc") & (np.count_nonzero(d, axis=-1) > 1))
    return per_matrix(g) * with_singular_values(d, x, False, np.where(kink, np.nan, 1))


def singular_norm_slopes(s: Array, ord: Order) -> Array:
    """The gradient of a norm with respect to the singular values: ties share it, as far as a decomposition can tell them apart."""
    if ord == "nuc":
        return np.ones(s.shape, s.dtype)
    chosen = np.abs(s - s[..., :1] if ord == 2 else s - s[..., -1:]) <= np.expand_dims(rounding_of(s), -1)
    return (chosen / chosen.sum(axis=-1, keepdims=True)).astype(s.dtype)


def vector_norm(x: Array, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The root of a sum of powers; sums for orders 0 and 1, extremes for infinity."""
    if isinstance(ord, str):
        raise ValueError(f"invalid norm order {ord!r} for vectors")
    if abs(ord) == math.inf:
        extreme = np.max if ord > 0 else np.min
        return extreme(np.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.abs(np.sign(x)), axis=axis, keepdims=keepdims)
    if ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    return p_norm(x, ord, axis, keepdims)


def matrix_norm(x: Array, *, keepdims: bool = False, ord: Order = "fro") -> Array:
    """A function of the singular values, or of the sums of columns or rows, as the order says."""
    if ord not in MATRIX_NORMS:
        raise ValueError(f"invalid norm order {ord!r} for matrices: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    y = MATRIX_NORMS[ord](x)
    return np.expand_dims(y, (-2, -1)) if keepdims else y


# fmt: off
MATRIX_NORMS: dict[Order, Function] = {
    None:       lambda x: p_norm(x, 2, (-2, -1)),
    "fro":      lambda x: p_norm(x, 2, (-2, -1)),
    "f":        lambda x: p_norm(x, 2, (-2, -1)),
    "nuc":      lambda x: singular_norm(x, "nuc"),
    2:          lambda x: singular_norm(x, 2),
    -2:         lambda x: singular_norm(x, -2),
    1:          lambda x: np.max(np.sum(np.abs(x), axis=-2), axis=-1),
    -1:         lambda x: np.min(np.sum(np.abs(x), axis=-2), axis=-1),
    math.inf:   lambda x: np.max(np.sum(np.abs(x), axis=-1), axis=-1),
    -math.inf:  lambda x: np.min(np.sum(np.abs(x), axis=-1), axis=-1),
}
# fmt: on


def norm(x: Array, ord: Order = None, axis: Any = None, keepdims: bool = False) -> Array:
    """The norm of vectors along one axis, of matrices along two, and by default of all elements as one vector."""
    if axis is None and (ord is None or x.ndim == 1):
        return vector_norm(x, keepdims=keepdims, ord=2 if ord is None else ord)
    axes = tuple(range(x.ndim)) if axis is None else tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(f"np.linalg.norm of a Tensor of shape {x.shape}: a norm is along one axis (vectors) or two (matrices), not along {len(axes)}")
    y = matrix_norm(np.moveaxis(x, axes, (-2, -1)), ord=ord)
    return np.expand_dims(y, axes) if keepdims else y


def cond(x: Array, p: Order = None) -> Array:
    """The ratio of the largest singular value to the smallest; for other norms, that of ``x`` times that of its inverse."""
    if p in (None, 2, -2):
        s = singular_values(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return matrix_norm(x, ord=p) * matrix_norm(np.linalg.inv(x), ord=p)


# -- determinants and traces -------------------------------------------------------------------------


@dispatching
def cofactors(a: Array) -> Array:
    """The gradient of det(a), det(a) a^-T, without an inverse: u, the products of the other singular values, v^T."""
    u, s, vt = np.linalg.svd(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1, np.expand_dims(s, -2)).prod(axis=-1)
    return per_matrix(orientation(u, vt)) * (u * np.expand_dims(others, -2)) @ vt


def orientation(u: Array, vt: Array) -> Array:
    """det(u) det(vt) of orthogonal matrices: 1 or -1."""
    return np.sign(np.linalg.det(u @ vt))


def cofactors_input(h: Array, y: Array, a: Array) -> Array:
    """det(a) (<h, a^-T> a^-T - a^-T h^T a^-T) in the basis of singular vectors, where det(a) leaves only products without i and j."""
    u, s, vt = np.linalg.svd(a)
    same = np.eye(s.shape[-1], dtype=bool)
    i_or_j = np.expand_dims(same, 0) | np.expand_dims(same, 1)
    others = np.where(same, 0, np.prod(np.where(i_or_j, 1, np.expand_dims(s, (-3, -2))), axis=-1))
    h = transposed(u) @ h @ transposed(vt)
    diagonal = np.einsum("...ij,...jj->...i", others, h)
    return per_matrix(orientation(u, vt)) * (u @ (diagonal_matrix(diagonal) - others * transposed(h)) @ vt)


@dispatching
def sign_and_logdet(a: Array) -> Array:
    """The two results of `numpy.linalg.slogdet`, side by side."""
    return np.stack(np.linalg.slogdet(a), axis=-1)


def slogdet(a: Array) -> Any:
    """Sign and logarithm of the determinant, from one primitive; the sign has derivative 0."""
    packed = sign_and_logdet(a)
    return SlogdetResult(packed[..., 0], packed[..., 1])


SlogdetResult = result_class(np.linalg.slogdet)


def trace(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Array:
    """The sum of the diagonal."""
    return np.sum(np.diagonal(a, offset, axis1, axis2), -1, dtype)


# fmt: off
RULES.update({
    p_norm:                 (p_norm_input,),
    singular_norm:          (singular_norm_input,),
    np.linalg.det:          (lambda g, y, a: per_matrix(g) * cofactors(a),),
    cofactors:              (cofactors_input,),
    sign_and_logdet:        (lambda g, y, a: per_matrix(g[..., 1]) * transposed(np.linalg.inv(a)),),
})
COMPOSITES.update({
    np.linalg.norm:         norm,
    np.linalg.vector_norm:  vector_norm,
    np.linalg.matrix_norm:  matrix_norm,
    np.linalg.cond:         cond,
    np.linalg.slogdet:      slogdet,
    np.trace:               trace,
    np.linalg.trace:        lambda x, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype),
})
PUBLIC.update({
    p_norm:                 np.linalg.norm,
    singular_norm:          np.linalg.norm,
    cofactors:              np.linalg.det,
    sign_and_logdet:        np.linalg.slogdet,
})
# fmt: on

"""Rules of linear algebra: products, inverses, determinants and norms, for single matrices and stacks.

Much of NumPy's chapter is one function in several spellings, so most names are composites of a few primitives: `numpy.matmul`,
`numpy.einsum` and the decompositions, which have a chapter of their own.

Conventions, where mathematics leaves a choice:

- pinv and lstsq are differentiated at constant rank.
- The norm of a zero vector has gradient 0, in every order. Ties share the gradient of a maximum.
- det is a polynomial, and its first two derivatives are right for every matrix, singular ones included.
"""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.decompositions import result_type, singular_norm, singular_values
from tinygrad_lr.autodiff.rules.elementwise import far
from tinygrad_lr.autodiff.rules.matrices import array, diagonal_matrix, reciprocal, scale, transposed
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, PUBLIC, RULES, Array, Each, Function, dispatching, like, wide

# -- products ----------------------------------------------------------------------------------------


def laid_out(g: Array) -> Array:
    """``g`` with an address for every element: BLAS refuses the one that a sum has spread over all, and the product would crawl."""
    return g.copy() if 0 in getattr(g, "strides", ()) else g


def matmul_left(g: Array, y: Array, a: Array, b: Array) -> Array:
    """g b^T."""
    g = laid_out(g)
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    if b.ndim == 2:
        return g @ b.T
    if a.ndim == 1:
        g = np.expand_dims(g, -2)
    return like(g @ transposed(b), a)


def matmul_right(g: Array, y: Array, a: Array, b: Array) -> Array:
    """a^T g, the rows of a whole stack at once where one matrix ``b`` met them all."""
    g = laid_out(g)
    if a.ndim == 2 and b.ndim <= 2:
        return a.T @ g
    if a.ndim == 1:
        return g * a if b.ndim == 1 else np.expand_dims(a, 1) * np.expand_dims(g, -2)
    if b.ndim <= 2:
        rows = math.prod(a.shape[:-1])
        return a.reshape(rows, a.shape[-1]).T @ g.reshape(rows, *b.shape[1:])
    return like(transposed(a) @ g, b)


def dot(a: Array, b: Array) -> Array:
    """The last axis of ``a`` meets the last but one of ``b``; numbers multiply."""
    a, b = array(a), array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return np.matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


def vdot(a: Array, b: Array) -> Array:
    return np.matmul(np.ravel(a), np.ravel(b))


def inner(a: Array, b: Array) -> Array:
    """The last axes meet; numbers multiply."""
    a, b = array(a), array(b)
    return a * b if a.ndim == 0 or b.ndim == 0 else tensordot(a, b, (-1, -1))


def outer(a: Array, b: Array) -> Array:
    return np.expand_dims(np.ravel(a), 1) * np.ravel(b)


def tensordot(a: Array, b: Array, axes: Any = 2) -> Array:
    """One matrix product, the axes that meet brought to the middle."""
    a, b = array(a), array(b)
    first, second = (range(-axes, 0), range(axes)) if isinstance(axes, int | np.integer) else axes
    met_a = [operator.index(i) % a.ndim for i in np.atleast_1d(first).astype(int)]
    met_b = [operator.index(i) % b.ndim for i in np.atleast_1d(second).astype(int)]
    met = [a.shape[i] for i in met_a]
    if met != [b.shape[i] for i in met_b]:
        raise ValueError(f"tensordot of shapes {a.shape} and {b.shape}: axes {met_a} of the first and {met_b} of the second differ in length")
    free_a = [i for i in range(a.ndim) if i not in met_a]
    free_b = [i for i in range(b.ndim) if i not in met_b]
    shape_a, shape_b = [a.shape[i] for i in free_a], [b.shape[i] for i in free_b]
    rows = np.transpose(a, free_a + met_a).reshape(math.prod(shape_a), math.prod(met))
    columns = np.transpose(b, met_b + free_b).reshape(math.prod(met), math.prod(shape_b))
    return np.matmul(rows, columns).reshape((*shape_a, *shape_b))


def vecdot(x1: Array, x2: Array, *, axis: int = -1) -> Array:
    return np.vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


def kron(a: Array, b: Array) -> Array:
    """Every element of ``a`` times the whole of ``b``, laid out in blocks."""
    a, b = array(a), array(b)
    ndim = max(a.ndim, b.ndim)
    shape_a, shape_b = (1,) * (ndim - a.ndim) + a.shape, (1,) * (ndim - b.ndim) + b.shape
    blocks = a.reshape([n for length in shape_a for n in (length, 1)]) * b.reshape([n for length in shape_b for n in (1, length)])
    return blocks.reshape([n * m for n, m in zip(shape_a, shape_b)])


LEVI_CIVITA = np.array([[[(i - j) * (j - k) * (k - i) / 2 for k in range(3)] for j in range(3)] for i in range(3)])


def cross(a: Array, b: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """Component i is the sum of epsilon_ijk a_j b_k; a plane vector has third component 0, and two of them only a third answer."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    n, m = a.shape[-1], b.shape[-1]
    np.cross(np.zeros(n), np.zeros(m))  # NumPy's own word on the lengths: it deprecates plane vectors
    epsilon = LEVI_CIVITA[:, :n, :m].astype(np.result_type(a, b))
    if n == m == 2:
        return np.einsum("jk,...j,...k->...", epsilon[2], a, b)
    return np.moveaxis(np.einsum("ijk,...j,...k->...i", epsilon, a, b), -1, axisc)


def cross_of_space(x1: Array, x2: Array, *, axis: int = -1) -> Array:
    """`cross`, of vectors of length 3 only."""
    x1, x2 = array(x1), array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"np.linalg.cross is of vectors of length 3, got {x1.shape[axis]} and {x2.shape[axis]}")
    return cross(x1, x2, axis=axis)


def outer_of_vectors(x1: Array, x2: Array) -> Array:
    """`outer`, of vectors only."""
    x1, x2 = array(x1), array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"np.linalg.outer is of vectors, got shapes {x1.shape} and {x2.shape}")
    return outer(x1, x2)


@dispatching
def chain(*matrices: Array) -> Array:
    """The product of all matrices, in the cheapest order."""
    return np.linalg.multi_dot(matrices)


def chain_input(i: int, g: Array, y: Array, *matrices: Array) -> Array:
    """(what stands before)^T g (what stands behind)^T: a chain again."""
    before = [m.T for m in reversed(matrices[:i])]
    behind = [m.T for m in reversed(matrices[i + 1 :])]
    return chain(*before, g, *behind)


def multi_dot(arrays: Sequence[Array]) -> Array:
    """`chain`, where the first may be a row and the last a column."""
    if len(arrays) < 2:
        raise ValueError(f"np.linalg.multi_dot needs at least two arrays, got {len(arrays)}")
    first, *inside, last = map(array, arrays)
    shape = first.shape[:-1] + last.shape[1:]
    if first.ndim == 1:
        first = np.expand_dims(first, 0)
    if last.ndim == 1:
        last = np.expand_dims(last, 1)
    return chain(first, *inside, last).reshape(shape)


def matrix_power(a: Array, n: int) -> Array:
    """Squared again and again: one factor per binary digit of ``n``."""
    n = operator.index(n)
    if a.shape[-1:] != a.shape[-2:-1]:
        raise np.linalg.LinAlgError(f"only square matrices have powers, got shape {a.shape}")
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    base = np.linalg.inv(a) if n < 0 else a
    power = base
    for digit in f"{abs(n):b}"[1:]:  # from the highest, whose power this is already
        power = np.matmul(power, power)
        if digit == "1":
            power = np.matmul(power, base)
    return power


# -- einsum ------------------------------------------------------------------------------------------

LABELS = string.ascii_uppercase + string.ascii_lowercase


def spelled_out(args: Sequence[Any]) -> tuple[list[str], str, list[Array]]:
    """An einsum call as the terms of its operands, the term of its answer, and the operands.

    Either way of writing the call is understood; an ellipsis becomes letters, and a missing answer the
    one NumPy implies: every letter that occurs once, in order.

    Examples
    --------
    >>> terms, answer, operands = spelled_out(("...ij,jk", np.zeros((5, 2, 3)), np.zeros((3, 4))))
    >>> terms, answer
    (['Aij', 'jk'], 'Aik')
    """
    if isinstance(args[0], str):
        written, arrow, answer = args[0].replace(" ", "").partition("->")
        terms, operands = written.split(","), list(args[1:])
    else:
        sublists = ["".join("..." if label is Ellipsis else LABELS[label] for label in sub) for sub in args[1::2]]
        arrow = "->" if len(args) % 2 else ""
        terms, answer, operands = sublists, "", list(args[: len(args) // 2 * 2 : 2])
        if arrow:
            answer = "".join("..." if label is Ellipsis else LABELS[label] for label in args[-1])
    letters = "".join(terms).replace(".", "")
    if not arrow:
        answer = "..." * any("." in term for term in terms) + "".join(sorted(s for s in set(letters) if letters.count(s) == 1))
    ranks = [np.ndim(x) - len(term.replace("...", "")) if "." in term else 0 for term, x in zip(terms, operands)]
    dots = [label for label in LABELS if label not in letters][: max(ranks)]
    terms = [term.replace("...", "".join(dots[len(dots) - rank :])) for term, rank in zip(terms, ranks)]
    return terms, answer.replace("...", "".join(dots)), operands


def einsum_input(i: int, g: Array, y: Array, *args: Any, optimize: Any = False, **settings: Any) -> Array:
    """An einsum again: of ``g`` and the other operands, to the term of the operand asked for.

    A second occurrence of a letter in that term is a diagonal, so an identity matrix joins the factors.
    A letter that no other factor has was summed over, so a vector of ones does. An axis of length 1 was
    stretched: it is left out of the answer, and put back by its shape.
    """
    terms, answer, operands = spelled_out(args)
    i = i - 1 if isinstance(args[0], str) else i // 2
    x, term = operands[i], terms[i]
    factors = [(wide(g), answer), *((a, t) for k, (a, t) in enumerate(zip(operands, terms)) if k != i)]
    known = {label for a, t in factors for label, length in zip(t, np.shape(a)) if length != 1}
    fresh = iter(sorted(set(LABELS).difference(*terms, answer)))
    wanted = ""
    for label, length in zip(term, x.shape):
        if length == 1:
            continue
        if label not in known:
            factors.append((np.ones(length, dtype=x.dtype), label))
            known.add(label)
        if label in wanted:
            twin = next(fresh)
            factors.append((np.eye(length, dtype=x.dtype), label + twin))
            label = twin
        wanted += label
    return np.einsum(",".join(t for _, t in factors) + "->" + wanted, *(a for a, _ in factors), optimize=bool(optimize)).reshape(x.shape)


# -- inverses ----------------------------------------------------------------------------------------


def inv_input(g: Array, y: Array, a: Array) -> Array:
    """-y^T g y^T."""
    y = transposed(y)
    return -(y @ g @ y)


def pinv_input(g: Array, y: Array, a: Array, *settings: Any, **more: Any) -> Array:
    """The inverse's rule, and a part each for what lies outside the column space and the row space (Golub and Pereyra 1973)."""
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
    """pinv(a) b, with what NumPy tells beside it."""
    a, b = array(a), array(b)
    m, n = a.shape
    cutoff = max(m, n) * np.finfo(a.dtype).eps if rcond is None else rcond
    s = singular_values(a)
    rank = int(np.count_nonzero(s > cutoff * np.max(s)))
    x = np.matmul(np.linalg.pinv(a, cutoff), b)
    residuals = np.sum((b - np.matmul(a, x)) ** 2, axis=0, keepdims=b.ndim == 1) if rank == n < m else np.zeros(0, dtype=b.dtype)
    return x, residuals, rank, s


def tensorinv(a: Array, ind: int = 2) -> Array:
    """The inverse of the array laid out as a matrix."""
    if ind <= 0:
        raise ValueError(f"np.linalg.tensorinv needs ind > 0, got {ind}")
    shape = a.shape[ind:] + a.shape[:ind]
    return np.linalg.inv(a.reshape(math.prod(a.shape[:ind]), math.prod(a.shape[ind:]))).reshape(shape)


def tensorsolve(a: Array, b: Array, axes: Sequence[int] | None = None) -> Array:
    """The solution with the array laid out as a matrix."""
    a, b = array(a), array(b)
    if axes is not None:
        a = np.moveaxis(a, axes, range(a.ndim - len(axes), a.ndim))
    return np.linalg.solve(a.reshape(b.size, b.size), np.ravel(b)).reshape(a.shape[b.ndim :])


# -- determinants ------------------------------------------------------------------------------------


@dispatching
def cofactors(a: Array) -> Array:
    """The gradient of det(a), det(a) a^-T, in a form that needs no inverse: u, the products of the other singular values, v^T."""
    u, s, vt = np.linalg.svd(a)
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1, np.expand_dims(s, -2)).prod(axis=-1)
    return scale(orientation(u, vt)) * (u * np.expand_dims(others, -2)) @ vt


def orientation(u: Array, vt: Array) -> Array:
    """det(u) det(vt) of orthogonal matrices: 1 or -1."""
    return np.sign(np.linalg.det(u @ vt))


def cofactors_input(h: Array, y: Array, a: Array) -> Array:
    """det(a) (<h, a^-T> a^-T - a^-T h^T a^-T) in the basis of singular vectors, where only products without i and j are left of det(a)."""
    u, s, vt = np.linalg.svd(a)
    same = np.eye(s.shape[-1], dtype=bool)
    i_or_j = np.expand_dims(same, 0) | np.expand_dims(same, 1)
    others = np.prod(np.where(i_or_j, 1, np.expand_dims(s, (-3, -2))), axis=-1)
    others = np.where(same, 0, others)
    h = transposed(u) @ h @ transposed(vt)
    diagonal = np.einsum("...ij,...jj->...i", others, h)
    return scale(orientation(u, vt)) * (u @ (diagonal_matrix(diagonal) - others * transposed(h)) @ vt)


@dispatching
def sign_and_logdet(a: Array) -> Array:
    """`numpy.linalg.slogdet`, its two answers side by side."""
    return np.stack(np.linalg.slogdet(a), axis=-1)


def slogdet(a: Array) -> Any:
    """Sign and logarithm of the determinant, cut from one primitive; the sign is flat."""
    packed = sign_and_logdet(a)
    return SlogdetResult(packed[..., 0], packed[..., 1])


SlogdetResult = result_type(np.linalg.slogdet)


# -- norms -------------------------------------------------------------------------------------------

Axis = Any  # int, tuple of int, or None for all
Order = Any  # a number, or "fro" or "nuc"


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
    if p == 2:
        return g * (x * reciprocal(y))
    some = y != 0
    if p > 1:  # two powers, so that the second derivative of a zero element does not reach the other elements through y
        return g * far(y, some) ** (1 - p) * (np.sign(x) * np.abs(np.where(some, x, 1)) ** (p - 1))
    unit = x * reciprocal(y)
    return g * np.sign(unit) * np.abs(np.where(unit == 0, 1, unit)) ** (p - 1)  # a negative power of 0 would make 0 * inf of a zero element


def vector_norm(x: Array, *, axis: Axis = None, keepdims: bool = False, ord: Order = 2) -> Array:
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
    """From singular values, or from sums of columns or rows, as the order says."""
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


def norm(x: Array, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Array:
    """A vector's along one axis, a matrix's along two, and of everything as one vector where nothing is said."""
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
    """The largest singular value by the smallest; in other norms that of ``x`` times that of its inverse."""
    if p in (None, 2, -2):
        s = singular_values(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return matrix_norm(x, ord=p) * matrix_norm(np.linalg.inv(x), ord=p)


# fmt: off
RULES.update({
    np.matmul:           (matmul_left, matmul_right),
    np.vecdot:           (lambda g, y, a, b: like(np.expand_dims(g, -1) * b, a),  lambda g, y, a, b: like(np.expand_dims(g, -1) * a, b)),
    np.einsum:           Each(einsum_input),
    chain:               Each(chain_input),

    np.linalg.inv:       (inv_input,),
    np.linalg.pinv:      (pinv_input,),
    np.linalg.solve:     (solve_left, solve_right),
    np.linalg.det:       (lambda g, y, a: scale(g) * cofactors(a),),
    cofactors:           (cofactors_input,),
    sign_and_logdet:     (lambda g, y, a: scale(g[..., 1]) * transposed(np.linalg.inv(a)),),

    p_norm:              (p_norm_input,),
})
COMPOSITES.update({
    np.dot:                      dot,
    np.vdot:                     vdot,
    np.inner:                    inner,
    np.outer:                    outer,
    np.tensordot:                tensordot,
    np.kron:                     kron,
    np.cross:                    cross,

    np.linalg.matmul:            np.matmul,
    np.linalg.vecdot:            vecdot,
    np.linalg.outer:             outer_of_vectors,
    np.linalg.tensordot:         tensordot,
    np.linalg.cross:             cross_of_space,
    np.linalg.matrix_transpose:  transposed,
    np.linalg.diagonal:          lambda x, *, offset=0: np.diagonal(x, offset, -2, -1),
    np.linalg.trace:             lambda x, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype),
    np.linalg.multi_dot:         multi_dot,
    np.linalg.matrix_power:      matrix_power,

    np.linalg.lstsq:             lstsq,
    np.linalg.tensorinv:         tensorinv,
    np.linalg.tensorsolve:       tensorsolve,
    np.linalg.slogdet:           slogdet,

    np.linalg.norm:              norm,
    np.linalg.vector_norm:       vector_norm,
    np.linalg.matrix_norm:       matrix_norm,
    np.linalg.cond:              cond,
})
PUBLIC.update({
    chain:            np.linalg.multi_dot,
    cofactors:        np.linalg.det,
    sign_and_logdet:  np.linalg.slogdet,
    p_norm:           np.linalg.norm,
})
if hasattr(np, "matvec"):  # NumPy 2.2 and later
    RULES.update({
        np.matvec:  (lambda g, y, a, b: like(np.expand_dims(g, -1) * np.expand_dims(b, -2), a),  lambda g, y, a, b: like(np.vecmat(g, a), b)),
        np.vecmat:  (lambda g, y, a, b: like(np.matvec(b, g), a),  lambda g, y, a, b: like(np.expand_dims(a, -1) * np.expand_dims(g, -2), b)),
    })
# fmt: on

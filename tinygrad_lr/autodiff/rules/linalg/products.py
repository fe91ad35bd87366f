"""Rules of products of matrices and vectors, for single ones and for stacks.

Much of this chapter is one function in several spellings, so most names are composites of two primitives:
`numpy.matmul` and `numpy.einsum`.
"""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.linalg.matrices import as_array, transposed
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, PUBLIC, RULES, Array, Each, dispatching, like, wide

# -- products ----------------------------------------------------------------------------------------


def materialized(g: Array) -> Array:
    """``g``, copied if it is a broadcast view (as the gradient of a sum is): BLAS refuses strides of 0, and NumPy's own loops are slow."""
    return g.copy() if 0 in getattr(g, "strides", ()) else g


def matmul_left(g: Array, y: Array, a: Array, b: Array) -> Array:
    """g b^T."""
    g = materialized(g)
    if b.ndim == 1:
        return np.expand_dims(g, -1) * b
    if b.ndim == 2:
        return g @ b.T
    if a.ndim == 1:
        g = np.expand_dims(g, -2)
    return like(g @ transposed(b), a)


def matmul_right(g: Array, y: Array, a: Array, b: Array) -> Array:
    """a^T g; where all of a stack was multiplied by one matrix ``b``, its rows in a single product."""
    g = materialized(g)
    if a.ndim == 2 and b.ndim <= 2:
        return a.T @ g
    if a.ndim == 1:
        return g * a if b.ndim == 1 else np.expand_dims(a, 1) * np.expand_dims(g, -2)
    if b.ndim <= 2:
        rows = math.prod(a.shape[:-1])
        return a.reshape(rows, a.shape[-1]).T @ g.reshape(rows, *b.shape[1:])
    return like(transposed(a) @ g, b)


def dot(a: Array, b: Array) -> Array:
    """The last axis of ``a`` is contracted with the last but one of ``b``; a number multiplies the other array."""
    a, b = as_array(a), as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return np.matmul(a, b) if b.ndim <= 2 else tensordot(a, b, (-1, -2))


def vdot(a: Array, b: Array) -> Array:
    return np.matmul(np.ravel(a), np.ravel(b))


def inner(a: Array, b: Array) -> Array:
    """The last axes are contracted; a number multiplies the other array."""
    a, b = as_array(a), as_array(b)
    return a * b if a.ndim == 0 or b.ndim == 0 else tensordot(a, b, (-1, -1))


def outer(a: Array, b: Array) -> Array:
    return np.expand_dims(np.ravel(a), 1) * np.ravel(b)


def tensordot(a: Array, b: Array, axes: Any = 2) -> Array:
    """One matrix product, the contracted axes moved to the middle."""
    a, b = as_array(a), as_array(b)
    first, second = (range(-axes, 0), range(axes)) if isinstance(axes, int | np.integer) else axes
    axes_a = [operator.index(i) % a.ndim for i in np.atleast_1d(first).astype(int)]
    axes_b = [operator.index(i) % b.ndim for i in np.atleast_1d(second).astype(int)]
    lengths = [a.shape[i] for i in axes_a]
    if lengths != [b.shape[i] for i in axes_b]:
        raise ValueError(f"tensordot of shapes {a.shape} and {b.shape}: axes {axes_a} of the first and {axes_b} of the second differ in length")
    free_a = [i for i in range(a.ndim) if i not in axes_a]
    free_b = [i for i in range(b.ndim) if i not in axes_b]
    shape_a, shape_b = [a.shape[i] for i in free_a], [b.shape[i] for i in free_b]
    rows = np.transpose(a, free_a + axes_a).reshape(math.prod(shape_a), math.prod(lengths))
    columns = np.transpose(b, axes_b + free_b).reshape(math.prod(lengths), math.prod(shape_b))
    return np.matmul(rows, columns).reshape((*shape_a, *shape_b))


def vecdot(x1: Array, x2: Array, *, axis: int = -1) -> Array:
    return np.vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


def kron(a: Array, b: Array) -> Array:
    """Every element of ``a`` times all of ``b``, in blocks."""
    a, b = as_array(a), as_array(b)
    ndim = max(a.ndim, b.ndim)
    shape_a, shape_b = (1,) * (ndim - a.ndim) + a.shape, (1,) * (ndim - b.ndim) + b.shape
    blocks = a.reshape([n for length in shape_a for n in (length, 1)]) * b.reshape([n for length in shape_b for n in (1, length)])
    return blocks.reshape([n * m for n, m in zip(shape_a, shape_b)])


LEVI_CIVITA = np.array([[[(i - j) * (j - k) * (k - i) / 2 for k in range(3)] for j in range(3)] for i in range(3)])


def cross(a: Array, b: Array, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """Component i is the sum of epsilon_ijk a_j b_k; a vector of length 2 has third component 0, and two of them have a product of that component alone."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    n, m = a.shape[-1], b.shape[-1]
    np.cross(np.zeros(n), np.zeros(m))  # NumPy itself checks the lengths, and warns of length 2
    epsilon = LEVI_CIVITA[:, :n, :m].astype(np.result_type(a, b))
    if n == m == 2:
        return np.einsum("jk,...j,...k->...", epsilon[2], a, b)
    return np.moveaxis(np.einsum("ijk,...j,...k->...i", epsilon, a, b), -1, axisc)


def cross_in_space(x1: Array, x2: Array, *, axis: int = -1) -> Array:
    """`cross`, of vectors of length 3 only."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"np.linalg.cross is of vectors of length 3, got {x1.shape[axis]} and {x2.shape[axis]}")
    return cross(x1, x2, axis=axis)


def outer_of_vectors(x1: Array, x2: Array) -> Array:
    """`outer`, of vectors only."""
    x1, x2 = as_array(x1), as_array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"np.linalg.outer is of vectors, got shapes {x1.shape} and {x2.shape}")
    return outer(x1, x2)


@dispatching
def chain(*matrices: Array) -> Array:
    """The product of all matrices, in the cheapest order."""
    return np.linalg.multi_dot(matrices)


def chain_input(i: int, g: Array, y: Array, *matrices: Array) -> Array:
    """(the product of those before)^T g (the product of those after)^T: a chain again."""
    before = [m.T for m in reversed(matrices[:i])]
    after = [m.T for m in reversed(matrices[i + 1 :])]
    return chain(*before, g, *after)


def multi_dot(arrays: Sequence[Array]) -> Array:
    """`chain`, where the first may be a vector, taken as a row, and the last one, taken as a column."""
    if len(arrays) < 2:
        raise ValueError(f"np.linalg.multi_dot needs at least two arrays, got {len(arrays)}")
    first, *middle, last = map(as_array, arrays)
    shape = first.shape[:-1] + last.shape[1:]
    if first.ndim == 1:
        first = np.expand_dims(first, 0)
    if last.ndim == 1:
        last = np.expand_dims(last, 1)
    return chain(first, *middle, last).reshape(shape)


def matrix_power(a: Array, n: int) -> Array:
    """By repeated squaring, with one more factor for each binary digit 1 of ``n``."""
    n = operator.index(n)
    if a.shape[-1:] != a.shape[-2:-1]:
        raise np.linalg.LinAlgError(f"only square matrices have powers, got shape {a.shape}")
    if n == 0:
        return np.zeros_like(a) + np.eye(a.shape[-1], dtype=a.dtype)
    base = np.linalg.inv(a) if n < 0 else a
    power = base
    for digit in f"{abs(n):b}"[1:]:  # the highest digit stands for the base itself
        power = np.matmul(power, power)
        if digit == "1":
            power = np.matmul(power, base)
    return power


# -- einsum ------------------------------------------------------------------------------------------

LABELS = string.ascii_uppercase + string.ascii_lowercase


def as_letters(sublist: Sequence[Any]) -> str:
    return "".join("..." if label is Ellipsis else LABELS[label] for label in sublist)


def einsum_terms(args: Sequence[Any]) -> tuple[list[str], str, list[Array]]:
    """An einsum call as the subscripts of its operands, the subscripts of its result, and the operands.

    Both ways of writing the call are understood. An ellipsis becomes letters, and subscripts that the result lacks are
    those that NumPy implies: every letter that occurs once, in order.

    Examples
    --------
    >>> terms, result, operands = einsum_terms(("...ij,jk", np.zeros((5, 2, 3)), np.zeros((3, 4))))
    >>> terms, result
    (['Aij', 'jk'], 'Aik')
    """
    if isinstance(args[0], str):
        written, arrow, result = args[0].replace(" ", "").partition("->")
        terms, operands, explicit = written.split(","), list(args[1:]), bool(arrow)
    else:
        explicit = len(args) % 2 == 1
        terms, operands = list(map(as_letters, args[1::2])), list(args[: len(args) // 2 * 2 : 2])
        result = as_letters(args[-1]) if explicit else ""
    letters = "".join(terms).replace(".", "")
    if not explicit:
        result = "..." * any("." in term for term in terms) + "".join(sorted(s for s in set(letters) if letters.count(s) == 1))
    ranks = [np.ndim(x) - len(term.replace("...", "")) if "." in term else 0 for term, x in zip(terms, operands)]
    dots = [label for label in LABELS if label not in letters][: max(ranks)]
    terms = [term.replace("...", "".join(dots[len(dots) - rank :])) for term, rank in zip(terms, ranks)]
    return terms, result.replace("...", "".join(dots)), operands


def einsum_input(i: int, g: Array, y: Array, *args: Any, optimize: Any = False, **settings: Any) -> Array:
    """An einsum again: of ``g`` and the other operands, with the subscripts of the operand in question as its result.

    A letter that occurs there a second time is a diagonal, so an identity matrix joins the factors. A letter that no
    other factor has was summed over, so a vector of ones does. An axis of length 1 may have been broadcast: it is left
    out of the result, and put back by a reshape.
    """
    terms, result, operands = einsum_terms(args)
    i = i - 1 if isinstance(args[0], str) else i // 2
    x, term = operands[i], terms[i]
    factors = [(wide(g), result), *((a, t) for k, (a, t) in enumerate(zip(operands, terms)) if k != i)]
    known = {label for a, t in factors for label, length in zip(t, np.shape(a)) if length != 1}
    fresh = iter(sorted(set(LABELS).difference(*terms, result)))
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


# fmt: off
RULES.update({
    np.matmul:  (matmul_left, matmul_right),
    np.vecdot:  (lambda g, y, a, b: like(np.expand_dims(g, -1) * b, a),  lambda g, y, a, b: like(np.expand_dims(g, -1) * a, b)),
    np.einsum:  Each(einsum_input),
    chain:      Each(chain_input),
})
if hasattr(np, "matvec"):  # NumPy 2.2
    RULES.update({
        np.matvec:  (lambda g, y, a, b: like(np.expand_dims(g, -1) * np.expand_dims(b, -2), a),  lambda g, y, a, b: like(np.vecmat(g, a), b)),
        np.vecmat:  (lambda g, y, a, b: like(np.matvec(b, g), a),  lambda g, y, a, b: like(np.expand_dims(a, -1) * np.expand_dims(g, -2), b)),
    })
COMPOSITES.update({
    np.dot:                  dot,
    np.vdot:                 vdot,
    np.inner:                inner,
    np.outer:                outer,
    np.tensordot:            tensordot,
    np.kron:                 kron,
    np.cross:                cross,
    np.linalg.matmul:        np.matmul,
    np.linalg.vecdot:        vecdot,
    np.linalg.outer:         outer_of_vectors,
    np.linalg.tensordot:     tensordot,
    np.linalg.cross:         cross_in_space,
    np.linalg.multi_dot:     multi_dot,
    np.linalg.matrix_power:  matrix_power,
})
PUBLIC[chain] = np.linalg.multi_dot
# fmt: on

"""Products of matrices beyond single rows: drawn shapes and subscripts, and what the hot path costs."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lr as tg
from tests.rules.rows import NUMPY
from tests.rules.test_linalg import close, drawn, gradient, lengths, seeds, tensors
from tinygrad_lr.autodiff.rules.linalg.products import einsum_terms, materialized, matmul_left, matmul_right


def units(shape):
    """Every array of ``shape`` that is 0 but for a single 1, with the index of the 1."""
    for i in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[i] = 1
        yield i, unit


def check_product(fn, arrays, seed=0):
    """Both derivatives of a function that is linear in each operand.

    Such a function's derivative with respect to one element is its value with a unit array for that operand: no
    step, no error. The derivative of a directional derivative is the same with two operands replaced.
    """
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=np.shape(fn(*arrays)))
    directions = [rng.normal(size=a.shape) for a in arrays]
    value = lambda replaced: np.sum(fn(*(replaced.get(k, a) for k, a in enumerate(arrays))) * weights)

    xs = tensors(*arrays)
    firsts = tg.gradients(np.sum(fn(*xs) * weights), xs, create_graph=True)
    total = sum(np.sum(g * d) for g, d in zip(firsts, directions, strict=True))
    seconds = tg.gradients(total, xs)
    for k, (a, first, second) in enumerate(zip(arrays, firsts, seconds, strict=True)):
        for i, unit in units(a.shape):
            close(first.data[i], value({k: unit}))
            close(second.data[i], sum(value({k: unit, j: d}) for j, d in enumerate(directions) if j != k))


# -- drawn products ------------------------------------------------------------------------------------


@st.composite
def einsum_calls(draw):
    """Subscripts and operands: repeated letters, ellipses, axes of length 1 that broadcast, a result written or implied."""
    length = {letter: draw(lengths) for letter in "abcd"}
    dots = draw(st.lists(lengths, max_size=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from("abcd"), max_size=3))
        stretched = draw(st.sets(st.sampled_from("abcd"), max_size=1))
        parts = [(s, (1 if s in stretched else length[s],)) for s in letters]
        if draw(st.booleans()):
            behind = dots[draw(st.integers(0, len(dots))) :]
            parts.insert(draw(st.integers(0, len(parts))), ("...", tuple(1 if draw(st.booleans()) else n for n in behind)))
        terms.append("".join(s for s, _ in parts))
        shapes.append(sum((shape for _, shape in parts), ()))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set("".join(terms)) - {"."})
        answer = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
        if "." in subscripts:
            answer = [*answer]
            answer.insert(draw(st.integers(0, len(answer))), "...")
        subscripts += "->" + "".join(answer)
    rng = np.random.default_rng(draw(seeds))
    return subscripts, [rng.normal(size=shape) for shape in shapes]


@drawn
@given(einsum_calls(), st.booleans())
def test_einsum(call, optimize):
    subscripts, arrays = call
    check_product(lambda *xs: np.einsum(subscripts, *xs, optimize=optimize), arrays)


@drawn
@given(einsum_calls())
def test_einsum_spelled_out_means_the_same(call):
    subscripts, arrays = call
    terms, result, operands = einsum_terms((subscripts, *arrays))
    close(np.einsum(",".join(terms) + "->" + result, *operands), np.einsum(subscripts, *arrays))


def as_labels(term):
    """A term of subscripts as einsum's list of labels."""
    return [Ellipsis if s == "." else "abcd".index(s) for s in term.replace("...", ".")]


@drawn
@given(einsum_calls())
def test_einsum_of_lists(call):
    subscripts, arrays = call
    written, arrow, answer = subscripts.partition("->")
    terms = [as_labels(term) for term in written.split(",")]

    def fn(*xs):
        args = [part for pair in zip(xs, terms, strict=True) for part in pair]
        return np.einsum(*args, as_labels(answer)) if arrow else np.einsum(*args)

    close(fn(*arrays), np.einsum(subscripts, *arrays))
    check_product(fn, arrays)


@st.composite
def stacks(draw):
    """Two stacks' leading axes that broadcast, of any two ranks."""
    full = draw(st.lists(lengths, max_size=2))
    return tuple(tuple(1 if draw(st.booleans()) else n for n in full[draw(st.integers(0, len(full))) :]) for _ in range(2))


@drawn
@given(stacks(), lengths, lengths, lengths, st.sampled_from(["vector", "matrix"]), st.sampled_from(["vector", "matrix"]), seeds)
def test_matmul(batches, n, k, m, left, right, seed):
    a_shape = (k,) if left == "vector" else (*batches[0], n, k)
    b_shape = (k,) if right == "vector" else (*batches[1], k, m)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=a_shape), rng.normal(size=b_shape)]
    for fn in (np.matmul, lambda a, b: a @ b):
        check_product(fn, arrays, seed)


@drawn
@given(st.lists(lengths, max_size=3), st.lists(lengths, max_size=3), lengths, seeds)
def test_dot_inner_outer_kron(a_shape, b_shape, met, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=a_shape), rng.normal(size=b_shape)
    check_product(np.outer, [a, b])
    check_product(np.kron, [a, b])
    if a.ndim and b.ndim:
        a, b = np.repeat(a[..., :1], met, -1), np.repeat(b[..., :1], met, -1)
        check_product(np.inner, [a, b])
        check_product(np.dot, [a, b if b.ndim == 1 else np.swapaxes(b, -1, -2)])
    else:
        check_product(np.inner, [a, b])
        check_product(np.dot, [a, b])


@drawn
@given(st.data(), seeds)
def test_tensordot(data, seed):
    met = data.draw(st.lists(lengths, max_size=2))
    orders, shapes = [], []
    for _ in range(2):
        free = data.draw(st.lists(lengths, max_size=2))
        order = data.draw(st.permutations(range(len(met) + len(free))))  # order[j]: where axis j of (*met, *free) goes
        shape = [0] * len(order)
        for place, n in zip(order, [*met, *free], strict=True):
            shape[place] = n
        orders.append([place - data.draw(st.sampled_from([0, len(order)])) for place in order[: len(met)]])
        shapes.append(shape)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for shape in shapes]
    fn = lambda a, b: np.tensordot(a, b, axes=tuple(orders))
    xs = [tg.Tensor(a) for a in arrays]
    close(fn(*xs).data, fn(*arrays))
    check_product(fn, arrays)


@drawn
@given(st.lists(lengths, min_size=3, max_size=6), st.booleans(), st.booleans(), seeds)
def test_multi_dot(sides, row, column, seed):
    rng = np.random.default_rng(seed)
    shapes = list(itertools.pairwise(sides))
    shapes[0] = shapes[0][1:] if row else shapes[0]
    shapes[-1] = shapes[-1][:1] if column else shapes[-1]
    check_product(lambda *xs: np.linalg.multi_dot(xs), [rng.normal(size=shape) for shape in shapes])


# -- conventions ---------------------------------------------------------------------------------------


def test_plane_vectors_have_a_cross_product_where_numpy_has():
    a, b = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    if NUMPY >= (2, 5):
        with pytest.raises(ValueError, match="3-dimensional vectors, but they are 2 and 2 dimensional instead"):
            gradient(lambda a, b: np.cross(a, b), a, b)
        return
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        close(gradient(lambda a, b: np.cross(a, b), a, b), [[5, -3], [-2, 1]])
    with pytest.warns(DeprecationWarning, match="2-dimensional"):
        check_product(np.cross, [a, np.array([1.0, 2.0, 3.0])])


# -- the hot path --------------------------------------------------------------------------------------


class Watched(np.ndarray):
    """An array that counts the calls on it."""

    calls: list[str] = []  # noqa: RUF012

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        self.calls.append(ufunc.__name__)
        return getattr(ufunc, method)(*(np.asarray(x) for x in inputs), **kwargs)


@pytest.mark.parametrize("columns", [(), (1,), (3,)])
def test_backward_of_a_matrix_product_passes_over_the_data_once_and_copies_nothing(columns):
    rng = np.random.default_rng(0)
    X, w, g = rng.normal(size=(20_000, 100)), rng.normal(size=(100, *columns)), rng.normal(size=(20_000, *columns))
    Watched.calls.clear()
    matmul_right(g, None, X.view(Watched), w)
    assert Watched.calls == ["matmul"]
    tracemalloc.start()
    try:
        answer = matmul_right(g, None, X, w)
        assert tracemalloc.get_traced_memory()[1] < X.nbytes / 1000
    finally:
        tracemalloc.stop()
    close(answer, X.T @ g)


def test_a_broadcast_gradient_is_copied_for_blas():
    g = np.random.default_rng(0).normal(size=(4, 3))
    spread = np.broadcast_to(2.0, (4, 3))
    assert materialized(g) is g
    assert materialized(spread).flags.c_contiguous
    b = np.arange(6.0).reshape(3, 2)
    close(matmul_left(np.broadcast_to(2.0, (4, 2)), None, g, b), np.full((4, 2), 2.0) @ b.T)

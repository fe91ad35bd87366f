"""Every rule against its row: values, first and second order, float32, and other libraries where installed."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.rules.rows import row_of
from tinygrad_lr.autodiff.rules import COMPOSITES, RULES, name_of
from tinygrad_lr.autodiff.rules.registry import load_all

load_all()
OWN = [func for func in dict.fromkeys((*RULES, *COMPOSITES)) if getattr(func, "__module__", "numpy").startswith(("numpy", "tinygrad_lr.autodiff"))]
"""All that have rules in the chapters; other tests and doctests add some."""
CHAPTERS = ("elementwise", "reductions", "signals", "creation", "shapes", "linalg", "network", "special")
ROWS = [row_of(func) for func in OWN if func.__name__.isidentifier()]
ROWS += [row for chapter in CHAPTERS for row in importlib.import_module(f"tests.rules.rows_{chapter}").ROWS]


def over(chosen):
    """Run a test for some of the rows, each named by its index among all."""
    names = {id(row): f"{i}-{name_of(row.func)}{row.label and '-' + row.label}" for i, row in enumerate(ROWS)}
    return pytest.mark.parametrize("row", chosen, ids=lambda row: names[id(row)])


each_row = over(ROWS)


def flat(result):
    """One result, or each of several."""
    return list(result) if isinstance(result, tuple | list) else [result]


def weighted(row, arrays_or_tensors, seed=1):
    """The row's results as one number, every element with a weight of its own."""
    rng = np.random.default_rng(seed)
    total = 0.0
    for y in flat(row.call(np, *arrays_or_tensors)):
        total = total + np.sum(y * rng.normal(size=np.shape(y)))
    return total


def gradients_of(row, arrays):
    xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    return [g.data for g in tg.gradients(weighted(row, xs), xs)]


def numeric_gradients(fn, arrays, step=1e-3):
    """Central differences, extrapolated once more (Richardson): error of order step^6."""
    found = []
    for k, a in enumerate(arrays):
        g = np.zeros(a.shape)
        for i in np.ndindex(a.shape):

            def central(h, k=k, i=i):
                sides = []
                for sign in (1, -1):
                    moved = [b.copy() for b in arrays]
                    moved[k][i] += sign * h
                    sides.append(float(fn(moved)))
                return (sides[0] - sides[1]) / (2 * h)

            d1, d2, d4 = central(step), central(step / 2), central(step / 4)
            r1, r2 = (4 * d2 - d1) / 3, (4 * d4 - d2) / 3
            g[i] = (16 * r2 - r1) / 15
        found.append(g)
    return found


@each_row
def test_value(row):
    arrays = row.arrays()
    expected = flat(row.call(np, *arrays))
    for x in ([tg.Tensor(a, requires_grad=True) for a in arrays], [tg.Tensor(a) for a in arrays]):
        for got, want in zip(flat(row.call(np, *x)), expected, strict=True):
            np.testing.assert_allclose(np.asarray(getattr(got, "data", got)), want, rtol=1e-13, atol=1e-14)
            assert got.shape == np.shape(want)


@each_row
def test_dtypes(row):
    """Values have NumPy's own type, and gradients that of the variable; where NumPy fails on float16, a Tensor does as well."""
    for dtype, digits in ((np.float16, 4e-3), (np.float32, 1e-5), (np.float64, 1e-12)):
        arrays = row.arrays(dtype=dtype)
        xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
        try:
            expected = flat(row.call(np, *arrays))
        except (TypeError, RuntimeWarning) as error:  # a warning: of 0 by np.sinc before NumPy 2.3
            assert dtype is np.float16
            with pytest.raises(type(error)):
                row.call(np, *xs)
            continue
        for got, want in zip(flat(row.call(np, *xs)), expected, strict=True):
            got = np.asarray(getattr(got, "data", got))
            assert got.dtype == np.asarray(want).dtype
            if row.func is not np.partition:  # which leaves the parts in any order
                np.testing.assert_allclose(got, want, rtol=digits, atol=digits * max(1, np.nanmax(np.abs(want), initial=0)))
        assert {g.dtype for g in gradients_of(row, arrays)} == {np.dtype(dtype)}


@each_row
def test_first_order(row):
    arrays = row.arrays()
    kept = [a.copy() for a in arrays]
    numeric = numeric_gradients(lambda xs: weighted(row, xs), arrays)
    for got, want in zip(gradients_of(row, arrays), numeric, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-8)
    for a, b in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(a, b)


@over([row for row in ROWS if row.order >= 2])
def test_second_order(row):
    arrays = row.arrays()
    directions = [np.random.default_rng(2).normal(size=a.shape) for a in arrays]

    def slope(xs):
        """The directional derivative, from the first-order rules."""
        return sum(np.sum(g * d) for g, d in zip(gradients_of(row, xs), directions, strict=True))

    xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    firsts = tg.gradients(weighted(row, xs), xs, create_graph=True)
    total = sum(np.sum(g * d) for g, d in zip(firsts, directions, strict=True))
    for got, want in zip(tg.gradients(total, xs), numeric_gradients(slope, arrays), strict=True):
        np.testing.assert_allclose(got.data, want, rtol=1e-6, atol=1e-7)


@over([row for row in ROWS if row.float32 is not None])
def test_float32(row):
    singles = row.arrays(dtype=np.float32)
    got = gradients_of(row, singles)
    want = gradients_of(row, [a.astype(np.float64) for a in singles])
    for g, w in zip(got, want, strict=True):
        assert g.dtype == np.float32
        np.testing.assert_allclose(g, w, rtol=row.float32, atol=row.float32 * (1 + np.abs(w).max(initial=0)))


@over([row for row in ROWS if row.jax])
def test_jax_agrees(row, jax):
    arrays = row.arrays()
    weights = []
    rng = np.random.default_rng(1)
    for y in flat(row.call(np, *arrays)):
        weights.append(rng.normal(size=np.shape(y)))

    def total(*xs):
        return sum((jax.numpy.sum(y * w) for y, w in zip(flat(row.call(jax.numpy, *xs)), weights, strict=True)), 0.0)

    want = jax.grad(total, argnums=tuple(range(len(arrays))))(*arrays)
    for g, w in zip(gradients_of(row, arrays), want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-10)

"""Batches of cotangents: every rule does to each row what it does to a single gradient."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.rules.test_rules import each_row, flat
from tinygrad_lr.autodiff import jacobian
from tinygrad_lr.autodiff.cotangents import CotangentBatch
from tinygrad_lr.autodiff.jacobian import in_batches, unit_cotangents

rng = np.random.default_rng(0)
G = rng.normal(size=(5, 3, 4))


def one_by_one(y, xs):
    """The same Jacobian in as many walks as the answer has numbers."""
    rows = [tg.gradients(y, xs, seed) for seed in unit_cotangents(y, range(y.size))]
    return [np.stack([row[k].data for row in rows]) for k in range(len(xs))]


@each_row
@pytest.mark.parametrize("at_once", [2, 32])
def test_every_rule(row, at_once, monkeypatch):
    """At the answer itself, and with a step more behind it, so that what the rule made flows on."""
    monkeypatch.setattr(jacobian, "BATCH", at_once)
    leaves = [tg.Tensor(a, requires_grad=True) for a in row.arrays()]
    xs = [x * 1.5 - x * 0.5 for x in leaves]
    for y in flat(row.call(np, *xs)):
        if not isinstance(y, tg.Tensor) or not y.requires_grad or not y.size:
            continue
        for answer in (y, y * 2 + 1):
            for got, want in zip(in_batches(answer, leaves), one_by_one(answer, leaves), strict=True):
                assert got.dtype == want.dtype
                np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12 * max(1, np.abs(want).max(initial=0)))


# -- what a batch does ---------------------------------------------------------------------------------

vector, matrix, cube = rng.normal(size=4), rng.normal(size=(4, 4)), rng.normal(size=(2, 3, 4))

CALLS = {
    "operators": lambda g: (2 - g * vector) / (1 + g**2) - vector,
    "more axes than a row": lambda g: cube * g,
    "two of them": lambda g: g * np.sin(g) + g.sum(axis=1, keepdims=True),
    "two of different ndim": lambda g: g.sum(axis=0) * g,
    "sum": lambda g: g.sum(),
    "sum along the last": lambda g: g.sum(axis=-1),
    "sum along both": lambda g: np.sum(g, axis=(0, -1), keepdims=True),
    "mean": lambda g: np.mean(g, axis=0),
    "matrix behind": lambda g: g @ matrix,
    "vector behind": lambda g: g @ vector,
    "matrix before": lambda g: matrix[:2, :3] @ g,
    "vector before": lambda g: matrix[0, :3] @ g,
    "rows of vectors": lambda g: g[0] @ matrix,
    "vectors behind a matrix": lambda g: matrix @ g[0],
    "vectors behind a vector": lambda g: vector @ g[0],
    "stacked matrices": lambda g: np.swapaxes(cube, -1, -2) @ g,
    "matmul with itself": lambda g: g @ g.T,
    "dot": lambda g: g.T.dot(g[:, 0]) + g[0].dot(vector) + g.T.dot(matrix[:3, 0]),
    "T": lambda g: g.T,
    "transpose": lambda g: np.transpose(g, (-1, 0)),
    "swapaxes": lambda g: g.swapaxes(0, -1) + np.swapaxes(g, 0, 1),
    "reshape": lambda g: g.reshape(2, -1) + g.reshape((2, 6)) + np.reshape(g, (-1, 6)),
    "reshape in columns": lambda g: np.reshape(g, (4, 3), "F") + np.reshape(g, (4, 3), order="F"),
    "expand_dims": lambda g: np.expand_dims(g, (0, -1)),
    "broadcast_to": lambda g: np.broadcast_to(g[0], (3, 4)),
    "where": lambda g: np.where(vector > 0, g, 0) + np.where(g > 0, vector, g),
    "index": lambda g: g[1:, [0, 0, 2]],
    "concatenate": lambda g: np.concatenate([g, matrix[:2], g]),
    "solve": lambda g: np.linalg.solve(matrix[:3, :3], g),
    "keywords": lambda g: np.flip(m=g, axis=0),
    "a function with a rule of its own": lambda g: tg.sigmoid(g),
    "ufunc methods": lambda g: np.add.reduce(g, axis=0),
    "ufunc settings": lambda g: np.add(g, 1, dtype=np.float64),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_row_by_row(call):
    got = call(CotangentBatch(G))
    want = np.stack([call(row) for row in G])
    assert isinstance(got, CotangentBatch)
    assert got.shape == want.shape[1:]
    np.testing.assert_allclose(got.rows, want, rtol=1e-13, atol=1e-14)


def test_what_it_looks_like():
    g = CotangentBatch(G)
    assert (g.shape, g.ndim, g.size, g.dtype) == ((3, 4), 2, 12, np.float64)
    assert (np.shape(g), np.ndim(g), np.size(g)) == ((3, 4), 2, 12)
    assert repr(CotangentBatch(np.eye(1))) == "CotangentBatch(array([[1.]]))"


@pytest.mark.parametrize("call", [np.asarray, bool, float, lambda g: np.linalg.svd(g), lambda g: np.result_type(g), lambda g: np.modf(g)])
def test_what_it_refuses(call):
    """Rather than give an answer for one row only."""
    with pytest.raises(TypeError):
        call(CotangentBatch(G))


# -- rules of users ------------------------------------------------------------------------------------

X = np.array([0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: g * 3 * x**2,
        lambda g, y, x: np.array([float(a) * 3 * float(b) ** 2 for a, b in zip(g, x, strict=True)]),
        lambda g, y, x: np.asarray(g) * 3 * x**2,
        lambda g, y, x: np.vectorize(lambda a, b: a * 3 * b**2)(g, x),
        lambda g, y, x: g * 3 * x**2 if np.any(g) else g,
    ],
    ids=["plain NumPy", "loop", "asarray", "vectorize", "branch"],
)
def test_rules_that_need_plain_arrays_get_them(rule):
    cube = tg.primitive(lambda x: x**3, rule)
    np.testing.assert_allclose(tg.jacobian(lambda x: cube(x) * 2)(X), np.diag(6 * X**2), rtol=1e-14)


def test_a_rule_that_fails_still_says_so():
    def rule(g, y, x):
        raise TypeError("not today")

    with pytest.raises(TypeError, match=r"^not today$"):
        tg.jacobian(tg.primitive(lambda x: x**3, rule))(X)


def test_a_walk_takes_few_rows_at_once(monkeypatch):
    """So that memory grows with the answer, not with its square."""
    seen = []
    double = tg.primitive(lambda x: x * 2, lambda g, y, x: (seen.append(len(g.rows)), g * 2)[1])
    np.testing.assert_array_equal(tg.jacobian(double)(np.ones(70)), 2 * np.eye(70))
    assert seen == [24, 23, 23]

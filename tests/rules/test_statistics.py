"""Covariances, correlations and differences of neighbours: settings, edge cases, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 6)), rng.normal(size=(2, 6))
FREQUENCIES, IMPORTANCES = np.array([1, 2, 1, 3, 1, 0]), rng.uniform(size=6)


def tensor(a, dtype=None):
    return tg.Tensor(np.array(a, dtype), requires_grad=True)


# -- covariances and correlations ----------------------------------------------------------------------

SETTINGS = [
    {},
    {"bias": True},
    {"ddof": 0},
    {"fweights": FREQUENCIES, "ddof": 2},
    {"aweights": IMPORTANCES.tolist()},
    {"fweights": FREQUENCIES, "aweights": IMPORTANCES},
    {"fweights": FREQUENCIES, "aweights": IMPORTANCES, "ddof": 0},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=map(str, range(len(SETTINGS))))
@pytest.mark.parametrize("dtype", [None, np.float32])
def test_cov_is_numpys(settings, dtype):
    calls = [((X,), True), ((X, Y), True), ((X[0],), True), ((X[0], Y[0]), True), ((X[:1],), True), ((X.T,), False), ((X.T, Y.T), False), ((X.T, Y[0]), False)]
    calls.append(((X.T, Y[:1]), False))  # a single row of y is a variable all the same
    for arrays, rowvar in calls:
        got = np.cov(*map(tensor, arrays), rowvar=rowvar, dtype=dtype, **settings)
        want = np.cov(*arrays, rowvar=rowvar, dtype=dtype, **settings)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(got.data, want, rtol=1e-12 if dtype is None else 1e-5, atol=1e-7 if dtype else 0)


@pytest.mark.parametrize("arrays, rowvar", [((X,), True), ((X, Y), True), ((X[0],), True), ((X[0], Y[0]), True), ((X.T,), False)])
def test_corrcoef_is_numpys(arrays, rowvar):
    for dtype in (None, np.float32):
        got, want = np.corrcoef(*map(tensor, arrays), rowvar=rowvar, dtype=dtype), np.corrcoef(*arrays, rowvar=rowvar, dtype=dtype)
        assert (got.shape, got.dtype) == (np.shape(want), want.dtype)
        np.testing.assert_allclose(got.data, want, rtol=1e-12 if dtype is None else 1e-5)


def test_the_diagonal_of_cov_is_the_variance():
    weights = rng.normal(size=3)
    g = tg.grad(lambda x: np.sum(np.diagonal(np.cov(x)) * weights))(X)
    np.testing.assert_allclose(g, tg.grad(lambda x: np.sum(np.var(x, axis=1, ddof=1) * weights))(X), rtol=1e-12)


def test_a_correlation_of_1_keeps_its_second_derivative():
    """Rounding may take it beyond 1, where NumPy cuts it: the derivative is that of the exact one.

    Of r(a, b) at b = c a, with the deviations p of a: d2r/db2 = (p p^T / |p|^2 - (I - 1/n)) / |c p|^2.
    """
    beyond = 0
    for seed in range(40):
        a = np.random.default_rng(seed).normal(size=5)
        beyond += np.corrcoef(a, 3 * a)[0, 1] == 1
        p = a - a.mean()
        want = (np.outer(p, p) / (p @ p) - (np.eye(5) - 0.2)) / (9 * p @ p)
        np.testing.assert_allclose(tg.hessian(lambda b, a=a: np.corrcoef(a, b)[0, 1])(3 * a), want, rtol=1e-9, atol=1e-12)
    assert beyond > 5  # some of them were clipped, or are just 1


def test_float32_gets_float64_as_from_numpy_and_its_gradient_back():
    t = tensor(X, np.float32)
    y = np.cov(t)
    assert y.dtype == np.cov(t.data).dtype == np.float64
    np.sum(y).backward()
    assert t.grad.dtype == np.float32


def test_too_few_observations_warn_as_numpys():
    with pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0 for slice"), np.errstate(all="ignore"):
        assert np.isnan(np.cov(tensor([3.0])).data)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda t: np.cov(t, ddof=0.5), ValueError, "np.cov: ddof must be an integer, got 0.5"),
        (lambda t: np.cov(np.expand_dims(t, 0)), ValueError, "np.cov takes at most 2 axes, m has shape (1, 3, 6)"),
        (lambda t: np.cov(t, np.ones((1, 1, 6))), ValueError, "np.cov takes at most 2 axes, y has shape (1, 1, 6)"),
        (lambda t: np.cov(t, fweights=[1, 2]), ValueError, "np.cov: fweights of shape (2,) for 6 observations"),
        (lambda t: np.cov(t, aweights=np.ones((1, 6))), ValueError, "np.cov: aweights of shape (1, 6) for 6 observations"),
        (lambda t: np.cov(t, aweights=[1, 1, 1, 1, 1, -1]), ValueError, "np.cov: aweights must not be negative"),
        (
            lambda t: np.cov(t, fweights=[1, 1, 1, 1, 1, 0.5]),
            TypeError,
            "np.cov: fweights must be integers, as they say how often each observation was made",
        ),
    ],
)
def test_what_cov_refuses(call, error, message):
    with pytest.raises(error) as caught:
        call(tensor(X))
    assert str(caught.value) == message


# -- neighbours ----------------------------------------------------------------------------------------


def test_ediff1d_keeps_the_type_of_the_array():
    x = np.array([1.0, 4.0, 2.0], np.float32)
    for settings in ({}, {"to_begin": 7.0}, {"to_end": np.array([[1.0], [2.0]])}, {"to_begin": [1, 2], "to_end": 3}):
        y = np.ediff1d(tensor(x), **settings)
        np.testing.assert_array_equal(y.data, np.ediff1d(x, **settings), strict=True)


def test_ediff1d_refuses_ends_of_other_kinds():
    with pytest.raises(TypeError, match=r"^np\.ediff1d: to_end of type complex128 does not fit an array of type float64$"):
        np.ediff1d(tensor([1.0, 2.0]), to_end=1j)


@pytest.mark.parametrize("settings", [{}, {"dx": 0.5}, {"x": [0.0, 0.5, 2.0]}, {"x": np.ones((2, 3)).cumsum(axis=1)}, {"dx": [1.0, 3.0]}])
def test_trapezoid_takes_what_numpys_takes(settings):
    y = rng.normal(size=(2, 3))
    np.testing.assert_allclose(np.trapezoid(tensor(y), **settings).data, np.trapezoid(y, **settings), rtol=1e-14)
    np.testing.assert_allclose(np.trapezoid(y.tolist(), tensor([0.0, 0.5, 2.0])).data, np.trapezoid(y, [0.0, 0.5, 2.0]), rtol=1e-14)

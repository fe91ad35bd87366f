"""Reductions where a gradient is a convention or a limit: at ties, zeros, missing numbers and extremes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lr as tg
from tinygrad_lr.autodiff.rules.reductions import log_softmax, logaddexp_reduce, product_before, recurrence, softmax

# -- conventions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("func", [np.max, np.amax, np.nanmax])
def test_ties_of_a_maximum_share(func):
    np.testing.assert_array_equal(tg.grad(func)(np.array([3.0, 1.0, 3.0, 3.0, 2.0])), np.array([1, 0, 1, 1, 0]) / 3)
    rows = np.array([[1.0, 1.0], [0.0, 2.0]])
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(func(x, axis=1)))(rows), [[0.5, 0.5], [0.0, 1.0]])


@pytest.mark.parametrize("func", [np.min, np.amin, np.nanmin])
def test_ties_of_a_minimum_share(func):
    np.testing.assert_array_equal(tg.grad(func)(np.array([1.0, 3.0, 1.0])), [0.5, 0.0, 0.5])


def test_range_of_equal_numbers_does_not_move():
    np.testing.assert_array_equal(tg.grad(np.ptp)(np.ones(4)), np.zeros(4))


@pytest.mark.parametrize("func", [np.std, np.nanstd])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e100, -7.3])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_std_of_equal_numbers_is_flat(func, value, n):
    x = np.full((n, 2), value)
    for axis in (0, None):

        def total(a, axis=axis):
            return np.sum(func(a, axis=axis))

        np.testing.assert_array_equal(tg.grad(total)(x), np.zeros((n, 2)))
        np.testing.assert_array_equal(tg.grad(lambda a: np.sum(tg.grad(total)(a)))(x), np.zeros((n, 2)))


def test_std_of_some_equal_columns():
    x = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    g = tg.grad(lambda a: np.sum(np.std(a, axis=0)))(x)
    np.testing.assert_array_equal(g[:, 0], np.zeros(3))
    np.testing.assert_allclose(g[:, 1], (x[:, 1] - x[:, 1].mean()) / (3 * x[:, 1].std()))


def test_std_around_a_given_mean():
    g = tg.grad(lambda a: np.std(a, mean=np.array([1.0])))(np.array([4.0, 4.0]))
    np.testing.assert_allclose(g, [0.5, 0.5])


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("func", [np.var, np.std, np.nanvar, np.nanstd])
def test_variance_of_too_few_is_nan_all_through(func):
    x = tg.Tensor([2.0], requires_grad=True)
    func(x, ddof=1).backward()
    assert np.isnan(x.grad).all()


def test_middle_of_two_equal_numbers_goes_half_to_each():
    np.testing.assert_array_equal(tg.grad(np.median)(np.array([2.0, 0.0, 2.0, 5.0])), [0.5, 0.0, 0.5, 0.0])
    np.testing.assert_allclose(tg.grad(lambda x: np.quantile(x, 0.4))(np.array([2.0, 0.0, 2.0, 5.0])), [0.8, 0.0, 0.2, 0.0])


def test_sort_is_stable():
    g = tg.grad(lambda x: np.sum(np.sort(x) * np.array([1.0, 10.0, 100.0, 1000.0])))(np.array([2.0, 1.0, 2.0, 1.0]))
    np.testing.assert_array_equal(g, [100.0, 1.0, 1000.0, 10.0])


# -- zeros and missing numbers -------------------------------------------------------------------------


@pytest.mark.parametrize("x, expected", [([2.0, 0.0, 3.0], [0, 6, 0]), ([0.0, 0.0, 3.0], [0, 0, 0]), ([5.0], [1]), ([], [])])
def test_product_with_zeros(x, expected):
    np.testing.assert_array_equal(tg.grad(np.prod)(np.array(x)), expected)


def test_second_derivative_of_a_product_with_zeros():
    np.testing.assert_array_equal(tg.hessian(np.prod)(np.array([0.0, 0.0, 3.0])), [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_third_derivative_of_a_product_of_zeros():
    def mixed(x):
        return tg.grad(lambda b: tg.grad(lambda a: np.prod(a))(b)[0])(x)[1]

    np.testing.assert_array_equal(tg.grad(mixed)(np.zeros(3)), [0, 0, 1])


def test_products_that_underflow_keep_their_gradients():
    np.testing.assert_array_equal(tg.grad(np.prod)(np.array([1e-200, 1e-200])), [1e-200, 1e-200])


def test_running_product_with_zeros_is_exact():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    expected = [[np.prod(np.delete(x[: k + 1], i)) if i <= k else 0.0 for i in range(5)] for k in range(5)]
    np.testing.assert_array_equal(tg.jacobian(np.cumprod)(x), expected)


@given(st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_recurrence_is_the_loop(n, seed):
    rng = np.random.default_rng(seed)
    g, x = rng.normal(size=(2, n)), rng.normal(size=(2, n))
    expected = g.copy()
    for i in range(1, n):
        expected[:, i] += x[:, i] * expected[:, i - 1]
    np.testing.assert_allclose(recurrence(g, x), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(product_before(x)[:, :1], np.ones((2, 1)))


def test_running_product_of_many():
    x = np.full(100_000, 0.9999)
    g = tg.grad(lambda a: np.sum(np.cumprod(a)))(x)
    y = np.cumprod(x)
    np.testing.assert_allclose(g, (y[::-1].cumsum())[::-1] / x, rtol=1e-9)


@pytest.mark.parametrize("func", [np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanmedian, np.nanvar, np.nanstd])
def test_missing_numbers_take_no_gradient(func):
    x = np.array([1.0, np.nan, 4.0, 2.0])
    there = ~np.isnan(x)
    plain = getattr(np, func.__name__.removeprefix("nan"))
    g = tg.grad(func)(x)
    np.testing.assert_array_equal(g[~there], [0.0])
    np.testing.assert_allclose(g[there], tg.grad(plain)(x[there]), rtol=1e-14)


@pytest.mark.parametrize("func, shape", [(np.nansum, (3,)), (np.nanprod, (3,)), (np.nancumsum, (3,)), (np.nancumprod, (3,))])
def test_nothing_but_missing_numbers(func, shape):
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(func(x)))(np.full(shape, np.nan)), np.zeros(shape))


@pytest.mark.parametrize("func", [np.median, lambda x, axis: np.quantile(x, 0.5, axis)])
def test_quantile_of_missing_numbers_is_missing(func):
    rows = tg.Tensor([[1.0, np.nan, 3.0], [1.0, 2.0, 5.0]], requires_grad=True)
    y = func(rows, axis=1)
    np.testing.assert_array_equal(y.data, [np.nan, 2.0])
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(rows.grad, [[0, 0, 0], [0, 1, 0]])


def test_nanmedian_of_a_missing_row_is_missing():
    rows = tg.Tensor([[np.nan, np.nan, np.nan], [1.0, np.nan, 5.0]], requires_grad=True)
    y = np.nanmedian(rows, axis=1)
    np.testing.assert_array_equal(y.data, [np.nan, 3.0])
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(rows.grad, [[0, 0, 0], [0.5, 0, 0.5]])


# -- extremes ------------------------------------------------------------------------------------------


def test_logaddexp_reduce_extreme():
    x = np.array([[1000.0, 1000.0], [-1000.0, 1000.0], [-np.inf, -1000.0], [-np.inf, -np.inf]])
    np.testing.assert_allclose(logaddexp_reduce(x, axis=1), np.logaddexp.reduce(x, axis=1), rtol=1e-15)
    g = tg.grad(lambda a: np.sum(np.where(a[:, 0] > -np.inf, logaddexp_reduce(a, axis=1), 0)))(x)
    np.testing.assert_array_equal(g, [[0.5, 0.5], [0, 1], [0, 0], [0, 0]])
    t = tg.Tensor(np.full(2, -np.inf), requires_grad=True)
    logaddexp_reduce(t).backward()
    np.testing.assert_array_equal(t.grad, [0.0, 0.0])


def test_logaddexp_reduces_in_another_type():
    x = np.array([1.0, 2.0, -0.5], np.float32)
    for reduce in (lambda a: np.logaddexp.reduce(a, dtype=np.float64), lambda a: np.logaddexp.reduce(a, 0, np.float64)):
        t = tg.Tensor(x, requires_grad=True)
        y = reduce(t)
        assert y.dtype == np.float64
        np.testing.assert_allclose(y.data, np.logaddexp.reduce(x.astype(float)), rtol=1e-15)
        y.backward()
        assert t.grad.dtype == np.float32
        np.testing.assert_allclose(t.grad, softmax(x), rtol=1e-6)
    assert np.logaddexp.reduce(t, 0, None, None, True).shape == (1,)
    with pytest.raises(TypeError, match="a tracked Tensor has no gradient as int64: use"):
        np.logaddexp.reduce(t, dtype=np.int64)


def test_logaddexp_reduce_of_nothing():
    assert logaddexp_reduce(np.zeros(0)) == -np.inf
    np.testing.assert_array_equal(logaddexp_reduce(np.zeros((0, 2))), np.logaddexp.reduce(np.zeros((0, 2))))


def test_missing_numbers_go_through_logaddexp_reduce():
    rows = tg.Tensor([[np.nan, 1000.0], [np.nan, -np.inf], [np.nan, np.inf], [0.0, 0.0]], requires_grad=True)
    y = np.logaddexp.reduce(rows, axis=1)
    np.testing.assert_array_equal(np.isnan(y.data), [True, True, True, False])
    y.backward(np.ones(4))
    np.testing.assert_array_equal(rows.grad, [[np.nan, np.nan]] * 3 + [[0.5, 0.5]])


def test_infinite_numbers_go_through_logaddexp_reduce():
    x = np.array([[np.inf, 1000.0, np.inf], [np.inf, -np.inf, 3.0], [-np.inf, 2.0, 2.0]])
    rows = tg.Tensor(x, requires_grad=True)
    y = np.logaddexp.reduce(rows, axis=1)
    np.testing.assert_array_equal(y.data, np.logaddexp.reduce(x, axis=1))
    y.backward(np.ones(3))
    np.testing.assert_allclose(rows.grad, [[0.5, 0, 0.5], [1, 0, 0], [0, 0.5, 0.5]], rtol=1e-15)


def test_softmax_extreme():
    x = np.array([1000.0, -1000.0, 1000.0])
    np.testing.assert_array_equal(tg.jacobian(softmax)(x), [[0.25, 0, -0.25], [0, 0, 0], [-0.25, 0, 0.25]])
    np.testing.assert_array_equal(tg.grad(lambda z: log_softmax(z)[1])(x), [-0.5, 1.0, -0.5])


def test_maximum_of_infinities():
    np.testing.assert_array_equal(tg.grad(np.max)(np.array([-np.inf, 1.0, np.inf])), [0, 0, 1])
    np.testing.assert_array_equal(tg.grad(np.max)(np.array([-np.inf, -np.inf])), [0.5, 0.5])


# -- an extreme that no element equals -----------------------------------------------------------------


@pytest.mark.parametrize("func", [np.max, np.min, np.amax, np.amin])
def test_an_extreme_of_missing_numbers_moves_with_none(func):
    """The answer is nan, which no element equals: the gradient is 0, and nothing is divided by the count of 0."""
    rows = tg.Tensor([[1.0, np.nan, 3.0], [1.0, 2.0, 1.5]], requires_grad=True)
    y = func(rows, axis=1)
    assert np.isnan(y.data[0])
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(rows.grad[0], [0, 0, 0])
    assert rows.grad[1].sum() == 1


@pytest.mark.parametrize("func", [np.max, np.min])
def test_an_extreme_of_missing_numbers_and_a_start_value_moves_with_none(func):
    x, start = tg.Tensor([1.0, np.nan], requires_grad=True), tg.Tensor(2.0, requires_grad=True)
    y = func(x, initial=start)
    assert np.isnan(y.data)
    by_x, by_start = tg.gradients(y, [x, start])
    np.testing.assert_array_equal(by_x.data, [0, 0])
    np.testing.assert_array_equal(by_start.data, 0)

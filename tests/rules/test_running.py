"""Running extremes, sums and products: equals, missing numbers, settings, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lr as tg

ACCUMULATE = [np.maximum.accumulate, np.minimum.accumulate]


def by_hand(x, g, better):
    """The gradient of a running extreme: each result's g to the best so far, in equal parts to equal ones."""
    found = np.zeros_like(x)
    for i in range(len(x)):
        best = x[: i + 1] == better(x[: i + 1])
        found[: i + 1] += g[i] * best / best.sum()
    return found


@pytest.mark.parametrize("accumulate, better", [(np.maximum.accumulate, np.max), (np.minimum.accumulate, np.min)])
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_equals_share(accumulate, better, numbers):
    x, g = np.array(numbers, float), np.arange(1.0, len(numbers) + 1)
    t = tg.Tensor(x, requires_grad=True)
    accumulate(t).backward(g)
    np.testing.assert_allclose(t.grad, by_hand(x, g, better), rtol=1e-14)


def test_equals_share_as_in_the_maximum():
    x = np.array([1.0, 3.0, 3.0, 2.0, 3.0])
    np.testing.assert_array_equal(tg.grad(lambda x: np.maximum.accumulate(x)[-1])(x), tg.grad(np.max)(x))


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_nothing_flows_from_missing_numbers_on(accumulate):
    t = tg.Tensor([1.0, np.nan, 5.0, -5.0], requires_grad=True)
    y = accumulate(t)
    np.testing.assert_array_equal(y.data, [1, np.nan, np.nan, np.nan])
    y.backward([1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(t.grad, [1, 0, 0, 0])


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_axes_and_types(accumulate):
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(accumulate(tg.Tensor(x)).data, accumulate(x), strict=True)
    for axis in (0, 1, -1):
        t = tg.Tensor(x, requires_grad=True)
        y = accumulate(t, axis=axis)
        np.testing.assert_array_equal(y.data, accumulate(x, axis=axis), strict=True)
    t = tg.Tensor(x[0].astype(np.float32), requires_grad=True)
    y = accumulate(t, axis=None, dtype=np.float64)
    assert y.dtype == np.float64
    y.sum().backward()
    assert t.grad.dtype == np.float32


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_gradients_flow_through_rounded_numbers(accumulate):
    t = tg.Tensor([0.1, 0.1, 0.3], requires_grad=True)
    y = accumulate(t, dtype=np.float32)
    assert y.dtype == np.float32
    y.sum().backward()
    assert t.grad.sum() == 3


def test_many_equals_in_float16():
    """Counts go beyond 2,048, where float16 cannot count by 1."""
    t = tg.Tensor(np.ones(3000, np.float16), requires_grad=True)
    np.maximum.accumulate(t)[-1].backward()
    np.testing.assert_allclose(t.grad, np.full(3000, 1 / 3000), rtol=1e-3)


@pytest.mark.parametrize("accumulate", ACCUMULATE)
def test_nothing_is_written_in_place(accumulate):
    with pytest.raises(TypeError, match=r"^np\.\w+\(out=\.\.\.\) on a tracked Tensor: results are never written in place"):
        accumulate(tg.Tensor([1.0, 2.0], requires_grad=True), out=np.zeros(2))


# -- sums and products as the array API has them -------------------------------------------------------

if hasattr(np, "cumulative_sum"):  # NumPy 2.1

    @pytest.mark.parametrize("func", [np.cumulative_sum, np.cumulative_prod])
    def test_a_start_in_front_gets_no_gradient(func):
        x = np.array([[2.0, 3.0], [4.0, 5.0]])
        t = tg.Tensor(x, requires_grad=True)
        y = func(t, axis=-1, include_initial=True)
        np.testing.assert_array_equal(y.data, func(x, axis=-1, include_initial=True), strict=True)
        y.backward(np.array([[100.0, 1, 1], [100.0, 1, 1]]))
        np.testing.assert_array_equal(t.grad, [[2, 1], [2, 1]] if func is np.cumulative_sum else [[4, 2], [6, 4]])

    @pytest.mark.parametrize("func", [np.cumulative_sum, np.cumulative_prod])
    def test_cumulative_functions_of_several_axes_want_one(func):
        with pytest.raises(ValueError, match=r"^np\.cumulative_sum and np\.cumulative_prod of an array of shape \(2, 1\) need an axis$"):
            func(tg.Tensor([[1.0], [2.0]], requires_grad=True))

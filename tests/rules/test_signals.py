"""Interpolation, polynomials and convolutions: conventions, edge cases, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lr as tg

XP, FP = np.array([0.0, 1.0, 3.0]), np.array([5.0, 7.0, 3.0])


def tensor(*numbers, dtype=None):
    return tg.Tensor(np.array(numbers[0] if len(numbers) == 1 else numbers, dtype), requires_grad=True)


# -- interp --------------------------------------------------------------------------------------------


def test_interp_by_its_values():
    """The two neighbours with their weights; at a point and beyond the ends one point alone."""
    shares = tg.jacobian(lambda fp: np.interp(np.array([-1.0, 0.0, 0.25, 1.0, 2.5, 3.0, 9.0]), XP, fp))(FP)
    np.testing.assert_array_equal(shares, [[1, 0, 0], [1, 0, 0], [0.75, 0.25, 0], [0, 1, 0], [0, 0.25, 0.75], [0, 0, 1], [0, 0, 1]])


def test_interp_by_its_places():
    """The slope of the line: at a point that of the next line, at the last point that of the last, and outside 0."""
    slopes = tg.grad(lambda x: np.sum(np.interp(x, XP, FP)))(np.array([-1.0, 0.0, 0.25, 1.0, 2.5, 3.0, 9.0]))
    np.testing.assert_array_equal(slopes, [0, 2, 2, -2, -2, -2, 0])


def test_interp_beyond_the_ends_with_values_for_them():
    left, right = tensor(-1.0), tensor(-2.0)
    fp = tg.Tensor(FP, requires_grad=True)
    y = np.interp(np.array([-1.0, -2.0, 2.0, 9.0]), XP, fp, left, right)
    np.testing.assert_array_equal(y.data, [-1, -1, 5, -2])
    y.backward([1.0, 2.0, 4.0, 8.0])
    assert (left.grad, right.grad) == (3, 8)
    np.testing.assert_array_equal(fp.grad, [0, 2, 2])


def test_interp_of_missing_places():
    fp, x = tg.Tensor(FP, requires_grad=True), tensor(np.nan, 0.5)
    y = np.interp(x, XP, fp)
    np.testing.assert_array_equal(y.data, [np.nan, 6.0])
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(fp.grad, [0.5, 0.5, 0])
    np.testing.assert_array_equal(x.grad, [0, 2])


def test_interp_through_one_point_and_through_steps():
    one = tensor([4.0])
    y = np.interp(np.array([-1.0, 1.0, 2.0]), [1.0], one, left=0.0)
    y.backward([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(one.grad, [110])
    fp = tensor(1.0, 2.0, 3.0)
    y = np.interp(np.array([1.0, 2.0]), [0.0, 1.0, 1.0], fp)
    np.testing.assert_array_equal(y.data, [3, 3])
    y.backward([1.0, 1.0])
    np.testing.assert_array_equal(fp.grad, [0, 0, 2])


def test_interp_beside_missing_values():
    """NumPy's own values, exact at the points."""
    fp = tensor(1.0, np.nan, 3.0)
    np.testing.assert_array_equal(np.interp(np.array([0.0, 3.0]), XP, fp).data, [1, 3])


def test_interp_of_float32_is_float64_as_numpys():
    x = tg.Tensor(np.array([0.5], np.float32), requires_grad=True)
    y = np.interp(x, XP, FP)
    assert y.dtype == np.interp(x.data, XP, FP).dtype == np.float64
    y.backward([1.0])
    assert x.grad.dtype == np.float32


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=5), st.floats(0.5, 5), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_interp_of_a_period(x, period, n):
    rng = np.random.default_rng(n)
    xp, fp = rng.permutation(np.linspace(-3, 7, n) + 0.1), rng.normal(size=n)
    y = np.interp(tensor(x), tg.Tensor(xp, requires_grad=True), fp, period=-period)
    np.testing.assert_allclose(y.data, np.interp(x, xp, fp, period=-period), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda t: np.interp(t, XP, FP, period=0), "np.interp: the period must not be 0"),
        (lambda t: np.interp(t, XP, FP[:2], period=2.0), "np.interp needs points and values of one length, got shapes (3,) and (2,)"),
        (lambda t: np.polyder(t, -1), "np.polyder: m must not be negative, got -1"),
        (lambda t: np.polyint(t, -1), "np.polyint: m must not be negative, got -1"),
        (lambda t: np.polyint(t, 3, [1.0, 2.0]), "np.polyint: 3 integrations need one constant or 3, got 2"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError) as caught:
        call(tensor(0.5, 1.0))
    assert str(caught.value) == message


# -- polynomials ---------------------------------------------------------------------------------------


def test_polyval_is_numpys_to_the_last_digit():
    p, x = np.array([0.1, -3.7, 2.2, 0.3]), np.linspace(-3, 3, 17)
    np.testing.assert_array_equal(np.polyval(tensor(p), tensor(x)).data, np.polyval(p, x), strict=True)


def test_polyval_of_a_list_of_tensors():
    a, b, x = tensor(3.0), tensor(-1.0), tensor(2.0)
    np.polyval([a, b], x).backward()
    assert (a.grad, b.grad, x.grad) == (2, 1, 3)


def test_a_derivative_undoes_an_integral():
    g = tg.jacobian(lambda p: np.polyder(np.polyint(p, 2, 5.0), 2))(np.array([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(g, np.eye(3), rtol=1e-15)


# -- sliding products ----------------------------------------------------------------------------------


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(["full", "same", "valid"]), st.booleans())
@settings(max_examples=120, deadline=None)
def test_convolutions_of_every_length(m, n, mode, correlate):
    """Linear in each factor: the Jacobians are the results for unit vectors."""
    func = np.correlate if correlate else np.convolve
    rng = np.random.default_rng(m * 7 + n)
    a, v = rng.normal(size=m), rng.normal(size=n)
    np.testing.assert_allclose(func(tensor(a), tensor(v), mode).data, func(a, v, mode), rtol=1e-13, atol=1e-14)
    by_a, by_v = tg.jacobian(lambda a, v: func(a, v, mode), (0, 1))(a, v)
    np.testing.assert_allclose(by_a, np.stack([func(e, v, mode) for e in np.eye(m)], -1), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(by_v, np.stack([func(a, e, mode) for e in np.eye(n)], -1), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_torch_agrees_on_sliding_products(mode, torch):
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=8), rng.normal(size=3)
    u, w = (torch.tensor(x, requires_grad=True) for x in (a, v))
    padding = {"full": 2, "same": 1, "valid": 0}[mode]
    y = torch.nn.functional.conv1d(u[None, None], w.flip(0)[None, None], padding=padding)[0, 0]
    seed = rng.normal(size=y.shape[0])
    want = torch.autograd.grad(y, (u, w), torch.tensor(seed))
    got = tg.grad(lambda a, v: np.sum(np.convolve(a, v, mode) * seed), (0, 1))(a, v)
    for g, h in zip(got, want, strict=True):
        np.testing.assert_allclose(g, h.numpy(), rtol=1e-12)


def test_sliding_products_of_nothing_are_refused():
    with pytest.raises(ValueError, match="cannot be empty"):
        np.convolve(tensor([1.0]), np.zeros(0))

"""Elementwise rules where formulas usually break: at ties and kinks, and on every pair of shapes.

Warnings are errors here as everywhere in the tests, so each case also says that its rule computes quietly.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.rules.rows import NUMPY
from tinygrad_lr.autodiff.rules import RULES, name_of
from tinygrad_lr.autodiff.rules.elementwise import astype, log_sigmoid, relu, sigmoid, softplus

UFUNCS = [func for func in RULES if isinstance(func, np.ufunc) and func.signature is None]
UNARY = [func for func in UFUNCS if func.nin == 1] + [np.sinc, np.round, np.real, np.nan_to_num, sigmoid, softplus, log_sigmoid, relu]
STEP_FUNCTIONS = [np.sign, np.floor, np.ceil, np.trunc, np.rint, np.round, np.around, np.imag, np.angle]
BINARY = {
    **{func.__name__: func for func in UFUNCS if func.nin == 2 and func is not np.ldexp},  # ldexp takes integers: see its own test
    "where": lambda a, b: np.where(a < b, a, b),
    "clip from below": lambda a, b: np.clip(a, b, None),
    "clip from above": lambda a, b: np.clip(a, None, b),
}
SHAPES = [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (0, 3)]


def broadcasts(*shapes):
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


PAIRS = [pair for pair in itertools.product(SHAPES, repeat=2) if broadcasts(*pair)]


def slopes(f, *xs, weights=None, order=1):
    """The gradients of the (weighted) sum of ``f``, from first-order rules or, for ``order`` 2, from recorded ones."""
    tensors = [tg.Tensor(x, requires_grad=True) for x in xs]
    y = f(*tensors)
    return [g.data for g in tg.gradients(y, tensors, np.ones_like(y.data) if weights is None else weights, create_graph=order == 2)]


def curvature(f, x):
    """The second derivative of ``f`` at a number."""
    return tg.grad(tg.grad(f))(x)


def named(functions):
    return pytest.mark.parametrize("func", functions, ids=name_of)


# -- shapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", BINARY)
def test_broadcasting(name, order):
    """Whatever the shapes, the gradient of an element is the sum over all pairs that it was in."""
    rng = np.random.default_rng(0)
    f = BINARY[name]
    for shapes in PAIRS:
        a, b = (rng.integers(1, 5, shape) / 2 for shape in shapes)  # a few numbers, so that some are equal
        answer = f(a, b)
        np.testing.assert_array_equal(f(tg.Tensor(a, requires_grad=True), tg.Tensor(b)).data, answer)
        weights = rng.normal(size=answer.shape)
        want = np.zeros(a.shape), np.zeros(b.shape)
        places = [np.broadcast_to(np.arange(x.size).reshape(x.shape), answer.shape) for x in (a, b)]
        for i in np.ndindex(answer.shape):
            at_a, at_b = (place[i] for place in places)
            by_a, by_b = slopes(f, a.flat[at_a], b.flat[at_b])
            want[0].flat[at_a] += weights[i] * by_a
            want[1].flat[at_b] += weights[i] * by_b
        for got, expected, shape in zip(slopes(f, a, b, weights=weights, order=order), want, shapes, strict=True):
            assert np.shape(got) == shape, shapes
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14, err_msg=str(shapes))


@named(UNARY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (1, 1)])
def test_small_shapes(func, dtype, shape):
    x = np.full(shape, 1.25 if func is np.arccosh else 0.3, dtype)
    (got,) = slopes(func, x)
    assert np.shape(got) == shape
    assert got.dtype == dtype
    np.testing.assert_allclose(got, np.full(shape, tg.grad(func)(float(x.flat[0]) if x.size else 0.3) if x.size else 0), rtol=1e-5)


@pytest.mark.parametrize("name", BINARY)
def test_float32_stays(name):
    """With Python numbers, a float32 Tensor has a float32 gradient and NumPy's result."""
    f, x = BINARY[name], np.array([0.5, 1.0, 1.5], np.float32)
    for call in (lambda x: f(x, 1.0), lambda x: f(1.0, x), lambda x: f(x, 1), lambda x: f(1, x)):
        t = tg.Tensor(x, requires_grad=True)
        y = call(t)
        assert y.dtype == call(x).dtype
        (g,) = tg.gradients(y, t, np.ones(3))
        assert g.dtype == np.float32


# -- conventions at ties and kinks ---------------------------------------------------------------------


@named([np.maximum, np.minimum, np.fmax, np.fmin])
def test_equals_share(func):
    a, b = slopes(func, np.array([1.0, -np.inf, np.inf, 0.0, 2.0]), np.array([1.0, -np.inf, np.inf, -0.0, 3.0]))
    first_wins = func in (np.minimum, np.fmin)
    np.testing.assert_array_equal(a, [0.5, 0.5, 0.5, 0.5, float(first_wins)])
    np.testing.assert_array_equal(a + b, np.ones(5))
    (g,) = slopes(lambda t: func(t, t), np.array([3.0]))
    np.testing.assert_array_equal(g, [1.0])


@named([np.fmax, np.fmin])
def test_fmax_ignores_nan(func):
    a, b = slopes(func, np.array([1.0, np.nan]), np.array([np.nan, 2.0]))
    np.testing.assert_array_equal(a, [1.0, 0.0])
    np.testing.assert_array_equal(b, [0.0, 1.0])


def test_maximum_stops_infinite_gradients():
    """The smaller one gets 0 and not 0 * inf."""
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        (g,) = slopes(lambda x: np.sqrt(np.maximum(x, 0.0)), np.array([-1.0]))
    np.testing.assert_array_equal(g, [0.0])


@named([np.absolute, np.fabs, relu, np.sign])
def test_kink_at_0(func):
    assert tg.grad(func)(0.0) == 0
    assert tg.grad(func)(-0.0) == 0
    assert curvature(func, 0.0) == 0


def test_copysign():
    a, b = slopes(np.copysign, np.array([2.0, 2.0, -2.0, -2.0, 0.0, 3.0]), np.array([1.0, -1.0, 1.0, -1.0, 1.0, -0.0]))
    np.testing.assert_array_equal(a, [1.0, -1.0, -1.0, 1.0, 0.0, -1.0])
    np.testing.assert_array_equal(b, np.zeros(6))


def test_heaviside():
    x, h = slopes(np.heaviside, np.array([-1.0, 0.0, 1.0]), np.full(3, 0.5))
    np.testing.assert_array_equal(x, np.zeros(3))
    np.testing.assert_array_equal(h, [0.0, 1.0, 0.0])


@pytest.mark.parametrize(
    "clip",
    [
        lambda x, low, high: np.clip(x, low, high),
        lambda x, low, high: np.clip(x, a_min=low, a_max=high),
        lambda x, low, high: np.clip(x, a_max=high, a_min=low),
        lambda x, low, high: x.clip(low, high),
        *([lambda x, low, high: np.clip(x, min=low, max=high)] if NUMPY >= (2, 1) else []),
    ],
)
def test_clip_bounds(clip):
    """x gets the gradient at the bounds; outside, the bound that is NumPy's result gets it."""
    x = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 0.0, -5.0])
    low, high = np.array([-1.0] * 5 + [3.0] * 2), np.array([1.0] * 5 + [-3.0] * 2)  # the last two pairs cross
    by_x, by_low, by_high = slopes(clip, x, low, high)
    np.testing.assert_array_equal(by_x, [0, 1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(by_low, [1, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(by_high, [0, 0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(slopes(lambda x: clip(x, None, 1.0), x)[0], [1, 1, 1, 1, 0, 1, 1])
    np.testing.assert_array_equal(slopes(lambda x: clip(x, -1.0, None), x)[0], [0, 1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(slopes(lambda x, low: clip(x, low, None), x, low)[1], [1, 0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(slopes(lambda x, high: clip(x, None, high), x, high)[1], [0, 0, 0, 0, 1, 1, 0])


def test_clip_without_bounds():
    x = tg.Tensor([-2.0, 0.0], requires_grad=True)
    if NUMPY >= (2, 1):
        np.testing.assert_array_equal(slopes(lambda x: np.clip(x, None, None), x.data)[0], np.ones(2))
    else:
        with pytest.raises(ValueError, match=r"^One of max or min must be given$"):  # NumPy's own
            np.clip(x, None, None)


@pytest.mark.parametrize(
    "clip",
    [
        lambda x, low: np.clip(x, low, None),
        lambda x, low: np.clip(x, a_min=low, a_max=None),
        *([lambda x, low: np.clip(x, min=low)] if NUMPY >= (2, 1) else []),
    ],
)
def test_clip_of_plain_array_by_tracked_bounds(clip):
    low = tg.Tensor([-1.0], requires_grad=True)
    y = clip(np.array([-2.0, 0.0]), low)
    np.testing.assert_array_equal(y.data, [-1.0, 0.0])
    np.testing.assert_array_equal(tg.gradients(y, low, np.array([3.0, 5.0]))[0].data, [3.0])


def test_nan_to_num():
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    kept = x.copy()
    for copy in (True, False):
        t = tg.Tensor(x, requires_grad=True)
        y = np.nan_to_num(t, copy=copy)
        np.testing.assert_array_equal(y.data, np.nan_to_num(x))
        np.testing.assert_array_equal(x, kept)
        np.testing.assert_array_equal(tg.gradients(y, t, np.ones(4))[0].data, [1.0, 0.0, 0.0, 0.0])


@named([*STEP_FUNCTIONS, np.floor_divide])
def test_steps_are_flat(func):
    """Zeros, in shape and dtype, of `gradients` and of a sum that goes on through another path."""
    x = tg.Tensor(np.array([-1.5, 0.0, 2.7], np.float32), requires_grad=True)
    call = func if func is not np.floor_divide else lambda t: np.floor_divide(t, 2.0) + np.floor_divide(7.0, np.where(t == 0, 1.0, t))
    for create_graph in (False, True):
        (g,) = tg.gradients(call(x), x, np.ones(3, np.float32), create_graph=create_graph)
        assert g.dtype == np.float32
        np.testing.assert_array_equal(g.data, np.zeros(3))
        (g,) = tg.gradients(call(x) + x, x, np.ones(3, np.float32), create_graph=create_graph)
        np.testing.assert_array_equal(g.data, np.ones(3))
    assert tg.grad(lambda t: np.sum(call(t)))(np.array([1.2])) == 0


@pytest.mark.skipif(not hasattr(np, "fix"), reason="this NumPy has none")
def test_fix():
    """Quiet on a Tensor, where newer NumPy deprecates the name: it is np.trunc that is called."""
    x = tg.Tensor([-1.5, 0.0, 2.7], requires_grad=True)
    y = np.fix(x)
    np.testing.assert_array_equal(y.data, [-1.0, 0.0, 2.0])
    assert "made by np.trunc" in repr(y)
    np.testing.assert_array_equal(slopes(lambda x: np.fix(x) + x, x.data)[0], np.ones(3))


def test_real_functions_of_real_numbers():
    for func in (np.real, np.real_if_close, np.conj):
        np.testing.assert_array_equal(slopes(func, np.array([1.0, -2.0]))[0], [1.0, 1.0])


def test_ldexp():
    np.testing.assert_array_equal(slopes(lambda x: np.ldexp(x, np.array([[1], [-1]])), np.array([1.0, 3.0]))[0], [2.5, 2.5])


def test_astype_goes_back_in_its_own_type():
    x = tg.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    for y in (x.astype(np.float64), astype(x, np.float64), np.astype(x, np.float64)):
        assert y.dtype == np.float64
        (g,) = tg.gradients(y, x, np.array([1.0, 3.0]))
        assert g.dtype == np.float32
        np.testing.assert_array_equal(g.data, [1.0, 3.0])
    with pytest.raises(TypeError, match="no gradient as int64"):
        np.astype(x, np.int64)

"""Elementwise rules at extremes: at poles and infinities, on random numbers with extremes among them, to the last digit."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lr as tg
from tests.rules.test_elementwise import curvature, named, slopes
from tinygrad_lr.autodiff.rules.elementwise import log_sigmoid, relu, sigmoid, softplus

# -- extremes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sigmoid_extreme(dtype):
    x = np.array([-np.inf, -1000, -800, 0, 800, 1000, np.inf], dtype)
    np.testing.assert_array_equal(sigmoid(x), np.array([0, 0, 0, 0.5, 1, 1, 1]))
    (g,) = slopes(sigmoid, x)
    assert g.dtype == dtype
    np.testing.assert_array_equal(g, [0, 0, 0, 0.25, 0, 0, 0])
    assert sigmoid(-700.0) == pytest.approx(math.exp(-700), rel=1e-13)
    assert tg.grad(sigmoid)(-700.0) == pytest.approx(math.exp(-700), rel=1e-13)
    assert [curvature(sigmoid, z) for z in (-1000.0, 0.0, 1000.0)] == [0, 0, 0]


def test_tanh_extreme():
    np.testing.assert_array_equal(slopes(np.tanh, np.array([-np.inf, -1000.0, 0.0, 1000.0, np.inf]))[0], [0, 0, 1, 0, 0])
    assert [curvature(np.tanh, z) for z in (-1000.0, 0.0, 1000.0)] == [0, 0, 0]


@pytest.mark.parametrize("n", [1, 100])  # both ways in which softplus is computed
def test_softplus_extreme(n):
    x = np.tile([-np.inf, -1000.0, -700.0, 0.0, 1000.0, np.inf], n)
    np.testing.assert_allclose(slopes(softplus, x)[0], np.tile([0, 0, math.exp(-700), 0.5, 1, 1], n), rtol=1e-13)
    np.testing.assert_allclose(slopes(log_sigmoid, x)[0], np.tile([1, 1, 1, 0.5, 0, 0], n), rtol=1e-13)


@named([np.logaddexp, np.logaddexp2])
def test_logaddexp_extreme(func):
    a = np.array([-np.inf, np.inf, -np.inf, np.inf, 1000.0, -1000.0, 1e300, 5.0, -np.inf])
    b = np.array([-np.inf, np.inf, np.inf, -np.inf, -1000.0, -1000.0, -1e300, 5.0, 0.0])
    first, second = slopes(func, a, b)
    np.testing.assert_array_equal(first, [0.5, 0.5, 0, 1, 1, 0.5, 1, 0.5, 0])
    np.testing.assert_array_equal(second, [0.5, 0.5, 1, 0, 0, 0.5, 0, 0.5, 1])
    t = tg.Tensor(np.full(2, -np.inf), requires_grad=True)
    (g,) = tg.gradients(func(t, -np.inf), t, np.ones(2), create_graph=True)
    np.testing.assert_array_equal(tg.gradients(g, t, np.ones(2))[0].data, [0, 0])


def test_sinc_at_0():
    """1 - (pi x)^2 / 6 + (pi x)^4 / 120 - ...: derivatives 0, -pi^2/3, 0, pi^4/5."""
    fourth = tg.grad(tg.grad(tg.grad(tg.grad(np.sinc))))
    assert tg.grad(np.sinc)(0.0) == 0
    assert curvature(np.sinc, 0.0) == pytest.approx(-(math.pi**2) / 3, rel=1e-15)
    assert fourth(0.0) == pytest.approx(math.pi**4 / 5, rel=1e-15)


@pytest.mark.parametrize("x", [1e-7, -1e-5, 1e-4])
def test_sinc_near_0(x):
    """Where the terms of the quotient have cancelled all their digits."""
    assert tg.grad(np.sinc)(x) == pytest.approx(-(math.pi**2) * x / 3 * (1 - (math.pi * x) ** 2 / 10), rel=1e-13)
    assert curvature(np.sinc, x) == pytest.approx(-(math.pi**2) / 3 * (1 - 3 * (math.pi * x) ** 2 / 10), rel=1e-13)


def test_sinc_at_its_zeros():
    np.testing.assert_allclose(slopes(np.sinc, np.array([0.5, 1.0, 1.5, -2.0]))[0], [-4 / math.pi, -1, 4 / (9 * math.pi), -0.5], rtol=1e-14)


@pytest.mark.parametrize("x", [0.249999, 0.250001, -0.249999, -0.250001])
def test_sinc_series_meets_the_quotient(x):
    t = np.longdouble(x) * math.pi
    assert tg.grad(np.sinc)(x) == pytest.approx(float((np.cos(t) - np.sin(t) / t) / x), rel=1e-13)
    second = (-math.pi * np.sin(t) - 2 * (np.cos(t) - np.sin(t) / t) / x) / x
    assert curvature(np.sinc, x) == pytest.approx(float(second), rel=1e-12)


@pytest.mark.parametrize("exponent", [lambda n: n, lambda n: np.array(n), lambda n: np.array([n]), lambda n: tg.Tensor([n])])
def test_power_of_negative_base(exponent):
    for n, first, second in ((0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (2.0, -6.0, 2.0), (3.0, 27.0, -18.0), (-1.0, -1 / 9, -2 / 27)):
        x = tg.Tensor([-3.0], requires_grad=True)
        (g,) = tg.gradients(x ** exponent(n), x, np.ones(1), create_graph=True)
        np.testing.assert_allclose(g.data, [first], rtol=1e-15, atol=0)
        np.testing.assert_allclose(tg.gradients(g, x, np.ones(1))[0].data, [second], rtol=1e-15, atol=0)


def test_power_at_0():
    """0^2, 0^1 and 0^0 with respect to the base; 0^b with respect to the exponent."""
    zeros = np.zeros(4)
    for base in (np.power, np.float_power):
        a, b = slopes(base, zeros, np.array([2.0, 1.0, 0.0, 1.5]))
        np.testing.assert_array_equal(a, [0.0, 1.0, 0.0, 0.0])
        np.testing.assert_array_equal(b, zeros)
    for n, first, second in ((3, 0, 0), (2, 0, 2), (1, 1, 0), (0, 0, 0)):
        assert tg.grad(lambda x, n=n: x**n)(0.0) == first
        assert curvature(lambda x, n=n: x**n, 0.0) == second
    np.testing.assert_array_equal(slopes(lambda a: a ** np.array([0.0, 0.0]), np.array([5e-324, 1e300]))[0], [0.0, 0.0])


def test_power_mixed_derivative_at_exponent_0():
    """d/db d/da a^b = 1/a at b = 0, although d/da is 0 there."""
    a, b = tg.Tensor([2.0, 4.0], requires_grad=True), tg.Tensor([0.0, 0.0], requires_grad=True)
    (da,) = tg.gradients(a**b, a, np.ones(2), create_graph=True)
    np.testing.assert_array_equal(da.data, [0.0, 0.0])
    np.testing.assert_array_equal(tg.gradients(da, b, np.ones(2))[0].data, [0.5, 0.25])


def test_hypot_at_origin():
    for func in (np.hypot, np.arctan2):
        a, b = slopes(func, np.zeros(2), np.zeros(2))
        np.testing.assert_array_equal([a, b], np.zeros((2, 2)))
        t = tg.Tensor(np.zeros(2), requires_grad=True)
        (g,) = tg.gradients(func(t, np.zeros(2)), t, np.ones(2), create_graph=True)
        np.testing.assert_array_equal(tg.gradients(g, t, np.ones(2))[0].data, [0, 0])


def test_arctan2_quadrants():
    """The angle grows counterclockwise, in each quadrant and on each half-axis."""
    angle = np.arange(-7, 8) * math.pi / 8
    a, b = slopes(np.arctan2, 2 * np.sin(angle), 2 * np.cos(angle))
    np.testing.assert_allclose(a, np.cos(angle) / 2, atol=1e-15)
    np.testing.assert_allclose(b, -np.sin(angle) / 2, atol=1e-15)
    a, b = slopes(np.arctan2, np.array([0.0, 0.0, 2.0, -2.0]), np.array([2.0, -2.0, 0.0, 0.0]))
    np.testing.assert_array_equal(a, [0.5, -0.5, 0, 0])
    np.testing.assert_array_equal(b, [0, 0, -0.5, 0.5])


@pytest.mark.parametrize("e", [2.0**-20, 2.0**-45, 2.0**-53])
def test_slopes_beside_their_poles(e):
    """At x = 1 - e, where the difference 1 - x^2 has lost the digits of e."""
    x, square = 1 - e, e * (2 - e)
    assert tg.grad(np.arcsin)(x) == pytest.approx(1 / math.sqrt(square), rel=1e-15)
    assert tg.grad(np.arccos)(-x) == pytest.approx(-1 / math.sqrt(square), rel=1e-15)
    assert tg.grad(np.arctanh)(x) == pytest.approx(1 / square, rel=1e-15)
    assert tg.grad(np.arccosh)(1 + 2 * e) == pytest.approx(1 / math.sqrt(4 * e * (1 + e)), rel=1e-15)


def test_remainder_by_divisor():
    """a - b floor(a/b) falls with b as the floor says; fmod counts towards zero instead."""
    a, b = np.array([7.0, -7.0, 7.0, -7.0, 6.0]), np.array([2.0, 2.0, -2.0, -2.0, 2.0])
    np.testing.assert_array_equal(slopes(np.remainder, a, b), [np.ones(5), [-3, 4, 4, -3, -3]])
    np.testing.assert_array_equal(slopes(np.fmod, a, b), [np.ones(5), [-3, 3, 3, -3, -3]])
    assert slopes(np.fmod, 1.0, 0.1)[1] == -9  # 1/0.1 rounds to 10, but the float 0.1 is a little more than a tenth


@named([np.sqrt, np.log, np.log2, np.log10, np.cbrt, np.reciprocal])
def test_infinite_slope_at_0(func):
    """As the mathematics has it, with NumPy's warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert abs(tg.grad(func)(0.0)) == np.inf


@named([np.arctan, np.arcsinh, np.tanh, sigmoid, np.sqrt, np.log, np.log1p, np.log2, np.log10, np.cbrt, np.reciprocal])
def test_flat_at_infinity(func):
    assert tg.grad(func)(np.inf) == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@named([np.tan, np.arctan, np.arcsinh, np.arccosh, np.hypot, np.arctan2, np.log10, np.log1p, np.reciprocal, np.cbrt])
def test_large_arguments_are_quiet(func, dtype):
    """Squares of these would overflow."""
    x = np.array([np.finfo(dtype).max / 2, 1e30, math.pi / 2, 2.0], dtype)
    for g in slopes(func, *(x, x[::-1])[: func.nin]):
        assert g.dtype == dtype
        assert np.isfinite(g).all()


def test_large_cosh():
    for func, slope in ((np.cosh, math.sinh), (np.sinh, math.cosh)):
        for x in (-710.0, 710.0):
            assert tg.grad(func)(x) == pytest.approx(slope(x), rel=1e-13)
        assert slopes(func, np.array([88.0], np.float32))[0] == pytest.approx(slope(88.0), rel=1e-5)


# -- random numbers, extremes among them ---------------------------------------------------------------

EXTREMES = [0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-160, 1e-8, 0.25, 0.5, 1.0, 40.0, 800.0, 1e8, 1e155, 1e300]


def numbers(low, high):
    """Floats from ``low`` to ``high``: any, subnormal or huge, and the usual suspects more often."""
    suspects = [float(low), float(high), *(x for e in EXTREMES for x in (e, -e) if low <= x <= high)]
    return st.one_of(st.floats(low, high), st.floats(max(low, -20.0), min(high, 20.0)), st.sampled_from(suspects))


BIG = 1e300
TINY = 5e-324

# function: (closed form of its derivative, lowest and highest argument)
# fmt: off
CLOSED = {
    np.negative:   (lambda x: -1 + 0 * x,                                   -BIG, BIG),
    np.positive:   (lambda x: 1 + 0 * x,                                    -BIG, BIG),
    np.square:     (lambda x: 2 * x,                                        -1e150, 1e150),
    np.sqrt:       (lambda x: 0.5 / np.sqrt(x),                             TINY, BIG),
    np.cbrt:       (lambda x: 1 / (3 * np.cbrt(x) ** 2),                    TINY, BIG),
    np.reciprocal: (lambda x: -1 / x / x,                                   1e-150, BIG),
    np.absolute:   (np.sign,                                                -BIG, BIG),
    np.fabs:       (np.sign,                                                -BIG, BIG),
    np.exp:        (np.exp,                                                 -BIG, 700),
    np.exp2:       (lambda x: np.log(np.longdouble(2)) * np.exp2(x),        -BIG, 1000),
    np.expm1:      (np.exp,                                                 -BIG, 700),
    np.log:        (lambda x: 1 / x,                                        1e-307, BIG),
    np.log2:       (lambda x: 1 / x / np.log(np.longdouble(2)),             1e-307, BIG),
    np.log10:      (lambda x: 1 / x / np.log(np.longdouble(10)),            1e-307, BIG),
    np.log1p:      (lambda x: 1 / (1 + x),                                  -1 + 1e-12, BIG),
    np.sin:        (np.cos,                                                 -BIG, BIG),
    np.cos:        (lambda x: -np.sin(x),                                   -BIG, BIG),
    np.tan:        (lambda x: 1 / np.cos(x) ** 2,                           -BIG, BIG),
    np.arcsin:     (lambda x: 1 / np.sqrt((1 - x) * (1 + x)),               -1 + 1e-12, 1 - 1e-12),
    np.arccos:     (lambda x: -1 / np.sqrt((1 - x) * (1 + x)),              -1 + 1e-12, 1 - 1e-12),
    np.arctan:     (lambda x: 1 / (1 + x * x),                              -BIG, BIG),
    np.sinh:       (np.cosh,                                                -700, 700),
    np.cosh:       (np.sinh,                                                -700, 700),
    np.tanh:       (lambda x: 1 / np.cosh(x) ** 2,                          -BIG, BIG),
    np.arcsinh:    (lambda x: 1 / np.hypot(1, x),                           -BIG, BIG),
    np.arccosh:    (lambda x: 1 / np.sqrt(x - 1) / np.sqrt(x + 1),          1 + 1e-12, BIG),
    np.arctanh:    (lambda x: 1 / (1 - x) / (1 + x),                        -1 + 1e-12, 1 - 1e-12),
    np.degrees:    (lambda x: 180 / math.pi + 0 * x,                        -1e290, 1e290),
    np.radians:    (lambda x: math.pi / 180 + 0 * x,                        -BIG, BIG),
    sigmoid:       (lambda x: 1 / (2 * np.cosh(x / 2)) ** 2,                -BIG, BIG),
    softplus:      (lambda x: 1 / (1 + np.exp(-x)),                         -BIG, BIG),
    log_sigmoid:   (lambda x: 1 / (1 + np.exp(x)),                          -BIG, BIG),
    relu:          (lambda x: (x > 0) + 0 * x,                              -BIG, BIG),
}


# fmt: on
@named(list(CLOSED))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_closed_form(func, data):
    """The rule against the textbook's formula in extended precision (absolutely, where a derivative is lost in rounding)."""
    closed, low, high = CLOSED[func]
    x = data.draw(numbers(low, high))
    with np.errstate(all="ignore"):
        want = float(closed(np.longdouble(x)))
    np.testing.assert_allclose(tg.grad(func)(x), want, rtol=1e-11, atol=1e-15 if func in (np.tanh, sigmoid, np.cos, np.sin) else 1e-300)


ANALYTIC = [f for f in CLOSED if isinstance(f, np.ufunc) and "D->D" in f.types and f not in (np.positive, np.negative, np.conjugate)]


@named(ANALYTIC)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_complex_step(func, data):
    """Im f(x + ih) / h is the derivative to the last digits: there is no difference to cancel."""
    _, low, high = CLOSED[func]
    x = data.draw(st.floats(max(low, -5.0), min(high, 5.0)).filter(lambda x: abs(x) > 1e-3))
    want = func(complex(x, 1e-100)).imag / 1e-100
    np.testing.assert_allclose(tg.grad(func)(x), want, rtol=1e-12)


def over_squares(a, b):
    """a / (a^2 + b^2), scaled."""
    m = np.maximum(abs(a), abs(b))
    return (a / m) / ((a / m) ** 2 + (b / m) ** 2) / m


def ratio(a, b):
    """a / b, exactly."""
    return Fraction(float(a)) / Fraction(float(b))


# function: (closed forms of its two derivatives, the range of each argument)
# fmt: off
CLOSED_PAIRS = {
    np.add:        (lambda a, b: 1, lambda a, b: 1,                                         (-BIG, BIG), (-BIG, BIG)),
    np.subtract:   (lambda a, b: 1, lambda a, b: -1,                                        (-BIG, BIG), (-BIG, BIG)),
    np.multiply:   (lambda a, b: b, lambda a, b: a,                                         (-1e150, 1e150), (-1e150, 1e150)),
    np.divide:     (lambda a, b: 1 / b, lambda a, b: -a / b / b,                            (-1e100, 1e100), (1e-100, BIG)),
    np.power:      (lambda a, b: b * a ** (b - 1), lambda a, b: a ** b * np.log(a),         (1e-60, 1e60), (-3, 4)),
    np.logaddexp:  (lambda a, b: 1 / (1 + np.exp(b - a)), lambda a, b: 1 / (1 + np.exp(a - b)),    (-BIG, BIG), (-BIG, BIG)),
    np.logaddexp2: (lambda a, b: 1 / (1 + np.exp2(b - a)), lambda a, b: 1 / (1 + np.exp2(a - b)),  (-BIG, BIG), (-BIG, BIG)),
    np.hypot:      (lambda a, b: a / np.hypot(a, b), lambda a, b: b / np.hypot(a, b),       (1e-300, BIG), (-BIG, BIG)),
    np.arctan2:    (lambda a, b: over_squares(b, a), lambda a, b: -over_squares(a, b),      (1e-290, BIG), (-BIG, BIG)),
    np.remainder:  (lambda a, b: 1, lambda a, b: -math.floor(ratio(a, b)),                  (-1e100, 1e100), (1e-100, BIG)),
    np.fmod:       (lambda a, b: 1, lambda a, b: -math.trunc(ratio(a, b)),                  (-1e100, 1e100), (1e-100, BIG)),
    np.maximum:    (lambda a, b: (a > b) + (a == b) / 2, lambda a, b: (b > a) + (a == b) / 2,      (-BIG, BIG), (-BIG, BIG)),
    np.fmin:       (lambda a, b: (a < b) + (a == b) / 2, lambda a, b: (b < a) + (a == b) / 2,      (-BIG, BIG), (-BIG, BIG)),
    np.copysign:   (lambda a, b: np.sign(a) * np.copysign(1, b), lambda a, b: 0,            (-BIG, BIG), (-BIG, BIG)),
}


# fmt: on
@named(list(CLOSED_PAIRS))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_closed_form_of_pairs(func, data):
    *closed, range_a, range_b = CLOSED_PAIRS[func]
    a, b = data.draw(numbers(*range_a)), data.draw(numbers(*range_b))
    if data.draw(st.integers(0, 5)) == 0 and range_a == range_b:
        b = a
    for got, form in zip(slopes(func, a, b), closed, strict=True):
        with np.errstate(all="ignore"):
            want = float(form(np.longdouble(a), np.longdouble(b)))
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-290)


# -- rounding and equality, to the last digit ----------------------------------------------------------


def test_fmod_counts_whole_divisors_however_the_quotient_rounds():
    """(a - y) / b comes out as 2.9999999999999996 and as 6.000000000000001 here; the derivative is a whole number."""
    assert (2.1 - np.fmod(2.1, 0.7)) / 0.7 < 3
    assert (0.7 - np.fmod(0.7, 0.1)) / 0.1 > 6
    np.testing.assert_array_equal(slopes(np.fmod, np.array([2.1, -2.1, 0.7]), np.array([0.7, 0.7, 0.1]))[1], [-3.0, 3.0, -6.0])


def test_clip_between_equal_bounds():
    """Below both the lower bound moves the result, above both the upper, and at both x does: as everywhere on a bound."""
    x, bound = np.array([-2.0, 1.0, 2.0]), np.ones(3)
    by_x, by_low, by_high = slopes(np.clip, x, bound, bound)
    np.testing.assert_array_equal(by_x, [0, 1, 0])
    np.testing.assert_array_equal(by_low, [1, 0, 0])
    np.testing.assert_array_equal(by_high, [0, 0, 1])


def sinc_derivative(order, x):
    """A derivative of the sinc at a fraction, from its power series in exact arithmetic."""
    pi, total = Fraction(3141592653589793238462643383279502884197, 10**39), Fraction(0)
    for k in range((order + 1) // 2, 60):
        total += Fraction((-1) ** k * math.perm(2 * k, order), math.factorial(2 * k + 1)) * pi ** (2 * k) * x ** (2 * k - order)
    return float(total)


@pytest.mark.parametrize("x", [Fraction(k, 16) for k in (1, 2, 3, 5, 6, 8, 11, 15, 24)], ids=str)
def test_sinc_keeps_its_digits_from_the_series_to_the_quotient(x):
    """Close to 0 the quotient has lost digits, and far from it the series has too few terms."""
    assert tg.grad(np.sinc)(float(x)) == pytest.approx(sinc_derivative(1, x), rel=3e-15)
    assert curvature(np.sinc, float(x)) == pytest.approx(sinc_derivative(2, x), rel=3e-14, abs=3e-14)


@pytest.mark.parametrize("x", [Fraction(k, 100) for k in (0, 10, 20, 24, 26, 45, 60)], ids=str)
def test_sixth_derivative_of_sinc(x):
    """Each order costs the quotient digits, and the series a term."""
    sixth = np.sinc
    for _ in range(6):
        sixth = tg.grad(sixth)
    assert sixth(float(x)) == pytest.approx(sinc_derivative(6, x), rel=0, abs=3e-11)

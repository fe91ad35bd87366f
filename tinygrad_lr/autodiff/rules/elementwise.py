"""Rules of functions that work element by element, with NumPy's broadcasting undone by `like`.

Each is written so that no square and no exponential overflows on the way to a finite derivative. Where a
derivative is one-sided or absent, a convention holds:

- ties share the gradient of maximum, minimum, fmax, fmin and logaddexp (two equal infinities as well);
- abs, fabs, copysign, sign, relu and heaviside have derivative 0 at 0, and step functions (floor, round) everywhere;
- clip passes the gradient on at its bounds; where they cross, the upper one gets it, because it is NumPy's result;
- hypot and arctan2 have derivative 0 at the origin;
- a**0 has derivative 0 with respect to a, also at a = 0, and 0**b with respect to b;
- sqrt and its like have derivative inf at 0, as the mathematics has it, with NumPy's warning.
"""

from __future__ import annotations

import math

import numpy as np

from tinygrad_lr.autodiff.rules.registry import COMPOSITES, REMEMBERED, REPHRASED, RULES, Array, Function, dispatching, is_recorded, like


@dispatching
def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), from exponentials that cannot overflow, accurate to the last digits even at +-1000.

    Examples
    --------
    >>> print(sigmoid(np.array([-1000.0, 0.0, 1000.0])))
    [0.  0.5 1. ]
    """
    return np.exp(np.minimum(z, 0.0)) / (1.0 + np.exp(np.copysign(z, -1.0)))  # copysign: -|z|


SIGMOIDS: set[Function] = {sigmoid}
"""The functions that are the sigmoid, `sigmoid` and those of other libraries: a loss may take the logits behind them."""


@dispatching
def softplus(z: Array) -> Array:
    """log(1 + exp(z)), without overflow.

    A few numbers are fastest in one call, many in five calls that NumPy vectorises.

    Examples
    --------
    >>> print(softplus(np.array([-1000.0, 0.0, 1000.0])))
    [0.00000000e+00 6.93147181e-01 1.00000000e+03]
    """
    if getattr(z, "size", 1) < 64:
        return np.logaddexp(0.0, z)
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


@dispatching
def log_sigmoid(z: Array) -> Array:
    """log(sigmoid(z)), accurate where the sigmoid itself would round to 0 or 1.

    Examples
    --------
    >>> print(log_sigmoid(np.array([-1000.0, 0.0])))
    [-1.00000000e+03 -6.93147181e-01]
    """
    return -softplus(np.negative(z))


@dispatching
def relu(z: Array) -> Array:
    """max(z, 0), with derivative 0 at 0.

    Examples
    --------
    >>> print(relu(np.array([-1.0, 0.0, 2.0])))
    [0. 0. 2.]
    """
    return np.maximum(z, 0)


@dispatching
def astype(x: Array, dtype: type[np.generic]) -> Array:
    """``x`` in another floating type; the gradient goes back in the type of ``x``."""
    return x.astype(dtype)


def recorded(func: Function, *args: Array) -> Array:
    """``func`` recorded with all its arguments by position, where its rules look for them."""
    return next(filter(is_recorded, args)).__record_call__(func, args, {})


def clip(x: Array, a_min: Array = None, a_max: Array = None, *, min: Array = None, max: Array = None) -> Array:
    """`numpy.clip`, each of whose bounds has two names."""
    return recorded(np.clip, x, a_min if min is None else min, a_max if max is None else max)


def nan_to_num(x: Array, copy: bool = True, nan: Array = 0.0, posinf: Array = None, neginf: Array = None) -> Array:
    """`numpy.nan_to_num`, never in place: the rule has to see what was replaced."""
    return recorded(np.nan_to_num, x, True, nan, posinf, neginf)


def quotient_and_remainder(a: Array, b: Array) -> tuple[Array, Array]:
    """`numpy.divmod`."""
    return np.floor_divide(a, b), np.remainder(a, b)


LN2, LN10 = math.log(2), math.log(10)


def or_inf(x: Array, where: Array) -> Array:
    """``x``, and infinity outside ``where``: what is divided by it is then 0, and so are its derivatives."""
    return np.where(where, x, np.inf)


PLAIN_NUMBERS = (int, float, np.number)


def power_base(g: Array, y: Array, a: Array, b: Array) -> Array:
    """b a^(b-1), and 0 for b = 0 whatever a is."""
    if isinstance(b, PLAIN_NUMBERS):
        return g * 0 if b == 0 else g * (b * a ** (b - 1))
    constant = b == 0
    slope = b * a ** np.where(constant, 0, b - 1)
    return like(g * np.where(constant, b / or_inf(a, constant & (a != 0)), slope), a)  # b/a keeps d/db = 1/a


def power_exponent(g: Array, y: Array, a: Array, b: Array) -> Array:
    """y log(a), and 0 for a = 0, where y is constant for b > 0."""
    return like(g * y * np.log(np.where(a == 0, 1, a)), b)


def to_chosen(g: Array, y: Array, a: Array, b: Array) -> Array:
    """``g`` where the result is ``a``, half of it where the result is ``b`` as well, 0 elsewhere."""
    return np.where(a == y, np.where(b == y, g / 2, g), 0)


def difference(a: Array, b: Array) -> Array:
    """a - b, and 0 between equal infinities."""
    same = np.isinf(a) & (a == b)
    return np.where(same, 0, a) - np.where(same, 0, b)


def over_squares(a: Array, b: Array) -> Array:
    """a / (a^2 + b^2), and 0 at the origin, without squares, which might overflow."""
    r = np.hypot(a, b)
    r = or_inf(r, r != 0)
    return a / r / r


SINC_SERIES = [(-1) ** k * 2 * k * math.pi ** (2 * k) / math.factorial(2 * k + 1) for k in range(10, 0, -1)]


def sinc_input(g: Array, y: Array, x: Array) -> Array:
    """(cos(pi x) - sinc(x)) / x; its terms cancel near 0, so there it is the power series, whose derivatives are right too."""
    near = np.abs(x) < 0.25
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    square, series = small * small, 0
    for coefficient in SINC_SERIES:
        series = coefficient + square * series
    return g * np.where(near, small * series, (np.cos(math.pi * large) - np.sinc(large)) / large)


def clip_input(g: Array, y: Array, x: Array, low: Array = None, high: Array = None) -> Array:
    """1 between the bounds, both included."""
    inside = (True if low is None else x >= low) & (True if high is None else x <= high)
    return like(np.where(inside, g, 0), x)


def clip_low(g: Array, y: Array, x: Array, low: Array, high: Array = None) -> Array:
    """1 below the lower bound, unless the upper one is lower still and so the result."""
    below = (x < low) & (True if high is None else low <= high)
    return like(np.where(below, g, 0), low)


def clip_high(g: Array, y: Array, x: Array, low: Array, high: Array) -> Array:
    """1 above the upper bound, and where the lower one would exceed it."""
    above = (x > high) | (False if low is None else low > high)
    return like(np.where(above, g, 0), high)


def real_only(g: Array, y: Array, x: Array) -> Array:
    """0 for real numbers; there is no rule for complex ones."""
    if x.dtype.kind == "c":
        raise TypeError("gradients through complex numbers are not known: compute with real and imaginary parts")
    return g * 0


# fmt: off
RULES.update({
    # arithmetic
    np.add:           (lambda g, y, a, b: like(g, a),                     lambda g, y, a, b: like(g, b)),
    np.subtract:      (lambda g, y, a, b: like(g, a),                     lambda g, y, a, b: like(-g, b)),
    np.multiply:      (lambda g, y, a, b: like(g * b, a),                 lambda g, y, a, b: like(g * a, b)),
    np.divide:        (lambda g, y, a, b: like(g / b, a),                 lambda g, y, a, b: like(-g * y / b, b)),
    np.remainder:     (lambda g, y, a, b: like(g, a),                     lambda g, y, a, b: like(-g * np.floor_divide(a, b), b)),
    np.fmod:          (lambda g, y, a, b: like(g, a),                     lambda g, y, a, b: like(-g * np.rint((a - y) / b), b)),
    np.power:         (power_base,                                        power_exponent),
    np.float_power:   (power_base,                                        power_exponent),
    np.ldexp:         (lambda g, y, x, n: like(np.ldexp(g, n), x),        None),
    np.negative:      (lambda g, y, x: -g,),
    np.positive:      (lambda g, y, x: g,),
    np.square:        (lambda g, y, x: g * (2 * x),),
    np.sqrt:          (lambda g, y, x: g / (2 * y),),
    np.cbrt:          (lambda g, y, x: g / (3 * y * y),),
    np.reciprocal:    (lambda g, y, x: -g * y * y,),

    # exponentials and logarithms
    np.exp:           (lambda g, y, x: g * y,),
    np.exp2:          (lambda g, y, x: g * (y * LN2),),
    np.expm1:         (lambda g, y, x: g * np.exp(x),),
    np.log:           (lambda g, y, x: g / x,),
    np.log2:          (lambda g, y, x: g / LN2 / x,),
    np.log10:         (lambda g, y, x: g / LN10 / x,),
    np.log1p:         (lambda g, y, x: g / (1 + x),),
    np.logaddexp:     (lambda g, y, a, b: like(g * sigmoid(difference(a, b)), a),        lambda g, y, a, b: like(g * sigmoid(difference(b, a)), b)),
    np.logaddexp2:    (lambda g, y, a, b: like(g * sigmoid(LN2 * difference(a, b)), a),  lambda g, y, a, b: like(g * sigmoid(LN2 * difference(b, a)), b)),

    # trigonometric functions; 1 - x^2 is written (1 - x)(1 + x), which is exact near its zeros
    np.sin:           (lambda g, y, x: g * np.cos(x),),
    np.cos:           (lambda g, y, x: -g * np.sin(x),),
    np.tan:           (lambda g, y, x: g * (1 + y * y),),
    np.arcsin:        (lambda g, y, x: g / np.sqrt((1 - x) * (1 + x)),),
    np.arccos:        (lambda g, y, x: -g / np.sqrt((1 - x) * (1 + x)),),
    np.arctan:        (lambda g, y, x: g * over_squares(1, x),),
    np.arctan2:       (lambda g, y, a, b: like(g * over_squares(b, a), a),  lambda g, y, a, b: like(-g * over_squares(a, b), b)),
    np.hypot:         (lambda g, y, a, b: like(g * (a / or_inf(y, y != 0)), a), lambda g, y, a, b: like(g * (b / or_inf(y, y != 0)), b)),
    np.degrees:       (lambda g, y, x: np.degrees(g),),
    np.rad2deg:       (lambda g, y, x: np.rad2deg(g),),
    np.radians:       (lambda g, y, x: np.radians(g),),
    np.deg2rad:       (lambda g, y, x: np.deg2rad(g),),
    np.sinc:          (sinc_input,),

    # hyperbolic functions
    np.sinh:          (lambda g, y, x: g * np.cosh(x),),
    np.cosh:          (lambda g, y, x: g * np.sinh(x),),
    np.tanh:          (lambda g, y, x: g * (1 - y * y),),
    np.arcsinh:       (lambda g, y, x: g / np.hypot(1, x),),
    np.arccosh:       (lambda g, y, x: g / (np.sqrt(x - 1) * np.sqrt(x + 1)),),
    np.arctanh:       (lambda g, y, x: g / ((1 - x) * (1 + x)),),

    # signs and choices
    np.absolute:      (lambda g, y, x: g * np.sign(x),),
    np.fabs:          (lambda g, y, x: g * np.sign(x),),
    np.copysign:      (lambda g, y, a, b: like(g * (np.sign(a) * np.copysign(1, b)), a), None),
    np.heaviside:     (None,                                              lambda g, y, x, h: like(np.where(x == 0, g, 0), h)),
    np.maximum:       (lambda g, y, a, b: like(to_chosen(g, y, a, b), a),    lambda g, y, a, b: like(to_chosen(g, y, b, a), b)),
    np.minimum:       (lambda g, y, a, b: like(to_chosen(g, y, a, b), a),    lambda g, y, a, b: like(to_chosen(g, y, b, a), b)),
    np.fmax:          (lambda g, y, a, b: like(to_chosen(g, y, a, b), a),    lambda g, y, a, b: like(to_chosen(g, y, b, a), b)),
    np.fmin:          (lambda g, y, a, b: like(to_chosen(g, y, a, b), a),    lambda g, y, a, b: like(to_chosen(g, y, b, a), b)),
    np.where:         (None, lambda g, y, c, a, b: like(np.where(c, g, 0), a), lambda g, y, c, a, b: like(np.where(c, 0, g), b)),
    np.clip:          (clip_input, clip_low, clip_high),
    np.nan_to_num:    (lambda g, y, x, *settings: np.where(np.isfinite(x), g, 0), None,
                       lambda g, y, x, copy, nan, posinf, neginf: like(np.where(np.isnan(x), g, 0), nan),
                       lambda g, y, x, copy, nan, posinf, neginf: like(np.where(x == np.inf, g, 0), posinf),
                       lambda g, y, x, copy, nan, posinf, neginf: like(np.where(x == -np.inf, g, 0), neginf)),

    # steps: the derivative is 0 wherever there is one
    np.sign:          (None,),
    np.floor:         (None,),
    np.ceil:          (None,),
    np.trunc:         (None,),
    np.rint:          (None,),
    np.round:         (None,),
    np.around:        (None,),
    np.floor_divide:  (None, None),

    # functions of complex numbers, for real ones
    np.conjugate:     (lambda g, y, x: g,),
    np.real:          (lambda g, y, x: g,),
    np.real_if_close: (lambda g, y, x, tol=100: g,),
    np.imag:          (real_only,),
    np.angle:         (real_only,),

    # activations
    sigmoid:          (lambda g, a, z: g * a * (1 - a),),
    softplus:         (lambda g, y, z: g * sigmoid(z),),
    log_sigmoid:      (lambda g, y, z: g * sigmoid(-z),),
    relu:             (lambda g, y, z: g * (z > 0),),
    astype:           (lambda g, y, x, dtype: astype(g, x.dtype),),
})
COMPOSITES.update({
    np.clip:          clip,
    np.nan_to_num:    nan_to_num,
    np.divmod:        quotient_and_remainder,
    np.astype:        lambda x, dtype, /, *, copy=True, device=None: x.astype(dtype, copy=copy),
})
REPHRASED.update({
    np.where:         lambda condition, *choices: (np.where if choices else np.nonzero, (condition, *choices), {}),
    np.nan_to_num:    lambda x, copy=True, *settings, **named: (np.nan_to_num, (x, True, *settings), named),
})
REMEMBERED.add(sigmoid)
if hasattr(np, "fix"):  # deprecated since NumPy 2.5
    COMPOSITES.update({np.fix: np.trunc})
# fmt: on

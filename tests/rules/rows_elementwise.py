"""Rows of functions that work element by element."""

import numpy

from tests.rules.rows import NUMPY, Row
from tinygrad_lr.autodiff.rules.elementwise import log_sigmoid, relu, sigmoid, softplus

POSITIVE = (0.2, 3.0)
EXPONENTS = numpy.array([[2.0, 3.0, 0.0], [1.0, -2.0, 4.0]])
STEPS = numpy.array([-1.7, -0.3, 0.4, 2.6])  # away from the jumps
PLANE = numpy.array([[1.0, 2.0], [-1.0, 2.0], [-1.0, -2.0], [1.0, -2.0], [0.3, -0.01]])  # every quadrant
NEAR_0 = numpy.array([-0.26, -0.24, -0.01, 0.0, 1e-5, 0.1])  # both sides of where the series of sinc ends
HOLES = numpy.array([1.0, numpy.nan, numpy.inf, -2.0, -numpy.inf])


def spread_out(u):
    """Numbers in (-2, 2), none of them near an integer."""
    return numpy.floor(4 * u) - 2 + 0.2 + 0.6 * (4 * u - numpy.floor(4 * u))


# fmt: off
ROWS = [
    # arithmetic
    Row(numpy.add, lambda np, a, b: a + b, ((2, 3), (3,))),
    Row(numpy.add, lambda np, a, b: np.add(a, b), ((2, 1), (1, 3)), label="both broadcast"),
    Row(numpy.subtract, lambda np, a, b: a - b, ((2, 3), (2, 1))),
    Row(numpy.subtract, lambda np, a: 1.5 - a, ((2, 3),), label="scalar"),
    Row(numpy.multiply, lambda np, a, b: a * b, ((2, 3), (1, 3))),
    Row(numpy.multiply, lambda np, a: a * a * 3, ((2, 3),), label="with itself"),
    Row(numpy.divide, lambda np, a, b: a / b, ((2, 3), (3,)), domain=POSITIVE),
    Row(numpy.divide, lambda np, a: 2 / a, ((2, 3),), domain=(-3.0, -0.5), label="scalar"),
    Row(numpy.remainder, lambda np, a, b: np.remainder(a, b), (numpy.array([5.3, -5.3, 1.2, -0.4]), numpy.array([2.0, 2.0, -0.7, -3.0]))),
    Row(numpy.remainder, lambda np, a: np.mod(a, 1), ((2, 3),), domain=spread_out, label="fraction"),
    Row(numpy.fmod, lambda np, a, b: np.fmod(a, b), (numpy.array([5.3, -5.3, 1.2, -0.4]), numpy.array([2.0, 2.0, -0.7, -3.0]))),
    Row(numpy.power, lambda np, a, b: a ** b, ((2, 3), (3,)), domain=POSITIVE),
    Row(numpy.power, lambda np, a: np.power(a, EXPONENTS), (-numpy.arange(1.0, 7.0).reshape(2, 3),), label="negative base"),
    Row(numpy.power, lambda np, a: a ** 3 + a ** 1 + a ** 0, ((2, 3),), label="scalar exponent"),
    Row(numpy.power, lambda np, a: a ** -2.5, ((2, 3),), domain=POSITIVE, label="fractional exponent"),
    Row(numpy.power, lambda np, b: 2.5 ** b, ((2, 3),), label="scalar base"),
    Row(numpy.power, lambda np, a, b: a ** b, (numpy.array([0.5, 2.0, 3.0]), numpy.array([0.0, 0.0, 1.0])), label="exponent 0"),
    Row(numpy.float_power, lambda np, a: np.float_power(a, 3), ((2, 3),), label="negative base"),
    Row(numpy.ldexp, lambda np, x: np.ldexp(x, numpy.array([[-1], [3]])), ((2, 3),)),
    Row(numpy.negative, lambda np, x: np.exp(-x), ((2, 3),)),
    Row(numpy.positive, lambda np, x: np.exp(+x), ((2, 3),)),

    # exponentials and logarithms
    Row(numpy.logaddexp, lambda np, a: np.logaddexp(a, 0), (numpy.array([-3.0, 0.0, 3.0]),), label="equal"),

    # angles
    Row(numpy.arctan2, lambda np, a, b: np.arctan2(a, b), tuple(PLANE.T), label="quadrants"),
    Row(numpy.hypot, lambda np, a, b: np.hypot(a, b), tuple(PLANE.T), label="quadrants"),
    Row(numpy.sinc, lambda np, x: np.sinc(x), ((2, 3),), domain=(0.3, 3.0)),
    Row(numpy.sinc, lambda np, x: np.sinc(x), (NEAR_0,), label="near 0"),

    # signs and choices
    Row(numpy.heaviside, lambda np, h: np.heaviside(numpy.array([0.0, 1.0, -1.0]), h ** 2), ((2, 3),), label="at 0"),
    Row(numpy.maximum, lambda np, a: np.maximum(a, 0.5) ** 2, ((2, 3),), label="scalar"),
    Row(numpy.minimum, lambda np, a: np.minimum(0.5, a) ** 2, ((2, 3),), label="scalar"),
    Row(numpy.fmax, lambda np, a: np.fmax(a, numpy.nan) ** 2, ((2, 3),), label="beside nan"),
    Row(numpy.fmin, lambda np, a: np.fmin(numpy.nan, a) ** 2, ((2, 3),), label="beside nan"),
    Row(numpy.where, lambda np, a: np.where(a > 0, a ** 2, -1), ((2, 3),), label="scalar"),
    Row(numpy.clip, lambda np, x: np.clip(x, -1, 1) ** 2, ((2, 3),)),
    Row(numpy.clip, lambda np, x: np.clip(x, None, 1) ** 2, ((2, 3),), label="upper"),
    Row(numpy.clip, lambda np, x: np.clip(x, a_min=-1, a_max=None) ** 2, ((2, 3),), label="a_min",
        jax=False),  # jax knows only the names min and max
    Row(numpy.nan_to_num, lambda np, x: np.nan_to_num(x + HOLES, nan=3.0, posinf=4.0, neginf=5.0) ** 2, ((5,),)),
    Row(numpy.nan_to_num, lambda np, x, a, b, c: np.nan_to_num(x + HOLES, nan=a, posinf=b, neginf=c) ** 2, ((5,), (), (5,), ()), label="replacements"),

    # steps
    *[Row(step, lambda np, x, name=step.__name__: getattr(np, name)(x) * x, (STEPS,))
      for step in (numpy.sign, numpy.floor, numpy.ceil, numpy.trunc, numpy.rint, numpy.round, numpy.around)],
    Row(numpy.round, lambda np, x: np.round(x, 1) * x, (STEPS + 0.02,), label="decimals"),
    Row(numpy.floor_divide, lambda np, a, b: np.floor_divide(a, b) * a * b, (numpy.array([5.3, -5.3, 1.2]), numpy.array([2.0, 2.0, -0.7]))),
    Row(numpy.divmod, lambda np, a, b: np.divmod(a, b)[0] * a + np.divmod(a, b)[1] ** 2, (numpy.array([5.3, -5.3, 1.2]), numpy.array([2.0, 2.0, -0.7]))),

    # networks' own: jax.numpy has none of them
    Row(sigmoid, lambda np, z: sigmoid(z), ((2, 3),), domain=(-6.0, 6.0), jax=False),
    Row(softplus, lambda np, z: softplus(z), ((2, 3),), domain=(-6.0, 6.0), jax=False),
    Row(softplus, lambda np, z: softplus(z), ((5, 20),), domain=(-6.0, 6.0), jax=False, label="many"),
    Row(log_sigmoid, lambda np, z: log_sigmoid(z), ((2, 3),), domain=(-6.0, 6.0), jax=False),
    Row(relu, lambda np, z: relu(z) ** 2, ((2, 3),), jax=False),
]
if NUMPY >= (2, 1):
    ROWS += [
        Row(numpy.clip, lambda np, x: np.clip(x, min=-1) ** 2, ((2, 3),), label="min"),
        Row(numpy.clip, lambda np, x, low, high: np.clip(x, min=low - 1, max=high + 1) ** 2, ((2, 3), (3,), (2, 1)), label="arrays by name"),
    ]
# fmt: on

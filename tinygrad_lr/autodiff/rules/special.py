"""Rules of the functions of `scipy.special` that models use; here ``special`` is that module.

They are ufuncs, so they reach a Tensor through NumPy's protocols. This chapter imports SciPy, and loads when a Tensor first
meets one of its functions. Derivatives are written with functions that neither underflow nor cancel where they are finite:

- logit and entr have derivative inf at 0 (logit at 1 as well), as the mathematics has it, with NumPy's warning;
- xlogy and xlog1py are 0 for x = 0 and any y, so there their derivative with respect to y is 0, and so is that with
  respect to x where there is no logarithm.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from tinygrad_lr.autodiff.rules.elementwise import SIGMOIDS, or_inf
from tinygrad_lr.autodiff.rules.registry import RULES, Array, dispatching, like

PER_ROOT_PI = 2 / math.sqrt(math.pi)
PER_ROOT_2PI = 1 / math.sqrt(2 * math.pi)
ROOT_HALF = math.sqrt(0.5)


def gaussian(x: Array) -> Array:
    """exp(-x^2), where the square cannot overflow: beyond 40 it is 0 in every type."""
    return np.exp(-np.square(np.where(np.abs(x) > 40, 40, x)))


@dispatching
def inverse_mills(x: Array) -> Array:
    """The derivative of log_ndtr: the density of the normal distribution over its cumulative distribution.

    Both underflow far below 0; the scaled complementary error function holds their ratio.
    """
    with np.errstate(divide="ignore"):  # at -inf, where the derivative is inf
        return math.sqrt(2 / math.pi) / special.erfcx(-ROOT_HALF * x)


def excess(x: Array, y: Array) -> Array:
    """x + y for y = inverse_mills(x).

    Far below 0, where the two cancel, it is Laplace's continued fraction 1/(t + 2/(t + 3/(t + ...))) for t = -x; twenty
    terms are exact from t = 6 on.
    """
    low = x < -6
    t = np.where(low, -x, 6)
    fraction: Array = 0
    for k in range(20, 0, -1):
        fraction = k / (t + fraction)
    return np.where(low, fraction, np.minimum(x, 40) + y)


@dispatching
def polygamma(x: Array, n: int = 1) -> Array:
    """The n-th derivative of digamma."""
    return special.polygamma(n, x).astype(x.dtype)


def xlogy_weight(g: Array, out: Array, x: Array, y: Array) -> Array:
    """g log(y), and 0 for x = 0 where y has no logarithm."""
    return like(np.where((x == 0) & (y <= 0), 0, g * np.log(np.where((x == 0) & (y <= 0), 1, y))), x)


def xlog1py_weight(g: Array, out: Array, x: Array, y: Array) -> Array:
    """g log(1 + y), and 0 for x = 0 where 1 + y has no logarithm."""
    return like(np.where((x == 0) & (y <= -1), 0, g * np.log1p(np.where((x == 0) & (y <= -1), 0, y))), x)


# fmt: off
RULES.update({
    special.expit:      (lambda g, y, x: g * (y * special.expit(-x)),),
    special.logit:      (lambda g, y, x: g / (x * (1 - x)),),
    special.log_expit:  (lambda g, y, x: g * special.expit(-x),),
    special.erf:        (lambda g, y, x: g * (PER_ROOT_PI * gaussian(x)),),
    special.erfc:       (lambda g, y, x: g * (-PER_ROOT_PI * gaussian(x)),),
    special.ndtr:       (lambda g, y, x: g * (PER_ROOT_2PI * gaussian(ROOT_HALF * x)),),
    special.log_ndtr:   (lambda g, y, x: g * inverse_mills(x),),
    special.gammaln:    (lambda g, y, x: g * special.digamma(x),),
    special.digamma:    (lambda g, y, x: g * polygamma(x),),
    special.xlogy:      (xlogy_weight, lambda g, out, x, y: like(g * (x / or_inf(y, (x != 0) | (y != 0))), y)),
    special.xlog1py:    (xlog1py_weight, lambda g, out, x, y: like(g * (x / or_inf(1 + y, (x != 0) | (y != -1))), y)),
    special.entr:       (lambda g, y, x: -g * (np.log(x) + 1),),

    inverse_mills:      (lambda g, y, x: -g * y * excess(x, y),),
    polygamma:          (lambda g, y, x, n=1: g * polygamma(x, n + 1),),
})
# fmt: on
SIGMOIDS.add(special.expit)

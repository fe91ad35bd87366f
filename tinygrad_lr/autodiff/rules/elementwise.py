"""Rules of functions that work element by element, with NumPy's broadcasting undone by `like`.

Where a derivative is one-sided or absent, one convention holds: equals share the gradient of a maximum,
and relu, abs and sign have derivative 0 at 0. A clip lets the gradient through on its bounds.
"""

from __future__ import annotations

import numpy as np

from tinygrad_lr.autodiff.rules.registry import RULES, Array, dispatching, like


@dispatching
def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)), from exponentials that cannot overflow: accurate to the last digits at +-1000.

    Examples
    --------
    >>> print(sigmoid(np.array([-1000.0, 0.0, 1000.0])))
    [0.  0.5 1. ]
    """
    return np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))


@dispatching
def softplus(z: Array) -> Array:
    """log(1 + exp(z)), without overflow.

    A few numbers are quickest in one call; many in five that NumPy vectorises.

    Examples
    --------
    >>> print(softplus(np.array([-1000.0, 0.0, 1000.0])))
    [0.00000000e+00 6.93147181e-01 1.00000000e+03]
    """
    if getattr(z, "size", 1) < 64:
        return np.logaddexp(0, z)
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


@dispatching
def log_sigmoid(z: Array) -> Array:
    """log(sigmoid(z)), right where the sigmoid itself would round to 0 or 1.

    Examples
    --------
    >>> print(log_sigmoid(np.array([-1000.0, 0.0])))
    [-1.00000000e+03 -6.93147181e-01]
    """
    return -softplus(-z)


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
    """``x`` in another floating type; its gradient goes back in the type of ``x``."""
    return x.astype(dtype)


def power_base(g: Array, y: Array, a: Array, b: Array) -> Array:
    """b a^(b-1), and 0 for b = 0 whatever a is."""
    if np.ndim(b) == 0 and not hasattr(b, "requires_grad"):
        return g * 0 if b == 0 else g * (b * a ** (b - 1))
    return like(g * b * a ** np.where(b == 0, 1, b - 1), a)


def power_exponent(g: Array, y: Array, a: Array, b: Array) -> Array:
    """y log(a), and 0 for a = 0, where y does not move with b > 0."""
    return like(g * y * np.log(np.where(a == 0, 1, a)), b)


def wins(a: Array, b: Array, beats: np.ufunc) -> Array:
    """1 where ``a`` beats ``b``, 1/2 where they are equal, 0 elsewhere."""
    return np.where(a == b, 0.5, beats(a, b))


def clip_input(g: Array, y: Array, x: Array, a_min: Array = None, a_max: Array = None, **bounds: Array) -> Array:
    """1 from bound to bound, both included."""
    low, high = bounds.get("min", a_min), bounds.get("max", a_max)
    inside = (True if low is None else x >= low) & (True if high is None else x <= high)
    return like(np.where(inside, g, 0), x)


# fmt: off
RULES.update({
    np.add:         (lambda g, y, a, b: like(g, a),               lambda g, y, a, b: like(g, b)),
    np.subtract:    (lambda g, y, a, b: like(g, a),               lambda g, y, a, b: like(-g, b)),
    np.multiply:    (lambda g, y, a, b: like(g * b, a),           lambda g, y, a, b: like(g * a, b)),
    np.divide:      (lambda g, y, a, b: like(g / b, a),           lambda g, y, a, b: like(-g * y / b, b)),
    np.power:       (power_base,                                  power_exponent),
    np.negative:    (lambda g, y, x: -g,),
    np.positive:    (lambda g, y, x: g,),
    np.absolute:    (lambda g, y, x: g * np.sign(x),),
    np.sign:        (None,),

    np.exp:         (lambda g, y, x: g * y,),
    np.expm1:       (lambda g, y, x: g * (y + 1),),
    np.log:         (lambda g, y, x: g / x,),
    np.log1p:       (lambda g, y, x: g / (1 + x),),
    np.sqrt:        (lambda g, y, x: g / (2 * y),),
    np.square:      (lambda g, y, x: g * (2 * x),),
    np.tanh:        (lambda g, y, x: g * (1 - y * y),),
    np.logaddexp:   (lambda g, y, a, b: like(g * sigmoid(a - b), a), lambda g, y, a, b: like(g * sigmoid(b - a), b)),

    np.maximum:     (lambda g, y, a, b: like(g * wins(a, b, np.greater), a), lambda g, y, a, b: like(g * wins(b, a, np.greater), b)),
    np.minimum:     (lambda g, y, a, b: like(g * wins(a, b, np.less), a),    lambda g, y, a, b: like(g * wins(b, a, np.less), b)),
    np.where:       (None, lambda g, y, c, a, b: like(np.where(c, g, 0), a), lambda g, y, c, a, b: like(np.where(c, 0, g), b)),
    np.clip:        (clip_input,
                     lambda g, y, x, low, high=None: like(np.where(x < low, g, 0), low),
                     lambda g, y, x, low, high: like(np.where(x > high, g, 0), high)),

    sigmoid:        (lambda g, a, z: g * a * (1 - a),),
    softplus:       (lambda g, y, z: g * sigmoid(z),),
    log_sigmoid:    (lambda g, y, z: g * sigmoid(-z),),
    relu:           (lambda g, y, z: g * (z > 0),),
    astype:         (lambda g, y, x, dtype: astype(g, x.dtype),),
})
# fmt: on

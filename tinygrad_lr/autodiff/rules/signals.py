"""Rules of interpolation, polynomials and convolutions.

The value between two points is a weighted mean of both, so its gradient goes back to the two with the same weights. The
gradient of a convolution is a convolution with the other factor reversed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import recorded
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, like
from tinygrad_lr.autodiff.rules.shapes import scatter

# -- linear interpolation -----------------------------------------------------------------------------


def neighbours(x: Array, xp: Array) -> tuple[Array, Array]:
    """The indices of the points on both sides of each x; for an x at a point, of that point and the next."""
    last = len(xp) - 1
    low = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, max(last - 1, 0))
    return low, np.minimum(low + 1, last)


def times_slope(g: Array, x: Array, xp: Array, fp: Array) -> Array:
    """g times the slope of the line at each x, and 0 outside the points."""
    low, high = neighbours(x, xp)
    width = xp[high] - xp[low]
    inside = (x >= xp[0]) & (x <= xp[-1])
    return np.where(inside, g * ((fp[high] - fp[low]) / np.where(width == 0, 1, width)), 0)


def to_neighbours(g: Array, x: Array, xp: Array) -> Array:
    """g added to the two points beside each x, with the weights that they have in its value."""
    low, high = neighbours(x, xp)
    width = xp[high] - xp[low]
    weight = np.where(width == 0, 1, np.clip((x - xp[low]) / np.where(width == 0, 1, width), 0, 1))
    return scatter(g * (1 - weight), low, xp.shape) + scatter(g * weight, high, xp.shape)


def interp_values(g: Array, y: Array, x: Array, xp: Array, fp: Array, left: Array, right: Array) -> Array:
    """g to the two points beside each x, with the weights that they have in its value."""
    counts = ~np.isnan(x)
    if left is not None:
        counts = counts & (x >= xp[0])
    if right is not None:
        counts = counts & (x <= xp[-1])
    return to_neighbours(np.where(counts, g, 0), np.where(counts, x, xp[0]), xp)


def interp_points(g: Array, y: Array, x: Array, xp: Array, fp: Array, left: Array, right: Array) -> Array:
    """A point that moves takes its value along: -g times the slope, to the two points beside each x with their weights."""
    return to_neighbours(-times_slope(g, x, xp, fp), np.where(np.isnan(x), xp[0], x), xp)


def interp(x: Array, xp: Array, fp: Array, left: Array = None, right: Array = None, period: Array = None) -> Array:
    """`numpy.interp`; with a period, the points are continued on both sides."""
    x, xp, fp = (a if hasattr(a, "dtype") else np.asarray(a) for a in (x, xp, fp))
    if period is not None:
        if period == 0:
            raise ValueError("np.interp: the period must not be 0")
        if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp):
            raise ValueError(f"np.interp needs points and values of one length, got shapes {np.shape(xp)} and {np.shape(fp)}")
        period, left, right = np.abs(period), None, None
        x, xp = np.remainder(x, period), np.remainder(xp, period)
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp, fp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period]), np.concatenate([fp[-1:], fp, fp[:1]])
    return recorded(np.interp, x, xp, fp, left, right)


# -- polynomials, the highest power first --------------------------------------------------------------


def polyval(p: Sequence[Array] | Array, x: Array) -> Array:
    """Horner's scheme: times x and plus the next coefficient, from the highest power down."""
    y: Array = np.zeros_like(x)
    for coefficient in p:
        y = y * x + (coefficient if hasattr(coefficient, "dtype") else np.asarray(coefficient))  # not weakly typed, because no element of an array is
    return y


def polyder(p: Array, m: int = 1) -> Array:
    """Each coefficient times its power, m times."""
    if m < 0:
        raise ValueError(f"np.polyder: m must not be negative, got {m}")
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def polyint(p: Array, m: int = 1, k: Array = None) -> Array:
    """Each coefficient over its new power, then the constant of integration, m times."""
    if m < 0:
        raise ValueError(f"np.polyint: m must not be negative, got {m}")
    constants = np.zeros(m) if k is None else np.atleast_1d(k)
    if len(constants) == 1:
        constants = np.broadcast_to(constants, max(m, 1))
    if len(constants) < m:
        raise ValueError(f"np.polyint: {m} integrations need one constant or {m}, got {len(constants)}")
    for i in range(m):
        p = np.concatenate([np.divide(p, np.arange(len(p), 0, -1)), constants[i : i + 1]])
    return p


# -- convolutions --------------------------------------------------------------------------------------


def padded(g: Array, a: Array, v: Array) -> Array:
    """The gradient of a convolution at its full length, with zeros where the mode cut it off."""
    short, full = min(a.size, v.size), a.size + v.size - 1
    start = {full: 0, full - short + 1: (short - 1) // 2, full - 2 * short + 2: short - 1}[g.size]  # full, same, valid
    return np.pad(g, (start, full - start - g.size))


def convolve(a: Array, v: Array, mode: Any = "full") -> Array:
    """`numpy.convolve`, with its arguments by position and numbers as vectors."""
    return recorded(np.convolve, np.atleast_1d(a), np.atleast_1d(v), mode)


def correlate(a: Array, v: Array, mode: Any = "valid") -> Array:
    """The convolution with the second vector reversed."""
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    return np.convolve(a, v[::-1], mode) if a.size >= v.size else np.convolve(v, a[::-1], mode)[::-1]


# fmt: off
RULES.update({
    np.interp:     (lambda g, y, x, xp, fp, left, right: times_slope(g, x, xp, fp), interp_points, interp_values,
                    lambda g, y, x, xp, fp, left, right: like(np.where(x < xp[0], g, 0), left),
                    lambda g, y, x, xp, fp, left, right: like(np.where(x > xp[-1], g, 0), right)),
    np.convolve:   (lambda g, y, a, v, mode: np.convolve(padded(g, a, v), v[::-1], "valid"),
                    lambda g, y, a, v, mode: np.convolve(padded(g, a, v), a[::-1], "valid")),
})
COMPOSITES.update({
    np.interp:     interp,
    np.polyval:    polyval,
    np.polyder:    polyder,
    np.polyint:    polyint,
    np.convolve:   convolve,
    np.correlate:  correlate,
})
# fmt: on

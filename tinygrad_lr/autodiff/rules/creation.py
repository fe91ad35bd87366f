"""Rules of functions that make arrays from numbers: points from a start to a stop, grids, and powers.

Each point holds a fixed share of start and of stop, so their gradients are weighted sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import recorded
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, like

# -- points from start to stop -------------------------------------------------------------------------


def shares(y: Array, num: int, endpoint: bool, axis: int) -> Array:
    """How much of stop is in each point, laid along ``axis`` of the points ``y``."""
    fractions = np.arange(num) / max(num - endpoint, 1)
    return np.moveaxis(fractions.reshape(-1, *(1,) * (y.ndim - 1)), 0, axis)


def linspace_start(g: Array, y: Array, start: Array, stop: Array, num: int, endpoint: bool, retstep: bool, dtype: None, axis: int) -> Array:
    """The sum of g times each point's share of start."""
    return like((g * (1 - shares(y, num, endpoint, axis))).sum(axis=axis), start)


def linspace_stop(g: Array, y: Array, start: Array, stop: Array, num: int, endpoint: bool, retstep: bool, dtype: None, axis: int) -> Array:
    """The sum of g times each point's share of stop."""
    return like((g * shares(y, num, endpoint, axis)).sum(axis=axis), stop)


def geomspace_start(g: Array, y: Array, start: Array, stop: Array, num: int, endpoint: bool, dtype: None, axis: int) -> Array:
    """As `linspace`, of the logarithms: g y times the share of start, summed, over start."""
    return like((g * y * (1 - shares(y, num, endpoint, axis))).sum(axis=axis) / start, start)


def geomspace_stop(g: Array, y: Array, start: Array, stop: Array, num: int, endpoint: bool, dtype: None, axis: int) -> Array:
    """As `linspace`, of the logarithms: g y times the share of stop, summed, over stop."""
    return like((g * y * shares(y, num, endpoint, axis)).sum(axis=axis) / stop, stop)


def linspace(
    start: Array, stop: Array, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, *, device: Any = None
) -> Array:
    """`numpy.linspace`, its arguments by position."""
    points = in_type(recorded(np.linspace, start, stop, num, bool(endpoint), False, None, axis), dtype)
    if not retstep:
        return points
    gaps = num - bool(endpoint)
    return points, np.subtract(stop, start) / gaps if gaps > 0 else np.nan


def geomspace(start: Array, stop: Array, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """`numpy.geomspace`, its arguments by position."""
    return in_type(recorded(np.geomspace, start, stop, num, bool(endpoint), None, axis), dtype)


def logspace(start: Array, stop: Array, num: int = 50, endpoint: bool = True, base: Array = 10.0, dtype: Any = None, axis: int = 0) -> Array:
    """Powers of the base, their exponents evenly spaced."""
    if np.ndim(base):  # the three then count as one array, which has the axis
        shape = np.broadcast_shapes(*map(np.shape, (start, stop, base)))
        start, stop, base = (np.reshape(a, (1,) * (len(shape) - np.ndim(a)) + np.shape(a)) for a in (start, stop, base))
        base = np.expand_dims(base, axis)
    return in_type(np.power(base, np.linspace(start, stop, num, endpoint, axis=axis)), dtype)


def in_type(points: Array, dtype: Any) -> Array:
    return points if dtype is None else points.astype(dtype)


# -- grids and powers ----------------------------------------------------------------------------------


def meshgrid(*xi: Array, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> tuple[Array, ...]:
    """Each vector laid along an axis of its own and repeated along the others; NumPy tells the shapes from stand-ins without data."""
    stand_ins = np.meshgrid(*(np.broadcast_to(0, np.size(x)) for x in xi), copy=False, sparse=True, indexing=indexing)
    laid: Sequence[Array] = [np.reshape(x, place.shape) for x, place in zip(xi, stand_ins)]
    grids = laid if sparse else np.broadcast_arrays(*laid)
    return tuple(np.copy(grid) if copy else grid for grid in grids)


def vander(x: Array, N: int | None = None, increasing: bool = False) -> Array:
    """Each number's powers in a row of their own."""
    if np.ndim(x) != 1:
        raise ValueError(f"np.vander needs a vector, got an array of shape {np.shape(x)}")
    exponents = np.arange(len(x) if N is None else N)
    return np.power(np.expand_dims(x, 1), exponents if increasing else exponents[::-1])


# fmt: off
RULES.update({
    np.linspace:   (linspace_start, linspace_stop),
    np.geomspace:  (geomspace_start, geomspace_stop),
})
COMPOSITES.update({
    np.linspace:   linspace,
    np.geomspace:  geomspace,
    np.logspace:   logspace,
    np.meshgrid:   meshgrid,
    np.vander:     vander,
})
# fmt: on

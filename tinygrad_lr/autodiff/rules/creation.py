"""Rules of functions that make arrays from numbers: points from a start to a stop, grids, and powers.

Each point is a mean of start and stop with fixed weights (geometric for `numpy.geomspace`), so their gradients are
weighted sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import recorded
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, like

# -- points from start to stop -------------------------------------------------------------------------


def stop_weights(g: Array, num: int, endpoint: bool, *settings: Any) -> Array:
    """The weight of stop in each point, along the axis of the points: the last setting."""
    fractions = np.arange(num) / max(num - endpoint, 1)
    return np.moveaxis(fractions.reshape(-1, *(1,) * (g.ndim - 1)), 0, settings[-1])


def linspace(
    start: Array, stop: Array, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, *, device: Any = None
) -> Array:
    """`numpy.linspace`, with its arguments by position."""
    points = in_type(recorded(np.linspace, start, stop, num, bool(endpoint), False, None, axis), dtype)
    if not retstep:
        return points
    gaps = num - bool(endpoint)
    return points, np.subtract(stop, start) / gaps if gaps > 0 else np.nan


def geomspace(start: Array, stop: Array, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Array:
    """`numpy.geomspace`, with its arguments by position."""
    return in_type(recorded(np.geomspace, start, stop, num, bool(endpoint), None, axis), dtype)


def logspace(start: Array, stop: Array, num: int = 50, endpoint: bool = True, base: Array = 10.0, dtype: Any = None, axis: int = 0) -> Array:
    """Powers of the base with evenly spaced exponents."""
    if np.ndim(base):  # NumPy counts the axis in the shape that all three have together
        shape = np.broadcast_shapes(*map(np.shape, (start, stop, base)))
        start, stop, base = (np.reshape(a, (1,) * (len(shape) - np.ndim(a)) + np.shape(a)) for a in (start, stop, base))
        base = np.expand_dims(base, axis)
    return in_type(np.power(base, np.linspace(start, stop, num, endpoint, axis=axis)), dtype)


def in_type(points: Array, dtype: Any) -> Array:
    return points if dtype is None else points.astype(dtype)


# -- grids and powers ----------------------------------------------------------------------------------


def meshgrid(*xi: Array, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> tuple[Array, ...]:
    """Each vector along an axis of its own, repeated along the others; NumPy finds the shapes, from stand-ins without data."""
    stand_ins = np.meshgrid(*(np.broadcast_to(0, np.size(x)) for x in xi), copy=False, sparse=True, indexing=indexing)
    open_grid: Sequence[Array] = [np.reshape(x, stand_in.shape) for x, stand_in in zip(xi, stand_ins)]
    grids = open_grid if sparse else np.broadcast_arrays(*open_grid)
    return tuple(np.copy(grid) if copy else grid for grid in grids)


def vander(x: Array, N: int | None = None, increasing: bool = False) -> Array:
    """The powers of each number, in a row."""
    if np.ndim(x) != 1:
        raise ValueError(f"np.vander needs a vector, got an array of shape {np.shape(x)}")
    exponents = np.arange(len(x) if N is None else N)
    return np.power(np.expand_dims(x, 1), exponents if increasing else exponents[::-1])


# fmt: off
RULES.update({
    np.linspace:   (lambda g, y, start, stop, *settings: like((g * (1 - stop_weights(g, *settings))).sum(axis=settings[-1]), start),
                    lambda g, y, start, stop, *settings: like((g * stop_weights(g, *settings)).sum(axis=settings[-1]), stop)),
    np.geomspace:  (lambda g, y, start, stop, *settings: like((g * y * (1 - stop_weights(g, *settings))).sum(axis=settings[-1]) / start, start),
                    lambda g, y, start, stop, *settings: like((g * y * stop_weights(g, *settings)).sum(axis=settings[-1]) / stop, stop)),
})
COMPOSITES.update({
    np.linspace:   linspace,
    np.geomspace:  geomspace,
    np.logspace:   logspace,
    np.meshgrid:   meshgrid,
    np.vander:     vander,
})
# fmt: on

"""Statistics and slopes of data, composed of functions that have rules.

Quantiles are weighted sums of sorted elements, missing numbers (nan) are replaced by ones that change nothing, and
derivatives along an axis come from slices of neighbours.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lr.autodiff.rules.reductions import Axis, as_last_axis, reduced_axes, reduced_count, unfold
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, Function, dispatching

# -- means and ranges ----------------------------------------------------------------------------------


def average(a: Array, axis: Axis = None, weights: Array = None, returned: bool = False, *, keepdims: bool = False) -> Array:
    """sum(w a) / sum(w)."""
    if weights is None:
        mean = np.mean(a, axis, keepdims=keepdims)
        return (mean, np.full_like(mean, reduced_count(a, mean))) if returned else mean
    if np.shape(weights) != np.shape(a):
        weights = along_axes(weights, np.shape(a), axis)
    total = np.sum(weights, axis, keepdims=keepdims)
    if np.any(total == 0):
        raise ZeroDivisionError("np.average: the weights sum to zero")
    mean = np.sum(np.multiply(a, weights), axis, keepdims=keepdims) / total
    return (mean, np.broadcast_to(total, mean.shape)) if returned else mean


def along_axes(weights: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """Weights of the averaged axes only, reshaped to broadcast against data of ``shape``."""
    if axis is None:
        raise TypeError(f"np.average: weights of shape {np.shape(weights)} for data of shape {shape} need an axis")
    axes = normalize_axis_tuple(axis, len(shape))
    if np.shape(weights) != tuple(shape[i] for i in axes):
        raise ValueError(f"np.average: weights of shape {np.shape(weights)} do not fit axis {axis} of data of shape {shape}")
    return np.transpose(weights, np.argsort(axes)).reshape([n if i in axes else 1 for i, n in enumerate(shape)])


def ptp(a: Array, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """The largest number minus the smallest (peak to peak)."""
    return np.max(a, axis, keepdims=keepdims) - np.min(a, axis, keepdims=keepdims)


# -- data with missing numbers --------------------------------------------------------------------------


def with_nan_as(neutral: float, func: Function) -> Function:
    """``func`` of the data with nan replaced by a number that changes nothing."""
    return lambda a, *args, **kwargs: func(np.where(np.isnan(a), neutral, a), *args, **kwargs)


def nanmean(a: Array, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Array = True) -> Array:
    """The mean of the numbers that are not nan."""
    total = np.nansum(a, axis, dtype, keepdims=keepdims, where=where)
    count = np.sum(~np.isnan(a), axis, np.result_type(total.dtype, np.float32), keepdims=keepdims, where=where)
    mean = total / np.where(count == 0, np.nan, count)
    return mean if mean.dtype == total.dtype else mean.astype(total.dtype)


# -- quantiles -----------------------------------------------------------------------------------------


def median(a: Array, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """The middle of the sorted numbers, or the mean of the middle two."""
    row = np.sort(as_last_axis(a, reduced_axes(a, axis)), axis=-1)
    n = row.shape[-1]
    middle = np.mean(row[..., max(n - 1, 0) // 2 : n // 2 + 1], axis=-1)
    middle = np.where(np.isnan(row).any(axis=-1), np.nan, middle)
    return unfold(middle, a, axis) if keepdims else middle


def quantile(
    a: Array,
    q: Any,
    axis: Axis = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: None = None,
    skip_nan: bool = False,
) -> Array:
    """The numbers at given fractions of the sorted data, interpolated between neighbours."""
    if weights is not None:
        raise TypeError("np.quantile(weights=...) on a Tensor: there is no rule for weighted quantiles")
    fractions = np.asarray(q)
    dtype = np.quantile(np.zeros(1, a.dtype), q, method=method).dtype  # type: ignore[call-overload]  # NumPy's own
    axes = reduced_axes(a, axis)
    row = np.sort(as_last_axis(a, axes), axis=-1)  # nan last
    present = ~np.isnan(row)
    count = present.sum(axis=-1, keepdims=True)
    known = count > 0 if skip_nan else present.all(axis=-1, keepdims=True)
    position = positions_of(fractions.ravel(), np.where(known, count, 1), method)
    low, high = np.floor(position).astype(int), np.ceil(position).astype(int)
    lower, upper = np.take_along_axis(row, low, -1), np.take_along_axis(row, high, -1)
    share = (position - low).astype(dtype)
    step = upper - lower
    between = np.where(known, np.where(share < 0.5, lower + step * share, upper - step * (1 - share)), np.nan)  # as NumPy: from the nearer one
    kept = [1 if i in axes else n for i, n in enumerate(a.shape)] if keepdims else row.shape[:-1]
    return np.moveaxis(between, -1, 0).reshape((*fractions.shape, *kept))


def positions_of(fractions: Array, counts: Array, method: str) -> Array:
    """Where each fraction lies among so many sorted elements: a quantile of 0, 1, 2, ... is its own position."""
    positions = np.zeros((*counts.shape[:-1], fractions.size))
    for n in np.unique(counts):
        positions[counts[..., 0] == n] = np.quantile(np.arange(n), fractions, method=method)  # type: ignore[call-overload]
    return positions


def percentile(a: Array, q: Any, *args: Any, **kwargs: Any) -> Array:
    """`quantile` of percentages."""
    return quantile(a, q / 100 if type(q) in (float, int) else np.asarray(np.asarray(q) / 100), *args, **kwargs)


def nanmedian(a: Array, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    return quantile(a, 0.5, axis, out, keepdims=keepdims, skip_nan=True)


# -- covariance ----------------------------------------------------------------------------------------


def cov(
    m: Array, y: Array = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None, aweights: Array = None, *, dtype: Any = None
) -> Array:
    """Products of deviations from the means, summed and divided by the degrees of freedom."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError(f"np.cov: ddof must be an integer, got {ddof}")
    ddof = (0 if bias else 1) if ddof is None else ddof
    rows = [as_rows(a, rowvar, name) for a, name in ((m, "m"), (y, "y")) if a is not None]
    rows = [a.astype(np.result_type(*rows, np.float64) if dtype is None else dtype, copy=False) for a in rows]
    data = np.concatenate(rows)
    weights, total = observation_weights(fweights, aweights, data.shape[1])
    freedom = total - ddof * (1 if aweights is None else np.sum(np.multiply(weights, aweights)) / total)
    if freedom <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=4)
        freedom = 0.0
    deviations = data - np.average(data, 1, weights, keepdims=True).astype(data.dtype, copy=False)
    weighted = deviations if weights is None else deviations * weights
    return np.squeeze(weighted @ deviations.T / freedom)


def as_rows(m: Array, rowvar: bool, name: str) -> Array:
    """One row per variable, one column per observation; a vector is one variable, and so is a single row of y."""
    if np.ndim(m) > 2:
        raise ValueError(f"np.cov takes at most 2 axes, {name} has shape {np.shape(m)}")
    return np.atleast_2d(m) if rowvar or np.ndim(m) < 2 or (name == "y" and len(m) == 1) else np.transpose(m)


def observation_weights(fweights: Any, aweights: Array, n: int) -> tuple[Array, Array]:
    """The product of both weights of each of ``n`` observations, and its sum; None and n without weights."""
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is not None and np.shape(given) != (n,):
            raise ValueError(f"np.cov: {name} of shape {np.shape(given)} for {n} observations")
        if given is not None and np.any(np.less(given, 0)):
            raise ValueError(f"np.cov: {name} must not be negative")
    if fweights is not None and np.any(np.not_equal(fweights, np.rint(fweights))):
        raise TypeError("np.cov: fweights must be integers, as they say how often each observation was made")
    if fweights is None and aweights is None:
        return None, n
    weights = np.multiply(1.0 if fweights is None else fweights, 1.0 if aweights is None else aweights)
    return weights, np.sum(weights)


def corrcoef(x: Array, y: Array = None, rowvar: bool = True, *, dtype: Any = None) -> Array:
    """Covariances divided by both standard deviations."""
    c = np.cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviations = np.sqrt(np.diagonal(c))
    return within_one(c / np.expand_dims(deviations, 1) / deviations)


@dispatching
def within_one(r: Array) -> Array:
    """Correlations that rounding alone took beyond -1 or 1, put back there."""
    return np.clip(r, -1, 1)


# -- neighbours along an axis --------------------------------------------------------------------------


def diff(a: Array, n: int = 1, axis: int = -1, prepend: Array = None, append: Array = None) -> Array:
    """Each element minus the one before it, n times."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"np.diff: n must not be negative, got {n}")
    edge = [1 if i == axis % np.ndim(a) else k for i, k in enumerate(np.shape(a))]
    ends = [e if e is None or np.ndim(e) else np.broadcast_to(e, edge) for e in (prepend, append)]
    parts = [part for part in (ends[0], a, ends[1]) if part is not None]
    row = np.moveaxis(np.concatenate(parts, axis) if len(parts) > 1 else a, axis, -1)
    for _ in range(n):
        row = row[..., 1:] - row[..., :-1]
    return np.moveaxis(row, -1, axis)


def ediff1d(ary: Array, to_end: Array = None, to_begin: Array = None) -> Array:
    """Each element minus the one before it, between the numbers to begin and to end with, in the type of the array."""
    row = np.ravel(ary)
    ends = [None if e is None else np.ravel(e) for e in (to_begin, to_end)]
    for name, end in zip(("to_begin", "to_end"), ends):
        if end is not None and not np.can_cast(end.dtype, row.dtype, "same_kind"):
            raise TypeError(f"np.ediff1d: {name} of type {end.dtype} does not fit an array of type {row.dtype}")
    parts = [part for part in (ends[0], row[1:] - row[:-1], ends[1]) if part is not None]
    return np.concatenate(parts).astype(row.dtype, copy=False) if len(parts) > 1 else parts[0]


def gradient(f: Array, *varargs: Any, axis: Axis = None, edge_order: int = 1) -> Array:
    """Slopes along each axis."""
    axes = normalize_axis_tuple(tuple(range(np.ndim(f))) if axis is None else axis, np.ndim(f))
    spacings = varargs or (1.0,)
    if len(spacings) == 1 and not np.ndim(spacings[0]):
        spacings *= len(axes)
    if len(spacings) != len(axes):
        raise TypeError(f"np.gradient got {len(varargs)} spacings for {len(axes)} axes")
    slopes = tuple(slope_along(f, i, spacing, edge_order) for i, spacing in zip(axes, spacings))
    return slopes[0] if len(slopes) == 1 else slopes


def slope_along(f: Array, axis: int, spacing: Array, edge_order: int) -> Array:
    """Slopes along one axis: from both neighbours, the nearer one with more weight; at the edges from one side."""
    row = np.moveaxis(f, axis, -1)
    n = row.shape[-1]
    if edge_order not in (1, 2) or n < edge_order + 1:
        raise ValueError(f"np.gradient needs edge_order 1 or 2 and edge_order + 1 elements, got edge_order {edge_order} and {n} elements")
    if np.ndim(spacing) and np.shape(spacing) != (n,):
        raise ValueError(f"np.gradient got coordinates of shape {np.shape(spacing)} for {n} elements along axis {axis}")
    width = (np.diff(spacing) if np.ndim(spacing) else np.broadcast_to(spacing, n - 1)).astype(np.result_type(row, 1.0))
    rise = np.diff(row) / width
    left, right = rise[..., :-1], rise[..., 1:]
    share = width[:-1] / (width[:-1] + width[1:])
    inside = left + (right - left) * share
    first, end = rise[..., :1], rise[..., -1:]
    if edge_order == 2:
        first = first - (right - left)[..., :1] * share[:1]
        end = end + (right - left)[..., -1:] * (1 - share[-1:])
    return np.moveaxis(np.concatenate([first, inside, end], axis=-1), -1, axis)


def trapezoid(y: Array, x: Array = None, dx: Array = 1.0, axis: int = -1) -> Array:
    """The area under straight lines from point to point."""
    row = np.moveaxis(y, axis, -1)
    width = dx
    if x is not None:
        width = np.diff(x) if np.ndim(x) == 1 else np.diff(np.moveaxis(x, axis, -1))
    return np.sum(width * (row[..., 1:] + row[..., :-1]) / 2, axis=-1)


# fmt: off
RULES.update({
    within_one:        (lambda g, y, r: g,),
})
COMPOSITES.update({
    np.average:        average,
    np.ptp:            ptp,
    np.nansum:         with_nan_as(0, np.sum),
    np.nanprod:        with_nan_as(1, np.prod),
    np.nancumsum:      with_nan_as(0, np.cumsum),
    np.nancumprod:     with_nan_as(1, np.cumprod),
    np.nanmean:        nanmean,
    np.nanmedian:      nanmedian,
    np.median:         median,
    np.quantile:       quantile,
    np.percentile:     percentile,
    np.nanquantile:    lambda *args, **kwargs: quantile(*args, **kwargs, skip_nan=True),
    np.nanpercentile:  lambda *args, **kwargs: percentile(*args, **kwargs, skip_nan=True),
    np.cov:            cov,
    np.corrcoef:       corrcoef,
    np.diff:           diff,
    np.ediff1d:        ediff1d,
    np.gradient:       gradient,
    np.trapezoid:      trapezoid,
})
# fmt: on

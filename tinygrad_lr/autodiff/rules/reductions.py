"""Rules of functions that reduce axes or run along them: the gradient of a result goes back to all that it was computed from.

Ties share the gradient of a maximum or minimum, to which a start value (``initial``) is one more element; products never
divide, so zeros in the data are as exact as other numbers; the standard deviation of equal numbers has gradient 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, HALF, RULES, UFUNC_METHODS, Array, Function, Rule, dispatching, wide

Axis = int | tuple[int, ...] | None


# -- axes that were reduced ----------------------------------------------------------------------------


def unfold(g: Array, x: Array, axis: Axis) -> Array:
    """``g`` with the axes of ``x`` that were reduced put back, with length 1."""
    if g.ndim == x.ndim:
        return g
    if axis is None:
        return g.reshape((1,) * x.ndim)
    return np.expand_dims(g, axis)


def reduced_axes(x: Array, axis: Axis) -> tuple[int, ...]:
    """The axes that a reduction removes, as a tuple."""
    if axis is None or not x.ndim:
        return tuple(range(x.ndim))
    return normalize_axis_tuple(axis, x.ndim)


def reduced_count(x: Array, y: Array, axis: Axis = None, where: Array = True) -> Array:
    """How many elements of ``x`` went into each element of ``y``; with a mask, as an array that still has the reduced axes."""
    return x.size // max(y.size, 1) if where is True else count_of(np.broadcast_to(where, x.shape), x, axis)


def count_of(mask: Array, x: Array, axis: Axis) -> Array:
    """How many are true along ``axis``, in the type of ``x``; in float32 for float16, which cannot count beyond 2,048."""
    return mask.sum(axis=axis, keepdims=True, dtype=np.result_type(x.dtype, np.float32))


def masked(g: Array, where: Array) -> Array:
    """``g``, and 0 for elements that a mask left out."""
    return g if where is True else np.where(where, g, 0)


# -- sums and means ------------------------------------------------------------------------------------


def sum_input(
    g: Array, y: Array, x: Array, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Array = None, where: Array = True
) -> Array:
    """Every element counts once, and gets the whole gradient."""
    return masked(np.broadcast_to(unfold(g, x, axis), x.shape), where)


def sum_start(g: Array, y: Array, x: Array, axis: Axis, dtype: Any, out: None, keepdims: bool, initial: Array, where: Array = True) -> Array:
    """The start value counts in every sum."""
    return wide(g).sum()


def mean_input(g: Array, y: Array, x: Array, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Array = True) -> Array:
    """The gradient over the number of elements, for each of them."""
    count = reduced_count(x, y, axis, where)
    share = unfold(wide(g) / max(count, 1), x, axis) if where is True else unfold(wide(g), x, axis) / np.maximum(count, 1)
    return masked(np.broadcast_to(share, x.shape), where)


# -- extremes ------------------------------------------------------------------------------------------


def extreme_input(
    g: Array, y: Array, x: Array, axis: Axis = None, out: None = None, keepdims: bool = False, initial: Array = None, where: Array = True
) -> Array:
    """Only the largest (or smallest) elements count; ties share the gradient."""
    extreme, _, count = ties(y, x, axis, initial, where)
    return np.where(extreme, unfold(wide(g), x, axis) / count, 0)


def extreme_start(g: Array, y: Array, x: Array, axis: Axis, out: None, keepdims: bool, initial: Array, where: Array = True) -> Array:
    """As `extreme_input`: the start value is one more element."""
    _, extreme, count = ties(y, x, axis, initial, where)
    return np.where(extreme, unfold(wide(g), x, axis) / count, 0).sum()


def ties(y: Array, x: Array, axis: Axis, initial: Array, where: Array) -> tuple[Array, Array, Array]:
    """Which elements equal the extreme ``y``, whether the start value does, and how many that makes (1 for none, where y is nan)."""
    y = unfold(y, x, axis)
    elements = x == y if where is True else (x == y) & where
    count = count_of(elements, x, axis)
    if initial is None:
        return elements, False, np.maximum(count, 1)
    start = y == (astype(initial, y.dtype) if hasattr(initial, "dtype") else initial)  # in the type that NumPy compares it in
    return elements, start, np.maximum(count + start, 1)


@dispatching
def logaddexp_reduce(x: Array, axis: Axis = 0, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) along ``axis``, shifted by the maximum so that nothing overflows; -inf for no elements, nan for nan.

    Examples
    --------
    >>> print(logaddexp_reduce(np.array([1000.0, 1000.0])))
    1000.6931471805599
    """
    if x.dtype == HALF:
        return logaddexp_reduce(wide(x), axis, keepdims).astype(HALF)
    top = np.max(x, axis=axis, keepdims=True) if x.size else x.sum(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore", over="ignore"):  # log(0) is right where all are -inf, and so is inf beside inf
        return np.log(np.exp(x - top).sum(axis=axis, keepdims=keepdims)) + (top if keepdims else np.squeeze(top, axis))


def logaddexp_reduce_input(g: Array, y: Array, x: Array, axis: Axis = 0, keepdims: bool = False) -> Array:
    """softmax(x); ties of +inf share, and all is 0 where all are -inf."""
    if not x.size:
        return unfold(g, x, axis) * x
    top = unfold(y, x, axis)
    infinite = np.isinf(top)
    row = np.where(infinite & (x != top), -np.inf, np.where(infinite, 0, x))
    return unfold(g, x, axis) * np.where(top == -np.inf, 0, softmax(wide(row), axis))


def logaddexp_over(x: Array, axis: Axis = 0, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Array = None, where: Array = True) -> Array:
    """`logaddexp_reduce` with the other settings of a ufunc's ``reduce``."""
    if dtype is not None:
        x = x.astype(dtype)
    y = logaddexp_reduce(x if where is True else np.where(where, x, -np.inf), axis, keepdims)
    return y if initial is None else np.logaddexp(y, initial)


# -- deviations ----------------------------------------------------------------------------------------


def var_input(
    g: Array,
    y: Array,
    x: Array,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    mean: Array = None,
    correction: float | None = None,
    where: Array = True,
) -> Array:
    """2 (x - mean) / (n - ddof); that the mean moves too adds nothing, because deviations sum to 0."""
    ddof = ddof if correction is None else correction
    x, g = wide(x), unfold(wide(g), x, axis)
    count = reduced_count(x, y, axis, where)
    if where is True:
        centre = x.mean(axis=axis, keepdims=True) if mean is None else mean
        return g * (x - centre) * (2 / (count - ddof if count > ddof else math.nan))  # too few numbers have no variance
    present = np.where(where, x, 0)
    centre = present.sum(axis=axis, keepdims=True) / np.maximum(count, 1) if mean is None else mean
    return np.where(where, g * (present - centre) * (2 / np.where(count > ddof, count - ddof, np.nan)), 0)


def nanvar_input(g: Array, y: Array, x: Array, *args: Any, where: Array = True, **settings: Any) -> Array:
    """As `var_input`, for the numbers that are not nan."""
    return var_input(g, y, x, *args, where=~np.isnan(x) & where, **settings)


def root_of(variance_input: Rule) -> Rule:
    """The rule of a standard deviation y from that of its variance: d sqrt(v) = dv / (2 y), and 0 where all numbers are equal."""

    def std_input(g: Array, y: Array, x: Array, axis: Axis = None, *settings: Any, **named: Any) -> Array:
        if not x.size:
            return np.zeros_like(x)
        flat = all_equal(x, axis, named.get("where", True)).reshape(y.shape) if named.get("mean") is None else y == 0
        return variance_input(np.where(flat, 0, g / (2 * np.where(flat, 1, y))), y, x, axis, *settings, **named)

    return std_input


def all_equal(x: Array, axis: Axis, where: Array = True) -> Array:
    """Whether the numbers of each reduction are equal, nan aside. (Rounding can leave equal numbers with a tiny deviation.)"""
    missing = np.isnan(x) if where is True else ~(~np.isnan(x) & where)
    return np.where(missing, -np.inf, x).max(axis=axis, keepdims=True) <= np.where(missing, np.inf, x).min(axis=axis, keepdims=True)


# -- products and running sums -------------------------------------------------------------------------


def as_last_axis(x: Array, axes: tuple[int, ...]) -> Array:
    """``x`` with ``axes`` moved to the end and joined into one."""
    x = np.moveaxis(x, axes, range(-len(axes), 0))
    kept = x.ndim - len(axes)
    return x.reshape((*x.shape[:kept], math.prod(x.shape[kept:])))


def shifted(x: Array) -> Array:
    """1, then ``x`` without its last element, along the last axis."""
    return np.concatenate([np.ones_like(x[..., :1]), x[..., :-1]], axis=-1)


def product_before(x: Array) -> Array:
    """The product of all elements before each one, along the last axis."""
    return np.cumprod(shifted(x), axis=-1)


def flipped(x: Array) -> Array:
    """The last axis in reverse."""
    return np.flip(x, -1)


def recurrence(g: Array, x: Array) -> Array:
    """r[i] = g[i] + x[i] r[i-1] along the last axis.

    Steps are combined in pairs, in pairs of pairs and so on: log2(n) passes over whole arrays instead of n steps.
    """
    step = 1
    while step < g.shape[-1]:
        g = np.concatenate([g[..., :step], g[..., step:] + x[..., step:] * g[..., :-step]], axis=-1)
        x = np.concatenate([x[..., :step], x[..., step:] * x[..., :-step]], axis=-1)
        step *= 2
    return g


def prod_input(
    g: Array, y: Array, x: Array, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Array = None, where: Array = True
) -> Array:
    """The product of all others: of those before, times those after."""
    axes = reduced_axes(x, axis)
    last = range(-len(axes), 0)
    row = as_last_axis(x if where is True else np.where(where, x, 1), axes)
    others = (product_before(row) * flipped(product_before(flipped(row)))).reshape(np.moveaxis(x, axes, last).shape)
    g = unfold(g if initial is None else g * initial, x, axis)
    return masked(g * np.moveaxis(others, last, axes), where)


def prod_start(g: Array, y: Array, x: Array, axis: Axis, dtype: Any, out: None, keepdims: bool, initial: Array, where: Array = True) -> Array:
    """The product of all elements."""
    elements = x if where is True else np.where(where, x, 1)
    return (wide(unfold(g, x, axis)) * np.prod(elements, axis=axis, keepdims=True)).sum()


def cumprod_input(g: Array, y: Array, x: Array, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """The product of those before, times r[i] = g[i] + x[i+1] r[i+1], the gradient of all products from here on."""
    if axis is None or not x.ndim:
        return cumprod_input(g, y, x.reshape(-1), 0).reshape(x.shape)
    row, g = x.swapaxes(axis, -1), wide(g).swapaxes(axis, -1)
    after = flipped(recurrence(flipped(g), shifted(flipped(row))))
    return (product_before(row) * after).swapaxes(axis, -1)


def cumsum_input(g: Array, y: Array, x: Array, axis: int | None = None, dtype: Any = None, out: None = None) -> Array:
    """Each element counts in all sums from its place on."""
    if axis is None or not x.ndim:
        return cumsum_input(g, y, x.reshape(-1), 0).reshape(x.shape)
    return np.flip(np.cumsum(np.flip(wide(g), axis), axis), axis)


def cumulative(func: Function, start: float) -> Function:
    """``func`` along an axis, with its start value in front if asked for."""

    def call(x: Array, /, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False) -> Array:
        x = np.atleast_1d(x)
        if axis is None and x.ndim > 1:
            raise ValueError(f"np.cumulative_sum and np.cumulative_prod of an array of shape {x.shape} need an axis")
        y = func(x, 0 if axis is None else axis, dtype)
        if not include_initial:
            return y
        first = np.full_like(y, start, shape=[1 if i == (axis or 0) % y.ndim else n for i, n in enumerate(y.shape)])
        return np.concatenate([first, y], axis or 0)

    return call


# -- running extremes ----------------------------------------------------------------------------------


@dispatching
def running_max(x: Array, axis: int = 0, dtype: Any = None) -> Array:
    """The largest number so far.

    Examples
    --------
    >>> print(running_max(np.array([1.0, 3.0, 2.0])))
    [1. 3. 3.]
    """
    return np.maximum.accumulate(x, axis, dtype)


@dispatching
def running_min(x: Array, axis: int = 0, dtype: Any = None) -> Array:
    """The smallest number so far.

    Examples
    --------
    >>> print(running_min(np.array([2.0, 1.0, 3.0])))
    [2. 1. 1.]
    """
    return np.minimum.accumulate(x, axis, dtype)


def running_extreme_input(g: Array, y: Array, x: Array, axis: int = 0, dtype: Any = None) -> Array:
    """Only the largest (or smallest) elements so far count; ties share the gradient."""
    axis = axis or 0  # None is for a vector
    row, best, g = x.astype(y.dtype, copy=False).swapaxes(axis, -1), y.swapaxes(axis, -1), g.swapaxes(axis, -1)
    same = np.concatenate([np.zeros((*best.shape[:-1], 1), bool), best[..., 1:] == best[..., :-1]], axis=-1)
    equal = row == best
    count = recurrence(equal.astype(np.result_type(x.dtype, np.float32)), same)
    again = np.concatenate([same[..., 1:], np.zeros_like(same[..., :1])], axis=-1)
    later = flipped(recurrence(flipped(g / np.maximum(count, 1)), flipped(again)))
    return np.where(equal, later, 0).swapaxes(axis, -1)


# -- shares of a whole ---------------------------------------------------------------------------------


@dispatching
def softmax(z: Array, axis: Axis = -1) -> Array:
    """exp(z) / sum(exp(z)) along ``axis``, shifted by the maximum so that nothing overflows.

    Examples
    --------
    >>> print(softmax(np.array([1000.0, 1000.0, -1000.0])))
    [0.5 0.5 0. ]
    """
    z = z if hasattr(z, "dtype") else np.asarray(z)
    if z.dtype == HALF:
        return softmax(wide(z), axis).astype(HALF)
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@dispatching
def log_softmax(z: Array, axis: Axis = -1) -> Array:
    """log(softmax(z)) along ``axis``, right where the softmax itself would round to 0.

    Examples
    --------
    >>> print(log_softmax(np.array([1000.0, 0.0])))
    [    0. -1000.]
    """
    z = z if hasattr(z, "dtype") else np.asarray(z)
    if z.dtype == HALF:
        return log_softmax(wide(z), axis).astype(HALF)
    shifted = z - np.max(z, axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def logsumexp(z: Array, axis: Axis = None, b: Array = None, keepdims: bool = False) -> Array:
    """log(sum(b exp(z))) along ``axis``, without overflow; -inf for no elements.

    Parameters
    ----------
    z : array_like
        The numbers whose exponentials are summed. Several +inf share the gradient; it is 0 where all are -inf.
    axis : int, tuple of int, or None
        The axes to sum along; by default all.
    b : array_like, optional
        Constant weights, none of them negative, that broadcast against ``z``. What has weight 0 does not count, even inf or nan.
    keepdims : bool
        Whether the axes are kept, with length 1.

    Returns
    -------
    array
        What `scipy.special.logsumexp` returns, in the shape of a sum along ``axis``.

    Raises
    ------
    ValueError
        If a weight is negative.
    TypeError
        If the weights are a tracked Tensor.

    Examples
    --------
    >>> print(logsumexp(np.array([1000.0, 1000.0])), logsumexp(np.array([0.0, 1.0]), b=[3, 0]).round(6))
    1000.6931471805599 1.098612
    """
    if b is not None:
        b = np.asarray(b)
        if np.any(b < 0):
            raise ValueError(f"logsumexp: weights must not be negative, got {np.min(b)}")
        z = np.where(b == 0, -np.inf, z + np.log(np.where(b == 0, 1, b)))
    elif not hasattr(z, "dtype"):
        z = np.asarray(z, float)
    return logaddexp_reduce(z, axis, keepdims)


# fmt: off
RULES.update({
    np.sum:            (sum_input, None, None, None, None, sum_start),
    np.mean:           (mean_input,),
    np.max:            (extreme_input, None, None, None, extreme_start),
    np.min:            (extreme_input, None, None, None, extreme_start),
    np.nanmax:         (extreme_input, None, None, None, extreme_start),
    np.nanmin:         (extreme_input, None, None, None, extreme_start),
    np.prod:           (prod_input, None, None, None, None, prod_start),
    np.cumsum:         (cumsum_input,),
    np.cumprod:        (cumprod_input,),
    running_max:       (running_extreme_input,),
    running_min:       (running_extreme_input,),
    np.var:            (var_input,),
    np.std:            (root_of(var_input),),
    np.nanvar:         (nanvar_input,),
    np.nanstd:         (root_of(nanvar_input),),
    logaddexp_reduce:  (logaddexp_reduce_input,),
    softmax:           (lambda g, y, z, axis=-1: y * (g - wide(g * y).sum(axis=axis, keepdims=True)),),
    log_softmax:       (lambda g, y, z, axis=-1: g - np.exp(y) * wide(g).sum(axis=axis, keepdims=True),),
})
COMPOSITES.update({
    np.amax:           np.max,
    np.amin:           np.min,
    logsumexp:         logsumexp,  # for the table and the checks; its calls need no dispatch
})
UFUNC_METHODS.update({
    (np.add, "reduce"):           np.sum,
    (np.multiply, "reduce"):      np.prod,
    (np.maximum, "reduce"):       np.max,
    (np.minimum, "reduce"):       np.min,
    (np.logaddexp, "reduce"):     logaddexp_over,
    (np.add, "accumulate"):       np.cumsum,
    (np.multiply, "accumulate"):  np.cumprod,
    (np.maximum, "accumulate"):   running_max,
    (np.minimum, "accumulate"):   running_min,
})
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    COMPOSITES.update({
        np.cumulative_sum:   cumulative(np.cumsum, 0),
        np.cumulative_prod:  cumulative(np.cumprod, 1),
    })
# fmt: on

"""Rules of functions that move, select and join elements: the gradient of each goes back to where it came from.

The trick for many of them: NumPy can rearrange the indices 0, 1, 2, ... in place of the elements. So `rearranged` calls
it on indices, and then takes the elements by them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, VIEWS, WRITING, Array, Each, Function, dispatching, is_recorded, like, wide

# -- indexing ------------------------------------------------------------------------------------------


@dispatching
def getitem(x: Array, index: Any) -> Array:
    """``x[index]``, for every kind of index that NumPy has."""
    return x[index]


@dispatching
def scatter(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of ``shape`` with ``g`` added at ``index``: an element selected twice gets both gradients."""
    once = selects_once(index)
    x = np.zeros_like(g if once else wide(g), shape=shape)
    if once:
        x[index] = g
    else:
        np.add.at(x, index, g)
    return x.astype(g.dtype, copy=False)


def selects_once(index: Any) -> bool:
    """Whether ``index`` consists of slices, integers and masks, which cannot select an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, slice | int | np.integer | np.bool) or is_mask(part) for part in parts)


def is_mask(part: Any) -> bool:
    return getattr(part, "dtype", None) == np.dtype(bool)


def index_along(axis: int, index: Any) -> tuple[Any, ...]:
    """``index`` on one axis, and everything on the axes before it."""
    return (*[slice(None)] * axis, index)


def take(a: Array, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Array:
    """``a[indices]`` along an axis; the mode says what becomes of indices out of range."""
    if axis is None:
        a, axis = np.ravel(a), 0
    valid: Any = np.take(np.arange(a.shape[axis]), indices, mode=mode)  # type: ignore[call-overload]
    return a[index_along(axis % a.ndim, valid)]


# -- rearranging indices in place of elements ----------------------------------------------------------


def rearranged(func: Function, *sources: str) -> Function:
    """``func``, which only rearranges the elements of its arguments ``sources``, for arguments that are Tensors."""
    signature = inspect.signature(func)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        elements: list[Array] = []
        for name, value in bound.arguments.items():
            if name in sources:
                bound.arguments[name] = indices_of(value, elements)
            elif is_recorded(value):  # indices and masks, which say where to and have no gradient
                bound.arguments[name] = np.asarray(value)
        indices = func(*bound.args, **bound.kwargs)
        pool = elements[0] if len(elements) == 1 else np.concatenate(elements)
        return [pool[index] for index in indices] if isinstance(indices, list) else pool[indices]

    return call


def indices_of(x: Any, elements: list[Array]) -> Any:
    """Indices in place of the elements of ``x``, which are appended to ``elements``."""
    if isinstance(x, list | tuple):
        return [indices_of(part, elements) for part in x]
    start = sum(e.size for e in elements)
    elements.append(np.ravel(x))
    return np.arange(start, start + np.size(x)).reshape(np.shape(x))


def reshaped(func: Function) -> Function:
    """``func``, which only changes the shape of each of its arguments; NumPy finds the new one from a stand-in without data."""

    def call(*arrays: Array) -> Any:
        results = tuple(np.reshape(a, func(np.broadcast_to(0, np.shape(a))).shape) for a in arrays)
        return results[0] if len(results) == 1 else results

    return call


rearranged_insert, rearranged_pad = rearranged(np.insert, "arr", "values"), rearranged(np.pad, "array")


def insert(arr: Array, obj: Any, values: Any, axis: int | None = None) -> Array:
    """The elements of both arrays in their new order, in the type of the first."""
    return rearranged_insert(arr, obj, values, axis).astype(arr.dtype, copy=False)


def pad(array: Array, pad_width: Any, mode: str = "constant", **settings: Any) -> Array:
    """The elements with a border of zeros or other constants, or of elements again, as the mode says."""
    if mode == "constant":
        padded = put_in(array, np.pad(np.ones(array.shape, bool), pad_width))
        return padded + np.pad(np.zeros(array.shape, array.dtype), pad_width, **settings) if settings else padded
    if mode in ("edge", "reflect", "symmetric", "wrap") and settings.get("reflect_type", "even") == "even":
        return rearranged_pad(array, pad_width, mode)
    raise TypeError(f"np.pad on a Tensor has rules for constant, edge, wrap and even reflect and symmetric borders, not for {mode!r} with {settings}")


def put_in(x: Array, mask: Array) -> Array:
    """The elements of ``x``, in order, where ``mask`` is true, and zeros elsewhere."""
    return scatter(np.ravel(x), mask, mask.shape)


def diag(v: Array, k: int = 0) -> Array:
    """The diagonal of a matrix, or a matrix with that diagonal."""
    return np.diagonal(v, k) if v.ndim == 2 else put_in(v, np.diag(np.ones(v.shape, bool), k))


def sort(a: Array, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: bool | None = None) -> Array:
    """In the order of `numpy.argsort`; equal elements keep their order."""
    return np.take_along_axis(a, np.argsort(a, axis, kind="stable"), axis)


def partition(a: Array, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: None = None) -> Array:
    return np.take_along_axis(a, np.argpartition(a, kth, axis, kind), axis)


def full_like(a: Array, fill_value: Array, *settings: Any, **named: Any) -> Array:
    """The fill value everywhere, in the shape and type of ``a``."""
    zeros = np.zeros_like(a, *settings, **named)
    return (zeros + fill_value).astype(zeros.dtype)


def select(condlist: Sequence[Any], choicelist: Sequence[Array], default: Array = 0) -> Array:
    """The first choice whose condition holds."""
    if len(condlist) != len(choicelist):
        raise ValueError(f"np.select got {len(condlist)} conditions for {len(choicelist)} choices")
    for condition, choice in reversed(list(zip(condlist, choicelist))):
        default = np.where(condition, choice, default)
    return default


# -- joining and splitting -----------------------------------------------------------------------------


@dispatching
def concatenate(*arrays: Array, axis: int = 0, **settings: Any) -> Array:
    """`numpy.concatenate` with one argument per array."""
    return np.concatenate(arrays, axis, **settings)


def concatenate_input(i: int, g: Array, y: Array, *arrays: Array, axis: int = 0, **settings: Any) -> Array:
    """The part of ``g`` that belongs to array ``i``."""
    start = sum(np.shape(a)[axis] for a in arrays[:i])
    return g[index_along(axis % g.ndim, slice(start, start + arrays[i].shape[axis]))]


def concatenate_sequence(arrays: Sequence[Array], axis: int | None = 0, out: None = None, **settings: Any) -> Array:
    """The arrays one after the other along an axis."""
    if out is not None:  # by position: before NumPy 2.3 the function did not say which of its arguments is out
        raise TypeError("out=... on a Tensor: results are never written in place, because the graph needs what was there")
    return concatenate(*map(np.ravel, arrays), **settings) if axis is None else concatenate(*arrays, axis=axis, **settings)


def stack(arrays: Sequence[Array], axis: int = 0, out: None = None, **settings: Any) -> Array:
    return concatenate_sequence([np.expand_dims(a, axis) for a in arrays], axis, out, **settings)


def hstack(tup: Sequence[Array], **settings: Any) -> Array:
    """`numpy.concatenate` along the second axis; for vectors, along their only one."""
    rows = [np.atleast_1d(a) for a in tup]
    return concatenate_sequence(rows, axis=0 if rows[0].ndim == 1 else 1, **settings)


def column_stack(tup: Sequence[Array]) -> Array:
    return concatenate_sequence([a if np.ndim(a) > 1 else np.atleast_2d(a).T for a in tup], axis=1)


def as_slices(func: Function) -> Function:
    """``func``, which splits an array along an axis, as slices."""

    def call(ary: Array, indices_or_sections: Any, axis: int = 0) -> list[Array]:
        parts = func(np.arange(ary.shape[axis]), indices_or_sections)
        return [ary[index_along(axis % ary.ndim, slice(p[0], p[-1] + 1) if p.size else slice(0))] for p in parts]

    return call


def broadcast_arrays(*args: Array, subok: bool = False) -> tuple[Array, ...]:
    """Each array broadcast to the shape that fits all."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


# -- turning and reshaping -----------------------------------------------------------------------------


def transpose_input(g: Array, y: Array, x: Array, axes: Sequence[int] | None = None) -> Array:
    """Transposed by the inverse permutation."""
    return np.transpose(g) if axes is None else np.transpose(g, np.argsort([a % x.ndim for a in axes]).tolist())


def rollaxis(a: Array, axis: int, start: int = 0) -> Array:
    """Transposed; NumPy finds the permutation, from an array whose k-th axis has length k."""
    return np.transpose(a, np.rollaxis(np.empty(range(a.ndim)), axis, start).shape)


def reshape_input(g: Array, y: Array, x: Array, shape: Any, order: str = "C", *, copy: bool | None = None) -> Array:
    """The same elements in the shape of ``x``, read and written in the same order."""
    if order == "C":
        return g.reshape(x.shape)
    if order == "F":
        return np.reshape(g, x.shape, order="F")
    raise ValueError(f"order={order!r} depends on how the data lies in memory, so there is no rule for it: say order='C' or order='F'")


# fmt: off
RULES.update({
    getitem:              (lambda g, y, x, index: scatter(g, index, x.shape),),
    scatter:              (lambda h, y, g, index, shape: getitem(h, index),),
    concatenate:          Each(concatenate_input),

    np.reshape:           (reshape_input,),
    np.ravel:             (lambda g, y, x, order="C": reshape_input(g, y, x, -1, order),),
    np.squeeze:           (lambda g, y, x, axis=None: g.reshape(x.shape),),
    np.expand_dims:       (lambda g, y, x, axis: g.reshape(x.shape),),
    np.broadcast_to:      (lambda g, y, x, shape, subok=False: like(g, x),),

    np.transpose:         (transpose_input,),
    np.matrix_transpose:  (lambda g, y, x: np.swapaxes(g, -1, -2),),
    np.swapaxes:          (lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2),),
    np.moveaxis:          (lambda g, y, x, source, destination: np.moveaxis(g, destination, source),),

    np.flip:              (lambda g, y, x, axis=None: np.flip(g, axis),),
    np.flipud:            (lambda g, y, x: np.flipud(g),),
    np.fliplr:            (lambda g, y, x: np.fliplr(g),),
    np.rot90:             (lambda g, y, x, k=1, axes=(0, 1): np.rot90(g, -k, axes),),
    np.roll:              (lambda g, y, x, shift, axis=None: np.roll(g, np.negative(shift), axis),),
    np.tril:              (lambda g, y, x, k=0: like(np.tril(g, k), x),),
    np.triu:              (lambda g, y, x, k=0: like(np.triu(g, k), x),),
})
COMPOSITES.update({
    np.copy:              lambda a, order="K", subok=False: np.positive(a),
    np.atleast_1d:        reshaped(np.atleast_1d),
    np.atleast_2d:        reshaped(np.atleast_2d),
    np.atleast_3d:        reshaped(np.atleast_3d),
    np.rollaxis:          rollaxis,
    np.linalg.matrix_transpose: np.matrix_transpose,
    np.broadcast_arrays:  broadcast_arrays,
    np.full_like:         full_like,

    np.concatenate:       concatenate_sequence,
    np.stack:             stack,
    np.vstack:            lambda tup, **settings: concatenate_sequence([np.atleast_2d(a) for a in tup], **settings),
    np.hstack:            hstack,
    np.dstack:            lambda tup: concatenate_sequence([np.atleast_3d(a) for a in tup], axis=2),
    np.column_stack:      column_stack,
    np.append:            lambda arr, values, axis=None: concatenate_sequence((arr, values), axis),
    np.block:             rearranged(np.block, "arrays"),

    np.split:             as_slices(np.split),
    np.array_split:       as_slices(np.array_split),
    np.hsplit:            rearranged(np.hsplit, "ary"),
    np.vsplit:            rearranged(np.vsplit, "ary"),
    np.dsplit:            rearranged(np.dsplit, "ary"),

    np.take:              take,
    np.take_along_axis:   rearranged(np.take_along_axis, "arr"),
    np.compress:          rearranged(np.compress, "a"),
    np.extract:           rearranged(np.extract, "arr"),
    np.delete:            rearranged(np.delete, "arr"),
    np.insert:            insert,
    np.choose:            rearranged(np.choose, "choices"),
    np.select:            select,
    np.sort:              sort,
    np.partition:         partition,

    np.tile:              rearranged(np.tile, "A"),
    np.repeat:            rearranged(np.repeat, "a"),
    np.resize:            rearranged(np.resize, "a"),
    np.pad:               pad,
    sliding_window_view:  rearranged(sliding_window_view, "x"),

    np.diag:              diag,
    np.diagflat:          lambda v, k=0: put_in(v, np.diagflat(np.ones(np.shape(v), bool), k)),
    np.diagonal:          rearranged(np.diagonal, "a"),
    np.linalg.diagonal:   lambda x, *, offset=0: np.diagonal(x, offset, -2, -1),
})
if hasattr(np, "unstack"):  # NumPy 2.1
    COMPOSITES.update({np.unstack: lambda x, axis=0: tuple(np.moveaxis(x, axis, 0))})
VIEWS.update((np.reshape, np.ravel, np.squeeze, np.expand_dims, np.transpose, np.swapaxes, getitem))
WRITING.update((np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis))
# fmt: on

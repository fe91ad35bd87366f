"""Rules of functions that move, pick and join elements: the gradient takes the way back.

The trick for many of them: what NumPy does to elements, it does to their numbers 0, 1, 2, ... as well.
So `rearranged` lets NumPy move the numbers, and then picks the elements by them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, VIEWS, WRITING, Array, Each, Function, dispatching, is_recorded, like, wide

# -- picking and putting -------------------------------------------------------------------------------


@dispatching
def getitem(x: Array, index: Any) -> Array:
    """``x[index]``, for every index NumPy knows."""
    return x[index]


@dispatching
def scatter(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of ``shape`` with ``g`` added at ``index``: an element picked twice gets both gradients."""
    once = picks_once(index)
    x = np.zeros_like(g if once else wide(g), shape=shape)
    if once:
        x[index] = g
    else:
        np.add.at(x, index, g)
    return x.astype(g.dtype, copy=False)


def picks_once(index: Any) -> bool:
    """Whether ``index`` holds only slices, integers and masks, which cannot name an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, slice | int | np.integer | np.bool) or is_mask(part) for part in parts)


def is_mask(part: Any) -> bool:
    return getattr(part, "dtype", None) == np.dtype(bool)


def along(axis: int, index: Any) -> tuple[Any, ...]:
    """``index`` on one axis, and all of the axes before it."""
    return (*[slice(None)] * axis, index)


def take(a: Array, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Array:
    """`x[indices]` along an axis, places beyond the ends read as NumPy's mode says."""
    refuse_out(out)
    if axis is None:
        a, axis = np.ravel(a), 0
    places: Any = np.take(np.arange(a.shape[axis]), indices, mode=mode)  # type: ignore[call-overload]
    return a[along(axis % a.ndim, places)]


def refuse_out(out: Any) -> None:
    if out is not None:
        raise TypeError("out=... on a Tensor: results are never written in place, because the graph needs what was there")


# -- moving elements by moving their numbers -----------------------------------------------------------


def rearranged(func: Function, *sources: str) -> Function:
    """``func``, which only moves elements of its arguments ``sources`` about, for arguments that are Tensors."""
    signature = inspect.signature(func)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        refuse_out(bound.arguments.get("out"))
        elements: list[Array] = []
        for name, value in bound.arguments.items():
            if name in sources:
                bound.arguments[name] = numbered(value, elements)
            elif is_recorded(value):  # indices and masks, which say where to and have no gradient
                bound.arguments[name] = np.asarray(value)
        places = func(*bound.args, **bound.kwargs)
        pool = elements[0] if len(elements) == 1 else np.concatenate(elements)
        return [pool[place] for place in places] if isinstance(places, list) else pool[places]

    return call


def numbered(x: Any, elements: list[Array]) -> Any:
    """The numbers of the elements of ``x``; they go on where those of ``elements`` end, to which the elements are added."""
    if isinstance(x, list | tuple):
        return [numbered(part, elements) for part in x]
    start = sum(e.size for e in elements)
    elements.append(np.ravel(x))
    return np.arange(start, start + np.size(x)).reshape(np.shape(x))


def relaid(func: Function) -> Function:
    """``func``, which only gives each of its arguments another shape; NumPy tells the shape from a stand-in without data."""

    def call(*arrays: Array) -> Any:
        answers = tuple(np.reshape(a, func(np.broadcast_to(0, np.shape(a))).shape) for a in arrays)
        return answers[0] if len(answers) == 1 else answers

    return call


moved_insert, moved_pad = rearranged(np.insert, "arr", "values"), rearranged(np.pad, "array")


def insert(arr: Array, obj: Any, values: Any, axis: int | None = None) -> Array:
    """The elements of both arrays in their new order, in the type of the first."""
    answer = moved_insert(arr, obj, values, axis)
    return answer if answer.dtype == arr.dtype else answer.astype(arr.dtype)


def pad(array: Array, pad_width: Any, mode: str = "constant", **settings: Any) -> Array:
    """The elements among zeros or other constants, or repeated as the border's mode says."""
    if mode == "constant":
        padded = placed(array, np.pad(np.ones(array.shape, bool), pad_width))
        return padded + np.pad(np.zeros(array.shape, array.dtype), pad_width, **settings) if settings else padded
    if mode in ("edge", "reflect", "symmetric", "wrap") and settings.get("reflect_type", "even") == "even":
        return moved_pad(array, pad_width, mode)
    raise TypeError(f"np.pad on a Tensor has rules for constant, edge, wrap and even reflect and symmetric borders, not for {mode!r} with {settings}")


def placed(x: Array, mask: Array) -> Array:
    """The elements of ``x``, in order, where ``mask`` is true, and zeros elsewhere."""
    return scatter(np.ravel(x), mask, mask.shape)


def diag(v: Array, k: int = 0) -> Array:
    """The diagonal of a matrix, or a matrix with that diagonal."""
    return np.diagonal(v, k) if v.ndim == 2 else placed(v, np.diag(np.ones(v.shape, bool), k))


def trace(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Array:
    """The sum of the diagonal."""
    refuse_out(out)
    return np.sum(np.diagonal(a, offset, axis1, axis2), -1, dtype)


def sort(a: Array, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: bool | None = None) -> Array:
    """In the order of `numpy.argsort`; equal elements stay as they were."""
    return np.take_along_axis(a, np.argsort(a, axis, kind="stable"), axis)


def partition(a: Array, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: None = None) -> Array:
    return np.take_along_axis(a, np.argpartition(a, kth, axis, kind), axis)


def full_like(a: Array, fill_value: Array, *settings: Any, **named: Any) -> Array:
    """The fill value everywhere; of ``a`` only shape and type count."""
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
def joined(*arrays: Array, axis: int = 0, **settings: Any) -> Array:
    """`numpy.concatenate` with one argument per array."""
    return np.concatenate(arrays, axis, **settings)


def joined_input(i: int, g: Array, y: Array, *arrays: Array, axis: int = 0, **settings: Any) -> Array:
    """The piece of ``g`` that came from array ``i``."""
    start = sum(np.shape(a)[axis] for a in arrays[:i])
    return g[along(axis % g.ndim, slice(start, start + arrays[i].shape[axis]))]


def concatenate(arrays: Sequence[Array], axis: int | None = 0, out: None = None, **settings: Any) -> Array:
    """The arrays one behind the other along an axis; their gradients are cut from the answer's."""
    refuse_out(out)
    if axis is None:
        return joined(*map(np.ravel, arrays), **settings)
    return joined(*arrays, axis=axis, **settings)


def stack(arrays: Sequence[Array], axis: int = 0, out: None = None, **settings: Any) -> Array:
    return concatenate([np.expand_dims(a, axis) for a in arrays], axis, out, **settings)


def hstack(tup: Sequence[Array], **settings: Any) -> Array:
    """`concatenate` along the second axis, of vectors along their only one."""
    rows = [np.atleast_1d(a) for a in tup]
    return concatenate(rows, axis=0 if rows[0].ndim == 1 else 1, **settings)


def column_stack(tup: Sequence[Array]) -> Array:
    return concatenate([a if np.ndim(a) > 1 else np.atleast_2d(a).T for a in tup], axis=1)


def in_pieces(func: Function) -> Function:
    """``func``, which cuts an array along an axis, as slices."""

    def call(ary: Array, indices_or_sections: Any, axis: int = 0) -> list[Array]:
        pieces = func(np.arange(ary.shape[axis]), indices_or_sections)
        return [ary[along(axis % ary.ndim, slice(p[0], p[-1] + 1) if p.size else slice(0))] for p in pieces]

    return call


def broadcast_arrays(*args: Array, subok: bool = False) -> tuple[Array, ...]:
    """Each array repeated to the shape they have in common."""
    shape = np.broadcast_shapes(*map(np.shape, args))
    return tuple(np.broadcast_to(a, shape) for a in args)


# -- turning and reshaping -----------------------------------------------------------------------------


def transpose_input(g: Array, y: Array, x: Array, axes: Sequence[int] | None = None) -> Array:
    """Transposed by the inverse permutation."""
    return np.transpose(g) if axes is None else np.transpose(g, np.argsort([a % x.ndim for a in axes]).tolist())


def rollaxis(a: Array, axis: int, start: int = 0) -> Array:
    """Transposed; an array whose axes have their own numbers as lengths tells the permutation."""
    return np.transpose(a, np.rollaxis(np.empty(range(a.ndim)), axis, start).shape)


def same_shape(g: Array, y: Array, x: Array, *args: Any, **kwargs: Any) -> Array:
    """The same elements in the same order: only the shape goes back."""
    return g.reshape(x.shape)


def reshape_input(g: Array, y: Array, x: Array, shape: Any, order: str = "C", *, copy: bool | None = None) -> Array:
    """`same_shape`, with the elements read and laid out in the same order."""
    if order == "C":
        return g.reshape(x.shape)
    if order == "F":
        return np.reshape(g, x.shape, order="F")
    raise ValueError(f"order={order!r} depends on how the data lies in memory, so there is no rule for it: say order='C' or order='F'")


# fmt: off
RULES.update({
    getitem:              (lambda g, y, x, index: scatter(g, index, x.shape),),
    scatter:              (lambda h, y, g, index, shape: getitem(h, index),),
    joined:               Each(joined_input),

    np.reshape:           (reshape_input,),
    np.ravel:             (lambda g, y, x, order="C": reshape_input(g, y, x, -1, order),),
    np.squeeze:           (same_shape,),
    np.expand_dims:       (same_shape,),
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
    np.atleast_1d:        relaid(np.atleast_1d),
    np.atleast_2d:        relaid(np.atleast_2d),
    np.atleast_3d:        relaid(np.atleast_3d),
    np.rollaxis:          rollaxis,
    np.broadcast_arrays:  broadcast_arrays,
    np.full_like:         full_like,

    np.concatenate:       concatenate,
    np.stack:             stack,
    np.vstack:            lambda tup, **settings: concatenate([np.atleast_2d(a) for a in tup], **settings),
    np.hstack:            hstack,
    np.dstack:            lambda tup: concatenate([np.atleast_3d(a) for a in tup], axis=2),
    np.column_stack:      column_stack,
    np.append:            lambda arr, values, axis=None: concatenate((arr, values), axis),
    np.block:             rearranged(np.block, "arrays"),

    np.split:             in_pieces(np.split),
    np.array_split:       in_pieces(np.array_split),
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
    np.diagflat:          lambda v, k=0: placed(v, np.diagflat(np.ones(np.shape(v), bool), k)),
    np.diagonal:          rearranged(np.diagonal, "a"),
    np.trace:             trace,
})
if hasattr(np, "unstack"):  # NumPy 2.1
    COMPOSITES.update({
        np.unstack:       lambda x, axis=0: tuple(np.moveaxis(x, axis, 0)),
    })
VIEWS.update((np.reshape, np.ravel, np.squeeze, np.expand_dims, np.transpose, np.swapaxes, getitem))
WRITING.update((np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis))
# fmt: on

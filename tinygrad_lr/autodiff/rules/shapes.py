"""Rules of functions that move, pick and join elements: the gradient takes the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, Each, dispatching, like


@dispatching
def getitem(x: Array, index: Any) -> Array:
    """``x[index]``, for every index NumPy knows."""
    return x[index]


@dispatching
def scatter(g: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of ``shape`` with ``g`` added at ``index``: an element picked twice gets both gradients."""
    x = np.zeros_like(g, shape=shape)
    if picks_once(index):
        x[index] = g
    else:
        np.add.at(x, index, g)
    return x


def picks_once(index: Any) -> bool:
    """Whether ``index`` holds only slices, integers and masks, which cannot name an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, slice | int | np.integer | np.bool) or getattr(part, "dtype", None) == bool for part in parts)


@dispatching
def joined(*arrays: Array, axis: int = 0) -> Array:
    """`numpy.concatenate` with one argument per array."""
    return np.concatenate(arrays, axis)


def joined_input(i: int, g: Array, y: Array, *arrays: Array, axis: int = 0) -> Array:
    """The piece of ``g`` that came from array ``i``."""
    start = sum(a.shape[axis] for a in arrays[:i])
    piece = slice(start, start + arrays[i].shape[axis])
    return g[(slice(None),) * (axis % g.ndim) + (piece,)]


def concatenate(arrays: Sequence[Array], axis: int | None = 0) -> Array:
    if axis is None:
        return joined(*[np.ravel(a) for a in arrays])
    return joined(*arrays, axis=axis)


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    return joined(*[np.expand_dims(a, axis) for a in arrays], axis=axis)


def transpose_input(g: Array, y: Array, x: Array, axes: Sequence[int] | None = None) -> Array:
    """Transposed by the inverse permutation."""
    return np.transpose(g) if axes is None else np.transpose(g, np.argsort([a % x.ndim for a in axes]))


def same_shape(g: Array, y: Array, x: Array, *args: Any, **kwargs: Any) -> Array:
    """The same elements in the same order: only the shape goes back."""
    return g.reshape(x.shape)


# fmt: off
RULES.update({
    np.reshape:       (same_shape,),
    np.ravel:         (same_shape,),
    np.squeeze:       (same_shape,),
    np.expand_dims:   (same_shape,),
    np.transpose:     (transpose_input,),
    np.swapaxes:      (lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2),),
    np.broadcast_to:  (lambda g, y, x, shape: like(g, x),),
    getitem:          (lambda g, y, x, index: scatter(g, index, x.shape),),
    scatter:          (lambda h, y, g, index, shape: getitem(h, index),),
    joined:           Each(joined_input),
})
COMPOSITES.update({
    np.concatenate:   concatenate,
    np.stack:         stack,
})
# fmt: on

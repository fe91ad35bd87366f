"""Rules of functions that fold axes away: the gradient is spread back over what was folded."""

from __future__ import annotations

import numpy as np

from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, dispatching

Axis = int | tuple[int, ...] | None


def unfold(g: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """``g`` with the axes that a reduction of ``x`` took away put back, of length 1."""
    if keepdims is True or g.ndim == x.ndim:
        return g
    if axis is None:
        return g.reshape((1,) * x.ndim)
    return np.expand_dims(g, axis)


def spread(g: Array, y: Array, x: Array, axis: Axis = None, dtype: object = None, out: None = None, keepdims: bool = False) -> Array:
    """Every element counts once: each gets the whole gradient."""
    return np.broadcast_to(unfold(g, x, axis, keepdims), x.shape)


def mean_input(g: Array, y: Array, x: Array, axis: Axis = None, dtype: object = None, out: None = None, keepdims: bool = False) -> Array:
    """As `spread`, each element counting one n-th."""
    return np.broadcast_to(unfold(g / (x.size / max(y.size, 1)), x, axis, keepdims), x.shape)


def extreme_input(g: Array, y: Array, x: Array, axis: Axis = None, out: None = None, keepdims: bool = False) -> Array:
    """Only the largest (or smallest) elements count; equals share the gradient."""
    chosen = x == unfold(y, x, axis, keepdims)
    return unfold(g, x, axis, keepdims) * (chosen / chosen.sum(axis=axis, keepdims=True))


@dispatching
def softmax(z: Array, axis: int = -1) -> Array:
    """exp(z) / sum(exp(z)) along ``axis``, shifted by the maximum so that nothing overflows.

    Examples
    --------
    >>> print(softmax(np.array([1000.0, 1000.0, -1000.0])))
    [0.5 0.5 0. ]
    """
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@dispatching
def log_softmax(z: Array, axis: int = -1) -> Array:
    """log(softmax(z)) along ``axis``, right where the softmax itself would round to 0.

    Examples
    --------
    >>> print(log_softmax(np.array([1000.0, 0.0])))
    [    0. -1000.]
    """
    shifted = z - z.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


# fmt: off
RULES.update({
    np.sum:       (spread,),
    np.mean:      (mean_input,),
    np.max:       (extreme_input,),
    np.min:       (extreme_input,),
    softmax:      (lambda g, y, z, axis=-1: y * (g - (g * y).sum(axis=axis, keepdims=True)),),
    log_softmax:  (lambda g, y, z, axis=-1: g - np.exp(y) * g.sum(axis=axis, keepdims=True),),
})
COMPOSITES.update({
    np.amax: np.max,
    np.amin: np.min,
})
# fmt: on

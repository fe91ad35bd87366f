"""What may stand beside a Tensor in a call, and what is refused because its numbers would be wrong.

A masked array, a `numpy.matrix` and an array of Python objects calculate by rules of their own, which no gradient
rule knows, and a sparse matrix turns into a single object when NumPy asks for an array.
"""

from __future__ import annotations

from numbers import Rational

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array

NUMBERS = frozenset((float, int, np.float64, np.float32, np.int64))
"""Types of single numbers that need no second look."""

HARMLESS = NUMBERS | {np.ndarray, tuple, list, str, type(None), bool, slice, type}
"""Types of arguments that need none where speed counts. (An array of Python objects is found where a call comes in.)"""

MEANT = (
    "would silently cut it out of its graph. To join Tensors use np.stack or np.concatenate, to fill a shape np.broadcast_to, to change elements np.where, "
    "NumPy's functions in place of math's, and tg.logsumexp, tg.softmax and tg.log_softmax in place of scipy.special's; a masked array, sparse matrix "
    "or data frame before a Tensor must become an ndarray (a.filled(0), x.toarray(), df.to_numpy()). If no gradient is wanted: t.numpy(), t.item(), t.detach()"
)
"""How every refusal to turn a tracked Tensor into plain numbers ends."""


def operand(x: Array) -> Array:
    """``x`` as an array to calculate with; arrays that speak NumPy's protocols are taken as they are."""
    check_operand(x)
    if hasattr(x, "__array_function__"):
        return x
    dense = np.asarray(float(x) if isinstance(x, Rational) and not isinstance(x, int | np.generic) else x)
    if dense.dtype.hasobject and dense.ndim == 0:
        raise TypeError(f"a Python object of type {type(x).__name__} beside a Tensor has no gradient: write it as a float (float(x))")
    check_operand(dense)
    return dense


def check_operand(x: Array) -> None:
    """Refuse what calculates by rules of its own."""
    if type(x).__module__.startswith("scipy.sparse"):
        raise TypeError(
            f"a {type(x).__name__} of shape {getattr(x, 'shape', ())} beside a Tensor: sparse matrices have no rules. Write x.toarray(), "
            f"or keep a constant one in a function with its own rule: tg.primitive(lambda w: X @ w, lambda g, y, w: X.T @ g)"
        )
    if not isinstance(x, np.ndarray):
        return
    if x.dtype.hasobject:
        raise TypeError(f"an array of Python objects of shape {x.shape} beside a Tensor has no gradients: write its numbers as floats (a.astype(float))")
    if type(x) is np.ndarray:
        return
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"a masked array of shape {x.shape} beside a Tensor: gradients know nothing of its mask. "
            f"Fill it (a.filled(0)), pick what counts (a.compressed()), or use np.where(mask, ..., ...)"
        )
    if isinstance(x, np.matrix):
        raise TypeError(f"a numpy.matrix of shape {x.shape} beside a Tensor: its * means matrix multiplication. Write np.asarray(m), and @ for products")

"""ndarray's methods, each the NumPy function of its name; NumPy's protocols do the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Function


def call(func: Function, *args: Any, **kwargs: Any) -> Any:
    """Call a NumPy function, whose type hints do not know that it takes Tensors."""
    return func(*args, **kwargs)


class ArrayMethods:
    """What `Tensor` can do because arrays can."""

    __slots__ = ()

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return call(np.transpose, self)

    @property
    def mT(self) -> Any:
        """The last two axes swapped: each matrix transposed."""
        return call(np.swapaxes, self, -1, -2)

    # -- reductions ------------------------------------------------------------------------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.mean, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.min, self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.prod, self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        return call(np.var, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        return call(np.std, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def cumsum(self, axis: Any = None) -> Any:
        return call(np.cumsum, self, axis=axis)

    def cumprod(self, axis: Any = None) -> Any:
        return call(np.cumprod, self, axis=axis)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return call(np.trace, self, offset, axis1, axis2)

    # -- questions about the data ----------------------------------------------------------------------

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.argmax, self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        return call(np.argmin, self, axis=axis, keepdims=keepdims)

    def argsort(self, axis: Any = -1) -> Any:
        return call(np.argsort, self, axis=axis)

    def all(self, axis: Any = None) -> Any:
        return call(np.all, self, axis=axis)

    def any(self, axis: Any = None) -> Any:
        return call(np.any, self, axis=axis)

    def nonzero(self) -> Any:
        return call(np.nonzero, self)

    # -- shapes ----------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> Any:
        return call(np.reshape, self, one_tuple(shape))

    def ravel(self) -> Any:
        return call(np.ravel, self)

    def flatten(self) -> Any:
        return call(np.ravel, self)

    def transpose(self, *axes: Any) -> Any:
        return call(np.transpose, self, one_tuple(axes) if axes else None)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return call(np.swapaxes, self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        return call(np.squeeze, self, axis=axis)

    def take(self, indices: Any, axis: Any = None) -> Any:
        return call(np.take, self, indices, axis=axis)

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        return call(np.repeat, self, repeats, axis=axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return call(np.diagonal, self, offset, axis1, axis2)

    # -- elementwise, and products ---------------------------------------------------------------------

    def copy(self) -> Any:
        return call(np.positive, self)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        return call(np.clip, self, min, max)

    def round(self, decimals: int = 0) -> Any:
        return call(np.round, self, decimals)

    def dot(self, other: Any) -> Any:
        return call(np.dot, self, other)


def one_tuple(args: tuple[Any, ...]) -> Any:
    """``f(2, 3)`` and ``f((2, 3))`` as the same tuple."""
    return args[0] if len(args) == 1 and not isinstance(args[0], int | np.integer) else args

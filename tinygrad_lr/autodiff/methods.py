"""ndarray's methods, each the NumPy function of its name with the same arguments; NumPy's protocols do the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Function, name_of


def call(func: Function, *args: Any, **kwargs: Any) -> Any:
    """Call a NumPy function, whose type hints do not know that it takes Tensors."""
    return func(*args, **kwargs)


def method(func: Function) -> Callable[..., Any]:
    """``func`` as a method of its first argument."""

    def of_array(self: Any, *args: Any, **kwargs: Any) -> Any:
        return func(self, *args, **kwargs)

    of_array.__name__ = func.__name__
    of_array.__doc__ = f"`{name_of(func)}` of this array, with the same arguments."
    return of_array


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

    @property
    def real(self) -> Any:
        """The real part: of real numbers, themselves."""
        return call(np.real, self)

    @property
    def imag(self) -> Any:
        """The imaginary part: of real numbers, zeros."""
        return call(np.imag, self)

    # -- reductions, running sums and products ---------------------------------------------------------

    sum = method(np.sum)
    mean = method(np.mean)
    max = method(np.max)
    min = method(np.min)
    prod = method(np.prod)
    var = method(np.var)
    std = method(np.std)
    cumsum = method(np.cumsum)
    cumprod = method(np.cumprod)
    trace = method(np.trace)

    # -- questions about the data ----------------------------------------------------------------------

    argmax = method(np.argmax)
    argmin = method(np.argmin)
    argsort = method(np.argsort)
    all = method(np.all)
    any = method(np.any)
    nonzero = method(np.nonzero)

    # -- shapes ----------------------------------------------------------------------------------------

    ravel = method(np.ravel)
    flatten = method(np.ravel)
    swapaxes = method(np.swapaxes)
    squeeze = method(np.squeeze)
    take = method(np.take)
    repeat = method(np.repeat)
    diagonal = method(np.diagonal)

    def reshape(self, *shape: Any, **settings: Any) -> Any:
        """`np.reshape` of this array; lengths may be given one by one."""
        return call(np.reshape, self, one_tuple(shape), **settings)

    def transpose(self, *axes: Any) -> Any:
        """`np.transpose` of this array; axes may be given one by one."""
        return call(np.transpose, self, one_tuple(axes) if axes else None)

    # -- elementwise, and products ---------------------------------------------------------------------

    copy = method(np.copy)
    conj = conjugate = method(np.conjugate)
    round = method(np.round)
    dot = method(np.dot)

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **settings: Any) -> Any:
        """`np.clip` of this array."""
        return call(np.clip, self, min, max, **(settings if out is None else {**settings, "out": out}))


def one_tuple(args: tuple[Any, ...]) -> Any:
    """``f(2, 3)`` and ``f((2, 3))`` as the same tuple."""
    return args[0] if len(args) == 1 and not isinstance(args[0], int | np.integer) else args

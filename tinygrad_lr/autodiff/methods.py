"""ndarray's methods, each the NumPy function of its name with the same arguments; NumPy's protocols do the rest.

For two of them NumPy has no function: ``x[index]``, and before NumPy 2.1 ``x.astype``. Theirs stand among the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lr.autodiff.protocols import NumPyProtocols, data_of
from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.registry import Array, Function, name_of
from tinygrad_lr.autodiff.rules.shapes import getitem

if TYPE_CHECKING:
    import numpy.typing as npt

    from tinygrad_lr.autodiff.tensor import Tensor


def call(func: Function, *args: Array, **kwargs: Array) -> Tensor:
    """Call a NumPy function, whose type hints do not know that it takes Tensors."""
    return func(*args, **kwargs)  # type: ignore[no-any-return]  # what it returns for a Tensor


def method(func: Function) -> Callable[..., Tensor]:
    """``func`` as a method of its first argument."""

    def of_array(self: ArrayMethods, *args: Array, **kwargs: Array) -> Tensor:
        return call(func, self, *args, **kwargs)

    of_array.__name__ = func.__name__
    of_array.__doc__ = f"`{name_of(func)}` of this array, with the same arguments."
    return of_array


def attribute(func: Callable[[Array], Array], doc: str) -> Any:
    """``func`` of an array as an attribute of it."""
    return property(func, doc=doc)


MAY_HOLD_TENSORS = (tuple, NumPyProtocols)


class ArrayMethods(NumPyProtocols):
    """What `Tensor` can do because arrays can."""

    __slots__ = ()

    shape: tuple[int, ...] = attribute(attrgetter("data.shape"), "The length of each axis.")
    ndim: int = attribute(attrgetter("data.ndim"), "How many axes there are.")
    size: int = attribute(attrgetter("data.size"), "How many numbers there are.")
    dtype: np.dtype[Any] = attribute(attrgetter("data.dtype"), "The type of the numbers.")
    nbytes: int = attribute(attrgetter("data.nbytes"), "How many bytes they take.")
    T: Tensor = attribute(np.transpose, "The axes in reverse order.")
    mT: Tensor = attribute(lambda x: np.swapaxes(x, -1, -2), "The last two axes swapped: each matrix transposed.")  # noqa: N815 - as NumPy calls it
    real: Tensor = attribute(np.real, "The real part: of real numbers, themselves.")
    imag: Tensor = attribute(np.imag, "The imaginary part: of real numbers, zeros.")

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

    argmax: Callable[..., Array] = method(np.argmax)
    argmin: Callable[..., Array] = method(np.argmin)
    argsort: Callable[..., Array] = method(np.argsort)
    all: Callable[..., Array] = method(np.all)
    any: Callable[..., Array] = method(np.any)
    nonzero: Callable[..., Array] = method(np.nonzero)

    # -- shapes ----------------------------------------------------------------------------------------

    ravel = method(np.ravel)
    flatten = method(np.ravel)
    swapaxes = method(np.swapaxes)
    squeeze = method(np.squeeze)
    take = method(np.take)
    repeat = method(np.repeat)
    diagonal = method(np.diagonal)

    def reshape(self, *shape: int | tuple[int, ...], **settings: Array) -> Tensor:
        """`np.reshape` of this array; lengths may be given one by one."""
        return call(np.reshape, self, one_tuple(shape), **settings)

    def transpose(self, *axes: int | tuple[int, ...] | None) -> Tensor:
        """`np.transpose` of this array; axes may be given one by one."""
        return call(np.transpose, self, one_tuple(axes) if axes else None)

    def __getitem__(self, index: Array) -> Tensor:
        if isinstance(index, MAY_HOLD_TENSORS):
            index = data_of(index)
        return self.__record__(getitem, (self, index))  # type: ignore[no-any-return]  # what a Tensor's method returns

    # -- elementwise, and products ---------------------------------------------------------------------

    copy = method(np.copy)
    conj = conjugate = method(np.conjugate)
    round = method(np.round)
    dot = method(np.dot)

    def clip(self, min: Array = None, max: Array = None, out: Array = None, **settings: Array) -> Tensor:
        """`np.clip` of this array."""
        return call(np.clip, self, min, max, **(settings if out is None else {**settings, "out": out}))

    def astype(self, dtype: npt.DTypeLike, order: str = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True) -> Tensor:
        """The same numbers in another floating type, in the graph; ``order`` and ``subok`` change nothing."""
        if not np.issubdtype(dtype, np.floating) and self.requires_grad:
            raise TypeError(f"a tracked Tensor has no gradient as {np.dtype(dtype)}: use t.numpy().astype(...)")
        if casting != "unsafe" and not np.can_cast(self.dtype, dtype, casting):
            raise TypeError(f"{self.dtype} cannot be cast to {np.dtype(dtype)} under the rule {casting!r}")
        if not copy and self.dtype == dtype:
            return self  # type: ignore[return-value]  # only a Tensor is an ArrayMethods
        return self.__record__(astype, (self, dtype))  # type: ignore[no-any-return]


def one_tuple(args: tuple[Array, ...]) -> Array:
    """``f(2, 3)`` and ``f((2, 3))`` as the same tuple."""
    return args[0] if len(args) == 1 and not isinstance(args[0], int | np.integer) else args

"""Many gradients in one backward pass: a `CotangentBatch` looks to a rule like a single one.

A Jacobian needs the gradient of every number in the result. A backward pass with a batch of cotangents computes dozens
of them at once, and products of matrices take the place of as many products with vectors. Rules are plain NumPy, so
they need not know: what they do to ``g`` is done to each row. The usual functions take one call for all rows;
others are called row by row, so that every rule works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_lr.autodiff.rules.registry import PLAIN, Array, Function, name_of

if TYPE_CHECKING:
    import numpy.typing as npt


class BatchError(TypeError, AttributeError):
    """A batch of cotangents met what it cannot do for all of them at once; the caller then sends them one by one."""


class CotangentBatch(NDArrayOperatorsMixin):
    """Arrays of one shape, ``rows[0]``, ``rows[1]``, ...; its own shape is theirs.

    Examples
    --------
    >>> g = CotangentBatch(np.eye(2))
    >>> g.shape, g @ np.array([2.0, 3.0])
    ((2,), CotangentBatch(array([2., 3.])))
    """

    __slots__ = ("rows",)

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return f"CotangentBatch({self.rows!r})"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape[1:]  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self.rows.ndim - 1  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        return self.rows.size // len(self.rows)  # type: ignore[no-any-return]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.rows.dtype  # type: ignore[no-any-return]

    @property
    def T(self) -> CotangentBatch:
        return transpose(self)

    def sum(self, axis: Array = None, dtype: Array = None, out: Array = None, keepdims: bool = False, **more: Array) -> CotangentBatch:
        if dtype is not None or out is not None or more:
            return row_by_row(np.sum, (self,), {"axis": axis, "dtype": dtype, "out": out, "keepdims": keepdims, **more})
        axes = tuple(range(self.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return CotangentBatch(self.rows.sum(axis=tuple(i % self.ndim + 1 for i in axes), keepdims=keepdims))

    def reshape(self, *shape: Array, **more: Array) -> CotangentBatch:
        if more:
            return row_by_row(np.ndarray.reshape, (self, *shape), more)
        return CotangentBatch(self.rows.reshape(len(self.rows), *stand_in(self).reshape(*shape).shape))

    def astype(self, dtype: npt.DTypeLike) -> CotangentBatch:
        return CotangentBatch(self.rows.astype(dtype))

    def swapaxes(self, axis1: int, axis2: int) -> CotangentBatch:
        return CotangentBatch(self.rows.swapaxes(axis1 % self.ndim + 1, axis2 % self.ndim + 1))

    def dot(self, other: Array, *more: Array, **settings: Array) -> CotangentBatch:
        if more or settings or self.ndim != 2 or np.ndim(other) > 2:
            return row_by_row(np.dot, (self, other, *more), settings)
        return matmul(self, other)

    def __getitem__(self, index: Array) -> CotangentBatch:
        return row_by_row(lambda row: row[index], (self,), {})

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a single number")
        return self.shape[0]

    def __getattr__(self, name: str) -> Array:
        """ndarray's other methods, row by row; no other attribute."""
        if name.startswith("__") or name in IN_PLACE or not callable(getattr(np.ndarray, name, None)):
            raise BatchError(f"a batch of cotangents has no attribute {name!r}")
        return lambda *args, **kwargs: row_by_row(lambda row, *args, **kwargs: getattr(row, name)(*args, **kwargs), (self, *args), kwargs)

    def refuse(self, *args: Array, **kwargs: Array) -> NoReturn:
        raise BatchError("a batch of cotangents is neither one array nor one number, and is never written to")

    __array__ = __bool__ = __float__ = __int__ = __complex__ = __index__ = __setitem__ = refuse

    def __record_call__(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CotangentBatch:
        return row_by_row(PLAIN.get(func, func), args, kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Array, **kwargs: Array) -> CotangentBatch:
        if ufunc is np.matmul and not kwargs:
            return matmul(*inputs)
        if method == "__call__" and ufunc.signature is None and ufunc.nout == 1 and not kwargs:
            return CotangentBatch(ufunc(*lined_up(*inputs)))
        return row_by_row(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func: Function, types: Array, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Array:
        if func in (np.shape, np.ndim, np.size):
            return func(stand_in(self), *args[1:], **kwargs)
        if func in AT_ONCE and args and kwargs.keys() <= {"axis", "axes", "keepdims", "order", "shape"}:
            return AT_ONCE[func](*args, **kwargs)
        return row_by_row(func, args, kwargs)


IN_PLACE = frozenset(("fill", "itemset", "partition", "put", "resize", "setfield", "setflags", "sort"))
"""ndarray's methods that write into it."""


def stand_in(g: CotangentBatch) -> Array:
    """An array of one row's shape, without data."""
    return np.broadcast_to(0, g.shape)


def lined_up(*inputs: Array) -> list[Array]:
    """The inputs with axes of length 1 in front of each row's, so that rows broadcast against the other inputs."""
    ndim = max(map(np.ndim, inputs))
    return [x.rows.reshape(len(x.rows), *(1,) * (ndim - x.ndim), *x.shape) if isinstance(x, CotangentBatch) else x for x in inputs]


def matmul(a: Array, b: Array) -> CotangentBatch:
    """One product for all rows, where one factor is the same for all of them and is no stack of matrices."""
    if isinstance(a, CotangentBatch) and not isinstance(b, CotangentBatch) and a.ndim in (1, 2) and b.ndim in (1, 2):
        return CotangentBatch(a.rows @ b)
    if isinstance(b, CotangentBatch) and not isinstance(a, CotangentBatch) and a.ndim in (1, 2) and b.ndim in (1, 2):
        return CotangentBatch(a @ b.rows if b.ndim == 2 else b.rows @ a.T)
    return row_by_row(np.matmul, (a, b), {})


def row_by_row(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CotangentBatch:
    """A function called for each row in turn, with the other arguments as they are."""
    if kwargs.get("out") is not None:
        raise BatchError(f"{name_of(func)}(out=...) has room for one row")
    results = []
    for i in range(row_count((*args, *kwargs.values()))):
        result = func(*nth(args, i), **{key: nth(value, i) for key, value in kwargs.items()})
        if not isinstance(result, np.ndarray | np.generic) or any(result is a for a in args):  # an argument, which was written to
            raise BatchError(f"results of {name_of(func)} cannot be stacked")
        results.append(result)
    if any(result.shape != results[0].shape for result in results):
        raise BatchError(f"{name_of(func)} makes rows of different shapes")
    return CotangentBatch(np.stack(results))


def row_count(x: Array) -> int:
    """How many rows the batches among the arguments have; 0 where there is none."""
    if isinstance(x, CotangentBatch):
        return len(x.rows)
    return max(map(row_count, x), default=0) if isinstance(x, list | tuple) else 0


def nth(x: Array, i: int) -> Array:
    """Row ``i`` of a batch, or of those in a list; anything else as it is."""
    if isinstance(x, CotangentBatch):
        return x.rows[i]
    return type(x)([nth(part, i) for part in x]) if type(x) in (list, tuple) else x


def broadcast_to(g: CotangentBatch, shape: tuple[int, ...], subok: bool = False) -> CotangentBatch:
    rows, _ = lined_up(g, np.broadcast_to(0, shape))
    return CotangentBatch(np.broadcast_to(rows, (len(rows), *shape)))


def transpose(g: CotangentBatch, axes: Array = None) -> CotangentBatch:
    order = range(g.ndim)[::-1] if axes is None else [i % g.ndim for i in axes]
    return CotangentBatch(g.rows.transpose(0, *(i + 1 for i in order)))


AT_ONCE: dict[Function, Callable[..., CotangentBatch]] = {
    np.where: lambda *args: CotangentBatch(np.where(*lined_up(*args))) if len(args) > 1 else row_by_row(np.where, args, {}),
    np.broadcast_to: broadcast_to,
    np.expand_dims: lambda g, axis: g.reshape(np.expand_dims(stand_in(g), axis).shape),
    np.reshape: lambda g, shape, order="C": g.reshape(shape) if order == "C" else row_by_row(np.reshape, (g, shape, order), {}),
    np.swapaxes: CotangentBatch.swapaxes,
    np.transpose: transpose,
    np.sum: CotangentBatch.sum,
}
"""Functions that take one call for all rows."""

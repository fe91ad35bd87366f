"""Many gradients at once: a `Stack` looks to a rule like a single one.

A Jacobian needs the gradient of every number in the answer. A backward pass with a Stack computes dozens
of them in one walk, and products of matrices take the place of as many products with vectors. Rules are
plain NumPy, so they need not know: what they do to ``g`` is done to each row. NumPy does the usual
functions for all rows in one call; others are called row by row, so that every rule works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_lr.autodiff.rules.registry import PLAIN, Array, BatchError, Function, name_of


class Stack(NDArrayOperatorsMixin):
    """Arrays of one shape, ``rows[0]``, ``rows[1]``, ...; its own shape is theirs.

    Examples
    --------
    >>> g = Stack(np.eye(2))
    >>> g.shape, g @ np.array([2.0, 3.0])
    ((2,), Stack(array([2., 3.])))
    """

    __slots__ = ("rows",)

    def __init__(self, rows: Array) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return f"Stack({self.rows!r})"

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
    def dtype(self) -> np.dtype[Any]:
        return self.rows.dtype  # type: ignore[no-any-return]

    @property
    def T(self) -> Stack:
        return transpose(self)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, **more: Any) -> Stack:
        if dtype is not None or out is not None or more:
            return row_by_row(np.sum, (self,), {"axis": axis, "dtype": dtype, "out": out, "keepdims": keepdims, **more})
        axes = tuple(range(self.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return Stack(self.rows.sum(axis=tuple(i % self.ndim + 1 for i in axes), keepdims=keepdims))

    def reshape(self, *shape: Any, **more: Any) -> Stack:
        if more:
            return row_by_row(np.ndarray.reshape, (self, *shape), more)
        return Stack(self.rows.reshape(len(self.rows), *stand_in(self).reshape(*shape).shape))

    def swapaxes(self, axis1: int, axis2: int) -> Stack:
        return Stack(self.rows.swapaxes(axis1 % self.ndim + 1, axis2 % self.ndim + 1))

    def dot(self, other: Any, *more: Any, **settings: Any) -> Stack:
        if more or settings or self.ndim != 2 or np.ndim(other) > 2:
            return row_by_row(np.dot, (self, other, *more), settings)
        return matmul(self, other)

    def __getitem__(self, index: Any) -> Stack:
        return row_by_row(lambda row: row[index], (self,), {})

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a single number")
        return self.shape[0]

    def __getattr__(self, name: str) -> Any:
        """ndarray's other methods, row by row; no other attribute."""
        method = getattr(np.ndarray, name, None)
        if name.startswith("__") or name in IN_PLACE or not callable(method):
            raise BatchError(f"a Stack has no attribute {name!r}")
        return lambda *args, **kwargs: row_by_row(method, (self, *args), kwargs)

    def refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise BatchError("a Stack is neither one array nor one number, and is never written to")

    __array__ = __bool__ = __float__ = __int__ = __complex__ = __index__ = __setitem__ = refuse

    def _record(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Stack:
        return row_by_row(PLAIN.get(func, func), args, kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Stack:
        if ufunc is np.matmul and not kwargs:
            return matmul(*inputs)
        if method == "__call__" and ufunc.signature is None and ufunc.nout == 1 and not kwargs:
            return Stack(ufunc(*lined_up(*inputs)))
        return row_by_row(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func: Function, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in (np.shape, np.ndim, np.size):
            return func(stand_in(self), *args[1:], **kwargs)
        if func in AT_ONCE and args and kwargs.keys() <= {"axis", "axes", "keepdims", "order", "shape"}:
            return AT_ONCE[func](*args, **kwargs)
        return row_by_row(func, args, kwargs)


IN_PLACE = frozenset(("fill", "itemset", "partition", "put", "resize", "setfield", "setflags", "sort"))
"""ndarray's methods that write into it."""


def stand_in(g: Stack) -> Array:
    """An array of one row's shape, without data."""
    return np.broadcast_to(0, g.shape)


def lined_up(*inputs: Any) -> list[Any]:
    """Rows with axes of length 1 put before theirs, so that they broadcast against the other inputs."""
    ndim = max(map(np.ndim, inputs))
    return [x.rows.reshape(len(x.rows), *(1,) * (ndim - x.ndim), *x.shape) if isinstance(x, Stack) else x for x in inputs]


def matmul(a: Any, b: Any) -> Stack:
    """One product for all rows, where one of the factors is the same for all of them and no stack of matrices itself."""
    if isinstance(a, Stack) and not isinstance(b, Stack) and a.ndim in (1, 2) and b.ndim in (1, 2):
        return Stack(a.rows @ b)
    if isinstance(b, Stack) and not isinstance(a, Stack) and a.ndim in (1, 2) and b.ndim in (1, 2):
        return Stack(a @ b.rows if b.ndim == 2 else b.rows @ a.T)
    return row_by_row(np.matmul, (a, b), {})


def row_by_row(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Stack:
    """A function called for each row in turn, with the other arguments as they are."""
    if kwargs.get("out") is not None:
        raise BatchError(f"{name_of(func)}(out=...) has room for one row")
    answers = []
    for i in range(row_count((*args, *kwargs.values()))):
        answer = func(*nth(args, i), **{key: nth(value, i) for key, value in kwargs.items()})
        if not isinstance(answer, np.ndarray | np.generic) or any(answer is a for a in args):  # an argument: it was written to
            raise BatchError(f"results of {name_of(func)} cannot be stacked")
        answers.append(answer)
    if any(answer.shape != answers[0].shape for answer in answers):
        raise BatchError(f"{name_of(func)} makes of each row another shape")
    return Stack(np.stack(answers))


def row_count(x: Any) -> int:
    """How many rows the Stacks among arguments have; 0 where there is none."""
    if isinstance(x, Stack):
        return len(x.rows)
    return max(map(row_count, x), default=0) if isinstance(x, list | tuple) else 0


def nth(x: Any, i: int) -> Any:
    """Row ``i`` of a Stack, or of those in a list; anything else as it is."""
    if isinstance(x, Stack):
        return x.rows[i]
    return type(x)([nth(part, i) for part in x]) if type(x) in (list, tuple) else x


def where(condition: Any, *choices: Any) -> Stack:
    return Stack(np.where(*lined_up(condition, *choices))) if choices else row_by_row(np.where, (condition,), {})


def broadcast_to(g: Stack, shape: tuple[int, ...], subok: bool = False) -> Stack:
    rows, _ = lined_up(g, np.broadcast_to(0, shape))
    return Stack(np.broadcast_to(rows, (len(rows), *shape)))


def expand_dims(g: Stack, axis: Any) -> Stack:
    return g.reshape(np.expand_dims(stand_in(g), axis).shape)


def reshape(g: Stack, shape: Any, order: str = "C") -> Stack:
    return g.reshape(shape) if order == "C" else row_by_row(np.reshape, (g, shape, order), {})


def transpose(g: Stack, axes: Any = None) -> Stack:
    order = range(g.ndim)[::-1] if axes is None else [i % g.ndim for i in axes]
    return Stack(g.rows.transpose(0, *(i + 1 for i in order)))


AT_ONCE: dict[Function, Callable[..., Stack]] = {
    np.where: where,
    np.broadcast_to: broadcast_to,
    np.expand_dims: expand_dims,
    np.reshape: reshape,
    np.swapaxes: Stack.swapaxes,
    np.transpose: transpose,
    np.sum: Stack.sum,
}
"""Functions that one call serves for all rows."""

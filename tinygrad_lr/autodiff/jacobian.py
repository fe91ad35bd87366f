"""`jacobian` and `hessian`: the gradients of all numbers in a result.

A backward pass with a batch of cotangents computes dozens of them at once. Where that cannot be, because a rule does not
take a batch or the Jacobian is to be differentiated itself, there is a pass for each number.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lr.autodiff.backward import pull_back
from tinygrad_lr.autodiff.cotangents import BatchError, CotangentBatch
from tinygrad_lr.autodiff.derivatives import Differentiated, as_tensor, check_numbers, differentiated, dtype_of, grad, is_tracked, selected
from tinygrad_lr.autodiff.rules.registry import Array, P
from tinygrad_lr.autodiff.tensor import Tensor, leaf_of
from tinygrad_lr.autodiff.trees import Tree, filled, tree_map

if TYPE_CHECKING:
    import numpy.typing as npt


def jacobian(fn: Callable[P, Tree], argnums: int | Sequence[int] = 0) -> Callable[P, Tree]:
    """A function that returns the Jacobian of ``fn``: the gradients of all numbers in the result.

    Parameters
    ----------
    fn : callable
        A function written with NumPy; arguments and result are arrays, numbers, or nested tuples, lists
        and dicts of them.
    argnums : int or tuple of int
        The positional arguments to differentiate with respect to.

    Returns
    -------
    callable
        Called as ``fn`` is. For a result y and an argument x that are arrays it returns an array of shape
        ``y.shape + x.shape``; otherwise the result's structure, with the argument's structure in place of
        each array (a tuple where ``argnums`` is one).

    Raises
    ------
    TypeError
        On call, if an argument to differentiate with respect to is not floating, or is not there.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> print(tg.jacobian(lambda x: x**2)(np.array([1.0, 2.0])))
    [[2. 0.]
     [0. 4.]]
    """
    indices = selected(argnums)

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Tree:
        call = differentiated(fn, args, kwargs, indices)
        check_numbers(call.value, "jacobian")

        def blocks(y: Array) -> Tree:
            if y is None:
                return None
            found = filled(call.arguments, iter(gradients_of_all(y, call)))
            return found if isinstance(argnums, Sequence) else found[0]

        return call.result(tree_map(blocks, call.value))

    return wrapped


def hessian(fn: Callable[P, Array], argnums: int | Sequence[int] = 0) -> Callable[P, Tree]:
    """A function that returns the Hessian of ``fn``: the Jacobian of its gradient.

    Parameters and errors are those of `grad`. For an array argument x it returns an array of shape
    ``x.shape + x.shape``; otherwise the argument's structure twice over.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> print(tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0])))
    [[6. 2.]
     [2. 0.]]
    """
    return jacobian(grad(fn, argnums), argnums)


def gradients_of_all(y: Array, call: Differentiated) -> list[Tensor]:
    """For each variable the gradients of all numbers in ``y``, in the shape of ``y`` and then the variable's."""
    if is_tracked(y) and y.size > 1 and not call.as_tensors:
        try:
            return [Tensor(rows.reshape(y.shape + x.shape)) for rows, x in zip(in_batches(y, call.variables), call.variables)]
        except Exception as error:
            if not isinstance(error, BatchError) and not isinstance(error.__cause__, BatchError):  # NumPy puts its own errors around ours
                raise
    rows = [list(call.gradients([y], [*unit_cotangents(y, [i])])) for i in range(math.prod(np.shape(y)))]
    return [stacked([row[k] for row in rows], np.shape(y), x) for k, x in enumerate(call.variables)]


BATCH = 32
"""Enough for products of matrices to pay, and few enough for what a pass computes to stay in the cache."""


def in_batches(y: Tensor, variables: list[Tensor]) -> list[Array]:
    """For each variable the gradients of all numbers in ``y``, one under the other: dozens of them per backward pass."""
    found: list[list[Array]] = [[] for _ in variables]
    nodes = list(map(leaf_of, variables))
    for picked in np.array_split(np.arange(y.size), math.ceil(y.size / BATCH)):
        kept = pull_back({leaf_of(y): CotangentBatch(unit_cotangents(y, picked))}, keep=nodes)
        for rows, x, node in zip(found, variables, nodes):
            g = kept[node] if node in kept else np.zeros_like(x.data)
            rows.append(g.rows if isinstance(g, CotangentBatch) else np.broadcast_to(g, (len(picked), *x.shape)))
    return [np.concatenate(rows) for rows in found]


def unit_cotangents(y: Array, picked: Sequence[int] | npt.NDArray[np.int_]) -> Array:
    """For each of the ``picked`` numbers in ``y`` the cotangent that is 1 there and 0 elsewhere, one under the other."""
    shape = np.shape(y)
    return np.equal.outer(picked, np.arange(math.prod(shape))).astype(dtype_of(y)).reshape(len(picked), *shape)


def stacked(rows: list[Tensor], y_shape: tuple[int, ...], x: Tensor) -> Tensor:
    """Gradients of single numbers as one block of the Jacobian."""
    if not rows:
        return Tensor(np.zeros(y_shape + x.shape, dtype=x.dtype))
    return as_tensor(np.reshape(np.stack(rows), y_shape + x.shape))

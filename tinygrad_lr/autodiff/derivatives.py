"""Derivatives of Tensors and of functions.

Functions take NumPy and give NumPy. Called inside another derivative (or on Tensors) they give Tensors,
so that they nest: a derivative of a derivative is written as it is said.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.graph import Node, pull_back
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor, lift, recording


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    create_graph: bool = False,
) -> tuple[Tensor, ...]:
    """Gradients of (the sum of) outputs by inputs, without touching any ``.grad``.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What to differentiate. An output that holds more than one number needs its entry in ``grad_outputs``.
    inputs : Tensor or sequence of Tensor
        What to differentiate by: leaves, or Tensors computed on the way.
    grad_outputs : array_like or sequence of array_like, optional
        For each output the gradient to start with, in its shape; 1 for a single number. Tensors stay
        in the graph when ``create_graph`` is set.
    create_graph : bool
        Whether the gradients are to be differentiable themselves. The graph is kept either way.

    Returns
    -------
    tuple of Tensor
        One gradient per input, in its shape and dtype; zeros where the outputs do not depend on it.

    Raises
    ------
    TypeError
        If an output or input is no Tensor, or an input requires no gradients.
    RuntimeError
        If an output is not a single number and has no entry in ``grad_outputs``, or the graph was freed.
    ValueError
        If ``grad_outputs`` does not match the outputs.

    Examples
    --------
    >>> import tinygrad_lr as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> (dy,) = tg.gradients(x**4, x, create_graph=True)
    >>> (d2y,) = tg.gradients(dy, x)
    >>> dy.item(), d2y.item()
    (108.0, 108.0)
    """
    ys, xs = listed(outputs, "outputs"), listed(inputs, "inputs")
    gs = [grad_outputs] * len(ys) if grad_outputs is None else [grad_outputs] if isinstance(outputs, Tensor) else list(grad_outputs)
    if len(gs) != len(ys):
        raise ValueError(f"gradients() got {len(ys)} outputs and {len(gs)} grad_outputs: one per output is needed")
    for i, x in enumerate(xs):
        if not x.requires_grad:
            raise TypeError(f"input {i} of gradients() requires no gradients: make it with Tensor(..., requires_grad=True) before computing from it")
    seeds: dict[Node, Array] = {}
    for y, g in zip(ys, gs, strict=True):
        seed = y._seed(None if g is None else g)
        if create_graph:
            seed = g if isinstance(g, Tensor) else Tensor(seed)
        if y.node is not None and y.node.requires_grad:
            seeds[y.node] = seeds[y.node] + seed if y.node in seeds else seed
    token = recording.set(create_graph)
    try:
        kept = pull_back(seeds, keep={x.node for x in xs if x.node is not None}, lift=lift if create_graph else None)
    finally:
        recording.reset(token)
    return tuple(as_tensor(kept[x.node]) if x.node in kept else Tensor(np.zeros_like(x.data)) for x in xs)


def listed(tensors: Tensor | Sequence[Tensor], what: str) -> list[Tensor]:
    """One Tensor or several, as a list."""
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(f"{what} of gradients() must be Tensors, number {i} is {type(t).__name__}")
    return found


def as_tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


nested: ContextVar[bool] = ContextVar("nested", default=False)


def value_and_grad(fn: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., tuple[Any, Any]]:
    """A function that gives ``fn``'s value and gradient.

    Parameters
    ----------
    fn : callable
        A function of floating arrays (or numbers) written with NumPy, giving a single number.
    argnums : int or tuple of int
        The positional arguments to differentiate by.

    Returns
    -------
    callable
        Called as ``fn`` is; gives (value, gradient), the gradient a tuple where ``argnums`` is one.

    Raises
    ------
    TypeError
        On call, if an argument to differentiate by is not floating, or the answer is no number.
    ValueError
        On call, if the answer holds more than one number.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> value, gradient = tg.value_and_grad(lambda w: np.sum(w**2))(np.array([1.0, 2.0]))
    >>> print(value, gradient)
    5.0 [2. 4.]
    """
    indices = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if max(indices) >= len(args):
            raise TypeError(f"argnums {argnums} needs {max(indices) + 1} positional arguments, got {len(args)}")
        inputs = {i: variable(args[i]) for i in indices}
        outer = nested.get() or any(isinstance(args[i], Tensor) for i in indices)
        with inside():
            answer = fn(*[inputs.get(i, arg) for i, arg in enumerate(args)], **kwargs)
        if np.size(answer) != 1:
            raise ValueError(f"grad() needs a function with a single number as its answer, got shape {np.shape(answer)}: sum it, or use jacobian()")
        if not isinstance(answer, Tensor):
            zeros = tuple(np.zeros_like(x.data) for x in inputs.values())
            return answer, zeros if isinstance(argnums, tuple) else zeros[0]
        found = gradients(answer, list(inputs.values()), create_graph=outer)
        results = [answer, *found] if outer else [plain(t) for t in (answer, *found)]
        return results[0], tuple(results[1:]) if isinstance(argnums, tuple) else results[1]

    return wrapped


def grad(fn: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """A function that gives ``fn``'s gradient; see `value_and_grad`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> tg.grad(np.exp)(0.0), tg.grad(tg.grad(np.sin))(0.0)
    (np.float64(1.0), np.float64(-0.0))
    """
    both = value_and_grad(fn, argnums)

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return both(*args, **kwargs)[1]

    return wrapped


def variable(x: Any) -> Tensor:
    """A Tensor to differentiate by. One that is tracked already is renewed, so that outer derivatives stay apart from this one."""
    if isinstance(x, Tensor) and x.requires_grad:
        return +x
    return Tensor(x, requires_grad=True)


@contextmanager
def inside() -> Any:
    """While a function is being differentiated: derivatives taken within it must be Tensors."""
    token, enabled = nested.set(True), recording.set(True)
    try:
        yield
    finally:
        nested.reset(token)
        recording.reset(enabled)


def plain(t: Tensor) -> Any:
    """The data of a result, a single number as a NumPy scalar."""
    return t.data[()] if t.ndim == 0 else t.data

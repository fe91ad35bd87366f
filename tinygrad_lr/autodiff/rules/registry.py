"""The table of rules, and the way into it.

A rule is plain NumPy: ``rule(g, y, *args, **kwargs)`` takes the gradient ``g`` of a call's answer ``y``
and the call's own arguments, and gives the gradient of one argument. Nothing here, and no rule, knows
`Tensor`: fed with arrays a rule gives arrays, fed with Tensors it records itself and can be
differentiated again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Array = Any  # whatever speaks NumPy's protocols: ndarray, NumPy scalar, Tensor, Dask, CuPy
Function = Callable[..., Any]
Rule = Callable[..., Array]


class Aside(NamedTuple):
    """The rule of an argument whose gradient is worth knowing but must not flow on.

    The answer depends on that argument through another one as well, whose rule already carries all of
    the gradient. (A loss on sigmoid(z) is differentiated by z; dL/da is still right when asked for.)
    """

    rule: Rule


class Each:
    """One rule for every argument of a variadic function: ``rule(i, g, y, *args)`` serves argument i."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Rule]:
        return (functools.partial(self.rule, i) for i in itertools.count())


Rules = tuple[Rule | Aside | None, ...] | Each

RULES: dict[Function, Rules] = {}
"""function: one rule per argument; None where no gradient flows (a condition, an index)."""

COMPOSITES: dict[Function, Function] = {}
"""function: the same computed from functions that have rules."""

QUERIES: set[Function] = set()
"""Functions that answer about the data and are not differentiated: shape, argmax, comparisons."""


PLAIN: dict[Function, Function] = {}
"""A dispatching function to the one behind it, for callers who know that they hold arrays."""


def dispatching(func: Function) -> Function:
    """Let ``func`` be recorded when a Tensor is among its arguments."""

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in (*args, *kwargs.values()) if kwargs else args:
            if type(a) is not np.ndarray and hasattr(a, "_record"):
                return a._record(call, args, kwargs)
        return func(*args, **kwargs)

    PLAIN[call] = func
    return call


def primitive(func: Function, *rules: Rule | Aside | None) -> Function:
    """Teach autodiff a function together with its derivative.

    Parameters
    ----------
    func : callable
        A function of arrays in plain NumPy, or a NumPy function that has no rule yet.
    *rules : callable or None
        One rule per positional argument: ``rule(g, y, *args, **kwargs)`` gets the gradient ``g`` of
        the answer (in the answer's shape), the answer ``y`` and the arguments of the call, and
        returns the gradient of that argument, in the argument's shape. None: no gradient flows there.
        Written with NumPy functions only, a rule can be differentiated again.

    Returns
    -------
    callable
        The function to call: on arrays it is ``func``; on Tensors it is recorded in the graph.
        A NumPy function is returned as it is, and works on Tensors from now on.

    Raises
    ------
    TypeError
        If ``func`` or a rule cannot be called, or no rule is given.

    Notes
    -----
    A rule is the vector-Jacobian product of Griewank and Walther, *Evaluating Derivatives* (2008),
    section 3.2. Check a new one with `tinygrad_lr.gradcheck`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    >>> cube(2.0)
    8.0
    >>> tg.grad(cube)(2.0), tg.grad(tg.grad(cube))(2.0)
    (np.float64(12.0), np.float64(12.0))
    """
    if not callable(func):
        raise TypeError(f"primitive() needs a function first, got {func!r}")
    if not rules or not all(callable(r) or isinstance(r, Aside) or r is None for r in rules):
        raise TypeError(f"primitive({name_of(func)}, ...) needs one rule per argument: lambda g, y, *args: gradient")
    call = func if is_numpy(func) else dispatching(func)
    COMPOSITES.pop(call, None)  # what NumPy function had one goes by its rule from now on
    QUERIES.discard(call)
    RULES[call] = tuple(rule and checked(rule, i, call) for i, rule in enumerate(rules))
    return call


def checked(rule: Rule | Aside, i: int, func: Function) -> Rule | Aside:
    """``rule``, refusing to hand on a gradient of another shape than its argument."""
    if isinstance(rule, Aside):
        return rule

    @functools.wraps(rule)
    def call(g: Array, y: Array, *args: Any, **kwargs: Any) -> Array:
        gradient = rule(g, y, *args, **kwargs)
        if not hasattr(gradient, "dtype"):
            gradient = np.asarray(gradient)
        elif any(gradient is value for value in (y, *args)):
            gradient = +gradient  # a gradient shares no memory with what was given
        if np.shape(gradient) != np.shape(args[i]):
            raise ValueError(
                f"the rule of {name_of(func)} for argument {i} gave a gradient of shape {np.shape(gradient)}, "
                f"but the argument has shape {np.shape(args[i])}: sum over the axes along which it was broadcast"
            )
        return gradient

    return call


def is_numpy(func: Function) -> bool:
    """Whether NumPy itself dispatches calls of ``func`` on foreign array types."""
    return isinstance(func, np.ufunc) or hasattr(func, "_implementation")


def name_of(func: Function) -> str:
    """The name a user types for ``func``: np.sum, np.linalg.inv, sigmoid."""
    name: str = getattr(func, "__name__", repr(func))
    if not is_numpy(func):
        return name
    if isinstance(func, np.ufunc):
        return f"np.{name}" if getattr(np, name, None) is func else name
    return func.__module__.replace("numpy", "np", 1) + "." + name


def like(g: Array, x: Array) -> Array:
    """Sum ``g`` over the axes along which ``x`` was broadcast, so that it has the shape of ``x``."""
    if g.shape == x.shape:
        return g
    g = wide(g)
    extra = g.ndim - x.ndim
    if extra > 0:
        g = g.sum(axis=tuple(range(extra)))
    stretched = tuple(i for i, n in enumerate(x.shape) if n == 1 != g.shape[i])
    return g.sum(axis=stretched, keepdims=True) if stretched else g


HALF = np.dtype(np.float16)


def wide(x: Array) -> Array:
    """float16 as float32, to sum and count in: float16 ends at 65,504, and beyond 2,048 adding 1 changes nothing."""
    return x * np.float32(1) if x.dtype == HALF else x  # a product, which every kind of array has

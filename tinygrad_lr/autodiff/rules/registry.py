"""The tables of rules, and of whatever else is special about a function: the core knows none by its name.

A rule is plain NumPy: ``rule(g, y, *args, **kwargs)`` takes the gradient ``g`` of a call's result ``y`` and the
call's own arguments, and returns the gradient of one argument. Nothing here, and no rule, knows `Tensor`: given
arrays a rule returns arrays; given Tensors it is itself recorded, and can be differentiated again.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

Array = Any  # whatever speaks NumPy's protocols: ndarray, NumPy scalar, Tensor, Dask, CuPy
Function = Callable[..., Any]
Rule = Callable[..., Array]
P = ParamSpec("P")
T = TypeVar("T")


class SideGradient(NamedTuple):
    """The rule of an argument whose gradient is worth knowing but must not flow on.

    The result depends on that argument through another one as well, whose rule already carries all of the gradient.
    (A loss on sigmoid(z) is differentiated with respect to z; dL/da is still right when asked for.)
    """

    rule: Rule


class Each:
    """One rule for every argument of a variadic function: ``rule(i, g, y, *args)`` serves argument i."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Rule]:
        return (functools.partial(self.rule, i) for i in itertools.count())


Rules = tuple[Rule | SideGradient | None, ...] | Each

# -- the tables, filled where the rules stand ------------------------------------------------------------

RULES: dict[Function, Rules] = {}
"""function: one rule per argument; None where no gradient flows (a condition, an index)."""

COMPOSITES: dict[Function, Function] = {}
"""function: the same computed from functions that have rules."""

QUERIES: set[Function] = set()
"""Functions that only ask about the data and are not differentiated: shape, argmax, comparisons."""

UFUNC_METHODS: dict[tuple[np.ufunc, str], Function] = {}
"""(ufunc, "reduce" or "accumulate"): the function that computes the same along axis 0, or another that is given."""

REPHRASED: dict[Function, Callable[..., tuple[Function, tuple[Any, ...], dict[str, Any]]]] = {}
"""function: its call as another one, where a function is two in one or may write in place."""

VIEWS: set[Function] = set()
"""Functions that only lay elements out anew; they commute with any function of single elements."""

REMEMBERED: set[Function] = set()
"""Functions whose argument is kept even where no gradient is needed: a loss of a sigmoid is more exact from the logits."""

WRITING: set[Function] = set()
"""Functions that write into their first argument."""

PUBLIC: dict[Function, Function] = {}
"""A primitive that no user calls: the function of theirs that it computes."""

PLAIN: dict[Function, Function] = {}
"""A dispatching function: the one behind it, for callers that hold arrays for certain."""

ELSEWHERE = {"scipy.special": "tinygrad_lr.autodiff.rules.special"}
"""Another library whose ufuncs have rules: their chapter. It imports the library, so it loads only when it is needed."""

# -- how calls come in -----------------------------------------------------------------------------------


def is_recorded(x: object) -> bool:
    """Whether ``x`` is of a type that makes calls in its own way: Tensors record them, batches of cotangents go row by row.

    Such a type implements NumPy's protocols, and for functions of our own ``__record_call__(func, args, kwargs)``.
    """
    return type(x) is not np.ndarray and hasattr(x, "__record_call__")


def dispatching(func: Callable[P, T]) -> Callable[P, T]:
    """Let ``func`` be recorded when a Tensor is among its arguments."""

    @functools.wraps(func)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        a: Array
        for a in (*args, *kwargs.values()) if kwargs else args:
            if type(a) is not np.ndarray and is_recorded(a):  # arrays are by far the most: they save a call
                return a.__record_call__(call, args, kwargs)  # type: ignore[no-any-return]  # of the kind that it was called with
        return func(*args, **kwargs)

    PLAIN[call] = func
    return call


def has_rules(func: np.ufunc) -> bool:
    """Whether ``func`` has rules, once the chapter of the library that it comes from is loaded."""
    if func not in RULES:
        for library, chapter in ELSEWHERE.items():
            if getattr(sys.modules.get(library), func.__name__, None) is func:
                import_module(chapter)
    return func in RULES


def load_all() -> None:
    """Load the rules of the other libraries that are installed."""
    for library, chapter in ELSEWHERE.items():
        try:
            import_module(chapter)
        except ModuleNotFoundError as error:
            if not error.name or error.name.partition(".")[0] != library.partition(".")[0]:
                raise  # the library is there, and the chapter is broken


def is_numpy(func: Function) -> bool:
    """Whether NumPy itself dispatches calls of ``func`` on foreign array types."""
    return isinstance(func, np.ufunc) or hasattr(func, "_implementation")


def name_of(func: Function) -> str:
    """The name that a user types for ``func``: np.sum, np.linalg.inv, sigmoid."""
    name: str = getattr(func, "__name__", repr(func))
    if not is_numpy(func):
        return name
    if isinstance(func, np.ufunc):
        return f"np.{name}" if getattr(np, name, None) is func else name
    return func.__module__.replace("numpy", "np", 1) + "." + name


def public_name(func: Function) -> str:
    """`name_of` the function that a user called."""
    return name_of(PUBLIC.get(func, func))


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


def conformed(g: Array, x: Array, func: Function | None, name: str | None) -> Array:
    """``g`` in the dtype of ``x``, an argument of ``func`` that is called ``name``; no rule knows the derivatives of complex numbers."""
    if "c" in (g.dtype.kind, x.dtype.kind):
        raise TypeError(f"{name_of(func) if func else 'a leaf'} met complex numbers, whose derivatives no rule knows: compute with real and imaginary parts")
    if x.dtype.kind != "f":
        what = f"the data of {name}" if name else "a leaf's data"
        raise TypeError(f"{what} became {x.dtype} after gradients were required of it, and integers have none: assign floats to .data")
    return g.astype(x.dtype)

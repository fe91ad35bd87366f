"""`primitive`: a function of the user's own, with its own rules.

A user's rule is trusted with the mathematics and with nothing else: it gets a gradient of its own and views that
cannot be written to, and what it returns is copied and checked. Arguments that hold Tensors in a nested structure
travel through the graph as one flat array each, so that a rule runs once for all of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import (
    COMPOSITES,
    PLAIN,
    QUERIES,
    RULES,
    Array,
    Function,
    P,
    Rule,
    SideGradient,
    T,
    dispatching,
    has_rules,
    is_numpy,
    is_recorded,
    name_of,
)
from tinygrad_lr.autodiff.trees import leaves, parts, tree_map


def primitive(func: Callable[P, T], *rules: Rule | SideGradient | None) -> Callable[P, T]:
    """Teach autodiff a function together with its derivative.

    Parameters
    ----------
    func : callable
        A function of arrays in plain NumPy, or a NumPy function that has no rule yet.
    *rules : callable or None
        One rule per positional argument: ``rule(g, y, *args, **kwargs)`` gets the gradient ``g`` of
        the result (in the result's shape), the result ``y`` and the arguments of the call, and
        returns the gradient of that argument, in the argument's shape. None: no gradient flows there.
        Written with NumPy functions only, a rule can be differentiated again.
        An argument may be a nested tuple, list or dict with Tensors in it, as the parameters of an ODE;
        its rule returns the gradient in the same structure, with anything where there is no Tensor.

    Returns
    -------
    callable
        The function to call: on arrays it is ``func``; on Tensors it is recorded in the graph.
        A NumPy function is returned as it is, and works on Tensors from now on.

    Raises
    ------
    TypeError
        If ``func`` or a rule cannot be called, no rule is given, or ``func`` is a NumPy function with a rule of its own.
        In a call, if ``func`` returns no array or number.
    ValueError
        In a backward pass, if a rule returns a gradient of another shape or structure than its argument's, or
        writes into its arguments. (``g`` is the rule's own.)

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
    >>> line = tg.primitive(lambda p, x: p["w"] * x + p["b"], lambda g, y, p, x: {"w": g * x, "b": g}, lambda g, y, p, x: g * p["w"])
    >>> tg.grad(line)({"w": 2.0, "b": 1.0}, 5.0)
    {'w': np.float64(5.0), 'b': np.float64(1.0)}
    """
    if not callable(func):
        raise TypeError(f"primitive() needs a function first, got {func!r}")
    if not rules or not all(callable(r) or isinstance(r, SideGradient) or r is None for r in rules):
        raise TypeError(f"primitive({name_of(func)}, ...) needs one rule per argument: lambda g, y, *args: gradient")
    if is_numpy(func):
        refuse_built_in(func)
        TAUGHT.add(func)
        QUERIES.discard(func)
        call: Function = func
    else:
        call = taking_structures(func, rules)
    RULES[call] = tuple(guarded(rule, i, call) for i, rule in enumerate(rules))
    return call


TAUGHT: set[Function] = set()
"""NumPy functions that have their rules from users."""


def refuse_built_in(func: Function) -> None:
    """Refuse to replace rules that others rely on."""
    if func not in TAUGHT and (func in COMPOSITES or func in RULES or (isinstance(func, np.ufunc) and has_rules(func))):
        name = name_of(func)
        raise TypeError(
            f"{name} has a gradient already, and another would replace it for all code in this process: "
            f"give your rule to a function of your own, tg.primitive(lambda x: {name}(x), ...)"
        )


def giving_array(func: Function) -> Function:
    """``func`` as the graph calls it: it cannot write into its arguments, and must return one array, number or list."""
    whose = f"the primitive {name_of(func)}"

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Array:
        result = without_writing(whose, func, args, kwargs)
        if is_recorded(result):
            return data_of_constant(whose, result)
        if hasattr(result, "dtype"):
            return result
        if not isinstance(result, float | int | list):
            raise TypeError(f"{whose} returned a {type(result).__name__}: it must return one array or number")
        return np.asarray(result)

    return call


def without_writing(whose: str, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)`` on views that cannot be written to."""
    try:
        return func(*map(read_only, args), **{key: read_only(value) for key, value in kwargs.items()})
    except (ValueError, TypeError) as error:
        if "read-only" not in str(error):
            raise
        raise ValueError(f"{whose} writes into an array that the graph holds: make a new one (x = x * 2 in place of x *= 2)") from error


def data_of_constant(whose: str, result: Any) -> Array:
    """The data of a Tensor made from plain arrays; one that depends on a Tensor from outside would be cut off here."""
    if result.requires_grad:
        raise TypeError(f"{whose} returned a Tensor that depends on a tracked Tensor from outside: make that an argument with a rule, or use t.numpy()")
    return result.data


def guarded(rule: Rule | SideGradient | None, i: int, func: Function) -> Rule | SideGradient | None:
    """``rule``, kept from writing into what others hold and from returning a gradient of another shape than its argument."""
    if rule is None or isinstance(rule, SideGradient):
        return rule
    whose = f"the rule of {name_of(func)} for argument {i}"

    @functools.wraps(rule)
    def call(g: Array, y: Array, *args: Any, **kwargs: Any) -> Array:
        own = g.copy() if isinstance(g, np.ndarray) else g  # siblings hold g as well
        gradient = without_writing(whose, functools.partial(rule, own), (y, *args), kwargs)
        if gradient is None:
            raise TypeError(f"{whose} returned None: return an array of zeros, or pass None in place of the rule where no gradient flows")
        if is_recorded(gradient) and not is_recorded(g):
            gradient = data_of_constant(whose, gradient)
        if isinstance(gradient, np.ndarray) or not hasattr(gradient, "dtype"):
            gradient = np.array(gradient)  # a copy: the rule may return the same memory the next time
        if np.shape(gradient) != np.shape(args[i]):
            raise ValueError(
                f"{whose} returned a gradient of shape {np.shape(gradient)}, "
                f"but the argument has shape {np.shape(args[i])}: sum over the axes along which it was broadcast"
            )
        return gradient

    return call


def read_only(x: Any) -> Any:
    """A view that cannot be written to; of a structure, one of each array in it."""
    if isinstance(x, list | tuple | dict):
        return tree_map(read_only, x)
    if type(x) is not np.ndarray:
        return x
    view = x.view()
    view.flags.writeable = False
    return view


# -- arguments that hold Tensors -----------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    """Where a Tensor was in a structure: the part of the flat array that has its numbers."""

    start: int
    stop: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def holds_recorded(x: Any) -> bool:
    """Whether ``x`` is a structure with Tensors in it."""
    return isinstance(x, list | tuple | dict) and any(map(is_recorded, leaves(x)))


def taking_structures(func: Function, rules: tuple[Rule | SideGradient | None, ...]) -> Function:
    """``func``, recorded when a Tensor is among its arguments; where structures hold Tensors, as a function of flat arrays."""

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if any(map(holds_recorded, given)):
            return call_flat(*args, **kwargs)
        for a in given:
            if is_recorded(a):
                return a.__record_call__(call, args, kwargs)
        return func(*args, **kwargs)

    def call_flat(*args: Any, **kwargs: Any) -> Any:
        bound = inspect.signature(func).bind(*args, **kwargs)
        for name, value in bound.kwargs.items():
            if holds_recorded(value) or is_recorded(value):
                raise TypeError(f"{name_of(func)}({name}=...) has no rule for a Tensor there: make it a positional argument, with a rule")
        layouts, flats = zip(*map(flattened, bound.args))
        return of_flat()(*flats, layouts=layouts, **bound.kwargs)

    @functools.cache
    def of_flat() -> Function:
        @dispatching
        @functools.wraps(func)
        def flat(*flats: Any, layouts: tuple[Any, ...], **kwargs: Any) -> Array:
            return PLAIN[call](*map(restored, layouts, flats), **kwargs)

        RULES[flat] = tuple(guarded(flat_rule(rule, i, func), i, flat) for i, rule in enumerate(rules))
        return flat

    PLAIN[call] = giving_array(func)
    return call


def flattened(argument: Any) -> tuple[Any, Array]:
    """The layout of a structure, and the numbers of its Tensors in a row; of anything else None and itself."""
    if not holds_recorded(argument):
        return None, argument
    tensors: list[Array] = []
    start = 0

    def slot(x: Any) -> Any:
        nonlocal start
        if not is_recorded(x):
            return x
        if x.dtype.kind != "f":
            return np.asarray(x)
        tensors.append(np.ravel(x))
        start += x.size
        return Slot(start - x.size, start, x.shape, x.dtype)

    layout = tree_map(slot, argument)
    return layout, np.concatenate(tensors) if tensors else np.zeros(0)


def restored(layout: Any, flat: Array) -> Any:
    """The argument that `flattened` took apart."""
    if layout is None:
        return flat
    return tree_map(lambda x: flat[x.start : x.stop].reshape(x.shape).astype(x.dtype) if isinstance(x, Slot) else x, layout)


def flat_rule(rule: Rule | SideGradient | None, i: int, func: Function) -> Rule | SideGradient | None:
    """A rule of structures as one of flat arrays."""
    if rule is None or isinstance(rule, SideGradient):
        return rule
    whose = f"the rule of {name_of(func)} for argument {i}"

    def call(g: Array, y: Array, *flats: Array, layouts: tuple[Any, ...], **kwargs: Any) -> Array:
        gradient = rule(g, y, *map(restored, layouts, flats), **kwargs)
        return gradient if layouts[i] is None else raveled(gradient, layouts[i], whose)

    return call


def raveled(gradient: Any, layout: Any, whose: str) -> Array:
    """The gradients of a structure's Tensors in a row."""
    rows = []
    for place, slot, g in at_slots(gradient, layout, ""):
        if g is None or np.shape(g) != slot.shape:
            given = "nothing" if g is None else f"a gradient of shape {np.shape(g)}"
            raise ValueError(f"{whose} returned {given} at {place}, but the argument has shape {slot.shape} there: return the same structure")
        rows.append(np.ravel(g))
    return np.concatenate(rows) if rows else np.zeros(0)


def at_slots(gradient: Any, layout: Any, place: str) -> Iterator[tuple[str, Slot, Any]]:
    """Where each Tensor was, and what the gradient has there; None where its structure has no such place."""
    if isinstance(layout, Slot):
        yield place, layout, gradient
        return
    there = dict(parts(gradient, "") or ())
    for where, part in parts(layout, "") or ():
        yield from at_slots(there.get(where), part, place + where)

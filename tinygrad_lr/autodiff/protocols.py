"""NumPy's protocols: what happens where one of NumPy's functions meets a Tensor, and what is refused.

A call that needs no gradient is made on the data; any other must have a rule. Whatever is special about a function is
read from the tables in `rules.registry`. What would write into a Tensor is refused, with the way to write it instead.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tinygrad_lr.autodiff.operands import check_operand
from tinygrad_lr.autodiff.record import recorder
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, QUERIES, REPHRASED, RULES, UFUNC_METHODS, VIEWS, WRITING, Array, Each, Function, has_rules, name_of
from tinygrad_lr.autodiff.trees import Tree, tree_map


class NumPyProtocols:
    """What lets an array type that inherits this be passed to functions, NumPy's and our own.

    The type has ``data`` and ``requires_grad``. Its ``__record__(func, args, kwargs)`` makes a call that may need a
    gradient, and its ``__wrap__(data)`` makes an array of the type from the result of a call that needs none.
    """

    __slots__ = ()

    data: Array
    requires_grad: bool

    __record__: Function
    __wrap__: Function

    def __record_call__(self, func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Array:
        if kwargs:
            args, kwargs = positional(func, args, kwargs)
        check_rules(func, args)
        return self.__record__(func, args, kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Array, **kwargs: Any) -> Array:
        if kwargs:
            refuse_tensor_as_out(ufunc, kwargs.get("out"))
        if method == "at":
            refuse_tensor_as_target(name_of(ufunc) + ".at", inputs[0])
        if ufunc in QUERIES or not any(map(tracked, inputs)):
            result = getattr(ufunc, method)(*map(data_of, inputs), **data_of(kwargs))
            return result if "out" in kwargs else wrapped(result, self.__wrap__)
        if kwargs:
            refuse_out(ufunc, kwargs.get("out"))
        if method == "outer" and ufunc.nin == 2 and ufunc.signature is None:
            a, b = inputs
            return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b, **kwargs)
        if method != "__call__":
            return function_of(ufunc, method, kwargs)(*inputs, **{"axis": 0, **kwargs})
        if kwargs:
            refuse_settings_of_ufunc(ufunc, kwargs)
        inputs = tuple(np.asarray(x) if isinstance(x, list | tuple) else x for x in inputs)
        if ufunc in COMPOSITES:
            return COMPOSITES[ufunc](*inputs)
        if ufunc not in RULES and not has_rules(ufunc):
            refuse_without_rule(name_of(ufunc))
        check_rules(ufunc, inputs)
        return self.__record__(ufunc, inputs)

    def __array_function__(self, func: Function, types: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Array:
        if func in REPHRASED:
            func, args, kwargs = REPHRASED[func](*args, **kwargs)
        if func in VIEWS and args and isinstance(args[0], NumPyProtocols):
            return self.__record__(func, args, kwargs)  # also where untracked, because a view of a remembered result is remembered
        if func in WRITING and args:
            refuse_tensor_as_target(name_of(func), args[0])
        out = out_of(func, args, kwargs) if kwargs or len(args) > 1 else None
        if func in QUERIES or not (any(map(tracked, args)) or any(map(tracked, kwargs.values()))):
            refuse_tensor_as_out(func, out)
            kwargs.pop("overwrite_input", None)
            result = func(*map(data_of, args), **data_of(kwargs))
            return result if out is not None else wrapped(result, self.__wrap__)
        refuse_out(func, out)
        if func in COMPOSITES:
            for value in kwargs.values():
                check_operand(value)
            return COMPOSITES[func](*args, **kwargs)
        if func not in RULES:
            refuse_without_rule(name_of(func))
        result = self.__record_call__(func, args, kwargs)
        if not np.issubdtype(result.dtype, np.floating):
            raise TypeError(f"{name_of(func)} turned a tracked Tensor into {result.dtype}, which has no gradient: use t.numpy() for that")
        return result


def wrapped(result: Tree, wrap: Callable[[Array], Array]) -> Tree:
    """Floating results of untracked calls as Tensors; others (masks, indices, shapes) as they are."""
    if isinstance(result, list | tuple):
        return tree_map(lambda part: wrapped(part, wrap), result)
    return wrap(result) if hasattr(result, "dtype") and np.issubdtype(result.dtype, np.floating) else result


def tracked(x: Tree) -> bool:
    """Whether ``x`` is, or holds, a Tensor that gradients flow through."""
    if isinstance(x, NumPyProtocols):
        return x.requires_grad and recorder.get() is not None
    if isinstance(x, dict):
        x = list(x.values())
    return isinstance(x, list | tuple) and any(map(tracked, x))


def data_of(x: Tree) -> Tree:
    """``x`` with the Tensors in it replaced by their data."""
    if isinstance(x, NumPyProtocols):
        return x.data
    if type(x) in (list, tuple, dict):
        return tree_map(data_of, x)
    return x


# -- the call as its rules take it -----------------------------------------------------------------------


def positional(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same call without Tensors among the keywords: they move to their positions, as far as the signature allows."""
    for value in kwargs.values():
        check_operand(value)
    if not any(isinstance(value, NumPyProtocols) for value in kwargs.values()):
        return args, kwargs
    bound = inspect.signature(func).bind(*args, **kwargs)
    if any(map(tracked, bound.kwargs.values())):  # behind settings that were not given: these get their defaults
        bound.apply_defaults()
    for key, value in bound.kwargs.items():
        if tracked(value):
            raise TypeError(f"{name_of(func)}({key}=...) has no rule for a tracked Tensor there: pass it as a plain array (t.numpy())")
    args = bound.args
    while args[-1] is np._NoValue:
        args = args[:-1]
    return args, data_of({key: value for key, value in bound.kwargs.items() if key in kwargs})


def check_rules(func: Function, args: tuple[Any, ...]) -> None:
    """Refuse what ``func`` has no rule for: arrays of Python objects, and a tracked Tensor where none is expected."""
    for arg in args:
        if type(arg) is np.ndarray and arg.dtype.hasobject:  # `record` refuses whatever else calculates by rules of its own
            check_operand(arg)
    rules = RULES[func]
    if isinstance(rules, Each):
        return
    for i, arg in enumerate(args[len(rules) :], start=len(rules)):
        if tracked(arg):
            raise TypeError(f"{name_of(func)} has no rule for its argument {i}, which is a tracked Tensor: pass it as a plain array (t.numpy())")


def function_of(ufunc: np.ufunc, method: str, kwargs: dict[str, Any]) -> Function:
    """The function that a ufunc's method is, where it takes these settings."""
    if (ufunc, method) not in UFUNC_METHODS:
        raise TypeError(
            f"{name_of(ufunc)}.{method} has no rule, so its gradient is unknown: "
            f"write it with functions that have one, or call it on t.numpy() if no gradient is wanted"
        )
    func = UFUNC_METHODS[ufunc, method]
    for key in kwargs.keys() - places_of(func):
        raise TypeError(f"{name_of(ufunc)}.{method}({key}=...) is not supported on a tracked Tensor: use t.astype(dtype)")
    return func


@functools.cache
def places_of(func: Function) -> dict[str, int]:
    """The positions of a function's arguments by name."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except ValueError:  # some of NumPy's functions have no signature
        return {}
    return {p.name: i for i, p in enumerate(parameters) if p.kind is not p.KEYWORD_ONLY}


def out_of(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Array:
    """The array that a call would write into, whether given by name or by position."""
    if "out" in kwargs:
        return kwargs["out"]
    place = places_of(func).get("out")
    return args[place] if place is not None and len(args) > place else None


# -- what is refused -------------------------------------------------------------------------------------


def refuse_tensor_as_target(name: str, target: object) -> None:
    """Refuse to write into a Tensor."""
    if isinstance(target, NumPyProtocols):
        raise TypeError(f"{name} would write into a Tensor, and Tensors are never written in place: use np.where(mask, value, t) for a changed copy")


def refuse_tensor_as_out(func: Function, out: object) -> None:
    """Refuse to write a result into a Tensor."""
    if any(isinstance(target, NumPyProtocols) for target in (out if isinstance(out, tuple) else (out,))):
        raise TypeError(f"{name_of(func)}(out=...) into a Tensor: Tensors are never written in place")


def refuse_out(func: Function, out: object) -> None:
    """Refuse to write a result that the graph needs into an array of the user's."""
    if out is not None:
        raise TypeError(
            f"{name_of(func)}(out=...) on a tracked Tensor: results are never written in place, because the graph needs what was there; "
            f"write a = a + t instead of a += t or out=a"
        )


def refuse_settings_of_ufunc(ufunc: np.ufunc, kwargs: dict[str, Any]) -> None:
    """Refuse the settings that no rule covers."""
    if kwargs.get("where") is not None:
        raise TypeError(f"{name_of(ufunc)}(where=...) on a tracked Tensor: there is no rule for a partial call; use np.where(mask, result, otherwise)")
    raise TypeError(f"{name_of(ufunc)}({', '.join(kwargs)}=...) is not supported on a tracked Tensor: use t.astype(dtype)")


def refuse_without_rule(name: str) -> NoReturn:
    """Say how to teach a function."""
    raise TypeError(
        f"{name} has no rule, so its gradient is unknown. To add one:\n"
        f"    import tinygrad_lr as tg\n"
        f"    rule = lambda g, y, x: g * ...  # from the gradient g of the result y, the gradient of the argument x\n"
        f"    tg.primitive({name}, rule)      # one rule for each argument\n"
        f"or call it on t.numpy() if no gradient is wanted."
    )

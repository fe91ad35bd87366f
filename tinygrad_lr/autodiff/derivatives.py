"""Derivatives of Tensors and of functions.

Functions take arrays and return arrays. Called inside another derivative, or with Tensors, they return Tensors, so
they nest: a derivative of a derivative is written just so.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import NamedTuple, TypeGuard, overload

import numpy as np

from tinygrad_lr.autodiff.backward import pull_back
from tinygrad_lr.autodiff.node import Node, node_of
from tinygrad_lr.autodiff.record import recorder, recording
from tinygrad_lr.autodiff.rules.registry import Array, Function, P, T
from tinygrad_lr.autodiff.tensor import Tensor, lift, seed_of, unshared
from tinygrad_lr.autodiff.trees import Tree, filled, leaves, located, parts, structure, tree_map

Tensors = Tensor | Sequence[Tensor]


def gradients(outputs: Tensors, inputs: Tensors, grad_outputs: Tree = None, create_graph: bool = False) -> tuple[Tensor, ...]:
    """Gradients of (the sum of) outputs with respect to inputs, without touching any ``.grad``.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What to differentiate. An output that holds more than one number needs its entry in ``grad_outputs``.
    inputs : Tensor or sequence of Tensor
        What to differentiate with respect to: leaves, or Tensors computed in between.
    grad_outputs : array_like or sequence of array_like, optional
        For each output the gradient to start with, in its shape; 1 for a single number. Tensors stay
        in the graph when ``create_graph`` is set.
    create_graph : bool
        Whether the gradients can be differentiated again. The graph is kept either way.

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
        if g is None and y.size != 1:
            raise RuntimeError(f"gradients() of an output of shape {y.shape} needs its gradient to start with in grad_outputs, or to be reduced first")
        seed = seed_of(y, g)
        if create_graph:
            seed = g if isinstance(g, Tensor) else Tensor(seed)
        if y.node is not None and y.node.requires_grad:
            seeds[y.node] = seeds[y.node] + seed if y.node in seeds else seed
    with recording(node_of if create_graph else None):
        kept = pull_back(seeds, keep={x.node for x in xs if x.node is not None}, lift=lift if create_graph else None)
    mine: set[int] = set()
    found = (kept[x.node] if x.node in kept else np.zeros_like(x.data) for x in xs)
    return tuple(g if isinstance(g, Tensor) else Tensor(unshared(g, mine)) for g in found)


def listed(tensors: Tensors, what: str) -> list[Tensor]:
    """One Tensor or several, as a list."""
    found = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(f"{what} of gradients() must be Tensors, number {i} is {type(t).__name__}")
    return found


def as_tensor(x: Array) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


nested: ContextVar[bool] = ContextVar("nested", default=False)
"""Whether a function that is being differentiated is running, in this thread or task."""

in_progress: set[Node] = set()
"""The variables of all derivatives whose functions are running, in any thread: threads that such a function starts know nothing of `nested`."""


class Differentiated(NamedTuple):
    """A function called with Tensors in place of the arguments to differentiate with respect to."""

    value: Tree  # what the function returned: Tensors, in whatever structure
    arguments: tuple[Tree, ...]  # those arguments, with a Tensor for each array in them; None stays
    variables: list[Tensor]  # these Tensors, in a row
    as_tensors: bool  # whether results stay Tensors, because an outer derivative, or the caller, holds Tensors

    def gradients(self, outputs: list[Array], seeds: Sequence[Array]) -> Iterator[Tensor]:
        """The gradients with respect to the variables; outputs that are not tracked depend on none of them."""
        pairs = [(y, g) for y, g in zip(outputs, seeds) if is_tracked(y)]
        create_graph = self.as_tensors and recorder.get() is not None
        return iter(gradients([y for y, _ in pairs], self.variables, [g for _, g in pairs], create_graph=create_graph))

    def joined_by(self, given: list[Array]) -> Differentiated:
        """The same, with results as Tensors if there are Tensors among what was ``given`` besides the arguments."""
        return self._replace(as_tensors=self.as_tensors or any(isinstance(x, Tensor) for x in given))

    def result(self, tree: Tree) -> Tree:
        """Tensors as the caller wants them, in a structure of its own; cut out of the graph where nothing is recorded."""
        if not self.as_tensors:
            return tree_map(lambda x: x.data[()] if isinstance(x, Tensor) else x, tree)  # single numbers as NumPy scalars
        return structure(tree) if recorder.get() is not None else tree_map(cut, tree)


def differentiated(fn: Function, args: tuple[Tree, ...], kwargs: dict[str, Tree], indices: tuple[int, ...]) -> Differentiated:
    """Call ``fn`` with the arguments at ``indices`` as variables."""
    if not indices:
        raise TypeError("there are no arguments to differentiate with respect to")
    needed = max(max(indices) + 1, -min(indices))
    if needed > len(args):
        raise TypeError(f"argnums {indices} needs {needed} positional arguments, got {len(args)}")
    places = [i % len(args) for i in indices]
    if len(set(places)) < len(places):
        raise ValueError(f"argnums {indices} names an argument twice")
    given = [leaf for i in places for leaf in held(args[i])]
    if not all(map(is_floating, given)):
        place, dtype = next((at, dtype_of(x)) for i in places for at, x in located(args[i], f"argument {i}") if x is not None and not is_floating(x))
        raise TypeError(
            f"only floating Tensors can require gradients, got dtype {dtype}: "
            f"write the numbers as floats in {place}, or do not differentiate with respect to it"
        )
    inner = recorder.get() is not None  # under no_grad, outer derivatives take this one as a constant
    with recording():
        arguments = {i: tree_map(variable, args[i] if inner else tree_map(cut, args[i])) for i in places}
        variables = held(tuple(arguments.values()))
        handed = {i: structure(arguments[i]) for i in places}  # fn may change what it gets: pop from a dict, append to a list
        value = called(fn, [handed.get(i, arg) for i, arg in enumerate(args)], kwargs, variables)
    as_tensors = any(isinstance(x, Tensor) for x in given) or reaches_beyond(leaves(value), variables)
    return Differentiated(value, tuple(arguments.values()), variables, as_tensors)


def called(fn: Function, args: list[Tree], kwargs: dict[str, Tree], variables: list[Tensor]) -> Tree:
    """``fn(*args, **kwargs)``, while all derivatives inside it see the variables of this one."""
    nodes = {x.node for x in variables if x.node is not None}
    token = nested.set(True)
    in_progress.update(nodes)
    try:
        return fn(*args, **kwargs)
    finally:
        in_progress.difference_update(nodes)
        nested.reset(token)


def held(tree: Tree) -> list[Array]:
    """The arrays and numbers in a structure; None stands for nothing."""
    return [leaf for leaf in leaves(tree) if leaf is not None]


def dtype_of(x: Array) -> np.dtype[np.generic]:
    return x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype


def is_floating(x: Array) -> bool:
    return type(x) is float or dtype_of(x).kind == "f"


def is_tracked(x: object) -> TypeGuard[Tensor]:
    return isinstance(x, Tensor) and x.requires_grad


def variable(x: Array) -> Tensor | None:
    """A Tensor to differentiate with respect to. A tracked one is renewed, so that outer derivatives stay apart from this one."""
    if x is None:
        return None
    renewed = +x if is_tracked(x) else Tensor(x, requires_grad=True)
    renewed.node.differentiated = True  # type: ignore[union-attr]
    return renewed


def cut(x: Array) -> Array:
    """A Tensor out of its graph."""
    return x.detach() if isinstance(x, Tensor) else x


def reaches_beyond(results: list[Array], variables: list[Tensor]) -> bool:
    """Whether results depend on the variables of an outer derivative, or in its function on anything tracked besides their own."""
    inside = nested.get()
    if not inside and not in_progress:
        return False
    stack = [y.node for y in results if isinstance(y, Tensor)]
    seen = {x.node for x in variables}
    while stack:
        node = stack.pop()
        if node is None or node in seen or not node.requires_grad:
            continue
        if node in in_progress or (inside and node.func is None):
            return True
        seen.add(node)
        stack.extend(node.parents)
    return False


def own_array(x: Array) -> Array:
    """A copy of an array; Tensors are never written in place."""
    return x.copy() if isinstance(x, np.ndarray) else x


def selected(argnums: int | Sequence[int]) -> tuple[int, ...]:
    """``argnums`` as a tuple."""
    indices = tuple(argnums) if isinstance(argnums, Sequence) else (argnums,)
    if not indices:
        raise ValueError("argnums is empty: name at least one argument to differentiate with respect to")
    return tuple(map(operator.index, indices))


@overload
def value_and_grad(fn: Callable[P, Tensor], argnums: int | Sequence[int] = 0) -> Callable[P, tuple[Array, Tree]]: ...
@overload
def value_and_grad(fn: Callable[P, T], argnums: int | Sequence[int] = 0) -> Callable[P, tuple[T, Tree]]: ...
def value_and_grad(fn: Callable[P, Array], argnums: int | Sequence[int] = 0) -> Callable[P, tuple[Array, Tree]]:
    """A function that returns ``fn``'s value and gradient.

    Parameters
    ----------
    fn : callable
        A function written with NumPy that returns a single number. Its arguments to differentiate with
        respect to are floating arrays or numbers, or nested tuples, lists and dicts of them.
    argnums : int or tuple of int
        The positional arguments to differentiate with respect to.

    Returns
    -------
    callable
        Called as ``fn`` is; returns (value, gradient). The gradient has the structure, shapes and dtypes of
        the argument; it is a tuple of those where ``argnums`` is a tuple. For arrays they are arrays, cut out
        of any graph; for Tensors they are Tensors. To differentiate the gradient again with respect to
        Parameters that ``fn`` reads from outside (a gradient penalty), pass a Tensor.

    Raises
    ------
    TypeError
        On call, if an argument to differentiate with respect to is not floating, or is not there.
    ValueError
        On call, if the result is not a single number.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> value, gradient = tg.value_and_grad(lambda w: np.sum(w**2))(np.array([1.0, 2.0]))
    >>> print(value, gradient)
    5.0 [2. 4.]
    >>> tg.grad(lambda p: p["w"] ** 2 * p["b"])({"w": 3.0, "b": 2.0})
    {'w': np.float64(12.0), 'b': np.float64(9.0)}
    """
    indices = selected(argnums)

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> tuple[Array, Tree]:
        call = differentiated(fn, args, kwargs, indices)
        y = call.value
        if not is_number(y) or math.prod(np.shape(y)) != 1:
            what = f"an array of shape {np.shape(y)}" if is_number(y) else type(y).__name__
            raise ValueError(f"grad() needs a function that returns a single number, this one returned {what}: sum it, or use jacobian()")
        found = filled(call.arguments, call.gradients([y], [None]))
        return call.result(y), call.result(found if isinstance(argnums, Sequence) else found[0])

    return wrapped


def grad(fn: Callable[P, Array], argnums: int | Sequence[int] = 0) -> Callable[P, Tree]:
    """A function that returns ``fn``'s gradient; see `value_and_grad`.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> tg.grad(np.exp)(0.0), tg.grad(tg.grad(lambda x: x**3))(2.0)
    (np.float64(1.0), np.float64(12.0))
    """
    both = value_and_grad(fn, argnums)

    @functools.wraps(fn)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Tree:
        return both(*args, **kwargs)[1]

    return wrapped


def vjp(fn: Function, *xs: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """The value of ``fn`` at ``xs``, and the function that pulls a cotangent of the result back to the arguments.

    Parameters
    ----------
    fn : callable
        A function written with NumPy; arguments and result are arrays, numbers, or nested tuples, lists
        and dicts of them.
    *xs : array_like
        Where to differentiate.

    Returns
    -------
    y
        ``fn(*xs)``.
    pullback : callable
        ``pullback(g)``, with ``g`` in the structure and shapes of ``y``, returns a tuple with one gradient
        per argument: g^T J. It can be called any number of times.

    Raises
    ------
    TypeError
        If an argument is not floating.
    ValueError
        If the cotangent's structure or shapes are not those of the result.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> y, pullback = tg.vjp(np.multiply, np.array([1.0, 2.0]), 3.0)
    >>> print(y, *pullback(np.array([1.0, 10.0])))
    [3. 6.] [ 3. 30.] 21.0
    """
    xs = tree_map(own_array, xs)  # what the pullback computes later does not change with the caller's arrays
    call = differentiated(fn, xs, {}, tuple(range(len(xs))))
    check_numbers(call.value, "vjp")

    def pullback(g: Tree) -> tuple[Tree, ...]:
        seeds = matching(g, y, "the cotangent of pullback() for the result")
        pull = call.joined_by(seeds)
        return pull.result(filled(call.arguments, pull.gradients(held(y), seeds)))  # type: ignore[no-any-return]  # as arguments are

    y = structure(call.value)
    return tree_map(own_array, call.result(y)), pullback


def jvp(fn: Function, xs: Tree, vs: Tree) -> tuple[Tree, Tree]:
    """The value of ``fn`` at ``xs`` and its derivative in the direction ``vs``: J v.

    The pullback u -> u^T J is linear in u, so its own pullback at v is J v: the transpose of the transpose
    (Townsend 2017, "A new trick for calculating Jacobian vector products").

    Parameters
    ----------
    fn : callable
        A function written with NumPy.
    xs, vs : tuple, or a single argument
        The arguments of ``fn``, and a direction of the same structure and shapes.

    Returns
    -------
    tuple
        (value, directional derivative), both in the structure of the result.

    Raises
    ------
    ValueError
        If the direction's structure or shapes are not those of the arguments.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> y, dy = tg.jvp(np.sin, np.array([0.0, 1.0]), np.array([1.0, 0.0]))
    >>> print(dy)
    [1. 0.]
    """
    xs, vs = as_tuple(xs), as_tuple(vs)
    call = differentiated(fn, xs, {}, tuple(range(len(xs))))
    check_numbers(call.value, "jvp")
    directions = matching_arguments(vs, call.arguments, "jvp")
    call = call.joined_by(directions)
    outputs = held(call.value)
    cotangents = [Tensor(np.zeros_like(y.data), requires_grad=True) for y in outputs if is_tracked(y)]
    pulled = gradients(list(filter(is_tracked, outputs)), call.variables, cotangents, create_graph=True)
    slopes = iter(gradients(pulled, cotangents, directions, create_graph=call.as_tensors and recorder.get() is not None))
    found = (next(slopes) if is_tracked(y) else Tensor(np.zeros(np.shape(y), dtype_of(y) if is_floating(y) else float)) for y in outputs)
    return tree_map(own_array, call.result(call.value)), call.result(filled(call.value, found))


def hvp(fn: Function, xs: Tree, vs: Tree) -> Tree:
    """The Hessian of ``fn`` at ``xs`` times the direction ``vs``, without the Hessian (Pearlmutter 1994).

    Parameters
    ----------
    fn, xs, vs
        As for `jvp`; ``fn`` returns a single number.

    Returns
    -------
    H v in the structure of ``xs``.

    Raises
    ------
    ValueError
        If the result is not a single number, or the direction does not match the arguments.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> print(tg.hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 1.0])))
    [ 6. 12.]
    """
    args, vs = as_tuple(xs), as_tuple(vs)
    argnums = tuple(range(len(args)))
    call = differentiated(grad(fn, argnums), args, {}, argnums)
    directions = matching_arguments(vs, call.arguments, "hvp")
    call = call.joined_by(directions)
    found = call.result(filled(call.arguments, call.gradients(held(call.value), directions)))
    return found if args is xs else found[0]


def as_tuple(xs: Tree) -> tuple[Tree, ...]:
    """Arguments as a tuple; a single one that is no tuple (or is a named one) stands alone."""
    return xs if isinstance(xs, tuple) and not hasattr(xs, "_fields") else (xs,)


def matching_arguments(vs: tuple[Tree, ...], arguments: tuple[Tree, ...], name: str) -> list[Array]:
    """The directions in a row, one for each array in the arguments."""
    if len(vs) != len(arguments):
        raise ValueError(f"{name}() needs one direction per argument: {len(arguments)}, got {len(vs)}")
    return [part for i, (v, x) in enumerate(zip(vs, arguments)) for part in matching(v, x, f"the direction of {name}() for argument {i}")]


def matching(given: Tree, tree: Tree, place: str) -> list[Array]:
    """What was ``given`` for each array in ``tree``, which must have the same structure and shapes."""
    if tree is None and given is None:
        return []
    if isinstance(tree, dict) and isinstance(given, dict) and given.keys() == tree.keys():
        inside = [given[key] for key in tree]
    elif isinstance(tree, list | tuple) and isinstance(given, list | tuple) and len(given) == len(tree):
        inside = list(given)
    else:
        array = np.asarray(given) if isinstance(given, list | tuple) else given
        if not is_number(tree) or not is_number(array) or np.shape(array) != np.shape(tree):
            raise ValueError(f"{place} must be {described(tree)}, got {described(given)}")
        return [array]
    return [leaf for v, (where, x) in zip(inside, parts(tree, place) or ()) for leaf in matching(v, x, where)]


def described(x: Tree) -> str:
    """What kind of structure or array this is."""
    if isinstance(x, dict):
        return f"a dict with the keys {', '.join(map(repr, x))}"
    if isinstance(x, list | tuple):
        return f"a {type(x).__name__} of length {len(x)}"
    return f"an array of shape {np.shape(x)}" if is_number(x) else type(x).__name__


def is_number(x: Array) -> bool:
    """Whether ``x`` is a real number or an array of them."""
    return isinstance(x, float | int) or (hasattr(x, "dtype") and x.dtype.kind in "fiub")


def check_numbers(value: Tree, name: str) -> None:
    """Refuse what has no derivative: anything but numbers. None as a part is let through, for it holds nothing."""
    for place, y in located(value, "result"):
        if not is_number(y) and not (y is None and value is not None):
            raise ValueError(f"{name}() needs a function that returns arrays or numbers, this one's {place} is of type {type(y).__name__}")

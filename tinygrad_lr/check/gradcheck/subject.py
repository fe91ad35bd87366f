"""What is checked: a function at a point, its answers in a row, and its derivatives by autodiff."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.backward import pull_back
from tinygrad_lr.autodiff.derivatives import differentiated, gradients
from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.trees import filled, leaves, tree_map
from tinygrad_lr.check.gradcheck.differences import Floats

STEADY = 1e-6  # how far the answers of two calls at the same point may be apart, as a part of their size: beyond, that is no rounding
STANDSTILL = "Let nothing change from call to call: make random generators from a seed inside, and keep counters and running means out."


class RuleError(ValueError):
    """A backward pass that failed although the function itself works: some rule gives the wrong shape."""


class Subject:
    """A function of nested structures as a function of a list of arrays, whose answers stand in a row.

    Parameters
    ----------
    fn : callable
        Of arrays or of Tensors.
    inputs : tuple
        Its arguments: floating arrays, numbers, or nested tuples, lists and dicts of them.
    names : sequence of str, optional
        What to call the inputs; by default as the function does.

    Attributes
    ----------
    given : list of arrays
        The inputs' arrays as the user has them.
    xs : list of float64 arrays
        Copies.
    names : list of str
        One for each array.
    answers : list
        The floating answers at ``xs``.
    passed : tuple
        What the function was last called with.
    evaluations : int
        How often the function was called.
    """

    def __init__(self, fn: Callable[..., Any], inputs: tuple[Any, ...], names: Sequence[str] | None = None) -> None:
        self.fn = fn
        self.inputs = tree_map(lambda x: np.asarray(x.data if isinstance(x, Tensor) else x), inputs)
        self.names = [path for name, x in zip(names or argument_names(fn, len(inputs)), self.inputs) for path in paths(name, x)]
        self.given = leaves(self.inputs)
        for name, x in zip(self.names, self.given):
            if not np.issubdtype(x.dtype, np.floating):
                raise TypeError(
                    f"gradcheck() moves its inputs by small steps, so they must be floating: {name} has dtype {x.dtype}. "
                    f"Write its numbers as floats (x.astype(float)), or if it is no variable keep it in fn: lambda x: fn(x, {name})"
                )
        self.xs: list[Floats] = [np.array(x, dtype=np.float64) for x in self.given]
        self.evaluations = 0
        self.on_tensors = False
        self.answers = self.call(self.xs)

    def tree(self, xs: list[Any]) -> tuple[Any, ...]:
        """Arrays in the structure of the arguments."""
        return filled(self.inputs, iter(xs))  # type: ignore[no-any-return]

    def call(self, xs: list[Any]) -> list[Any]:
        """All floating answers, on copies of the arrays."""
        self.evaluations += 1
        with no_grad():
            if not self.on_tensors:
                try:
                    self.passed = self.tree([np.array(x) for x in xs])
                    return floating(self.fn(*self.passed))
                except (AttributeError, TypeError):
                    if any(map(np.iscomplexobj, xs)):
                        raise
            self.passed = self.tree([Tensor(np.array(x)) for x in xs])
            found = floating(self.fn(*self.passed))
        self.on_tensors = True  # fn needs Tensors
        return found

    def unsteady(self) -> str:
        """How another call at the same point differs from the first; empty if it does not."""
        return differing("fn", joined(self.answers), joined(self.call(self.xs)))

    def written(self) -> list[str]:
        """The names of the inputs that the last call, which was at `xs`, changed in place."""
        held = [np.asarray(x.data if isinstance(x, Tensor) else x) for x in leaves(self.passed)]
        if len(held) != len(self.xs):
            return self.names
        return [name for name, x, y in zip(self.names, self.xs, held) if not np.array_equal(x, y)]

    def values(self, xs: list[Any]) -> Floats:
        """The answers in a row."""
        return joined(self.call(xs))

    def seeded(self, xs: list[Any], seeds: Sequence[Sequence[Any]]) -> list[Floats]:
        """`derivatives` as plain arrays."""
        return [np.asarray(g.data) for g in self.derivatives(xs, seeds)]

    def derivatives(self, xs: list[Any], seeds: Sequence[Sequence[Any]], create_graph: bool = False) -> list[Tensor]:
        """The derivative of order ``len(seeds)`` by autodiff: each time, the gradient of all that is there, with the next seeds."""
        return pulled(*self.graph(xs), seeds, create_graph)

    def graph(self, xs: list[Any]) -> tuple[list[Any], list[Tensor]]:
        """The floating answers as Tensors, and the variables they came from."""
        return self.graph_of(self.fn, xs)

    def graph_of(self, fn: Callable[..., Any], xs: list[Any]) -> tuple[list[Any], list[Tensor]]:
        """The same of another function of these inputs."""
        args = self.tree(xs)
        call = differentiated(fn, args, {}, tuple(range(len(args))))
        return floating(call.value), call.variables


def differing(name: str, first: Floats, again: Floats) -> str:
    """In what two calls at the same point differ; empty if in nothing but rounding."""
    if first.shape != again.shape:
        return f"{name} differs between two calls at the same point: it gives {first.size} numbers and then {again.size}. {STANDSTILL}"
    size = float(np.linalg.norm(first[np.isfinite(first)]))
    if np.allclose(first, again, rtol=0, atol=STEADY * size, equal_nan=True):
        return ""
    i = int(np.argmax(np.abs(again - first)))
    return f"{name} differs between two calls at the same point: it gives {first[i]:.6g} and then {again[i]:.6g}. {STANDSTILL}"


def pulled(outputs: list[Any], variables: list[Tensor], seeds: Sequence[Sequence[Any]], create_graph: bool = False) -> list[Any]:
    """The derivatives of answers that are in a graph; it can be asked any number of times."""
    for k, weights in enumerate(seeds):
        pairs = [(y, np.reshape(w, y.shape).astype(y.dtype)) for y, w in zip(outputs, weights) if isinstance(y, Tensor)]
        again = create_graph or k + 1 < len(seeds)
        try:
            outputs = list(gradients([y for y, _ in pairs], variables, [w for _, w in pairs], create_graph=again))
        except ValueError as error:
            raise RuleError(str(error)) from error
    return outputs


def rounding(outputs: list[Any], weights: Sequence[Any]) -> float:
    """What rounding on the way does to weighted answers that are in a graph.

    Every value in it is off by eps of its size, and its gradient says how much of that arrives (Linnainmaa, "Taylor expansion
    of the accumulated rounding error", 1976, the first account of reverse mode). The errors are independent, so their squares add up.
    """
    seeds: dict[Node, Any] = {}
    for y, w in zip(outputs, weights):
        if isinstance(y, Tensor) and y.node is not None and y.node.requires_grad:
            seed = np.reshape(w, y.shape).astype(y.dtype)
            seeds[y.node] = seeds[y.node] + seed if y.node in seeds else seed
    total = 0.0
    with np.errstate(all="ignore"):
        for node, g in pull_back(seeds, keep=None).items():
            holder = node.owner() if node.func is None else None
            value = np.asarray(node.value if holder is None else holder.data, dtype=g.dtype)
            errors = np.finfo(value.dtype).eps * np.asarray(g, dtype=np.float64) * value
            total += float(np.sum(np.square(errors), where=np.isfinite(errors)))
    return math.sqrt(total) if math.isfinite(total) else 0.0


def argument_names(fn: Callable[..., Any], n: int) -> list[str]:
    """What a function calls its first n arguments."""
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    names: list[str] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}.{i}" for i in range(n - len(names))]
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            names.append(parameter.name)
    if len(names) < n:
        names = ["x"] if n == 1 else [f"x{i + 1}" for i in range(n)]
    return names[:n]


def paths(name: str, tree: Any) -> Iterator[str]:
    """A dotted path for every leaf of a nested argument."""
    if isinstance(tree, dict):
        items = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, list | tuple):
        items = list(zip(getattr(tree, "_fields", map(str, range(len(tree)))), tree))
    else:
        yield name
        return
    for key, value in items:
        yield from paths(f"{name}.{key}", value)


def floating(answer: Any) -> list[Any]:
    """The answers that have derivatives; masks, indices and None are left out."""
    found = []
    for y in leaves(answer):
        dtype = getattr(y, "dtype", None) if not isinstance(y, float) or hasattr(y, "dtype") else np.dtype(float)
        if dtype is not None and np.issubdtype(dtype, np.inexact):
            found.append(y)
    if not found:
        raise TypeError("gradcheck() needs a function that gives floating numbers, this one gave none")
    return found


def joined(answers: list[Any]) -> Floats:
    """Arrays or Tensors as one flat float64 (or complex) array."""
    flat = [np.asarray(y.data if isinstance(y, Tensor) else y).ravel() for y in answers]
    numbers = np.concatenate(flat)
    return numbers if np.iscomplexobj(numbers) else numbers.astype(np.float64)


def visited(outputs: list[Any]) -> Iterator[Node]:
    """Every computed node behind the answers, youngest first."""
    stack = [y.node for y in outputs if isinstance(y, Tensor) and y.node is not None]
    nodes = dict.fromkeys(stack)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in nodes:
                nodes[parent] = None
                stack.append(parent)
    return iter(sorted((node for node in nodes if node.func is not None), key=lambda node: node.age))

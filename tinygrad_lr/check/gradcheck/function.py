"""The checked function: a function at a point, its results as one flat array, and its derivatives by autodiff."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence

import numpy as np

from tinygrad_lr.autodiff.backward import pull_back
from tinygrad_lr.autodiff.derivatives import differentiated, gradients
from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.record import no_grad
from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.trees import filled, leaves, tree_map
from tinygrad_lr.check.gradcheck.differences import Floats

STEADY = 1e-6  # how far the results of two calls at the same point may be apart, relative to their size: more is not rounding
STANDSTILL = "Let nothing change from call to call: make random generators from a seed inside, and keep counters and running means out."


class RuleError(ValueError):
    """A backward pass that failed although the function itself works: some rule returns the wrong shape."""


class CheckedFunction:
    """A function of nested structures as a function of a list of arrays, which returns a list of arrays.

    Parameters
    ----------
    fn : callable
        Of arrays or of Tensors.
    inputs : tuple
        Its arguments: floating arrays, numbers, or nested tuples, lists and dicts of them.
    names : sequence of str, optional
        What to call the inputs; by default what the function calls them.

    Attributes
    ----------
    given : list of arrays
        The arrays of the inputs as the user passed them.
    xs : list of float64 arrays
        Copies.
    names : list of str
        One for each array.
    results : list
        The floating results at ``xs``.
    passed : tuple
        What the function was last called with.
    evaluations : int
        How often the function was called.
    """

    def __init__(self, fn: Function, inputs: tuple[object, ...], names: Sequence[str] | None = None) -> None:
        self.fn = fn
        self.inputs = tree_map(plain_array, inputs)
        self.names = [path for name, x in zip(names or argument_names(fn, len(inputs)), self.inputs) for path in paths(name, x)]
        self.given: list[Floats] = leaves(self.inputs)
        for name, x in zip(self.names, self.given):
            if not np.issubdtype(x.dtype, np.floating):
                raise TypeError(
                    f"gradcheck() moves its inputs by small steps, so they must be floating: {name} has dtype {x.dtype}. "
                    f"Write its numbers as floats (x.astype(float)), or if it is not a variable, keep it in fn: lambda x: fn(x, {name})"
                )
        self.xs: list[Floats] = [np.array(x, dtype=np.float64) for x in self.given]
        self.evaluations = 0
        self.on_tensors = False
        self.results = self.call(self.xs)

    def arguments(self, xs: Sequence[Array]) -> tuple[Array, ...]:
        """These arrays in the structure of the arguments."""
        return filled(self.inputs, iter(xs))  # type: ignore[no-any-return]

    def call(self, xs: Sequence[Array]) -> list[Array]:
        """All floating results, at copies of the arrays."""
        self.evaluations += 1
        with no_grad():
            if not self.on_tensors:
                try:
                    self.passed = self.arguments([np.array(x) for x in xs])
                    return floating(self.fn(*self.passed))
                except (AttributeError, TypeError):
                    if any(map(np.iscomplexobj, xs)):
                        raise
            self.passed = self.arguments([Tensor(np.array(x)) for x in xs])
            found = floating(self.fn(*self.passed))
        self.on_tensors = True  # fn needs Tensors
        return found

    def values(self, xs: Sequence[Array]) -> Floats:
        """The results as one flat array."""
        return in_a_row(self.call(xs))

    def unsteady(self) -> str:
        """How another call at the same point differs from the first; empty if it does not."""
        return differing("fn", in_a_row(self.results), self.values(self.xs))

    def written(self) -> list[str]:
        """The names of the inputs that the last call, which was at `xs`, changed in place."""
        held = leaves(self.passed)
        if len(held) != len(self.xs):
            return self.names
        return [name for name, x, y in zip(self.names, self.xs, held) if not np.array_equal(x, plain_array(y))]

    def derivative(self, xs: Sequence[Array], seeds: Sequence[Sequence[Array]]) -> list[Floats]:
        """`recorded_derivative` as arrays."""
        return [plain_array(g) for g in self.recorded_derivative(xs, seeds, create_graph=False)]

    def recorded_derivative(self, xs: Sequence[Array], seeds: Sequence[Sequence[Array]], create_graph: bool = True) -> list[Tensor]:
        """The derivative of order ``len(seeds)`` by autodiff: each time the gradient of all that is there, weighted with the next seeds."""
        return pulled(*self.graph(xs), seeds, create_graph)

    def graph(self, xs: Sequence[Array], fn: Function | None = None) -> tuple[list[Array], list[Tensor]]:
        """The floating results as Tensors, and the variables they came from; or those of another function of these inputs."""
        args = self.arguments(xs)
        call = differentiated(fn or self.fn, args, {}, tuple(range(len(args))))
        return floating(call.value), call.variables


def plain_array(x: Array) -> Array:
    """The numbers of an array-like or Tensor."""
    return np.asarray(x.data if isinstance(x, Tensor) else x)


def differing(name: str, first: Floats, again: Floats) -> str:
    """How two calls at the same point differ; empty if by nothing but rounding."""
    head = f"{name} differs between two calls at the same point: it returns"
    if first.shape != again.shape:
        return f"{head} {first.size} numbers and then {again.size}. {STANDSTILL}"
    size = float(np.linalg.norm(first[np.isfinite(first)]))
    if np.allclose(first, again, rtol=0, atol=STEADY * size, equal_nan=True):
        return ""
    i = int(np.argmax(np.abs(again - first)))
    return f"{head} {first[i]:.6g} and then {again[i]:.6g}. {STANDSTILL}"


def pulled(outputs: Sequence[Array], variables: list[Tensor], seeds: Sequence[Sequence[Array]], create_graph: bool = False) -> list[Tensor]:
    """The derivatives of results that are in a graph, which is kept."""
    for k, weights in enumerate(seeds):
        pairs = [(y, seed_of(y, w)) for y, w in zip(outputs, weights) if isinstance(y, Tensor)]
        again = create_graph or k + 1 < len(seeds)
        try:
            outputs = list(gradients([y for y, _ in pairs], variables, [w for _, w in pairs], create_graph=again))
        except ValueError as error:
            raise RuleError(str(error)) from error
    return list(outputs)


def seed_of(y: Tensor, weight: Array) -> Array:
    """The gradient of a result to start with."""
    return np.reshape(weight, y.shape).astype(y.dtype)


def rounding(outputs: Sequence[Array], weights: Sequence[Array]) -> float:
    """What rounding in the graph does to its weighted results.

    Every value in it is off by eps of its size, and its gradient says how much of that arrives (Linnainmaa, "Taylor expansion
    of the accumulated rounding error", 1976, the first account of reverse mode). The errors are independent, so their squares add up.
    """
    seeds: dict[Node, Array] = {}
    for y, w in zip(outputs, weights):
        if isinstance(y, Tensor) and y.node is not None and y.node.requires_grad:
            seeds[y.node] = seeds[y.node] + seed_of(y, w) if y.node in seeds else seed_of(y, w)
    total = 0.0
    with np.errstate(all="ignore"):
        for node, g in pull_back(seeds, keep=None).items():
            holder = node.owner() if node.func is None else None
            value = np.asarray(node.value if holder is None else holder.data, dtype=g.dtype)
            errors = np.finfo(value.dtype).eps * np.asarray(g, dtype=np.float64) * value
            total += float(np.sum(np.square(errors), where=np.isfinite(errors)))
    return math.sqrt(total) if math.isfinite(total) else 0.0


def argument_names(fn: Function, n: int) -> list[str]:
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


def paths(name: str, tree: object) -> Iterator[str]:
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


def floating(result: object) -> list[Array]:
    """What a result holds of floating numbers, which have derivatives; masks, indices and None are left out."""
    found = []
    for y in leaves(result):
        dtype = getattr(y, "dtype", None) if not isinstance(y, float) or hasattr(y, "dtype") else np.dtype(float)
        if dtype is not None and np.issubdtype(dtype, np.inexact):
            found.append(y)
    if not found:
        raise TypeError("gradcheck() needs a function that returns floating numbers, this one returned none")
    return found


def in_a_row(results: Sequence[Array]) -> Floats:
    """Arrays or Tensors as one flat float64 (or complex) array."""
    numbers = np.concatenate([plain_array(y).ravel() for y in results])
    return numbers if np.iscomplexobj(numbers) else numbers.astype(np.float64)


def visited(outputs: Sequence[Array]) -> Iterator[Node]:
    """Every computed node behind the outputs, youngest first."""
    stack = [y.node for y in outputs if isinstance(y, Tensor) and y.node is not None]
    nodes = dict.fromkeys(stack)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in nodes:
                nodes[parent] = None
                stack.append(parent)
    return iter(sorted((node for node in nodes if node.func is not None), key=lambda node: node.age))

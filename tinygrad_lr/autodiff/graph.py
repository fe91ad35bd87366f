"""The computation graph and the backward pass.

A `Node` says how a value was made: the function, its arguments, and the nodes those came from. The
backward pass visits nodes from the youngest to the oldest. A value is always younger than what it was
made from, so when a node's turn comes its gradient is complete, and each rule runs once. Gradients live
in a local dict during the walk, never on nodes, and nothing recurses: depth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from heapq import heappop, heappush
from itertools import count
from typing import Any

from tinygrad_lr.autodiff.rules import RULES, Aside, name_of
from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.rules.shapes import VIEWS

Lift = Callable[[Array, "Node | None"], Array]


class Node:
    """How one value was made, with all that its rules need.

    Attributes
    ----------
    age : int
        Smaller for younger nodes; unique.
    func : callable or None
        The recorded function; None for a leaf.
    parents : tuple of (Node or None)
        For each positional argument the node it came from; None for a plain array or a setting.
    values : tuple or None
        The positional arguments as plain arrays; None once the backward pass has freed them.
    kwargs : dict
        The keyword arguments.
    value : array or None
        The answer; None for a leaf and once freed.
    requires_grad : bool
        Whether a gradient is to flow through this node.
    grad : array or None
        The gradient that `Tensor.backward` left here: on leaves, and with retain_graph on every node.
    name : str or None
        What the user calls this value.
    freed : tuple or None
        (shape, dtype) of the answer, kept when the rest is freed.
    owner : weakref.ref of Tensor
        On leaves, the Tensor that holds the numbers; not set elsewhere. Weak, because that Tensor holds the node.
    differentiated : bool
        Set, to True, on what a derivative of a function is taken with respect to; not set elsewhere.
    """

    __slots__ = ("age", "func", "parents", "values", "kwargs", "value", "requires_grad", "grad", "name", "freed", "owner", "differentiated")

    age: int
    func: Function | None
    parents: tuple[Node | None, ...]
    values: Any
    kwargs: dict[str, Any]
    value: Array
    requires_grad: bool
    grad: Array
    name: str | None
    freed: tuple[tuple[int, ...], Any] | None
    owner: Callable[[], Any]
    differentiated: bool


NO_SETTINGS: dict[str, Any] = {}
new_node = Node.__new__
next_age = count(0, -1).__next__


def node_of(func: Function | None, parents: tuple[Node | None, ...], values: tuple[Any, ...], kwargs: dict[str, Any], value: Array) -> Node:
    """A node for one recorded call, that gradients flow through."""
    node = new_node(Node)
    node.age = next_age()
    node.func = func
    node.parents = parents
    node.values = values
    node.kwargs = kwargs
    node.value = value
    node.requires_grad = True
    node.grad = node.name = node.freed = None
    return node


def leaf(requires_grad: bool) -> Node:
    """A node that nothing was computed for: an input or a parameter."""
    node = node_of(None, (), (), NO_SETTINGS, None)
    node.requires_grad = requires_grad
    return node


def is_variable(node: Node) -> bool:
    """Whether a derivative of a function is taken with respect to this node."""
    return getattr(node, "differentiated", False)


def pull_back(seeds: dict[Node, Array], keep: Collection[Node] | None = (), lift: Lift | None = None, free: bool = False) -> dict[Node, Array]:
    """Send the gradients of answers back through the graph.

    Parameters
    ----------
    seeds : dict
        For each answer's node the gradient to start with, in the answer's shape.
    keep : collection of Node, or None
        The nodes, besides leaves, whose gradient is wanted; None for all.
    lift : callable, optional
        Turns a saved value and its node into the Tensor it was. With it the rules are recorded
        themselves, and so are differentiable again; without it they run on bare arrays.
    free : bool
        Whether to let go of each node's saved arrays once its rules have run.

    Returns
    -------
    dict
        Node to gradient, for the leaves and kept nodes that a gradient reached.

    Raises
    ------
    RuntimeError
        If an earlier pass freed part of the graph.
    """
    gradients = dict(seeds)  # what has arrived so far; at the end only leaves are left in it
    kept: dict[Node, Array] = {}
    asides: list[tuple[Node, Array]] = []
    passed_by: list[Node] = []  # to be freed all the same
    youngest_first: list[tuple[int, Node]] = []
    for node in seeds:
        if node.func is not None:
            heappush(youngest_first, (node.age, node))
    while youngest_first:
        _, node = heappop(youngest_first)
        g = gradients.pop(node)
        if keep is None or node in keep:
            kept[node] = g
        values, y, kwargs = node.values, node.value, node.kwargs
        if values is None:
            raise RuntimeError("this graph was freed by an earlier backward(); call the first one as backward(retain_graph=True), or compute the loss again")
        if lift is not None:
            values, y = tuple(map(lift, values, node.parents)), lift(y, node)
        for parent, value, rule in zip(node.parents, values, RULES[node.func]):  # type: ignore[index]
            if parent is None or not parent.requires_grad:
                continue
            if rule is None or isinstance(rule, Aside):
                if free:
                    passed_by.append(parent)
                if rule is not None and (keep is None or parent in keep or parent.func in VIEWS):
                    asides.append((parent, rule.rule(g, y, *values, **kwargs)))
                continue
            gradient = rule(g, y, *values, **kwargs) if kwargs else rule(g, y, *values)
            if gradient.dtype is not value.dtype:
                if gradient.dtype.kind == "c":
                    raise TypeError(f"{name_of(node.func)} met complex numbers, whose derivatives no rule knows: compute with real and imaginary parts")  # type: ignore[arg-type]
                if value.dtype.kind != "f":
                    what = f"the data of {parent.name}" if parent.name else "a leaf's data"
                    raise TypeError(f"{what} became {value.dtype} after gradients were required of it, and has none: assign floats to .data")
                gradient = astype(gradient, value.dtype)
            if parent in gradients:
                gradients[parent] = gradients[parent] + gradient
            else:
                gradients[parent] = gradient
                if parent.func is not None:
                    heappush(youngest_first, (parent.age, parent))
        if free:  # let go of the saved arrays; what made what stays on record
            node.freed = (y.shape, y.dtype)
            node.value = node.values = None
    gradients.update(kept)
    for node, g in asides:
        add_aside(gradients, node, g, keep, lift)
    if passed_by:
        forget(passed_by)
    return gradients


def add_aside(gradients: dict[Node, Array], node: Node, g: Array, keep: Collection[Node] | None, lift: Lift | None) -> None:
    """Add an `Aside` gradient to its node, and to those that it is only a view of, as far as they are wanted."""
    while True:
        if keep is None or node in keep:
            gradients[node] = gradients[node] + g if node in gradients else g
        if node.func not in VIEWS or not node.requires_grad:
            return
        values = node.values if lift is None else tuple(map(lift, node.values, node.parents))
        (rule,) = RULES[node.func]
        g = rule(g, None, *values, **node.kwargs)  # type: ignore[operator, misc]
        node = node.parents[0]  # type: ignore[assignment]


def forget(nodes: list[Node]) -> None:
    """Free what is left behind ``nodes``."""
    while nodes:
        node = nodes.pop()
        if node.func is None or node.freed is not None:
            continue
        node.freed = (node.value.shape, node.value.dtype)
        node.value = node.values = None
        for parent in node.parents:
            if parent is not None and parent.requires_grad:
                nodes.append(parent)

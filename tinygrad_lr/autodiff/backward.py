"""The backward pass: from the gradients of results to the gradients of all that they were computed from.

Nodes have their turn from the youngest to the oldest. A value is always younger than what it was made from, so when a
node's turn comes its gradient is complete, and each rule runs once. Gradients live in a local dict, never on nodes, and
nothing recurses: depth costs nothing. `pull_back` is all of it; the functions below it are for the rare cases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from heapq import heappop, heappush
from typing import NoReturn

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import RULES, VIEWS, Array, SideGradient, conformed

Lift = Callable[[Array, Node | None], Array]


def pull_back(seeds: dict[Node, Array], keep: Collection[Node] | None = (), lift: Lift | None = None, free: bool = False) -> dict[Node, Array]:
    """Send the gradients of results back through the graph, and return those of leaves and of nodes to keep.

    Parameters
    ----------
    seeds : dict
        For each result's node the gradient to start with, in the result's shape.
    keep : collection of Node, or None
        The nodes, besides leaves, whose gradient is wanted; None for all.
    lift : callable, optional
        Turns a saved value and its node into the Tensor it was. With it the rules are themselves recorded,
        so gradients can be differentiated again; without it they run on bare arrays.
    free : bool
        Whether to free each node's saved arrays once its rules have run; a later pass there is a RuntimeError.
    """
    gradients = dict(seeds)  # what has arrived so far; at the end only leaves are left in it
    kept: dict[Node, Array] = {}
    bypassed: list[Node] = []
    side: list[tuple[Node, Array]] = []
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
            refuse_freed()
        if lift is not None:
            values, y = lifted(node, lift)
        for parent, value, rule in zip(node.parents, values, RULES[node.func]):  # type: ignore[index]  # None is for leaves, which have no turn
            if parent is None or not parent.requires_grad:
                continue
            if rule is None or isinstance(rule, SideGradient):
                bypassed.append(parent)
                if rule is not None and is_wanted(parent, keep):
                    side.append((parent, conformed(rule.rule(g, y, *values, **kwargs), value, node.func, parent.name)))
                continue
            gradient = rule(g, y, *values, **kwargs) if kwargs else rule(g, y, *values)
            if gradient.dtype is not value.dtype:
                gradient = conformed(gradient, value, node.func, parent.name)
            if parent in gradients:
                gradients[parent] = gradients[parent] + gradient
            else:
                gradients[parent] = gradient
                if parent.func is not None:
                    heappush(youngest_first, (parent.age, parent))
        if free:  # the saved arrays, but not how the value was made
            node.freed = (y.shape, y.dtype)
            node.value = node.values = None
    gradients.update(kept)
    if side:
        add_side_gradients(gradients, side, keep, lift)
    if free and bypassed:
        free_behind(bypassed)
    return gradients


def refuse_freed() -> NoReturn:
    raise RuntimeError("this graph was freed by an earlier backward(); call the first one as backward(retain_graph=True), or compute the loss again")


def lifted(node: Node, lift: Lift) -> tuple[tuple[Array, ...], Array]:
    """The arguments and the result that a node has saved, as the Tensors that they were."""
    return tuple(map(lift, node.values, node.parents)), lift(node.value, node)


# -- what gradients bypass -----------------------------------------------------------------------------


def add_side_gradients(gradients: dict[Node, Array], side: list[tuple[Node, Array]], keep: Collection[Node] | None, lift: Lift | None) -> None:
    """Add each side gradient to its node, and to those that it is only a view of, as far as they are wanted."""
    for first, side_gradient in side:
        for node, g in through_views(first, side_gradient, lift):
            if not is_wanted(node, keep):
                break
            if keep is None or node in keep:
                gradients[node] = gradients[node] + g if node in gradients else g


def through_views(node: Node, g: Array, lift: Lift | None = None) -> Iterator[tuple[Node, Array]]:
    """A node with its gradient, then what it is a view of with the gradient of that, and so on."""
    yield node, g
    while node.func in VIEWS:
        if node.values is None:
            refuse_freed()
        values = node.values if lift is None else lifted(node, lift)[0]
        (rule,) = RULES[node.func]
        g = rule(g, None, *values, **node.kwargs)  # type: ignore[operator, misc]  # views have a rule
        node = node.parents[0]  # type: ignore[assignment]  # a view that requires gradients has a parent
        yield node, g


def is_wanted(node: Node, keep: Collection[Node] | None) -> bool:
    """Whether a side gradient is wanted: that of the node, or of one that it is only a view of."""
    while keep is not None and node not in keep:
        if node.func not in VIEWS:
            return False
        node = node.parents[0]  # type: ignore[assignment]  # a view that requires gradients has a parent
    return True


def free_behind(nodes: list[Node]) -> None:
    """Free the nodes that a pass has bypassed, and what is behind them."""
    while nodes:
        node = nodes.pop()
        if node.func is None or node.freed is not None:
            continue
        node.freed = (node.value.shape, node.value.dtype)
        node.value = node.values = None
        for parent in node.parents:
            if parent is not None and parent.requires_grad:
                nodes.append(parent)

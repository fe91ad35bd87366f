"""`Node`: how one value was made. The computation graph is nothing but Nodes that know their parents.

A value is always younger than the values that it was made from, so the ages of nodes order any graph for the
backward pass without a search.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array, Function


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
        The result; None for a leaf and once freed.
    requires_grad : bool
        Whether a gradient is to flow through this node.
    grad : array or None
        The gradient that `Tensor.backward` left here: on leaves, and with retain_graph on every node.
    name : str or None
        What the user calls this value.
    freed : tuple or None
        (shape, dtype) of the result, kept when the rest is freed.
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
    freed: tuple[tuple[int, ...], np.dtype[np.generic]] | None
    owner: Callable[[], Any]
    differentiated: bool


NO_SETTINGS: dict[str, Any] = {}
new_node = Node.__new__
next_age = count(0, -1).__next__


def node_of(func: Function | None, parents: tuple[Node | None, ...], values: tuple[Array, ...], kwargs: dict[str, Any], value: Array) -> Node:
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

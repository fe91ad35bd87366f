"""`Node`: how one value was made. A computation graph is nothing but nodes that know their parents.

A value is always younger than what it was made from, so the ages of its nodes are an order for the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array, Function


class Node:
    """How one value was made, with all that its rules need."""

    __slots__ = ("age", "func", "parents", "values", "kwargs", "value", "requires_grad", "grad", "name", "freed", "owner", "differentiated")

    age: int  # smaller for younger nodes; unique
    func: Function | None  # the recorded function; None for a leaf
    parents: tuple[Node | None, ...]  # for each positional argument the node it came from; None for a plain array or a setting
    values: Any  # the positional arguments as plain arrays; None once a backward pass has freed them
    kwargs: dict[str, Any]  # the keyword arguments
    value: Array  # the result; None for a leaf and once freed
    requires_grad: bool  # whether a gradient is to flow through this node
    grad: Array  # the gradient that Tensor.backward left here: on leaves, and with retain_graph on every node
    name: str | None  # what the user calls this value
    freed: tuple[tuple[int, ...], np.dtype[np.generic]] | None  # shape and dtype of the result, kept when the rest is freed
    owner: Callable[[], Any]  # on leaves alone: the Tensor that holds the numbers; weakly, because that Tensor holds the node
    differentiated: bool  # set, to True, on what a derivative of a function is taken with respect to, and nowhere else


NO_SETTINGS: dict[str, Any] = {}
new_node = Node.__new__
next_age = count(0, -1).__next__


def node_of(func: Function | None, parents: tuple[Node | None, ...], values: tuple[Array, ...], kwargs: dict[str, Any], value: Array) -> Node:
    """A node for one recorded call; gradients flow through it."""
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

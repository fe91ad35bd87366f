"""The backward pass taken apart: what each operation sends to each of its arguments.

The pass itself only keeps sums. Here each term of a gradient is kept, so that it can be shown and checked.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.backward import pull_back, through_views
from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules import RULES, SideGradient
from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.registry import Array, Rule


class Part(NamedTuple):
    """What one operation sends to one of its arguments."""

    source: Node  # the operation
    target: Node  # the argument
    i: int  # which argument
    arrived: Array  # the gradient of the operation's result, without side gradients
    value: Array  # what is sent: a term of the gradient of the argument
    flows: bool  # whether it flows on from there; a side gradient does not
    k: int = 1  # which part of the argument's gradient this is
    n: int = 1  # how many parts it has
    before: Array = None  # the sum of the parts before it; None for the first


def gradients_at(root: Node) -> dict[Node, Array]:
    """The gradient of a single number with respect to every node behind it."""
    return pull_back({root: np.ones_like(root.value)}, keep=None)


def parts_of(root: Node) -> list[Part]:
    """What each operation behind a single number sends to each of its arguments: in the order of the backward pass, each operation's leaves first."""
    arrived: dict[Node, Array] = {root: np.ones_like(root.value)}
    found: list[Part] = []
    for node in computed_behind(root):
        g = arrived.get(node)
        if g is None:
            continue
        sent: list[Part] = []
        for i, (parent, rule) in enumerate(zip(node.parents, RULES[node.func])):  # type: ignore[index]
            if parent is None or rule is None or not parent.requires_grad:
                continue
            if isinstance(rule, SideGradient):
                part = Part(node, parent, i, g, sent_by(rule.rule, node, i, g), False)
                sent.append(part)
                for viewed, value in islice(through_views(parent, part.value), 1, None):
                    part = Part(part.target, viewed, 0, part.value, value, False)
                    sent.append(part)
            else:
                value = sent_by(rule, node, i, g)
                sent.append(Part(node, parent, i, g, value, True))
                arrived[parent] = arrived[parent] + value if parent in arrived else value
        found += sorted(sent, key=lambda part: (not part.flows, part.target.func is not None))
    return numbered(found)


def sent_by(rule: Rule, node: Node, i: int, g: Array) -> Array:
    """The gradient that a rule computes, in the type of its argument."""
    return astype(rule(g, node.value, *node.values, **node.kwargs), node.values[i].dtype)


def numbered(parts: list[Part]) -> list[Part]:
    """Each part with its number among those of the same gradient, their count, and the sum of those before it."""
    count, k = Counter(part.target for part in parts), Counter[Node]()
    sums: dict[Node, Array] = {}
    found = []
    for part in parts:
        k[part.target] += 1
        before = sums.get(part.target)
        found.append(part._replace(k=k[part.target], n=count[part.target], before=before))
        sums[part.target] = part.value if before is None else before + part.value
    return found


def computed_behind(root: Node) -> list[Node]:
    """The operations behind a node, its own included, from the youngest to the oldest."""
    seen, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted((node for node in seen if node.func is not None), key=lambda node: node.age)

"""Nested tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

Tree = Any  # nested tuples, lists and dicts of arrays, or an array alone


def leaves(tree: Tree) -> list[Tree]:
    """What a nested structure holds, in order; anything else is its own leaf.

    Examples
    --------
    >>> leaves({"w": [1.0, 2.0], "b": (3.0,)})
    [1.0, 2.0, 3.0]
    """
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, list | tuple):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def tree_map(fn: Callable[[Tree], Tree], tree: Tree) -> Tree:
    """The same structure with ``fn`` of each leaf; named tuples, and subclasses of dict and list, keep their type.

    Examples
    --------
    >>> tree_map(lambda x: x + 1, {"w": [1.0, 2.0], "b": (3.0,)})
    {'w': [2.0, 3.0], 'b': (4.0,)}
    """
    if isinstance(tree, dict):
        return refilled(tree, {key: tree_map(fn, value) for key, value in tree.items()})
    if isinstance(tree, list):
        return refilled(tree, [tree_map(fn, value) for value in tree])
    if isinstance(tree, tuple):
        values = (tree_map(fn, value) for value in tree)
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    return fn(tree)


def refilled(tree: Tree, contents: Tree) -> Tree:
    """``contents``, a plain dict or list, in the type of ``tree``: a copy of it, so a defaultdict keeps its factory."""
    if type(tree) is type(contents):
        return contents
    again = copy.copy(tree)
    if isinstance(tree, dict):  # a Counter's own method would add
        dict.update(again, contents)
    else:
        list.__setitem__(again, slice(None), contents)
    return again


def filled(tree: Tree, values: Iterator[Tree]) -> Tree:
    """The same structure with its leaves replaced by the next of ``values``; None stays.

    Examples
    --------
    >>> filled({"w": [1.0, None], "b": (3.0,)}, iter("ab"))
    {'w': ['a', None], 'b': ('b',)}
    """
    return tree_map(lambda leaf: None if leaf is None else next(values), tree)


def located(tree: Tree, place: str) -> list[tuple[str, Tree]]:
    """Each leaf and where it is, as one would write it.

    Examples
    --------
    >>> located({"w": [1.0, 2.0], "b": (3.0,)}, "p")
    [("p['w'][0]", 1.0), ("p['w'][1]", 2.0), ("p['b'][0]", 3.0)]
    """
    inside = parts(tree, place)
    return [(place, tree)] if inside is None else [leaf for where, value in inside for leaf in located(value, where)]


def structure(tree: Tree) -> Tree:
    """A copy of the structure that shares the leaves: changes to one are not seen in the other."""
    return tree_map(lambda leaf: leaf, tree)


def parts(tree: Tree, place: str) -> list[tuple[str, Tree]] | None:
    """What a structure holds one level down, and where; None for what is no structure.

    Examples
    --------
    >>> parts({"w": [1.0, 2.0], "b": (3.0,)}, "p")
    [("p['w']", [1.0, 2.0]), ("p['b']", (3.0,))]
    """
    if isinstance(tree, dict):
        return [(f"{place}[{key!r}]", value) for key, value in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f"{place}.{field}", value) for field, value in zip(tree._fields, tree)]
    if isinstance(tree, list | tuple):
        return [(f"{place}[{i}]", value) for i, value in enumerate(tree)]
    return None

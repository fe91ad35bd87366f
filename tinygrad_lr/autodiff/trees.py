"""Nested tuples, lists and dicts of arrays, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any) -> list[Any]:
    """What a nested structure holds, in order; a structure that is none is its own leaf.

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


def mapped(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with ``fn`` of each leaf; named tuples keep their type.

    Examples
    --------
    >>> mapped(lambda x: x + 1, {"w": [1.0, 2.0], "b": (3.0,)})
    {'w': [2.0, 3.0], 'b': (4.0,)}
    """
    if isinstance(tree, dict):
        return {key: mapped(fn, value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [mapped(fn, value) for value in tree]
    if isinstance(tree, tuple):
        values = (mapped(fn, value) for value in tree)
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    return fn(tree)


def filled(tree: Any, values: Iterator[Any]) -> Any:
    """The same structure with its leaves replaced by the next of ``values``.

    Examples
    --------
    >>> filled({"w": [1.0, 2.0], "b": (3.0,)}, iter("abc"))
    {'w': ['a', 'b'], 'b': ('c',)}
    """
    return mapped(lambda _: next(values), tree)

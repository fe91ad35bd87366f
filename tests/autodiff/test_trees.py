"""Nested structures taken apart and put together again."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_lr.autodiff.trees import filled, leaves, located, parts, tree_map


class Point(NamedTuple):
    x: object
    y: object


trees = st.recursive(
    st.integers() | st.floats(allow_nan=False) | st.none() | st.just("text"),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.lists(inside, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inside, max_size=3)
        | st.builds(Point, inside, inside)
    ),
    max_leaves=8,
)


def types(tree):
    """The structure alone."""
    inside = parts(tree, "")
    return type(tree) if inside is None else (type(tree), [(where, types(value)) for where, value in inside])


@given(trees)
def test_what_was_taken_apart_can_be_put_together(tree):
    assert filled(tree, iter(leaf for leaf in leaves(tree) if leaf is not None)) == tree
    assert tree_map(lambda leaf: leaf, tree) == tree
    assert types(tree_map(lambda leaf: leaf, tree)) == types(tree)


@given(trees)
def test_mapped_visits_the_leaves_in_order(tree):
    seen = []
    tree_map(seen.append, tree)
    assert seen == leaves(tree)
    assert leaves(tree_map(lambda leaf: (leaf,), tree)) == leaves(tree)


@given(trees)
def test_places_lead_to_the_leaves(tree):
    """A place is Python: evaluated, it gives the leaf."""
    found = located(tree, "tree")
    assert [leaf for _, leaf in found] == leaves(tree)
    for place, leaf in found:
        assert eval(place, {"tree": tree}) is leaf


@pytest.mark.parametrize("tree", [(), [], {}, ((), [{}])])
def test_empty(tree):
    assert leaves(tree) == located(tree, "p") == []
    assert filled(tree, iter(())) == tree
    assert type(filled(tree, iter(()))) is type(tree)


def test_arrays_are_leaves():
    a = np.ones((2, 2))
    assert leaves({"w": a})[0] is a
    (leaf,) = leaves(a)
    assert leaf is a
    assert tree_map(np.shape, [a, (a,)]) == [(2, 2), ((2, 2),)]


def test_named_tuples_and_dicts():
    assert tree_map(lambda x: x + 1, Point(1, [2])) == Point(2, [3])
    assert type(tree_map(lambda x: x, Point(1, 2))) is Point
    assert located(Point(1, {"k": 2}), "p") == [("p.x", 1), ("p.y['k']", 2)]
    assert list(tree_map(lambda x: x, OrderedDict(b=1, a=2))) == ["b", "a"]


def test_parts():
    assert parts(1.0, "p") is None
    assert parts("text", "p") is None
    assert parts([1, [2]], "p") == [("p[0]", 1), ("p[1]", [2])]


def test_none_is_kept_when_filled():
    assert filled([None, 1, (None, 2)], iter("ab")) == [None, "a", (None, "b")]


def test_too_few_values():
    with pytest.raises((StopIteration, RuntimeError)):
        filled([1, 2], iter("a"))

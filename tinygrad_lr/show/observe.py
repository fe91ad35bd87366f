"""Which module and which line of the user's code made each node of a graph.

While `observe` is on, nodes are made by `observed`, which walks up the Python stack and notes what it finds
on the node itself. Nothing else knows about it: outside `observe` no code runs and no memory is used.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.autodiff.graph import Node, node_of
from tinygrad_lr.autodiff.record import recorder
from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module

PACKAGE = str(Path(__file__).parents[1]) + os.sep
CALL = Module.__call__.__code__


class Line(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}" + (f": {self.text}" if self.text else "")


class Observed(Node):
    """A node that knows where it was made, and keeps its numbers when a backward pass frees them.

    Attributes
    ----------
    modules : tuple of Module
        The modules being called at the time, outermost first.
    line : Line or None
        The innermost line of code outside this package.
    inside : tuple of int
        For each positional argument how many of ``modules`` it belongs to; fewer than all for an array
        that was handed in from outside.
    seen : tuple
        The positional arguments and, last, the answer.
    """

    __slots__ = ("modules", "line", "inside", "seen")

    modules: tuple[Module, ...]
    line: Line | None
    inside: tuple[int, ...]
    seen: tuple[Any, ...]


@contextmanager
def observe() -> Iterator[None]:
    """Note for each operation the modules it belongs to and the line of code it came from, for drawings.

    Drawings of what is computed in this context show modules as clusters, and numbers even of a graph that
    `backward` has freed. It costs time and memory, so it is not for training.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> model = nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())
    >>> with tg.observe():
    ...     loss = nn.BCELoss()(model(np.array([[2.0], [5.0]])), np.array([[0.0], [1.0]]))
    >>> loss.backward()
    >>> drawing = tg.draw(loss)
    >>> "BP4" in drawing.source and "Dense(1 -&gt; 1)" in drawing.source
    True
    """
    token = recorder.set(observed)
    try:
        yield
    finally:
        recorder.reset(token)


def observed(func: Function | None, parents: tuple[Node | None, ...], values: tuple[Any, ...], kwargs: dict[str, Any], value: Array) -> Node:
    """What `graph.node_of` makes, with a look around."""
    node = Observed.__new__(Observed)
    plain = node_of(func, parents, values, kwargs, value)
    for slot in Node.__slots__:
        if hasattr(plain, slot):
            setattr(node, slot, getattr(plain, slot))
    calls: list[tuple[Module, tuple[Any, ...]]] = []  # innermost first
    node.line = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code is CALL:
            calls.append((frame.f_locals["self"], (*frame.f_locals["inputs"], *frame.f_locals["named"].values())))
        elif node.line is None and not code.co_filename.startswith(PACKAGE):
            node.line = Line(code.co_filename, frame.f_lineno, linecache.getline(code.co_filename, frame.f_lineno, frame.f_globals).strip())
        frame = frame.f_back
    node.modules = tuple(module for module, _ in reversed(calls))
    node.inside = tuple(len(calls) - handed_in(v, calls) if parent is None else len(calls) for v, parent in zip(values, parents))
    node.seen = (*values, value)
    return node


def handed_in(value: Any, calls: list[tuple[Module, tuple[Any, ...]]]) -> int:
    """Through how many calls, from the innermost outwards, ``value`` was handed in as it is."""
    if not isinstance(value, np.ndarray):
        return 0
    for depth, (_, arguments) in enumerate(calls):
        if not any(value is (a.data if isinstance(a, Tensor) else a) for a in arguments):
            return depth
    return len(calls)

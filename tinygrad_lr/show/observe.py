"""What the stack tells of each node of a graph: the modules being called, the line of code, and the variables.

While `observe` is on, an `Observer` makes the nodes, walks up the Python stack at each, and notes what it finds
on the node itself. A variable is read from its frame, whenever an operation runs and once more at the end, so a
value is only called what a variable of that name has really held. Outside `observe` no code runs and no memory is used.
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

from tinygrad_lr.autodiff.node import Node, node_of
from tinygrad_lr.autodiff.record import recording
from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module

LIBRARIES = tuple(str(Path(file).parent) + os.sep for file in (Path(__file__).parent, np.__file__))  # whose variables are not the user's
CALL = Module.__call__.__code__


class Line(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number}" + (f": {self.text}" if self.text else "")


class Variable(NamedTuple):
    """A variable of the user's code, and the module whose method it belongs to, if any."""

    name: str
    module: Module | None


class Observed(Node):
    """A node that knows where it was made, and keeps its numbers when a backward pass frees them.

    Attributes
    ----------
    modules : tuple of Module
        The modules being called at the time, outermost first.
    calls : tuple of (int, int)
        What tells each of these calls from others: the age of the first node in it, and its height on the stack.
    line : Line or None
        The innermost line of code outside this package.
    inside : tuple of int
        For each positional argument how many of ``modules`` it belongs to; fewer than all for an array
        that was handed in from outside.
    seen : tuple
        The positional arguments and, last, the answer.
    variables : tuple of (Variable or None)
        For each positional argument the variable that held it, if it was not computed.
    variable : Variable or None
        The one that held the answer.
    rank : int
        How well ``variable`` fits: one of the frames where the answer was computed, the innermost first, before one
        that it was handed to later, the outermost first.
    counts : dict of str to int
        The whole numbers among the variables at the time, the innermost first: the counters of loops are among them.
    """

    __slots__ = ("modules", "calls", "line", "inside", "seen", "variables", "variable", "rank", "counts")

    modules: tuple[Module, ...]
    calls: tuple[tuple[int, int], ...]
    line: Line | None
    inside: tuple[int, ...]
    seen: tuple[Any, ...]
    variables: tuple[Variable | None, ...]
    variable: Variable | None
    rank: int
    counts: dict[str, int]


@contextmanager
def observe() -> Iterator[None]:
    """Note for each operation its modules, its line of code and the variables that hold its values, for drawings.

    Drawings of what is computed in this context show modules as clusters, call values what the code calls them, and
    have numbers even of a graph that `backward` has freed. It costs time and memory, so it is not for training.

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
    observer = Observer()
    try:
        with recording(observer.node_of):
            yield
    finally:
        observer.finish()


class Seen(NamedTuple):
    """A frame of the user's code, or of a module's call: at which height of the stack, since which node's age, in which module's call."""

    frame: FrameType
    height: int
    since: int
    module: Module | None


class Observer:
    """Makes nodes and looks around. The frames it meets are kept until the end, and with them their last variables."""

    def __init__(self) -> None:
        self.frames: dict[int, Seen] = {}

    def node_of(self, func: Function | None, parents: tuple[Node | None, ...], values: tuple[Any, ...], kwargs: dict[str, Any], value: Array) -> Node:
        """What `node.node_of` makes, with a look around."""
        node = Observed.__new__(Observed)
        plain = node_of(func, parents, values, kwargs, value)
        for slot in Node.__slots__:
            if hasattr(plain, slot):
                setattr(node, slot, getattr(plain, slot))
        seen = self.look_around(node.age)
        calls = [
            (one.frame.f_locals["self"], (*one.frame.f_locals["inputs"], *one.frame.f_locals["named"].values())) for one in seen if one.frame.f_code is CALL
        ]
        users = [one for one in seen if one.frame.f_code is not CALL]
        node.modules = tuple(module for module, _ in reversed(calls))
        node.calls = tuple((one.since, one.height) for one in reversed(seen) if one.frame.f_code is CALL)
        node.line = line_of(users[0].frame) if users else None
        node.inside = tuple(len(calls) - handed_in(v, calls) if parent is None else len(calls) for v, parent in zip(values, parents))
        node.seen = (*values, value)
        node.variable, node.rank, node.counts = None, -sys.maxsize, {}
        held: dict[int, Variable] = {}  # what was not computed, by the outermost variable that holds it
        for one in users:
            held.update(read(one, node.counts))
        node.variables = tuple(held.get(id(v if parent is None else parent)) for v, parent in zip(values, parents))
        return node

    def look_around(self, age: int) -> list[Seen]:
        """The frames of the user's code and of modules' calls, innermost first."""
        frames = [frame for frame in stack(sys._getframe(2)) if frame.f_code is CALL or not frame.f_code.co_filename.startswith(LIBRARIES)]
        module = None
        for height, frame in enumerate(reversed(frames), start=1):
            self.frames.setdefault(id(frame), Seen(frame, height, age, module))
            module = frame.f_locals["self"] if frame.f_code is CALL else module
        return [self.frames[id(frame)] for frame in frames]

    def finish(self) -> None:
        """Read once more the frames that were met: what their variables hold now, or held in the end."""
        for seen in self.frames.values():
            if seen.frame.f_code is not CALL:
                read(seen, {})
        self.frames.clear()


def read(seen: Seen, counts: dict[str, int]) -> dict[int, Variable]:
    """The variables of a frame: computed values are told theirs, whole numbers go to ``counts``; arrays and leaves are what is returned."""
    held: dict[int, Variable] = {}
    for name, value in seen.frame.f_locals.items():
        if name.startswith("_") or not name.isidentifier() or name == "self":
            continue
        if type(value) is int or isinstance(value, np.integer):
            counts.setdefault(name, int(value))
        elif isinstance(value, Tensor):
            node = value.node
            if not isinstance(node, Observed):
                held.setdefault(id(value.data if node is None else node), Variable(name, seen.module))
                continue
            rank = seen.height if seen.since >= node.age else -seen.height
            if rank > node.rank:
                node.variable, node.rank = Variable(name, seen.module), rank
        elif hasattr(type(value), "__array_function__"):
            held.setdefault(id(value), Variable(name, seen.module))
    return held


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def handed_to(frame: FrameType) -> tuple[Module, tuple[Any, ...]]:
    """The module whose call a frame is, and the arguments."""
    held = frame.f_locals
    return held["self"], (*held["inputs"], *held["named"].values())


def line_of(frame: FrameType) -> Line:
    """Where a frame is."""
    file, number = frame.f_code.co_filename, frame.f_lineno
    return Line(file, number, linecache.getline(file, number, frame.f_globals).strip())


def handed_in(value: Any, calls: list[tuple[Module, tuple[Any, ...]]]) -> int:
    """Through how many calls, from the innermost outwards, ``value`` was handed in as it is."""
    if not isinstance(value, np.ndarray):
        return 0
    for depth, (_, arguments) in enumerate(calls):
        if not any(value is (a.data if isinstance(a, Tensor) else a) for a in arguments):
            return depth
    return len(calls)

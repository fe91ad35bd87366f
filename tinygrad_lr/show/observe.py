"""What the stack says about each node of a graph: the modules being called, the line of code, and the variables.

In the context of `observe` an `Observer` makes the nodes. It walks up the Python stack for each, and notes what it finds
on the node itself. A variable is read from its frame whenever an operation runs, and once more at the end, so a name
is only given to a value that a variable of that name really held. Outside `observe` this costs nothing.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.node import Node, node_of
from tinygrad_lr.autodiff.protocols import data_of
from tinygrad_lr.autodiff.record import recording
from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module, watching

LIBRARIES = tuple(str(Path(file).parent) + os.sep for file in (Path(__file__).parent, np.__file__))  # whose variables are not the user's


class CodeLine(NamedTuple):
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
    """A node that knows where it was made, and keeps its numbers when a backward pass frees them."""

    __slots__ = ("modules", "calls", "line", "inside", "seen", "variables", "variable", "rank", "counts")

    modules: tuple[Module, ...]  # that are being called at the time, outermost first
    calls: tuple[tuple[int, int], ...]  # what identifies each of these calls: the age of the first node in it, and its height on the stack
    line: CodeLine | None  # the innermost line of code outside this package
    inside: tuple[int, ...]  # for each positional argument how many of the modules it belongs to; fewer than all if it was passed in from outside
    seen: tuple[Array, ...]  # the positional arguments and, last, the result
    variables: tuple[Variable | None, ...]  # for each positional argument the variable that held it, if it was not computed
    variable: Variable | None  # the one that held the result
    rank: int  # how well `variable` fits: frames where the result was computed, innermost first, come before those that it was returned to, outermost first
    counts: dict[str, int]  # the whole numbers among the variables at the time, the innermost first: loop counters are among them


@contextmanager
def observe() -> Iterator[None]:
    """Note the modules, the line of code and the variables of each operation, for drawings.

    Drawings of what is computed in this context show modules as clusters, name values as the code does, and
    show numbers even after `backward` has freed the graph. It costs time and memory, so it is not for training.

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
        with recording(observer.node_of), watching(observer.call):
            yield
    finally:
        observer.finish()


class Seen(NamedTuple):
    """A frame of user code, or one in which a module is called."""

    frame: FrameType
    height: int  # counted from the outermost of these frames
    since: int  # the age of the first node that was made in it
    module: Module | None  # that is called; for user code the one whose method it is, or that calls it
    inputs: tuple[object, ...] | None  # what the module is called with; None for user code


class Observer:
    """Makes nodes, and notes where. The frames that it meets are kept until the end, and with them the last values of their variables."""

    def __init__(self) -> None:
        self.frames: dict[int, Seen] = {}
        self.calls: dict[int, tuple[Module, tuple[object, ...]]] = {}  # in progress, by the id of the frame that makes them

    def call(self, module: Module, inputs: tuple[object, ...], named: dict[str, object]) -> object:
        """Call a module; the frame of this method marks the call on the stack."""
        here = id(sys._getframe())
        self.calls[here] = module, (*inputs, *named.values())
        try:
            return module.forward(*inputs, **named)
        finally:
            del self.calls[here]

    def node_of(self, func: Function | None, parents: tuple[Node | None, ...], values: tuple[Array, ...], kwargs: dict[str, object], value: Array) -> Node:
        """The node that `node.node_of` makes, with notes."""
        node = Observed.__new__(Observed)
        made = node_of(func, parents, values, kwargs, value)
        for slot in Node.__slots__:
            if hasattr(made, slot):
                setattr(node, slot, getattr(made, slot))
        seen = self.look_around(node.age)
        users, calls = [one for one in seen if one.inputs is None], [one for one in seen if one.inputs is not None]
        node.modules = tuple(one.module for one in reversed(calls) if one.module is not None)
        node.calls = tuple((one.since, one.height) for one in reversed(calls))
        node.line = line_of(users[0].frame) if users else None
        node.inside = tuple(len(calls) - passed_through(v, calls) if parent is None else len(calls) for v, parent in zip(values, parents))
        node.seen = (*values, value)
        node.variable, node.rank, node.counts = None, -sys.maxsize, {}
        held: dict[int, Variable] = {}  # what was not computed, by the outermost variable that holds it
        for one in users:
            held.update(read(one, node.counts))
        node.variables = tuple(held.get(id(v if parent is None else parent)) for v, parent in zip(values, parents))
        return node

    def look_around(self, age: int) -> list[Seen]:
        """The frames of user code and of calls of modules, innermost first."""
        frames = [frame for frame in callers(sys._getframe(2)) if id(frame) in self.calls or not frame.f_code.co_filename.startswith(LIBRARIES)]
        module = None
        for height, frame in enumerate(reversed(frames), start=1):
            module, inputs = self.calls.get(id(frame), (module, None))
            self.frames.setdefault(id(frame), Seen(frame, height, age, module, inputs))
        return [self.frames[id(frame)] for frame in frames]

    def finish(self) -> None:
        """Read all frames once more: what their variables hold now, or held in the end."""
        for seen in self.frames.values():
            if seen.inputs is None:
                read(seen, {})
        self.frames.clear()


def read(seen: Seen, counts: dict[str, int]) -> dict[int, Variable]:
    """Note on computed values the variables of a frame that hold them, and whole numbers in ``counts``; return those that hold other arrays."""
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


def callers(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame and those that called it."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def line_of(frame: FrameType) -> CodeLine:
    """The line that a frame is at."""
    file, number = frame.f_code.co_filename, frame.f_lineno
    return CodeLine(file, number, linecache.getline(file, number, frame.f_globals).strip())


def passed_through(value: Array, calls: list[Seen]) -> int:
    """Through how many calls of modules, from the innermost outwards, ``value`` was passed on unchanged."""
    if not isinstance(value, np.ndarray):
        return 0
    return sum(1 for _ in takewhile(lambda call: any(value is data_of(a) for a in call.inputs or ()), calls))

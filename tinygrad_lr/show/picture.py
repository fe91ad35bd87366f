"""A computation graph as plain data to be drawn: boxes, edges and clusters, and how a picture is made smaller.

Every drawing starts from a `Picture`, on paper (`dot`) or on the page; `build` makes it from the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.nn.module import Module
from tinygrad_lr.show.observe import CodeLine

Kind = Literal["op", "value", "parameter", "input", "constant", "output", "module", "more"]


@dataclass(slots=True)
class Box:
    """One thing in the picture."""

    id: str  # "op3" for an operation, "v3" for its result or an input, "c3_1" for a constant, argument 1 of op3; "m2" for a closed module; "more"
    kind: Kind  # "output" is a value that the picture was asked for, "more" what was left out
    name: str = ""  # a parameter's path, the user's variable for a value, or how it was computed; an operation's function; a module's path
    symbol: str = ""  # in the equations of backpropagation: w1, b1, z1, a1, L; z1[t=3] if there are several
    derived: bool = False  # whether the name only says how it was computed
    detail: str = ""  # an operation's settings; a module's repr
    holds: str = ""  # a summary of what was closed into this box
    shape: tuple[int, ...] | None = None  # of the numbers, or of an operation's result; None if it is not known
    dtype: str = ""  # likewise; "" if it is not known
    value: Array = None  # the numbers themselves, where they are known
    grad: Array = None  # the gradient that `backward` left
    cluster: str | None = None  # the id of the innermost cluster around it
    line: CodeLine | None = None  # the line of the user's code that made it
    node: Node | None = None  # of the graph

    @property
    def label(self) -> str:
        """Its name in formulas."""
        return self.symbol or self.name


@dataclass(slots=True)
class Edge:
    """A connection of two boxes: from argument to operation or from operation to result if it is forward, else the other way round."""

    tail: str  # the ids of the boxes
    head: str
    kind: Literal["forward", "backward", "aside"]  # "aside" is a gradient that is computed but does not flow on
    tag: str = ""  # the equation of backpropagation, "BP1" to "BP4", or ""
    text: str = ""  # the rule, as a formula or in words


@dataclass(slots=True)
class Cluster:
    """A call of a module: ``level`` 0 is one that the user called, 1 a part of that, and so on."""

    id: str
    path: str
    title: str
    level: int
    parent: str | None
    module: Module = field(repr=False)


@dataclass(slots=True)
class Picture:
    """Boxes and forward edges in the order of computation, backward edges in the order of the backward pass."""

    boxes: list[Box]
    edges: list[Edge]
    clusters: list[Cluster]
    note: str = ""

    @property
    def has_gradients(self) -> bool:
        return any(box.grad is not None for box in self.boxes)


# -- a smaller picture -----------------------------------------------------------------------------------


def smaller_picture(picture: Picture, depth: int | None = None, max_nodes: int | None = None) -> Picture:
    """The picture with modules below level ``depth`` closed, and more of them until at most ``max_nodes`` boxes are left."""
    whole, note = len(picture.boxes), ""
    smaller = picture if depth is None else closed(picture, depth)
    if max_nodes is None or len(smaller.boxes) <= max_nodes:
        return smaller
    level = min(depth if depth is not None else len(picture.clusters), 1 + max((c.level for c in picture.clusters), default=-1))
    while len(smaller.boxes) > max_nodes and level > 0:
        level -= 1
        smaller = closed(picture, level)
        note = f"modules below level {level} are closed" if level else "all modules are closed"
    if len(smaller.boxes) > max_nodes:
        smaller = without_the_middle(smaller, max_nodes)
        note = f"{note}; the middle is left out" if note else "the middle is left out"
    return replace(smaller, note=f"{len(smaller.boxes)} of {whole} boxes, because max_nodes is {max_nodes}: {note}")


def closed(picture: Picture, depth: int) -> Picture:
    """The picture with each module of level ``depth`` as a single box."""
    outermost: dict[str, str] = {}
    for cluster in picture.clusters:
        if cluster.level == depth:
            outermost[cluster.id] = cluster.id
        elif cluster.level > depth and cluster.parent is not None:
            outermost[cluster.id] = outermost[cluster.parent]
    if not outermost:
        return picture
    by_id = {cluster.id: cluster for cluster in picture.clusters}
    boxes: dict[str, Box] = {}
    home: dict[str, str] = {}
    held: dict[str, list[Box]] = {}
    for box in picture.boxes:
        if box.cluster not in outermost:
            boxes[box.id] = box
            continue
        cluster = by_id[outermost[box.cluster]]
        home[box.id] = key = "m" + cluster.id.removeprefix("cluster")
        held.setdefault(key, []).append(box)
        boxes.setdefault(key, Box(key, "module", cluster.path, detail=cluster.title, cluster=cluster.parent, line=box.line))
    for key, inside in held.items():
        parameters = [box for box in inside if box.kind == "parameter"]
        operations = sum(box.kind == "op" for box in inside)
        last = next((box for box in reversed(inside) if box.kind == "op"), None)
        boxes[key].shape = last.shape if last is not None else None
        boxes[key].dtype = last.dtype if last is not None else ""
        total = sum(int(np.prod(box.shape or ())) for box in parameters)
        boxes[key].holds = ", ".join([counted(operations, "operation")] + ([counted(total, "parameter")] if total else []))
    return Picture(list(boxes.values()), moved(picture.edges, home), [c for c in picture.clusters if c.id not in outermost], picture.note)


def without_the_middle(picture: Picture, most: int) -> Picture:
    """The picture with its first and last boxes, and one box in place of all those between."""
    first = (most - 1) // 2
    last = most - 1 - first
    middle = picture.boxes[first : len(picture.boxes) - last]
    more = Box("more", "more", f"{len(middle):,} boxes left out", holds=counted(sum(box.kind == "op" for box in middle), "operation"))
    boxes = [*picture.boxes[:first], more, *picture.boxes[len(picture.boxes) - last :]]
    kept = {box.cluster for box in boxes}
    for cluster in reversed(picture.clusters):  # parts come after what they are parts of
        if cluster.id in kept:
            kept.add(cluster.parent)
    clusters = [cluster for cluster in picture.clusters if cluster.id in kept]
    return Picture(boxes, moved(picture.edges, dict.fromkeys((box.id for box in middle), "more")), clusters, picture.note)


def moved(edges: Iterable[Edge], home: Mapping[str, str]) -> list[Edge]:
    """The edges after boxes have moved into others; several between the same two become one."""
    merged: dict[tuple[str, str, str], Edge] = {}
    for edge in edges:
        tail, head = home.get(edge.tail, edge.tail), home.get(edge.head, edge.head)
        if tail == head:
            continue
        known = merged.get((tail, head, edge.kind))
        if known is None:
            merged[tail, head, edge.kind] = Edge(tail, head, edge.kind, edge.tag, edge.text)
        elif edge.text and (known.tag, known.text) != (edge.tag, edge.text):
            known.tag = ", ".join(sorted({*known.tag.split(", "), edge.tag} - {""}))
            known.text = edge.text if not known.text else "several"
    return list(merged.values())


# -- numbers in few characters ---------------------------------------------------------------------------


def counted(n: int, noun: str) -> str:
    """1 row, 2 rows."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def number(value: object) -> str:
    """A number with 4 significant digits.

    Examples
    --------
    >>> number(2 / 3), number(-0.0), number(1234567.0), number(7), number(True)
    ('0.6667', '0', '1.235e+06', '7', 'True')
    """
    if isinstance(value, bool | np.bool_ | int | np.integer) or not isinstance(value, float | np.floating):
        return str(value)
    return "0" if value == 0 else f"{value:.4g}"


def table_of(array: Array, rows: int = 8, columns: int = 6) -> list[list[str]] | None:
    """The numbers of a small array as rows of text; None if there are too many, or they are not NumPy's."""
    if not isinstance(array, np.ndarray | np.generic | float | int) or np.ndim(array) > 2 or np.size(array) == 0:
        return None
    matrix = np.atleast_2d(array)
    if matrix.shape[0] > rows or matrix.shape[1] > columns:
        return None
    return [[number(x) for x in row] for row in matrix]


def in_short(array: Array) -> list[tuple[str, str]]:
    """min, mean and max of an array, and how many of its numbers are not finite.

    Examples
    --------
    >>> in_short(np.array([1.0, 2.0, np.inf]))
    [('min', '1'), ('mean', '1.5'), ('max', '2'), ('not finite', '1')]
    """
    if not isinstance(array, np.ndarray) or not array.size or array.dtype.kind not in "biuf":
        return []
    finite = array[np.isfinite(array)]
    short = []
    if finite.size:
        short = [("min", number(finite.min())), ("mean", number(finite.mean(dtype=float))), ("max", number(finite.max()))]
    return short + ([("not finite", str(array.size - finite.size))] if finite.size < array.size else [])

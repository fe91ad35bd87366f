"""The computation graph as plain data to be drawn: boxes, edges and clusters.

Every drawing starts from a `Picture`, on paper (`dot`) or on the page. Boxes are in the order of computation, and
numbered in that order, so the same program has the same picture. Nothing here recurses: depth costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module, Parameter, title_of
from tinygrad_lr.show.names import Naming, called, memory
from tinygrad_lr.show.names import arguments_of as arguments_of
from tinygrad_lr.show.names import constants_of as constants_of
from tinygrad_lr.show.names import number as number
from tinygrad_lr.show.names import setting as setting
from tinygrad_lr.show.notation import Notation
from tinygrad_lr.show.observe import Line, Observed

Kind = Literal["op", "value", "parameter", "input", "constant", "output", "module", "more"]


@dataclass(slots=True)
class Box:
    """One thing in the picture.

    Attributes
    ----------
    id : str
        "op3" for an operation, "v3" for its result or for an input, "c3_1" for a constant that is argument 1
        of operation 3; "m2" for a closed module, "more" for what was left out.
    kind : str
        What it is; "output" is a value that the picture was asked for.
    name : str
        A parameter's path, the user's variable for a value, or how it was computed; an operation's function; a module's path.
    symbol : str
        Its symbol in the equations of backpropagation: w1, b1, z1, a1, L; z1[t=3] if there are several.
    detail : str
        An operation's settings; a module's repr.
    derived : bool
        Whether the name only says how it was computed.
    holds : str
        A summary of what was closed into this box.
    shape, dtype : tuple and str
        Of the numbers, or of an operation's result; None and "" if they are not known.
    value, grad : array or None
        The numbers themselves, and the gradient that `backward` left.
    cluster : str or None
        The id of the innermost cluster around it.
    line : Line or None
        The line of the user's code that made it.
    node : Node or None
        The node of the graph.
    """

    id: str
    kind: Kind
    name: str = ""
    symbol: str = ""
    derived: bool = False
    detail: str = ""
    holds: str = ""
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    value: Array = None
    grad: Array = None
    cluster: str | None = None
    line: Line | None = None
    node: Node | None = None

    @property
    def label(self) -> str:
        """Its name in formulas."""
        return self.symbol or self.name


@dataclass(slots=True)
class Edge:
    """A connection of two boxes.

    Attributes
    ----------
    tail, head : str
        The ids of the boxes: from operation to result or from argument to operation if forward, the other way
        round if backward.
    kind : str
        "forward"; "backward" for a gradient; "aside" for one that is computed but does not flow on.
    tag : str
        The equation of backpropagation, "BP1" to "BP4", or "".
    text : str
        The rule, as a formula or in words.
    """

    tail: str
    head: str
    kind: Literal["forward", "backward", "aside"]
    tag: str = ""
    text: str = ""


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


# -- from the graph to the picture -----------------------------------------------------------------------


def picture_of(outputs: Sequence[Tensor], model: Module | None = None, inputs: Mapping[str, Array] | None = None) -> Picture:
    """The whole graph behind ``outputs``.

    Parameters
    ----------
    outputs : sequence of Tensor
        The values to draw.
    model : Module, optional
        A module whose parameters are to be named by their paths; modules that were observed are known anyway.
    inputs : mapping, optional
        Plain arrays among the inputs, by name.
    """
    nodes = in_order(t.node for t in outputs if t.node is not None)
    houses = Houses(nodes, model)
    notation = Notation(nodes, [t.node for t in outputs if t.node is not None], list(houses.roots.values()))
    tensors = {id(t.node): t for t in outputs}
    known = {memory(value.data if isinstance(value, Tensor) else value): name for name, value in (inputs or {}).items()}
    used = {id(parent): value for node in nodes for parent, value in zip(node.parents, arguments_of(node)) if parent is not None and parent.func is None}
    boxes: list[Box] = []
    naming = Naming(notation, houses.names)
    values: dict[int, Box] = {}
    constants: dict[Hashable, Box] = {}
    arguments: dict[int, dict[int, Box]] = {}
    for k, node in enumerate(nodes):
        value = values[id(node)] = value_box(node, k, houses, tensors.get(id(node)), used.get(id(node)))
        if node.func is None:
            boxes.append(value)
            continue
        operands = arguments[id(node)] = {i: values[id(parent)] for i, parent in enumerate(node.parents) if parent is not None}
        for i, array in constants_of(node):
            key = memory(array)
            if key not in constants:
                constants[key] = constant_box(array, k, i, known.get(key), node, houses)
                boxes.append(constants[key])
            operands[i] = constants[key]
        name, settings = called(node)
        boxes += [Box(f"op{k}", "op", name, detail=settings, shape=value.shape, dtype=value.dtype, cluster=houses.of(node), line=value.line, node=node), value]
        naming.add(node, value, operands)
    naming.settle(boxes, arguments)
    edges = forward_edges(nodes, values, arguments) + backward_edges(nodes, values, notation)
    for k, t in enumerate(outputs):
        if t.node is None and not any(box.value is t.data for box in boxes):
            shape, dtype = shape_and_type(t.data)
            boxes.append(Box(f"v{len(nodes) + k}", "output", shape=shape, dtype=dtype, value=t.data))
    return Picture(boxes, edges, houses.clusters)


def forward_edges(nodes: Sequence[Node], values: Mapping[int, Box], arguments: Mapping[int, Mapping[int, Box]]) -> list[Edge]:
    """From arguments to operations to results, in the order of computation."""
    edges = []
    for node in nodes:
        if node.func is not None:
            result, operands = values[id(node)].id, arguments[id(node)]
            edges += [Edge(operands[i].id, "op" + result[1:], "forward") for i in sorted(operands)] + [Edge("op" + result[1:], result, "forward")]
    return edges


def backward_edges(nodes: Sequence[Node], values: Mapping[int, Box], notation: Notation) -> list[Edge]:
    """From results to operations to arguments, in the order of the backward pass."""
    edges = []
    for node in reversed(nodes):
        if node.func is not None and notation.reached(node):
            result = values[id(node)].id
            rules = [Edge("op" + result[1:], values[id(parent)].id, kind, tag, text) for parent, kind, tag, text in notation.rules(node)]
            edges += [Edge(result, "op" + result[1:], "backward"), *rules] if rules else []
    return edges


def in_order(roots: Iterable[Node]) -> list[Node]:
    """All nodes behind ``roots`` in the order of computation, each leaf just before its first use."""
    stack = list(roots)
    seen = {id(node): node for node in stack}
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and id(parent) not in seen:
                seen[id(parent)] = parent
                stack.append(parent)
    placed: dict[int, Node] = {}
    for node in sorted(seen.values(), key=lambda node: -node.age):
        if node.func is not None:
            for parent in node.parents:
                if parent is not None and parent.func is None:
                    placed.setdefault(id(parent), parent)
            placed[id(node)] = node
    for node in seen.values():
        placed.setdefault(id(node), node)
    return list(placed.values())


def value_box(node: Node, k: int, houses: Houses, tensor: Tensor | None, used: Array) -> Box:
    """The box of a node's numbers; those of a leaf are the ones that were ``used`` or, if these were freed, the ones it holds now."""
    holder = tensor if tensor is not None else owner_of(node)
    value = node.value if node.func is not None else used
    if value is None and isinstance(node, Observed):
        value = node.seen[-1]
    if value is None and holder is not None:
        value = holder.data
    shape, dtype = shape_and_type(value if value is not None else node.grad)
    if value is None and node.freed is not None:
        shape, dtype = node.freed[0], str(node.freed[1])
    path = houses.paths.get(id(node))
    box = Box(f"v{k}", "value", path or node.name or "", shape=shape, dtype=dtype, value=value, grad=node.grad, node=node)
    if node.func is None:
        box.kind = "parameter" if path or node.requires_grad or isinstance(holder, Parameter) else "input"
        box.cluster = houses.owner.get(id(node))
    else:
        box.line = node.line if isinstance(node, Observed) else None
        box.cluster = houses.of(node)
        if tensor is not None:
            box.kind, box.cluster = "output", None
    return box


def constant_box(array: Array, k: int, i: int, known: str | None, node: Node, houses: Houses) -> Box:
    """The box of a plain array that is argument ``i`` of operation ``k``; one that was passed to the outermost module is an input."""
    shape, dtype = shape_and_type(array)
    given = known is not None or (isinstance(node, Observed) and bool(node.modules) and not node.inside[i])
    name, cluster = known or houses.frozen.get(id(array), ""), None if given else houses.around(node, i)
    return Box(f"c{k}_{i}", "input" if given else "constant", name, shape=shape, dtype=dtype, value=array, cluster=cluster)


def owner_of(node: Node) -> Tensor | None:
    """The Tensor that holds the numbers of a leaf, if it still exists."""
    reference = getattr(node, "owner", None)
    return None if reference is None else reference()


def shape_and_type(value: Array) -> tuple[tuple[int, ...] | None, str]:
    if value is None:
        return None, ""
    return tuple(getattr(value, "shape", ())), str(getattr(value, "dtype", type(value).__name__))


# -- modules ---------------------------------------------------------------------------------------------


class Houses:
    """The cluster of each node, and the paths of parameters. Each call of a module is a cluster, so that a loop makes no cycle."""

    def __init__(self, nodes: Sequence[Node], model: Module | None) -> None:
        self.clusters: list[Cluster] = []
        self.cluster: dict[tuple[int, int], str] = {}  # the cluster of a call
        self.first: dict[int, str] = {}  # by the id of a module, the cluster of its first call
        self.times: Counter[int] = Counter()  # how often a module was called
        self.paths: dict[int, str] = {}  # the path of a parameter, by the id of its node
        self.frozen: dict[int, str] = {}  # that of a parameter without gradients, by the id of its numbers
        self.owner: dict[int, str] = {}  # the cluster of a parameter, by the id of its node
        observed = [node for node in nodes if isinstance(node, Observed)]
        self.roots = roots = {id(model): model} if model is not None else {}
        roots.update((id(node.modules[0]), node.modules[0]) for node in observed if node.modules)
        self.names: dict[int, str] = {}
        for root in roots.values():
            for path, module in root.named_modules():
                self.names.setdefault(id(module), path)
            for path, parameter in root.named_parameters():
                if parameter.node is not None:
                    self.paths.setdefault(id(parameter.node), path)
                if not parameter.requires_grad:
                    self.frozen.setdefault(id(parameter.data), path)
        for node in observed:
            self.enter(node)
        used = {id(node) for node in nodes}
        for root in roots.values():
            if id(root) in self.first:
                self.settle(root, used)

    def enter(self, node: Observed) -> None:
        """Make the clusters of nested calls that have none yet, outermost first."""
        parent = None
        for level, (call, module) in enumerate(zip(node.calls, node.modules)):
            if call not in self.cluster:
                self.cluster[call] = self.new_cluster(module, level, parent)
            parent = self.cluster[call]

    def new_cluster(self, module: Module, level: int, parent: str | None) -> str:
        """A new cluster for a call of a module."""
        self.times[id(module)] += 1
        title = title_of(module) + (f", call {self.times[id(module)]}" if self.times[id(module)] > 1 else "")
        cluster = Cluster(f"cluster{len(self.clusters)}", self.names.get(id(module), ""), title, level, parent, module)
        self.clusters.append(cluster)
        self.first.setdefault(id(module), cluster.id)
        return cluster.id

    def settle(self, root: Module, used: set[int]) -> None:
        """Put parameters into the clusters of the first calls of the modules that hold them."""
        around: dict[str, list[Module]] = {}
        for path, module in root.named_modules():
            outer = max((p for p in around if p == "" or path.startswith(p + ".")), key=len, default=None)
            around[path] = [*(around[outer] if outer is not None else []), module]
            for _, part in module.members():
                if isinstance(part, Parameter) and id(part.node) in used and id(part.node) not in self.owner:
                    parent = None
                    for level, house in enumerate(around[path]):
                        if id(house) not in self.first:  # it was not called: its parameters were taken out of it
                            self.new_cluster(house, level, parent)
                        parent = self.first[id(house)]
                    self.owner[id(part.node)] = self.first[id(module)]

    def of(self, node: Node) -> str | None:
        return self.cluster[node.calls[-1]] if isinstance(node, Observed) and node.modules else None

    def around(self, node: Node, i: int) -> str | None:
        """The cluster of the constant that is argument ``i``: outside the modules that it was passed to."""
        if not isinstance(node, Observed) or not node.inside[i]:
            return None
        return self.cluster[node.calls[node.inside[i] - 1]]


# -- less of it ------------------------------------------------------------------------------------------


def reduced(picture: Picture, depth: int | None = None, max_nodes: int | None = None) -> Picture:
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

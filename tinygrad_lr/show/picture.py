"""The computation graph as plain data to be drawn: boxes, edges and clusters.

A `Picture` is what every drawing starts from, on paper (`dot`) or on a page. Boxes stand in the order of
computing, and everything is numbered along that order, so the same program gives the same picture. A walk
never recurses: depth costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from tinygrad_lr.autodiff.graph import Node
from tinygrad_lr.autodiff.rules import RULES, Aside, name_of
from tinygrad_lr.autodiff.rules.network import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, linear, squared_error
from tinygrad_lr.autodiff.rules.registry import PLAIN, Array, Function
from tinygrad_lr.autodiff.rules.shapes import VIEWS, getitem, scatter
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module, Parameter
from tinygrad_lr.show.observe import Line, Observed
from tinygrad_lr.show.wording import LOSSES, SIGNS, SLOPES, rule_in_words

Kind = Literal["op", "value", "parameter", "input", "constant", "output", "module", "more"]


@dataclass(slots=True)
class Box:
    """One thing in the picture.

    Attributes
    ----------
    id : str
        "op3" for an operation, "v3" for its answer or for an input, "c3_1" for a constant that is argument 1
        of operation 3; "m2" for a closed module, "more" for what was left out.
    kind : str
        What it is; "output" is a value that was asked for.
    name : str
        The user's name for a value (a parameter's path), an operation's function, a module's title.
    symbol : str
        What the equations of backpropagation call it: w1, b1, z1, a1, L.
    detail : str
        An operation's settings; a module's repr.
    holds : str
        What was closed into this box.
    shape, dtype : tuple and str
        Of the numbers, or of an operation's answer; None and "" where that is not known.
    value, grad : array or None
        The numbers themselves, and the gradient that `backward` left.
    cluster : str or None
        The id of the innermost cluster around it.
    line : Line or None
        The line of the user's code that made it.
    node : Node or None
        The graph's own record of it.
    """

    id: str
    kind: Kind
    name: str = ""
    symbol: str = ""
    detail: str = ""
    holds: str = ""
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    value: Array = None
    grad: Array = None
    cluster: str | None = None
    line: Line | None = None
    node: Node | None = None


@dataclass(slots=True)
class Edge:
    """A way from box to box.

    Attributes
    ----------
    tail, head : str
        The ids of the boxes: from operation to answer or from argument to operation when forward, the other
        way round when backward.
    kind : str
        "forward"; "backward" for a gradient; "aside" for one that is computed but does not flow on.
    tag : str
        Which of the equations of backpropagation this is, "BP1" to "BP4", or "".
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
    """A module: ``level`` 0 is one that the user called, 1 a part of it and so on."""

    id: str
    path: str
    title: str
    level: int
    parent: str | None
    module: Module = field(repr=False)


@dataclass(slots=True)
class Picture:
    """Boxes and forward edges in the order of computing, backward edges in the order of the backward pass."""

    boxes: list[Box]
    edges: list[Edge]
    clusters: list[Cluster]
    note: str = ""

    @property
    def has_gradients(self) -> bool:
        return any(box.grad is not None for box in self.boxes)


# -- from the graph to the picture -----------------------------------------------------------------------


def picture_of(outputs: Sequence[Tensor], model: Module | None = None, inputs: Mapping[str, Any] | None = None) -> Picture:
    """The whole graph behind ``outputs``.

    Parameters
    ----------
    outputs : sequence of Tensor
        The values that were asked for.
    model : Module, optional
        Whose parameters are to be called by their paths; modules that were observed are known anyway.
    inputs : mapping, optional
        What to call the plain arrays that went in.
    """
    nodes = in_order(t.node for t in outputs if t.node is not None)
    houses = Houses(nodes, model)
    notation = Notation(nodes, {id(t.node) for t in outputs})
    tensors = {id(t.node): t for t in outputs}
    known = {id(getattr(value, "data", value) if isinstance(value, Tensor) else value): name for name, value in (inputs or {}).items()}
    used = {id(parent): value for node in nodes for parent, value in zip(node.parents, arguments_of(node)) if parent is not None and parent.func is None}
    boxes: list[Box] = []
    forward: list[Edge] = []
    backward: list[list[Edge]] = []
    number: dict[int, int] = {}
    constants: dict[int, str] = {}
    for k, node in enumerate(nodes):
        number[id(node)] = k
        value = value_box(node, k, houses, tensors.get(id(node)), used.get(id(node)))
        value.symbol = notation.symbol.get(id(node), "")
        if node.func is None:
            boxes.append(value)
            continue
        name, settings = called(node)
        op = Box(f"op{k}", "op", name, detail=settings, shape=value.shape, dtype=value.dtype, cluster=houses.of(node), line=value.line, node=node)
        arguments: dict[int, str] = {}
        for i, parent in enumerate(node.parents):
            if parent is not None:
                arguments[i] = f"v{number[id(parent)]}"
        for i, array in constants_of(node):
            if id(array) not in constants:
                constants[id(array)] = f"c{k}_{i}"
                boxes.append(constant_box(array, k, i, known.get(id(array)), node, houses))
            arguments[i] = constants[id(array)]
        boxes += [op, value]
        forward += [Edge(arguments[i], op.id, "forward") for i in sorted(arguments)]
        forward.append(Edge(op.id, value.id, "forward"))
        if notation.reached(node):
            rules = [Edge(op.id, f"v{number[id(parent)]}", kind, tag, text) for parent, kind, tag, text in notation.rules(node)]
            if rules:
                backward.append([Edge(value.id, op.id, "backward"), *rules])
    for k, t in enumerate(outputs):
        if t.node is None and not any(box.value is t.data for box in boxes):
            shape, dtype = shape_and_type(t.data)
            boxes.append(Box(f"v{len(nodes) + k}", "output", shape=shape, dtype=dtype, value=t.data))
    return Picture(boxes, forward + [edge for edges in reversed(backward) for edge in edges], houses.clusters)


def in_order(roots: Iterable[Node]) -> list[Node]:
    """All nodes behind ``roots`` in the order of computing, each leaf just before its first use."""
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
    """The box of a node's numbers; a leaf's are those that were ``used``, and only where these were freed the ones it holds now."""
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
    """The box of a plain array that is argument ``i`` of operation ``k``; one that was handed to the outermost module is an input."""
    shape, dtype = shape_and_type(array)
    given = known is not None or (isinstance(node, Observed) and bool(node.modules) and not node.inside[i])
    name = known if known is not None else argument_name(node.func, i)
    return Box(f"c{k}_{i}", "input" if given else "constant", name, shape=shape, dtype=dtype, value=array, cluster=None if given else houses.around(node, i))


def owner_of(node: Node) -> Tensor | None:
    """The Tensor that a leaf's numbers are in, while it lives."""
    reference = getattr(node, "owner", None)
    return None if reference is None else reference()


def arguments_of(node: Node) -> tuple[Any, ...]:
    """The values a call was made with; () where a backward pass has freed them."""
    if node.values is not None:
        return node.values  # type: ignore[no-any-return]
    return node.seen[:-1] if isinstance(node, Observed) else ()


def constants_of(node: Node) -> Iterator[tuple[int, Array]]:
    """(i, array) for each argument that is an array from outside the graph."""
    for i, (value, parent) in enumerate(zip(arguments_of(node), node.parents)):
        if parent is None and is_array(value) and not (i and node.func in (getitem, scatter)):
            yield i, value


def is_array(value: Any) -> bool:
    """Whether ``value`` is drawn in a box of its own; a single number is rather written into the operation."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def shape_and_type(value: Any) -> tuple[tuple[int, ...] | None, str]:
    if value is None:
        return None, ""
    return tuple(getattr(value, "shape", ())), str(getattr(value, "dtype", type(value).__name__))


def argument_name(func: Function | None, i: int) -> str:
    """What the function itself calls its argument ``i``, if it is one of this package's."""
    if func is None or func not in PLAIN:
        return ""
    names = [p.name for p in inspect.signature(PLAIN[func]).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return names[i] if i < len(names) else ""


# -- what things are called ------------------------------------------------------------------------------


def called(node: Node) -> tuple[str, str]:
    """An operation's name and its settings."""
    func = node.func
    assert func is not None
    plain = [(i, v) for i, (v, parent) in enumerate(zip(arguments_of(node), node.parents)) if parent is None and v is not None]
    if func in SIGNS:
        numbers = {i: setting(v) for i, v in plain if not is_array(v)}
        return " ".join(filter(None, (numbers.get(0, ""), SIGNS[func], numbers.get(1, "")))), ""
    boxed = {i for i, _ in constants_of(node)}
    settings = [setting(v) for i, v in plain if i not in boxed]
    if func is getitem and settings:
        return f"[{settings[0].removeprefix('(').removesuffix(')').removesuffix(',')}]", ""
    settings += [f"{key}={setting(v)}" for key, v in node.kwargs.items() if v is not None and v is not False]
    return name_of(func), ", ".join(settings)


def setting(value: Any) -> str:
    """A setting as it is typed: numbers short, slices as in brackets, arrays by their shape where large."""
    if isinstance(value, slice):
        parts = ["" if part is None else setting(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts[: 3 if parts[2] else 2])
    if isinstance(value, tuple):
        return "(" + ", ".join(map(setting, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, list):
        return "[" + ", ".join(map(setting, value)) + "]"
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.size <= 6 else f"{value.dtype} {value.shape}"
    if value is Ellipsis:
        return "..."
    if isinstance(value, bool | int | float | np.generic) and not isinstance(value, np.str_ | np.bytes_):
        return number(value)
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value if isinstance(value, str) else repr(value)


def title_of(module: Module) -> str:
    """A module's repr, without its parts."""
    text = repr(module)
    return text if "\n" not in text else type(module).__name__


class Houses:
    """Which cluster each node lies in, and the paths of parameters."""

    def __init__(self, nodes: Sequence[Node], model: Module | None) -> None:
        self.clusters: list[Cluster] = []
        self.cluster: dict[int, str] = {}  # a module's id to its cluster's
        self.paths: dict[int, str] = {}  # a parameter's node to its path
        self.owner: dict[int, str] = {}  # a parameter's node to its cluster
        observed = [node for node in nodes if isinstance(node, Observed)]
        roots = {id(model): model} if model is not None else {}
        roots.update((id(node.modules[0]), node.modules[0]) for node in observed if node.modules)
        self.names: dict[int, str] = {}
        for root in roots.values():
            for path, module in root.named_modules():
                self.names.setdefault(id(module), path)
            for path, parameter in root.named_parameters():
                self.paths.setdefault(id(parameter.node), path)
        for node in observed:
            self.enter(node.modules)
        used = {id(node) for node in nodes}
        for root in roots.values():
            if id(root) in self.cluster:
                self.settle(root, used)

    def enter(self, modules: Sequence[Module]) -> None:
        """Make the clusters of nested calls, outermost first, where there are none yet."""
        parent = None
        for level, module in enumerate(modules):
            if id(module) not in self.cluster:
                self.cluster[id(module)] = f"cluster{len(self.clusters)}"
                self.clusters.append(Cluster(self.cluster[id(module)], self.names.get(id(module), ""), title_of(module), level, parent, module))
            parent = self.cluster[id(module)]

    def settle(self, root: Module, used: set[int]) -> None:
        """Put parameters into the clusters of the modules that hold them."""
        around: dict[str, list[Module]] = {}
        for path, module in root.named_modules():
            outer = max((p for p in around if p == "" or path.startswith(p + ".")), key=len, default=None)
            around[path] = [*(around[outer] if outer is not None else []), module]
            for _, part in module.members():
                if isinstance(part, Parameter) and id(part.node) in used and id(part.node) not in self.owner:
                    self.enter(around[path])
                    self.owner[id(part.node)] = self.cluster[id(module)]

    def of(self, node: Node) -> str | None:
        return self.cluster[id(node.modules[-1])] if isinstance(node, Observed) and node.modules else None

    def around(self, node: Node, i: int) -> str | None:
        """The cluster of the constant that is argument ``i``: outside the modules that it was handed to."""
        if not isinstance(node, Observed) or not node.inside[i]:
            return None
        return self.cluster[id(node.modules[node.inside[i] - 1])]


# -- the equations of backpropagation --------------------------------------------------------------------


class Notation:
    """Names the values of a network, and says which equation each step of the backward pass is.

    BP1: delta^L = dL/da^L s'(z^L), from the loss through the last activation. BP2: delta^l = (w^{l+1})^T delta^{l+1}
    s'(z^l), from layer to layer. BP3: dL/db^l = delta^l. BP4: dL/dw^l = delta^l (a^{l-1})^T. Samples are rows,
    so BP3 and BP4 sum over them.
    """

    def __init__(self, nodes: Sequence[Node], roots: set[int]) -> None:
        self.nodes, self.roots = nodes, roots
        self.symbol: dict[int, str] = {}
        self.layer: dict[int, int] = {}  # a linear node to its number
        self.from_layers: set[int] = set()  # values that come from a layer, through activations
        self.to_layers: dict[int, list[int]] = {}  # values to the numbers of the layers they are the input of
        self.to_loss: set[int] = set()  # values that are a loss's prediction
        self.reaches: set[int] = set()  # nodes that the gradient gets to
        self.name_values()
        self.follow_gradients()

    def name_values(self) -> None:
        losses = sum(node.func in LOSSES for node in self.nodes)
        for node in self.nodes:
            func = node.func
            if func is linear:
                number = self.layer[id(node)] = len(self.layer) + 1
                self.symbol[id(node)] = f"z{number}"
                for parent, letter in zip(node.parents[1:], "wb"):
                    if parent is not None:
                        self.symbol.setdefault(id(parent), f"{letter}{number}")
                self.from_layers.add(id(node))
            elif func in SLOPES or func in VIEWS:
                source = node.parents[0]
                if source is None:
                    continue
                if id(source) in self.from_layers:
                    self.from_layers.add(id(node))
                z = self.symbol.get(id(source), "")
                a = "a" + z[1:]
                if func in SLOPES and z.startswith("z") and a not in self.symbol.values():
                    self.symbol[id(node)] = a
            elif func in LOSSES and losses == 1 and id(node) in self.roots:
                self.symbol[id(node)] = "L"

    def follow_gradients(self) -> None:
        self.reaches.update(id(node) for node in self.nodes if id(node) in self.roots and node.requires_grad)
        for node in reversed(self.nodes):
            if node.func is None:
                continue
            if id(node) in self.reaches:
                for i, parent in self.passing(node):
                    if not isinstance(rule_at(node, i), Aside):
                        self.reaches.add(id(parent))
            source = node.parents[0] if node.parents else None
            if source is None:
                continue
            if node.func in LOSSES:
                self.to_loss.add(id(source))
            elif node.func is linear:
                self.to_layers.setdefault(id(source), []).append(self.layer[id(node)])
            elif node.func in VIEWS:
                if id(node) in self.to_loss:
                    self.to_loss.add(id(source))
                if id(node) in self.to_layers:
                    self.to_layers.setdefault(id(source), []).extend(self.to_layers[id(node)])

    def reached(self, node: Node) -> bool:
        return id(node) in self.reaches

    def passing(self, node: Node) -> Iterator[tuple[int, Node]]:
        """(i, parent) for each argument that has a rule and wants a gradient."""
        for i, (parent, rule) in enumerate(zip(node.parents, RULES[node.func])):  # type: ignore[index]
            if parent is not None and rule is not None and parent.requires_grad:
                yield i, parent

    def rules(self, node: Node) -> Iterator[tuple[Node, Literal["backward", "aside"], str, str]]:
        """(parent, kind of edge, equation, words) for each argument that gets a gradient."""
        for i, parent in self.passing(node):
            if not isinstance(rule_at(node, i), Aside):
                yield parent, "backward", *self.equation(node, i, parent)
            elif parent.grad is not None:
                yield parent, "aside", "", f"∂L/∂{self.name(parent)}, not passed on"

    def name(self, node: Node | None) -> str:
        return "x" if node is None else self.symbol.get(id(node)) or node.name or "x"

    def delta(self, node: Node) -> str:
        """The name of the gradient by a layer's z, or by any other value."""
        symbol = self.symbol.get(id(node), "")
        return "δ" + symbol[1:] if symbol.startswith("z") else f"∂L/∂{self.name(node)}"

    def equation(self, node: Node, i: int, parent: Node) -> tuple[str, str]:
        """Which equation sends the gradient of ``node`` to its argument ``i``, and what it says here."""
        func = node.func
        assert func is not None
        if func in LOSSES and i == 0:
            return self.from_loss(node, parent)
        if func is linear:
            l = self.layer[id(node)]  # noqa: E741
            total = "Σ " if len((node.freed[0] if node.freed else node.value.shape) or ()) > 1 else ""
            if i == 2:
                return "BP3", f"∂L/∂b{l} = {total}δ{l}"
            if i == 1:
                return "BP4", f"∂L/∂w{l} = {total}δ{l} {self.name(node.parents[0])}ᵀ"
            if id(parent) in self.from_layers:
                return "BP2", f"{self.delta(parent)} = w{l}ᵀ δ{l}"
            return "", f"{self.delta(parent)} = w{l}ᵀ δ{l}"
        if func in SLOPES:
            z = self.name(parent)
            if id(node) in self.to_layers and id(parent) in self.from_layers:
                layers = " + ".join(f"w{l}ᵀ δ{l}" for l in sorted(self.to_layers[id(node)]))  # noqa: E741
                return "BP2", f"{self.delta(parent)} = ({layers}) · {SLOPES[func]}({z})"
            if id(node) in self.to_loss:
                return "BP1", f"{self.delta(parent)} = ∂L/∂{self.name(node)} · {SLOPES[func]}({z})"
        return "", rule_in_words(func, i)

    def from_loss(self, node: Node, prediction: Node) -> tuple[str, str]:
        """BP1, or the part of it that the loss has: all where the loss takes z, dL/da where it takes a."""
        func, p = node.func, self.name(prediction)
        share = " / m" if node.kwargs.get("reduction", "mean") == "mean" else ""
        share += "" if id(node) in self.roots else " · ∂/∂L"
        if func is bce:
            return "BP1", f"∂L/∂{p} = ((1 - y) / (1 - {p}) - y / {p}){share}"
        if func is squared_error:
            layered = id(prediction) in self.from_layers or prediction.func in SLOPES
            return "BP1" if layered else "", f"{self.delta(prediction)} = 2 ({p} - y){share}"
        error = {
            bce_of_sigmoid: f"{self.name(node.parents[1]) if func is bce_of_sigmoid else ''} - y",
            bce_with_logits: f"s({p}) - y",
            cross_entropy: f"softmax({p}) - onehot(y)",
        }[func]  # type: ignore[index]
        return "BP1", f"{self.delta(prediction)} = ({error}){share}"


def rule_at(node: Node, i: int) -> Any:
    """The rule of argument ``i``."""
    for k, rule in enumerate(RULES[node.func]):  # type: ignore[index]
        if k == i:
            return rule
    return None


# -- less of it ------------------------------------------------------------------------------------------


def reduced(picture: Picture, depth: int | None = None, max_nodes: int | None = None) -> Picture:
    """The picture with modules below level ``depth`` closed, and more of it closed until ``max_nodes`` boxes are left."""
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
    """The picture with its first and last boxes, and one box for all between them."""
    first = (most - 1) // 2
    last = most - 1 - first
    middle = picture.boxes[first : len(picture.boxes) - last]
    more = Box("more", "more", f"{len(middle):,} boxes left out", holds=counted(sum(box.kind == "op" for box in middle), "operation"))
    boxes = [*picture.boxes[:first], more, *picture.boxes[len(picture.boxes) - last :]]
    kept = {box.cluster for box in boxes}
    for cluster in reversed(picture.clusters):  # parts stand after what they are part of
        if cluster.id in kept:
            kept.add(cluster.parent)
    clusters = [cluster for cluster in picture.clusters if cluster.id in kept]
    return Picture(boxes, moved(picture.edges, dict.fromkeys((box.id for box in middle), "more")), clusters, picture.note)


def moved(edges: Iterable[Edge], home: Mapping[str, str]) -> list[Edge]:
    """The edges between boxes that others have moved into; several between the same two become one."""
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


def number(value: Any) -> str:
    """A number with 4 significant digits.

    Examples
    --------
    >>> number(2 / 3), number(-0.0), number(1234567.0), number(7), number(True)
    ('0.6667', '0', '1.235e+06', '7', 'True')
    """
    if isinstance(value, bool | np.bool_ | int | np.integer) or not isinstance(value, float | np.floating):
        return str(value)
    return "0" if value == 0 else f"{value:.4g}"


def table_of(array: Any, rows: int = 8, columns: int = 6) -> list[list[str]] | None:
    """The numbers of a small array as rows of text; None where there are too many, or no place to compute them."""
    if not isinstance(array, np.ndarray | np.generic | float | int) or np.ndim(array) > 2 or np.size(array) == 0:
        return None
    matrix = np.atleast_2d(array)
    if matrix.shape[0] > rows or matrix.shape[1] > columns:
        return None
    return [[number(x) for x in row] for row in matrix]


def in_short(array: Any) -> list[tuple[str, str]]:
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

"""From the computation graph to its picture.

Boxes are in the order of computation, and numbered in that order, so the same program has the same picture. Nothing
here recurses: depth costs nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from tinygrad_lr.autodiff.node import Node
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.nn.module import Module, Parameter, title_of
from tinygrad_lr.show.names import Naming, arguments_of, constants_of, memory_key, operation_title
from tinygrad_lr.show.notation import Notation
from tinygrad_lr.show.observe import Observed
from tinygrad_lr.show.picture import Box, Cluster, Edge, Picture


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
    clusters = Clusters(nodes, model)
    notation = Notation(nodes, [t.node for t in outputs if t.node is not None], list(clusters.roots.values()))
    tensors = {id(t.node): t for t in outputs}
    known = {memory_key(value.data if isinstance(value, Tensor) else value): name for name, value in (inputs or {}).items()}
    used = {id(parent): value for node in nodes for parent, value in zip(node.parents, arguments_of(node)) if parent is not None and parent.func is None}
    boxes: list[Box] = []
    edges: list[Edge] = []
    naming = Naming(notation.symbol, clusters.names)
    values: dict[int, Box] = {}
    constants: dict[Hashable, Box] = {}
    arguments: dict[int, dict[int, Box]] = {}
    for k, node in enumerate(nodes):
        value = values[id(node)] = value_box(node, k, clusters, tensors.get(id(node)), used.get(id(node)))
        if node.func is None:
            boxes.append(value)
            continue
        operands = arguments[id(node)] = {i: values[id(parent)] for i, parent in enumerate(node.parents) if parent is not None}
        for i, array in constants_of(node):
            key = memory_key(array)
            if key not in constants:
                constants[key] = constant_box(array, k, i, known.get(key), node, clusters)
                boxes.append(constants[key])
            operands[i] = constants[key]
        name, settings = operation_title(node)
        op = Box(f"op{k}", "op", name, detail=settings, shape=value.shape, dtype=value.dtype, cluster=clusters.of(node), line=value.line, node=node)
        boxes += [op, value]
        edges += [*(Edge(operands[i].id, op.id, "forward") for i in sorted(operands)), Edge(op.id, value.id, "forward")]
        naming.add(node, value, operands)
    notation.operands = naming.settle(boxes, arguments)
    notation.labels = {id(box.node): box.label for box in boxes if box.kind != "op"}
    edges += backward_edges(nodes, values, notation)
    for k, t in enumerate(outputs):
        if t.node is None and not any(box.value is t.data for box in boxes):
            shape, dtype = shape_and_type(t.data)
            boxes.append(Box(f"v{len(nodes) + k}", "output", shape=shape, dtype=dtype, value=t.data))
    return Picture(boxes, edges, clusters.all)


def backward_edges(nodes: Sequence[Node], values: Mapping[int, Box], notation: Notation) -> list[Edge]:
    """From results to operations to arguments, in the order of the backward pass."""
    edges = []
    for node in reversed(nodes):
        if node.func is not None and id(node) in notation.reaches:
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


def value_box(node: Node, k: int, clusters: Clusters, tensor: Tensor | None, used: Array) -> Box:
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
    path = clusters.paths.get(id(node))
    box = Box(f"v{k}", "value", path or node.name or "", shape=shape, dtype=dtype, value=value, grad=node.grad, node=node)
    if node.func is None:
        box.kind = "parameter" if path or node.requires_grad or isinstance(holder, Parameter) else "input"
        box.cluster = clusters.owner.get(id(node))
    else:
        box.line = node.line if isinstance(node, Observed) else None
        box.cluster = clusters.of(node)
        if tensor is not None:
            box.kind, box.cluster = "output", None
    return box


def constant_box(array: Array, k: int, i: int, known: str | None, node: Node, clusters: Clusters) -> Box:
    """The box of a plain array that is argument ``i`` of operation ``k``; one that was passed to the outermost module is an input."""
    shape, dtype = shape_and_type(array)
    given = known is not None or (isinstance(node, Observed) and bool(node.modules) and not node.inside[i])
    name, cluster = known or clusters.frozen.get(id(array), ""), None if given else clusters.around(node, i)
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


class Clusters:
    """The cluster of each node, and the paths of parameters. Each call of a module is a cluster, so that a loop makes no cycle."""

    def __init__(self, nodes: Sequence[Node], model: Module | None) -> None:
        self.all: list[Cluster] = []
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
        cluster = Cluster(f"cluster{len(self.all)}", self.names.get(id(module), ""), title, level, parent, module)
        self.all.append(cluster)
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
                    for level, outer_module in enumerate(around[path]):
                        if id(outer_module) not in self.first:  # it was not called: its parameters were taken out of it
                            self.new_cluster(outer_module, level, parent)
                        parent = self.first[id(outer_module)]
                    self.owner[id(part.node)] = self.first[id(module)]

    def of(self, node: Node) -> str | None:
        """The cluster of an operation."""
        return self.cluster[node.calls[-1]] if isinstance(node, Observed) and node.modules else None

    def around(self, node: Node, i: int) -> str | None:
        """The cluster of the constant that is argument ``i``: outside the modules that it was passed to."""
        if not isinstance(node, Observed) or not node.inside[i]:
            return None
        return self.cluster[node.calls[node.inside[i] - 1]]

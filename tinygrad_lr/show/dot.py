"""`draw`: the computation graph as a picture, through Graphviz.

The graphviz package writes the DOT text. The layout is computed by the ``dot`` on PATH or, where there is none,
by the one that comes with pygraphviz. Colours are middle tones on no background, so that a drawing is readable on
a light page and on a dark one.
"""

from __future__ import annotations

import functools
import html
import inspect
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.trees import leaves
from tinygrad_lr.nn.module import Module
from tinygrad_lr.show.build import picture_of
from tinygrad_lr.show.observe import observe
from tinygrad_lr.show.picture import Box, Cluster, Edge, Picture, in_short, smaller_picture, table_of

if TYPE_CHECKING:
    from graphviz import Digraph

FONT, NUMBERS = "Helvetica,Arial,sans-serif", "Menlo,Consolas,DejaVu Sans Mono,monospace"
GAP = "&nbsp;&nbsp;"
INK, FAINT = "#1f2933", "#5f6c7b"  # on the light fill of a box
LINE, GRADIENT = "#737f8c", "#d6366f"  # on the page itself, light or dark
ON_FILL = "#a3174f"  # the colour of gradients, inside a box
BAR, ON_BAR = "#52606d", "#d9e2ec"  # an operation, and faint text on it
GIVEN = ("parameter", "constant", "input")  # what is not computed
RULES_SHOWN = 3  # in the box of a parameter that is used several times

# fmt: off
LOOKS = {
    "op":        {"fillcolor": BAR, "color": BAR, "fontcolor": "#ffffff"},
    "value":     {},
    "parameter": {"fillcolor": "#e6f0fa", "color": "#4a86c5"},
    "input":     {"fillcolor": "#e8f5ec", "color": "#57a773"},
    "constant":  {"fillcolor": "#f1f3f5", "color": "#9aa5b1"},
    "output":    {"fillcolor": "#fff4d6", "color": "#d19f26", "penwidth": "1.6"},
    "module":    {"fillcolor": "#eceef7", "color": "#7b86c2", "penwidth": "1.6"},
    "more":      {"fillcolor": "#f1f3f5", "color": "#9aa5b1", "style": "rounded,filled,dashed"},
}
CLUSTER = {
    "style": "rounded,filled", "color": "#8793a0", "fillcolor": "#8793a014", "penwidth": "0.8",
    "fontcolor": LINE, "fontsize": "10", "labeljust": "l", "margin": "8",
}
# fmt: on

DIRECTIONS = ("TB", "LR", "BT", "RL")
CONTROL_PICTURES = {i: 0x2400 + i for i in range(32) if i != 10} | {127: 0x2421}
LONGEST = 60  # characters of a user's text in a drawing; a tooltip has all of it


def draw(
    target: object,
    *inputs: object,
    model: Module | None = None,
    depth: int | None = None,
    values: bool = True,
    grads: bool = True,
    direction: str = "TB",
    max_nodes: int | None = 300,
) -> Drawing:
    """Draw how a Tensor was computed, or what a model does with an input.

    An operation and its result are one box, with parameters and constants beside it. What was computed inside `observe`
    is named after the user's variables, and each call of a module has a frame.

    Parameters
    ----------
    target, *inputs
        A computed Tensor (or a list or dict of them), or a Module and the arrays to call it on.
    model : Module, optional
        For a Tensor: the model whose parameters are to be named by their paths.
    depth : int, optional
        Show modules of this level as single boxes; 0 is the model itself, 1 its parts. By default all are open.
    values, grads : bool
        Whether to write numbers into boxes; whether to show the backward pass, with its rules and its gradients.
    direction : {"TB", "LR", "BT", "RL"}
        From top to bottom, from left to right, and so on.
    max_nodes : int or None
        The most boxes, an operation and its result counted as two. If there are more, modules are closed, then the
        middle is left out, and a line below the drawing says so.

    Returns
    -------
    Drawing
        Shows itself in a notebook; ``.source`` is its DOT text and ``.save("graph.svg")`` writes a file.

    Raises
    ------
    TypeError, ValueError
        If the target is neither a Tensor nor a Module, a Tensor comes with inputs, or an option is out of range.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> w = tg.Tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> print(tg.draw(np.sum(w * w)))
    Drawing(5 boxes, 5 edges forward, 5 edges backward)
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(map(repr, DIRECTIONS))}, got {direction!r}")
    for option, number, least in (("depth", depth, 0), ("max_nodes", max_nodes, 3)):
        if number is not None and number < least:
            raise ValueError(f"{option} must be at least {least}, got {number}")
    if isinstance(target, Module):
        (outputs, names), model = observed(target, inputs), target
    elif inputs:
        raise TypeError(f"draw() calls a Module on inputs, but got a {type(target).__name__} first: draw(model, x) or draw(loss)")
    else:
        outputs, names = tensors_in(target, TypeError(f"draw() takes a Tensor or a Module, got {type(target).__name__}")), {}
    return Drawing(smaller_picture(picture_of(outputs, model, names), depth, max_nodes), values, grads, direction)


def observed(model: Module, inputs: tuple[object, ...]) -> tuple[list[Tensor], dict[str, object]]:
    """What the model returns when it is called inside `observe`, and its inputs by the names of its `forward`."""
    arrays = tuple(x if hasattr(x, "__array_function__") or not is_numeric(x) else np.asarray(x) for x in inputs)
    try:
        names = {name: value for name, value in inspect.signature(model.forward).bind(*arrays).arguments.items() if not isinstance(value, tuple)}
    except TypeError as error:
        raise TypeError(f"draw() cannot call {type(model).__name__} on {len(inputs)} inputs: {error}") from None
    refusal = ValueError(f"draw() got no Tensor from calling {type(model).__name__}")
    with observe():
        outputs = tensors_in(model(*arrays), refusal)
        if all(t.node is None or not t.requires_grad for t in outputs):  # nothing to learn: follow the inputs instead
            followed = tuple(Tensor(x, requires_grad=True) if is_floating_leaf(x) else x for x in arrays)
            names = {name: next((f for f, x in zip(followed, arrays) if x is value), value) for name, value in names.items()}
            for name, x in names.items():
                if isinstance(x, Tensor) and x.name is None:
                    x.name = name
            outputs = tensors_in(model(*followed), refusal)
    return outputs, names


def is_numeric(x: object) -> bool:
    """Whether ``x`` is a number or nested lists of numbers."""
    return all(isinstance(leaf, bool | int | float) for leaf in leaves(x)) and not isinstance(x, dict)


def is_floating_leaf(x: object) -> bool:
    return hasattr(x, "dtype") and np.issubdtype(x.dtype, np.floating) and not (isinstance(x, Tensor) and not x.is_leaf)


def tensors_in(tree: object, refusal: Exception) -> list[Tensor]:
    """The Tensors that a nested structure holds."""
    found = [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]
    if not found:
        raise refusal
    return found


class Drawing:
    """A picture of a computation graph, which shows itself in a notebook.

    Attributes
    ----------
    picture : Picture
        Its boxes and edges.
    source : str
        The DOT text; the same program always leads to the same text, byte for byte.
    """

    def __init__(self, picture: Picture, values: bool = True, grads: bool = True, direction: str = "TB") -> None:
        self.picture, self.values, self.grads, self.direction = picture, values, grads, direction

    @functools.cached_property
    def source(self) -> str:
        return dot_text(self.picture, self.values, self.grads, self.direction)

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file: .svg, .png, .pdf, or .gv (or .dot) for the DOT text.

        Raises
        ------
        ValueError
            If the path has another suffix.
        RuntimeError
            If a picture needs a layout and Graphviz is not installed.
        """
        path = Path(path)
        form = path.suffix.lower().removeprefix(".")
        if form in ("gv", "dot"):
            path.write_text(self.source, encoding="utf-8", newline="\n")
        elif form in ("svg", "png", "pdf"):
            path.write_bytes(rendered(self.source, form))
        else:
            raise ValueError(f"cannot save a drawing as {path.name!r}: the name must end in .svg, .png, .pdf or .gv")
        return path

    def svg(self) -> str:
        """The drawing as SVG text."""
        return rendered(self.source, "svg").decode()

    def _repr_svg_(self) -> str | None:
        return self.svg() if engine() is not None else None

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        picture = self._repr_svg_()
        return {"text/plain": f"{self!r}\n{NO_ENGINE}"} if picture is None else {"image/svg+xml": picture, "text/plain": repr(self)}

    def __repr__(self) -> str:
        forward = sum(edge.kind == "forward" for edge in self.picture.edges)
        backward = f", {len(self.picture.edges) - forward} edges backward" if self.grads else ""
        return f"Drawing({len(self.picture.boxes)} boxes, {forward} edges forward{backward})"


# -- layout ------------------------------------------------------------------------------------------------

NO_ENGINE = (
    "a layout needs Graphviz: install the draw extra, which brings it along (pip install 'tinygrad_lr[draw]'), "
    "or Graphviz itself, so that its program dot is on PATH. Without it .source and .save('graph.gv') work."
)


def engine() -> str | ModuleType | None:
    """What computes layouts: the path of ``dot``, else pygraphviz, else None."""
    if program := shutil.which("dot"):
        return program
    try:
        import pygraphviz
    except ImportError:
        return None
    return pygraphviz  # type: ignore[no-any-return]  # it has no type hints


def rendered(source: str, form: str) -> bytes:
    """The DOT text as a picture."""
    maker = engine()
    if maker is None:
        raise RuntimeError(f"cannot make a .{form}: {NO_ENGINE}")
    if isinstance(maker, str):
        sharp = ["-Gdpi=192"] if form == "png" else []
        run = subprocess.run([maker, f"-T{form}", *sharp], input=source.encode(), capture_output=True, check=False)
        if run.returncode:
            raise RuntimeError(f"{maker} failed with status {run.returncode}: {run.stderr.decode(errors='replace').strip()}")
        return run.stdout
    graph = maker.AGraph(string=source)
    if form == "png":
        graph.graph_attr["dpi"] = "192"
    try:
        picture: bytes = graph.draw(format=form, prog="dot")
        return picture
    finally:
        graph.close()


# -- DOT text ----------------------------------------------------------------------------------------------


def dot_text(picture: Picture, values: bool, grads: bool, direction: str) -> str:
    """The whole picture in DOT."""
    import graphviz

    graph = graphviz.Digraph("tinygrad_lr")
    note = {"label": f"<{escaped(picture.note, 1000)}>", "labelloc": "b", "fontcolor": LINE} if picture.note else {}
    graph.attr("graph", rankdir=direction, bgcolor="transparent", fontname=FONT, fontsize="11", nodesep="0.2", ranksep="0.12", pad="0.2", **note)
    graph.attr("node", shape="box", style="rounded,filled", fillcolor="#ffffff", color="#9aa5b1", margin="0.1,0.03", height="0.3", width="0.3")
    graph.attr("node", fontname=FONT, fontsize="11", fontcolor=INK)
    graph.attr("edge", fontname=FONT, fontsize="9.5", color=LINE, fontcolor=LINE, arrowsize="0.6")
    Layout(picture, values, grads).write(graph)
    return graph.source  # type: ignore[no-any-return]


class Layout:
    """Which boxes become one, and which stand side by side.

    An operation and its result are one node. What an operation is given (parameters, constants) stands beside it, the
    first on its left and the second on its right, and its box says which gradient it receives. So the path of the data
    is a straight line, which the boxes of parameters above each operation would bend. A parameter that is used again
    appears again by its name alone: lines from all its uses would tangle the picture.
    """

    def __init__(self, picture: Picture, values: bool, grads: bool) -> None:
        self.picture, self.values, self.grads = picture, values, grads
        self.box = {box.id: box for box in picture.boxes}
        self.makers = {"v" + box.id[2:]: box for box in picture.boxes if box.kind == "op" and "v" + box.id[2:] in self.box}
        self.home = {op.id: result for result, op in self.makers.items()}
        self.boxes: dict[str | None, list[Box]] = {}
        for box in picture.boxes:
            if box.id not in self.home:
                self.boxes.setdefault(self.cluster_of(box), []).append(box)
        self.parts: dict[str | None, list[Cluster]] = {}
        for cluster in picture.clusters:
            self.parts.setdefault(cluster.parent, []).append(cluster)
        self.beside: dict[str, list[str]] = {}  # a result to what stands beside its operation
        self.again: dict[tuple[str, str], str] = {}  # a parameter and a result to the parameter's name beside it
        self.repeated: dict[str | None, list[tuple[str, Box]]] = {}  # a cluster to the parameters that appear in it by name
        self.place()
        self.rules: dict[str, list[str]] = {}  # what is given to the rules of its gradient
        for edge in picture.edges if grads else ():
            if edge.kind != "forward" and self.box[edge.head].kind in GIVEN and edge.text:
                self.rules.setdefault(edge.head, []).append(rule_words(edge))

    def cluster_of(self, box: Box) -> str | None:
        return self.makers[box.id].cluster if box.id in self.makers else box.cluster

    def place(self) -> None:
        """Put what is given beside the first operation that uses it, where both are in the same cluster."""
        placed: set[str] = set()
        for edge in self.picture.edges:
            box, result = self.box[edge.tail], self.home.get(edge.head, "")
            if edge.kind != "forward" or box.kind not in GIVEN or not result or box.id in self.beside.get(result, ()):
                continue
            if box.id in placed and box.kind == "parameter":
                if (box.id, result) not in self.again:
                    self.again[box.id, result] = name = f"{box.id}_{result}"
                    self.beside.setdefault(result, []).append(name)
                    self.repeated.setdefault(self.cluster_of(self.box[result]), []).append((name, box))
            elif box.id not in placed and box.kind != "input" and self.cluster_of(self.box[result]) == box.cluster:
                self.beside.setdefault(result, []).append(box.id)
            placed.add(box.id)

    def write(self, graph: Digraph) -> None:
        """Write the whole picture."""
        self.fill(graph, None)
        for edge in self.picture.edges:
            if edge.kind == "forward":
                self.join(graph, edge.tail, edge.head)
        if self.grads:  # against the direction of the layout, beside the forward edges; thin before any backward pass
            with graph.subgraph() as paths:
                width = "1.2" if self.picture.has_gradients else "0.7"
                paths.attr("edge", dir="back", style="dashed", color=GRADIENT, fontcolor=GRADIENT, penwidth=width)
                for edge in self.picture.edges:
                    if edge.kind != "forward":
                        words = "" if self.box[edge.head].kind in GIVEN else rule_words(edge)
                        looks = {"style": "dotted"} if edge.kind == "aside" else {}
                        self.join(paths, edge.head, edge.tail, f"<&nbsp;{words}&nbsp;>" if words else None, "back", **looks)

    def fill(self, part: Digraph, within: str | None) -> None:
        """Write the boxes of a cluster and the clusters in it; they nest no deeper than the calls that made them."""
        here = self.boxes.get(within, ())
        for box in here:
            op = self.makers.get(box.id)
            label = label_of(box, op, self.rules.get(box.id, []), self.values, self.grads)
            part.node(box.id, label, **LOOKS[box.kind], **tooltip_of(box, op))
        for name, box in self.repeated.get(within, ()):
            part.node(name, f"<{names_of(box, short=True)}>", **LOOKS["parameter"], **tooltip_of(box, None))
        for box in here:
            if box.id in self.beside:
                with part.subgraph() as row:
                    row.attr(rank="same")
                    for name in (box.id, *self.beside[box.id]):
                        row.node(name)
        for cluster in self.parts.get(within, ()):
            with part.subgraph(name=cluster.id) as inner:
                title = GAP.join(filter(None, (bold(escaped(cluster.path)), escaped(cluster.title))))
                inner.attr(label=f"<{title}>", tooltip=escaped_tooltip(cluster.path or cluster.title), **CLUSTER)
                self.fill(inner, cluster.id)

    def join(self, graph: Digraph, above: str, below: str, label: str | None = None, direction: str = "forward", **looks: str) -> None:
        """Write an edge."""
        above, below = self.home.get(above, above), self.home.get(below, below)
        if above == below:
            return
        above = self.again.get((above, below), above)
        row = self.beside.get(below, [])
        if above in row and row.index(above) % 2:  # on the right
            looks["dir"] = {"back": "forward", "forward": "back"}[direction]
            above, below = below, above
        graph.edge(above, below, label, **looks)


def rule_words(edge: Edge) -> str:
    """The equation of a gradient, and its rule."""
    return " ".join(filter(None, (bold(edge.tag), escaped(edge.text))))


def label_of(box: Box, op: Box | None, rules: list[str], values: bool, grads: bool) -> str:
    """What a box says, as a Graphviz HTML label: its operation and names, its numbers, and the rules of its gradient."""
    if box.kind == "op":
        return f"<{escaped(' '.join(filter(None, (box.name, box.detail))))}>"
    about = " ".join(filter(None, (str(box.shape) if box.shape is not None else "", box.dtype)))
    made = escaped(" ".join(filter(None, (op.name, op.detail)))) if op is not None else ""
    head = GAP.join(filter(None, (made, names_of(box), escaped(box.detail), small(about, FAINT if op is None else ON_BAR))))
    bar = f'<TD BGCOLOR="{BAR}" CELLPADDING="1"><FONT COLOR="#ffffff">&nbsp;{head}&nbsp;</FONT></TD>'
    cells = [bar if op is not None else f'<TD CELLPADDING="2">{head}</TD>'] if head else []
    if len(rules) > RULES_SHOWN:
        rules = [*rules[: RULES_SHOWN - 1], f"and {len(rules) - RULES_SHOWN + 1} more"]
    lines = [small(escaped(box.holds)), numbers_beside(box, values, grads), *(small(rule, ON_FILL) for rule in rules)]
    cells += [f"<TD>{line}</TD>" for line in lines if line]
    rows = "".join(f"<TR>{cell}</TR>" for cell in cells)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{rows}</TABLE>>' if rows else "< >"


def numbers_beside(box: Box, values: bool, grads: bool) -> str:
    """The numbers of a box beside its gradient."""
    shown = [number_block(box.value, INK)] if values and box.value is not None else []
    if grads and box.grad is not None:
        shown += [small("grad", ON_FILL), number_block(box.grad, ON_FILL)]
    cells = "".join(f"<TD>{cell}</TD>" for cell in shown if cell)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2"><TR>{cells}</TR></TABLE>' if cells else ""


def names_of(box: Box, short: bool = False) -> str:
    """The symbol of a box and its name; what the user named is bold."""
    symbol = f"<I>{bold(escaped(box.symbol))}</I>" if box.symbol else ""
    name = "" if short and symbol else escaped(box.name)
    return GAP.join(filter(None, (symbol, name and f"<I>{name}</I>" if box.derived else bold(name))))


def number_block(array: object, colour: str) -> str:
    """The numbers of a small array in rows, a summary of a large one; nothing for an array of another library."""
    table = table_of(array)
    if table is None:
        return small(GAP.join(f'<FONT COLOR="{FAINT}">{word}</FONT> {escaped(x)}' for word, x in in_short(array)), colour)
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = (GAP.join(escaped(x.rjust(width)).replace(" ", "&nbsp;") for x, width in zip(line, widths)) for line in table)
    return f'<FONT FACE="{NUMBERS}" POINT-SIZE="9.5" COLOR="{colour}">{"<BR/>".join(lines)}</FONT>'


def bold(words: str) -> str:
    return f"<B>{words}</B>" if words else ""


def small(words: str, colour: str = FAINT) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="{colour}">{words}</FONT>' if words else ""


def tooltip_of(box: Box, op: Box | None) -> dict[str, str]:
    """The line of code behind a box, and names that were shortened."""
    names = [box.name, *([op.name, op.detail] if op is not None else [])]
    said = [*(name for name in names if len(name) > LONGEST), str(box.line) if box.line is not None else ""]
    return {"tooltip": escaped_tooltip("\n".join(filter(None, said)))} if any(said) else {}


@functools.lru_cache(maxsize=4096)
def escaped(words: str, most: int = LONGEST) -> str:
    """A user's text inside a label: Graphviz reads it as HTML, and still replaces escapes such as \\N in it."""
    words = printable(words)
    if len(words) > most:
        words = words[: most - 1] + "…"
    return html.escape(words).replace("\\", "\\\\").replace("  ", "&nbsp; ").replace("\n", "<BR/>")


def escaped_tooltip(words: str) -> str:
    """A user's text inside a tooltip, where the graphviz package quotes all but backslashes."""
    import graphviz

    return graphviz.escape(printable(words))  # type: ignore[no-any-return]


def printable(words: str) -> str:
    """The text with control characters as their pictures, and lone surrogates replaced."""
    return words if words.isprintable() else words.translate(CONTROL_PICTURES).encode("utf-8", "replace").decode()

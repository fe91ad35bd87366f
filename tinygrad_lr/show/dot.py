"""`draw`: the computation graph as a picture, through Graphviz.

The graphviz package writes the DOT text. The layout is made by the ``dot`` on PATH or, where there is none,
by the one that pygraphviz carries. Colours are middle tones on no background, so that a drawing reads on a
light page and on a dark one.
"""

from __future__ import annotations

import functools
import html
import inspect
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.trees import leaves
from tinygrad_lr.nn.module import Module
from tinygrad_lr.show.observe import observe
from tinygrad_lr.show.picture import Box, Cluster, Edge, Picture, in_short, picture_of, reduced, table_of

FONT, NUMBERS = "Helvetica,Arial,sans-serif", "Menlo,Consolas,DejaVu Sans Mono,monospace"
GAP = "&nbsp;&nbsp;"
INK, FAINT = "#1f2933", "#5f6c7b"  # on the light fill of a box
LINE, GRADIENT = "#737f8c", "#d6366f"  # on the page itself, light or dark
ON_FILL = "#a3174f"  # the colour of gradients, inside a box

# fmt: off
LOOKS = {
    "op":        {"fillcolor": "#52606d", "color": "#52606d", "fontcolor": "#ffffff", "height": "0.3", "width": "0.3"},
    "value":     {},
    "parameter": {"fillcolor": "#e6f0fa", "color": "#4a86c5"},
    "input":     {"fillcolor": "#e8f5ec", "color": "#57a773"},
    "constant":  {"fillcolor": "#f1f3f5", "color": "#9aa5b1"},
    "output":    {"fillcolor": "#fff4d6", "color": "#d19f26", "penwidth": "1.6"},
    "module":    {"fillcolor": "#eceef7", "color": "#7b86c2", "penwidth": "1.6"},
    "more":      {"fillcolor": "#f1f3f5", "color": "#9aa5b1", "style": "rounded,filled,dashed"},
}
# fmt: on

DIRECTIONS = ("TB", "LR", "BT", "RL")
CLUSTER = {
    "style": "rounded,filled",
    "color": "#8793a0",
    "fillcolor": "#8793a014",
    "fontcolor": LINE,
    "fontsize": "10",
    "labeljust": "l",
    "margin": "14",
    "penwidth": "0.8",
}
PICTURES = {i: 0x2400 + i for i in range(32) if i != 10} | {127: 0x2421}
LONGEST = 60  # characters of a user's text that a drawing shows; a tooltip has all of it


def draw(
    target: Any,
    *inputs: Any,
    model: Module | None = None,
    depth: int | None = None,
    values: bool = True,
    grads: bool = True,
    direction: str = "TB",
    max_nodes: int | None = 300,
) -> Drawing:
    """Draw how a Tensor was computed, or what a model does with an input.

    Parameters
    ----------
    target : Tensor or Module
        A computed Tensor (or a list or dict of them), or a model to call on ``inputs``.
    *inputs : array_like
        What to call the model with.
    model : Module, optional
        For a Tensor: the model whose parameters are to be called by their paths. Modules become clusters
        where the Tensor was computed inside `observe`.
    depth : int, optional
        Show modules of this level as single boxes; 0 is the model itself, 1 its parts. All are open by default.
    values : bool
        Whether to write numbers into boxes: all of a small array, minimum, mean and maximum of a large one.
    grads : bool
        Whether to show the way of the gradients with the rules they follow, and the gradients there are.
    direction : {"TB", "LR", "BT", "RL"}
        Where the drawing runs to: T for top, L for left and so on.
    max_nodes : int or None
        How many boxes there may be. Beyond it modules are closed, then the middle is left out, and a line
        below the drawing says so.

    Returns
    -------
    Drawing
        Shows itself in a notebook; ``.source`` is its DOT text and ``.save("graph.svg")`` writes a file.

    Raises
    ------
    TypeError
        If the target is neither a Tensor nor a Module, or a Tensor comes with inputs.
    ValueError
        If an option is out of range.

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
        outputs, names = called(target, inputs)
        model = target
    elif inputs:
        raise TypeError(f"draw() calls a Module on inputs, but got a {type(target).__name__} first: draw(model, x) or draw(loss)")
    else:
        outputs, names = tensors_in(target, f"draw() takes a Tensor or a Module, got {type(target).__name__}"), {}
    return Drawing(reduced(picture_of(outputs, model, names), depth, max_nodes), values, grads, direction)


def called(model: Module, inputs: tuple[Any, ...]) -> tuple[list[Tensor], dict[str, Any]]:
    """What the model answers, observed, and its inputs by the names its `forward` has for them."""
    arrays = tuple(x if isinstance(x, Tensor) or hasattr(x, "__array_function__") or not is_numeric(x) else np.asarray(x) for x in inputs)
    try:
        names = {name: value for name, value in inspect.signature(model.forward).bind(*arrays).arguments.items() if not isinstance(value, tuple)}
    except TypeError as error:
        raise TypeError(f"draw() cannot call {type(model).__name__} on {len(inputs)} inputs: {error}") from None
    refusal = f"draw() got no Tensor from calling {type(model).__name__}"
    with observe():
        outputs = tensors_in(model(*arrays), refusal)
        if all(t.node is None or not t.requires_grad for t in outputs):  # nothing to learn: follow the inputs instead
            followed = tuple(Tensor(x, requires_grad=True) if is_floating(x) else x for x in arrays)
            names = {name: next((f for f, x in zip(followed, arrays) if x is value), value) for name, value in names.items()}
            for name, x in names.items():
                if isinstance(x, Tensor) and x.name is None:
                    x.name = name
            outputs = tensors_in(model(*followed), refusal)
    return outputs, names


def is_numeric(x: Any) -> bool:
    """Whether ``x`` is a number or nested lists of numbers."""
    return all(isinstance(leaf, bool | int | float) for leaf in leaves(x)) and not isinstance(x, dict)


def is_floating(x: Any) -> bool:
    return hasattr(x, "dtype") and np.issubdtype(x.dtype, np.floating) and not (isinstance(x, Tensor) and not x.is_leaf)


def tensors_in(tree: Any, refusal: str) -> list[Tensor]:
    """The Tensors that a nested structure holds."""
    found = [leaf for leaf in leaves(tree) if isinstance(leaf, Tensor)]
    if not found:
        raise TypeError(refusal)
    return found


class Drawing:
    """A picture of a computation graph. A notebook shows it as it is.

    Attributes
    ----------
    picture : Picture
        The boxes and edges that are drawn.
    source : str
        The DOT text; the same program gives the same text, byte for byte.
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
            If a picture needs a layout and there is nothing that makes one.
        """
        path = Path(path)
        form = path.suffix.lower().removeprefix(".")
        if form in ("gv", "dot"):
            path.write_text(self.source, encoding="utf-8", newline="\n")
        elif form in ("svg", "png", "pdf"):
            path.write_bytes(laid_out(self.source, form))
        else:
            raise ValueError(f"cannot save a drawing as {path.name!r}: the name must end in .svg, .png, .pdf or .gv")
        return path

    def svg(self) -> str:
        """The drawing as SVG text."""
        return laid_out(self.source, "svg").decode()

    def _repr_svg_(self) -> str | None:
        return self.svg() if engine() is not None else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        picture = self._repr_svg_()
        return {"text/plain": f"{self!r}\n{NO_ENGINE}"} if picture is None else {"image/svg+xml": picture, "text/plain": repr(self)}

    def __repr__(self) -> str:
        forward = sum(edge.kind == "forward" for edge in self.picture.edges)
        backward = f", {len(self.picture.edges) - forward} edges backward" if self.grads else ""
        return f"Drawing({len(self.picture.boxes)} boxes, {forward} edges forward{backward})"


# -- layout ------------------------------------------------------------------------------------------------

NO_ENGINE = (
    "a layout needs Graphviz: install the draw extra, which brings it along (pip install 'tinygrad_lr[draw]'), "
    "or Graphviz itself, so that its program dot is on PATH. Without, .source and .save('graph.gv') work."
)


def engine() -> Any:
    """What makes layouts: the path of ``dot``, else pygraphviz, else None."""
    program = shutil.which("dot")
    if program is not None:
        return program
    try:
        import pygraphviz
    except ImportError:
        return None
    return pygraphviz


def laid_out(source: str, form: str) -> bytes:
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
        return graph.draw(format=form, prog="dot")  # type: ignore[no-any-return]
    finally:
        graph.close()


# -- DOT text ----------------------------------------------------------------------------------------------


def dot_text(picture: Picture, values: bool, grads: bool, direction: str) -> str:
    """The whole picture in DOT."""
    import graphviz

    graph = graphviz.Digraph("tinygrad_lr")
    note = {"label": f"<{text(picture.note, 1000)}>", "labelloc": "b", "fontcolor": LINE} if picture.note else {}
    graph.attr("graph", rankdir=direction, bgcolor="transparent", fontname=FONT, fontsize="11", nodesep="0.3", ranksep="0.35", pad="0.2", **note)
    graph.attr("node", shape="box", style="rounded,filled", fillcolor="#ffffff", color="#9aa5b1", margin="0.09,0.05")
    graph.attr("node", fontname=FONT, fontsize="11", fontcolor=INK)
    graph.attr("edge", fontname=FONT, fontsize="10", color=LINE, fontcolor=LINE, arrowsize="0.6")
    boxes: dict[str | None, list[Box]] = {}
    for box in picture.boxes:
        boxes.setdefault(box.cluster, []).append(box)
    parts: dict[str | None, list[Cluster]] = {}
    for cluster in picture.clusters:
        parts.setdefault(cluster.parent, []).append(cluster)

    def fill(part: Any, within: str | None) -> None:
        """Write the boxes of a cluster and the clusters in it; they nest no deeper than the calls that made them."""
        for box in boxes.get(within, ()):
            part.node(box.id, label_of(box, values, grads), **LOOKS[box.kind], **tooltip_of(box))
        for cluster in parts.get(within, ()):
            with part.subgraph(name=cluster.id) as inner:
                inner.attr(label=f"<{cluster_title(cluster)}>", tooltip=plain(cluster.path or cluster.title), **CLUSTER)
                fill(inner, cluster.id)

    fill(graph, None)
    for edge in picture.edges:
        if edge.kind == "forward":
            graph.edge(edge.tail, edge.head)
    if grads:  # against the direction of the layout, beside the forward edges; thin while no gradient has passed
        with graph.subgraph() as ways:
            width = "1.2" if picture.has_gradients else "0.7"
            ways.attr("edge", dir="back", style="dashed", color=GRADIENT, fontcolor=GRADIENT, penwidth=width)
            for edge in picture.edges:
                if edge.kind != "forward":
                    ways.edge(edge.head, edge.tail, rule_label(edge), **({"style": "dotted"} if edge.kind == "aside" else {}))
    return graph.source  # type: ignore[no-any-return]


def rule_label(edge: Edge) -> str | None:
    """The equation and what it says here."""
    words = " ".join(filter(None, (bold(edge.tag), text(edge.text))))
    return f"<&nbsp;{words}&nbsp;>" if words else None


def label_of(box: Box, values: bool, grads: bool) -> str:
    """What a box says, as a Graphviz HTML label."""
    if box.kind == "op":
        detail = "<BR/>" + small(text(box.detail), "#d9e2ec") if box.detail else ""
        return f"<{text(box.name)}{detail}>"
    about = ([str(box.shape)] if box.shape is not None else []) + ([text(box.dtype)] if box.dtype else [])
    head = GAP.join(filter(None, (bold(text(box.name)), f"<I>{bold(text(box.symbol))}</I>" if box.symbol else "", text(box.detail), small(" ".join(about)))))
    numbers = [numbers_of(box.value, INK)] if values and box.value is not None else []
    if grads and box.grad is not None:
        numbers += [small("grad", ON_FILL), numbers_of(box.grad, ON_FILL)]
    cells = "".join(f"<TD>{cell}</TD>" for cell in numbers if cell)
    lines = [head, small(text(box.holds)), f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3"><TR>{cells}</TR></TABLE>' if cells else ""]
    rows = "".join(f"<TR><TD>{line}</TD></TR>" for line in lines if line)
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{rows}</TABLE>>' if rows else "< >"


def numbers_of(array: Any, colour: str) -> str:
    """A small array as a tidy block, a large one in short, another library's not at all."""
    table = table_of(array)
    if table is None:
        return small(GAP.join(f'<FONT COLOR="{FAINT}">{word}</FONT> {text(x)}' for word, x in in_short(array)), colour)
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = ("&nbsp;&nbsp;".join(text(x.rjust(width)).replace(" ", "&nbsp;") for x, width in zip(line, widths)) for line in table)
    return f'<FONT FACE="{NUMBERS}" POINT-SIZE="10" COLOR="{colour}">{"<BR/>".join(lines)}</FONT>'


def bold(words: str) -> str:
    return f"<B>{words}</B>" if words else ""


def small(words: str, colour: str = FAINT) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="{colour}">{words}</FONT>' if words else ""


def cluster_title(cluster: Cluster) -> str:
    """The path above the repr: narrow, so that edges pass beside it."""
    lines = [bold(text(cluster.path)), text(cluster.title)]
    return "".join(f'{line}<BR ALIGN="LEFT"/>' for line in lines if line)


def tooltip_of(box: Box) -> dict[str, str]:
    """The line of code behind a box, and its name where that was cut."""
    said = [box.name if len(box.name) > LONGEST else "", str(box.line) if box.line is not None else ""]
    return {"tooltip": plain("\n".join(filter(None, said)))} if any(said) else {}


@functools.lru_cache(maxsize=4096)
def text(words: str, most: int = LONGEST) -> str:
    """A user's text inside a label: Graphviz reads it as HTML, and still replaces \\N and its like in it."""
    words = printable(words)
    if len(words) > most:
        words = words[: most - 1] + "…"
    return html.escape(words).replace("\\", "\\\\").replace("  ", "&nbsp; ").replace("\n", "<BR/>")


def plain(words: str) -> str:
    """A user's text inside a tooltip, where the graphviz package quotes all but backslashes."""
    import graphviz

    return graphviz.escape(printable(words))  # type: ignore[no-any-return]


def printable(words: str) -> str:
    """The text with control characters as their pictures, and halves of characters replaced."""
    return words if words.isprintable() else words.translate(PICTURES).encode("utf-8", "replace").decode()

"""`explore`: a page to walk through one forward and one backward pass of a network, in a single HTML file.

Python runs the network and writes everything that the page shows: nodes, numbers, and for each step a sentence, a
formula and one entry worked out. The page (the files in ``page/``) only displays it. All texts are passed as JSON and
inserted into the document as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.check.backprop import Comparison, backprop_report
from tinygrad_lr.check.equations import covers, stages_of
from tinygrad_lr.check.parts import gradients_at
from tinygrad_lr.nn.module import Module
from tinygrad_lr.show.build import picture_of
from tinygrad_lr.show.cells import Data, heat_map, matrix_of
from tinygrad_lr.show.epochs import History, training_of
from tinygrad_lr.show.formulas import excerpt
from tinygrad_lr.show.observe import observe
from tinygrad_lr.show.picture import Box, in_short, number, table_of
from tinygrad_lr.show.walk import Walk

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

if sys.platform == "win32":
    from pathlib import WindowsPath as OwnPath
else:
    from pathlib import PosixPath as OwnPath

SCRIPTS = ("dom.js", "layout.js", "graph.js", "cards.js", "camera.js", "panel.js", "steps.js", "plots.js", "training.js", "page.js")
TABLE_ROWS, TABLE_COLUMNS = 20, 10  # a larger array is shown as a heat map and a histogram
LAYERS = 50  # beyond that the equations are not computed: they take a backward pass for each layer
BARS = 24
FRAME = 760  # pixels high in a notebook


def explore(
    model: Module,
    loss_fn: Callable[..., Tensor],
    x: Tensor | ArrayLike,
    y: Tensor | ArrayLike,
    path: str | Path = "explore.html",
    history: History | None = None,
    lr: float = 0.1,
) -> Page:
    """Write a page to walk through one forward and one backward pass, step by step, with all numbers.

    The page is one file that needs no internet connection. It shows the graph with its modules, which fold; the arrow keys
    step; a click on a node shows its numbers, its gradient and the line of code that made it.

    Parameters
    ----------
    model : Module
        The network. Neither its parameters nor their gradients are changed.
    loss_fn : callable
        Called as ``loss_fn(model(x), y)``; must return a single number.
    x, y : array_like
        The batch to follow.
    path : str or Path
        Where to write the page.
    history : sequence of (loss, state) or (epoch, loss, state), optional
        The course of training: ``history.append((loss.item(), model.state_dict()))`` in each epoch numbers them
        0, 1, 2; with an epoch in front, ``(epoch, loss, state)``, each has the number it is given. Where a state
        for each would be too much, ``model.state_dict() if epoch % 25 == 0 else None`` takes a snapshot now and
        then. With it the page has a slider through the epochs: the loss, the parameters, and for inputs of one or
        two features the output of the network over their whole range, in evaluation mode. A page holds about 100
        snapshots, fewer of a large network; between two it shows the earlier one, and says so.
    lr : float
        The learning rate of the step of gradient descent that the last step of the page shows.

    Returns
    -------
    Page
        The path of the page; a notebook shows the page itself.

    Raises
    ------
    ValueError
        If the loss is not a single number, no gradient flows from it, or the history does not fit the model:
        its states, the form of its entries, or epochs that do not increase.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from tinygrad_lr import nn
    >>> from tinygrad_lr.show.explorer import explore
    >>> model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = explore(model, nn.BCELoss(), np.eye(2), np.array([[0.0], [1.0]]), f"{folder}/network.html")
    ...     print(page.name, page.stat().st_size < 200_000)
    network.html True
    """
    path = Page(path)
    path.write_text(page_of(page_data(model, loss_fn, x, y, history, lr)), encoding="utf-8", newline="\n")
    return path


def page_data(model: Module, loss_fn: Callable[..., Tensor], x: Array, y: Array, history: History | None = None, lr: float = 0.1) -> Data:
    """Everything the page shows, ready for JSON."""
    walk = walk_of(model, loss_fn, x, y, lr)
    steps = walk.steps()
    checks = {symbol: f"{row.difference:.1e}" for symbol, row in walk.equations.items()}
    return {
        "title": f"{type(model).__name__}, one forward and one backward pass",
        "loss": number(walk.loss.value.item()),
        "nodes": [node_data(box, walk, checks) for box in walk.values],
        "edges": walk.edges(),
        "clusters": [{"id": cluster.id, "path": cluster.path, "title": cluster.title, "parent": cluster.parent} for cluster in walk.picture.clusters],
        "steps": steps,
        "training": training_of(model, loss_fn, x, y, history) if history else None,
        "note": walk.picture.note,
    }


def walk_of(model: Module, loss_fn: Callable[..., Tensor], x: Array, y: Array, lr: float) -> Walk:
    """Run the network forward and back."""
    x, y = (a if hasattr(a, "__array_function__") else np.asarray(a) for a in (x, y))
    with observe():
        loss = loss_fn(model(x), y)
    if not isinstance(loss, Tensor) or loss.size != 1:
        raise ValueError(f"explore() needs a loss that is a single number, but {loss_fn!r} returned {getattr(loss, 'shape', type(loss).__name__)}")
    if loss.node is None or not loss.requires_grad:
        raise ValueError("explore() follows gradients, but nothing in this model requires any: no parameter was made with requires_grad=True")
    grads = {id(node): g for node, g in gradients_at(loss.node).items()}
    return Walk(picture_of([loss], model, {"X": x, "y": y}), grads, equations_of(model, loss_fn, x, y), lr)


def node_data(box: Box, walk: Walk, checks: dict[str, str]) -> Data:
    """One node: a value together with the operation that made it."""
    op = walk.op_of(box)
    return {
        "id": box.id,
        "kind": box.kind,
        "label": box.label,
        "name": box.name,
        "op": op.name if op else "",
        "settings": op.detail if op else "",
        "formula": walk.forward_formula(box) if op else "",
        "cluster": box.cluster,
        "shape": None if box.shape is None else list(box.shape),
        "dtype": box.dtype,
        "line": None if box.line is None else {"file": Path(box.line.file).name, "number": box.line.number, "text": box.line.text},
        "value": numbers_of(box.value),
        "grad": numbers_of(walk.grads.get(id(box.node))),
        "gradientName": walk.gradient_label(box),
        "equation": walk.whole.get(box.id, ""),
        "check": checks.get(box.symbol),
    }


def equations_of(model: Module, loss_fn: Callable[..., Tensor], x: Array, y: Array) -> dict[str, Comparison]:
    """By symbol, its gradient in the equations BP1 to BP4, for networks that these cover."""
    stages = stages_of(model) if isinstance(model, Module) else []
    covered = all(stage.other is None and stage.dense is not None for stage in stages)
    distinct = len({id(stage.dense) for stage in stages}) == len(stages)
    if not (covered and distinct and covers(loss_fn) and x.ndim == 2 and len(stages) <= LAYERS):
        return {}
    symbols = {"delta": "z", "dL/db": "b", "dL/dw": "w"}
    report = backprop_report(model, loss_fn, x.numpy() if isinstance(x, Tensor) else x, y)
    return {f"{symbols[row.name]}{n}": row for n, layer in enumerate(report.layers, start=1) for row in layer.rows if row.name in symbols}


# -- numbers -----------------------------------------------------------------------------------------------


def numbers_of(array: Array) -> Data | None:
    """An array for the page: its numbers if they are few, else the data of a heat map and a histogram."""
    if array is None:
        return None
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or not array.size:
        return None
    matrix = matrix_of(array)
    table = table_of(matrix, TABLE_ROWS, TABLE_COLUMNS)
    if table is not None:
        return {"table": table}
    return {"short": in_short(array), "map": heat_map(matrix), "histogram": histogram(array), "excerpt": excerpt(array)}


def histogram(array: Array) -> Data:
    """The number of finite elements in each of a few equal intervals."""
    finite = array[np.isfinite(array)].astype(float)
    if not finite.size:
        return {"counts": [], "low": "", "high": ""}
    counts, edges = np.histogram(finite, BARS)
    return {"counts": counts.tolist(), "low": number(float(edges[0])), "high": number(float(edges[-1]))}


# -- in a notebook -----------------------------------------------------------------------------------------


class Page(OwnPath):
    """The path of a page, which a notebook shows in a frame: its script runs, but cannot reach the notebook or the internet."""

    __slots__ = ()

    def _repr_html_(self) -> str | None:
        page = self.read_bytes() if self.is_file() else b""  # self.parent is a Page as well
        if not page.startswith(b"<!DOCTYPE html>"):
            return None
        settings = f'sandbox="allow-scripts" title="{html.escape(self.stem)}" style="width: 100%; height: {FRAME}px; border: 0"'
        return f'<iframe srcdoc="{html.escape(page.decode())}" {settings}></iframe>'


# -- the file ----------------------------------------------------------------------------------------------


def page_of(data: Data) -> str:
    """The template with style, script and data filled in; the browser may run that script, and load nothing."""
    page = files(__package__) / "page"
    script = "(() => {\n" + "\n".join((page / name).read_text(encoding="utf-8") for name in SCRIPTS) + "})();\n"
    parts = {
        "title": html.escape(data["title"]),
        "style": (page / "page.css").read_text(encoding="utf-8"),
        "script": script,
        "script-hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "data": script_safe(json.dumps(data, separators=(",", ":"), allow_nan=False)),
    }
    template = (page / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda match: parts[match[1]], template)


def script_safe(text: str) -> str:
    """JSON for a script element: without ``<`` nothing in it ends the element or opens a comment.

    Examples
    --------
    >>> script_safe(json.dumps("</script> \u2028"))
    '"\\\\u003c/script> \\\\u2028"'
    """
    return text.replace("<", "\\u003c")

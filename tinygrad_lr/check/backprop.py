"""The four equations of backpropagation beside autodiff, layer by layer.

The results of the equations are computed independently, in plain NumPy, from the network's weights alone. Rows of a
batch are samples, so a delta is a matrix here, and BP3 and BP4 sum over its rows.
"""

from __future__ import annotations

import copy
import html
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lr.autodiff.derivatives import as_tensor, grad, gradients
from tinygrad_lr.autodiff.record import recording
from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.check.equations import ByHand, Stage, brief, by_hand, covers, out, stages_of
from tinygrad_lr.check.gradcheck import gradcheck
from tinygrad_lr.nn.functional import substitute
from tinygrad_lr.nn.layers import as_rows
from tinygrad_lr.nn.module import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

ROUNDING = 1e3  # a quantity may be off by so many eps of the numbers that it was computed from; about 10 occur
ROWS, COLUMNS = 8, 4  # of an array that are shown


# -- the contents of the report ------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """One quantity, computed by autodiff and by its equation."""

    name: str  # such as "z", "a", "delta", "dL/db" or "dL/dw"
    equation: str  # in words, with its BP number where it has one
    autodiff: Array
    by_hand: Array
    allowed: float  # by how much the two may differ because of rounding

    @property
    def difference(self) -> float:
        """The largest absolute difference; infinite if the shapes differ, or just one of the two is nan or infinite."""
        return float(np.max(differences(self.autodiff, self.by_hand), initial=0.0))

    @property
    def agrees(self) -> bool:
        """Whether the two differ by no more than rounding."""
        return self.difference <= self.allowed

    @property
    def shape(self) -> str:
        """The shape of the arrays as text; "" for single numbers."""
        return str(self.autodiff.shape) if self.autodiff.ndim else ""

    @property
    def verdict(self) -> str:
        """By how much the two differ, and where if it is more than by rounding."""
        if self.autodiff.shape != self.by_hand.shape:
            return f"DIFFERS: shape {self.autodiff.shape}, not {self.by_hand.shape}"
        if self.agrees:
            return f"differs by {self.difference:.1e}" if self.difference else "equal"
        worst = np.unravel_index(np.argmax(differences(self.autodiff, self.by_hand)), self.autodiff.shape)
        return f"DIFFERS by {self.difference:.1e}" + (f" at [{', '.join(map(str, worst))}]" if worst else "")


@dataclass
class LayerReport:
    """What one layer does in one forward and one backward pass. ``layer["delta"]`` is the row of that name."""

    title: str  # its number in the equations, and its modules, each with its path in the model
    rows: list[Comparison]  # in the order of computing
    notes: list[str]
    covered: bool = True  # by the equations; if not, its gradients are checked by differences

    def __getitem__(self, name: str) -> Comparison:
        """The quantity of that name: report.layers[0]["delta"]."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"{self.title} has {', '.join(row.name for row in self.rows)}, not {name!r}")

    @property
    def source(self) -> str:
        """What the results of autodiff are compared with."""
        return "equations" if self.covered else "differences"


@dataclass
class BackpropReport:
    """One forward and one backward pass, by autodiff and by the four equations.

    Attributes
    ----------
    loss : float
        The loss.
    layers : list of LayerReport
        One for each layer with its activation, first to last; then one for a loss that the equations do not cover.
    sizes : str
        What m and n stand for.
    """

    loss: float
    layers: list[LayerReport]
    sizes: str

    @property
    def largest_difference(self) -> float:
        """The largest absolute difference between autodiff and the equations."""
        return max((row.difference for layer in self.layers for row in layer.rows), default=0.0)

    @property
    def uncovered(self) -> list[str]:
        """The layers that the equations do not cover."""
        return [layer.title for layer in self.layers if not layer.covered]

    @property
    def disagreements(self) -> list[tuple[LayerReport, Comparison]]:
        """What differs by more than rounding, in the order of computing: forward through the layers, then back from the loss.

        So a wrong rule comes first, before all that is computed from its gradient.
        """
        forward = [(layer, row) for layer in self.layers for row in layer.rows if row.name in ("z", "a")]
        backward = [(layer, row) for layer in reversed(self.layers) for row in layer.rows if row.name not in ("z", "a")]
        return [(layer, row) for layer, row in forward + backward if not row.agrees]

    def summary(self) -> list[str]:
        """The result in a few sentences."""
        sentences = [f"loss {self.loss:.8g}; rows are samples, {self.sizes}"]
        if not self.disagreements:
            sentences.append(f"autodiff and the equations agree: they differ nowhere by more than {self.largest_difference:.1e}")
        else:
            layer, first = self.disagreements[0]
            sentences += [f"autodiff and the equations DISAGREE, first in {layer.title}:", f"  {first.equation}  {first.verdict}"]
            layer, worst = max(self.disagreements, key=lambda found: found[1].difference)
            sentences += [f"and most in {layer.title}:", f"  {worst.equation}  {worst.verdict}"] if worst is not first else []
        return sentences + [f"not covered by the equations, so checked by differences: {title}" for title in self.uncovered]

    def __str__(self) -> str:
        lines = self.summary()
        for layer in self.layers:
            width = max((len(line) for row in layer.rows for line in numbers(row.autodiff)), default=0)
            lines += ["", layer.title, "-" * len(layer.title), *layer.notes, f"  {'autodiff':>{width}} | {layer.source}"]
            for row in layer.rows:
                sides = itertools.zip_longest(numbers(row.autodiff), numbers(row.by_hand), fillvalue="")
                lines += [f"{row.equation:<56} {row.shape:<9} {row.verdict}", *(f"  {left:>{width}} | {right}" for left, right in sides)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        def cell(*lines: str, style: str = "text-align: left") -> str:
            return f'<td style="{style}">{"<br>".join(map(html.escape, lines))}</td>'

        side = "border-left: 1px solid rgba(128, 128, 128, 0.5); white-space: pre; font-family: monospace"  # only translucent colours
        parts = ["<p>" + "<br>".join(map(html.escape, self.summary())) + "</p>", "<table>"]
        for layer in self.layers:
            parts.append(f'<tr><th colspan="4" style="text-align: left; padding-top: 2em">{html.escape(layer.title)}</th></tr>')
            parts += [f'<tr><td colspan="4" style="text-align: left">{html.escape(note)}</td></tr>' for note in layer.notes]
            parts.append(f"<tr><th></th><th>autodiff</th><th>{layer.source}</th><th></th></tr>")
            for row in layer.rows:
                sides = "".join(cell(*numbers(array), style=side) for array in (row.autodiff, row.by_hand))
                marked = "" if row.agrees else ' style="background: rgba(255, 60, 60, 0.3)"'
                parts.append(f"<tr{marked}>{cell(row.equation, row.shape)}{sides}{cell(row.verdict)}</tr>")
        return "\n".join([*parts, "</table>"])


def differences(a: Array, b: Array) -> Array:
    """|a - b|, element by element."""
    if a.shape != b.shape:
        return np.array(np.inf)
    with np.errstate(invalid="ignore"):
        apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return np.nan_to_num(apart, nan=np.inf, posinf=np.inf)


def numbers(array: Array) -> list[str]:
    """The rows of an array as text of equal width; the middle of a large one is left out."""
    matrix = (as_rows(array) if array.ndim else array.reshape(1, 1)) + 0.0  # so that -0 is 0
    m, n = matrix.shape
    rows = [*range(m)] if m <= ROWS else [*range(ROWS - 3), None, m - 2, m - 1]
    columns = [*range(n)] if n <= COLUMNS else [*range(COLUMNS - 2), None, n - 1]
    return [" ".join("...".rjust(11) if i is None or j is None else f"{matrix[i, j]:11.5g}" for j in columns) for i in rows]


# -- the report ----------------------------------------------------------------------------------------


def backprop_report(model: Module, loss_fn: Callable[..., Tensor], x: Tensor | ArrayLike, y: Tensor | ArrayLike) -> BackpropReport:
    """Run one forward and one backward pass, by autodiff and by the equations BP1 to BP4.

    The model is copied first, so nothing in it changes.

    Parameters
    ----------
    model : Module
        A `Sequential` (which may hold others) of Dense and activation layers, or a single layer. The gradients of
        other kinds of layers are checked by differences; before such layers the equations go on with the dL/da of autodiff.
    loss_fn : Module or callable
        A loss of (prediction, target) that returns one number. If it is a described `nn.Loss`, its dL/da is written out;
        others are treated like layers that the equations do not cover.
    x, y : array_like
        The inputs, of shape (samples, features), and the targets.

    Returns
    -------
    BackpropReport
        Prints as text, displays as a table in notebooks, and holds all numbers in ``layers``.

    Raises
    ------
    ValueError
        If ``x`` is not a matrix with at least one row, the loss is not a single number, or the model has no layers.

    Notes
    -----
    For rows of samples, with w of shape (n_out, n_in), and L the last layer (Nielsen, *Neural Networks and
    Deep Learning*, 2015, chapter 2):

    - BP1  delta^L = dL/da^L * s'(z^L)
    - BP2  delta^l = (delta^(l+1) w^(l+1)) * s'(z^l)
    - BP3  dL/db^l = sum of the rows of delta^l
    - BP4  dL/dw^l = (delta^l)^T a^(l-1)

    A parameter that several layers share is shown with the share of each, and with their sum.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> model = nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())
    >>> report = tg.backprop_report(model, nn.BCELoss(), np.array([[2.0], [3.0]]), np.array([[0.0], [1.0]]))
    >>> print(report.layers[0]["delta"].equation)
    BP1: delta1 = dL/da1 * s'(z1) = (a1 - y)/m
    >>> report.largest_difference < 1e-12
    True
    """
    x, y = (given.data if isinstance(given, Tensor) else given for given in (x, y))
    x = np.asarray(x)
    x = x if np.issubdtype(x.dtype, np.floating) else x.astype(float)
    if x.ndim != 2 or not len(x):
        hint = "; a single feature is a column x.reshape(-1, 1), a single sample a row x.reshape(1, -1)" if x.ndim == 1 else ""
        raise ValueError(f"backprop_report() needs a batch x of shape (samples, features), got shape {x.shape}{hint}")
    stages = stages_of(model)
    if not stages:
        raise ValueError(f"backprop_report() needs a model with layers, got {model!r}")
    with recording():
        return Passes(stages, loss_fn, x, y).report()


class Passes:
    """A forward and a backward pass, by autodiff and by hand."""

    def __init__(self, given: list[Stage], loss_fn: Callable[..., Tensor], x: Array, y: Array) -> None:
        self.given, self.loss_fn, self.y = given, loss_fn, y
        self.stages = [copy.deepcopy(stage) for stage in given]  # one by one, so that each use of a shared parameter gets a copy of its own
        self.passed = copy.deepcopy(self.stages)
        self.entered, self.zs, self.loss = self.forward(self.passed, Tensor(x, requires_grad=True))
        self.eps = max(float(np.finfo(a.dtype).eps) for a in self.entered)

    def report(self) -> BackpropReport:
        """All layers, and the loss if the equations do not cover it."""
        arrays = [a.numpy() for a in self.entered]
        hands = by_hand(self.stages, arrays, self.loss_fn, np.asarray(self.y), lambda n: grad(self.loss_from(n))(arrays[n], {}))
        layers = [self.uncovered(n) if stage.other else self.covered(n, hand) for n, (stage, hand) in enumerate(zip(self.stages, hands), start=1)]
        if not covers(self.loss_fn):
            layers.append(LayerReport(f"loss: {brief(self.loss_fn)}", *self.checked(len(layers)), covered=False))
        self.add_sums(layers)
        m, targets = len(arrays[0]), np.size(self.y)
        return BackpropReport(self.loss.item(), layers, f"m = {m}" + (f", n = {targets // m} targets of each" if targets > m else ""))

    def covered(self, n: int, hand: ByHand) -> LayerReport:
        """Stage n: its quantities from autodiff beside those from the equations."""
        stage, learned = self.stages[n - 1], self.passed[n - 1].parameters()
        words = entering = self.name(n - 1)
        size = np.abs(hand.z)
        if stage.dense:
            words += f" {stage.w}^T" + (f" + {stage.b}" if stage.b else "")
            size = size + np.abs(hand.entered) @ np.abs(stage.dense.weight.numpy()).T
        rows = [self.compared("z", f"z{n} = {words}", self.zs[n - 1].numpy(), hand.z, size)]
        if stage.activation:
            rows.append(self.compared("a", f"a{n} = s(z{n})", self.entered[n].numpy(), hand.a, np.abs(hand.a)))
        rows.append(self.compared("delta", hand.delta.words, slope(self.loss, self.zs[n - 1]), hand.delta.value, hand.delta.size))
        delta, size, a = as_rows(hand.delta.value), as_rows(hand.delta.size), as_rows(hand.entered)
        if "bias" in learned:
            words = f"BP3: dL/d{stage.b} {self.sign(n, 'bias')} sum of the rows of delta{n}"
            rows.append(self.compared("dL/db", words, slope(self.loss, learned["bias"]), delta.sum(axis=0), size.sum(axis=0)))
        if "weight" in learned:
            words, last = f"BP4: dL/d{stage.w} {self.sign(n, 'weight')} delta{n}^T {entering}", hand.delta.words.rpartition(" = ")[2]
            if delta.shape[1] == len(self.stages) == 1 and "s'" not in last:
                words += f" = (X^T {last})^T"
            rows.append(self.compared("dL/dw", words, slope(self.loss, learned["weight"]), delta.T @ a, size.T @ np.abs(a)))
        return LayerReport(f"layer {n}: {stage.title}", rows, self.notes(n))

    def compared(self, name: str, words: str, autodiff: Array, by_hand: Array, size: Array) -> Comparison:
        """Both results, computed from numbers as large as ``size``."""
        allowed = ROUNDING * self.eps * float(np.max(size, initial=0.0, where=np.isfinite(size)))
        return Comparison(name, words, autodiff, by_hand, allowed)

    def uncovered(self, n: int) -> LayerReport:
        """Stage n of a kind that the equations do not cover."""
        again = self.forward(copy.deepcopy(self.stages), self.entered[0])[0][n]
        repeated = Comparison("a", f"a{n}, computed twice", self.entered[n].numpy(), again.numpy(), allowed=0.0)
        rows, notes = self.checked(n - 1)
        return LayerReport(f"layer {n}: {self.stages[n - 1].title}", [repeated, *rows], self.notes(n) + notes, covered=False)

    def checked(self, k: int) -> tuple[list[Comparison], list[str]]:
        """The gradients of the stage after stage k, or of the loss after the last, checked by differences; and the notes of the check."""
        found = self.stages[k].parameters() if k < len(self.stages) else {}
        values = {name: parameter.numpy() for name, parameter in found.items()}
        report = gradcheck(self.loss_from(k), self.entered[k].numpy(), values, order=1, raise_error=False)

        def named(text: str) -> str:
            return self.name(k) + text[1:] if text[:2] in ("a", "a[", "a:") else text.removeprefix("parameters.")

        rows = []
        for row in report.rows:
            words = f"dL/d{named(row.element)}: {row.verdict}  {row.note}".rstrip()
            allowed = 0.0 if row.fails else np.inf
            rows.append(Comparison(f"dL/d{named(row.path)}", words, np.array(row.analytic), np.array(row.numeric), allowed))
        return rows, ["all elements are checked by differences; shown are the wrong ones, or the largest", *map(named, report.notes)]

    # -- by autodiff -----------------------------------------------------------------------------------

    def forward(self, stages: list[Stage], a: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """The input and the output of each stage, their zs, and the loss."""
        passed, zs = [a], []
        for stage in stages:
            zs.append(as_tensor(stage.before(passed[-1])))
            passed.append(as_tensor(stage.behind(zs[-1])))
        loss = as_tensor(self.loss_fn(passed[-1], self.y))
        if loss.size != 1:
            raise ValueError(f'backprop_report() needs a loss that is a single number (reduction "mean" or "sum"), got shape {loss.shape}')
        return passed, zs, loss

    def loss_from(self, k: int) -> Callable[[Array, dict[str, Array]], Tensor]:
        """The loss as a function of the output of stage k and of the parameters of the stage after it."""

        def loss_of(a: Array, parameters: dict[str, Array]) -> Tensor:
            stages = copy.deepcopy(self.stages[k:])  # new copies each time, so that random layers draw the same numbers
            if parameters and stages[0].other:
                stages[0].other = substitute(stages[0].other, parameters)
            return self.forward(stages, as_tensor(a))[2]

        return loss_of

    # -- names and parameters --------------------------------------------------------------------------

    def name(self, n: int) -> str:
        """The name of the output of stage n."""
        return out(self.stages[n - 1], n) if n else "X"

    def notes(self, n: int) -> list[str]:
        """Remarks on the parameters of stage n."""
        found = [f"{name} is frozen: autodiff computes no gradient" for name in self.given[n - 1].parameters(learning=False)]
        for name, parameter in self.given[n - 1].parameters().items():
            others = [str(k) for k in self.uses(parameter) if k != n]
            found += [f"{name} is shared with layer {', '.join(others)}: here is the share of this use"] if others else []
        return found

    def sign(self, n: int, name: str) -> str:
        """What stands between a gradient and the contribution of stage n: += if other stages share the parameter."""
        return "=" if len(self.uses(self.given[n - 1].parameters()[name])) == 1 else "+="

    def uses(self, parameter: Tensor) -> list[int]:
        """The numbers of the stages that hold a parameter."""
        return [n for n, stage in enumerate(self.given, start=1) if any(p is parameter for p in stage.parameters().values())]

    def add_sums(self, layers: list[LayerReport]) -> None:
        """Add the whole gradient of a shared parameter, the sum of all shares, to the first layer that holds it."""
        tied = copy.deepcopy(self.given)
        loss = self.forward(tied, self.entered[0])[2]
        for n, stage in enumerate(self.given, start=1):
            for name, quantity in (("weight", "dL/dw"), ("bias", "dL/db")):
                parameter = stage.parameters().get(name)
                uses = self.uses(parameter) if parameter is not None else []
                if len(uses) > 1 and n == uses[0] and all(self.given[k - 1].dense for k in uses):
                    shares = [layers[k - 1][quantity] for k in uses]
                    words = f"sum of {quantity} of layers {', '.join(map(str, uses))}"
                    whole, total = slope(loss, tied[n - 1].parameters()[name]), np.sum([share.by_hand for share in shares], axis=0)
                    layers[n - 1].rows.append(Comparison(f"sum of {quantity}", words, whole, total, sum(share.allowed for share in shares)))


def slope(loss: Tensor, t: Tensor) -> Array:
    """dL/dt; 0 if the loss does not depend on t."""
    with np.errstate(over="ignore"):  # y/a, which is not needed, may overflow float32
        return gradients(loss, t)[0].numpy() if t.requires_grad else np.zeros_like(t.numpy())

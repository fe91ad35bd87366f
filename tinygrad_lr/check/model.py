"""Gradient checks of whole models, and of everything in this library."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import log_sigmoid, relu, sigmoid, softplus
from tinygrad_lr.autodiff.rules.network import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, linear, squared_error
from tinygrad_lr.autodiff.rules.reductions import log_softmax, softmax
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Function, load_all, public_name
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.check.gradcheck.check import gradcheck
from tinygrad_lr.check.gradcheck.function import CheckedFunction
from tinygrad_lr.check.gradcheck.orders import Options, report_on
from tinygrad_lr.check.gradcheck.report import GradientError, Report
from tinygrad_lr.nn.functional import substitute
from tinygrad_lr.nn.layers import Dense, ReLU, Sequential, Sigmoid, Tanh
from tinygrad_lr.nn.losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from tinygrad_lr.nn.module import Module

LOSSES = (bce, bce_of_sigmoid, bce_with_logits, cross_entropy, squared_error)
ACTIVATIONS = (sigmoid, np.tanh, relu, softplus, log_sigmoid, softmax, log_softmax)


def gradcheck_model(
    model: Module,
    loss_fn: Any,
    x: Any,
    y: Any,
    *,
    order: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
    rng: np.random.Generator | int | None = None,
    raise_error: bool = True,
    mode: str = "fast",
) -> Report:
    """Check the gradient of a loss by every parameter of a model and by its input.

    Parameters
    ----------
    model : Module
        Checked in the mode it is in. Its random state and its buffers (whatever arrays its modules hold besides
        parameters) stand still: every evaluation calls a copy of it, which draws the same dropout mask. float32 models are differenced in float64.
    loss_fn : callable
        ``loss_fn(model(x), y)`` returns the loss.
    x, y : array_like
        A batch. The input is checked as well if it is floating.
    order, rtol, atol, rng, raise_error, mode
        As for `tinygrad_lr.gradcheck`.

    Returns
    -------
    Report
        One row per parameter and order (several where elements are wrong), with the function the parameter
        goes into, or the one whose rule is at fault, and the equation of backpropagation (BP1 to BP4) that
        gives such a gradient.

    Raises
    ------
    GradientError
        If a gradient is wrong, or cannot be checked.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    >>> x, y = np.array([[0.5, -1.0], [2.0, 0.3]]), np.array([[0.0], [1.0]])
    >>> report = tg.gradcheck_model(model, nn.BCELoss(), x, y)
    >>> report.ok, [f"{row.path} {row.op} {row.equation}" for row in report.rows[:3]]
    (True, ['0.weight linear BP4', '0.bias linear BP3', '2.weight linear BP4'])
    """
    __tracebackhide__ = True  # pytest shows the caller's line and the table
    named = dict(model.named_parameters())
    x = x if isinstance(x, Tensor) else np.asarray(x)
    moves = np.issubdtype(x.dtype, np.floating)

    def loss(*arrays: Any) -> Any:
        return loss_fn(substitute(model, dict(zip(named, arrays)), still=True)(arrays[-1] if moves else x), y)

    inputs = tuple(p.data for p in named.values()) + ((x,) if moves else ())
    options = Options.of(rtol, atol, rng, mode, order)._replace(equation=equation)
    report = report_on(CheckedFunction(loss, inputs, [*map(shown, named), "input"]), None, order, options)
    if raise_error and not report:
        raise GradientError(report)
    return report


def equation(func: Function, argument: int) -> str:
    """Which of the four equations of backpropagation a rule belongs to."""
    if func is linear:
        return ("BP2", "BP4", "BP3")[argument]
    if func in LOSSES:
        return "BP1"
    return "BP1, BP2" if func in ACTIVATIONS else ""


# -- everything ----------------------------------------------------------------------------------------


DTYPES = ("float64", "float32")


def check_everything(functions: Iterable[Function] | None = None) -> tuple[bool, str]:
    """Check every rule and every layer in float64 and float32, at first and second order.

    Parameters
    ----------
    functions : iterable of callable, optional
        The functions to check; by default all that have a rule.

    Returns
    -------
    tuple of (bool, str)
        Whether all were checked and nothing is wrong, and a table of the worst relative errors.
    """
    from tinygrad_lr.autodiff.rules.samples import sample  # a table of arrays that nothing else needs

    load_all()
    reports: dict[str, list[Report]] = {}  # in float64 and float32 by turns
    missed: list[str] = []
    for func in (*RULES, *COMPOSITES) if functions is None else functions:
        found, name = sample(func), public_name(func)
        mine = [gradcheck(partial(found.call, np), *(a.astype(dtype) for a in found.arrays), raise_error=False) for dtype in DTYPES] if found else []
        reports[name] = reports.get(name, []) + mine  # with what it is computed by
        missed += [] if found else [name]
    for dtype in DTYPES:
        for name, (model, loss_fn, x, y) in layers(dtype).items():
            reports.setdefault(name, []).append(gradcheck_model(model, loss_fn, x, y, raise_error=False))
    return not missed and all(all(found) for found in reports.values()), overview(reports, missed)


def layers(dtype: str) -> dict[str, tuple[Module, Any, Any, Any]]:
    """For every layer and loss a model, a loss function and a batch."""
    x = np.array([[0.5, -1.2, 0.8], [1.5, 0.3, -0.7], [-0.4, 0.9, 0.2], [0.1, -0.6, 1.1]], dtype)
    t = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]], dtype)
    classes = np.array([1, 0, 1, 1])

    def then(*layers: Module) -> Module:
        return Sequential(Dense(3, 2, dtype=dtype, rng=0), *layers)

    return {
        "Dense": (then(), MSELoss(), x, t),
        "Dense without bias": (Dense(3, 2, bias=False, dtype=dtype, rng=0), MSELoss(), x, t),
        "Sigmoid": (then(Sigmoid()), MSELoss(), x, t),
        "Tanh": (then(Tanh()), MSELoss(), x, t),
        "ReLU": (then(ReLU()), MSELoss(), x, t),
        "Sequential": (then(Tanh(), Dense(2, 2, dtype=dtype, rng=1), Sigmoid()), BCELoss(), x, t),
        **{f"{loss!r}": (then(Sigmoid()), loss, x, t) for loss in (BCELoss(), BCELoss("sum"), BCELoss("none"))},
        **{f"{loss!r}": (then(), loss, x, t) for loss in (BCEWithLogitsLoss(), BCEWithLogitsLoss("sum"), MSELoss("sum"))},
        **{f"{loss!r}": (then(), loss, x, classes) for loss in (CrossEntropyLoss(), CrossEntropyLoss("none"))},
    }


def overview(reports: dict[str, list[Report]], missed: list[str]) -> str:
    """One line per function: its worst relative error in each dtype at each order, or what is the matter."""
    width = max(map(len, reports))
    orders = (1, 2)
    lines = [f"{'worst relative error':{width}}" + "".join(f"{f'{dtype}, {order}':>12}" for dtype in DTYPES for order in orders)]
    for name, found in reports.items():
        cells = []
        for i in range(len(DTYPES)) if found else ():
            for order in orders:
                rows = [row for report in found[i :: len(DTYPES)] for row in report.rows if row.order == order]
                odd = [row.verdict for row in rows if row.verdict != "ok"]
                cells.append(odd[0] if odd else f"{max(row.error for row in rows):.1e}" if rows else "-")
        lines.append(f"{name:{width}}" + "".join(f"{cell:>12}" for cell in cells or ["no sample"]))
    wrong = [name for name, found in reports.items() if not all(found)]
    lines.append(
        f"\n{len(reports)} functions and layers checked; wrong: {', '.join(wrong) or 'none'}"
        + (f"; without a sample: {', '.join(missed)}" if missed else "")
        + "."
    )
    return "\n".join(lines)

"""Gradient checks of whole models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.text import shown
from tinygrad_lr.check.gradcheck.function import CheckedFunction
from tinygrad_lr.check.gradcheck.orders import Options, report_on
from tinygrad_lr.check.gradcheck.report import GradientError, Report
from tinygrad_lr.nn.descriptions import DESCRIPTIONS, loss_info
from tinygrad_lr.nn.functional import substitute
from tinygrad_lr.nn.layers import linear
from tinygrad_lr.nn.module import Module

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def gradcheck_model(
    model: Module,
    loss_fn: Callable[..., Tensor],
    x: Tensor | ArrayLike,
    y: Tensor | ArrayLike,
    *,
    order: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
    rng: np.random.Generator | int | None = None,
    raise_error: bool = True,
    mode: str = "fast",
) -> Report:
    """Check the gradient of a loss with respect to every parameter of a model and its input.

    Parameters
    ----------
    model : Module
        Checked in its current mode; float32 is differenced in float64. Its random state and its buffers do not change:
        every evaluation calls a copy of it, which draws the same dropout mask.
    loss_fn, x, y : callable and array_like
        ``loss_fn(model(x), y)`` is the loss of a batch; a floating ``x`` is checked as well.
    order, rtol, atol, rng, raise_error, mode
        As for `tinygrad_lr.gradcheck`.

    Returns
    -------
    Report
        One row per parameter and order (several if elements are wrong), with the function that the parameter is passed
        to, or the one whose rule is at fault, and its equation of backpropagation (BP1 to BP4).

    Raises
    ------
    GradientError
        If a gradient is wrong, or cannot be checked.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> from tinygrad_lr import nn
    >>> model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid())
    >>> report = tg.gradcheck_model(model, nn.BCELoss(), np.eye(2), np.array([[0.0], [1.0]]))
    >>> report.ok, [f"{row.path} {row.op} {row.equation}" for row in report.rows[:3]]
    (True, ['0.weight linear BP4', '0.bias linear BP3', '2.weight linear BP4'])
    """
    __tracebackhide__ = True  # pytest shows the caller's line and the table
    named = dict(model.named_parameters())
    x = x if isinstance(x, Tensor) else np.asarray(x)
    moves = np.issubdtype(x.dtype, np.floating)

    def loss(*arrays: Array) -> Tensor:
        return loss_fn(substitute(model, dict(zip(named, arrays)), still=True)(arrays[-1] if moves else x), y)

    inputs = tuple(p.data for p in named.values()) + ((x,) if moves else ())
    function = CheckedFunction(loss, inputs, [*map(shown, named), "input"])
    report = report_on(function, None, order, Options.of(rtol, atol, rng, mode, order)._replace(equation=equation))
    if raise_error and not report:
        raise GradientError(report)
    return report


def equation(func: Function, argument: int) -> str:
    """The equation of backpropagation that a rule belongs to, or ""."""
    if func is linear:
        return ("BP2", "BP4", "BP3")[argument]
    if loss_info(func):
        return "BP1"
    return "BP1, BP2" if func in DESCRIPTIONS else ""

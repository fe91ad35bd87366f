"""What the check command runs: every rule, layer and loss of this library against differences."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, RULES, Array, Function, load_all, public_name
from tinygrad_lr.autodiff.rules.samples import Sample, both_signs, positive, sample
from tinygrad_lr.check.gradcheck import gradcheck
from tinygrad_lr.check.gradcheck.report import Report
from tinygrad_lr.check.model import gradcheck_model
from tinygrad_lr.nn.descriptions import LossInfo, loss_info
from tinygrad_lr.nn.layers import linear
from tinygrad_lr.nn.losses import Loss
from tinygrad_lr.nn.module import Module

DTYPES = ("float64", "float32")


def check_everything(functions: Iterable[Function] | None = None) -> tuple[bool, str]:
    """Check every rule, layer and loss in float64 and float32, at first and second order.

    Parameters
    ----------
    functions : iterable of callable, optional
        The functions to check; by default all that have a rule.

    Returns
    -------
    tuple of (bool, str)
        Whether everything was checked and is right, and a table of the worst relative errors.
    """
    load_all()
    reports: dict[str, list[Report]] = {}  # alternately in float64 and float32
    missed: list[str] = []
    for func in (*RULES, *COMPOSITES) if functions is None else functions:
        found, name = sample_of(func), public_name(func)
        mine = [gradcheck(partial(found.call, np), *(a.astype(dtype) for a in found.arrays), raise_error=False) for dtype in DTYPES] if found else []
        reports[name] = reports.get(name, []) + mine  # several functions may have one public name
        missed += [] if found else [name]
    for dtype in DTYPES:
        for name, network in networks(dtype).items():
            reports.setdefault(name, []).append(gradcheck_model(*network, raise_error=False))
    return not missed and all(all(found) for found in reports.values()), overview(reports, missed)


def sample_of(func: Function) -> Sample | None:
    """`sample`, and of layers and losses a call on arrays that suit them."""
    if func is linear:
        return Sample(lambda np, x, w, b: linear(x, w, b), (both_signs(2, 3), both_signs(4, 3), both_signs(4)))
    info = loss_info(func)
    return sample_of_loss(info) if info else sample(func)


def sample_of_loss(info: LossInfo) -> Sample:
    """A call of a loss on predictions and targets that suit it."""
    call, through, z, y = info.function, info.through, both_signs(2, 3), positive(2, 3, start=6)
    if info.prediction == "class":
        return Sample(lambda np, z: call(z, np.array([2, 0])), (z,))
    if through:
        return Sample(lambda np, z, y: call(z, through(z), y), (z, y))
    return Sample(lambda np, p, y: call(p, y), (positive(2, 3), y) if info.prediction == "probability" else (4 * z, y))


Network = tuple[Module, Loss, Array, Array]  # the last two are a batch of inputs and targets


def networks(dtype: str) -> dict[str, Network]:
    """A network for every layer and loss of `tinygrad_lr.nn`, by name."""
    x = np.array([[0.5, -1.2, 0.8], [1.5, 0.3, -0.7], [-0.4, 0.9, 0.2], [0.1, -0.6, 1.1]], dtype)
    t = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]], dtype)
    classes = np.array([1, 0, 1, 1])

    def then(*layers: Module) -> Module:
        return nn.Sequential(nn.Dense(3, 2, dtype=dtype, rng=0), *layers)

    found: dict[str, Network] = {
        "Dense": (then(), nn.MSELoss(), x, t),
        "Dense without bias": (nn.Dense(3, 2, bias=False, dtype=dtype, rng=0), nn.MSELoss(), x, t),
        "Sequential": (then(nn.Tanh(), nn.Dense(2, 2, dtype=dtype, rng=1), nn.Sigmoid()), nn.BCELoss(), x, t),
    }
    for kind in vars(nn).values():
        if isinstance(kind, type) and issubclass(kind, nn.Activation) and kind is not nn.Activation:
            found[kind.__name__] = then(kind()), nn.MSELoss(), x, t
        if isinstance(kind, type) and issubclass(kind, nn.Loss) and kind is not nn.Loss:
            info = kind.about[0]
            squash = [nn.Sigmoid()] if info.prediction == "probability" and info.response is None else []
            for reduction in ("mean", "sum", "none"):
                loss_fn = kind(reduction)
                found[f"{loss_fn!r}"] = then(*squash), loss_fn, x, classes if info.prediction == "class" else t
    return found


def overview(reports: dict[str, list[Report]], missed: list[str]) -> str:
    """One line per function: its worst relative error in each dtype at each order, or what is wrong."""
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
    without = f"; without a sample: {', '.join(missed)}" if missed else ""
    lines.append(f"\n{len(reports)} functions and layers checked; wrong: {', '.join(wrong) or 'none'}{without}.")
    return "\n".join(lines)

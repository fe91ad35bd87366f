"""The gradient of a neuron from three sources: autodiff, central differences, and the equations of backpropagation."""

from __future__ import annotations

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.check.backprop import backprop_report
from tinygrad_lr.check.gradcheck import central_differences
from tinygrad_lr.regression.data import Floats


def three_gradients(model: nn.Sequential, X: Floats, y: Floats) -> Floats:
    """The gradient of the mean cross-entropy: a row for each parameter, a column for each source."""
    loss_fn = nn.BCELoss()
    model.zero_grad()
    loss_fn(model(X), y).backward()
    layer = backprop_report(model, loss_fn, X, y).layers[0]
    equations = {"0.weight": layer["dL/dw"].by_hand, "0.bias": layer["dL/db"].by_hand}  # BP4 and BP3
    blocks = []
    for path, parameter in model.named_parameters():

        def loss_at(value: object, path: str = path) -> object:
            return loss_fn(nn.functional_call(model, {path: value}, X), y)

        differences = central_differences(loss_at, parameter.data)
        blocks.append(np.column_stack([parameter.grad.ravel(), differences.ravel(), equations[path].ravel()]))
    return np.vstack(blocks)


def distances(gradients: Floats) -> tuple[float, float]:
    """How far autodiff is from the differences, and from the equations, in the worst entry."""
    exact, differences, equations = gradients.T
    return float(np.max(np.abs(exact - differences))), float(np.max(np.abs(exact - equations)))


def all_agree(model: nn.Sequential, *gradients: Floats) -> bool:
    """Whether the three sources differ by no more than the errors of differences, which grow with the square of the step, and rounding."""
    step = max(1.0, *(np.max(np.abs(p.data)) for p in model.parameters()))
    return all(differences < 1e-8 * step**2 and equations < 1e-12 for differences, equations in map(distances, gradients))

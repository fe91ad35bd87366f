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

"""Logistic regression as a network of one neuron, fitted by gradient descent on all samples at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.regression.data import Floats
from tinygrad_lr.regression.likelihood import Maximum, maximum_likelihood


class Fit(NamedTuple):
    """A trained neuron, its mean loss at the start and at the end, and the maximum of the likelihood to compare it with."""

    model: nn.Sequential
    first: float
    last: float
    best: Maximum


def neuron(n_inputs: int, bias: float = 0.0) -> nn.Sequential:
    """One neuron, sigmoid(w x + b), with weights 0."""
    model = nn.Sequential(nn.Dense(n_inputs, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": np.zeros((1, n_inputs)), "0.bias": [bias]})
    return model


def weights_of(model: nn.Sequential) -> tuple[Floats, float]:
    """The neuron's weights as a vector, and its bias."""
    state = model.state_dict()
    return state["0.weight"][0], float(state["0.bias"][0])


def lipschitz_constant(X: Floats) -> float:
    """L of the gradient of the mean cross-entropy, ||[X, 1]||^2 / (4 m): steps of 1/L never increase the loss."""
    return float(np.linalg.norm(np.hstack([X, np.ones((len(X), 1))]), 2) ** 2 / (4 * len(X)))


def train(model: nn.Sequential, X: Floats, y: Floats, epochs: int, lr: float, watch: Callable[[int, float], None] = lambda epoch, loss: None) -> Fit:
    """Train the neuron on the mean cross-entropy; ``watch(epoch, loss)`` is called after 0, 1, ..., ``epochs`` steps.

    Examples
    --------
    >>> from tinygrad_lr.regression.data import PRIMES
    >>> fit = train(neuron(1, bias=-1.0), PRIMES.X, PRIMES.y, epochs=2500, lr=0.1)
    >>> print(f"{fit.first:.6f} {fit.last:.6f} {fit.best.loss:.6f}")
    0.813262 0.392235 0.392234
    """
    loss_fn, optimizer = nn.BCELoss(), nn.SGD(model.parameters(), lr=lr)
    first = loss_fn(model(X), y).item()
    for epoch in range(epochs):
        loss = loss_fn(model(X), y)
        watch(epoch, loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    last = loss_fn(model(X), y).item()
    watch(epochs, last)
    return Fit(model, first, last, maximum_likelihood(X, y))

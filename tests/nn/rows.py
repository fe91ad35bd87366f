"""One row for each activation and loss: what `test_rows`, the rules' tests and those of the page need to check it.

Two activations and losses that a user might write, with settings, stand between the library's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.nn.losses import reduced, share

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 3))
NUMBERS = RNG.normal(size=(4, 2))
BINARY = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
CLASSES = np.array([1, 0, 0, 1])


@dataclass(frozen=True)
class Row:
    """A class with settings, and the class in PyTorch that computes the same with these settings; "" where there is none.

    ``refused`` are settings that it does not take, and what it says to them.
    """

    kind: type
    torch: str
    settings: dict[str, Any] = field(default_factory=dict)
    in_torch: dict[str, Any] = field(default_factory=dict)
    refused: tuple[dict[str, Any], str] | None = None

    @property
    def name(self) -> str:
        return self.kind.__name__


class ActivationRow(Row):
    """An activation."""

    def make(self) -> nn.Activation:
        return self.kind(**self.settings)

    def network(self):
        """Between two layers, with a loss, inputs and targets."""
        return nn.Sequential(nn.Dense(3, 2, rng=0), self.make(), nn.Dense(2, 2, rng=1)), nn.MSELoss(), X, NUMBERS


class LossRow(Row):
    """A loss."""

    def make(self, reduction: str = "mean") -> nn.Loss:
        return self.kind(reduction, **self.settings)

    @property
    def targets(self) -> np.ndarray:
        return {"number": NUMBERS, "probability": BINARY, "class": CLASSES}[self.kind.about[0].prediction]

    def predictions(self) -> np.ndarray:
        """What the loss takes: probabilities, or any numbers."""
        z = 2 * np.random.default_rng(6).normal(size=(4, 2))
        return 1 / (1 + np.exp(-z)) if self.takes_probabilities else z

    @property
    def takes_probabilities(self) -> bool:
        info = self.kind.about[0]
        return info.prediction == "probability" and info.response is None

    def network(self, reduction: str = "mean"):
        """Behind a layer, with inputs and targets."""
        squash = [nn.Sigmoid()] if self.takes_probabilities else []
        return nn.Sequential(nn.Dense(3, 2, rng=0), *squash), self.make(reduction), X, self.targets


# -- what users might write --------------------------------------------------------------------------------


def leaky(z, slope=0.01):
    return np.maximum(z, 0) + slope * np.minimum(z, 0)


class Leaky(nn.Activation):
    """ReLU that lets a part of negative numbers through."""

    about = nn.ActivationInfo(
        function=tg.primitive(leaky, lambda g, a, z, slope=0.01: g * np.where(z > 0, 1, slope)),
        sentence="Leaky ReLU keeps what is positive, and a part of the rest.",
        formula="max({z}, 0) + {slope} min({z}, 0)",
        slopes={"z": "1 where {z} > 0, else {slope}"},
        prime="leaky′",
        value=lambda z, slope: np.where(z > 0, z, slope * z),
        slope=lambda z, a, slope: np.where(z > 0, 1, slope),
    )

    def __init__(self, slope: float = 0.01) -> None:
        self.options = {"slope": slope}


def weighted_error(p, y, weight=1.0, reduction="mean"):
    return reduced(weight * (p - y) ** 2, reduction)


class WeightedError(nn.Loss):
    """A squared error that counts more or less."""

    about = (
        nn.LossInfo(
            function=tg.primitive(
                weighted_error,
                lambda g, loss, p, y, weight=1.0, reduction="mean": share(g, p.size, reduction) * (2 * weight * (p - y)),
                lambda g, loss, p, y, weight=1.0, reduction="mean": share(g, p.size, reduction) * (2 * weight * (y - p)),
            ),
            sentence="The squared error counts with a weight.",
            formula="{weight} ({p} - {y})^2",
            slopes={"p": "2 {weight} ({p} - {y})", "y": "2 {weight} ({y} - {p})"},
            terms=lambda p, y, weight: (2 * weight * p, 2 * weight * y),
        ),
    )

    def __init__(self, reduction: str = "mean", weight: float = 1.0) -> None:
        if weight < 0:
            raise ValueError(f"WeightedError takes no negative weight, got {weight}")
        super().__init__(reduction, weight=weight)


# -- the rows ----------------------------------------------------------------------------------------------

# fmt: off
ACTIVATIONS = [
    ActivationRow(nn.Sigmoid, "Sigmoid"),
    ActivationRow(nn.Tanh, "Tanh"),
    ActivationRow(nn.ReLU, "ReLU"),
    ActivationRow(nn.Softplus, "Softplus"),
    ActivationRow(Leaky, "LeakyReLU", {"slope": 0.25}, {"negative_slope": 0.25}),
]
LOSSES = [
    LossRow(nn.BCELoss, "BCELoss"),
    LossRow(nn.BCEWithLogitsLoss, "BCEWithLogitsLoss"),
    LossRow(nn.CrossEntropyLoss, "CrossEntropyLoss"),
    LossRow(nn.MSELoss, "MSELoss"),
    LossRow(nn.HuberLoss, "HuberLoss", {"delta": 0.7}, {"delta": 0.7}, refused=({"delta": 0.0}, "HuberLoss needs a positive delta, got 0.0")),
    LossRow(WeightedError, "", {"weight": 1.5}, refused=({"weight": -1.0}, "WeightedError takes no negative weight, got -1.0")),
]
# fmt: on

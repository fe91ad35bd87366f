"""Networks whose pages are walked step by step: each function returns the model, the loss and a batch for `explore`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr import nn
from tinygrad_lr.regression.data import PRIMES

Case = tuple[nn.Module, Callable[..., Any], np.ndarray, np.ndarray]

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


class Residual(nn.Module):
    """One block that is used three times, each time added to its input."""

    def __init__(self) -> None:
        self.enter = nn.Dense(3, 6, rng=1)
        self.block = nn.Sequential(nn.Dense(6, 6, rng=2), nn.Tanh(), nn.Dense(6, 6, rng=3))
        self.leave = nn.Dense(6, 3, rng=4)

    def forward(self, x: Any) -> Any:
        h = np.tanh(self.enter(x))
        for _ in range(3):
            h = h + self.block(h)
        return self.leave(h)


class Recurrent(nn.Module):
    """A recurrent cell that reads eight points in time."""

    def __init__(self) -> None:
        self.read = nn.Dense(2, 4, rng=1)
        self.recall = nn.Dense(4, 4, bias=False, rng=2)
        self.leave = nn.Dense(4, 1, rng=3)

    def forward(self, x: Any) -> Any:
        h = np.zeros((len(x), 4))
        for t in range(8):
            h = np.tanh(self.read(x[:, t]) + self.recall(h))
        return self.leave(h)


def one_neuron() -> Case:
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[0.5]], "0.bias": [-1.0]})
    return model, nn.BCELoss(), PRIMES.X, PRIMES.y


def xor() -> Case:
    return nn.Sequential(nn.Dense(2, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1), nn.Sigmoid()), nn.BCELoss(), XOR, np.array([[0.0], [1.0], [1.0], [0.0]])


def mlp() -> Case:
    rng = np.random.default_rng(0)
    layers = [nn.Dense(64, 128, rng=0), nn.ReLU(), nn.Dense(128, 64, rng=1), nn.ReLU(), nn.Dense(64, 10, rng=2)]
    return nn.Sequential(*layers), nn.CrossEntropyLoss(), rng.normal(size=(32, 64)), rng.integers(0, 10, 32)


def residual() -> Case:
    rng = np.random.default_rng(1)
    return Residual(), nn.CrossEntropyLoss(), rng.normal(size=(8, 3)), rng.integers(0, 3, 8)


def recurrent() -> Case:
    rng = np.random.default_rng(2)
    return Recurrent(), nn.MSELoss(), rng.normal(size=(4, 8, 2)), rng.normal(size=(4, 1))


NETWORKS: dict[str, Callable[[], Case]] = {"one neuron": one_neuron, "XOR": xor, "MLP": mlp, "residual": residual, "recurrent": recurrent}

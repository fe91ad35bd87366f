"""The table of a model's layers."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.nn.summary import memory

X = np.zeros((4, 2))


def test_counts_shapes_and_memory():
    model = nn.Sequential(nn.Dense(2, 3, dtype=np.float32), nn.ReLU(), nn.Sequential(nn.Dense(3, 1, bias=False, dtype=np.float32)))
    model[0].bias.requires_grad = False
    table = model.summary(X.astype(np.float32))
    assert [(row.path, row.shapes, row.parameters, row.calls) for row in table.rows] == [
        *(("", ((4, 1),), 0, 1), ("0", ((4, 3),), 9, 1), ("1", ((4, 3),), 0, 1), ("2", ((4, 1),), 0, 1), ("2.0", ((4, 1),), 3, 1)),
    ]
    assert (table.parameters, table.trainable) == (12, 9)
    assert (table.parameter_bytes, table.output_bytes) == (48, 4 * 4 * (3 + 3 + 1))
    assert "parameters: 12 (9 trainable, 3 fixed)" in repr(table)


class Tied(nn.Module):
    """One layer called three times, another not at all, and two results."""

    def __init__(self):
        self.layer = nn.Dense(2, 2, rng=0)
        self.again = self.layer
        self.unused = nn.Dense(2, 5)

    def forward(self, x):
        return {"first": self.layer(x), "last": self.again(self.layer(x)).sum()}


def test_shared_and_unused_layers_and_several_results():
    table = Tied().summary(X)
    assert [(row.path, row.calls, row.parameters) for row in table.rows] == [("", 1, 0), ("layer", 3, 6), ("unused", 0, 15)]
    assert table.rows[0].shapes == ((4, 2), ())
    assert "(4, 2) x 3" in repr(table)
    assert "not called" in repr(table)


def test_the_model_is_left_unchanged():
    model = nn.Sequential(nn.Dense(2, 1, rng=0))
    before = {path: dict(vars(module)) for path, module in model.named_modules()}
    model.summary(X)
    with pytest.raises(ValueError, match="expected"):
        model.summary(np.zeros((4, 3)))
    assert {path: dict(vars(module)) for path, module in model.named_modules()} == before
    assert all(p.grad is None for p in model.parameters())
    assert model(X).requires_grad


def test_a_forward_set_on_the_instance_stays():
    layer = nn.Tanh()
    layer.forward = forward = lambda z: tg.Tensor(z) * 2
    assert layer.summary(X).rows[0].shapes == ((4, 2),)
    assert layer.forward is forward


def test_memory_units():
    assert [memory(n) for n in (0, 1023, 1024, 3 * 2**20, 5 * 2**30)] == ["0 B", "1023 B", "1.0 KiB", "3.0 MiB", "5.0 GiB"]

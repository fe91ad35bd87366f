"""The check of whole models: every parameter, buffers and random masks standing still, and which rule is at fault."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.check.gradcheck import GradientError
from tinygrad_lr.check.model import gradcheck_model

X = np.random.default_rng(0).normal(size=(5, 3))
Y = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])


def network(*middle, dtype=np.float64):
    return nn.Sequential(dense1=nn.Dense(3, 4, rng=0, dtype=dtype), **{f"m{i}": m for i, m in enumerate(middle)}, dense2=nn.Dense(4, 1, rng=1, dtype=dtype))


class Around(nn.Module):
    """A module around a function."""

    def __init__(self, fn):
        self.fn = fn

    def forward(self, x):
        return self.fn(x)


def test_every_parameter_and_the_input_have_a_row():
    report = gradcheck_model(nn.Sequential(network(nn.Tanh()), nn.Sigmoid()), nn.BCELoss(), X, Y)
    assert report.ok
    first = [row for row in report.rows if row.order == 1]
    assert [(row.path, row.shape, row.op, row.equation) for row in first] == [
        ("0.dense1.weight", (4, 3), "linear", "BP4"),
        ("0.dense1.bias", (4,), "linear", "BP3"),
        ("0.dense2.weight", (1, 4), "linear", "BP4"),
        ("0.dense2.bias", (1,), "linear", "BP3"),
        ("input", (5, 3), "linear", "BP2"),
    ]
    assert all(row.verdict == "ok" and row.error < 1e-7 for row in report.rows)
    assert "0.dense1.weight[" in str(report)


def test_parameters_are_as_before():
    model = network(nn.ReLU())
    before = [(p.data, p.node, p.data.copy()) for p in model.parameters()]
    gradcheck_model(model, nn.MSELoss(), X, Y)
    for p, (data, node, copy) in zip(model.parameters(), before, strict=True):
        assert p.data is data
        assert p.node is node
        assert p.grad is None
        np.testing.assert_array_equal(data, copy)


def test_float32_models():
    report = gradcheck_model(network(nn.Tanh(), dtype=np.float32), nn.MSELoss(), X.astype(np.float32), Y.astype(np.float32))
    assert {row.verdict for row in report.rows} == {"ok"}
    assert max(row.error for row in report.rows) < 1e-5


def test_integer_inputs_stay_as_they_are():
    class Embedding(nn.Module):
        def __init__(self):
            self.table = nn.Parameter(np.random.default_rng(0).normal(size=(6, 2)))

        def forward(self, i):
            return self.table[i]

    report = gradcheck_model(Embedding(), nn.CrossEntropyLoss(), np.array([0, 2, 2, 5]), np.array([0, 1, 0, 1]))
    assert {row.path for row in report.rows} == {"table"}


class Dropout(nn.Module):
    """Sets half of its input to 0, at random."""

    def __init__(self, rng):
        self.rng = rng
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * (self.rng.uniform(size=x.shape) < 0.5) * 2.0


class RunningMean(nn.Module):
    """Subtracts a mean over all batches so far: a buffer that every forward pass changes."""

    def __init__(self):
        self.mean = np.zeros(4)
        self.history = []

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.detach().numpy().mean(axis=0) if isinstance(x, tg.Tensor) else self.mean
        self.history.append(self.mean)
        return x - self.mean


def test_random_masks_and_buffers_stand_still():
    rng = np.random.default_rng(3)
    dropout, also, running = Dropout(rng), Dropout(rng), RunningMean()
    model = network(nn.Tanh(), dropout, also)
    state = rng.bit_generator.state
    assert gradcheck_model(model, nn.MSELoss(), X, Y)
    assert rng.bit_generator.state == state
    assert also.rng is dropout.rng is rng
    assert dropout.calls == 0
    model = network(nn.Tanh(), Around(lambda x: x), running)
    gradcheck_model(model, nn.MSELoss(), X, Y, raise_error=False)
    np.testing.assert_array_equal(running.mean, np.zeros(4))
    assert running.history == []


def test_a_layer_whose_weight_gradient_is_zero_is_caught():
    bad = tg.primitive(lambda x, w: x @ w.T, lambda g, y, x, w: g @ w, lambda g, y, x, w: 0 * w + 0 * np.sum(g))

    class Layer(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.random.default_rng(0).normal(size=(2, 3)))

        def forward(self, x):
            return bad(x, self.weight)

    with pytest.raises(GradientError) as caught:
        gradcheck_model(nn.Sequential(hidden=Layer(), tanh=nn.Tanh(), out=nn.Dense(2, 1, rng=0)), nn.MSELoss(), X, Y)
    report = caught.value.report
    assert {row.path for row in report.wrong} == {"hidden.weight"}
    assert "hidden.weight: the gradient is zero everywhere" in report.notes
    assert "at fault: the rule of <lambda> for its argument 1" in report.notes


def test_the_rule_at_fault_is_named_wherever_it_stands():
    """The published mistake: s'(a) in place of s'(z)."""

    def logistic(z):
        return 1 / (1 + np.exp(-z))

    bad = tg.primitive(logistic, lambda g, a, z: g * tg.sigmoid(a) * (1 - tg.sigmoid(a)))
    report = gradcheck_model(network(Around(bad)), nn.MSELoss(), X, Y, raise_error=False)
    assert {row.path for row in report.wrong} == {"dense1.weight", "dense1.bias", "input"}
    assert {row.op for row in report.wrong} == {"logistic"}
    assert {row.path for row in report.rows if row.verdict == "ok"} == {"dense2.weight", "dense2.bias"}


def test_losses_without_reduction():
    assert gradcheck_model(network(nn.Tanh()), nn.MSELoss("none"), X, Y)


def test_options():
    model = network(nn.Tanh())
    assert {row.order for row in gradcheck_model(model, nn.MSELoss(), X, Y, order=1).rows} == {1}
    assert gradcheck_model(model, nn.MSELoss(), X, Y, mode="full", order=1)
    with pytest.raises(ValueError, match="mode"):
        gradcheck_model(model, nn.MSELoss(), X, Y, mode="half")

"""Runs whose results are known from R, scikit-learn, PyTorch and NumPy, reproduced to the digits shown there."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.regression.data import PRIMES
from tinygrad_lr.regression.likelihood import maximum_likelihood

EXAMPLES = Path(__file__).parents[1] / "examples"


def shown(value, digits):
    """Whether a value rounds to the digits shown."""
    decimals = len(digits.partition(".")[2])
    return f"{value:.{decimals}f}" == digits


def neuron(w, b):
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[w]], "0.bias": [b]})
    return model


def trained(model, reduction, lr, epochs):
    """Gradient descent on all six samples; the model's w and b, and its mean loss, at the end."""
    loss_fn, optimizer = nn.BCELoss(reduction=reduction), nn.SGD(model.parameters(), lr=lr)
    for _ in range(epochs):
        loss = loss_fn(model(PRIMES.X), PRIMES.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model[0].weight.item(), model[0].bias.item(), nn.BCELoss()(model(PRIMES.X), PRIMES.y).item()


# -- A: six primes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("x, p", [(2.0, "0.07976687"), (13.0, "0.97401776"), (8.5, "0.75786772")])
def test_a2_probabilities_at_the_optimum(x, p):
    best = maximum_likelihood(PRIMES.X, PRIMES.y)
    assert shown(neuron(best.weight[0], best.bias)([[x]]).item(), p)


def test_a4_central_differences():
    """Gradients by differences of the model's loss, computed in the test."""
    loss_fn = nn.BCELoss(reduction="sum")

    def loss_at(w, b):
        model[0].weight.data, model[0].bias.data = np.array([[w]]), np.array([b])
        return loss_fn(model(PRIMES.X), PRIMES.y).item()

    model, w, b, h = neuron(0.0, -1.0), 0.0, -1.0, 1e-4
    with tg.no_grad():
        for _ in range(2500):
            dw = (loss_at(w + h, b) - loss_at(w - h, b)) / (2 * h)
            db = (loss_at(w, b + h) - loss_at(w, b - h)) / (2 * h)
            w, b = w - 0.02 * dw, b - 0.02 * db
        assert shown(w, "0.551463670770")
        assert shown(b, "-3.546839630103")
        assert shown(loss_at(w, b) / 6, "0.392234070025")


def test_a5_the_exact_gradient():
    """A4 with autodiff: the same path, up to the error of the differences, h^2."""
    w, b, _ = trained(neuron(0.0, -1.0), "sum", lr=0.02, epochs=2500)
    assert shown(w, "0.551463631705")
    assert shown(b, "-3.546839399925")


def test_a6_tensors_in_float32_without_a_module():
    x, y = PRIMES.X[:, 0].astype(np.float32), PRIMES.y[:, 0].astype(np.float32)
    w = tg.Tensor(0.0, requires_grad=True, dtype=np.float32)
    b = tg.Tensor(-1.0, requires_grad=True, dtype=np.float32)
    for _ in range(5000):
        a = tg.sigmoid(w * x + b)
        loss = -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a))
        w.zero_grad()
        b.zero_grad()
        loss.backward()
        w.data = w.data - 0.02 * w.grad
        b.data = b.data - 0.02 * b.grad
    assert w.dtype == b.dtype == loss.dtype == np.float32
    assert shown(w.item(), "0.5517694")
    assert shown(b.item(), "-3.5490246")


def test_a7_one_neuron():
    model = neuron(0.0, -1.0)
    w, b, _ = trained(model, "mean", lr=0.1, epochs=2500)
    assert shown(w, "0.5508471805947")
    assert shown(b, "-3.5424342357071")
    assert shown(model([[8.5]]).item(), "0.7576")


@pytest.mark.parametrize("seed", range(5))
def test_a7_from_anywhere(seed):
    w, b = np.random.default_rng(seed).uniform(-1, 1, 2)
    w, b, _ = trained(neuron(w, b), "mean", lr=0.1, epochs=2500)
    assert w == pytest.approx(0.5508, abs=5e-4)
    assert b == pytest.approx(-3.5420, abs=5e-3)


# -- D: two classes in the plane, no bias --------------------------------------------------------------

UPDATES = [
    (0, "-4", "-2", 4.756529357515421),
    (1, "-2.06982401", "-1.25331035", 2.6530661289632915),
    (2, "-0.24988571", "-0.50160687", 0.9452285660954743),
    (3, "0.89670191", "0.11124837", 0.41081804668818567),
    (10, "1.8313202", "0.8100233", 0.2969985292075868),
]


def two_classes():
    draw = np.random.RandomState(1)  # the stream of np.random.seed(1)
    red, blue = draw.randn(20, 2) + np.array([-1, 0]), draw.randn(20, 2) + np.array([1, 0])
    return np.vstack([red, blue]), np.repeat([0.0, 1.0], 20)


def descent(X, t, updates):
    """(weights, mean loss) before each update by the summed gradient."""
    w = tg.Tensor([-4.0, -2.0], requires_grad=True)
    for _ in range(updates + 1):
        y = tg.sigmoid(X @ w)
        yield w.data, nn.BCELoss()(y, t).item()
        w.zero_grad()
        nn.BCELoss(reduction="sum")(y, t).backward()
        w.data = w.data - 0.05 * w.grad


@pytest.mark.parametrize("k, w_a, w_b, loss", UPDATES)
def test_d_updates(k, w_a, w_b, loss):
    """The losses to 14 digits: the source computes log(1 - y) from a rounded y, which costs the 15th."""
    weights, found = list(descent(*two_classes(), 10))[k]
    assert shown(weights[0], w_a)
    assert shown(weights[1], w_b)
    assert found == pytest.approx(loss, rel=5e-15)


def test_d_first_loss_without_the_sources_rounding():
    """4.75652935751543502 in 50 digits."""
    assert next(descent(*two_classes(), 0))[1] == pytest.approx(4.756529357515435, rel=2e-16)


def test_d_points_on_the_wrong_side():
    X, t = two_classes()
    *_, (weights, _) = descent(X, t, 10)
    blue_side = tg.sigmoid(X @ weights) > 0.5
    assert np.sum(blue_side & (t == 0)) == 4
    assert np.sum(~blue_side & (t == 1)) == 2


# -- the examples that show them -----------------------------------------------------------------------


def test_example_one_neuron(capsys):
    runpy.run_path(str(EXAMPLES / "01_one_neuron.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for line in ("w        0.5508471806\n", "b       -3.5424342357\n", "P(8.5)   0.7576\n", "     1   0.813262", "  2500   0.392235"):
        assert line in printed


def run_two_classes(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["02_two_classes.py", *arguments])
    runpy.run_path(str(EXAMPLES / "02_two_classes.py"), run_name="__main__")


def test_example_two_classes(monkeypatch, capsys):
    run_two_classes(monkeypatch)
    printed = capsys.readouterr().out
    for k, _, _, loss in UPDATES:
        assert re.search(rf"^ *{k} .* {loss:.12f}$", printed, re.MULTILINE)
    assert "2 blue and 4 red points are on the wrong side" in printed


def test_example_two_classes_draws(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib").use("agg")
    run_two_classes(monkeypatch, "--plot", str(tmp_path / "classes.png"))
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")


def test_example_two_classes_without_matplotlib(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    run_two_classes(monkeypatch, "--plot", str(tmp_path / "classes.png"))
    assert capsys.readouterr().out.endswith("nothing drawn: --plot needs matplotlib; pip install matplotlib\n")
    assert not (tmp_path / "classes.png").exists()

"""`backprop_report`: the equations beside autodiff for every kind of stack, and wrong layers exposed and named."""

from __future__ import annotations

import copy
import html.parser
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.check.backprop import backprop_report, numbers
from tinygrad_lr.regression.data import PRIMES

GOLDEN = Path(__file__).parent / "golden"


def rng(seed=0):
    return np.random.default_rng(seed)


def dense(n_in, n_out, seed=0, **options):
    """A Dense layer whose bias is not 0 either."""
    layer = nn.Dense(n_in, n_out, rng=seed, **options)
    if layer.bias is not None:
        layer.bias.data = rng(seed).normal(size=n_out).astype(layer.bias.dtype)
    return layer


def neuron():
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[0.5]], "0.bias": [-3.0]})
    return model


def two_layers(out=None):
    return nn.Sequential(hidden=dense(3, 4), squash=nn.Tanh(), out=out or dense(4, 1, seed=1), answer=nn.Sigmoid())


X3 = rng(2).normal(size=(6, 3))
Y1 = np.array([[0.0], [1.0], [1.0], [0.0], [1.0], [0.0]])


class Scale(nn.Module):
    """A layer of a user's own."""

    def __init__(self, factor):
        self.factor = nn.Parameter(factor)

    def forward(self, x):
        return x * self.factor


def assert_agreement(report):
    assert not report.disagreements, report
    assert report.largest_difference < 1e-9


# -- one neuron ----------------------------------------------------------------------------------------


def test_one_neuron_shows_the_short_forms():
    report = backprop_report(neuron(), nn.BCELoss(), PRIMES.X, PRIMES.y)
    a = 1 / (1 + np.exp(-(0.5 * PRIMES.X - 3)))
    (layer,) = report.layers
    assert layer["delta"].equation == "BP1: delta1 = dL/da1 * s'(z1) = (a1 - y)/m"
    assert layer["dL/dw"].equation == "BP4: dL/dw1 = delta1^T X = (X^T (a1 - y)/m)^T"
    for array in (layer["delta"].autodiff, layer["delta"].by_hand):
        np.testing.assert_allclose(array, (a - PRIMES.y) / 6, rtol=1e-13)
    for array in (layer["dL/dw"].autodiff, layer["dL/dw"].by_hand):
        np.testing.assert_allclose(array, (PRIMES.X.T @ (a - PRIMES.y) / 6).T, rtol=1e-13)
    np.testing.assert_allclose(layer["dL/db"].autodiff, np.sum(a - PRIMES.y, axis=0) / 6, rtol=1e-13)
    np.testing.assert_allclose(layer["z"].autodiff, 0.5 * PRIMES.X - 3)
    np.testing.assert_allclose(layer["a"].autodiff, a)
    assert report.loss == pytest.approx(nn.BCELoss()(a, PRIMES.y).item(), rel=1e-14)
    assert report.largest_difference < 1e-15


def test_one_neuron_with_other_losses():
    summed = backprop_report(neuron(), nn.BCELoss(reduction="sum"), PRIMES.X, PRIMES.y).layers[0]
    assert summed["dL/dw"].equation.endswith("= (X^T (a1 - y))^T")
    logits = backprop_report(nn.Dense(1, 1, rng=0), nn.BCEWithLogitsLoss(), PRIMES.X, PRIMES.y).layers[0]
    assert logits["dL/dw"].equation.endswith("= (X^T (sigmoid(z1) - y)/m)^T")
    squares = backprop_report(neuron(), nn.MSELoss(), PRIMES.X, PRIMES.y).layers[0]
    assert squares["delta"].equation == "BP1: delta1 = 2 (a1 - y)/m * s'(z1)"
    assert squares["dL/dw"].equation == "BP4: dL/dw1 = delta1^T X"


# -- stacks --------------------------------------------------------------------------------------------

STACKS = {
    "single Dense": lambda: dense(3, 2),
    "without bias": lambda: nn.Sequential(dense(3, 4, bias=False), nn.ReLU(), dense(4, 2, bias=False)),
    "activation first": lambda: nn.Sequential(nn.Tanh(), dense(3, 2)),
    "activations only": lambda: nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Sigmoid()),
    "a single activation": lambda: nn.Sigmoid(),
    "two activations in a row": lambda: nn.Sequential(dense(3, 2), nn.Tanh(), nn.Sigmoid(), dense(2, 2)),
    "two Dense in a row": lambda: nn.Sequential(dense(3, 4), dense(4, 2, seed=1)),
    "nested": lambda: nn.Sequential(dense(3, 4), nn.Sequential(nn.Tanh(), nn.Sequential(dense(4, 5, seed=1), nn.ReLU())), dense(5, 2, seed=2)),
    "deep": lambda: nn.Sequential(*[part for i in range(8) for part in (dense(3, 3, seed=i), (nn.Sigmoid, nn.Tanh, nn.ReLU)[i % 3]())], dense(3, 2)),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss])
@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_and_loss(stack, loss, reduction):
    model = STACKS[stack]()
    if loss is nn.BCELoss and stack != "a single activation":
        model = nn.Sequential(model, nn.Sigmoid())
    outputs = model(X3).shape[1]
    y = rng(3).integers(0, outputs, 6) if loss is nn.CrossEntropyLoss else rng(3).integers(0, 2, (6, outputs))
    report = backprop_report(model, loss(reduction=reduction), X3, y)
    assert not report.disagreements, report
    assert report.largest_difference < 1e-13
    assert not report.uncovered
    gradients = gradients_of(model, loss(reduction=reduction), X3, y)
    shown = [layer[name].by_hand for layer in report.layers for name in ("dL/dw", "dL/db") if name in [row.name for row in layer.rows]]
    assert len(shown) == len(gradients)
    for a, b in zip(shown, gradients):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14)


def gradients_of(model, loss_fn, x, y):
    """What backward() leaves in each parameter of a copy."""
    model = copy.deepcopy(model)
    loss = loss_fn(model(x), y)
    if model.parameters():
        loss.backward()
    return [parameter.grad for parameter in model.parameters()]


def test_equations_in_words():
    report = backprop_report(nn.Sequential(nn.Tanh(), dense(3, 4), nn.ReLU(), nn.Sigmoid(), dense(4, 2)), nn.MSELoss(), X3, np.ones((6, 2)))
    assert [row.equation for layer in report.layers for row in layer.rows] == [
        *("z1 = X", "a1 = s(z1)", "BP2: delta1 = (delta2 w2) * s'(z1)"),
        *("z2 = a1 w2^T + b2", "a2 = s(z2)", "delta2 = delta3 * s'(z2)", "BP3: dL/db2 = sum of the rows of delta2", "BP4: dL/dw2 = delta2^T a1"),
        *("z3 = a2", "a3 = s(z3)", "BP2: delta3 = (delta4 w4) * s'(z3)"),
        *("z4 = a3 w4^T + b4", "BP1: delta4 = 2 (z4 - y)/(m n)", "BP3: dL/db4 = sum of the rows of delta4", "BP4: dL/dw4 = delta4^T a3"),
    ]
    assert "m = 6, n = 2 targets of each" in str(report)
    assert [layer.title for layer in report.layers][1:3] == ["layer 2: Dense(3 -> 4) at 1, ReLU() at 2", "layer 3: Sigmoid() at 3"]


@pytest.mark.parametrize("seed", range(30))
def test_rounding_is_no_disagreement(seed):
    """Random stacks in both dtypes, with large and small weights and inputs."""
    draw, dtype = rng(seed), (np.float32, np.float64)[seed % 2]
    layers, n = [], 4
    for i in range(draw.integers(1, 7)):
        layer = dense(n, n := int(draw.integers(1, 6)), seed=i, bias=bool(draw.integers(2)), dtype=dtype)
        layer.weight.data = (layer.weight.data * draw.choice([0.1, 1, 10])).astype(dtype)
        layers += [layer, (nn.Sigmoid, nn.Tanh, nn.ReLU)[draw.integers(3)]()]
    x = (draw.normal(size=(20, 4)) * draw.choice([1, 100])).astype(dtype)
    report = backprop_report(nn.Sequential(*layers, dense(n, 3, dtype=dtype)), nn.CrossEntropyLoss(), x, draw.integers(0, 3, 20))
    assert not report.disagreements, report
    assert report.layers[0]["delta"].autodiff.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_sigmoids(dtype):
    """delta is (a - y)/m where s'(z) is 0 in floating point; nothing is divided by it."""
    model = nn.Sequential(dense(1, 1, dtype=dtype), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[1.0]], "0.bias": [0.0]})
    x = np.array([[200.0], [200.0], [-200.0], [-200.0], [-95.0], [2000.0]], dtype)
    report = backprop_report(model, nn.BCELoss(reduction="sum"), x, [[0], [1], [0], [1], [1], [0]])
    np.testing.assert_allclose(report.layers[0]["delta"].by_hand.ravel(), [1, 0, 0, -1, -1, 1], atol=1e-38)
    assert_agreement(report)
    hidden = backprop_report(nn.Sequential(dense(1, 1, dtype=dtype), nn.Sigmoid(), dense(1, 1, dtype=dtype)), nn.MSELoss(), x, np.zeros((6, 1)))
    assert not hidden.disagreements


def test_rounding_of_a_beside_y_is_no_disagreement():
    """Where all samples are right, a - y is some eps of a, and every digit of it may differ."""
    x = np.linspace(20, 30, 50)[:, None]
    model = nn.Sequential(dense(1, 1, bias=False), nn.Sigmoid())
    model[0].weight.data = np.array([[1.0]])
    report = backprop_report(model, nn.BCELoss(), x, np.ones((50, 1)))
    assert not report.disagreements
    assert 0 < report.layers[0]["delta"].difference > 1e-13 * np.abs(report.layers[0]["delta"].autodiff).max()


def test_bce_of_probabilities_that_no_sigmoid_made():
    model = nn.Sequential(dense(1, 1), nn.ReLU())
    model.load_state_dict({"0.weight": [[1.0]], "0.bias": [0.0]})
    report = backprop_report(model, nn.BCELoss(), [[0.25], [0.75], [1.0], [-1.0]], [[0], [1], [0], [1]])
    assert report.layers[0]["delta"].equation == "BP1: delta1 = ((1 - y)/(1 - a1) - y/a1)/m * s'(z1)"
    np.testing.assert_allclose(report.layers[0]["delta"].by_hand.ravel(), [1 / 3, -1 / 3, 0, 0])
    assert_agreement(report)


# -- layers, losses and parameters that need a word ----------------------------------------------------


def test_a_layer_of_ones_own_is_named_and_checked():
    model = nn.Sequential(dense(3, 4), nn.Tanh(), Scale([1.0, 2.0, 3.0, 4.0]), dense(4, 1), nn.Sigmoid())
    report = backprop_report(model, nn.BCELoss(), X3, Y1)
    assert_agreement(report)
    assert report.uncovered == ["layer 2: Scale() at 2"]
    assert "not covered by the equations, so checked by differences: layer 2: Scale() at 2" in str(report)
    assert report.layers[0]["delta"].equation == "delta1 = dL/da1 of autodiff * s'(z1)"
    np.testing.assert_allclose(report.layers[0]["dL/dw"].by_hand, gradients_of(model, nn.BCELoss(), X3, Y1)[0], rtol=1e-12)
    largest = report.layers[1]["dL/dfactor"]
    assert largest.autodiff == pytest.approx(float(max(gradients_of(model, nn.BCELoss(), X3, Y1)[2], key=abs)))
    assert largest.by_hand == pytest.approx(float(largest.autodiff), rel=1e-6)


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Net(nn.Module):
    def __init__(self):
        self.layers = [dense(3, 4), nn.Tanh(), dense(4, 1)]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.mark.parametrize("model", [Net(), nn.Sequential(Residual(dense(3, 3), nn.Tanh()), dense(3, 1)), nn.Sequential(dense(3, 1), Scale(2.0))])
def test_models_whose_forward_is_their_own(model):
    """They are not taken apart: the numbers are those of the model as it is."""
    report = backprop_report(model, nn.MSELoss(), X3, Y1)
    assert_agreement(report)
    assert report.loss == nn.MSELoss()(model(X3), Y1).item()
    assert len(report.uncovered) == 1


def test_a_column_taken_behind_the_sigmoid():
    """Here autodiff goes from the loss to z past the user's layer, and the report must not be confused by it."""

    class Column(nn.Module):
        def forward(self, a):
            return a[:, 0]

    report = backprop_report(nn.Sequential(dense(3, 1), nn.Sigmoid(), Column()), nn.BCELoss(), X3, Y1[:, 0])
    assert_agreement(report)


def test_random_layers_draw_the_same_numbers_throughout():
    class Dropout(nn.Module):
        def __init__(self):
            self.rng = rng(0)

        def forward(self, x):
            return x * (self.rng.random(x.shape) > 0.5)

    model = nn.Sequential(dense(3, 4), nn.Tanh(), Dropout(), dense(4, 1))
    before = model[2].rng.bit_generator.state
    assert_agreement(backprop_report(model, nn.MSELoss(), X3, Y1))
    assert model[2].rng.bit_generator.state == before


def test_a_layer_that_answers_differently_each_time_is_named():
    class Noise(nn.Module):
        draw = np.random.default_rng(0)

        def forward(self, x):
            return x + Noise.draw.normal(size=x.shape)

    layer, row = backprop_report(nn.Sequential(dense(3, 1), Noise()), nn.MSELoss(), X3, Y1).disagreements[0]
    assert layer.title == "layer 2: Noise() at 1"
    assert row.equation == "a2, computed twice"


def test_a_loss_of_ones_own():
    def fourth_power(p, y):
        return np.sum((p - y) ** 4)

    report = backprop_report(two_layers(), fourth_power, X3, Y1)
    assert_agreement(report)
    assert report.uncovered == ["loss: fourth_power"]
    assert report.layers[1]["delta"].equation == "delta2 = dL/da2 of autodiff * s'(z2)"
    assert report.layers[2]["dL/da2"].agrees


def test_frozen_parameters_are_named():
    model = two_layers()
    model["hidden"].weight.requires_grad = False
    report = backprop_report(model, nn.BCELoss(), X3, Y1)
    assert_agreement(report)
    assert [row.name for row in report.layers[0].rows] == ["z", "a", "delta", "dL/db"]
    assert "weight is frozen: autodiff computes no gradient" in str(report)


def test_a_layer_used_twice_shows_shares_and_their_sum():
    layer = dense(3, 3)
    model = nn.Sequential(layer, nn.Tanh(), layer)
    report = backprop_report(model, nn.MSELoss(), X3, X3)
    assert_agreement(report)
    first, second = report.layers
    weight, bias = gradients_of(model, nn.MSELoss(), X3, X3)
    for name, whole in (("dL/dw", weight), ("dL/db", bias)):
        np.testing.assert_allclose(first[name].by_hand + second[name].by_hand, whole, rtol=1e-12)
        np.testing.assert_allclose(first[f"sum of {name}"].autodiff, whole, rtol=1e-12)
        assert not np.allclose(first[name].autodiff, whole)
    assert "weight is shared with layer 2: here is the share of this use" in first.notes


def test_a_weight_shared_with_a_layer_of_ones_own():
    class Decoder(nn.Module):
        def __init__(self, encoder):
            self.encoder = encoder

        def forward(self, a):
            return a @ self.encoder.weight

    encoder = dense(3, 2)
    report = backprop_report(nn.Sequential(encoder, nn.Tanh(), Decoder(encoder)), nn.MSELoss(), X3, X3)
    assert_agreement(report)
    assert "weight is shared with layer 2: here is the share of this use" in report.layers[0].notes
    assert report.layers[1]["dL/dencoder.weight"].agrees


# -- wrong layers --------------------------------------------------------------------------------------


class Wrong(nn.Dense):
    """A Dense layer on a matrix product with a wrong rule; ``fault`` says which."""

    fault = 0

    def forward(self, x):
        return PRODUCTS[self.fault](x, self.weight, self.bias)


def product(x, w, b):
    return x @ w.T + b


RIGHT = (lambda g, z, x, w, b: g @ w, lambda g, z, x, w, b: g.T @ x, lambda g, z, x, w, b: g.sum(axis=0))
FAULTS = (lambda g, z, x, w, b: 1.001 * g @ w, lambda g, z, x, w, b: 0 * w, lambda g, z, x, w, b: g.mean(axis=0))
PRODUCTS = [tg.primitive(lambda *args: product(*args), *[FAULTS[i] if i == fault else rule for i, rule in enumerate(RIGHT)]) for fault in range(3)]


@pytest.mark.parametrize(
    "fault, layer, name", [(0, "layer 1: ", "delta"), (1, "layer 2: Wrong(4 -> 1) at out", "dL/dw"), (2, "layer 2: Wrong(4 -> 1) at out", "dL/db")]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_wrong_rule_is_exposed_where_it_is(fault, layer, name, dtype):
    wrong = Wrong(4, 1, rng=1, dtype=dtype)
    wrong.fault = fault
    report = backprop_report(
        nn.Sequential(hidden=dense(3, 4, dtype=dtype), squash=nn.Tanh(), out=wrong, answer=nn.Sigmoid()), nn.BCELoss(), X3.astype(dtype), Y1
    )
    found, row = report.disagreements[0]
    assert found.title.startswith(layer)
    assert row.name == name
    assert report.largest_difference >= row.difference > 1e-6
    assert "DISAGREE, first in " + found.title in str(report)
    assert row.verdict in str(report)
    worst = max((row for layer in report.layers for row in layer.rows), key=lambda row: row.difference)
    assert (f"and most in {report.layers[0].title}:\n  {worst.equation}  {worst.verdict}" in str(report)) == (worst is not row)


@pytest.mark.parametrize("where, name", [("a", "a"), ("slope", "delta")])
def test_a_wrong_activation_is_exposed(where, name, monkeypatch):
    answer, slope = (lambda z: np.tanh(z) + 1e-6 * (where == "a")), (lambda g, a, z: g * (1 - a * (1 if where == "slope" else a)))
    monkeypatch.setattr(nn.Tanh, "forward", lambda self, z: bad(z))
    bad = tg.primitive(answer, slope)
    layer, row = backprop_report(two_layers(), nn.BCELoss(), X3, Y1).disagreements[0]
    assert (layer.title, row.name) == ("layer 1: Dense(3 -> 4) at hidden, Tanh() at squash", name)


def test_a_wrong_loss_is_exposed(monkeypatch):
    monkeypatch.setattr(nn.MSELoss, "forward", lambda self, p, y: np.mean((p - y) ** 2) * 0.5)
    layer, row = backprop_report(two_layers(), nn.MSELoss(), X3, Y1).disagreements[0]
    assert (layer.title[:7], row.name) == ("layer 2", "delta")


def test_a_layer_of_ones_own_that_is_wrong_is_exposed():
    triple = tg.primitive(lambda x: 3 * x, lambda g, y, x: 2 * g)

    class Triple(nn.Module):
        def forward(self, x):
            return triple(x)

    report = backprop_report(nn.Sequential(dense(3, 2), Triple(), dense(2, 1)), nn.MSELoss(), X3, Y1)
    layer, row = report.disagreements[0]
    assert layer.title == "layer 2: Triple() at 1"
    assert row.name == "dL/dz1"
    assert row.autodiff / row.by_hand == pytest.approx(2 / 3)


def test_a_layer_that_cuts_the_graph_is_exposed():
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach() * 2

    report = backprop_report(nn.Sequential(dense(3, 2), nn.Tanh(), Cut(), dense(2, 1)), nn.MSELoss(), X3, Y1)
    assert report.disagreements[0][0].title == "layer 2: Cut() at 2"


def test_numbers_that_are_none_agree_only_with_their_like():
    x = X3.copy()
    x[0, 0] = np.nan
    with np.errstate(invalid="ignore"):
        report = backprop_report(nn.Sequential(dense(3, 2), nn.Tanh()), nn.MSELoss(), x, np.zeros((6, 2)))
    assert not report.disagreements
    assert np.isnan(report.layers[0]["dL/dw"].autodiff).any()
    row = report.layers[0]["z"]
    assert not type(row)("z", "", row.autodiff, np.zeros((6, 2)), allowed=1e9).agrees
    misshapen = type(row)("z", "", np.zeros(3), np.zeros((3, 1)), allowed=1e9)
    assert not misshapen.agrees
    assert misshapen.verdict == "DIFFERS: shape (3,), not (3, 1)"


# -- what goes in --------------------------------------------------------------------------------------


def test_x_and_y_in_any_form():
    pandas = pytest.importorskip("pandas")
    model = neuron()
    expected = str(backprop_report(model, nn.BCELoss(), PRIMES.X, PRIMES.y))
    x, y = PRIMES.X.astype(int), PRIMES.y.astype(int)
    for given in ((x, y), (x.tolist(), y.tolist()), (pandas.DataFrame(x), pandas.DataFrame(y)), (tg.Tensor(PRIMES.X, requires_grad=True), tg.Tensor(PRIMES.y))):
        assert str(backprop_report(model, nn.BCELoss(), *given)) == expected


def test_nothing_given_is_changed():
    model, x, y = two_layers(), X3.copy(), Y1.copy()
    x.flags.writeable = y.flags.writeable = False
    for parameter in model.parameters():
        parameter.grad = np.ones(parameter.shape)
    state = model.state_dict()
    with tg.no_grad():  # asked for gradients, it gives them
        assert_agreement(backprop_report(model, nn.BCELoss(), x, y))
    for path, parameter in model.named_parameters():
        np.testing.assert_array_equal(parameter.data, state[path])
        np.testing.assert_array_equal(parameter.grad, np.ones(parameter.shape))
        assert parameter.is_leaf
        assert parameter.requires_grad


@pytest.mark.parametrize(
    "model, loss, x, message",
    [
        (two_layers(), nn.BCELoss(), X3[0], r"shape \(samples, features\), got shape \(3,\); a single feature is a column x.reshape\(-1, 1\)"),
        (two_layers(), nn.BCELoss(), X3[None], r"got shape \(1, 6, 3\)$"),
        (two_layers(), nn.BCELoss(), X3[:0], r"got shape \(0, 3\)$"),
        (two_layers(), nn.BCELoss(reduction="none"), X3, r'a single number \(reduction "mean" or "sum"\), got shape \(6, 1\)'),
        (two_layers(), nn.BCELoss(), X3[:, :2], r"Dense\(3 -> 4\) got input of shape \(6, 2\)"),
        (nn.Sequential(), nn.MSELoss(), X3, "needs a model with layers"),
    ],
)
def test_errors_say_what_to_do(model, loss, x, message):
    with pytest.raises(ValueError, match=message):
        backprop_report(model, loss, x, Y1)


def test_a_quantity_that_is_not_there():
    with pytest.raises(KeyError, match=r"layer 1.* has z, a, delta, dL/db, dL/dw, not 'dw'"):
        backprop_report(neuron(), nn.BCELoss(), PRIMES.X, PRIMES.y).layers[0]["dw"]


# -- how it looks --------------------------------------------------------------------------------------


def wrong_bias():
    wrong = Wrong(4, 1, rng=1)
    wrong.fault = 2
    return nn.Sequential(hidden=dense(3, 4), squash=nn.Tanh(), scale=Scale([1.0, 2.0, 3.0, 4.0]), out=wrong, answer=nn.Sigmoid())


TEXTS = {
    "neuron": lambda: backprop_report(neuron(), nn.BCELoss(), PRIMES.X, PRIMES.y),
    "two_layers": lambda: backprop_report(
        nn.Sequential(dense(5, 6), nn.ReLU(), dense(6, 3)), nn.CrossEntropyLoss(), rng(5).normal(size=(12, 5)), [0, 1, 2] * 4
    ),
    "wrong": lambda: backprop_report(wrong_bias(), nn.BCELoss(), X3, Y1),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(name):
    """Compared without the digits of rounding errors, which depend on the machine."""
    text = str(TEXTS[name]())
    assert max(map(len, text.splitlines())) <= 100
    assert without_rounding(text) == (GOLDEN / f"backprop_{name}.txt").read_text()


def without_rounding(text):
    return re.sub(r"(more than|differs by) \S+", r"\1 ~", re.sub("equal$", "differs by ~", text, flags=re.MULTILINE)) + "\n"


def test_bars_line_up():
    for layer in str(TEXTS["two_layers"]()).split("\n\n")[1:]:
        assert len({line.index("|") for line in layer.splitlines() if "|" in line}) == 1


def test_large_arrays_are_shortened():
    lines = numbers(np.arange(200.0).reshape(20, 10))
    assert len(lines) == 8
    assert [line.split() for line in (lines[0], lines[5], lines[7])] == [["0", "1", "...", "9"], ["...", "...", "...", "..."], ["190", "191", "...", "199"]]
    assert [len(numbers(np.zeros(shape))) for shape in ((), (3,), (8, 2), (2, 3, 2), (0, 2))] == [1, 1, 8, 6, 0]


class Tags(html.parser.HTMLParser):
    """Checks that tags are closed, and collects text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html():
    report = backprop_report(nn.Sequential(**{"<script>": dense(3, 4), "a & b": Scale(2.0), "out": Wrong(4, 1, rng=1)}), nn.MSELoss(), X3, Y1)
    page = report._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert "<script>" not in page
    text = "\n".join(tags.text)
    assert "layer 1: Dense(3 -> 4) at <script>" in text
    assert "layer 2: Scale() at a & b" in text
    for layer in report.layers:
        for row in layer.rows:
            assert row.equation in text
            assert row.verdict in text
            assert all(line in text for line in numbers(row.autodiff) + numbers(row.by_hand))
    assert page.count("rgba(255, 60, 60") == len(report.disagreements) > 0
    assert "color:" not in page  # neither dark on dark nor light on light


# -- how far rounding may go ---------------------------------------------------------------------------


def off_by(factor):
    """A Dense layer's product whose three gradients are off by a factor."""
    rules = [lambda *args, rule=rule: factor * rule(*args) for rule in RIGHT]
    return tg.primitive(lambda *args: product(*args), *rules)


class OffBy(nn.Dense):
    """A Dense layer whose gradients are off."""

    def __init__(self, *args, factor, **options):
        super().__init__(*args, **options)
        self.product = off_by(factor)

    def forward(self, x):
        return self.product(x, self.weight, self.bias)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("epsilons, agrees", [(300, True), (10_000, False)])
def test_gradients_may_be_off_by_rounding_and_not_by_more(epsilons, agrees, dtype):
    """A thousand units in the last place are allowed, more than any sum here needs; ten thousand are an error of the rule."""
    factor = dtype(1 + epsilons * np.finfo(dtype).eps)
    layer = OffBy(1, 1, rng=1, dtype=dtype, factor=factor)
    report = backprop_report(nn.Sequential(layer), nn.MSELoss(), np.ones((1, 1), dtype), np.array([[9.0]], dtype))
    for name in ("dL/db", "dL/dw"):
        assert report.layers[0][name].difference > 0
        assert report.layers[0][name].agrees == agrees
    assert bool(report.disagreements) != agrees


class Backwards(nn.Dense):
    """A Dense layer that begins its sums at their other end."""

    def forward(self, x):
        return backwards(x, self.weight, self.bias)


backwards = tg.primitive(
    lambda x, w, b: x[:, ::-1] @ w[:, ::-1].T + b,
    lambda g, z, x, w, b: g[:, ::-1] @ w[::-1],
    lambda g, z, x, w, b: g[::-1].T @ x[::-1],
    lambda g, z, x, w, b: g[::-1].sum(axis=0),
)


def test_sums_that_cancel_are_measured_by_their_terms():
    """z, dL/db and dL/dw are almost 0 beside the terms they are sums of, whose rounding is no error of theirs."""
    draw, n = rng(), 60
    half = draw.normal(size=(n, n // 2))
    x = np.concatenate([half, -half], axis=1)
    y = draw.normal(size=(n, 3))
    mixed = draw.permutation(2 * n)
    x, y = np.concatenate([x, x])[mixed], np.concatenate([y, -y])[mixed]
    layer = Backwards(n, 3, rng=0)
    layer.weight.data = np.tile(draw.normal(size=(3, n // 2)), 2)
    report = backprop_report(nn.Sequential(layer), nn.MSELoss(reduction="sum"), x, y)
    assert not report.disagreements, report
    for name in ("z", "dL/db", "dL/dw"):
        row = report.layers[0][name]
        assert row.difference > 1e3 * np.finfo(float).eps * np.abs(row.by_hand).max()


def test_rounding_is_that_of_the_coarsest_numbers_on_the_way():
    model = nn.Sequential(Backwards(40, 40, rng=0, dtype=np.float32), nn.Tanh(), Backwards(40, 3, rng=1, dtype=np.float64))
    report = backprop_report(model, nn.MSELoss(), rng().normal(size=(50, 40)).astype(np.float32), np.zeros((50, 3)))
    assert not report.disagreements, report
    assert report.largest_difference > 1e-9


def test_a_sum_of_shares_may_be_off_by_the_rounding_of_all():
    layer = Backwards(40, 40, rng=0)
    report = backprop_report(nn.Sequential(layer, nn.Tanh(), layer, nn.Tanh(), layer), nn.MSELoss(), rng().normal(size=(50, 40)), np.zeros((50, 40)))
    assert not report.disagreements, report
    assert report.layers[0]["sum of dL/dw"].difference > 0

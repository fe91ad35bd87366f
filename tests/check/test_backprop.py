"""`backprop_report`: the equations beside autodiff for every kind of stack and layer, and what goes in."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.check.backprop import backprop_report
from tinygrad_lr.regression.data import PRIMES


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

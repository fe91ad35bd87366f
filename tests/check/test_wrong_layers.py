"""`backprop_report` exposes and names wrong layers, in text and HTML, and lets rounding pass."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.check.test_backprop import X3, Y1, Scale, dense, neuron, rng, two_layers
from tinygrad_lr import nn
from tinygrad_lr.check.backprop import backprop_report, numbers
from tinygrad_lr.regression.data import PRIMES

GOLDEN = Path(__file__).parent / "golden"


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

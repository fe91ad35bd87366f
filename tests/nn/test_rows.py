"""Every activation and loss, by its row: rules at first and second order, in a network, beside the equations, on the page,
in a drawing, in a file, and in PyTorch."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.nn.rows import ACTIVATIONS, LOSSES, X
from tinygrad_lr import nn
from tinygrad_lr.check.everything import networks
from tinygrad_lr.nn import saving
from tinygrad_lr.show.epochs import training_of

Z = np.array([[-3.0, -0.7], [0.4, 5.0], [1.3, -0.1]])

each_activation = pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
each_loss = pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)
each_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def page_of(model, loss_fn, x, y, tmp_path):
    """The text of the page."""
    return tg.explore(model, loss_fn, x, y, tmp_path / "page.html").read_text(encoding="utf-8")


def on_page(text):
    """A text as it stands in the page."""
    return text.replace("<", "\\u003c").replace("′", "\\u2032")


def test_every_class_has_a_row():
    kinds = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Activation | nn.Loss)} - {nn.Activation, nn.Loss}
    assert kinds <= {row.kind for row in ACTIVATIONS + LOSSES}
    assert {kind.__name__ for kind in kinds} <= {name.partition("(")[0] for name in networks("float64")}


@pytest.mark.parametrize("row", [row for row in ACTIVATIONS + LOSSES if row.refused], ids=lambda row: row.name)
def test_refused_settings(row):
    settings, message = row.refused
    with pytest.raises(ValueError) as caught:
        row.kind(**settings)
    assert str(caught.value) == message


# -- activations -------------------------------------------------------------------------------------------


@each_activation
def test_the_rule_of_an_activation(row):
    assert tg.gradcheck(row.make(), Z)


@each_activation
def test_an_activation_and_its_slope_are_stated_twice(row):
    z, layer = tg.Tensor(Z, requires_grad=True), row.make()
    a = layer(z)
    a.backward(np.ones_like(Z))
    value = layer.about.value(Z, **row.settings)
    np.testing.assert_allclose(a.data, value, rtol=1e-14)
    np.testing.assert_allclose(z.grad, layer.about.slope(Z, value, **row.settings), rtol=1e-13)
    np.testing.assert_array_equal(layer(Z.tolist()).data, a.data)


@each_activation
def test_an_activation_in_a_network(row):
    report = tg.gradcheck_model(*row.network())
    assert report
    assert [(found.path, found.equation) for found in report.rows[:2]] == [("0.weight", "BP4"), ("0.bias", "BP3")]


@each_activation
def test_an_activation_beside_the_equations(row):
    report = tg.backprop_report(*row.network())
    assert not report.disagreements, report
    assert not report.uncovered
    assert report.layers[0]["delta"].equation == "BP2: delta1 = (delta2 w2) * s'(z1)"
    assert repr(row.make()) in report.layers[0].title


@each_activation
def test_an_activation_on_the_page(row, tmp_path):
    info, settings = row.kind.about, row.settings
    page = page_of(*row.network(), tmp_path)
    assert info.sentence in page
    assert on_page(f"which is {info.written(info.slopes['z'], ['z1'], settings, 'a1')}, it becomes the error of this layer") in page
    assert on_page(info.written(info.formula, ["z1"], settings)) in page


@each_activation
def test_an_activation_in_a_drawing(row):
    model, loss_fn, x, y = row.network()
    with tg.observe():
        loss = loss_fn(model(x), y)
    assert f"δ1 = (w2ᵀ δ2) · {row.kind.about.prime}(z1)" in tg.draw(loss).source
    z = tg.Tensor(Z, requires_grad=True, name="z")
    (words,) = [edge.text for edge in tg.draw(row.make()(z)).picture.edges if edge.kind == "backward" and edge.text]
    assert words == row.kind.about.in_words(0) != ""


@each_activation
def test_an_activation_in_a_file(row, tmp_path, monkeypatch):
    for table in (saving.LAYERS, saving.ACTIVATIONS):
        monkeypatch.setitem(table, row.name, row.kind)  # a user's are in neither
    model, _, x, _ = row.network()
    nn.save(model, tmp_path / "model.npz")
    loaded = nn.load(tmp_path / "model.npz")
    assert repr(loaded) == repr(model)
    np.testing.assert_array_equal(loaded(x).data, model(x).data)
    assert repr(pickle.loads(pickle.dumps(model))) == repr(model)


@pytest.mark.parametrize("row", [row for row in ACTIVATIONS if row.torch], ids=lambda row: row.name)
def test_an_activation_in_torch(row, torch):
    z, t = tg.Tensor(Z, requires_grad=True), torch.tensor(Z, requires_grad=True)
    a, b = row.make()(z), getattr(torch.nn, row.torch)(**row.in_torch)(t)
    a.backward(np.ones_like(Z))
    b.sum().backward()
    np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(z.grad, t.grad.numpy(), rtol=1e-11)


# -- losses ------------------------------------------------------------------------------------------------


@each_loss
@each_reduction
def test_the_rule_of_a_loss(row, reduction):
    loss_fn = row.make(reduction)
    assert tg.gradcheck(lambda p: loss_fn(p, row.targets), row.predictions())


@each_loss
@each_reduction
def test_a_loss_in_a_network(row, reduction):
    assert tg.gradcheck_model(*row.network(reduction))


@each_loss
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_beside_the_equations(row, reduction):
    report = tg.backprop_report(*row.network(reduction))
    assert not report.disagreements, report
    assert not report.uncovered
    assert report.layers[0]["delta"].equation.startswith("BP1: delta1 = ")


@each_loss
def test_a_loss_on_the_page(row, tmp_path):
    info = row.kind.about[-1]  # of several functions the last is the one behind its activation
    page = page_of(*row.network(), tmp_path)
    assert info.sentence in page
    for text in (info.formula, info.slope_of(0)):
        assert on_page(info.written(text, names_in(info), row.settings)) in page


@each_loss
def test_a_loss_in_a_drawing(row):
    model, loss_fn, x, y = row.network()
    with tg.observe():
        loss = loss_fn(model(x), y)
    drawing, info = tg.draw(loss), row.kind.about[-1]
    slope = info.written(info.slope_of(0), names_in(info), row.settings).replace("/", " / ")
    share = "m" if info.prediction == "class" else "(m n)"
    assert ("BP1", f"δ1 = {slope} / {share}") in [(edge.tag, edge.text) for edge in drawing.picture.edges]
    assert [box.name for box in drawing.picture.boxes if box.kind == "op"][-1] == row.name


def names_in(info):
    """What the arguments of a loss are called behind a single layer."""
    return ["z1", "a1", "y"] if info.through else ["z1", "y"]


@each_loss
def test_a_loss_of_training(row):
    model, loss_fn, x, y = row.network()
    info = row.kind.about[0]
    history = [(loss_fn(model(x), y).item(), {path: array[..., :2] if array.ndim == 2 else array for path, array in model.state_dict().items()})]
    narrow = nn.Sequential(nn.Dense(2, 2, rng=0), *list(model)[1:])
    shown = training_of(narrow, loss_fn, x[:, :2], y, history)
    assert shown["decision"]["kind"] == info.prediction


@each_loss
def test_a_loss_in_short(row):
    loss_fn = row.make("sum")
    assert repr(loss_fn) == f"{row.name}({', '.join(f'{name}={value!r}' for name, value in {'reduction': 'sum', **row.settings}.items())})"
    again = pickle.loads(pickle.dumps(loss_fn))
    np.testing.assert_array_equal(again(row.predictions(), row.targets).shape, ())
    with pytest.raises(ValueError, match="reduction must be"):
        row.kind("total")


@pytest.mark.parametrize("row", [row for row in LOSSES if row.torch], ids=lambda row: row.name)
@each_reduction
def test_a_loss_in_torch(row, reduction, torch):
    p = row.predictions()
    ours, theirs = tg.Tensor(p, requires_grad=True), torch.tensor(p, requires_grad=True)
    a, b = row.make(reduction)(ours, row.targets), getattr(torch.nn, row.torch)(reduction=reduction, **row.in_torch)(theirs, torch.tensor(row.targets))
    a.backward(np.ones(a.shape))
    b.sum().backward()
    np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-11)


# -- what a subclass says for itself -----------------------------------------------------------------------


def test_a_class_that_computes_something_else_is_not_what_its_parent_is():
    class Twice(nn.Sigmoid):
        def forward(self, z):
            return 2 * super().forward(z)

    class Doubled(nn.MSELoss):
        def forward(self, p, y):
            return 2 * super().forward(p, y)

    model = nn.Sequential(nn.Dense(3, 2, rng=0), Twice())
    assert tg.backprop_report(model, Doubled(), X, np.ones((4, 2))).uncovered == ["layer 2: Twice() at 1", "loss: Doubled()"]

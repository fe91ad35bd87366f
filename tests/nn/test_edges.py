"""Cases at the edge of networks' code that a change of a single word would break unseen; found by mutating it."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

# -- layers and losses ---------------------------------------------------------------------------------


def test_parameters_of_a_layer_are_called_what_they_are():
    layer = nn.Dense(2, 1)
    assert (layer.weight.name, layer.bias.name) == ("weight", "bias")
    assert nn.Dense(2, 1).bias is not None  # by default
    assert "name='bias'" in repr(layer.bias)


def test_a_single_sample_with_a_number_for_each_class_is_told_argmax():
    with pytest.raises(TypeError, match=r"dtype float64: if each row is one-hot, pass y\.argmax\(axis=-1\)$"):
        nn.CrossEntropyLoss()([0.0, 1.0, 2.0], [0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match=r"classes of shape \(3,\): expected .*; if each row is one-hot, pass y\.argmax\(axis=-1\)$"):
        nn.CrossEntropyLoss()([0.0, 1.0, 2.0], [0, 1, 0])
    with pytest.raises(TypeError, match=r"dtype float64: convert with y\.astype\(int\)$"):
        nn.CrossEntropyLoss()(2.0, 1.0)
    assert nn.CrossEntropyLoss()([0.0, 0.0], 1).item() == pytest.approx(np.log(2))


# -- gradient descent ----------------------------------------------------------------------------------


def test_descent_is_plain_unless_said_otherwise():
    plain, said = nn.Parameter([1.0, -2.0]), nn.Parameter([1.0, -2.0])
    optimizers = nn.SGD([plain], 0.1), nn.SGD([said], lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    for _ in range(3):
        for p, optimizer in zip((plain, said), optimizers, strict=True):
            optimizer.zero_grad()
            np.sum(p**3).backward()
            optimizer.step()
    np.testing.assert_array_equal(plain.data, said.data)


def test_a_learning_rate_of_0_stands_still():
    p = nn.Parameter([1.0])
    optimizer = nn.SGD([p], lr=0)
    np.sum(p).backward()
    optimizer.step()
    assert p.item() == 1


def test_the_refusal_of_a_tensor_without_gradients_names_optimiser_place_and_tensor():
    p, x = nn.Parameter([1.0]), tg.Tensor([2.0])
    with pytest.raises(TypeError, match=r"^SGD takes Tensors to learn; parameter 1 requires no gradients: Tensor\(\[2\.\]\)$"):
        nn.SGD([p, x], lr=0.1)


# -- the table of a model's layers ---------------------------------------------------------------------


class Both(nn.Module):
    """A layer that is called with inputs of two shapes, one that is called once, and one not at all."""

    def __init__(self):
        self.often, self.once, self.never = nn.Tanh(), nn.Dense(2, 2, rng=0), nn.Sigmoid()
        self.same = self.once.weight

    def forward(self, x):
        return self.once(self.often(x)), self.often(x[:1])


def test_shapes_and_numbers_of_calls():
    table = str(Both().summary(np.zeros((4, 2))))
    lines = {line.split()[0]: line for line in table.splitlines() if line and not line.startswith("-")}
    assert "(4, 2), (1, 2) x 2" in lines["often"]
    assert "(4, 2) " in lines["once"]
    assert " x " not in lines["once"]
    assert "not called" in lines["never"]


def test_a_parameter_held_twice_counts_once():
    table = Both().summary(np.zeros((4, 2)))
    assert table.parameters == table.trainable == 6


def test_a_forward_of_the_instances_own_is_put_back():
    model = nn.Sequential(nn.Tanh(), nn.Tanh())
    forward = model[0].forward = lambda z: tg.Tensor(z) * 2
    for _ in range(2):
        model.summary(np.zeros((4, 2)))
        assert vars(model[0])["forward"] is forward
        assert "forward" not in vars(model[1])
        assert "forward" not in vars(model)


# -- files ---------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    path = tmp_path / "nowhere" / "model.npz"
    with pytest.raises(FileNotFoundError) as caught:
        nn.save(nn.Dense(1, 1), path)
    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == (errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def test_layers_inside_others_are_named_by_path(tmp_path):
    path = tmp_path / "model.npz"
    nn.save(nn.Sequential(first=nn.Sequential(a=nn.Tanh(), b=nn.Dense(1, 1))), path)
    with pytest.raises(ValueError, match=r"does not fit Sequential: layer 'first\.a' is Tanh in the file and Sigmoid in the model$"):
        nn.load(path, into=nn.Sequential(first=nn.Sequential(a=nn.Sigmoid(), b=nn.Dense(1, 1))))
    with pytest.raises(ValueError, match=r"layer 'first\.c' is missing in the file and Tanh in the model$"):
        nn.load(path, into=nn.Sequential(first=nn.Sequential(a=nn.Tanh(), b=nn.Dense(1, 1), c=nn.Tanh())))


class Wrapped(nn.Module):
    """A module of a user's own around a layer."""

    def __init__(self, layer):
        self.layer = layer


def test_what_users_call_their_modules_says_nothing_about_the_layers_in_them(tmp_path):
    class Renamed(Wrapped):
        """As the class is called in a newer version of a user's code."""

    path = tmp_path / "model.npz"
    layer = nn.Dense(2, 1, rng=0)
    nn.save(Wrapped(layer), path)
    found = nn.load(path, into=Renamed(nn.Dense(2, 1)))
    np.testing.assert_array_equal(found.layer.weight.data, layer.weight.data)
    with pytest.raises(ValueError, match=r"does not fit Renamed: layer 'layer' is Dense in the file and Tanh in the model$"):
        nn.load(path, into=Renamed(nn.Tanh()))


# -- losses: axes and layouts --------------------------------------------------------------------------


def test_classes_along_the_last_of_several_axes():
    z, y = np.random.default_rng(0).normal(size=(2, 3, 4)), np.array([[0, 3, 1], [2, 0, 3]])
    flat = nn.CrossEntropyLoss()(z.reshape(6, 4), y.reshape(6))
    assert nn.CrossEntropyLoss()(z, y).item() == pytest.approx(flat.item(), rel=1e-14)
    y[1, 1] = 4
    with pytest.raises(ValueError, match=r"^CrossEntropyLoss got class 4 for logits of 4 classes: expected 0 to 3$"):
        nn.CrossEntropyLoss()(z, y)
    with pytest.raises(ValueError, match=r"^CrossEntropyLoss got logits of shape \(2, 3, 4\) and classes of shape \(2,\): expected"):
        nn.CrossEntropyLoss()(z, y[:, 0])


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: np.reshape(a, (3, 2), order="F"),
        lambda a: np.ravel(a, order="F"),
        lambda a: np.transpose(a, axes=(1, 0)),
        lambda a: np.squeeze(np.expand_dims(a, axis=0), axis=0).T,
    ],
    ids=["reshape", "ravel", "transpose", "squeeze"],
)
def test_logits_are_laid_out_as_their_activations_by_named_settings_too(layout):
    """The loss takes the logits behind the sigmoid, each of which must stay with its target."""
    z, y = np.arange(6.0).reshape(2, 3) - 2.5, np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    tracked = tg.Tensor(z, requires_grad=True)
    for logits in (tracked, tg.Tensor(z)):
        loss = nn.BCELoss(reduction="none")(layout(tg.sigmoid(logits)), layout(y))
        np.testing.assert_allclose(loss.data, layout(np.logaddexp(0, z) - y * z), rtol=1e-13)
    np.sum(nn.BCELoss(reduction="sum")(layout(tg.sigmoid(tracked)), layout(y))).backward()
    np.testing.assert_allclose(tracked.grad, 1 / (1 + np.exp(-z)) - y, rtol=1e-13)


def test_bce_of_probabilities_laid_out_anew_that_no_sigmoid_made():
    p = tg.Tensor([[0.25, 0.5]], requires_grad=True)
    loss = nn.BCELoss(reduction="sum")(p.reshape(-1), [1.0, 0.0])
    assert loss.item() == pytest.approx(np.log(4) + np.log(2))
    loss.backward()
    np.testing.assert_allclose(p.grad, [[-4, 2]])


# -- modules held twice --------------------------------------------------------------------------------


def test_what_stands_behind_a_module_held_twice_is_listed_too():
    shared, last = nn.Tanh(), nn.Dense(1, 1)
    model = nn.Sequential(shared, nn.Sequential(shared, last), shared, nn.Sigmoid())
    assert [path for path, _ in model.named_modules()] == ["", "0", "1", "1.1", "3"]
    assert [path for path, _ in model.named_parameters()] == ["1.1.weight", "1.1.bias"]


def test_integers_may_be_predicted_beside_fractions():
    assert nn.MSELoss()(np.array([1, 2]), np.array([0.5, 1.75])).item() == pytest.approx((0.25 + 0.0625) / 2)


def test_training_is_a_boolean():
    model = nn.Sequential(nn.Tanh())
    assert model.training is True
    assert model.eval() is model
    assert [module.training for module in model] == [False]
    assert model.train().training is True
    assert model[0].training is True


def test_a_bias_may_be_taken_away_and_not_be_made_an_array():
    layer = nn.Dense(2, 1, rng=0)
    with pytest.raises(TypeError, match=r"^Dense\.bias is a Parameter, and would no longer be learnt"):
        layer.bias = np.zeros(1)
    layer.bias = None
    assert [path for path, _ in layer.named_parameters()] == ["weight"]
    np.testing.assert_allclose(layer(np.ones((1, 2))).data, [[layer.weight.data.sum()]])


def test_the_gradient_of_an_activation_comes_through_named_settings():
    z, y = np.arange(6.0).reshape(2, 3) - 2.5, np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    a = tg.sigmoid(tg.Tensor(z, requires_grad=True))
    for layout in (lambda a: np.reshape(a, (3, 2), order="F"), lambda a: np.transpose(a, axes=(1, 0))):
        (found,) = tg.gradients(nn.BCELoss(reduction="sum")(layout(a), layout(y)), a)
        np.testing.assert_allclose(found.data, (a.data - y) / (a.data * (1 - a.data)), rtol=1e-13)


def test_targets_are_learnt_quietly_beside_certain_probabilities():
    """dL/dy = log(1 - p) - log(p), each logarithm stopped at -100."""
    y = tg.Tensor([0.25, 0.25, 0.25], requires_grad=True)
    nn.BCELoss(reduction="sum")(np.array([0.0, 0.5, 1.0]), y).backward()
    np.testing.assert_allclose(y.grad, [100, 0, -100], atol=1e-14)


@pytest.mark.parametrize(
    "after",
    [lambda a: a * 0.5, lambda a: a**2, lambda a: 1.0 - a, lambda a: np.minimum(a, 0.6), lambda a: np.sort(a)],
    ids=["half", "square", "rest", "cut", "sorted"],
)
def test_bce_of_what_was_computed_from_a_sigmoid_is_of_that(after):
    """Only the sigmoid itself, or its elements laid out anew, has the logits that the loss may take."""
    z, y = np.array([-1.0, 2.0, 0.5]), np.array([0.0, 1.0, 0.25])
    p = after(1 / (1 + np.exp(-z)))
    for logits in (tg.Tensor(z, requires_grad=True), tg.Tensor(z)):
        loss = nn.BCELoss(reduction="none")(after(tg.sigmoid(logits)), y)
        np.testing.assert_allclose(loss.data, -(y * np.log(p) + (1 - y) * np.log(1 - p)), rtol=1e-12)


def test_classes_in_a_tensor_are_looked_at_too():
    with pytest.raises(ValueError, match=r"^CrossEntropyLoss got class 2 for logits of 2 classes: expected 0 to 1$"):
        nn.CrossEntropyLoss()(np.zeros((2, 2)), tg.Tensor(np.array([0, 2])))
    assert nn.CrossEntropyLoss()(np.zeros((2, 2)), tg.Tensor(np.array([0, 1]))).item() == pytest.approx(np.log(2))


def test_long_names_come_back_and_longer_ones_are_refused(tmp_path):
    """A name in a zip file has at most 65,535 bytes."""
    path = tmp_path / "model.npz"
    name = "layer_" + "x" * 1000
    nn.save(nn.Sequential(**{name: nn.Dense(1, 1, rng=0)}), path)
    assert [found for found, _ in nn.load(path).named_parameters()] == [f"{name}.weight", f"{name}.bias"]
    with pytest.raises(ValueError, match=r"^a file cannot \w+ the name 'x"):
        nn.save(nn.Sequential(**{"x" * 2**16: nn.Dense(1, 1)}), path)

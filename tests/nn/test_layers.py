"""`Dense`, the activations and `Sequential`."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

RNG = np.random.default_rng(0)


# -- Dense ---------------------------------------------------------------------------------------------


def test_dense_is_x_times_w_transposed_plus_b():
    layer, X = nn.Dense(3, 2, rng=0), RNG.normal(size=(5, 3))
    layer.bias.data = np.array([1.0, -1.0])
    assert (layer.weight.shape, layer.bias.shape) == ((2, 3), (2,))
    np.testing.assert_array_equal(layer(X).data, X @ layer.weight.data.T + layer.bias.data)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (1, 1, 1, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_gradients_on_any_number_of_axes(shape, bias):
    """BP3 and BP4 summed over all samples, and w^T delta towards the input."""
    layer = nn.Dense(3, 2, bias=bias, rng=0)
    x, delta = tg.Tensor(RNG.normal(size=shape), requires_grad=True), RNG.normal(size=(*shape[:-1], 2))
    z = layer(x)
    assert z.shape == delta.shape
    z.backward(delta)
    rows, deltas = x.data.reshape(-1, 3), delta.reshape(-1, 2)
    np.testing.assert_allclose(layer.weight.grad, sum((np.outer(d, r) for d, r in zip(deltas, rows, strict=True)), np.zeros((2, 3))), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(x.grad, delta @ layer.weight.data, rtol=1e-13)
    if bias:
        np.testing.assert_allclose(layer.bias.grad, deltas.sum(axis=0), rtol=1e-13)
    else:
        assert layer.bias is None
        assert [path for path, _ in layer.named_parameters()] == ["weight"]


def test_dense_begins_within_glorots_bound():
    layer = nn.Dense(300, 200, rng=0)
    bound = math.sqrt(6 / 500)
    assert -bound <= layer.weight.data.min() < -0.99 * bound
    assert 0.99 * bound < layer.weight.data.max() <= bound
    assert layer.weight.data.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    np.testing.assert_array_equal(layer.bias.data, np.zeros(200))


def test_dense_seeds():
    def weights(rng):
        return nn.Dense(4, 4, rng=rng).weight.data

    np.testing.assert_array_equal(weights(7), weights(7))
    np.testing.assert_array_equal(weights(7), weights(np.random.default_rng(7)))
    assert (weights(7) != weights(8)).all()
    assert (weights(None) != weights(None)).all()
    generator = np.random.default_rng(7)
    assert (weights(generator) != weights(generator)).all()


def test_dense_in_float32():
    layer = nn.Dense(3, 2, dtype=np.float32, rng=0)
    np.testing.assert_array_equal(layer.weight.data, nn.Dense(3, 2, rng=0).weight.data.astype(np.float32), strict=True)
    x = tg.Tensor(np.ones((4, 3), np.float32), requires_grad=True)
    z = layer(x)
    np.sum(z).backward()
    assert {a.dtype for a in (z, layer.weight.grad, layer.bias.grad, x.grad)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("x", [[[1, 2, 3]], [[1.0, 2.0, 3.0]], np.array([[1, 2, 3]]), np.array([[1, 2, 3]], np.uint8), tg.Tensor([[1, 2, 3]]), ((1, 2, 3),)])
def test_dense_takes_lists_and_integers(x):
    layer = nn.Dense(3, 2, rng=0)
    z = layer(x)
    np.testing.assert_allclose(z.data, layer.weight.data @ [1, 2, 3] + np.zeros((1, 2)), rtol=1e-15)
    np.sum(z).backward()
    np.testing.assert_array_equal(layer.weight.grad, [[1.0, 2.0, 3.0]] * 2)


def test_dense_takes_data_frames():
    pandas = pytest.importorskip("pandas")
    layer = nn.Dense(2, 1, rng=0)
    frame = pandas.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4, 5, 6]}, index=[7, 8, 9])
    z = layer(frame)
    assert type(z.data) is np.ndarray
    np.testing.assert_array_equal(z.data, layer(frame.to_numpy()).data)
    np.sum(z).backward()
    np.testing.assert_array_equal(layer.weight.grad, [[6.0, 15.0]])


@pytest.mark.parametrize("x, shape", [(np.ones((6, 2)), "(6, 2)"), (np.ones(4), "(4,)"), (3.0, "()"), ([[1.0, 2.0]], "(1, 2)"), (np.ones((3, 1)), "(3, 1)")])
def test_dense_refuses_other_widths(x, shape):
    for wrap in (lambda x: x, tg.Tensor):
        with pytest.raises(ValueError) as caught:
            nn.Dense(3, 1)(wrap(x))
        assert str(caught.value) == f"Dense(3 -> 1) got input of shape {shape}: expected (..., 3)"


@pytest.mark.parametrize("n_in, n_out", [(0, 1), (1, 0), (-1, 2)])
def test_dense_refuses_empty_sizes(n_in, n_out):
    with pytest.raises(ValueError) as caught:
        nn.Dense(n_in, n_out)
    assert str(caught.value) == f"Dense({n_in} -> {n_out}): a layer needs at least one input and one neuron"


# -- activations ---------------------------------------------------------------------------------------

Z = np.array([[-2.0, -0.5, 0.0], [0.5, 1.0, 30.0]])
ACTIVATIONS = {
    "Sigmoid": (nn.Sigmoid, lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "Tanh": (nn.Tanh, np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "ReLU": (nn.ReLU, lambda z: np.where(z > 0, z, 0), lambda z: np.where(z > 0, 1.0, 0.0)),
}


@pytest.mark.parametrize("kind, fn, slope", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_activations(kind, fn, slope):
    z = tg.Tensor(Z, requires_grad=True)
    a = kind()(z)
    np.testing.assert_allclose(a.data, fn(Z), rtol=1e-15)
    a.backward(np.ones(Z.shape))
    np.testing.assert_allclose(z.grad, slope(Z), rtol=1e-13, atol=1e-15)
    assert list(kind().named_parameters()) == []
    for plain in (Z, Z.tolist()):
        np.testing.assert_array_equal(kind()(plain).data, a.data)


@pytest.mark.parametrize("kind", [nn.Sigmoid, nn.Tanh, nn.ReLU])
def test_activations_extreme(kind):
    z = tg.Tensor([-1e308, -1000.0, 1000.0, 1e308], requires_grad=True)
    a = kind()(z)
    low = {nn.Sigmoid: 0.0, nn.Tanh: -1.0, nn.ReLU: 0.0}[kind]
    np.testing.assert_array_equal(a.data, [low, low, 1.0, 1.0] if kind is not nn.ReLU else [0.0, 0.0, 1000.0, 1e308])
    a.backward(np.ones(4))
    np.testing.assert_array_equal(z.grad, [0.0, 0.0, 0.0, 0.0] if kind is not nn.ReLU else [0.0, 0.0, 1.0, 1.0])


# -- Sequential ----------------------------------------------------------------------------------------


def test_sequential_is_one_after_another():
    first, last = nn.Dense(2, 3, rng=0), nn.Dense(3, 1, rng=1)
    model, X = nn.Sequential(first, nn.Tanh(), last), RNG.normal(size=(4, 2))
    np.testing.assert_array_equal(model(X).data, last(np.tanh(first(X))).data)


def test_sequential_is_a_sequence_of_its_layers():
    layers = [nn.Dense(2, 3), nn.Tanh(), nn.Dense(3, 1)]
    model = nn.Sequential(*layers)
    assert len(model) == 3
    assert list(model) == layers
    assert model[0] is layers[0]
    assert model[-1] is layers[-1]
    assert model["1"] is layers[1]
    with pytest.raises(IndexError):
        model[3]


def test_sequential_with_names():
    model = nn.Sequential(nn.Dense(2, 3), squash=nn.Tanh(), out=nn.Dense(3, 1))
    assert [path for path, _ in model.named_parameters()] == ["0.weight", "0.bias", "out.weight", "out.bias"]
    assert model["out"] is model[2]


def test_an_empty_sequential_gives_its_input():
    x = tg.Tensor([1.0])
    assert nn.Sequential()(x) is x


@pytest.mark.parametrize("layer", [np.tanh, nn.Tanh, "tanh", None, [nn.Tanh()]])
def test_sequential_takes_modules_only(layer):
    for build, name in [(lambda: nn.Sequential(nn.Tanh(), layer), "1"), (lambda: nn.Sequential(squash=layer), "squash")]:
        with pytest.raises(TypeError) as caught:
            build()
        assert str(caught.value) == f"Sequential layer {name!r} must be a Module, got {type(layer).__name__}: wrap a function in a Module"

"""Mistakes that were made once, each with the smallest program that showed it."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn


@pytest.mark.parametrize("cut", [math.sin, float, int, lambda x: tg.Tensor(x * 1.0) * 2], ids=["math", "float", "int", "Tensor"])
def test_nothing_cuts_a_tensor_out_of_its_graph_silently(cut):
    with pytest.raises(TypeError, match="silently cut"):
        tg.grad(cut)(1.0)


def test_full_like_depends_on_its_filling():
    assert tg.grad(lambda x: np.sum(np.full_like(x, x[0])))(np.array([2.0, 1.0])).tolist() == [2.0, 0.0]


@pytest.mark.parametrize("count", [np.bincount, lambda i, weights: np.histogram(i, weights=weights)[0]], ids=["bincount", "histogram"])
def test_weighted_counts_are_no_queries(count):
    with pytest.raises(TypeError, match="has no rule"):
        tg.grad(lambda x: np.sum(count(np.array([0, 1]), weights=x)))(np.array([2.0, 1.0]))


def test_complex_numbers_on_the_way_are_refused():
    with pytest.raises(TypeError, match="met complex numbers"):
        tg.grad(lambda x: np.abs(x * (3 + 4j)))(2.0)


def test_a_subclass_of_sequential_keeps_its_own_parameters():
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Dense(2, 1))
            self.scale = nn.Parameter(1.0)

    assert sorted(path for path, _ in Net().named_parameters()) == ["0.bias", "0.weight", "scale"]


def test_momentum_does_not_live_in_grad():
    p = nn.Parameter([1.0])
    optimizer = nn.SGD([p], lr=0.1, momentum=0.5)
    p.grad = [2.0]
    optimizer.step()
    p.grad[...] = 0
    optimizer.step()
    np.testing.assert_allclose(p.data, [1.0 - 0.2 - 0.1])


def test_a_learning_rate_set_later_keeps_float32():
    p = nn.Parameter(np.ones(2, np.float32))
    optimizer = nn.SGD([p], lr=0.1)
    optimizer.lr = np.float64(0.01)
    p.grad = np.ones(2)
    optimizer.step()
    assert p.dtype == np.float32


def test_a_frozen_parameter_among_the_optimised():
    frozen, p = nn.Parameter([1.0], requires_grad=False), nn.Parameter([1.0])
    optimizer = nn.SGD([frozen, p], lr=0.1)
    optimizer.zero_grad()
    np.sum(frozen * p).backward()
    optimizer.step()
    assert (frozen.item(), p.item()) == (1.0, 0.9)


def test_a_parameter_twice_is_refused():
    p = nn.Parameter([1.0])
    with pytest.raises(ValueError, match=r"^SGD got a parameter more than once"):
        nn.SGD([p, p], lr=0.1)


def test_a_tracked_mean_of_var_is_refused():
    with pytest.raises(TypeError, match=r"np\.var\(mean=\.\.\.\) has no rule"):
        tg.grad(lambda x: np.var(x, mean=np.mean(x, keepdims=True)))(np.ones(3))


def test_a_0d_gradient_stays_an_array_when_it_accumulates():
    w = tg.Tensor(3.0, requires_grad=True)
    for _ in range(2):
        np.sum(w).backward()
    assert type(w.grad) is np.ndarray
    assert w.grad == 2.0


def test_backward_leaves_logits_that_it_does_not_own():
    w = tg.Tensor([1.0], requires_grad=True)
    p = tg.sigmoid(tg.Tensor([800.0]))
    np.sum(np.sign(w * p) * w).backward()
    assert nn.BCELoss()(p, [0.0]).item() == 800.0


@pytest.mark.parametrize("y", [-1.0, 2.0, float("nan")])
def test_bce_of_plain_probabilities_wants_targets_in_range(y):
    with pytest.raises(ValueError, match=r"^BCELoss got the target .* at index \(1,\): it must lie in \[0, 1\]"):
        nn.BCELoss()([0.5, 0.5], [1.0, y])


def test_a_damaged_model_file_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    nn.save(nn.Sequential(nn.Dense(2, 1)), path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="holds no model saved by"):
        nn.load(path)


@pytest.mark.parametrize("fn", [tg.softmax, tg.log_softmax, tg.log_sigmoid, tg.sigmoid, tg.softplus, tg.relu])
def test_activations_take_lists(fn):
    np.testing.assert_array_equal(fn([1.0, 2.0]), fn(np.array([1.0, 2.0])))


@pytest.mark.parametrize("part", [np.imag, np.angle])
def test_parts_of_complex_numbers_are_refused(part):
    with pytest.raises(TypeError, match="complex numbers"):
        tg.grad(lambda x: np.sum(part(np.exp(1j * x))))(np.array([1.0, 2.0]))


def test_a_model_with_shared_layers_is_not_saved_wrongly(tmp_path):
    layer = nn.Dense(3, 3)
    with pytest.raises(ValueError, match=r"^layers of the model share parameters"):
        nn.save(nn.Sequential(layer, nn.Tanh(), layer), tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())

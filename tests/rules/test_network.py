"""Layers and losses in float16, whose largest number is 65,504: more rows than that count and add up all the same."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.nn.layers import linear
from tinygrad_lr.nn.losses import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, squared_error

ROWS = 70_000
Z = np.tile(np.array([[-2.0, 1.0], [0.5, -0.25], [3.0, 0.125], [-1.0, 0.5]], np.float16), (ROWS // 4, 1))
TARGETS = np.tile(np.array([[0.0, 1.0], [1.0, 0.0]], np.float16), (ROWS // 2, 1))

LOSSES = {
    "bce_with_logits": lambda z: bce_with_logits(z, TARGETS),
    "bce_of_sigmoid": lambda z: bce_of_sigmoid(z, sigmoid(z), TARGETS),
    "bce": lambda z: bce(sigmoid(z), TARGETS),
    "squared_error": lambda z: squared_error(z, TARGETS),
    "cross_entropy": lambda z: cross_entropy(z, TARGETS[:, 0].astype(int)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_mean_losses_of_many_rows(name):
    loss = LOSSES[name]
    single, double = tg.Tensor(Z, requires_grad=True), tg.Tensor(Z.astype(float), requires_grad=True)
    got, want = loss(single), loss(double)
    assert got.dtype == np.float16
    np.testing.assert_allclose(got.data, want.data, rtol=1e-3)
    got.backward(np.float16(1000))
    want.backward(1000.0)
    assert single.grad.dtype == np.float16
    np.testing.assert_allclose(single.grad, double.grad, rtol=5e-3, atol=2e-5)


def test_mean_losses_of_large_errors():
    p = tg.Tensor(np.full(2000, 100.0, np.float16), requires_grad=True)
    loss = squared_error(p, np.zeros(2000, np.float16))
    assert loss.data == np.float16(10_000)
    loss.backward()
    np.testing.assert_allclose(p.grad, 0.1, rtol=1e-3)


def test_the_gradient_of_a_bias_adds_up():
    x, w, b = np.ones((ROWS, 1), np.float16), np.ones((2, 1), np.float16), tg.Tensor(np.zeros(2, np.float16), requires_grad=True)
    np.mean(linear(x, w, b)).backward()
    np.testing.assert_allclose(b.grad, 0.5, rtol=2e-3)

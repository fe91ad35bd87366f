"""Rows of layers and losses."""

import numpy

from tests.rules.rows import Row
from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.rules.network import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, linear, squared_error

CLASSES = numpy.array([2, 0, 1, 2])
TARGETS = numpy.array([[0.0], [1.0], [1.0], [0.3]])

# fmt: off
ROWS = [
    Row(linear, lambda np, x, w, b: linear(x, w, b), ((4, 3), (2, 3), (2,)), jax=False),
    Row(linear, lambda np, x, w, b: linear(x, w, b), ((3,), (2, 3), (2,)), jax=False),
    Row(linear, lambda np, x, w, b: linear(x, w, b), ((2, 4, 3), (2, 3), (2,)), jax=False),
    *[row for reduction in ("mean", "sum", "none") for row in (
        Row(bce_with_logits, lambda np, z, y, r=reduction: bce_with_logits(z, y, r), ((4, 1), (4, 1)), jax=False, label=reduction),
        Row(bce_with_logits, lambda np, z, y, r=reduction: bce_with_logits(z, y, r), ((100, 1), (100, 1)), jax=False, label=reduction),
        Row(bce_of_sigmoid, lambda np, z, y, r=reduction: bce_of_sigmoid(z, sigmoid(z), y, r), ((4, 1), (4, 1)), jax=False, label=reduction),
        Row(bce, lambda np, p, y, r=reduction: bce(p, y, r), ((4, 1), (4, 1)), domain=(0.1, 0.9), jax=False, label=reduction),
        Row(squared_error, lambda np, p, y, r=reduction: squared_error(p, y, r), ((4, 2), (4, 2)), jax=False, label=reduction),
        Row(cross_entropy, lambda np, z, r=reduction: cross_entropy(z, CLASSES, r), ((4, 3),), jax=False, label=reduction),
    )],
]
# fmt: on

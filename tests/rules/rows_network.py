"""Rows of layers and losses; those of losses follow from the losses' own rows."""

import numpy

from tests.nn.rows import LOSSES
from tests.rules.rows import Row
from tinygrad_lr.nn.layers import linear

CLASSES = numpy.array([2, 0, 1, 2])


def called(info, reduction, settings):
    """A loss as a function of the arrays that it is differentiated with respect to."""
    function, settings = info.function, {**settings, "reduction": reduction}
    if info.prediction == "class":
        return lambda np, z: function(z, CLASSES, **settings)
    if info.through:
        return lambda np, z, y: function(z, info.through(z), y, **settings)
    return lambda np, p, y: function(p, y, **settings)


# fmt: off
ROWS = [
    Row(linear, lambda np, x, w, b: linear(x, w, b), ((4, 3), (2, 3), (2,)), jax=False),
    Row(linear, lambda np, x, w, b: linear(x, w, b), ((3,), (2, 3), (2,)), jax=False),
    Row(linear, lambda np, x, w, b: linear(x, w, b), ((2, 4, 3), (2, 3), (2,)), jax=False),
    *[
        Row(info.function, called(info, reduction, row.settings), inputs, (0.1, 0.9) if row.takes_probabilities else (-2.0, 2.0), jax=False, label=reduction)
        for row in LOSSES
        for info in row.kind.about
        for inputs in ([((4, 3),)] if info.prediction == "class" else [((4, 2), (4, 2)), ((100, 1), (100, 1))])
        for reduction in ("mean", "sum", "none")
    ],
]
# fmt: on

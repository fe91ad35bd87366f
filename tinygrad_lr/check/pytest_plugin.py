"""The ``gradcheck`` fixture. pytest loads this module on every run, so NumPy is imported only when a test uses the fixture.

def test_my_layer(gradcheck):
    w = np.array([[0.5, -1.0], [2.0, 0.3]])
    gradcheck(lambda w: np.sum(np.tanh(w @ w)), w)
    gradcheck(my_loss, w, gradient=my_hand_written_gradient)
    gradcheck.model(model, nn.BCELoss(), x, y)
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest


class Checker:
    """`tinygrad_lr.gradcheck` with the same random directions on every run of a test."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, fn: Any, *inputs: Any, **options: Any) -> Any:
        """As `tinygrad_lr.gradcheck`."""
        __tracebackhide__ = True
        from tinygrad_lr.check.gradcheck import gradcheck

        return gradcheck(fn, *inputs, **{"rng": self.seed, **options})

    def model(self, model: Any, loss_fn: Any, x: Any, y: Any, **options: Any) -> Any:
        """As `tinygrad_lr.gradcheck_model`."""
        __tracebackhide__ = True
        from tinygrad_lr.check.model import gradcheck_model

        return gradcheck_model(model, loss_fn, x, y, **{"rng": self.seed, **options})


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Checker:
    """Check a gradient against differences; the test fails with a table of the wrong elements."""
    return Checker(crc32(request.node.nodeid.encode()))

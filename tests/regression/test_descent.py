"""One neuron fitted by gradient descent, and the table it learns, made ready by standardising."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lr.autodiff.jacobian import hessian
from tinygrad_lr.nn.losses import bce_with_logits
from tinygrad_lr.regression.data import PRIMES, read_table
from tinygrad_lr.regression.descent import lipschitz_constant, neuron, train, weights_of


def test_each_epoch_is_watched_from_the_start_to_the_end():
    seen = []
    fit = train(neuron(1, bias=-1.0), PRIMES.X, PRIMES.y, epochs=3, lr=0.1, watch=lambda *step: seen.append(step))
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3]
    assert (seen[0][1], seen[-1][1]) == (fit.first, fit.last)
    assert fit.first > seen[1][1] > seen[2][1] > fit.last > fit.best.loss


def test_steps_follow_the_gradient():
    fit = train(neuron(1), PRIMES.X, PRIMES.y, epochs=1, lr=0.5)
    w, b = weights_of(fit.model)
    assert w == pytest.approx([-0.5 * ((0.5 - PRIMES.y) * PRIMES.X).mean()])
    assert b == pytest.approx(-0.5 * (0.5 - PRIMES.y).mean())


def test_the_lipschitz_constant_is_the_largest_curvature():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.integers(0, 2, (20, 1)).astype(float)
    design = np.hstack([X, np.ones((20, 1))])
    curvature = lambda w: np.linalg.eigvalsh(hessian(lambda w: bce_with_logits(design @ w, y[:, 0]))(w))[-1]
    assert lipschitz_constant(X) == pytest.approx(curvature(np.zeros(4)))
    assert all(curvature(rng.normal(size=4)) < lipschitz_constant(X) for _ in range(10))


def test_a_table_is_standardised_by_the_samples_to_learn_from(tmp_path):
    rng = np.random.default_rng(0)
    X = np.column_stack([100 + 5 * rng.normal(size=20), np.full(20, 3.0), rng.normal(size=20)]).round(3)
    rows = [f"{a},{b},{c},{k % 2}" for k, (a, b, c) in enumerate(X)]
    (tmp_path / "t.csv").write_text("\n".join(["a,same,b,y", *rows]))
    table = read_table(tmp_path / "t.csv", "y", 0.25)
    others = np.setdiff1d(np.arange(20), table.rows)
    assert (len(table.samples.X), len(table.held_out.X)) == (15, 5)
    assert (table.samples.names, table.constant, table.samples.target) == (("a", "b"), ("same",), "y")
    np.testing.assert_allclose(table.samples.X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(table.samples.X.std(axis=0), 1)
    np.testing.assert_array_equal(table.raw, X[table.rows][:, [0, 2]])
    np.testing.assert_allclose(table.held_out.X * table.deviation + table.mean, X[others][:, [0, 2]])
    np.testing.assert_array_equal(table.held_out.y[:, 0], others % 2)
    weight, bias = rng.normal(size=2), 0.3
    *in_units, bias_in_units = table.in_units(weight, bias)
    np.testing.assert_allclose(table.raw @ in_units + bias_in_units, table.samples.X @ weight + bias)

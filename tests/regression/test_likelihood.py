"""The maximum of the likelihood: R's figures for the primes, statsmodels', and data without a (unique) maximum."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.regression.data import PRIMES
from tinygrad_lr.regression.likelihood import maximum_likelihood

SEPARATED = "the classes are separated, so the likelihood grows without end as the weights do"
DEPENDENT = "some columns depend on others, so the maximum is not unique; these are its smallest weights"


def column(*numbers):
    return np.array(numbers, dtype=float)[:, None]


def gradient(found, X, y):
    """The derivatives of the mean loss with respect to the weights and the bias: 0 at a maximum."""
    delta = (sigmoid(X @ found.weight[:, None] + found.bias) - y) / len(y)
    return np.append((X.T @ delta)[:, 0], delta.sum())


def drawn(m, weight, bias, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(m, len(weight)))
    return X, (rng.uniform(size=(m, 1)) < sigmoid(X @ column(*weight) + bias)).astype(float)


# -- a unique maximum ----------------------------------------------------------------------------------


W, B, LOSS = 0.551775920838949, -3.549070672801298, 2.3534040894494223 / 6
"""Of the six primes, by Newton's method in 50 digits."""


def test_primes():
    found = maximum_likelihood(PRIMES.X, PRIMES.y)
    assert found.problem is None
    assert found.weight == pytest.approx([W], rel=1e-13)
    assert found.bias == pytest.approx(B, rel=1e-13)
    assert found.loss == pytest.approx(LOSS, rel=1e-15)
    assert np.abs(gradient(found, PRIMES.X, PRIMES.y)).max() < 1e-15


def test_primes_as_rs_glm():
    """R stops when the relative change of the deviance is below 1e-8, which is nine digits."""
    found = maximum_likelihood(PRIMES.X, PRIMES.y)
    assert found.weight == pytest.approx([0.551775920706039], rel=1e-9)
    assert found.bias == pytest.approx(-3.54907067213626, rel=1e-9)
    assert -6 * found.loss == pytest.approx(-2.353404089449422, rel=1e-15)
    assert 12 * found.loss == pytest.approx(4.706808178898845, rel=1e-15)
    assert 4 + 12 * found.loss == pytest.approx(8.706808178898843, rel=1e-15)


def test_statsmodels_agrees():
    api = pytest.importorskip("statsmodels.api")
    X, y = drawn(500, [1.0, -2.0, 0.5], 0.3)
    found, fitted = maximum_likelihood(X, y), api.Logit(y[:, 0], api.add_constant(X)).fit(disp=0, tol=1e-12)
    np.testing.assert_allclose([found.bias, *found.weight], fitted.params, rtol=1e-12)
    assert -500 * found.loss == pytest.approx(fitted.llf, rel=1e-13)
    assert found.problem is None


def test_imbalanced_classes():
    """One sample in fifty: the fitted rate is the observed one, and the gradient is 0."""
    X, y = drawn(5000, [1.5, -1.0], -5.0)
    assert 0.01 < y.mean() < 0.03
    found = maximum_likelihood(X, y)
    assert found.problem is None
    assert sigmoid(X @ found.weight + found.bias).mean() == pytest.approx(y.mean(), rel=1e-12)
    assert np.abs(gradient(found, X, y)).max() < 1e-12


def test_a_single_sample_of_a_class():
    X, y = column(*range(10)), column(0, 0, 0, 0, 1, 0, 0, 0, 0, 0)
    found = maximum_likelihood(X, y)
    assert found.problem is None
    assert np.abs(gradient(found, X, y)).max() < 1e-12


@pytest.mark.parametrize("scale, shift", [(1e6, 0.0), (1e-6, 0.0), (1.0, 1e4), (1e3, -1e6)])
def test_units_do_not_matter(scale, shift):
    """In units of x' = scale x + shift the weight is w / scale, and probabilities stay the same."""
    found = maximum_likelihood(scale * PRIMES.X + shift, PRIMES.y)
    assert found.problem is None
    assert found.weight[0] * scale == pytest.approx(W, rel=1e-9)
    assert found.bias + found.weight[0] * shift == pytest.approx(B, rel=1e-9)
    assert found.loss == pytest.approx(LOSS, rel=1e-13)


def test_an_outlier_on_the_wrong_side():
    """Newton's full step overshoots here; halving it does not."""
    x = np.append(np.linspace(-1, 1, 50), 60.0)[:, None]
    y = np.append(np.linspace(-1, 1, 50) > 0.1, 0)[:, None].astype(float)
    found = maximum_likelihood(x, y)
    assert found.problem is None
    assert np.abs(gradient(found, x, y)).max() < 1e-12


def test_columns_of_very_different_scales():
    X, y = drawn(300, [1.0, 1.0], 0.0)
    found = maximum_likelihood(X * [1e-5, 1e5], y)
    plain = maximum_likelihood(X, y)
    assert found.problem is None
    np.testing.assert_allclose(found.weight * [1e-5, 1e5], plain.weight, rtol=1e-8)


def test_inputs_stay_as_they_are():
    X, y = PRIMES.X.copy(), PRIMES.y.copy()
    X.flags.writeable = y.flags.writeable = False
    maximum_likelihood(X, y)


def test_too_few_steps_say_so():
    found = maximum_likelihood(PRIMES.X, PRIMES.y, steps=2)
    assert found.problem == "no maximum found in the steps allowed"
    assert 2.3534 / 6 < found.loss < math.log(2)


# -- no maximum, or many -------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [1.0, 1e-3, 100.0])
def test_separable_data(gap):
    X, y = column(0, 1, 1 + gap, 2 + gap), column(0, 0, 1, 1)
    found = maximum_likelihood(X, y)
    assert found.problem == SEPARATED
    assert np.isfinite(found.weight).all()
    assert (sigmoid(X @ found.weight + found.bias).round() == y[:, 0]).all()


def test_separable_in_the_plane():
    X = np.random.default_rng(0).normal(size=(100, 2))
    y = (X[:, :1] + X[:, 1:] > 0.2).astype(float)
    assert maximum_likelihood(X, y).problem == SEPARATED


@pytest.mark.parametrize(
    "X, y", [(column(0, 1, 1, 2), column(0, 0, 1, 1)), (column(0, 1, 1, 1, 2, 3), column(0, 0, 1, 0, 1, 1))], ids=["one tie", "three ties"]
)
def test_data_separated_but_for_ties(X, y):
    """Both classes occur at x = 1 and lie apart elsewhere: the likelihood has a limit, but no weight reaches it."""
    assert maximum_likelihood(X, y).problem == SEPARATED


def test_collinear_columns():
    found = maximum_likelihood(np.hstack([PRIMES.X, 2 * PRIMES.X]), PRIMES.y)
    assert found.problem == DEPENDENT
    assert found.loss == pytest.approx(LOSS, rel=1e-13)
    assert found.weight @ [1, 2] == pytest.approx(W, rel=1e-12)
    assert found.weight[0] == pytest.approx(2 * found.weight[1], rel=1e-9)  # equal weights in units of each column's deviation
    assert found.bias == pytest.approx(B, rel=1e-12)


def test_more_columns_than_samples():
    X = np.random.default_rng(0).normal(size=(4, 6))
    found = maximum_likelihood(X, column(0, 1, 0, 1))
    assert found.problem == SEPARATED
    assert np.isfinite(found.weight).all()


@pytest.mark.parametrize("constant", [0.0, 1.0, 7.0, 0.1, 3.3, -1e8 - 0.1])
def test_a_constant_column_gets_weight_0(constant):
    """The bias does all that such a column could; rounding in its mean must not count as variation."""
    found = maximum_likelihood(np.hstack([PRIMES.X, np.full((6, 1), constant)]), PRIMES.y)
    assert found.problem == DEPENDENT
    assert found.weight == pytest.approx([W, 0.0], rel=1e-12, abs=1e-15)
    assert found.bias == pytest.approx(B, rel=1e-12)


def test_no_columns_at_all():
    """The bias alone: the log-odds of the observed rate."""
    found = maximum_likelihood(np.empty((5, 0)), column(1, 0, 0, 0, 1))
    assert found.problem is None
    assert found.weight.shape == (0,)
    assert found.bias == pytest.approx(math.log(2 / 3), rel=1e-12)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_single_class_is_separated_from_nothing(label):
    found = maximum_likelihood(column(1, 2, 3), np.full((3, 1), label))
    assert found.problem is not None
    assert np.isfinite(found.weight).all()
    assert (sigmoid(column(1, 2, 3) @ found.weight + found.bias).round() == label).all()


# -- steps that overshoot ------------------------------------------------------------------------------

OVERSHOOTING = {
    "unique": (
        [[1.0, 2.0], [70.0, 0.1], [0.3, 1.0], [0.0, 0.0], [0.6, 0.1], [2.0, 200.0], [4.0, 4.0], [2.0, 7.0]],
        [0, 0, 0, 0, 1, 0, 0, 0],
    ),
    "five halvings": (
        [[0.2, -1], [17, -0.023], [-0.046, -0.031], [-6.2e-6, 0.77], [0.0018, -0.0023], [0.043, 0.052], [-3.7e-4, 4.7e-8], [0.46, -1.9e-6], [1.7, 0.77]],
        [1, 0, 1, 0, 0, 0, 1, 0, 0],
    ),
    "a step that loses a little": (
        [
            *([-35, 1.7, 0.0085], [6.4, -26, 0.032], [1e-8, -15, -2.3], [-1.3, 5.1e-6, 20], [0.0054, -0.071, 13], [-21, -0.046, -0.00011]),
            *([0.71, 0.014, 0.0018], [9.8e-12, 1.4, -19], [0.7, -0.031, -0.0089], [0.035, 19, 1.4], [-0.96, 4.4e-8, -6.5]),
        ],
        [1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1],
    ),
}
"""Data with numbers of many sizes, where full steps of Newton's method raise the loss."""


def loss_of(found, X, y):
    z = X @ found.weight[:, None] + found.bias
    return np.mean(np.logaddexp(0, z) - y * z)


@pytest.mark.parametrize("name", OVERSHOOTING)
def test_no_step_raises_the_loss(name):
    """After any number of steps the loss is that of the weights, and no larger than before."""
    X, y = np.array(OVERSHOOTING[name][0]), column(*OVERSHOOTING[name][1])
    before = math.log(2)
    for steps in range(1, 20):
        found = maximum_likelihood(X, y, steps)
        assert found.loss == pytest.approx(loss_of(found, X, y), rel=1e-9, abs=1e-13)
        assert found.loss <= before
        before = found.loss


def test_a_maximum_that_full_steps_miss():
    """They end far out and call the classes separated; halved ones find the maximum."""
    X, y = np.array(OVERSHOOTING["unique"][0]), column(*OVERSHOOTING["unique"][1])
    found = maximum_likelihood(X, y)
    assert found.problem is None
    assert np.abs(gradient(found, X, y)).max() < 1e-12

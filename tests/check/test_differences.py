"""Differences and their error estimates."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_lr.check.gradcheck import central_differences
from tinygrad_lr.check.gradcheck.differences import EPS, Line
from tinygrad_lr.check.gradcheck.estimates import estimated, precise


def line(fn, x, slope, eps=EPS):
    """The line along +x (or 1) of a function of one number."""
    values = lambda x: np.atleast_1d(fn(x))
    centre = values(np.asarray(x))
    return Line(values, np.ones(1), centre, np.asarray(x), np.asarray(slope), np.asarray(abs(x) or 1.0), eps)


def test_central_differences():
    x = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(central_differences(lambda x: np.sum(np.exp(x)), x), np.exp(x), rtol=1e-9)
    np.testing.assert_allclose(central_differences(lambda x: np.sum(x**3), 1e6 * x), 3e12 * x**2, rtol=1e-8)


SMOOTH = {
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
    "log": (np.log, lambda x: 1 / x),
    "steep": (lambda x: np.tanh(1e3 * (x - 1)), lambda x: 1e3 * (1 - np.tanh(1e3 * (x - 1)) ** 2)),
    "fast": (lambda x: np.sin(1e5 * x), lambda x: 1e5 * np.cos(1e5 * x)),
    "beside a constant": (lambda x: 1e6 + np.sin(x), np.cos),
    "flat": (lambda x: (x - 1.0) ** 3, lambda x: 3 * (x - 1.0) ** 2),
}


@pytest.mark.parametrize("x", [1.0, 0.7, 1.9])
@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_estimate_holds_and_is_small(name, x):
    fn, slope = SMOOTH[name]
    tolerance = 1e-7 * max(abs(slope(x)), 1e-3)
    right = estimated(line(fn, x, slope(x)), tolerance)
    assert not right.exceeds(tolerance)
    wrong = estimated(line(fn, x, slope(x) * 1.001 + 1e-3), tolerance)
    assert wrong.exceeds(tolerance)
    off = wrong.residual + (slope(x) * 0.001 + 1e-3) * x
    assert abs(off) <= 4 * wrong.error + abs(wrong.residual) / 4
    assert abs(right.residual) <= 4 * right.error + tolerance


def test_steps_go_down_beside_a_kink_and_up_beside_noise():
    beside = estimated(line(lambda x: np.abs(x - 1 + 1e-8), 1.0, 1.0), 1e-7)
    assert not beside.exceeds(1e-7)
    rng = np.random.default_rng(0)
    noisy = estimated(line(lambda x: np.sin(x) + 1e-8 * rng.normal(), 1.0, np.cos(1.0)), 1e-7)
    assert not noisy.exceeds(1e-7)
    assert 1e-10 < noisy.noise < 1e-7
    assert noisy.step > 1e-4


def test_a_function_that_is_not_defined_beside_the_point():
    with np.errstate(invalid="ignore"):
        edge = estimated(line(lambda x: np.sqrt(x - 1.0), 1.0, 0.0), 1e-7)
    assert not edge.exceeds(1e-7)
    assert edge.hides(1e-7)

    def picky(x):
        if abs(x - 1) > 1e-9:
            raise ValueError("too far")
        return np.exp(x)

    assert not estimated(line(picky, 1.0, np.e), 1e-3).exceeds(1e-3)
    assert estimated(line(picky, 1.0, 3.0), 1e-3).exceeds(1e-3)


def test_a_complex_step_gives_all_digits():
    residual, noise = precise(line(np.exp, 1.0, np.e), 2.0**-17)
    assert abs(residual) < 1e-15 < noise
    assert line(np.abs, 1.0, 1.0).by_complex_step() is None
    assert line(lambda x: float(np.real(x)), 1.0, 1.0).by_complex_step() is None


def test_two_evaluations_for_a_right_slope_and_six_for_a_wrong_one():
    calls = []

    def fn(x):
        calls.append(x)
        return np.exp(x)

    estimated(line(fn, 1.0, np.e), 1e-7)
    assert len(calls) - 1 == 2
    calls.clear()
    estimated(line(fn, 1.0, 3.0), 1e-7)
    assert len(calls) - 1 == 6

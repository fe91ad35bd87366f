"""Right gradients where differences mislead: kinks, rounding, conventions; and functions that cannot be checked at all.

Some docstrings say how often an earlier version called such a gradient wrong.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.check.gradcheck import GradientError, gradcheck
from tinygrad_lr.check.gradcheck.differences import EPS, Line
from tinygrad_lr.check.gradcheck.function import rounding


def report_on(fn, *inputs, **options):
    with np.errstate(all="ignore"):
        return gradcheck(fn, *inputs, raise_error=False, **options)


def normal(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def verdicts(report):
    return {row.verdict for row in report.rows}


def indices(report, verdict, order=1):
    return sorted(row.index for row in report.having(verdict) if row.order == order)


def notes(report):
    return " | ".join([*report.notes, *(row.note for row in report.rows)])


# -- kinks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_relu_networks_with_a_row_of_zeros(seed):
    """35 of 40 used to be called wrong: the bias is 0, so the pre-activations of the row are exactly 0, and the loss is curved."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(nn.Dense(3, 5, rng=seed), nn.ReLU(), nn.Dense(5, 1, rng=seed + 100))
    x, y = rng.normal(size=(6, 3)), rng.normal(size=(6, 1))
    x[2] = 0
    report = tg.gradcheck_model(model, nn.MSELoss(), x, y, raise_error=False, rng=seed)
    assert verdicts(report) == {"kink", "ok"}
    assert {row.path for row in report.having("kink") if row.order == 1} >= {"0.bias"}
    assert {row.index[0] for row in report.having("kink") if row.path == "input" and row.index} <= {2}


def test_a_wrong_rule_in_such_a_network_is_found():
    bad = tg.primitive(lambda z: np.maximum(z, 0), lambda g, y, z: g * (z > 0) * 1.05)
    x, w, b = normal((4, 3)), normal((3, 5), 1), np.zeros(5)
    x[1] = 0
    report = report_on(lambda x, w, b: np.mean((bad(x @ w + b) - 0.3) ** 2), x, w, b)
    assert {row.path for row in report.wrong} == {"x", "w", "b"}
    assert "at fault: the rule of <lambda> for its argument 0" in report.notes


def test_slopes_at_a_kink_are_those_at_step_0():
    """The slopes that differences see are off by the step times half the curvature, here by 3e-5 and more."""
    (row,) = report_on(lambda x: tg.relu(x) * np.exp(10 * x), 0.0, order=1).rows
    assert (row.verdict, row.note) == ("kink", "slopes 0 and 1 on its two sides")


@pytest.mark.parametrize("exponent", range(-16, -9))
def test_a_kink_right_beside_the_point(exponent):
    """At 1e-14 to 1e-12, up to 20 of 20 used to be called wrong."""
    for seed in range(5):
        corner = 1 + 10.0**exponent * (1 + np.random.default_rng(seed).uniform())
        for fn in (lambda x, c=corner: np.sum(np.abs(x - c) * np.exp(x)), lambda x, c=corner: np.sum(tg.relu(x - c) ** 2 + tg.relu(c - x) * x)):
            assert not report_on(fn, np.array([1.0, 0.5]), rng=seed).wrong


def test_the_kink_of_abs_is_named_with_both_slopes():
    """It used to be named in none of 100 runs, and at second order another element was: the slope 0 is the average of both sides."""
    for seed in range(20):
        x = normal(7, seed)
        x[3] = 0
        report = report_on(lambda x: np.sum(np.abs(x)), x, rng=seed)
        assert indices(report, "kink") == indices(report, "kink", order=2) == [(3,)]
        assert report.having("kink")[0].note == "slopes -1 and 1 on its two sides"


@pytest.mark.parametrize("n", [100, 10_000])
def test_kinks_among_many_elements_are_named(n):
    x = normal(n)
    x[[7, n // 2]] = 0
    assert indices(report_on(lambda x: np.sum(np.abs(x)), x, order=1), "kink") == [(7,), (n // 2,)]


def test_no_kink_where_the_slope_only_changes_fast():
    for fn in (lambda x: np.sum((x - 1.0) ** 2 * 1e4), lambda x: np.sum(tg.softplus(1e8 * (x - 1))), lambda x: np.sum(np.sin(1e5 * x))):
        assert not report_on(fn, np.array([1.0, 0.3])).having("kink")


def test_kinks_that_cancel_leave_a_gradient_by_convention():
    """relu(x) - relu(-x) is x, and its gradient by the rules is 0 at 0: no rule is wrong."""
    report = report_on(lambda x: np.sum(tg.relu(x) - tg.relu(-x)), np.array([0.0, 1.0]), order=1)
    assert indices(report, "kink") == [(0,)]
    assert "kinks meet here, where relu was called; right at a nearby point" in notes(report)


def test_equals_that_are_sorted():
    """The median of several zeros does not change with any single one of them, but its gradient goes to one."""
    x = np.array([1.0, 1, 0, 0, -2, 0, -1, 0])
    report = report_on(lambda x: np.median(x) * np.sum(x), x)
    assert report.ok
    assert "kinks meet here; right at a nearby point" in notes(report)


def test_a_branch_for_one_number_is_no_kink():
    """np.where(x == 0, 0, x) is x, and its gradient at 0 is wrong though all rules are right."""
    assert indices(report_on(lambda x: np.sum(np.where(x == 0, 0, x)), np.array([0.0, 1.0]), order=1), "wrong") == [(0,)]


def test_a_gradient_by_hand_at_a_kink_may_be_that_of_autodiff():
    def fn(x):
        return np.sum(tg.relu(x) - tg.relu(-x) + np.abs(x))

    def by_hand(x):
        return np.where(x == 0, 0, 1) + np.sign(x)

    assert report_on(fn, np.array([0.0, 1.0]), gradient=by_hand)
    assert indices(report_on(fn, np.array([0.0, 1.0]), gradient=lambda x: by_hand(x) - (x == 0)), "wrong") == [(0,)]


def test_an_infinite_or_missing_gradient_is_never_excused_by_a_kink():
    assert indices(report_on(lambda x: np.sum(np.sqrt(x**2)), np.array([0.0, 1.0]), order=1), "wrong") == [(0,)]


def test_nothing_is_a_multiple_of_0():
    """The gradient of a step is 0, and 1 used to be "1e12 times the right one"."""
    report = report_on(lambda x: np.sum(np.floor(x)), np.array([1.2, 2.5, 0.5]), gradient=lambda x: np.ones(3))
    assert indices(report, "wrong") == [(0,), (1,), (2,)]
    assert "times the right one" not in notes(report)


def test_a_jump_is_no_error():
    report = report_on(lambda x: np.sum(np.floor(x) * x), np.array([1.0, 0.5, 2.0]), order=1)
    assert verdicts(report) == {"kink"}
    assert "fn jumps here" in notes(report)


# -- rounding ------------------------------------------------------------------------------------------


def test_saturated_elements_among_others():
    """12 to 18 of 100 used to be called wrong: the sum is small beside its terms, whose rounding no result shows."""
    for seed in range(50):
        assert not report_on(lambda x: np.sum(np.tanh(x)), 30 * normal(10, seed), rng=seed).wrong


def test_a_fault_in_an_element_that_is_not_saturated_is_found():
    x = 30 * normal(10, 1)
    j = int(np.argmin(np.abs(x)))
    report = report_on(lambda x: np.sum(np.tanh(x)), x, gradient=lambda x: (1 - np.tanh(x) ** 2) * np.where(np.arange(10) == j, 1.05, 1))
    assert indices(report, "wrong") == [(j,)]


@pytest.mark.parametrize("by_hand", [False, True])
def test_cancellation_is_limited_precision(by_hand):
    """99 of 100 used to be called wrong: 1 - cos x and its gradient have 8 digits. Both are off by more than the differences' error estimate."""
    gradient = (lambda x: np.sin(x) / x**2 - 2 * (1 - np.cos(x)) / x**3) if by_hand else None
    for seed in range(20):
        x = 1e-4 * (1 + np.random.default_rng(seed).uniform())
        report = report_on(lambda x: (1 - np.cos(x)) / x**2, x, gradient=gradient, rng=seed)
        assert not report.wrong
        assert "precision" in verdicts(report)


@pytest.mark.parametrize("rule", [lambda g, y, x: g * (np.sin(x) / x**2 - 2 * (1 - np.cos(x)) / x**3)])
def test_cancellation_that_no_graph_shows(rule):
    """Inside a primitive: its results jump, and are smooth in between with another slope."""
    fn = tg.primitive(lambda x: (1 - np.cos(x)) / x**2, rule)
    for seed in range(20):
        assert not report_on(fn, 10.0 ** np.random.default_rng(seed).uniform(-5, -2), rng=seed).wrong


def test_a_large_constant_inside_a_primitive():
    def shifted(x):
        return (np.sin(x) + 1e9) - 1e9

    for seed in range(20):
        x = 0.1 + np.random.default_rng(seed).uniform()
        assert not report_on(tg.primitive(shifted, lambda g, y, x: g * np.cos(x)), x, rng=seed).wrong
        assert report_on(tg.primitive(shifted, lambda g, y, x: g * 0 * x), x, rng=seed).wrong
        assert report_on(tg.primitive(shifted, lambda g, y, x: g * 2 * np.cos(x)), x, rng=seed).wrong


def test_log_softmax_of_a_sure_prediction():
    """Up to 5 of 100 used to be called wrong: its value is a small difference of large numbers."""
    for seed in range(50):
        assert not report_on(lambda x: -tg.log_softmax(x)[2], 10 * normal(5, seed), rng=seed).wrong


@pytest.mark.parametrize("seed", [117, 177])
def test_a_staircase_as_wide_as_any_short_step(seed):
    """log(1 + 1e-14) rises in steps of 3 percent: all short differences agree on a wrong slope, the integral of the gradient does not."""
    rng = np.random.default_rng([seed, 6])
    x = rng.normal(size=int(rng.integers(2, 12))) * 10.0 ** rng.uniform(0, 1.5)
    assert not report_on(lambda x: np.sum(tg.softmax(x) * tg.log_softmax(x)), x, rng=seed).wrong


def test_rounding_inside_is_estimated_from_the_graph():
    x = tg.Tensor(1e-4, requires_grad=True)
    assert 1e-9 < rounding([(1 - np.cos(x)) / x**2], [1.0]) < 1e-7
    assert rounding([np.sum(np.tanh(x))], [1.0]) < 1e-19
    assert rounding([x.detach() * 2], [1.0]) == 0


def test_an_element_that_the_function_does_not_see():
    """The results do not change, as if the change were lost in a large sum; but nothing was computed from large numbers."""
    gate = tg.primitive(lambda x: np.maximum(x - 3, 0), lambda g, y, x: g)
    assert indices(report_on(lambda x: np.sum(gate(x)), np.array([1.0, 5.0, 4.0])), "wrong") == [(0,)]
    assert indices(report_on(lambda x: x[0] ** 2, np.array([1.0, 5.0]), gradient=lambda x: np.array([2 * x[0], 1e-3])), "wrong") == [(1,)]


# -- conventions ---------------------------------------------------------------------------------------


def positive(seed, n=4):
    a = normal((n, n), seed)
    return a @ a.T + np.eye(n)


TRIANGLES = {
    "cholesky": (np.linalg.cholesky, "lower"),
    "eigvalsh": (np.linalg.eigvalsh, "lower"),
    "eigh": (np.linalg.eigh, "lower"),
    "eigvalsh of the upper triangle": (lambda a: np.linalg.eigvalsh(a, UPLO="U"), "upper"),
    "a loss": (lambda a: np.sum(np.linalg.eigvalsh(a) ** 3), "lower"),
}


@pytest.mark.parametrize("mode", ["fast", "full"])
@pytest.mark.parametrize("name", TRIANGLES)
def test_functions_that_read_one_triangle_say_so(name, mode):
    """3 of 3 used to be called wrong, and an internal function was blamed."""
    fn, triangle = TRIANGLES[name]
    for seed in range(3):
        report = report_on(fn, positive(seed), rng=seed, mode=mode)
        assert report.ok
        assert verdicts(report) == {"convention"}
        assert {row.note for row in report.rows} == {
            f"fn reads the {triangle} triangle only, and the gradient is that for a symmetric matrix: check lambda a: f((a + a.T) / 2)"
        }
        assert report.sentence == "No gradient is wrong: 1 input, order 1 and 2; 2 symmetric by convention."
        assert verdicts(report_on(lambda a, fn=fn: fn((a + a.T) / 2), positive(seed), rng=seed)) == {"ok"}


def test_stacks_of_matrices_are_symmetrised_each():
    assert "(a + a.mT) / 2" in notes(report_on(np.linalg.cholesky, np.stack([positive(0), positive(1)])))


def test_a_wrong_gradient_of_such_a_function_is_wrong():
    report = report_on(lambda a: np.sum(np.linalg.eigvalsh(a)), positive(0), gradient=lambda a: 2 * np.eye(4))
    assert report.wrong
    assert report_on(lambda a: np.sum(a * np.tri(4)), positive(0), gradient=lambda a: np.ones((4, 4))).wrong


def test_the_reader_of_a_triangle_is_named_if_the_input_is_not_a_matrix_itself():
    report = report_on(lambda a, b: np.linalg.cholesky(a @ b), positive(0), np.eye(4))
    assert "np.linalg.cholesky reads the lower triangle only, and the gradient is that for a symmetric matrix" in " ".join(report.notes)
    assert "at fault" not in notes(report)


@pytest.mark.parametrize("name", ["eigh", "svd", "qr", "slogdet", "norm", "multi_dot"])
def test_internal_names_never_reach_the_reader(name):
    call = {
        "multi_dot": lambda a: np.linalg.multi_dot([a, a]),
        "norm": lambda a: np.linalg.norm(a),
        "slogdet": lambda a: np.linalg.slogdet(a)[1],
    }.get(name, lambda a: getattr(np.linalg, name)(a @ a.T))
    report = report_on(call, positive(1), order=1)
    assert not {word for word in ("packed", "sign_and", "p_norm", "chain", "cofactors") if word in str(report)}
    assert f"np.linalg.{name}" in str(report) or "matmul" in str(report)


# -- functions that change from call to call -----------------------------------------------------------


def test_dropout_with_a_live_generator_is_reported():
    """19 of 20 used to be limited precision, and one wrong."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        report = report_on(lambda x, rng=rng: np.sum((x * (rng.uniform(size=7) < 0.5)) ** 2), normal(7, seed), rng=seed)
        assert not report.ok
        assert verdicts(report) == {"unchecked"}
        assert report.sentence == "The gradient could not be checked: x."
        assert "fn differs between two calls at the same point: it returns" in notes(report)
        assert "make random generators from a seed inside" in notes(report)


def test_a_counter_is_reported():
    """It used to be wrong by a factor, or at a kink."""
    calls = []

    def fn(x):
        calls.append(1)
        return np.sum(x**2) * len(calls)

    report = report_on(fn, normal(7))
    assert verdicts(report) == {"unchecked"}
    assert "differs between two calls" in notes(report)


def test_what_changes_only_now_and_then_is_reported_too():
    calls = []

    def fn(x):
        calls.append(1)
        return np.sum(x**2) * (1 + (len(calls) > 4))

    assert verdicts(report_on(fn, normal(7), gradient=lambda x: 2 * x)) == {"unchecked"}


def test_results_of_changing_size_are_reported():
    calls = []

    def fn(x):
        calls.append(1)
        return x[: len(calls)]

    assert "it returns 1 numbers and then 2" in notes(report_on(fn, normal(7)))


def test_a_users_gradient_that_changes_is_reported():
    rng = np.random.default_rng(0)
    report = report_on(lambda x: np.sum(x**2), normal(7), gradient=lambda x: 2 * x * rng.uniform(size=7))
    assert verdicts(report) == {"unchecked"}
    assert "gradient differs between two calls at the same point" in notes(report)


def test_what_cannot_be_checked_raises():
    rng = np.random.default_rng(0)
    with pytest.raises(GradientError, match="could not be checked") as caught:
        gradcheck(lambda x: np.sum(x * rng.uniform(size=3)), normal(3))
    assert "differs between two calls" in str(caught.value)


def test_an_input_changed_in_place_is_reported():
    """A right gradient used to pass without a note, though the next call would have had another result."""

    def fn(x):
        x *= 2
        return np.sum(x**2)

    said = "fn changes its input x in place: it was checked on copies, but a second call with the same array would start from what the first one left"
    x = normal(5)
    right, wrong = report_on(fn, x, gradient=lambda x: 8 * x), report_on(fn, x, gradient=lambda x: 2 * x)
    assert right.ok
    assert not wrong.ok
    assert said in right.notes
    assert said in wrong.notes
    np.testing.assert_array_equal(x, normal(5))


def test_a_dict_changed_in_place_is_reported():
    def fn(p):
        p["a"] = p["a"] * 2
        return np.sum(p["a"] * p["b"])

    assert "fn changes its input p.a in place" in notes(report_on(fn, {"a": np.array(1.0), "b": np.array(3.0)}))


# -- where there is no derivative to compare with ------------------------------------------------------


@pytest.mark.parametrize("fn", [np.sqrt, lambda x: np.sum(np.sqrt(x)), np.cbrt])
@pytest.mark.parametrize("mode", ["fast", "full"])
def test_an_infinite_slope_is_not_ok(fn, mode):
    """The square root at 0: inf beside nan used to be no error."""
    report = report_on(fn, np.array([0.0, 1.0, 2.0]), mode=mode)
    assert not report.ok
    assert indices(report, "unchecked") == [(0,)]
    assert report.sentence == "The gradient could not be checked: x[0]."
    assert "not finite" in notes(report)


def test_an_edge_of_the_domain():
    """x^1.5 is defined on one side of 0 only; its slope there is 0."""
    report = report_on(lambda x: np.sum(x**1.5), np.array([0.0, 1.0, 2.0]), order=1)
    assert verdicts(report) == {"ok"}
    wrong = report_on(lambda x: np.sum(x**1.5), np.array([0.0, 1.0, 2.0]), gradient=lambda x: np.where(x == 0, 5.0, 1.5 * np.sqrt(x)))
    assert indices(wrong, "wrong") == [(0,)]
    assert "fn is defined on one side only" in notes(wrong)
    everywhere = report_on(lambda x: np.sum(x**1.5), np.zeros(100), order=1)
    assert not everywhere.ok
    assert "fn is not defined on both sides here" in notes(everywhere)


def test_points_beside_that_are_out_of_the_domain_cause_no_warning():
    x = np.array([0.0, 2.0, 0.5])
    assert gradcheck(lambda x: np.sum(np.abs(x) + np.sqrt(x + 1e-3)), x).having("kink")


def test_points_beside_that_the_function_refuses():
    """One percent away from a matrix that is barely positive definite, Cholesky raises."""
    _, v = np.linalg.eigh(positive(0))
    a = (v * np.array([1e-4, 1, 2, 3])) @ v.T
    report = report_on(lambda x: np.sum(np.linalg.cholesky((x + x.T) / 2)) + np.sum(np.abs(x - a)), a)
    assert report.ok
    assert report.having("kink")


# -- the parts -----------------------------------------------------------------------------------------


def line(fn, x, slope):
    values = lambda x: np.atleast_1d(fn(x))
    return Line(values, np.ones(1), values(np.asarray(x)), np.asarray(x), np.asarray(slope), np.asarray(1.0), EPS)


def test_one_sided_slopes_are_extrapolated():
    along = line(lambda x: np.abs(x) * np.exp(3 * x) + x, 0.0, 1.0)
    sides = along.sides(along.at(2.0**-17))
    assert (sides.left, sides.right) == pytest.approx((0, 2), abs=1e-9)
    assert abs(sides.right - 2) <= sides.error < 1e-4
    assert sides.apart(0)
    assert sides.hold(0, 0)
    assert not sides.hold(2.1, 0)
    smooth = line(lambda x: np.exp(3 * x), 0.0, 3.0)
    assert not smooth.sides(smooth.at(2.0**-17)).apart(0)


def test_noise_is_no_kink():
    rng = np.random.default_rng(0)
    for _ in range(100):
        noisy = line(lambda x: np.sin(x) + 1e-8 * rng.normal(), 0.5, np.cos(0.5))
        assert not noisy.sides(noisy.at(2.0**-17)).apart(0)


def test_a_step_is_measured_once():
    calls = []

    def fn(x):
        calls.append(x)
        return np.exp(x)

    along = line(fn, 1.0, np.e)
    assert along.at(0.5) == along.at(0.5)
    assert len(calls) == 3

"""The checker checked: with right gradients, with wrong ones of every kind, and where differences are difficult."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr.check.gradcheck import GradientError, gradcheck


def waves(x):
    """A function whose gradient is sin(2 x)."""
    return np.sum(np.sin(x) ** 2)


def points(n, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=n).astype(dtype)


def report_on(fn, *inputs, **options):
    return gradcheck(fn, *inputs, raise_error=False, **options)


def wrong_indices(report):
    return sorted({row.index for row in report.wrong})


def notes(report):
    return " | ".join(report.notes)


# -- right gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (2, 3, 4), (0, 3)])
def test_right_gradients_of_every_shape_pass(shape, dtype):
    report = gradcheck(lambda x: np.sum(np.tanh(x) * x), np.random.default_rng(0).normal(size=shape).astype(dtype))
    assert report
    assert [row.order for row in report.rows] == [1, 2]
    assert all(row.verdict == "ok" for row in report.rows)
    assert all(row.error < (1e-9 if dtype == np.float64 else 1e-6) for row in report.rows)


def test_a_right_gradient_takes_ten_evaluations_whatever_its_size():
    assert gradcheck(waves, points(10), order=1).evaluations <= 10
    assert gradcheck(waves, points(10_000), order=1).evaluations <= 10


def test_several_inputs_and_outputs_of_any_structure():
    def fn(params, x):
        z = x @ params["w"] + params["b"]
        return {"z": z, "both": (np.exp(z), [np.sum(z), np.argmax(z)]), "nothing": None, "mask": z > 0}

    params = {"w": points((3, 2)), "b": points(2, 1)}
    report = gradcheck(fn, params, points((4, 3), 2))
    assert [row.path for row in report.rows if row.order == 1] == ["params.w", "params.b", "x"]
    assert report.ok


def test_functions_that_need_tensors():
    assert gradcheck(lambda t: (t.detach() * t).mT.sum(), points((2, 2)), order=1, raise_error=False).wrong  # differences see through detach
    assert gradcheck(lambda t: (t * t).mT.copy().astype(float), points((2, 2)))


def test_own_gradients_and_none():
    x, y = points(3), points(3, 1)
    assert gradcheck(lambda x, y: np.sum(x * y), x, y, gradient=lambda x, y: (y, x))
    report = gradcheck(lambda x, y: np.sum(x * y), x, y, gradient=lambda x, y: (y, None))
    assert [row.path for row in report.rows] == ["x"]


def test_names_of_inputs():
    def paths(fn, *xs):
        return [row.path for row in gradcheck(fn, *xs, order=1).rows]

    assert paths(lambda weight, bias: weight * bias, 1.0, 2.0) == ["weight", "bias"]
    assert paths(lambda *xs: xs[0] * xs[1], 1.0, 2.0) == ["xs.0", "xs.1"]
    assert paths(np.multiply, 1.0, 2.0) == ["x1", "x2"]
    assert paths(np.sin, 1.0) == ["x"]


@pytest.mark.parametrize("layout", ["transposed", "reversed", "read-only", "every other"])
def test_inputs_of_any_layout_are_left_as_they_were(layout):
    base = points((6, 4))
    x = {"transposed": base.T, "reversed": base[::-1], "read-only": base, "every other": base[::2]}[layout]
    x.flags.writeable = layout != "read-only"
    before = x.copy()
    report = gradcheck(lambda x: np.sum(x**3), x, gradient=lambda x: 3 * x**2)
    assert report.ok
    assert gradcheck(lambda x: x**3, x)
    np.testing.assert_array_equal(x, before)


def test_a_function_that_writes_into_its_argument_gets_copies():
    def fn(x):
        x *= 2
        return np.sum(x**2)

    x = points(5)
    before = x.copy()
    assert gradcheck(fn, x, gradient=lambda x: 8 * x)
    np.testing.assert_array_equal(x, before)


# -- wrong gradients: single elements ------------------------------------------------------------------

FAULTS = {
    "zero": lambda g, j: 0.0,
    "twice": lambda g, j: 2 * g[j],
    "sign": lambda g, j: -g[j],
    "2 percent": lambda g, j: 1.02 * g[j],
    "not finite": lambda g, j: np.nan,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [1, 10, 100, 1000, 10_000])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_single_wrong_element_is_found_and_named(fault, n, dtype):
    found = 0
    for trial in range(20):
        j = int(np.random.default_rng(trial).integers(n))

        def gradient(x, j=j):
            g = np.sin(2 * x)
            g[j] = FAULTS[fault](g, j)
            return g

        report = report_on(waves, points(n, trial, dtype), gradient=gradient, rng=trial)
        found += wrong_indices(report) == [(j,)]
        assert report.evaluations <= 20
    assert found >= 19  # one in twenty may be an element that happens to be almost 0


@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_several_wrong_elements_are_all_named(count):
    for trial in range(10):
        rng = np.random.default_rng(trial)
        where = rng.choice(3000, count, replace=False)

        def gradient(x, where=where, rng=rng):
            g = np.sin(2 * x)
            g[where] *= 1.5
            return g

        report = report_on(waves, 0.3 + rng.uniform(size=3000), gradient=gradient)
        assert wrong_indices(report) == sorted((int(i),) for i in where)
        assert notes(report) == "x: each wrong element is 3/2 times the right one"


def test_full_mode_compares_every_element():
    def gradient(x):
        g = np.sin(2 * x)
        g[[2, 3, 7]] += 1e-4
        return g

    assert wrong_indices(report_on(waves, points(10), gradient=gradient, mode="full")) == [(2,), (3,), (7,)]
    assert gradcheck(waves, points(10), mode="full")


def test_tolerances():
    def gradient(x):
        return np.sin(2 * x) * (1 + 1e-4)

    assert not report_on(waves, points(10), gradient=gradient)
    assert gradcheck(waves, points(10), gradient=gradient, rtol=1e-3)
    assert gradcheck(waves, points(10), gradient=gradient, atol=1e-3)


def test_the_error_is_an_assertion_with_a_table():
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda weight: np.sum(weight**2), points((2, 3)), gradient=lambda w: 2 * w * [1, 1, 0])
    assert isinstance(caught.value, AssertionError)
    assert not caught.value.report
    lines = str(caught.value).splitlines()
    assert lines[0] == "The gradient is wrong: weight[0, 2], weight[1, 2]."
    header, *rows = lines[2:]
    assert header.split() == ["element", "shape", "order", "analytic", "numeric", "rel.", "error", "verdict", "note"]
    assert [row.index("wrong") for row in rows] == [header.index("verdict")] * 2


# -- wrong gradients: kinds ----------------------------------------------------------------------------


def scaled(factor):
    return lambda x: factor * np.sin(2 * x)


@pytest.mark.parametrize(
    "gradient, note",
    [
        (scaled(2), "every element is 2 times the right one"),
        (scaled(0.5), "every element is 1/2 times the right one"),
        (scaled(-1), "every element is -1 times the right one: the sign is wrong"),
        (scaled(1 / 12), "every element is 1/12 of the right one, and 12 is a size here: divided by it once too often"),
        (scaled(3), "every element is 3 times the right one, and 3 is a size here: a division by it is missing"),
        (scaled(0), "the gradient is zero everywhere"),
        (lambda x: np.sin(2 * x).reshape(4, 3).T, "the gradient is transposed"),
        (lambda x: np.roll(np.sin(2 * x), 1, axis=1), "right values at the wrong index: all are shifted by 1 along axis 1"),
        (lambda x: np.sin(2 * x)[::-1], "right values at the wrong index: the order is reversed along axis 0"),
        (lambda x: np.stack([np.sin(2 * x)] * 5) / 5, "the sum over the broadcast axis 0 is missing"),
        (lambda x: np.sin(2 * x)[:, None], "the gradient has shape (3, 1, 4), the input (3, 4)"),
        (lambda x: np.sin(2 * x)[:2], "the gradient has shape (2, 4), the input (3, 4)"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_patterns_of_own_gradients(gradient, note, dtype):
    report = report_on(waves, points((3, 4), dtype=dtype), gradient=gradient)
    assert not report
    assert note in notes(report)
    assert report.evaluations < 32


def test_a_square_gradient_that_is_transposed():
    assert "transposed" in notes(report_on(waves, points((5, 5)), gradient=lambda x: np.sin(2 * x).T))


def moved(x):
    g = np.sin(2 * x)
    g[5] += g[2]
    g[2] = 0
    return g


def swapped(x):
    g = np.sin(2 * x)
    g[[2, 5]] = g[[5, 2]]
    return g


def copied(x):
    g = np.sin(2 * x)
    g[2] = g[5]
    return g


@pytest.mark.parametrize(
    "gradient, remarks",
    [
        (moved, {(2,): "zero; its value arrived at [5]", (5,): "holds what belongs to [2]"}),
        (swapped, {(2,): "the value that belongs to [5]", (5,): "the value that belongs to [2]"}),
        (copied, {(2,): "the same value as at [5]"}),
    ],
)
def test_remarks_on_elements(gradient, remarks):
    report = report_on(waves, points(100), gradient=gradient)
    assert {row.index: row.note for row in report.wrong} == remarks


def squared(rule):
    """x^2 with a given derivative."""
    return tg.primitive(lambda x: x**2, rule)


WRONG_RULES = {
    "twice": (lambda g, y, x: g * 4 * x, "every element is 2 times the right one"),
    "sign": (lambda g, y, x: -g * 2 * x, "the sign is wrong"),
    "zero": (lambda g, y, x: g * 0 * x, "zero everywhere"),
    "no product": (lambda g, y, x: 2 * x + 0 * g, "does not depend on the incoming gradient"),
    "a part": (lambda g, y, x: g * 2 * x + 1, "does not grow with the incoming gradient"),
    "transposed": (lambda g, y, x: (g * 2 * x).T, "transposed"),
    "shifted": (lambda g, y, x: np.roll(g * 2 * x, 1, axis=0), "shifted by 1"),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", WRONG_RULES)
def test_wrong_rules_at_first_order(kind, dtype):
    rule, note = WRONG_RULES[kind]
    bad = squared(rule)
    report = report_on(lambda x: np.sin(bad(x)), points((4, 4), dtype=dtype))
    assert report.wrong
    assert {row.order for row in report.wrong} == {1}
    assert note in notes(report)
    assert "at fault: the rule of <lambda> for its argument 0" in notes(report)
    assert {row.op for row in report.wrong} == {"<lambda>"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", WRONG_RULES)
def test_wrong_rules_at_second_order(kind, dtype):
    """The first derivative of the cube is right, and calls a square whose own derivative is wrong."""
    bad = squared(WRONG_RULES[kind][0])
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * bad(x))
    report = report_on(cube, points((4, 4), dtype=dtype))
    assert report.wrong
    assert {row.order for row in report.wrong} == {2}
    assert gradcheck(cube, points((4, 4), dtype=dtype), order=1)


def test_a_missing_product_shows_even_where_the_incoming_gradient_is_1():
    bad = squared(lambda g, y, x: 2 * x)
    report = report_on(lambda x: np.sum(x) + bad(x[0]), points(3))
    assert "the gradient does not grow with the incoming gradient g: some rule does not multiply by it" in notes(report)
    report = report_on(bad, np.float64(3.0))
    assert [row.note for row in report.wrong] == ["with an incoming gradient of 2"]


def test_a_missing_sum_over_a_broadcast_axis():
    x, b = points((4, 3)), points(3, 1)
    shape = tg.primitive(lambda x, b: x + b, lambda g, y, x, b: g, lambda g, y, x, b: g)
    report = report_on(lambda x, b: shape(x, b) ** 2, x, b)
    assert {row.path for row in report.wrong} == {"b"}
    assert "sum over the axes along which it was broadcast" in notes(report)
    for part, which in ((0, "first"), (-1, "last")):
        slice_of = tg.primitive(lambda x, b: x + b, lambda g, y, x, b: g, lambda g, y, x, b, part=part: g[part])
        report = report_on(lambda x, b, add=slice_of: add(x, b) ** 2, x, b)
        assert {row.path for row in report.wrong} == {"b"}
        assert f"b: only the {which} slice of the result along axis 0 counts: the sum over that broadcast axis is missing" in notes(report)
    mean = tg.primitive(lambda x, b: x + b, lambda g, y, x, b: g, lambda g, y, x, b: g.mean(axis=0))
    assert "1/4 of the right one, and 4 is a size here" in notes(report_on(lambda x, b: mean(x, b) ** 2, x, b))


def test_a_third_order():
    bad = squared(lambda g, y, x: g * 4 * x)
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * bad(x))
    fourth = tg.primitive(lambda x: x**4 / 4, lambda g, y, x: g * cube(x))
    assert gradcheck(fourth, points(3), order=2)
    assert {row.order for row in report_on(fourth, points(3), order=3).wrong} == {3}


# -- no false alarms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_kinks_are_named_and_are_no_errors(n):
    x = points(n)
    x[: min(n, 3)] = 0
    report = gradcheck(lambda x: np.sum(tg.relu(x)), x)
    kinks = [row for row in report.having("kink") if row.order == 1]
    assert [row.index for row in kinks] == [(i,) for i in range(min(n, 3))]
    assert {row.note for row in kinks} == {"slopes 0 and 1 on its two sides"}


def test_kinks_everywhere():
    assert gradcheck(lambda x: np.sum(tg.relu(x) * 3), np.zeros(500)).having("kink")
    assert gradcheck(lambda x: np.sum(np.maximum(x, 0)), np.zeros(500), gradient=lambda x: np.where(x >= 0, 1.0, 0.0)).having("kink")


def test_an_error_beside_kinks_is_found():
    bad = tg.primitive(lambda x: np.maximum(x, 0.0), lambda g, y, x: g * (x > 0) * 0.9)
    assert report_on(lambda x: np.sum(bad(x)), np.zeros(50)).wrong


def test_a_value_outside_the_slopes_of_a_kink_is_wrong():
    report = report_on(lambda x: np.sum(np.abs(x)), np.array([0.0, 1.0, -2.0]), gradient=lambda x: np.where(x == 0, 1.5, np.sign(x)))
    assert wrong_indices(report) == [(0,)]


def test_a_kink_nearby_is_no_error():
    for distance in (1e-3, 1e-5, 1e-7, 1e-9, -1e-6):
        assert not gradcheck(lambda x: np.sum(np.abs(x)), np.array([distance, 1.0])).having("kink")


def test_ties_of_a_maximum():
    assert gradcheck(np.max, np.array([1.0, 1.0, 0.5]))


@pytest.mark.parametrize("seed", range(20))
def test_a_noisy_function_limits_precision_and_is_not_wrong(seed):
    rng = np.random.default_rng(seed)
    report = gradcheck(lambda x: np.sum(np.sin(x)) * (1 + 1e-8 * rng.normal()), points(50, seed), gradient=np.cos, rng=seed)
    (row,) = report.rows
    assert row.verdict == "precision"
    assert row.note.startswith("fn has noise of about ")
    assert row.note.endswith((" of the whole gradient cannot be seen", "the gradient is hidden by rounding"))
    assert abs(row.analytic - row.numeric) < 1e-3


def test_a_noisy_function_of_tensors():
    rng = np.random.default_rng(0)
    report = gradcheck(lambda x: np.sum(np.sin(x)) * (1 + 1e-8 * rng.normal()), points(50))
    assert {row.verdict for row in report.rows} == {"precision"}


def test_errors_just_within_the_tolerance_pass():
    for seed in range(50):
        assert gradcheck(waves, points(100, seed), gradient=lambda x: np.sin(2 * x) * (1 + 0.9e-6), rng=seed)


def test_a_wrong_element_of_a_noisy_function_is_found():
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        report = report_on(
            lambda x, rng=rng: np.sum(np.sin(x)) * (1 + 1e-8 * rng.normal()), points(50, seed), gradient=lambda x: np.cos(x) * (np.arange(50) != 7), rng=seed
        )
        found += wrong_indices(report) == [(7,)]
    assert found >= 19


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("n", [1, 100])
def test_inputs_of_any_scale(scale, n):
    x = points(n) * scale
    for fn in (lambda x: np.sum(np.sin(x / scale)), lambda x: np.sum(x**2), lambda x: np.exp(x / scale) * 1e5, lambda x: np.sum(np.sin(x))):
        report = gradcheck(fn, x)
        assert not report.having("kink")

    def gradient(x):
        g = np.cos(x / scale) / scale
        g[n // 2] = 0
        return g

    assert wrong_indices(report_on(lambda x: np.sum(np.sin(x / scale)), x, gradient=gradient)) == [(n // 2,)]


def test_small_inputs_of_a_function_of_ordinary_scale():
    x = points(20) * 1e-12
    assert all(row.verdict == "ok" and row.error < 1e-6 for row in gradcheck(lambda x: np.sum(np.exp(x)), x).rows)
    assert "zero everywhere" in notes(report_on(lambda x: np.sum(np.exp(x)), x, gradient=lambda x: 0 * x))


def test_inputs_of_mixed_scales():
    x = np.array([1e-12, 1e-3, 1.0, 1e3, 1e12])
    scale = x.copy()
    assert gradcheck(lambda x: np.sum(np.sin(x / scale)), x)


def test_a_large_constant_is_seen_through_by_a_complex_step():
    report = gradcheck(lambda x: 1e9 + np.sum(np.sin(x)), points(10), order=1)
    assert report.rows[0].verdict == "ok"
    assert report.rows[0].error < 1e-9


def test_a_complex_step_that_loses_its_imaginary_part_is_not_believed():
    assert gradcheck(lambda x: np.sum(np.abs(x) ** 3) + np.sum(np.real(x)), points(10))
    assert "zero everywhere" in notes(report_on(lambda x: np.sum(np.abs(x) ** 3), points(10), gradient=lambda x: 0 * x))


def test_flat_functions():
    assert gradcheck(lambda x: np.sum(tg.softmax(x)), points(10)).ok
    assert gradcheck(lambda x: np.sum(x) * 0 + 3.0, points(10)).ok
    assert gradcheck(lambda x: np.floor(x) * 2, points(10)).ok


def test_steep_functions():
    assert gradcheck(lambda x: np.exp(1000 * x), points(5) / 2)
    assert gradcheck(lambda x: tg.sigmoid(1e6 * x), points(5) * 1e-6)
    assert gradcheck(lambda x: np.sum(np.log(x)), np.array([1e-9, 1.0, 1e9]))
    assert gradcheck(lambda x: np.sqrt(x), np.array([1e-14, 1.0]))


def test_float32_is_differenced_in_float64():
    report = gradcheck(lambda x: np.sum(np.exp(x)), points(100, dtype=np.float32))
    assert all(row.verdict == "ok" and row.error < 1e-6 for row in report.rows)


def test_float32_that_loses_a_gradient_is_reported_as_precision():
    report = gradcheck(lambda x: np.sum(((x + 1e5) - 1e5) ** 2), points(10, dtype=np.float32))
    assert report.rows[0].verdict == "precision"
    assert report.rows[0].note == "right in float64, lost in float32"


def test_float32_that_overflows_is_wrong():
    with np.errstate(over="ignore", invalid="ignore"):
        report = report_on(lambda x: np.sum(np.exp(x)), np.array([1.0, 100.0], np.float32), order=1)
    assert report.wrong
    assert "right in float64" in report.wrong[0].note


def test_no_false_alarm_in_many_trials():
    for trial in range(100):
        rng = np.random.default_rng(trial)
        x = rng.normal(size=10 ** rng.integers(0, 4)) * 10.0 ** rng.integers(-3, 4)
        assert gradcheck(lambda x: np.sum(np.sin(x) * np.abs(x) + tg.relu(x) ** 2), x, rng=rng)


def test_the_same_on_every_run():
    first, second = (report_on(waves, points(100), gradient=scaled(2)) for _ in range(2))
    assert first == second


# -- messages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: gradcheck(np.sum, np.arange(3)), TypeError, r"must be floating: a has dtype int64\. .*x\.astype\(float\)"),
        (lambda: gradcheck(lambda n: n * 2.0, 3), TypeError, "n has dtype int64"),
        (lambda: gradcheck(lambda x, k: x * k, 1.0, 2), TypeError, r"k has dtype int64.*lambda x: fn\(x, k\)"),
        (lambda: gradcheck(np.sin, np.array([1 + 2j])), TypeError, "complex128"),
        (lambda: gradcheck(np.argmax, np.ones(2)), TypeError, "returns floating numbers, this one returned none"),
        (lambda: gradcheck(np.sin), TypeError, "at least one input"),
        (lambda: gradcheck(np.log, np.array([0.0]), order=1), ValueError, "finite"),
        (lambda: gradcheck(np.sin, 1.0, mode="slow"), ValueError, "'slow'"),
        (lambda: gradcheck(np.sin, 1.0, order=0), ValueError, "at least 1"),
        (lambda: gradcheck(np.sin, np.ones(2), gradient=np.cos), ValueError, "single number, this one returns 2"),
        (lambda: gradcheck(np.multiply, 1.0, 2.0, gradient=lambda a, b: b), ValueError, r"one array per input: 2 \(x1, x2\), got 1"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_errors_of_the_function_pass_through():
    def broken(x):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        gradcheck(broken, 1.0)


def test_a_rule_by_a_solver_with_a_tolerance_is_no_alarm():
    """Twice the incoming gradient yields twice the gradient only to some 1e-8, as for an adjoint ODE with adaptive steps."""
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2 * (1 + 1e-8 * np.sin(1e3 * np.sum(g))))
    assert tg.gradcheck(lambda x: np.sum(cube(x)), np.array([0.5, 1.0, 2.0]), order=1)


# -- how far an element may be off ---------------------------------------------------------------------


@pytest.mark.parametrize("n, mode", [(1, "fast"), (1, "full"), (3, "full")])
@pytest.mark.parametrize("options", [{}, {"rtol": 1e-4}, {"rtol": 0.0, "atol": 1e-4}, {"rtol": 1e-4, "atol": 1e-4}], ids=str)
def test_the_tolerance_of_a_single_element_is_what_it_says(options, n, mode):
    """atol + rtol |element|: nine tenths of it pass, twice as much does not."""
    x = np.linspace(0.4, 1.1, n)
    tolerance = options.get("atol", 0.0) + options.get("rtol", 1e-6) * np.abs(np.sin(2 * x[-1]))

    def off_by(error):
        return report_on(waves, x, gradient=lambda x: np.sin(2 * x) + error * (np.arange(n) == n - 1), mode=mode, **options)

    assert off_by(0.9 * tolerance)
    assert off_by(-0.9 * tolerance)
    assert wrong_indices(off_by(2 * tolerance)) == [(n - 1,)]
    assert wrong_indices(off_by(-2 * tolerance)) == [(n - 1,)]


@pytest.mark.parametrize("options", [{"rtol": 0.0, "atol": 1e-3}, {"rtol": 1e-3}], ids=str)
def test_many_errors_within_the_tolerance_are_not_searched_for(options):
    """They add up at random, to a few times the root of the sum of their squares; a gradient that passes takes ten evaluations."""
    for seed in range(20):
        signs = np.random.default_rng(seed).choice((-0.9, 0.9), 500)
        error = signs * 1e-3
        gradient = lambda x, error=error: np.sin(2 * x) + (error if "atol" in options else error * np.sin(2 * x))
        report = gradcheck(waves, points(500, seed), gradient=gradient, rng=seed, **options)
        assert report.evaluations <= 10

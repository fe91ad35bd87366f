"""`grad` and `value_and_grad`: which arguments, derivatives within derivatives, and wrong use."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import tinygrad_lr as tg

W = np.array([1.0, -2.0, 0.5])


# -- values --------------------------------------------------------------------------------------------


def test_numbers_give_numbers():
    value, slope = tg.value_and_grad(lambda x: x**3)(2.0)
    assert (value, slope) == (8.0, 12.0)
    assert type(value) is type(slope) is np.float64


def test_arrays_give_arrays():
    value, slope = tg.value_and_grad(lambda w: np.sum(w**2))(W)
    assert value == 5.25
    assert type(slope) is np.ndarray
    np.testing.assert_array_equal(slope, 2 * W)
    np.testing.assert_array_equal(tg.grad(lambda w: np.sum(w**2))(W), 2 * W)


def test_float32_gives_float32():
    value, slope = tg.value_and_grad(lambda w: np.mean(w * 2))(W.astype(np.float32))
    assert value.dtype == slope.dtype == np.float32


def test_a_gradient_is_an_array_of_its_own():
    a, b = tg.grad(lambda a, b: np.sum(a + b), (0, 1))(W, W)
    assert a.flags.writeable
    assert b.flags.writeable
    assert not np.shares_memory(a, b)
    assert not np.shares_memory(tg.grad(lambda w: 0.5 * np.sum(w * w))(W), W)


def test_lists_are_arrays_where_the_function_makes_them_so():
    slope = tg.grad(lambda x, data: np.sum(x * data))(2.0, [1.0, 2.0])
    assert slope == 3.0


# -- which arguments -----------------------------------------------------------------------------------


def weighted(a, b, c=3.0, *, factor=1.0):
    return factor * (a**2 * b + c * a)


@pytest.mark.parametrize("argnums, slope", [(0, 2 * 2 * 5 + 7), (1, 4), (2, 2), (-1, 2), (-3, 2 * 2 * 5 + 7)])
def test_argnums(argnums, slope):
    assert tg.grad(weighted, argnums)(2.0, 5.0, 7.0) == slope
    assert tg.value_and_grad(weighted, argnums)(2.0, 5.0, 7.0, factor=10.0) == (340.0, 10 * slope)


@pytest.mark.parametrize("argnums, slopes", [((0, 1), (27.0, 4.0)), ((1, 0), (4.0, 27.0)), ((2,), (2.0,)), ((0, -1), (27.0, 2.0))])
def test_several_argnums(argnums, slopes):
    found = tg.grad(weighted, argnums)(2.0, 5.0, 7.0)
    assert type(found) is tuple
    assert found == slopes
    assert tg.value_and_grad(weighted, argnums)(2.0, 5.0, 7.0) == (34.0, slopes)


def test_other_spellings_of_argnums():
    assert tg.grad(weighted, np.int64(1))(2.0, 5.0) == 4.0
    assert tg.grad(weighted, [0, 1])(2.0, 5.0, 7.0) == (27.0, 4.0)
    assert tg.grad(weighted, range(2))(2.0, 5.0, 7.0) == (27.0, 4.0)


def test_the_same_array_twice():
    a, b = tg.grad(lambda a, b: np.sum(a * b**2), (0, 1))(W, W)
    np.testing.assert_array_equal(a, W**2)
    np.testing.assert_array_equal(b, 2 * W * W)


def test_other_arguments_pass_through_as_they_are():
    marker = object()

    def fn(x, other, *, key):
        assert other is marker
        assert key is marker
        return x * 2

    assert tg.grad(fn)(1.0, marker, key=marker) == 2


def test_the_name_and_docstring_stay():
    def loss(w):
        """Half the square."""
        return w * w / 2

    for wrapped in (tg.grad(loss), tg.value_and_grad(loss)):
        assert (wrapped.__name__, wrapped.__doc__) == ("loss", "Half the square.")
    assert tg.grad(functools.partial(weighted, b=5.0))(2.0) == 23.0


# -- derivatives of derivatives ------------------------------------------------------------------------


def test_nested():
    grad = tg.grad
    assert grad(grad(grad(lambda x: x**4)))(2.0) == 48.0
    assert grad(grad(grad(grad(grad(lambda x: x**4)))))(2.0) == 0.0
    for order, want in enumerate([np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]):
        fn = np.sin
        for _ in range(order):
            fn = grad(fn)
        assert fn(0.7) == pytest.approx(want(0.7), rel=1e-14)


def test_nested_over_different_arguments():
    mixed = tg.grad(tg.grad(lambda a, b: a**2 * b**3, 0), 1)
    assert mixed(2.0, 3.0) == 2 * 2 * 3 * 9


def test_nested_value_and_grad():
    def outer(x):
        value, slope = tg.value_and_grad(lambda y: y**3)(x)
        return value + slope

    assert tg.value_and_grad(outer)(2.0) == (8 + 12, 12 + 12)


def test_perturbations_are_not_confused():
    grad = tg.grad
    assert grad(lambda x: x * grad(lambda y: x + y)(x))(1.0) == 1
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(2.0))(3.0) == 6
    assert grad(lambda x: x * grad(lambda y: x * y)(x))(3.0) == 6
    assert grad(lambda x: grad(lambda y: x * y * y)(x))(3.0) == 12  # d/dx of 2 x y at y = x


def test_closures_over_outer_variables():
    grad = tg.grad
    assert grad(lambda w: grad(lambda x: w * x * x)(2.0))(3.0) == 4
    assert grad(lambda w: grad(lambda v: grad(lambda x: w * v * x**3)(2.0))(5.0))(3.0) == 12
    assert grad(lambda w: w * grad(lambda x: x * x)(2.0))(3.0) == 4  # the inner one does not know w


def test_a_derivative_within_uses_its_value_as_a_plain_number():
    def newton(target):
        x = 1.0
        for _ in range(8):
            x = x - (x**2 - target) / tg.grad(lambda x: x**2)(x)
        return x

    assert newton(2.0) == pytest.approx(math.sqrt(2), rel=1e-15)
    assert tg.grad(newton)(2.0) == pytest.approx(0.5 / math.sqrt(2), rel=1e-12)


def test_by_arrays_within():
    """The gradient of |gradient|^2 of sum(w^3): 4 * 9 w^3."""
    outer = tg.grad(lambda w: np.sum(tg.grad(lambda v: np.sum(v**3))(w) ** 2))
    np.testing.assert_array_equal(outer(W), 36 * W**3)


def test_on_a_tracked_tensor_the_gradient_stays_in_its_graph():
    t = tg.Tensor(3.0, requires_grad=True)
    slope = tg.grad(lambda x: x**3)(t)
    assert type(slope) is tg.Tensor
    assert slope.item() == 27.0
    slope.backward()
    assert t.grad == 18.0


def test_under_no_grad():
    t = tg.Tensor(3.0, requires_grad=True)
    with tg.no_grad():
        assert tg.grad(lambda x: x**3)(2.0) == 12.0
        assert tg.grad(tg.grad(lambda x: x**3))(2.0) == 12.0
        assert tg.grad(lambda x: x**3)(t).item() == 27.0


def test_no_grad_within_cuts():
    def fn(x):
        with tg.no_grad():
            held = x * x
        return held * x

    assert tg.value_and_grad(fn)(3.0) == (27.0, 9.0)


def test_gradients_by_tensors_elsewhere_are_left_alone():
    w = tg.Tensor(2.0, requires_grad=True)
    tg.grad(lambda x: w * x)(3.0)
    assert w.grad is None


# -- independence --------------------------------------------------------------------------------------


def test_what_the_answer_does_not_depend_on_gets_zeros():
    a, b = tg.grad(lambda a, b: np.sum(a), (0, 1))(W, np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(a, np.ones(3))
    np.testing.assert_array_equal(b, np.zeros((2, 2), np.float32), strict=True)


@pytest.mark.parametrize("answer", [7.0, np.float64(7), np.array(7.0), tg.Tensor(7.0)], ids=["float", "np.float64", "array", "Tensor"])
def test_a_constant_answer(answer):
    value, slope = tg.value_and_grad(lambda w: answer)(W)
    assert value == 7
    np.testing.assert_array_equal(slope, np.zeros(3), strict=True)
    assert tg.grad(tg.grad(lambda x: answer))(1.0) == 0


def test_steps_have_slope_zero():
    np.testing.assert_array_equal(tg.grad(lambda w: np.sum(np.sign(w)))(W), np.zeros(3))


# -- wrong use -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [lambda w: w * 2, lambda w: W, lambda w: np.outer(w, w)], ids=["vector", "constant vector", "matrix"])
def test_an_answer_of_many_numbers(answer):
    shape = np.shape(answer(W))
    for derivative in (tg.grad, tg.value_and_grad):
        with pytest.raises(ValueError) as caught:
            derivative(answer)(W)
        found = f"this one returned an array of shape {shape}"
        assert str(caught.value) == f"grad() needs a function that returns a single number, {found}: sum it, or use jacobian()"


@pytest.mark.parametrize("answer", [lambda x: (x, x), lambda x: [x], lambda x: {"loss": x}])
def test_an_answer_in_a_structure(answer):
    with pytest.raises(ValueError) as caught:
        tg.grad(answer)(1.0)
    name = type(answer(1)).__name__
    assert str(caught.value) == f"grad() needs a function that returns a single number, this one returned {name}: sum it, or use jacobian()"


@pytest.mark.parametrize("answer", [None, "text", object()], ids=["None", "text", "object"])
def test_an_answer_that_is_no_number(answer):
    """Most often a forgotten return: a gradient of 0 would be believed."""
    with pytest.raises(ValueError, match=f"^grad\\(\\) needs a function that returns a single number, this one returned {type(answer).__name__}: "):
        tg.grad(lambda x: answer)(1.0)


@pytest.mark.parametrize("value", [3, [1, 2], np.arange(3), True])
def test_integers_have_no_gradients(value):
    with pytest.raises(TypeError, match=r"^only floating Tensors can require gradients, got dtype (int64|bool): write the numbers as floats"):
        tg.grad(lambda x: x)(value)


@pytest.mark.parametrize("argnums, least", [(2, 3), ((0, 2), 3), (-3, 3), ((0, -4), 4)])
def test_an_argument_that_is_not_there(argnums, least):
    with pytest.raises(TypeError, match=rf"^argnums .* needs {least} positional arguments, got 2$"):
        tg.grad(lambda a, b: a * b, argnums)(1.0, 2.0)


def test_no_argnums_at_all():
    with pytest.raises(ValueError, match="argnums"):
        tg.grad(lambda a: a, ())(1.0)


def test_an_error_in_the_function_leaves_nothing_behind():
    def fails(x):
        raise KeyError("inside")

    with pytest.raises(KeyError):
        tg.grad(fails)(1.0)
    assert type(tg.grad(lambda x: x * x)(1.0)) is np.float64  # not taken for a nested call
    with tg.no_grad():
        with pytest.raises(KeyError):
            tg.grad(fails)(1.0)
        assert not (tg.Tensor(1.0, requires_grad=True) * 2).requires_grad

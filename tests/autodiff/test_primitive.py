"""`primitive`: users' own functions with their own rules."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr.autodiff.rules import RULES

X = np.array([0.5, 1.0, 2.0])


def variable(data=X):
    return tg.Tensor(data, requires_grad=True)


# -- rules that work -----------------------------------------------------------------------------------


def test_a_function_of_ones_own():
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    t = variable()
    y = cube(t)
    np.testing.assert_array_equal(y.data, X**3)
    y.backward(np.ones(3))
    np.testing.assert_array_equal(t.grad, 3 * X**2)


def test_on_arrays_it_is_the_function():
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    assert cube(2) == 8
    assert type(cube(2)) is int
    assert type(cube(X)) is np.ndarray
    assert type(cube(tg.Tensor(X))) is tg.Tensor
    assert not cube(tg.Tensor(X)).requires_grad


def test_the_name_and_docstring_stay():
    def cube(x):
        """x^3."""
        return x**3

    again = tg.primitive(cube, lambda g, y, x: g * 3 * x**2)
    assert (again.__name__, again.__doc__) == ("cube", "x^3.")
    assert repr(again(variable([1.0]))) == "Tensor([1.], made by cube)"


def test_as_a_nodes_function_sees_plain_arrays():
    seen = []

    def forward(x):
        seen.append(type(x))
        return x * 2

    def rule(g, y, x):
        seen.extend([type(g), type(y), type(x)])
        return g * 2

    tg.primitive(forward, rule)(variable()).backward(np.ones(3))
    assert seen == [np.ndarray] * 4


def test_rules_of_numpy_functions_can_be_differentiated_again():
    cube = tg.primitive(lambda x: x**3, lambda g, y, x: g * 3 * x**2)
    from_answer = tg.primitive(np.vectorize(lambda x: float(np.exp(x))), lambda g, y, x: g * y)
    assert tg.grad(tg.grad(tg.grad(cube)))(2.0) == 6
    assert tg.grad(tg.grad(from_answer))(np.array(1.0)) == pytest.approx(np.e, rel=1e-15)


def test_several_arguments_and_settings():
    scaled = tg.primitive(
        lambda a, b, *, power=1: a * b**power,
        lambda g, y, a, b, *, power=1: g * b**power,
        lambda g, y, a, b, *, power=1: g * a * power * b ** (power - 1),
    )
    a, b = variable(X), variable(X + 1)
    scaled(a, b, power=3).backward(np.ones(3))
    np.testing.assert_array_equal(a.grad, (X + 1) ** 3)
    np.testing.assert_array_equal(b.grad, X * 3 * (X + 1) ** 2)
    a = variable(X)
    scaled(a, X).backward(np.ones(3))
    np.testing.assert_array_equal(a.grad, X)
    assert tg.grad(scaled, (0, 1))(2.0, 3.0, power=2) == (9.0, 12.0)


def test_none_stops_the_gradient():
    gate = tg.primitive(lambda x, mask: x * mask, lambda g, y, x, mask: g * mask, None)
    x, mask = variable(), variable(np.array([1.0, 0.0, 1.0]))
    gate(x, mask).backward(np.ones(3))
    np.testing.assert_array_equal(x.grad, [1.0, 0.0, 1.0])
    assert mask.grad is None


def test_a_straight_through_rule():
    rounded = tg.primitive(lambda x: np.round(x), lambda g, y, x: g)
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(rounded(x) * X))(X), X)


@pytest.fixture
def forgotten():
    """Rules given to NumPy's functions in a test are forgotten after it."""
    before = dict(RULES)
    yield
    for func in RULES.keys() - before:
        del RULES[func]


def test_a_numpy_function_gets_a_rule(forgotten):
    assert tg.primitive(np.i0, lambda g, y, x: g * np.exp(x)) is np.i0
    t = variable()
    np.i0(t).backward(np.ones(3))
    np.testing.assert_array_equal(t.grad, np.exp(X))
    np.testing.assert_array_equal(np.i0(X), np.i0(tg.Tensor(X)).data)


def test_a_rule_of_ones_own_can_be_replaced(forgotten):
    for slope in (7, 8):
        tg.primitive(np.i0, lambda g, y, x, slope=slope: g * slope)
        assert tg.grad(np.i0)(0.5) == slope


@pytest.mark.parametrize("func", [np.exp, np.sum, np.median, np.divmod], ids=lambda func: func.__name__)
def test_a_gradient_that_is_there_is_not_replaced(func):
    before = RULES.get(func)
    with pytest.raises(TypeError) as caught:
        tg.primitive(func, lambda g, y, x: g * 7)
    name = f"np.{func.__name__}"
    assert str(caught.value) == (
        f"{name} has a gradient already, and another would replace it for all code in this process: "
        f"give your rule to a function of your own, tg.primitive(lambda x: {name}(x), ...)"
    )
    assert RULES.get(func) is before
    assert tg.grad(tg.primitive(lambda x: np.exp(x), lambda g, y, x: g * 7))(0.0) == 7
    assert tg.grad(np.exp)(0.0) == 1


def test_a_ufunc_gets_a_rule(forgotten):
    assert tg.primitive(np.spacing, lambda g, y, x: g * 0) is np.spacing
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(np.spacing(x) + x))(X), np.ones(3))


def test_a_ufunc_of_another_library_gets_a_rule(forgotten):
    special = pytest.importorskip("scipy.special")
    tg.primitive(special.dawsn, lambda g, y, x: g * (1 - 2 * x * y))
    assert tg.grad(tg.grad(special.dawsn))(0.5) == pytest.approx(-2 * special.dawsn(0.5) - (1 - special.dawsn(0.5)), rel=1e-14)


@pytest.mark.parametrize("slope", [0, 2.0, np.float64(2.0), np.array(2.0)], ids=["int", "float", "np.float64", "array"])
def test_a_rule_may_give_any_kind_of_number(slope):
    line = tg.primitive(lambda x: slope * x, lambda g, y, x: slope)
    assert tg.grad(line)(3.0) == slope
    t = variable(3.0)
    line(t).backward()
    assert (t.grad, t.grad.dtype) == (slope, np.float64)


def test_a_rule_may_give_a_list():
    total = tg.primitive(lambda x: np.sum(x), lambda g, y, x: [g, g, g])
    np.testing.assert_array_equal(tg.grad(total)(X), np.ones(3))


def test_a_rule_in_another_type_is_brought_to_the_arguments():
    double = tg.primitive(lambda x: 2 * x, lambda g, y, x: np.full(x.shape, 2.0))
    t = variable(X.astype(np.float32))
    double(t).backward(np.ones(3))
    np.testing.assert_array_equal(t.grad, np.full(3, 2, np.float32), strict=True)


@pytest.mark.parametrize("call", [lambda fn, a, b: fn(a, b=b), lambda fn, a, b: fn(a=a, b=b), lambda fn, a, b: fn(b=b, a=a)], ids=["one", "both", "swapped"])
def test_tensors_by_keyword_count(call):
    """The rules are not the function's own derivative here, so that they are seen to be used."""
    fn = tg.primitive(lambda a, b: a * b, lambda g, y, a, b: g * 100, lambda g, y, a, b: g * 1000)
    a, b = variable(2.0), variable(3.0)
    y = call(fn, a, b)
    assert y.item() == 6.0
    assert [g.item() for g in tg.gradients(y, [a, b])] == [100.0, 1000.0]


# -- wrong rules ---------------------------------------------------------------------------------------


def sums(x, y):
    return np.sum(x * y)


@pytest.mark.parametrize(
    "rule, shape",
    [(lambda g, y, a, b: g, "()"), (lambda g, y, a, b: g * np.ones((2, 3)), "(2, 3)"), (lambda g, y, a, b: [1.0, 2.0], "(2,)")],
    ids=["scalar", "matrix", "list"],
)
def test_a_gradient_of_another_shape(rule, shape):
    fn = tg.primitive(sums, lambda g, y, a, b: g * b, rule)
    with pytest.raises(ValueError) as caught:
        tg.grad(fn, (0, 1))(X, X)
    assert str(caught.value) == (
        f"the rule of sums for argument 1 returned a gradient of shape {shape}, but the argument has shape (3,): sum over the axes along which it was broadcast"
    )


def test_a_gradient_that_is_none():
    fn = tg.primitive(sums, lambda g, y, a, b: None, None)
    with pytest.raises((TypeError, ValueError), match="rule of sums for argument 0"):
        tg.grad(fn)(X, X)


def test_more_arguments_than_rules():
    """Without a word the gradient by the second argument would be 0."""
    fn = tg.primitive(sums, lambda g, y, a, b: g * b)
    np.testing.assert_array_equal(tg.grad(fn)(X, X + 1), X + 1)
    with pytest.raises(TypeError) as caught:
        tg.grad(fn, 1)(X, X)
    assert str(caught.value) == "sums has no rule for its argument 1, which is a tracked Tensor: pass it as a plain array (t.numpy())"


def test_more_arguments_than_rules_of_a_numpy_function(forgotten):
    tg.primitive(np.nextafter, lambda g, y, a, b: g)
    with pytest.raises(TypeError) as caught:
        np.nextafter(X, variable())
    assert str(caught.value) == "np.nextafter has no rule for its argument 1, which is a tracked Tensor: pass it as a plain array (t.numpy())"


def test_what_is_no_function():
    with pytest.raises(TypeError) as caught:
        tg.primitive(3.0, lambda g, y: g)
    assert str(caught.value) == "primitive() needs a function first, got 3.0"


@pytest.mark.parametrize("rules", [(), (3.0,), (lambda g, y, x: g, "g")])
def test_what_is_no_rule(rules):
    with pytest.raises(TypeError) as caught:
        tg.primitive(sums, *rules)
    assert str(caught.value) == "primitive(sums, ...) needs one rule per argument: lambda g, y, *args: gradient"


# -- arguments that hold Tensors -----------------------------------------------------------------------


def line_of(seen=None):
    """w x + b for parameters in a dict, whose gradients are 10 and 100 times the right ones, so that the rules are seen to be used."""

    def rule(g, y, p, x):
        if seen is not None:
            seen.append((p, x))
        return {"w": 10 * g * x, "b": [100 * np.sum(g)]}

    return tg.primitive(lambda p, x: p["w"] * x + p["b"][0], rule, lambda g, y, p, x: g * p["w"])


def test_a_dict_of_tensors_as_an_argument():
    seen = []
    line = line_of(seen)
    p = {"w": variable(X), "b": [variable(2.0)]}
    y = line(p, X)
    np.testing.assert_array_equal(y.data, X * X + 2)
    np.sum(y).backward()
    np.testing.assert_array_equal(p["w"].grad, 10 * X)
    assert p["b"][0].grad == 300
    assert len(seen) == 1  # one call for all of them
    np.testing.assert_array_equal(seen[0][0]["w"], X)
    assert type(seen[0][0]["w"]) is np.ndarray


def test_a_structure_is_a_derivatives_argument():
    g = tg.grad(lambda p: np.sum(line_of()(p, X)))({"w": X, "b": [2.0]})
    np.testing.assert_array_equal(g["w"], 10 * X)
    assert g["b"] == [300.0]
    x = variable()
    np.sum(line_of()({"w": tg.Tensor(2.0), "b": [1.0]}, x)).backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))


def scale_and_shift(x, args=((1.0,), 0)):
    return x * args[0][0] + args[1]


SCALED = tg.primitive(scale_and_shift, lambda g, y, x, args: g * args[0][0], lambda g, y, x, args: ((np.sum(g * x),), None))


@pytest.mark.parametrize("call", [lambda p: SCALED(X, ((p,), 7)), lambda p: SCALED(X, args=((p,), 7))], ids=["position", "keyword"])
def test_a_tuple_of_a_tuple_as_an_ode_solver_has_it(call):
    """What is no Tensor may have any gradient, here None."""
    assert tg.grad(lambda p: np.sum(call(p) ** 2))(2.0) == pytest.approx(2 * np.sum((2 * X + 7) * X), rel=1e-14)
    assert tg.hessian(lambda p: np.sum(call(p) ** 2))(2.0) == pytest.approx(2 * np.sum(X * X), rel=1e-14)
    np.testing.assert_array_equal(tg.jacobian(call)(2.0), X)
    assert type(call(2.0)) is np.ndarray
    assert type(call(tg.Tensor(2.0))) is tg.Tensor


def test_types_in_a_structure_stay():
    seen = []

    def rule(g, y, p):
        return [np.ones(2, np.float32) * np.sum(g), np.sum(g), None]

    fn = tg.primitive(lambda p: (seen.append([getattr(x, "dtype", None) for x in p]), p[0] * p[1])[1], rule)
    a, b = variable(np.array([1.0, 2.0], np.float32)), variable(3.0)
    fn([a, b, tg.Tensor([1, 2])]).backward(np.ones(2))
    assert seen == [[np.float32, np.float64, np.int64]]
    np.testing.assert_array_equal(a.grad, np.full(2, 2, np.float32), strict=True)
    assert (b.grad, b.grad.dtype) == (2.0, np.float64)


@pytest.mark.parametrize(
    "gradient, message",
    [
        ({"w": X}, r"^the rule of <lambda> for argument 0 returned nothing at \['b'\]\[0\], but the argument has shape \(\) there: return the same structure$"),
        ([X, 1.0], r"returned nothing at \['w'\], but the argument has shape \(3,\) there"),
        (1.0, r"returned nothing at \['w'\]"),
        ({"w": 1.0, "b": [1.0]}, r"returned a gradient of shape \(\) at \['w'\], but the argument has shape \(3,\) there"),
        ({"w": X, "b": [None]}, r"returned nothing at \['b'\]\[0\]"),
    ],
)
def test_a_gradient_of_another_structure(gradient, message):
    line = tg.primitive(lambda p: p["w"] * p["b"][0], lambda g, y, p: gradient)
    with pytest.raises(ValueError, match=message):
        np.sum(line({"w": variable(), "b": [variable(2.0)]})).backward()


def test_a_structure_where_no_rule_is():
    fn = tg.primitive(lambda p, *, q=None: p * q[0], lambda g, y, p, *, q=None: g)
    with pytest.raises(TypeError, match=r"^<lambda>\(q=\.\.\.\) has no rule for a Tensor there: make it a positional argument, with a rule$"):
        fn(X, q=[variable()])
    fn = tg.primitive(lambda p, q: p * q[0], lambda g, y, p, q: g, None)
    q = variable()
    assert not fn(X, [tg.Tensor(2.0)]).requires_grad
    np.sum(fn(X, [q])).backward()
    assert q.grad is None


def test_a_primitive_that_returns_a_python_number():
    mean = tg.primitive(lambda x: float(np.mean(x)), lambda g, y, x: g * np.ones(x.shape) / x.size)
    assert type(mean(X)) is float
    assert mean(variable()).shape == ()
    np.testing.assert_allclose(tg.grad(mean)(X), np.full(3, 1 / 3), rtol=1e-15)
    rows = tg.primitive(lambda x: [float(v) * 2 for v in x], lambda g, y, x: g * 2)
    np.testing.assert_array_equal(tg.jacobian(rows)(X), 2 * np.eye(3))


@pytest.mark.parametrize("answer, kind", [((1.0, 2.0), "tuple"), (None, "NoneType"), ({"y": 1.0}, "dict")])
def test_a_primitive_that_returns_something_else(answer, kind):
    fn = tg.primitive(lambda x: answer, lambda g, y, x: g)
    with pytest.raises(TypeError, match=rf"^the primitive <lambda> returned a {kind}: it must return one array or number$"):
        tg.grad(fn)(1.0)


def test_keys_may_come_in_any_order_and_lists_for_arrays():
    fn = tg.primitive(lambda p, c: np.sum(p["w"]) * p["b"], lambda g, y, p, c: {"b": g * np.sum(p["w"]), "w": [g * p["b"]] * 3, "more": None}, None)
    g = tg.grad(fn)({"w": X, "b": 2.0}, {"ignored": [1.0]})
    np.testing.assert_array_equal(g["w"], np.full(3, 2.0))
    assert g["b"] == 3.5


# -- what a user's function and rule must not do -------------------------------------------------------


def doubled_in_place(x):
    x *= 2
    return x


def test_a_function_that_writes_into_its_argument_is_refused():
    double = tg.primitive(doubled_in_place, lambda g, y, x: 2 * g)
    with pytest.raises(ValueError, match=r"^the primitive doubled_in_place writes into an array that the graph holds: make a new one"):
        tg.grad(lambda x: np.sum(double(x) * x))(X)
    mine = X.copy()
    np.testing.assert_array_equal(double(mine), X * 2)  # on plain arrays it is the function itself


@pytest.mark.parametrize(
    "call", [lambda f, x, b: f(x, b=b), lambda f, x, b: f(x, {"b": b}), lambda f, x, b: f({"x": x}, {"b": b})], ids=["keyword", "structure", "flat"]
)
def test_a_rule_that_writes_into_other_arguments_is_refused(call):
    def rule(g, y, x, b):
        (b["b"] if isinstance(b, dict) else b)[...] += 1
        return g

    f = tg.primitive(lambda x, b: (x["x"] if isinstance(x, dict) else x) * 1.0, rule)
    with pytest.raises(ValueError, match=r"^the rule of <lambda> for argument 0 writes into an array that the graph holds"):
        tg.grad(lambda x: np.sum(call(f, x, np.ones(3))))(X)


def test_a_function_or_rule_that_hides_a_tracked_tensor_is_refused():
    k = variable(2.0)
    for scaled in (tg.primitive(lambda x: k * x, lambda g, y, x: g * 2), tg.primitive(lambda x: 2 * x, lambda g, y, x: k * g)):
        with pytest.raises(TypeError, match=r"returned a Tensor that depends on a tracked Tensor from outside: make that an argument"):
            np.sum(scaled(variable())).backward()
    constant = tg.Tensor(2.0)
    t = variable()
    np.sum(tg.primitive(lambda x: constant * x, lambda g, y, x: constant * g)(t)).backward()
    np.testing.assert_array_equal(t.grad, np.full(3, 2.0), strict=True)

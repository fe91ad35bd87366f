"""Cases at the edge of the core's code that a change of a single word would break unseen; found by mutating it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

NUMBERS = np.arange(24.0).reshape(2, 3, 4)


def tensor(data=NUMBERS):
    return tg.Tensor(data, requires_grad=True)


# -- ndarray's methods ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.mT,
        lambda t: t.real,
        lambda t: t.imag,
        lambda t: t.transpose(),
        lambda t: t.transpose(2, 0, 1),
        lambda t: t.transpose((2, 0, 1)),
        lambda t: t.transpose(None),
        lambda t: t.reshape(6, 4),
        lambda t: t.reshape((6, 4)),
        lambda t: t.reshape(-1),
        lambda t: t.reshape(np.int64(-1)),
        lambda t: t[0, 0].transpose(0),
    ],
)
def test_methods_that_move_axes_do_as_numpys(call):
    got = call(tensor())
    np.testing.assert_array_equal(got.data, call(NUMBERS), strict=True)
    weights = np.random.default_rng(0).normal(size=got.shape)
    slope = tg.grad(lambda x: np.sum(call(x) * weights))(NUMBERS)
    want = np.sum(call(np.ones(NUMBERS.shape)) * weights)  # these functions are linear
    assert np.sum(slope) == pytest.approx(want)


@pytest.mark.parametrize("name", ["sum", "mean", "cumsum", "argmax", "squeeze", "repeat", "dot"])
def test_methods_help_by_name(name):
    """What help(t.sum) shows."""
    assert getattr(tg.Tensor, name).__name__ == name
    assert getattr(tg.Tensor, name).__doc__ == f"`np.{name}` of this array, with the same arguments."


# -- the backward pass ---------------------------------------------------------------------------------


def test_an_argument_without_a_rule_does_not_hide_those_behind_it():
    scaled = tg.primitive(lambda n, x, m: x * 3, None, lambda g, y, n, x, m: g * 3, None)
    n, x, m = tensor([1.0]), tensor([2.0]), tensor([3.0])
    scaled(n, x, m).backward([1.0])
    assert x.grad == 3
    assert n.grad is None
    assert m.grad is None


def test_all_that_was_bypassed_is_freed():
    """A step sends no gradient back, but what it was computed from goes with the rest of the graph, whatever stands beside it."""
    x = tensor([5.0])
    first, second = x * 2, x * 3
    loss = np.sum(np.floor_divide(first, x) * x + np.floor_divide(x, second) * x)
    loss.backward()
    for bypassed in (first, second):
        with pytest.raises(RuntimeError, match=r"^this graph was freed by an earlier backward"):
            bypassed.backward([1.0])


def test_the_function_that_met_complex_numbers_is_named():
    with pytest.raises(TypeError, match=r"^np\.\w+ met complex numbers, whose derivatives no rule knows: compute with real and imaginary parts$"):
        np.sum(np.abs(tensor([1.0, 2.0]) * (3 + 4j))).backward()


# -- no_grad as a decorator ----------------------------------------------------------------------------


def test_no_grad_hands_on_arguments_by_name():
    w = tensor([2.0])

    @tg.no_grad()
    def plain(x, *, factor=1.0):
        return x * w * factor

    @tg.no_grad()
    async def waiting(x, *, factor=1.0):
        return x * w * factor

    for y in (plain(3.0, factor=2.0), asyncio.run(waiting(3.0, factor=2.0))):
        assert y.item() == 12
        assert not y.requires_grad


def test_no_grad_on_an_asynchronous_generator_is_refused():
    with pytest.raises(TypeError, match=r"^@no_grad\(\) on the generator .*values would turn recording off"):

        @tg.no_grad()
        async def values():
            yield 1.0


# -- structures ----------------------------------------------------------------------------------------


class Layers(list):
    """A list with something to say of its own."""

    def __init__(self, items=(), name="layers"):
        super().__init__(items)
        self.name = name


def test_a_list_of_ones_own_type_keeps_it():
    given = Layers([1.0, np.array([2.0, 3.0])], "given")
    found = tg.grad(lambda layers: layers[0] ** 2 + np.sum(layers[1] ** 2))(given)
    assert type(found) is Layers
    assert found.name == "given"
    assert found[0] == 2
    np.testing.assert_array_equal(found[1], [4, 6])
    assert given[0] == 1.0
    assert len(found) == 2


# -- what a Tensor is and says -------------------------------------------------------------------------


def test_data_of_the_asked_type_is_not_copied():
    a = np.ones(3, np.float32)
    assert tg.Tensor(a, dtype=np.float32).data is a
    assert tg.Tensor(a, dtype=np.float64).dtype == np.float64


def test_a_name_stays_when_gradients_are_asked_for():
    """Also on the answer of a sigmoid, whose logits are kept and then are not."""
    for t in (tg.Tensor([0.5], name="p"), tg.sigmoid(tg.Tensor([0.0]))):
        t.name = "p"
        t.requires_grad = True
        assert (t.name, t.requires_grad, t.is_leaf) == ("p", True, True)
        t.requires_grad = False
        assert (t.name, t.requires_grad, t.is_leaf) == ("p", False, True)


def test_whether_gradients_are_required_is_a_boolean():
    named = tg.Tensor([1.0], name="x")
    assert named.requires_grad is False
    assert (named * 2).requires_grad is False
    assert tensor([1.0]).requires_grad is True
    assert (tensor([1.0]) * named).requires_grad is True


@pytest.mark.parametrize("cut, words", [(int, "an int"), (float, "a float"), (np.asarray, "an array"), (lambda t: t.as_integer_ratio(), "a fraction")])
def test_the_refusal_to_leave_the_graph_says_what_was_tried(cut, words):
    with pytest.raises(TypeError, match=rf"^turning a tracked Tensor into {words} would silently cut it out of its graph"):
        cut(tensor(2.0))
    assert cut(tg.Tensor(2.0)) == cut(np.float64(2.0))


def test_an_array_of_another_type():
    assert np.asarray(tg.Tensor([1.5]), dtype=np.float32).dtype == np.float32
    assert np.array(tg.Tensor([1.5]), dtype=int).tolist() == [1]


def test_a_missing_attribute():
    t = tg.Tensor([1.0])
    with pytest.raises(AttributeError, match=r"^'Tensor' object has no attribute 'sume'") as caught:
        t.sume()
    assert caught.value.name == "sume"  # for "Did you mean: 'sum'?"
    assert caught.value.obj is t


@pytest.mark.parametrize("t", [tg.Tensor(1.5), tg.Tensor([1.5]), tensor(1.5)])
def test_a_single_number_takes_a_format(t):
    assert f"{t:.3f}" == "1.500"
    assert f"{t:>8.2f}" == "    1.50"
    assert f"{t}" == repr(t)


def test_many_numbers_take_no_format():
    t = tg.Tensor([1.5, 2.5])
    assert f"{t:.3f}" == f"{t}" == repr(t) == "Tensor([1.5, 2.5])"


def test_a_long_tensor_is_shown_in_part():
    assert "..." not in repr(tg.Tensor(np.zeros(100)))
    assert "..." in repr(tg.Tensor(np.zeros(101)))


def test_where_of_a_condition_alone():
    for t in (tg.Tensor([0.0, 2.0, 3.0]), tensor([0.0, 2.0, 3.0])):
        (places,) = np.where(t)
        assert places.tolist() == [1, 2]


def test_an_index_in_a_tensor():
    t = tensor([1.0, 2.0, 3.0])
    where = tg.Tensor(np.array([2, 0]))
    for index in (where, (where,)):
        y = t[index]
        np.testing.assert_array_equal(y.data, [3, 1])
        np.testing.assert_array_equal(tg.gradients(np.sum(y * np.array([1.0, 2.0])), t)[0].data, [2, 0, 1])


# -- refusals, each with the name of the function ------------------------------------------------------

REFUSED = {
    "in place at places": (lambda t: np.add.at(t, [0], 1.0), r"^np\.add\.at would write into a Tensor, and Tensors are never written in place"),
    "in place": (lambda t: np.copyto(t, 1.0), r"^np\.copyto would write into a Tensor, and Tensors are never written in place"),
    "out of a ufunc": (lambda t: np.exp(np.ones(2), out=t), r"^np\.exp\(out=\.\.\.\) into a Tensor: Tensors are never written in place$"),
    "out of a function": (
        lambda t: np.sum(np.ones((2, 2)), axis=0, out=tg.Tensor(t.data)),
        r"^np\.sum\(out=\.\.\.\) into a Tensor: Tensors are never written in place$",
    ),
    "settings of a ufunc": (
        lambda t: np.multiply(t, 2.0, dtype=np.float32, casting="unsafe"),
        r"^np\.multiply\(dtype, casting=\.\.\.\) is not supported on a tracked Tensor: use t\.astype\(dtype\)$",
    ),
    "a partial call": (lambda t: np.exp(t, where=[True, False]), r"^np\.exp\(where=\.\.\.\) on a tracked Tensor: there is no rule for a partial call"),
    "a cast": (lambda t: t.astype(np.float32, casting="safe"), r"^float64 cannot be cast to float32 under the rule 'safe'$"),
    "a cast to integers": (lambda t: t.astype(int), r"^a tracked Tensor has no gradient as int64: use t\.numpy\(\)\.astype\(\.\.\.\)$"),
}


@pytest.mark.parametrize("call, message", REFUSED.values(), ids=REFUSED.keys())
def test_refusals_name_the_function(call, message):
    t = tensor([1.0, 2.0])
    with pytest.raises(TypeError, match=message):
        call(t)
    np.testing.assert_array_equal(t.data, [1, 2])


def test_a_cast_that_the_rule_allows():
    assert tg.Tensor(np.ones(1, np.float32)).astype(np.float64, casting="safe").dtype == np.float64
    assert tensor([1.0]).astype(np.float32, casting="same_kind").dtype == np.float32
    t = tensor([1.0])
    assert t.astype(np.float64, copy=False) is t
    assert t.astype(np.float64) is not t


# -- functions with rules of the user's own ------------------------------------------------------------


def test_settings_reach_a_primitive_with_and_without_gradients():
    scaled = tg.primitive(lambda x, *, factor=1.0: x * factor, lambda g, y, x, *, factor=1.0: g * factor)
    assert scaled(2.0, factor=3.0) == 6
    assert scaled(tg.Tensor(2.0), factor=3.0).item() == 6
    assert tg.grad(lambda x: scaled(x, factor=3.0))(2.0) == 3


def test_a_structure_of_integers_alone_has_nothing_to_differentiate():
    first = tg.primitive(lambda p, x: p["n"] * x, lambda g, y, p, x: {"n": 0 * p["n"]}, lambda g, y, p, x: g * p["n"])
    assert tg.grad(lambda x: first({"n": tg.Tensor(3)}, x))(2.0) == 3


def test_a_gradient_of_a_wrong_shape_inside_a_structure_is_shown():
    wrong = tg.primitive(lambda p: np.sum(p["w"]), lambda g, y, p: {"w": np.ones((3, 2))})
    with pytest.raises(ValueError, match=r" a gradient of shape \(3, 2\) at \['w'\], but the argument has shape \(2,\) there: return the same structure$"):
        tg.grad(lambda p: wrong(p))({"w": np.ones(2)})


def test_settings_reach_a_primitive_of_a_structure():
    scaled = tg.primitive(
        lambda p, *, factor=1.0, shift=0.0: p["w"] * factor + shift,
        lambda g, y, p, *, factor=1.0, shift=0.0: {"w": g * factor * (y - shift) / (p["w"] * factor)},
    )
    p = {"w": np.array([1.0, 2.0])}
    assert tg.grad(lambda p: np.sum(scaled(p, factor=3.0, shift=7.0)))(p)["w"].tolist() == [3, 3]
    np.testing.assert_array_equal(scaled({"w": tg.Tensor(p["w"])}, factor=3.0, shift=7.0).data, [10, 13])


# -- arguments by name, and operators ------------------------------------------------------------------


def test_settings_beside_a_tensor_given_by_name_count():
    x, mask = np.arange(6.0).reshape(2, 3), np.array([[True, False, True], [True, True, True]])
    t = tensor(x)
    for call in (lambda a: np.mean(a=a, where=mask), lambda a: np.sum(a=a, axis=0, keepdims=True), lambda a: np.var(a=a, axis=1, ddof=1, where=mask)):
        y = call(t)
        np.testing.assert_allclose(y.data, call(x), strict=True)
    slope = tg.grad(lambda a: np.mean(a=a, where=mask))(x)
    np.testing.assert_allclose(slope, mask / 5)


@pytest.mark.parametrize("divide", [lambda t: t // 2.0, lambda t: 7.0 // t], ids=["divided", "divisor"])
def test_whole_division_is_recorded_by_its_name(divide):
    y = divide(tensor([5.0, 3.0]))
    assert y.requires_grad
    assert not y.is_leaf
    assert "made by np.floor_divide" in repr(y)
    assert tg.grad(lambda t: np.sum(divide(t) * t))(np.array([5.0, 3.0])).tolist() == divide(np.array([5.0, 3.0])).tolist()


# -- functions of ours, and NumPy's defaults -----------------------------------------------------------


@pytest.mark.parametrize("fn", [lambda t: tg.sigmoid(z=t), lambda t: tg.softplus(z=t), lambda t: tg.relu(z=t), lambda t: tg.softmax(z=t, axis=0)])
def test_our_functions_take_their_argument_by_name(fn):
    y = fn(tensor(np.array([1.0, 2.0])))
    assert y.requires_grad
    np.testing.assert_array_equal(y.data, fn(np.array([1.0, 2.0])))


@pytest.mark.parametrize("make", [np.linspace, np.logspace, np.geomspace], ids=lambda make: make.__name__)
def test_ranges_have_as_many_points_as_numpys_by_default(make):
    start, stop = tensor(1.0), tensor(2.0)
    y = make(start, stop)
    np.testing.assert_allclose(y.data, make(1.0, 2.0), rtol=1e-14)
    weights = np.random.default_rng(0).normal(size=y.shape)
    got = [g.item() for g in tg.gradients(np.sum(y * weights), [start, stop])]
    step = 1e-6
    value = lambda a, b: np.sum(make(a, b) * weights)
    want = [(value(1 + step, 2.0) - value(1 - step, 2.0)) / (2 * step), (value(1.0, 2 + step) - value(1.0, 2 - step)) / (2 * step)]
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_complex_numbers_on_the_way_are_named_as_such():
    """The leaf is real and so is the result; what is in between is refused by the function that meets it."""
    with pytest.raises(TypeError, match="met complex numbers, whose derivatives no rule knows"):
        tg.grad(lambda x: np.sum(np.real(x * 1j)))(np.ones(2))


def test_a_side_gradient_has_the_type_of_its_value():
    z = tg.Tensor(np.zeros((4, 1), np.float16), requires_grad=True)
    a = tg.sigmoid(z)
    nn.BCELoss()(a, np.ones((4, 1), np.float16)).backward(retain_graph=True)
    assert (a.grad.dtype, z.grad.dtype) == (np.float16, np.float16)


def test_a_side_gradient_through_a_freed_view_says_that_the_graph_was_freed():
    z = tg.Tensor(np.zeros((4, 2)), requires_grad=True)
    a = tg.sigmoid(z)
    b = a.reshape(8, 1)
    loss = nn.BCELoss()(b, np.ones((8, 1)))
    np.sum(b * b).backward()
    with pytest.raises(RuntimeError, match="this graph was freed by an earlier backward"):
        tg.gradients(loss, [a])


def test_whole_divisions_with_remainder():
    x = np.array([2.0, 3.0])
    for call in (lambda t: divmod(t, 2.0), lambda t: divmod(7.0, t), lambda t: divmod(np.array([7.0, -7.0]), t)):
        for t in (tensor(x), tg.Tensor(x)):
            for got, want in zip(call(t), call(x), strict=True):
                np.testing.assert_array_equal(getattr(got, "data", got), want)


@pytest.mark.parametrize("number", [1, 2])
def test_derivatives_with_respect_to_a_tuple_are_a_tuple(number):
    """Also of one argument; a single argument that is no tuple stands alone."""
    fn = lambda *xs: sum(x**3 for x in xs)
    xs, vs = (2.0, 3.0)[:number], (1.0, 10.0)[:number]
    assert tg.hvp(fn, xs, vs) == (12.0, 180.0)[:number]
    assert tg.grad(fn, tuple(range(number)))(*xs) == (12.0, 27.0)[:number]
    assert tg.hvp(fn, 2.0, 1.0) == 12.0


def test_a_primitive_that_reaches_outside_is_named():
    w = tensor(2.0)

    def reaching(x):
        return w * x

    primitive = tg.primitive(reaching, lambda g, y, x: w.numpy() * g)
    with pytest.raises(TypeError, match=r"^the primitive reaching returned a Tensor that depends on a tracked Tensor from outside"):
        tg.grad(primitive)(1.0)


@pytest.mark.parametrize("given", [2.0, np.array(2.0), np.float64(2.0), tg.Tensor(2.0), 2])
def test_a_gradient_to_start_with_takes_the_type_of_the_tensor(given):
    """Also on a leaf, which no rule stands behind to see to it."""
    t = tensor(np.float32(1.0))
    t.backward(given)
    assert t.grad == 2
    assert t.grad.dtype == np.float32
    (t * 2).backward(given)
    assert t.grad == 6
    assert t.grad.dtype == np.float32


# -- derivatives inside others, and where nothing is recorded ------------------------------------------


def test_a_derivative_of_numbers_alone_stays_plain_inside_another():
    seen = []

    def outer(x):
        seen.append(tg.grad(lambda z: z**2)(3.0))
        seen.append(tg.grad(lambda z: z * x)(3.0))
        seen.append(tg.value_and_grad(lambda z: 5.0)(3.0))
        return x * seen[-3] + seen[-2]

    assert tg.grad(outer)(2.0) == 7
    assert type(seen[0]) is np.float64
    assert isinstance(seen[1], tg.Tensor)
    assert seen[2] == (5.0, 0.0)


def test_a_constant_answer_under_no_grad_is_handed_back():
    x = tg.Tensor(1.0)
    with tg.no_grad():
        value, slope = tg.value_and_grad(lambda x: 7.0)(x)
        inner = tg.grad(lambda x: x**3)(tensor(2.0))
    assert value == 7
    assert np.asarray(slope) == 0
    assert inner.item() == 12
    assert not inner.requires_grad


@pytest.mark.parametrize(
    "given, words", [("up", "str"), (None, "NoneType"), ({"a": 1.0}, "a dict with the keys 'a'"), (np.ones(2), r"an array of shape \(2,\)")]
)
def test_a_direction_that_is_none_is_described(given, words):
    with pytest.raises(ValueError, match=rf"^the direction of jvp\(\) for argument 0 must be an array of shape \(3,\), got {words}$"):
        tg.jvp(np.sin, np.ones(3), given)


def test_outer_of_a_ufunc_keeps_its_settings_or_refuses_them():
    t, v = tensor([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    np.testing.assert_array_equal(np.multiply.outer(t, v).data, np.multiply.outer(t.data, v))
    with pytest.raises(TypeError, match=r"^np\.multiply\(dtype=\.\.\.\) is not supported on a tracked Tensor"):
        np.multiply.outer(t, v, dtype=np.float32)


def test_a_result_may_be_written_into_an_array_and_not_into_a_tensor():
    """Of functions as of ufuncs, by name as by position."""
    t, out = tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2)
    assert np.sum(t, axis=0, out=out) is out
    np.testing.assert_array_equal(out, [4, 6])
    for call in (lambda: np.sum(t, axis=0, out=tg.Tensor(out)), lambda: np.sum(t, 0, None, tg.Tensor(out))):
        with pytest.raises(TypeError, match=r"^np\.sum\(out=\.\.\.\) into a Tensor: Tensors are never written in place$"):
            call()

"""`gradients()`: several answers, the loss on a sigmoid, higher orders, and what goes wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.autodiff.test_graph import variable
from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules import SideGradient

# -- gradients() ---------------------------------------------------------------------------------------


def test_gradients_touches_no_grad():
    x = variable([1.0, 2.0])
    h = x * x
    loss = np.sum(h * 3)
    x.grad = np.array([7.0, 7.0])
    gx, gh = tg.gradients(loss, [x, h])
    np.testing.assert_array_equal(gx.data, [6.0, 12.0])
    np.testing.assert_array_equal(gh.data, [3.0, 3.0])
    np.testing.assert_array_equal(x.grad, [7.0, 7.0])
    assert h.grad is loss.grad is None
    np.testing.assert_array_equal(tg.gradients(loss, x)[0].data, [6.0, 12.0])  # the graph is still there


def test_gradients_are_arrays_of_their_own():
    a, b = variable([1.0, 2.0]), variable([3.0, 4.0])
    ga, gb = tg.gradients(np.sum(a + b), [a, b])
    assert not np.shares_memory(ga.data, gb.data)
    assert ga.data.flags.writeable
    assert gb.data.flags.writeable


def test_unused_inputs_give_zeros_of_their_shape_and_type():
    x, unused, single = variable([1.0, 2.0]), variable(np.ones((2, 3), np.float32)), variable(5.0)
    for create_graph in (False, True):
        gx, gu, gs = tg.gradients(np.sum(x), [x, unused, single], create_graph=create_graph)
        np.testing.assert_array_equal(gx.data, [1.0, 1.0])
        np.testing.assert_array_equal(gu.data, np.zeros((2, 3), np.float32), strict=True)
        assert (gs.shape, gs.item()) == ((), 0.0)


def test_an_input_cut_off_by_detach_gives_zeros():
    x = variable([1.0, 2.0])
    (gx,) = tg.gradients(np.sum(x.detach() * 3) + 0 * x[0], x)
    np.testing.assert_array_equal(gx.data, [0.0, 0.0])


def test_an_output_that_is_an_input():
    x = variable([1.0, 2.0])
    y = x * 3
    for inputs, expected in [(y, [1.0, 10.0]), (x, [3.0, 30.0])]:
        (g,) = tg.gradients(y, inputs, grad_outputs=[1.0, 10.0])
        np.testing.assert_array_equal(g.data, expected)
    (g,) = tg.gradients(x, x, grad_outputs=[1.0, 10.0])
    np.testing.assert_array_equal(g.data, [1.0, 10.0])


def test_gradients_by_tensors_on_the_way():
    w, x = variable([[0.5, -1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    z = x @ w.T
    a = np.tanh(z)
    loss = np.sum(a**2)
    ga, gz, gw = tg.gradients(loss, [a, z, w])
    np.testing.assert_allclose(ga.data, 2 * a.data, rtol=1e-15)
    np.testing.assert_allclose(gz.data, ga.data * (1 - a.data**2), rtol=1e-14)
    np.testing.assert_allclose(gw.data, gz.data.T @ x, rtol=1e-14)


def test_several_outputs():
    x = variable([1.0, 2.0])
    square, total = x * x, np.sum(x)
    (g,) = tg.gradients([square, total], x, grad_outputs=[[1.0, 10.0], None])
    np.testing.assert_array_equal(g.data, [2.0 + 1, 40.0 + 1])
    (g,) = tg.gradients([total, total, np.sum(square)], x)
    np.testing.assert_array_equal(g.data, [2.0 + 2, 2.0 + 4])


def test_an_output_behind_another():
    x = variable(3.0)
    y = x * x
    z = y * 5
    gx, gy = tg.gradients([z, y], [x, y])
    assert (gx.item(), gy.item()) == (36.0, 6.0)


def test_grad_outputs_stay_in_the_graph():
    x, v = variable([1.0, 2.0]), variable([3.0, 5.0])
    (g,) = tg.gradients(x**3, x, grad_outputs=v, create_graph=True)
    by_x, by_v = tg.gradients(np.sum(g), [x, v])
    np.testing.assert_array_equal(g.data, 3 * x.data**2 * v.data)
    np.testing.assert_array_equal(by_x.data, 6 * x.data * v.data)
    np.testing.assert_array_equal(by_v.data, 3 * x.data**2)


def test_gradients_under_no_grad():
    x = variable(2.0)
    y = x**3
    with tg.no_grad():
        (plain,) = tg.gradients(y, x)
        (dy,) = tg.gradients(y, x, create_graph=True)
    assert not plain.requires_grad
    assert tg.gradients(dy, x)[0].item() == 12.0


# -- a loss on a sigmoid: by the logits, and by the activation -----------------------------------------

LAYOUTS = {
    "itself": lambda a: a,
    "a.reshape": lambda a: a.reshape(-1),
    "np.reshape": lambda a: np.reshape(a, (2, 2)),
    "a.T": lambda a: a.T,
    "a[:, 0]": lambda a: a[:, 0],
    "squeeze": lambda a: a.squeeze(),
    "np.squeeze": np.squeeze,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_bce_by_the_activation(layout):
    """dL/da = (a - y) / (a (1 - a)) / m stands beside dL/dz = (a - y) / m and is not counted twice."""
    z, y = variable([[-1.0], [0.5], [2.0], [0.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
    a = tg.sigmoid(z)
    p = layout(a)
    loss = nn.BCELoss()(p, layout(y))
    ga, gz, gp = tg.gradients(loss, [a, z, p])
    np.testing.assert_allclose(ga.data, (a.data - y) / (a.data * (1 - a.data)) / 4, rtol=1e-14)
    np.testing.assert_allclose(gp.data, layout(ga.data), rtol=1e-14)
    np.testing.assert_allclose(gz.data, (a.data - y) / 4, rtol=1e-14)
    np.testing.assert_allclose(tg.gradients(loss, z)[0].data, (a.data - y) / 4, rtol=1e-14)

    loss.backward(retain_graph=True)
    np.testing.assert_allclose(p.grad, gp.data, rtol=1e-14)
    np.testing.assert_allclose(z.grad, (a.data - y) / 4, rtol=1e-14)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_a_side_gradient_is_computed_where_it_is_wanted(wanted):
    """For the value itself, or for one that it is a view of; each alone."""
    calls = []

    def side(g, y, a, z):
        calls.append(1)
        return g * 5 * np.ones(a.shape)

    loss_of = tg.primitive(lambda a, z: np.sum(z), SideGradient(side), lambda g, y, a, z: g * np.ones(z.shape))
    z = variable([[1.0], [2.0]])
    a = np.exp(z)
    p = a.reshape(-1)
    loss = loss_of(p, z)
    np.testing.assert_array_equal(tg.gradients(loss, (z, a, p)[wanted])[0].data.ravel(), (1.0, 5.0, 5.0)[wanted])
    loss.backward()
    assert len(calls) == (0, 1, 1)[wanted]
    np.testing.assert_array_equal(z.grad, [[1.0], [1.0]])


def test_bce_beside_another_use_of_the_activation():
    z, y = variable([-1.0, 0.5]), np.array([0.0, 1.0])
    a = tg.sigmoid(z)
    s = a.data
    loss = nn.BCELoss(reduction="sum")(a, y) + np.sum(a * 3)
    ga, gz = tg.gradients(loss, [a, z])
    np.testing.assert_allclose(ga.data, (s - y) / (s * (1 - s)) + 3, rtol=1e-14)
    np.testing.assert_allclose(gz.data, (s - y) + 3 * s * (1 - s), rtol=1e-14)


def test_bce_twice_by_the_logits():
    """d2L/dz2 = a (1 - a) / m, through a loss that holds z and a both."""
    z, y = variable([-1.0, 0.5, 3.0]), np.array([0.0, 1.0, 1.0])
    a = tg.sigmoid(z)
    (gz,) = tg.gradients(nn.BCELoss()(a, y), z, create_graph=True)
    (g2,) = tg.gradients(np.sum(gz), z)
    np.testing.assert_allclose(g2.data, a.data * (1 - a.data) / 3, rtol=1e-14)


def test_bce_of_changed_activations_is_of_the_changed_ones():
    a = tg.sigmoid(variable([3.0]))
    a.data = np.array([0.5])
    assert nn.BCELoss()(a, [1.0]).item() == math.log(2)


# -- higher orders -------------------------------------------------------------------------------------


def derivatives(fn, x, order):
    """fn and its first derivatives at single numbers, one graph on top of the other."""
    found = [fn(x)]
    for _ in range(order):
        found += tg.gradients(np.sum(found[-1]), x, create_graph=True)
    return [y.data for y in found]


s = tg.sigmoid
CLOSED_FORMS = {
    "x^5": (lambda x: x**5, [lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2]),
    "exp(2x)": (lambda x: np.exp(2 * x), [lambda x: 2 * np.exp(2 * x), lambda x: 4 * np.exp(2 * x), lambda x: 8 * np.exp(2 * x)]),
    "log(x)": (np.log, [lambda x: 1 / x, lambda x: -1 / x**2, lambda x: 2 / x**3]),
    "1/x": (lambda x: 1 / x, [lambda x: -1 / x**2, lambda x: 2 / x**3, lambda x: -6 / x**4]),
    "sin(x)": (np.sin, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x)]),
    "sqrt(x)": (np.sqrt, [lambda x: x**-0.5 / 2, lambda x: -(x**-1.5) / 4, lambda x: 3 * x**-2.5 / 8]),
    "tanh(x)": (
        np.tanh,
        [lambda x: 1 - np.tanh(x) ** 2, lambda x: -2 * np.tanh(x) / np.cosh(x) ** 2, lambda x: (4 * np.tanh(x) ** 2 - 2 / np.cosh(x) ** 2) / np.cosh(x) ** 2],
    ),
    "sigmoid(x)": (
        s,
        [lambda x: s(x) * (1 - s(x)), lambda x: s(x) * (1 - s(x)) * (1 - 2 * s(x)), lambda x: s(x) * (1 - s(x)) * (1 - 6 * s(x) + 6 * s(x) ** 2)],
    ),
    "softplus(x)": (tg.softplus, [s, lambda x: s(x) * (1 - s(x)), lambda x: s(x) * (1 - s(x)) * (1 - 2 * s(x))]),
    "x sin(x)": (
        lambda x: x * np.sin(x),
        [lambda x: np.sin(x) + x * np.cos(x), lambda x: 2 * np.cos(x) - x * np.sin(x), lambda x: -3 * np.sin(x) - x * np.cos(x)],
    ),
}


@pytest.mark.parametrize("fn, slopes", CLOSED_FORMS.values(), ids=CLOSED_FORMS.keys())
def test_third_order(fn, slopes):
    x = np.array([0.3, 0.7, 1.9])
    for got, want in zip(derivatives(fn, variable(x), 3), [fn, *slopes], strict=True):
        np.testing.assert_allclose(got, want(x), rtol=1e-12)


def test_tenth_order():
    x = variable(0.5)
    for k, got in enumerate(derivatives(lambda x: x**10, x, 10)):
        assert got == pytest.approx(math.perm(10, k) * 0.5 ** (10 - k), rel=1e-12)


def test_mixed_derivatives():
    x, y = variable(2.0), variable(3.0)
    gx, gy = tg.gradients(x**2 * y**3, [x, y], create_graph=True)
    rows = [[g.item() for g in tg.gradients(first, [x, y])] for first in (gx, gy)]
    assert rows == [[2 * 27, 2 * 2 * 3 * 9], [2 * 2 * 3 * 9, 4 * 6 * 3]]


def test_backward_through_a_gradient():
    """A penalty on the gradient: .grad gets the derivative of both parts."""
    w = variable([1.0, 2.0])
    loss = np.sum(w**3)
    (g,) = tg.gradients(loss, w, create_graph=True)
    (loss + np.sum(g**2)).backward()
    np.testing.assert_array_equal(w.grad, 3 * w.data**2 + 36 * w.data**3)


# -- what gradients() refuses --------------------------------------------------------------------------


def refusals():
    x = variable([1.0, 2.0])
    y = x * x
    constant = tg.Tensor([1.0, 2.0])
    return {
        "input without gradients": (
            lambda: tg.gradients(np.sum(y), [x, constant]),
            TypeError,
            "input 1 of gradients() requires no gradients: make it with Tensor(..., requires_grad=True) before computing from it",
        ),
        "input that is an array": (lambda: tg.gradients(np.sum(y), [x.data]), TypeError, "inputs of gradients() must be Tensors, number 0 is ndarray"),
        "output that is a number": (lambda: tg.gradients([np.sum(y), 1.0], x), TypeError, "outputs of gradients() must be Tensors, number 1 is float"),
        "too few grad_outputs": (
            lambda: tg.gradients([y, y], x, [[1.0, 1.0]]),
            ValueError,
            "gradients() got 2 outputs and 1 grad_outputs: one per output is needed",
        ),
    }


@pytest.mark.parametrize("call, error, message", refusals().values(), ids=refusals().keys())
def test_gradients_refuses(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_gradients_of_many_numbers_names_grad_outputs():
    x = variable([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"shape \(2,\).*grad_outputs"):
        tg.gradients(x * x, x)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("wrap", [np.asarray, tg.Tensor], ids=["array", "Tensor"])
def test_grad_outputs_of_the_wrong_shape(wrap, create_graph):
    x = variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\) for a Tensor of shape \(2,\)"):
        tg.gradients(x * x, x, grad_outputs=wrap([1.0, 1.0, 1.0]), create_graph=create_graph)


VIEWS_OF_VIEWS = {
    "reshape": lambda a: np.reshape(a, (2, 2)),
    "reshape and transpose": lambda a: np.reshape(a, (2, 2)).T,
    "index and expand_dims": lambda a: np.expand_dims(a[:, 0], 1),
    "part of it": lambda a: a[1:3],
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
}


@pytest.mark.parametrize("view", VIEWS_OF_VIEWS.values(), ids=VIEWS_OF_VIEWS.keys())
@pytest.mark.parametrize("create_graph", [False, True])
def test_bce_by_the_activation_alone_that_it_sees_through_a_view(view, create_graph):
    """dL/da, asked for without dL/dz or the gradient of the view: the side gradient finds its way through what only lays a out anew."""
    z, y = variable([[-1.0], [0.5], [2.0], [0.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
    a = tg.sigmoid(z)
    p = view(a)
    loss = nn.BCELoss(reduction="sum")(p, view(y))
    seen = view(np.arange(4.0).reshape(4, 1)).astype(int).ravel()
    want = np.zeros((4, 1))
    want[seen] = ((a.data - y) / (a.data * (1 - a.data)))[seen]
    (ga,) = tg.gradients(loss, a, create_graph=create_graph)
    np.testing.assert_allclose(ga.data, want, rtol=1e-14)


def test_the_activation_alone_may_be_differentiated_twice_through_a_view():
    """d2L/da2 = y / a^2 + (1 - y) / (1 - a)^2."""
    z, y = variable([[-1.0], [0.5]]), np.array([[0.0], [1.0]])
    a = tg.sigmoid(z)
    (ga,) = tg.gradients(nn.BCELoss(reduction="sum")(a.reshape(-1), y.reshape(-1)), a, create_graph=True)
    (second,) = tg.gradients(np.sum(ga), a)
    np.testing.assert_allclose(second.data, y / a.data**2 + (1 - y) / (1 - a.data) ** 2, rtol=1e-13)


def test_several_losses_each_have_the_gradient_of_their_activation():
    """Asked for at once, with and without the logits'."""
    z1, z2, y = variable([-1.0, 0.5]), variable([[2.0], [0.0]]), np.array([0.0, 1.0])
    a1, a2 = tg.sigmoid(z1), tg.sigmoid(z2)
    loss = nn.BCELoss(reduction="sum")(a1, y) + nn.BCELoss(reduction="sum")(a2.reshape(-1), y) * 3 + nn.BCELoss(reduction="sum")(a1, 1 - y)
    want1 = (a1.data - y) / (a1.data * (1 - a1.data)) + (a1.data - (1 - y)) / (a1.data * (1 - a1.data))
    want2 = 3 * (a2.data - y[:, None]) / (a2.data * (1 - a2.data))
    for inputs in ([a1, a2], [a2, a1, z1, z2]):
        found = dict(zip(map(id, inputs), tg.gradients(loss, inputs), strict=True))
        np.testing.assert_allclose(found[id(a1)].data, want1, rtol=1e-13)
        np.testing.assert_allclose(found[id(a2)].data, want2, rtol=1e-13)

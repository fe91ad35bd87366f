"""Derivatives of functions: grad, value_and_grad, vjp, jvp, jacobian, hessian and hvp, each inside each, and on Tensors.

The oracles are the complex step (exact to rounding) and Richardson differences; JAX is one more where installed.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lr as tg

X = np.array([0.7, -0.4, 1.1])
V = np.array([1.0, 2.0, -0.5])
A = np.array([[0.5, -1.0, 0.3], [0.2, 0.8, -0.6]])


# -- oracles -------------------------------------------------------------------------------------------


def complex_step(fn, x):
    """The Jacobian of an analytic NumPy function: the imaginary part of a step along i has no cancellation."""
    columns = []
    for i in np.ndindex(np.shape(x)):
        z = np.array(x, dtype=complex)
        z[i] += 1e-30j
        columns.append(np.imag(fn(z)) / 1e-30)
    return np.stack(columns, axis=-1).reshape(np.shape(fn(x)) + np.shape(x))


def differences(fn, x, step=2e-3):
    """The Jacobian of any function: central differences, extrapolated twice (Richardson)."""
    columns = []
    for i in np.ndindex(np.shape(x)):

        def central(h, i=i):
            up, down = np.array(x, dtype=float), np.array(x, dtype=float)
            up[i] += h
            down[i] -= h
            return (np.asarray(fn(up)) - np.asarray(fn(down))) / (2 * h)

        d1, d2, d4 = central(step), central(step / 2), central(step / 4)
        columns.append((16 * (4 * d4 - d2) / 3 - (4 * d2 - d1) / 3) / 15)
    return np.stack(columns, axis=-1).reshape(np.shape(fn(x)) + np.shape(x))


VECTORS = {
    "elementwise": lambda np, x: np.sin(x) * x[::-1] + np.exp(-x * x),
    "product": lambda np, x: np.tanh(A @ x),
    "shapes": lambda np, x: np.concatenate([np.outer(x, x).reshape(-1)[2:7], x[:1] ** 3]),
    "number": lambda np, x: np.log(np.sum(np.exp(x))),
    "matrix": lambda np, x: np.outer(x, np.cos(x)),
    "identity": lambda np, x: x,
}
NUMBERS = {
    "log-sum-exp": lambda np, x: np.log(np.sum(np.exp(x))),
    "logistic": lambda np, x: np.mean(np.log1p(np.exp(A @ x)) - A @ x / 3),
    "polynomial": lambda np, x: np.sum(x**4) * x[0] - np.prod(x),
    "norm": lambda np, x: np.sqrt(1 + np.sum(x * x)),
    "element": lambda np, x: np.sinh(x[0] * x[1]) / (2 + x[2] ** 2),
    "linear": lambda np, x: np.sum(V * x),
}
each_vector = pytest.mark.parametrize("fn", VECTORS.values(), ids=VECTORS.keys())
each_number = pytest.mark.parametrize("fn", NUMBERS.values(), ids=NUMBERS.keys())


def of_numpy(fn):
    return lambda x: fn(np, x)


# -- each by itself ------------------------------------------------------------------------------------


@each_vector
def test_jacobian(fn):
    f = of_numpy(fn)
    np.testing.assert_allclose(tg.jacobian(f)(X), complex_step(f, X), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(tg.jacobian(f)(X), differences(f, X), rtol=1e-9, atol=1e-10)


@each_vector
def test_vjp_and_jvp(fn):
    f = of_numpy(fn)
    jacobian = complex_step(f, X)
    y, pullback = tg.vjp(f, X)
    np.testing.assert_array_equal(y, f(X))
    u = np.cos(np.arange(np.size(y))).reshape(np.shape(y))
    (pulled,) = pullback(u)
    np.testing.assert_allclose(pulled, np.tensordot(u, jacobian, np.ndim(u)), rtol=1e-13, atol=1e-14)
    y, slope = tg.jvp(f, X, V)
    np.testing.assert_array_equal(y, f(X))
    np.testing.assert_allclose(slope, jacobian @ V, rtol=1e-13, atol=1e-14)
    assert type(slope) is type(y)


@each_number
def test_grad_hessian_and_hvp(fn):
    f = of_numpy(fn)
    value, slope = tg.value_and_grad(f)(X)
    assert value == f(X)
    np.testing.assert_allclose(slope, complex_step(f, X), rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(tg.grad(f)(X), slope)
    hessian = tg.hessian(f)(X)
    np.testing.assert_allclose(hessian, differences(lambda x: complex_step(f, x), X), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(tg.hvp(f, X, V), hessian @ V, rtol=1e-12, atol=1e-13)


@each_vector
def test_jax_agrees_on_vectors(fn, jax):
    theirs, ours = (lambda x: fn(jax.numpy, x)), of_numpy(fn)
    np.testing.assert_allclose(tg.jacobian(ours)(X), jax.jacobian(theirs)(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(tg.jacobian(tg.jacobian(ours))(X), jax.jacobian(jax.jacobian(theirs))(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(tg.jvp(ours, X, V)[1], jax.jvp(theirs, (X,), (V,))[1], rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore:Output seems independent of input")  # autograd's word on the second derivative of a line
@each_vector
def test_autograd_agrees_on_vectors(fn, autograd):
    theirs = autograd.jacobian(lambda x: fn(autograd.numpy, x))
    np.testing.assert_allclose(tg.jacobian(of_numpy(fn))(X), theirs(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(tg.jacobian(tg.jacobian(of_numpy(fn)))(X), autograd.jacobian(theirs)(X), rtol=1e-12, atol=1e-14)


@each_number
def test_jax_agrees_on_numbers(fn, jax):
    theirs, ours = (lambda x: fn(jax.numpy, x)), of_numpy(fn)
    np.testing.assert_allclose(tg.hessian(ours)(X), jax.hessian(theirs)(X), rtol=1e-11, atol=1e-13)
    third = tg.jacobian(tg.hessian(ours))(X)
    np.testing.assert_allclose(third, jax.jacobian(jax.hessian(theirs))(X), rtol=1e-10, atol=1e-12)
    third_along = tg.grad(lambda x: np.sum(tg.hvp(ours, x, V) * V))(X)
    np.testing.assert_allclose(third_along, third @ V @ V, rtol=1e-10, atol=1e-12)


# -- each inside each ----------------------------------------------------------------------------------

DERIVATIVES = {
    "grad": lambda f, x: np.sum(V * tg.grad(f)(x)),
    "value_and_grad": lambda f, x: (lambda value, slope: value * slope[1])(*tg.value_and_grad(f)(x)),
    "vjp": lambda f, x: (lambda y, pullback: y + np.sum(V * pullback(y)[0]))(*tg.vjp(f, x)),
    "jvp": lambda f, x: np.sum(tg.jvp(f, x, V * x)[1]),
    "jacobian": lambda f, x: np.sum(np.cos(tg.jacobian(lambda x: f(x) * x)(x))),
    "hessian": lambda f, x: V @ tg.hessian(f)(x) @ V,
    "hvp": lambda f, x: np.sum(x * tg.hvp(f, x, x)),
}
"""Each makes a number of a function's derivative, so that the next can be taken of it."""
each_outer = pytest.mark.parametrize("outer", DERIVATIVES.keys())
each_inner = pytest.mark.parametrize("inner", DERIVATIVES.keys())


def smooth(x):
    return np.sum(np.sin(x) * x) + x[0] * x[1] ** 2


@each_outer
@each_inner
def test_pairs(outer, inner):
    """The gradient of (outer of inner), so three derivatives deep, against differences of its values."""

    def nested(x):
        return DERIVATIVES[outer](lambda x: DERIVATIVES[inner](smooth, x), x)

    np.testing.assert_allclose(tg.grad(nested)(X), differences(nested, X), rtol=1e-7, atol=1e-8)


@each_outer
def test_gradient_and_hessian_of_each(outer):
    def derived(x):
        return DERIVATIVES[outer](smooth, x)

    np.testing.assert_allclose(tg.grad(derived)(X), differences(derived, X), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(tg.hessian(derived)(X), differences(tg.grad(derived), X), rtol=1e-7, atol=1e-8)


def test_to_any_depth():
    fn = lambda x: np.exp(2 * x)
    for order in range(8):
        assert fn(0.3) == pytest.approx(2**order * np.exp(0.6), rel=1e-13)
        fn = tg.grad(fn)
    cube = lambda x: x**3
    assert tg.grad(tg.grad(tg.grad(cube)))(5.0) == 6.0
    np.testing.assert_allclose(tg.jacobian(tg.jacobian(tg.jacobian(cube)))(X), np.einsum("ij,jk,kl->ijkl", *[np.eye(3)] * 3) * 6, atol=1e-15)


def test_mixed_derivatives_commute():
    fn = lambda a, b: np.sum(np.sin(a * b) + a**2 * b)
    one = tg.jacobian(tg.grad(fn, 0), 1)(X, V)
    other = tg.jacobian(tg.grad(fn, 1), 0)(X, V)
    np.testing.assert_allclose(one, other.T, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(tg.hessian(fn, (0, 1))(X, V)[0][1], one, rtol=1e-13, atol=1e-14)


def test_hessian_of_a_function_that_uses_a_gradient():
    fn = lambda x: np.sum(tg.grad(lambda v: np.sum(v**3) * x[0])(x) ** 2)  # 9 x0^2 sum(x^4)
    by_hand = lambda x: 9 * x[0] ** 2 * np.sum(x**4)
    assert fn(X) == pytest.approx(by_hand(X), rel=1e-14)
    np.testing.assert_allclose(tg.hessian(fn)(X), tg.hessian(by_hand)(X), rtol=1e-12, atol=1e-13)


def test_forward_over_reverse_and_back():
    f = of_numpy(NUMBERS["polynomial"])
    product = tg.hessian(f)(X) @ V
    np.testing.assert_allclose(tg.jvp(lambda x: tg.vjp(f, x)[1](1.0)[0], X, V)[1], product, rtol=1e-12)
    np.testing.assert_allclose(tg.vjp(lambda x: tg.jvp(f, x, V)[1], X)[1](1.0)[0], product, rtol=1e-12)
    np.testing.assert_allclose(tg.jvp(lambda x: tg.jvp(f, x, V)[1], X, V)[1], V @ product, rtol=1e-12)


def test_newton_inside_a_derivative():
    """The minimum moves with the target; the derivative goes through gradient and Hessian of every step."""

    def minimum(target):
        energy = lambda x: np.sum(np.cosh(x - target))
        x = np.zeros(2)
        for _ in range(8):
            x = x - np.linalg.solve(tg.hessian(energy)(x), tg.grad(energy)(x))
        return x

    target = np.array([0.3, -0.2])
    np.testing.assert_allclose(minimum(target), target, atol=1e-12)
    np.testing.assert_allclose(tg.jacobian(minimum)(target), np.eye(2), atol=1e-10)


# -- on Tensors ----------------------------------------------------------------------------------------

ON_TENSORS = {
    "grad": lambda f, x: tg.grad(f)(x),
    "value_and_grad": lambda f, x: np.concatenate([np.atleast_1d(part) for part in tg.value_and_grad(f)(x)]),
    "vjp": lambda f, x: tg.vjp(f, x)[1](2.0)[0],
    "jvp": lambda f, x: tg.jvp(f, x, V)[1],
    "jacobian": lambda f, x: tg.jacobian(lambda x: f(x) * x)(x),
    "hessian": lambda f, x: tg.hessian(f)(x),
    "hvp": lambda f, x: tg.hvp(f, x, V),
}


@pytest.mark.parametrize("derivative", ON_TENSORS.values(), ids=ON_TENSORS.keys())
def test_on_tensors(derivative):
    """Tensors come out, and an outer backward() goes through them to the Tensor that came in."""
    t = tg.Tensor(X, requires_grad=True)
    found = derivative(smooth, t)
    assert type(found) is tg.Tensor
    np.testing.assert_allclose(found.data, derivative(smooth, X), rtol=1e-14)
    weights = np.cos(np.arange(found.size)).reshape(found.shape)
    np.sum(found * weights).backward()
    want = differences(lambda x: np.sum(derivative(smooth, x) * weights), X)
    np.testing.assert_allclose(t.grad, want, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("derivative", ON_TENSORS.values(), ids=ON_TENSORS.keys())
def test_on_tensors_that_require_no_gradients(derivative):
    t = tg.Tensor(X)
    found = derivative(smooth, t)
    assert type(found) is tg.Tensor
    np.testing.assert_allclose(found.data, derivative(smooth, X), rtol=1e-14)
    assert not t.requires_grad


ALONG = {
    "vjp": lambda v: tg.vjp(lambda x: np.sin(x) * x, X)[1](v)[0],
    "jvp": lambda v: tg.jvp(lambda x: np.sin(x) * x, X, v)[1],
    "hvp": lambda v: tg.hvp(smooth, X, v),
}


@pytest.mark.parametrize("derivative", ALONG.values(), ids=ALONG.keys())
def test_cotangents_and_directions_are_differentiable_too(derivative):
    """J v is linear in v: its own Jacobian is J, wherever v came from."""
    matrix = np.stack([derivative(e) for e in np.eye(3)], axis=-1)
    np.testing.assert_allclose(tg.jacobian(derivative)(V), matrix, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(tg.grad(lambda v: np.sum(derivative(v * v)))(V), matrix.sum(axis=0) * 2 * V, rtol=1e-13)
    t = tg.Tensor(V, requires_grad=True)
    found = derivative(t)
    assert type(found) is tg.Tensor
    np.sum(found * X).backward()
    np.testing.assert_allclose(t.grad, X @ matrix, rtol=1e-13)


def test_tensors_in_structures():
    p = {"w": tg.Tensor(X, requires_grad=True), "b": 2.0}
    found = tg.grad(lambda p: np.sum(p["w"] ** 2) * p["b"])(p)
    assert {type(part) for part in found.values()} == {tg.Tensor}
    np.sum(found["w"]).backward()
    np.testing.assert_array_equal(p["w"].grad, np.full(3, 4.0))


# -- independence --------------------------------------------------------------------------------------

CONSTANTS = {"float": 7.0, "int": 7, "np.float64": np.float64(7), "array": np.array(7.0), "Tensor": tg.Tensor(7.0), "integer Tensor": tg.Tensor(7)}


@pytest.mark.parametrize("answer", CONSTANTS.values(), ids=CONSTANTS.keys())
def test_a_constant_answer_has_derivative_zero(answer):
    fn = lambda x: answer
    np.testing.assert_array_equal(tg.grad(fn)(X), np.zeros(3), strict=True)
    np.testing.assert_array_equal(tg.jacobian(fn)(X), np.zeros(3), strict=True)
    np.testing.assert_array_equal(tg.hessian(fn)(X), np.zeros((3, 3)), strict=True)
    np.testing.assert_array_equal(tg.hvp(fn, X, V), np.zeros(3), strict=True)
    np.testing.assert_array_equal(tg.vjp(fn, X)[1](1.0)[0], np.zeros(3), strict=True)
    value, slope = tg.jvp(fn, X, V)
    assert (value, slope, type(slope)) == (7, 0, np.float64)


def test_an_unused_argument_gets_zeros():
    fn = lambda a, b: np.sum(a)
    single = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(tg.vjp(fn, X, single)[1](1.0)[1], np.zeros((2, 2), np.float32), strict=True)
    np.testing.assert_array_equal(tg.hessian(fn, (0, 1))(X, single)[0][1], np.zeros((3, 2, 2)))
    np.testing.assert_array_equal(tg.jacobian(lambda a, b: a, (0, 1))(X, single)[1], np.zeros((3, 2, 2), np.float32), strict=True)


def test_steps_masks_and_places():
    np.testing.assert_array_equal(tg.jacobian(np.floor)(X), np.zeros((3, 3)))
    np.testing.assert_array_equal(tg.jacobian(lambda x: x > 0)(X), np.zeros((3, 3)))
    np.testing.assert_array_equal(tg.vjp(np.argmax, X)[1](1.0)[0], np.zeros(3))
    assert tg.jvp(np.argmax, X, V) == (2, 0.0)


def test_a_linear_function_has_no_curvature():
    np.testing.assert_array_equal(tg.hessian(lambda x: np.sum(x * V))(X), np.zeros((3, 3)), strict=True)
    np.testing.assert_array_equal(tg.hvp(lambda x: np.sum(x), X, V), np.zeros(3), strict=True)


# -- few numbers and none ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (0,), (0, 3), (3, 0), (2, 3)])
def test_shapes(shape):
    x = np.linspace(0.5, 1.5, int(np.prod(shape))).reshape(shape)
    flat = x.reshape(-1)
    total = lambda x: np.sum(x**3)
    assert np.shape(tg.grad(total)(x)) == shape
    np.testing.assert_allclose(tg.grad(total)(x), 3 * x**2)
    np.testing.assert_allclose(tg.jacobian(lambda x: x**3)(x).reshape(flat.size, flat.size), np.diag(3 * flat**2))
    np.testing.assert_allclose(np.reshape(tg.hessian(total)(x), (flat.size, flat.size)), np.diag(6 * flat))
    assert np.shape(tg.jacobian(lambda x: x**3)(x)) == np.shape(tg.hessian(total)(x)) == shape * 2
    np.testing.assert_allclose(tg.hvp(total, x, x), 6 * x**2)
    np.testing.assert_allclose(tg.jvp(lambda x: x**3, x, x)[1], 3 * x**3)
    np.testing.assert_allclose(tg.vjp(lambda x: x**3, x)[1](x)[0], 3 * x**3)


@pytest.mark.parametrize("x", [2.0, np.float64(2), np.array(2.0)], ids=["float", "np.float64", "0-d"])
def test_a_number_gives_numbers(x):
    cube = lambda x: x**3
    found = [tg.grad(cube)(x), tg.jacobian(cube)(x), tg.hessian(cube)(x), tg.hvp(cube, x, 1.0), *tg.jvp(cube, x, 1.0), *tg.vjp(cube, x)[1](1.0)]
    assert found == [12.0, 12.0, 12.0, 12.0, 8.0, 12.0, 12.0]
    assert {type(y) for y in found} == {np.float64}


def test_an_empty_answer():
    assert tg.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    np.testing.assert_array_equal(tg.vjp(lambda x: x[:0], X)[1](np.zeros(0))[0], np.zeros(3))
    assert tg.jvp(lambda x: x[:0], X, V)[1].shape == (0,)


def test_empty_structures():
    assert tg.grad(lambda p, x: x * 2, (0, 1))({}, 3.0) == ({}, 2.0)
    assert tg.vjp(lambda x: (), 3.0)[0] == ()
    np.testing.assert_array_equal(tg.vjp(lambda x: [], X)[1]([])[0], np.zeros(3))


# -- float32 -------------------------------------------------------------------------------------------

SINGLE = X.astype(np.float32)


@pytest.mark.parametrize("direction", [V, V.astype(np.float32), V.tolist()], ids=["float64", "float32", "list"])
def test_float32_stays(direction):
    """Whatever type the cotangent or direction has: the argument's type decides."""
    vector, number = (lambda x: np.sin(x) * 2.5), (lambda x: np.mean(np.sin(x) * x) * 2)
    found = {
        "grad": tg.grad(number)(SINGLE),
        "value": tg.value_and_grad(number)(SINGLE)[0],
        "jacobian": tg.jacobian(vector)(SINGLE),
        "hessian": tg.hessian(number)(SINGLE),
        "third": tg.jacobian(tg.hessian(number))(SINGLE),
        "hvp": tg.hvp(number, SINGLE, direction),
        "vjp": tg.vjp(vector, SINGLE)[1](direction)[0],
        "jvp": tg.jvp(vector, SINGLE, direction)[1],
        "grad of hvp": tg.grad(lambda x: np.sum(tg.hvp(number, x, direction)))(SINGLE),
        "empty": tg.jacobian(lambda x: x[:0])(SINGLE),
        "constant": tg.jacobian(lambda x: np.ones(2))(SINGLE),
    }
    assert {name: part.dtype for name, part in found.items()} == dict.fromkeys(found, np.dtype(np.float32))
    np.testing.assert_allclose(found["hessian"], tg.hessian(number)(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["hvp"], tg.hvp(number, X, V), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["jvp"], tg.jvp(vector, X, V)[1], rtol=1e-5, atol=1e-6)


def test_mixed_precision():
    """Each argument's gradient has the argument's type."""
    by_single, by_double = tg.grad(lambda a, b: np.sum(a * b), (0, 1))(SINGLE, V)
    assert (by_single.dtype, by_double.dtype) == (np.float32, np.float64)
    (aa, ab), (ba, _) = tg.hessian(lambda a, b: np.sum(a * b), (0, 1))(SINGLE, V)
    np.testing.assert_array_equal(ab, np.eye(3))
    np.testing.assert_array_equal(ba, np.eye(3))
    assert aa.dtype == np.float32


# -- what holds for every function ---------------------------------------------------------------------

numbers = st.floats(-2, 2, allow_subnormal=False)
vectors = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n).map(np.array), min_size=4, max_size=4))


def scale_of(*arrays):
    return max(1.0, *(np.max(np.abs(a), initial=0) for a in arrays))


def mixing(x):
    """From n numbers to n + 1, of all degrees."""
    return np.concatenate([np.sin(x) * np.cumsum(x), np.exp(-np.sum(x * x, keepdims=True))])


def energy(x):
    return np.sum(np.logaddexp(0, x * x[::-1])) + np.sum(np.tanh(x)) ** 2


@given(vectors)
@settings(max_examples=60, deadline=None)
def test_jvp_and_vjp_are_adjoint(drawn):
    """<u, J v> = <J^T u, v>."""
    x, v, u, _ = drawn
    y, slope = tg.jvp(mixing, x, v)
    u = np.append(u, 0.5)
    (pulled,) = tg.vjp(mixing, x)[1](u)
    assert u @ slope == pytest.approx(pulled @ v, rel=1e-12, abs=1e-12 * scale_of(slope, pulled) * scale_of(u) * scale_of(v))
    assert y.shape == slope.shape


@given(vectors, numbers)
@settings(max_examples=60, deadline=None)
def test_directions_and_cotangents_act_linearly(drawn, a):
    x, v, w, _ = drawn
    close = {"rtol": 1e-11, "atol": 1e-11}
    along = lambda v: tg.jvp(mixing, x, v)[1]
    np.testing.assert_allclose(along(a * v + w), a * along(v) + along(w), **close)
    _, pullback = tg.vjp(mixing, x)
    u, t = np.append(v, a), np.append(w, 1.0)
    np.testing.assert_allclose(pullback(a * u + t)[0], a * pullback(u)[0] + pullback(t)[0], **close)
    curved = lambda v: tg.hvp(energy, x, v)
    np.testing.assert_allclose(curved(a * v + w), a * curved(v) + curved(w), **close)


@given(vectors)
@settings(max_examples=60, deadline=None)
def test_hessians_are_symmetric(drawn):
    x, v, w, _ = drawn
    hessian = tg.hessian(energy)(x)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(tg.hvp(energy, x, v), hessian @ v, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(hessian, differences(tg.grad(energy), x), rtol=1e-6, atol=1e-7)
    assert w @ tg.hvp(energy, x, v) == pytest.approx(v @ tg.hvp(energy, x, w), rel=1e-10, abs=1e-10)


@given(vectors)
@settings(max_examples=60, deadline=None)
def test_the_chain_rule(drawn):
    x = drawn[0]
    chained = tg.jacobian(lambda x: mixing(mixing(x)))(x)
    np.testing.assert_allclose(chained, tg.jacobian(mixing)(mixing(x)) @ tg.jacobian(mixing)(x), rtol=1e-10, atol=1e-12)


# -- answers that do not move --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_jvp_of_a_constant_is_a_zero_of_its_type(dtype):
    """Also as a part of an answer whose other parts move."""
    constant = np.ones((2,), dtype)
    for answer in (lambda x: constant, lambda x: tg.Tensor(constant)):
        np.testing.assert_array_equal(tg.jvp(answer, X, V)[1], np.zeros(2, dtype), strict=True)
        (_, slope) = tg.jvp(lambda x, answer=answer: (x, answer(x)), X, V)[1]
        np.testing.assert_array_equal(slope, np.zeros(2, dtype), strict=True)


@pytest.mark.parametrize("answer", [np.arange(3), np.array([True, False]), 3, True], ids=["integers", "booleans", "int", "bool"])
def test_jvp_of_what_is_not_floating_is_a_float_zero(answer):
    """A zero of an integer or boolean type would turn what is added to it into one."""
    slope = tg.jvp(lambda x: answer, X, V)[1]
    np.testing.assert_array_equal(slope, np.zeros(np.shape(answer)), strict=np.ndim(answer) > 0)
    assert slope.dtype == np.float64

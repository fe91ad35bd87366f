"""What derivatives of functions are taken of: arguments and answers in structures, which arguments, and what is refused."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.autodiff.test_functions import V, X

# -- arguments and answers in structures ---------------------------------------------------------------


class Layer(NamedTuple):
    weight: np.ndarray
    bias: float


TREE = {"first": Layer(X, 0.5), "rest": [2.0, (V, {"scale": np.float64(1.5)})], "unused": None}


def flat_of(tree):
    """TREE as one vector, laid out by hand so that the package's own order is checked."""
    return np.concatenate([tree["first"].weight, [tree["first"].bias, tree["rest"][0]], tree["rest"][1][0], [tree["rest"][1][1]["scale"]]])


def on_tree(p):
    z = p["first"].weight * p["rest"][1][0] + p["first"].bias
    return np.sum(np.sin(z)) * p["rest"][0] ** 2 * p["rest"][1][1]["scale"]


def on_flat(x):
    return np.sum(np.sin(x[:3] * x[5:8] + x[3])) * x[4] ** 2 * x[8]


def assert_like_tree(found):
    assert type(found) is dict
    assert list(found) == ["first", "rest", "unused"]
    assert type(found["first"]) is Layer
    assert type(found["rest"]) is list
    assert type(found["rest"][1]) is tuple
    assert found["unused"] is None


def test_grad_of_a_tree():
    value, slope = tg.value_and_grad(on_tree)(TREE)
    assert value == on_flat(flat_of(TREE))
    assert_like_tree(slope)
    assert type(slope["first"].bias) is np.float64
    np.testing.assert_allclose(flat_of(slope), tg.grad(on_flat)(flat_of(TREE)), rtol=1e-14)


def test_hvp_of_a_tree():
    product = tg.hvp(on_tree, TREE, TREE)
    assert_like_tree(product)
    np.testing.assert_allclose(flat_of(product), tg.hessian(on_flat)(flat_of(TREE)) @ flat_of(TREE), rtol=1e-12)


def test_jvp_of_a_tree():
    value, slope = tg.jvp(on_tree, TREE, TREE)
    assert value == on_flat(flat_of(TREE))
    assert slope == pytest.approx(tg.grad(on_flat)(flat_of(TREE)) @ flat_of(TREE), rel=1e-13)


def test_hessian_of_a_tree():
    found = tg.hessian(on_tree)(TREE)
    assert_like_tree(found)
    assert_like_tree(found["first"].weight)
    full = tg.hessian(on_flat)(flat_of(TREE))
    np.testing.assert_allclose(found["first"].weight["first"].weight, full[:3, :3], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found["first"].weight["rest"][1][0], full[:3, 5:8], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(found["rest"][1][0]["rest"][0], full[5:8, 4], rtol=1e-13, atol=1e-14)
    assert found["rest"][0]["rest"][1][1]["scale"] == pytest.approx(full[4, 8], rel=1e-13)
    assert found["unused"] is None
    assert found["first"].bias["unused"] is None


def several(a, b):
    """Answers of all kinds; of some there is nothing to differentiate."""
    return {"outer": np.outer(a, b), "parts": [np.sum(a), Layer(a * 2, b[0])], "count": 3, "nothing": None, "constant": np.ones(2)}


def test_vjp_of_answers_in_a_structure():
    y, pullback = tg.vjp(several, X, V)
    assert type(y["parts"][1]) is Layer
    assert y["count"] == 3
    assert y["nothing"] is None
    np.testing.assert_array_equal(y["outer"], np.outer(X, V))
    u = np.arange(9.0).reshape(3, 3)
    cotangent = {"constant": np.ones(2), "nothing": None, "outer": u, "count": 0, "parts": (2.0, Layer(V, 4.0))}  # keys count, not their order
    by_a, by_b = pullback(cotangent)
    np.testing.assert_allclose(by_a, u @ V + 2 + 2 * V, rtol=1e-14)
    np.testing.assert_allclose(by_b, u.T @ X + [4, 0, 0], rtol=1e-14)


def test_jvp_of_answers_in_a_structure():
    y, slope = tg.jvp(several, (X, V), (V, X))
    assert list(slope) == list(y)
    np.testing.assert_allclose(slope["outer"], np.outer(V, V) + np.outer(X, X), rtol=1e-14)
    assert slope["parts"][0] == np.sum(V)
    assert type(slope["parts"][1]) is Layer
    assert slope["parts"][1].bias == X[0]
    assert (slope["count"], type(slope["count"])) == (0, np.float64)
    assert slope["nothing"] is None
    np.testing.assert_array_equal(slope["constant"], np.zeros(2), strict=True)


def test_jacobian_of_answers_in_a_structure():
    found = tg.jacobian(several, argnums=(0, 1))(X, V)
    by_a, by_b = found["outer"]
    np.testing.assert_allclose(by_a, np.einsum("ik,j->ijk", np.eye(3), V), atol=1e-15)
    np.testing.assert_allclose(by_b, np.einsum("jk,i->ijk", np.eye(3), X), atol=1e-15)
    np.testing.assert_array_equal(found["parts"][1].weight[0], 2 * np.eye(3))
    np.testing.assert_array_equal(found["parts"][1].bias[1], [1, 0, 0])
    np.testing.assert_array_equal(found["constant"][0], np.zeros((2, 3)), strict=True)
    np.testing.assert_array_equal(found["count"][0], np.zeros(3), strict=True)
    assert found["nothing"] is None


def test_jax_agrees_on_structures(jax):
    fn = lambda p: {"y": p["w"] * p["b"][0], "z": (p["b"][1] ** 2, p["w"][0])}
    p = {"w": X, "b": [2.0, 3.0]}
    ours, theirs = tg.jacobian(fn)(p), jax.jacobian(fn)(p)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for got, want in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)


def test_a_named_tuple_is_one_argument():
    p = Layer(X, 2.0)
    fn = lambda p: np.sum(p.weight**2 * p.bias)
    assert type(tg.grad(fn)(p)) is Layer
    assert type(tg.hvp(fn, p, p)) is Layer
    np.testing.assert_allclose(tg.hvp(fn, p, p).weight, 4 * X + 4 * X, rtol=1e-14)
    assert tg.jvp(fn, p, p)[1] == pytest.approx(3 * fn(p), rel=1e-14)  # of degree 3


# -- which arguments, and what happens to them ---------------------------------------------------------


@pytest.mark.parametrize("argnums, want", [(0, 6.0), (1, 8.0), (-1, 8.0), ((1,), (8.0,)), ((1, 0), (8.0, 6.0)), ([0, -1], (6.0, 8.0))])
def test_argnums(argnums, want):
    fn = lambda a, b, scale=1.0: scale * a * b
    assert tg.grad(fn, argnums)(4.0, 3.0, scale=2.0) == want
    assert tg.jacobian(fn, argnums)(4.0, 3.0, scale=2.0) == want


def test_hessian_by_several_arguments():
    (aa, ab), (ba, bb) = tg.hessian(lambda a, b: a**2 * b**3, (0, 1))(2.0, 3.0)
    assert (aa, ab, ba, bb) == (54.0, 108.0, 108.0, 72.0)
    assert tg.hessian(lambda a, b: a**2 * b**3, 1)(2.0, 3.0) == 72.0
    assert tg.hessian(lambda a, b: a**2 * b**3, (1,))(2.0, 3.0) == ((72.0,),)


def test_a_pullback_can_be_called_again():
    y, pullback = tg.vjp(lambda x: np.exp(x) * x, X)
    (first,) = pullback(V)
    kept = first.copy()
    first *= 0  # what was given belongs to the caller
    np.testing.assert_array_equal(pullback(V)[0], kept)
    np.testing.assert_array_equal(pullback(2 * V)[0], 2 * kept)
    np.testing.assert_array_equal(y, np.exp(X) * X)


def test_nothing_given_is_changed():
    given = [X.copy(), V.copy(), np.ones(3)]
    kept = [a.copy() for a in given]
    fn = lambda a, b: np.sum(np.sin(a) * b + b)
    tg.hessian(fn, (0, 1))(given[0], given[1])
    tg.hvp(fn, (given[0], given[1]), (given[2], given[1]))
    tg.jvp(lambda a, b: a + b, (given[0], given[1]), (given[2], given[2]))
    tg.vjp(lambda a: +a, given[0])[1](given[2])
    for a, b in zip(given, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_results_share_no_memory_with_what_was_given():
    u = np.ones(3)
    assert not np.shares_memory(tg.vjp(lambda x: x, X)[1](u)[0], u)
    assert not np.shares_memory(tg.jvp(lambda x: x, X, u)[1], u)
    assert not np.shares_memory(tg.jacobian(lambda x: x)(X), X)


def test_lists_for_arrays():
    np.testing.assert_array_equal(tg.vjp(lambda x: x * X, V)[1]([1.0, 2.0, 3.0])[0], X * [1, 2, 3])
    np.testing.assert_array_equal(tg.jvp(lambda x: x * X, V, [1, 2, 3])[1], X * [1, 2, 3])


# -- wrong use -----------------------------------------------------------------------------------------

INTEGERS = {
    "argument 0": (lambda: tg.grad(lambda a: a)(3), "int64"),
    "argument 1": (lambda: tg.grad(lambda a, b: a * b, (0, 1))(1.0, np.arange(3)), "int64"),
    "argument 2": (lambda: tg.jacobian(lambda a, b, c: c, -1)(1.0, 2.0, True), "bool"),
    "argument 0['b'][1]": (lambda: tg.hessian(lambda p: p["a"])({"a": 1.0, "b": [2.0, 3]}), "int64"),
    "argument 1.bias": (lambda: tg.vjp(lambda a, p: a, 1.0, Layer(X, 2)), "int64"),
    "argument 0[0]": (lambda: tg.jvp(lambda xs: xs[0], [1], [1.0]), "int64"),
    "argument 1[0]": (lambda: tg.hvp(lambda a, b: a, (1.0, (1j,)), (1.0, (1.0,))), "complex128"),
    "argument 0['name']": (lambda: tg.grad(lambda p: p["x"])({"x": 1.0, "name": "first"}), "<U5"),
}


@pytest.mark.parametrize("place", INTEGERS)
def test_what_is_not_floating_is_refused_with_its_place(place):
    call, dtype = INTEGERS[place]
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == (
        f"only floating Tensors can require gradients, got dtype {dtype}: write the numbers as floats in {place}, or do not differentiate with respect to it"
    )


WRONG = {
    "direction's shape": (
        lambda: tg.jvp(lambda x: x, X, np.ones(2)),
        "the direction of jvp() for argument 0 must be an array of shape (3,), got an array of shape (2,)",
    ),
    "direction's shape in a dict": (
        lambda: tg.hvp(on_tree, TREE, {**TREE, "first": Layer(1.0, 0.5)}),
        "the direction of hvp() for argument 0['first'].weight must be an array of shape (3,), got an array of shape ()",
    ),
    "direction's keys": (
        lambda: tg.jvp(lambda p: p["a"], {"a": 1.0, "b": 2.0}, {"a": 1.0}),
        "the direction of jvp() for argument 0 must be a dict with the keys 'a', 'b', got a dict with the keys 'a'",
    ),
    "direction missing": (lambda: tg.jvp(lambda a, b: a, (X, X), X), "jvp() needs one direction per argument: 2, got 1"),
    "direction of the wrong kind": (
        lambda: tg.hvp(lambda a, b: np.sum(a * b), (X, X), (X, None)),
        "the direction of hvp() for argument 1 must be an array of shape (3,), got NoneType",
    ),
    "cotangent's shape": (
        lambda: tg.vjp(lambda x: x * x, X)[1](np.ones((3, 1))),
        "the cotangent of pullback() for the result must be an array of shape (3,), got an array of shape (3, 1)",
    ),
    "cotangent's shape for a constant": (
        lambda: tg.vjp(lambda x: (x, np.ones(2)), X)[1]((X, X)),
        "the cotangent of pullback() for the result[1] must be an array of shape (2,), got an array of shape (3,)",
    ),
    "cotangent's length": (
        lambda: tg.vjp(lambda x: [x, x], X)[1]([X]),
        "the cotangent of pullback() for the result must be a list of length 2, got a list of length 1",
    ),
    "cotangent's structure": (
        lambda: tg.vjp(lambda x: {"y": (x,)}, X)[1]({"y": {"z": X}}),
        "the cotangent of pullback() for the result['y'] must be a tuple of length 1, got a dict with the keys 'z'",
    ),
    "cotangent for nothing": (
        lambda: tg.vjp(lambda x: (x, None), X)[1]((X, X)),
        "the cotangent of pullback() for the result[1] must be NoneType, got an array of shape (3,)",
    ),
    "no cotangent": (lambda: tg.vjp(np.sum, X)[1](None), "the cotangent of pullback() for the result must be an array of shape (), got NoneType"),
    "no arguments": (lambda: tg.hvp(lambda: 1.0, (), ()), "argnums is empty: name at least one argument to differentiate with respect to"),
    "an argument twice": (lambda: tg.grad(lambda a, b: a * b, (0, -2))(1.0, 2.0), "argnums (0, -2) names an argument twice"),
    "gradient of a vector": (
        lambda: tg.hessian(lambda x: x * x)(X),
        "grad() needs a function that returns a single number, this one returned an array of shape (3,): sum it, or use jacobian()",
    ),
    "no answer": (lambda: tg.jacobian(lambda x: None)(X), "jacobian() needs a function that returns arrays or numbers, this one's result is of type NoneType"),
    "text in the answer": (
        lambda: tg.jvp(lambda x: {"y": x, "note": ("text",)}, X, X),
        "jvp() needs a function that returns arrays or numbers, this one's result['note'][0] is of type str",
    ),
    "objects for numbers": (
        lambda: tg.vjp(lambda x: np.array([None]), X),
        "vjp() needs a function that returns arrays or numbers, this one's result is of type ndarray",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes(mistake):
    call, message = WRONG[mistake]
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("call", [lambda: tg.vjp(lambda: 1.0), lambda: tg.jvp(lambda: 1.0, (), ())])
def test_no_arguments(call):
    with pytest.raises(TypeError, match=r"^there are no arguments to differentiate with respect to$"):
        call()


def test_an_argument_that_is_not_there():
    with pytest.raises(TypeError, match=r"^argnums \(2,\) needs 3 positional arguments, got 2$"):
        tg.jacobian(lambda a, b: a, 2)(1.0, 2.0)

"""Tensors in NumPy code that knows nothing of them: operators, functions, ufunc methods, and clear refusals."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr.autodiff.rules import RULES

A = np.array([[1.0, 2.0, 0.5], [3.0, 0.25, 1.5]])
B = np.array([2.0, 0.5, 4.0])


def variable(data=A):
    return tg.Tensor(data, requires_grad=True)


def no_rule(name):
    return (
        f"{name} has no rule, so its gradient is unknown. To add one:\n"
        f"    import tinygrad_lr as tg\n"
        f"    rule = lambda g, y, x: g * ...  # from the gradient g of the result y, the gradient of the argument x\n"
        f"    tg.primitive({name}, rule)      # one rule for each argument\n"
        f"or call it on t.numpy() if no gradient is wanted."
    )


# -- users' own NumPy code -----------------------------------------------------------------------------


def test_a_tensor_in_users_numpy_code():
    def softplus(t):
        return np.mean(np.log1p(np.exp(t)))

    t = variable()
    y = softplus(t)
    assert type(y) is tg.Tensor
    assert y.item() == softplus(A)
    y.backward()
    np.testing.assert_allclose(t.grad, 1 / (1 + np.exp(-A)) / 6, rtol=1e-15)


def test_a_longer_piece_of_users_code():
    def log_likelihood(w, X, y):
        z = np.dot(X, w[1:]) + w[0]
        p = 1.0 / (1.0 + np.exp(-z))
        return np.sum(np.where(y == 1, np.log(p), np.log(1 - p)))

    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(20, 3)), rng.integers(0, 2, 20), rng.normal(size=4)
    t = variable(w)
    value = log_likelihood(t, X, y)
    value.backward()
    assert value.item() == log_likelihood(w, X, y)
    p = 1 / (1 + np.exp(-(X @ w[1:] + w[0])))
    np.testing.assert_allclose(t.grad, np.hstack([np.ones((20, 1)), X]).T @ (y - p), rtol=1e-12)


# -- operators -----------------------------------------------------------------------------------------

BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
OPERANDS = {
    "array": A + 1,
    "row": B,
    "column": np.array([[2.0], [3.0]]),
    "0-d array": np.array(2.0),
    "np.float64": np.float64(2.0),
    "float": 2.5,
    "int": 3,
    "integers": np.array([1, 2, 3]),
    "list": [1.0, 2.0, 3.0],
    "nested list": [[1, 2, 3], [4, 5, 6]],
    "tuple": (1.0, 2.0, 3.0),
    "Tensor": tg.Tensor(B),
}


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("other", OPERANDS.values(), ids=OPERANDS.keys())
def test_operands_on_both_sides(op, other):
    plain = np.asarray(other)
    for swap in (False, True):

        def fn(x, y, swap=swap):
            return op(y, x) if swap else op(x, y)

        t = variable()
        y = fn(t, other)
        assert type(y) is tg.Tensor
        np.testing.assert_array_equal(y.data, fn(A, plain), strict=True)
        np.sum(y).backward()
        both = tg.Tensor(np.broadcast_to(plain, A.shape).astype(float), requires_grad=True)
        fn(u := variable(), both).backward(np.ones(A.shape))
        np.testing.assert_allclose(t.grad, u.grad, rtol=1e-15)
        step = 1e-6
        np.testing.assert_allclose(t.grad, (fn(A + step, plain) - fn(A - step, plain)) / (2 * step), rtol=1e-8)


@pytest.mark.parametrize("matrix", [np.arange(6.0).reshape(3, 2), [[1, 2], [3, 4], [5, 6]], np.array([1.0, 2.0, 3.0])], ids=["array", "list", "vector"])
def test_matmul_on_both_sides(matrix):
    plain = np.asarray(matrix)
    t = variable()
    y = t @ matrix
    np.testing.assert_array_equal(y.data, A @ plain)
    y.backward(np.ones(y.shape))
    np.testing.assert_allclose(t.grad, np.broadcast_to(plain.reshape(3, -1).sum(axis=1), (2, 3)), rtol=1e-15)
    t = variable()
    y = plain.T @ t.T if isinstance(matrix, np.ndarray) else plain.T.tolist() @ t.T
    assert type(y) is tg.Tensor
    np.testing.assert_array_equal(y.data, plain.T @ A.T)
    y.backward(np.ones(y.shape))
    np.testing.assert_allclose(t.grad, np.broadcast_to(plain.reshape(3, -1).sum(axis=1), (2, 3)), rtol=1e-15)


@pytest.mark.parametrize("op, slope", [(operator.neg, -1.0), (operator.pos, 1.0), (abs, np.sign(A - 1))])
def test_unary_operators(op, slope):
    t = variable(A - 1)
    y = op(t)
    np.testing.assert_array_equal(y.data, op(A - 1))
    np.sum(y).backward()
    np.testing.assert_array_equal(t.grad, np.broadcast_to(slope, A.shape))


@pytest.mark.parametrize("op", [operator.mod, operator.floordiv])
@pytest.mark.parametrize("swap", [False, True])
def test_remainder_and_floor_division(op, swap):
    t = variable()
    y = op(B, t) if swap else op(t, B)
    np.testing.assert_array_equal(y.data, op(B, A) if swap else op(A, B))
    y = op(2.0, t) if swap else op(t, 2.0)
    np.testing.assert_array_equal(y.data, op(2.0, A) if swap else op(A, 2.0))


@pytest.mark.parametrize("other", ["a", None, {}])
def test_operands_that_are_no_numbers(other):
    for op in BINARY:
        with pytest.raises(TypeError):
            op(variable(), other)


# -- questions about the data --------------------------------------------------------------------------

QUESTIONS = {
    "isnan": np.isnan,
    "argmax": np.argmax,
    "argsort": lambda t: np.argsort(t, axis=0),
    "shape": np.shape,
    "size": np.size,
    "any": lambda t: np.any(t > 2),
    "count_nonzero": np.count_nonzero,
    "greater": lambda t: np.greater(t, 1),
    "allclose": lambda t: np.allclose(t, A),
    "array_equal": lambda t: np.array_equal(t, A),
    "t.argmax": lambda t: t.argmax(axis=1),
    "t.argmin": lambda t: t.argmin(),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_answers_about_the_data_are_plain(ask):
    for t in (variable(), tg.Tensor(A)):
        got, want = ask(t), ask(A)
        assert type(got) is type(want)
        np.testing.assert_array_equal(got, want)


def test_like_functions_give_plain_numbers_to_start_from():
    t = variable()
    for make, number in [(np.zeros_like, 0.0), (np.ones_like, 1.0), (lambda t: np.full_like(t, 7), 7.0)]:
        y = make(t)
        assert not getattr(y, "requires_grad", False)
        np.testing.assert_array_equal(tg.Tensor(y).data, np.full(A.shape, number))


@pytest.mark.parametrize("fn", [np.exp, np.cumsum, np.fft.fft, np.sum, np.sort, lambda t: np.concatenate([t, t]), lambda t: np.add.outer(t, B)])
def test_untracked_tensors_need_no_rules(fn):
    t = tg.Tensor(A)
    got = fn(t)
    np.testing.assert_array_equal(getattr(got, "data", got), fn(A))
    assert not getattr(got, "requires_grad", False)


def test_under_no_grad_nothing_needs_a_rule():
    t = variable()
    with tg.no_grad():
        np.testing.assert_array_equal(np.fft.fft(t), np.fft.fft(A))
        assert not np.exp(t).requires_grad


# -- ufunc methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ufunc, function", [(np.add, np.sum), (np.maximum, np.max), (np.minimum, np.min)])
@pytest.mark.parametrize("settings", [{}, {"axis": 1}, {"axis": None}, {"axis": 0, "keepdims": True}])
def test_reduce_is_the_reduction(ufunc, function, settings):
    t, u = variable(), variable()
    y, z = ufunc.reduce(t, **settings), function(u, **{"axis": 0, **settings})
    np.testing.assert_array_equal(y.data, ufunc.reduce(A, **settings), strict=True)
    y.backward(np.ones(y.shape))
    z.backward(np.ones(y.shape))
    np.testing.assert_array_equal(t.grad, u.grad)


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum])
def test_a_reduction_in_another_type_is_refused_where_its_function_knows_none(ufunc):
    with pytest.raises(TypeError) as caught:
        ufunc.reduce(variable(), dtype=np.float32)
    assert str(caught.value) == f"np.{ufunc.__name__}.reduce(dtype=...) is not supported on a tracked Tensor: use t.astype(dtype)"
    assert np.add.reduce(variable(), dtype=np.float32).dtype == np.float32
    assert ufunc.reduce(tg.Tensor(A), dtype=np.float32).dtype == np.float32


# -- functions that are two in one ----------------------------------------------------------------------


@pytest.mark.parametrize("t", [variable([0.0, 2.0]), tg.Tensor([0.0, 2.0])], ids=["tracked", "untracked"])
def test_where_of_a_condition_alone_is_nonzero(t):
    (places,) = np.where(t)
    assert type(places) is np.ndarray
    np.testing.assert_array_equal(places, [1])


@pytest.mark.parametrize("settings", [{}, {"copy": False}, {"nan": 0.0}], ids=str)
def test_nan_to_num_takes_its_array_by_keyword(settings):
    x = np.array([np.nan, 2.0])
    for t in (variable(x), tg.Tensor(x)):
        np.testing.assert_array_equal(np.nan_to_num(x=t, **settings).data, [0.0, 2.0])
        assert np.isnan(x[0])


OUTER = {
    "add": (np.add, np.add(A[..., None], B)),
    "subtract": (np.subtract, A[..., None] - B),
    "multiply": (np.multiply, A[..., None] * B),
    "maximum": (np.maximum, np.maximum(A[..., None], B)),
    "power": (np.power, A[..., None] ** B),
    "hypot": (np.hypot, np.hypot(A[..., None], B)),
}


@pytest.mark.parametrize("ufunc, want", OUTER.values(), ids=OUTER.keys())
def test_outer_goes_by_the_rule_of_the_ufunc(ufunc, want):
    seed = np.random.default_rng(0).normal(size=want.shape)
    a, b, c, d = variable(), variable(B), variable(), variable(B)
    y, z = ufunc.outer(a, b), ufunc(c.reshape(2, 3, 1), d)
    np.testing.assert_array_equal(y.data, want, strict=True)
    y.backward(seed)
    z.backward(seed)
    np.testing.assert_array_equal(a.grad, c.grad)
    np.testing.assert_array_equal(b.grad, d.grad)


def test_outer_of_tensors_arrays_lists_and_numbers():
    for a, b in [(variable(), B), (A, variable(B)), (variable(), B.tolist()), (2.0, variable()), (variable(), 2.0)]:
        y = np.subtract.outer(a, b)
        plain = [x.data if isinstance(x, tg.Tensor) else x for x in (a, b)]
        assert y.requires_grad
        np.testing.assert_array_equal(y.data, np.subtract.outer(*plain))


def test_outer_of_what_has_no_rule_says_so():
    with pytest.raises(TypeError, match=r"^np\.nextafter has no rule"):
        np.nextafter.outer(variable(), B)


def test_outer_writes_nothing_in_place():
    with pytest.raises(TypeError, match=r"^np\.add\(out=\.\.\.\) on a tracked Tensor: results are never written in place"):
        np.add.outer(variable(), B, out=np.zeros((2, 3, 3)))


UFUNC_METHODS = {
    "np.logaddexp.accumulate": lambda t: np.logaddexp.accumulate(t),
    "np.multiply.reduceat": lambda t: np.multiply.reduceat(t, [0, 1]),
    "np.add.at": lambda t: np.add.at(np.zeros((2, 3)), (0, 0), t[0, 0]),
}


@pytest.mark.parametrize("name", UFUNC_METHODS)
def test_ufunc_methods_without_a_rule_say_so(name):
    with pytest.raises(TypeError, match=f"^{name} has no rule"):
        UFUNC_METHODS[name](variable())


# -- what has no rule ----------------------------------------------------------------------------------

NO_RULES = {
    "np.fft.fft": np.fft.fft,
    "np.spacing": np.spacing,
    "np.unwrap": np.unwrap,
    "np.i0": np.i0,
}


@pytest.mark.parametrize("name", NO_RULES)
def test_a_function_without_a_rule(name):
    for t in (variable(), variable() * 2):
        with pytest.raises(TypeError) as caught:
            NO_RULES[name](t)
        assert str(caught.value) == no_rule(name)


def test_the_advice_given_for_a_missing_rule_works():
    assert tg.primitive(np.i0, lambda g, y, x: g * np.interp(x, [0, 1], [0, 0.5])) is np.i0
    try:
        t = variable([0.5])
        np.i0(t).backward()
        assert t.grad == 0.25
    finally:
        del RULES[np.i0]


def test_ufuncs_of_other_libraries_go_by_their_own_name():
    special = pytest.importorskip("scipy.special")
    with pytest.raises(TypeError) as caught:
        special.j0(variable())
    assert str(caught.value) == no_rule("j0")


# -- nothing is written in place -----------------------------------------------------------------------

IN_PLACE = "results are never written in place, because the graph needs what was there; write a = a + t instead of a += t or out=a"
PARTIAL = "there is no rule for a partial call; use np.where(mask, result, otherwise)"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda t: np.exp(t, out=np.zeros((2, 3))), f"np.exp(out=...) on a tracked Tensor: {IN_PLACE}"),
        (lambda t: np.add(t, 1, out=np.zeros((2, 3))), f"np.add(out=...) on a tracked Tensor: {IN_PLACE}"),
        (lambda t: np.sum(t, axis=0, out=np.zeros(3)), f"np.sum(out=...) on a tracked Tensor: {IN_PLACE}"),
        (lambda t: np.exp(t, where=A > 1), f"np.exp(where=...) on a tracked Tensor: {PARTIAL}"),
        (lambda t: np.add.reduce(t, out=np.zeros(3)), f"np.add(out=...) on a tracked Tensor: {IN_PLACE}"),
        (lambda t: np.exp(t, dtype=np.float32), "np.exp(dtype=...) is not supported on a tracked Tensor: use t.astype(dtype)"),
    ],
    ids=["ufunc out", "binary out", "sum out", "ufunc where", "reduce out", "ufunc dtype"],
)
def test_settings_that_no_rule_covers(call, message):
    with pytest.raises(TypeError) as caught:
        call(variable())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "name, call",
    [
        ("np.sum", lambda t, a: np.sum(t, None, None, a)),
        ("np.mean", lambda t, a: np.mean(t, None, None, a)),
        ("np.max", lambda t, a: np.max(t, None, a)),
        ("np.nanmin", lambda t, a: np.nanmin(t, 0, a)),
        ("np.std", lambda t, a: np.std(t, 0, None, a)),
        ("np.cumsum", lambda t, a: np.cumsum(t, 0, None, a)),
        ("np.median", lambda t, a: np.median(t, 0, a)),
        ("np.quantile", lambda t, a: np.quantile(t, 0.5, 0, a)),
        ("np.round", lambda t, a: np.round(t, 1, a)),
        ("np.clip", lambda t, a: np.clip(t, 0, 1, a)),
        ("np.outer", lambda t, a: np.outer(t, t, a)),
        ("np.take", lambda t, a: np.take(t, [0], 0, a)),
        ("np.trace", lambda t, a: np.trace(t, 0, 0, 1, None, a)),
        ("np.stack", lambda t, a: np.stack([t], 0, a)),
        ("np.exp", lambda t, a: np.exp(t, a)),
        ("np.add", lambda t, a: np.add(t, 1, a)),
        ("np.add", lambda t, a: np.add.reduce(t, 0, None, a)),
        ("np.cumsum", lambda t, a: np.add.accumulate(t, 0, None, a)),
    ],
)
def test_out_is_refused_by_position_too(name, call):
    array = np.full((2, 3), 7.0)
    with pytest.raises(TypeError) as caught:
        call(variable(), array)
    assert str(caught.value) in (f"{name}(out=...) on a tracked Tensor: {IN_PLACE}", f"np.add(out=...) on a tracked Tensor: {IN_PLACE}")
    np.testing.assert_array_equal(array, 7.0)


@pytest.mark.parametrize("make", [variable, lambda: tg.Tensor(A.copy())], ids=["tracked", "untracked"])
def test_results_are_not_written_into_tensors_by_position(make):
    t = make()
    for call in (lambda: np.cumsum(A, 0, None, t), lambda: np.clip(A, 0, 1, t), lambda: np.round(A, 1, t), lambda: np.add(A, A, t)):
        with pytest.raises(TypeError, match="in place"):
            call()
    np.testing.assert_array_equal(t.data, A)


def test_an_array_takes_untracked_results_by_position():
    array = np.zeros(3)
    assert np.sum(tg.Tensor(A), 0, None, array) is array
    np.testing.assert_array_equal(array, A.sum(axis=0))


def test_settings_behind_others_find_their_rule_by_name():
    """A tracked keyword takes its position, where its rule is; settings before it that were not given get their defaults."""
    scaled = tg.primitive(lambda x, k=2.0, w=1.0: x * k * w, lambda g, y, x, k, w: g * k * w, None, lambda g, y, x, k, w: np.sum(g * x * k))
    x, w = variable(), tg.Tensor(3.0, requires_grad=True)
    scaled(x, w=w).backward(np.ones((2, 3)))
    np.testing.assert_array_equal(x.grad, 6.0)
    assert w.grad == 2 * A.sum()


@pytest.mark.parametrize("op, name", [(operator.iadd, "add"), (operator.isub, "subtract"), (operator.imul, "multiply"), (operator.itruediv, "divide")])
def test_an_array_does_not_swallow_a_tracked_tensor(op, name):
    array = np.ones((2, 3))
    with pytest.raises(TypeError) as caught:
        op(array, variable())
    assert str(caught.value) == f"np.{name}(out=...) on a tracked Tensor: {IN_PLACE}"
    np.testing.assert_array_equal(array, np.ones((2, 3)))


def test_an_array_takes_an_untracked_tensor_and_stays_an_array():
    array = kept = np.ones((2, 3))
    array += tg.Tensor(A)
    assert array is kept
    np.testing.assert_array_equal(array, 1 + A)


@pytest.mark.parametrize("make", [variable, lambda: tg.Tensor(A.copy())], ids=["tracked", "untracked"])
def test_results_are_not_written_into_tensors(make):
    t = make()
    with pytest.raises(TypeError, match="in place"):
        np.add(A, A, out=t)
    np.testing.assert_array_equal(t.data, A)


@pytest.mark.parametrize(
    "write", [lambda a, t: np.copyto(a, t), lambda a, t: np.put(a, [0], t[0, :1]), lambda a, t: np.place(a, a > 0, t[0])], ids=["copyto", "put", "place"]
)
def test_numpy_does_not_write_a_tracked_tensor_into_an_array(write):
    array = np.ones((2, 3))
    with pytest.raises(TypeError):
        write(array, variable())
    np.testing.assert_array_equal(array, np.ones((2, 3)))

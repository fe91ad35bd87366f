"""Nothing is wrong without a word: what once gave a wrong gradient silently is right, or refused by name."""

from __future__ import annotations

import copy
import pickle
import statistics
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

X = np.array([0.5, 1.0, 2.0])


def tracked(data=X):
    return tg.Tensor(data, requires_grad=True)


# -- functions that change their arguments -------------------------------------------------------------


def product(p):
    p["a"] = p["a"] * 2
    return p["a"] * p["b"]


AT = {"a": 1.0, "b": 3.0}


def test_grad_of_a_function_that_rebinds_an_item_of_its_dict():
    point = dict(AT)
    assert tg.grad(product)(point) == {"a": 6.0, "b": 2.0}
    assert point == AT


def test_vjp_jvp_jacobian_and_hessian_of_a_function_that_rebinds_an_item_of_its_dict():
    value, pullback = tg.vjp(product, dict(AT))
    assert (value, *pullback(1.0)) == (6.0, {"a": 6.0, "b": 2.0})
    assert tg.jvp(product, dict(AT), {"a": 1.0, "b": 10.0}) == (6.0, 26.0)
    assert tg.jacobian(product)(dict(AT)) == {"a": 6.0, "b": 2.0}
    assert tg.hessian(product)(dict(AT)) == {"a": {"a": 0.0, "b": 2.0}, "b": {"a": 2.0, "b": 0.0}}
    assert tg.hvp(product, dict(AT), {"a": 1.0, "b": 10.0}) == {"a": 20.0, "b": 2.0}


def pops(p):
    return p.pop("a") * p["b"] * 2


def adds_a_key(p):
    p["c"] = p["a"] * 2
    return p["c"] * p["b"]


def clears(p):
    a, b = p["a"], p["b"]
    p.clear()
    return a * b * 2


@pytest.mark.parametrize("fn", [pops, adds_a_key, clears])
def test_functions_that_change_which_keys_there_are(fn):
    assert tg.grad(fn)(dict(AT)) == {"a": 6.0, "b": 2.0}
    assert tg.hessian(fn)(dict(AT))["a"] == {"a": 0.0, "b": 2.0}


def appends(p):
    p.append(p[0] * p[1])
    return p[-1] * 2


def sorts(p):
    p.sort(key=lambda t: -t.item())
    return p[0] * p[1] * 2


def replaces(p):
    p[0] = p[0] * 2
    return p[0] * p[1]


@pytest.mark.parametrize("fn", [appends, sorts, replaces])
def test_functions_that_change_their_list(fn):
    assert tg.grad(fn)([1.0, 3.0]) == [6.0, 2.0]
    assert tg.vjp(fn, [1.0, 3.0])[1](1.0) == ([6.0, 2.0],)


def test_a_structure_inside_a_structure_that_is_changed():
    def fn(p):
        p["layer"][0]["w"] = p["layer"][0]["w"] * 2
        return p["layer"][0]["w"] ** 2

    assert tg.grad(fn)({"layer": [{"w": 3.0}]}) == {"layer": [{"w": 24.0}]}


def test_a_meta_learning_loop_that_steps_in_its_own_dict():
    """MAML: the outer gradient goes through the inner steps. loss = (w - t)^2, one step w - 0.1 * 2 (w - t)."""

    def task(p, t):
        return (p["w"] - t) ** 2

    def outer(p):
        total = 0.0
        for t in (1.0, 2.0):
            inner = dict(p)
            for _ in range(2):
                g = tg.grad(task)(inner, t)
                for key in inner:
                    inner[key] = inner[key] - 0.1 * g[key]
            total = total + task(inner, t)
        p["w"] = p["w"] * 0  # what happens to the dict afterwards does not matter
        return total

    got = tg.grad(outer)({"w": 0.0})
    assert got["w"] == pytest.approx(2 * 0.64**2 * (-1 - 2), rel=1e-12)


@pytest.mark.parametrize("make", [OrderedDict, lambda items: defaultdict(float, items), Counter], ids=["OrderedDict", "defaultdict", "Counter"])
def test_subclasses_of_dict_come_back_as_what_they_were(make):
    given = make({"a": 1.0, "b": 3.0})

    def fn(p):
        assert type(p) is type(given)
        return p["a"] * p["b"]

    g = tg.grad(fn)(given)
    assert type(g) is type(given)
    assert dict(g) == {"a": 3.0, "b": 1.0}
    if isinstance(given, defaultdict):
        assert g["missing"] == 0.0
        assert "missing" not in given


# -- cutting a leaf ------------------------------------------------------------------------------------

CUT = "would silently cut it out of its graph"


def test_a_tensor_of_a_leaf_is_refused_while_it_is_differentiated():
    with pytest.raises(TypeError, match=rf"^Tensor\(t\) of a tracked Tensor {CUT}: say Tensor\(t\.detach\(\)\)"):
        tg.grad(lambda w: np.sum(tg.Tensor(w) ** 2))(X)
    w = tracked()
    with pytest.raises(TypeError, match=CUT):
        np.sum(tg.Tensor(w) * w).backward()
    with pytest.raises(TypeError, match=rf"^Parameter\(t\) of a tracked Tensor {CUT}: say Parameter\(t\.detach\(\)\)"):
        nn.Parameter(nn.Parameter(X))
    np.testing.assert_array_equal(tg.Tensor(w.detach()).data, X)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))], ids=["copy", "deepcopy", "pickle"])
def test_copies_are_for_models_and_not_for_variables(duplicate):
    w = duplicate(tracked())
    assert w.requires_grad
    np.testing.assert_array_equal(w.data, X)
    with pytest.raises(TypeError, match=rf"that is being differentiated with respect to, {CUT}"):
        tg.grad(lambda w: np.sum(duplicate(w) * w))(X)
    with pytest.raises(TypeError, match=CUT):
        duplicate(tracked() * 2)


def test_a_copy_of_a_model_whose_parameters_are_variables_is_refused():
    layer = nn.Dense(2, 1)

    def loss(w):
        layer.weight.data, layer.weight.node = w.data, w.node
        return np.sum(copy.deepcopy(layer).weight)

    with pytest.raises(TypeError, match=CUT):
        tg.grad(loss)(np.ones((1, 2)))


# -- operands with rules of their own ------------------------------------------------------------------

MASKED = np.ma.masked_array([1.0, 2.0, 3.0], [True, False, False])
MATRIX = np.eye(3).view(np.matrix)  # its constructor warns
OBJECTS = np.array([1.0, 2.0, 3.0], object)

CALLS = {
    "operator": lambda t, x: t * x,
    "product": lambda t, x: t @ x,
    "ufunc": lambda t, x: np.add(t, x),
    "ufunc, other order": lambda t, x: np.multiply(x, t),
    "function": lambda t, x: np.dot(t, x),
    "where": lambda t, x: np.where(True, t, x),
    "Tensor": lambda t, x: tg.Tensor(x),
    "layer": lambda t, x: nn.Dense(3, 1)(x),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "x, message",
    [
        (MASKED, r"^a masked array of shape \(3,\) beside a Tensor: gradients know nothing of its mask\. Fill it \(a\.filled\(0\)\)"),
        (MATRIX, r"^a numpy\.matrix of shape \(3, 3\) beside a Tensor: .* Write np\.asarray\(m\)"),
        (OBJECTS, r"^an array of Python objects of shape \(3,\) beside a Tensor has no gradients: write its numbers as floats \(a\.astype\(float\)\)"),
    ],
    ids=["masked", "matrix", "objects"],
)
def test_arrays_that_calculate_by_rules_of_their_own(call, x, message):
    with pytest.raises(TypeError, match=message):
        call(tracked(), x)


def test_they_are_found_by_keyword_too():
    for call in (lambda t: np.std(t, mean=MASKED), lambda t: np.pad(t, 1, constant_values=MASKED[0:1]), lambda t: np.max(t, initial=MASKED[1:2])):
        with pytest.raises(TypeError, match="masked array"):
            call(tracked())


def test_untracked_tensors_are_not_written_into_either():
    calls = (
        lambda t: np.add.at(t, [0], 1.0),
        lambda t: np.copyto(t, 0.0),
        lambda t: np.put(t, [0], 1.0),
        lambda t: np.putmask(t, [True, False, False], 1.0),
        lambda t: np.place(t, [True, False, False], [1.0]),
        lambda t: np.fill_diagonal(t, 0.0),
    )
    for call in calls:
        for t in (tg.Tensor(X.copy()), tg.Tensor(np.eye(3))):
            before = t.data.copy()
            with pytest.raises(TypeError, match=r"would write into a Tensor, and Tensors are never written in place"):
                call(t)
            np.testing.assert_array_equal(t.data, before)
    t = tg.Tensor(np.array([3.0, np.nan, 1.0]))
    np.nan_to_num(t, copy=False)
    np.nan_to_num(t, False)
    np.median(t, overwrite_input=True)
    np.testing.assert_array_equal(t.data, [3.0, np.nan, 1.0])


def test_a_matrix_before_a_tensor():
    for call in (lambda t: MATRIX * t, lambda t: MATRIX @ t, lambda t: np.dot(MATRIX, t)):
        with pytest.raises(TypeError, match=r"^a numpy\.matrix of shape"):
            call(tracked())


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "coo_matrix"])
def test_sparse_matrices(kind):
    sparse = pytest.importorskip("scipy.sparse")
    s = getattr(sparse, kind)(np.eye(3))
    for call in (lambda t: t @ s, lambda t: t * s, lambda t: np.dot(t, s), lambda t: tg.Tensor(s)):
        with pytest.raises(TypeError, match=rf"^a {kind} of shape \(3, 3\) beside a Tensor: sparse matrices have no rules\. Write x\.toarray\(\)"):
            call(tracked())
    with pytest.raises(TypeError, match=r"sparse matrix .* before a Tensor must become an ndarray \(.*x\.toarray\(\)"):
        s @ tracked()
    product = tg.primitive(lambda w: s @ w, lambda g, y, w: s.T @ g)  # what the message says
    np.testing.assert_array_equal(tg.grad(lambda w: np.sum(product(w)))(X), np.ones(3))


def test_a_masked_array_before_a_tensor():
    with pytest.raises(TypeError, match=r"masked array.* before a Tensor must become an ndarray \(a\.filled\(0\)"):
        MASKED * tracked()


def test_single_objects():
    from decimal import Decimal
    from fractions import Fraction

    np.testing.assert_array_equal((tracked() * Fraction(1, 2)).data, X / 2)
    with pytest.raises(TypeError, match=r"^a Python object of type Decimal beside a Tensor has no gradient: write it as a float"):
        Decimal(2) * tracked()
    with pytest.raises(TypeError, match="array of Python objects"):
        tg.Tensor([1.0, None])


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame, series = pandas.DataFrame(np.eye(3)), pandas.Series(X)
    np.testing.assert_array_equal((tracked() @ frame).data, X)
    np.testing.assert_array_equal((tracked() * series).data, X * X)
    with pytest.raises(TypeError, match=r"data frame before a Tensor must become an ndarray \(.*df\.to_numpy\(\)\)"):
        frame @ tracked()


# -- rules that write in place -------------------------------------------------------------------------


def in_place(g, y, x):
    g *= 3 * x**2
    return g


def with_out(g, y, x):
    return np.multiply(g, 3 * x**2, out=np.empty(x.shape))


def with_own_buffer():
    buffer = np.empty(3)
    return lambda g, y, x: np.multiply(g, 3 * x**2, out=buffer)


def with_out_by_position():
    buffer = np.empty(3)

    def rule(g, y, x):
        np.cumsum(g * 3 * x**2, 0, None, buffer)
        buffer[1:] -= buffer[:-1].copy()
        return buffer

    return rule


@pytest.mark.parametrize("rule", [in_place, with_out, with_own_buffer(), with_out_by_position()], ids=["+=", "out", "own buffer", "out by position"])
def test_jacobian_and_hessian_with_a_rule_that_writes_in_place(rule):
    cube = tg.primitive(lambda x: x**3, rule)
    np.testing.assert_allclose(tg.jacobian(lambda x: cube(x) * 2)(X), np.diag(6 * X**2), rtol=1e-14)
    np.testing.assert_allclose(tg.jacobian(lambda x: cube(cube(x)))(X), np.diag(9 * X**8), rtol=1e-14)


def test_hessian_behind_a_rule_that_writes_in_place():
    cube = tg.primitive(lambda x: x**3, in_place)
    np.testing.assert_allclose(tg.hessian(lambda x: np.sum(cube(x)))(X), np.diag(6 * X), rtol=1e-14)


def test_a_rule_that_writes_into_its_gradient_spoils_no_siblings():
    cube = tg.primitive(lambda x: x**3, in_place)
    a, b = tracked(), tracked()
    np.sum(cube(a) + b).backward()
    np.testing.assert_array_equal(b.grad, np.ones(3))
    np.testing.assert_array_equal(a.grad, 3 * X**2)


def test_a_rule_that_reuses_its_buffer_spoils_no_earlier_gradient():
    cube = tg.primitive(lambda x: x**3, with_own_buffer())
    a, b = tracked(), tracked(X + 1)
    np.sum(cube(a) + cube(b)).backward()
    np.testing.assert_array_equal(a.grad, 3 * X**2)
    np.testing.assert_array_equal(b.grad, 3 * (X + 1) ** 2)


@pytest.mark.parametrize("which", [1, 2], ids=["answer", "argument"])
def test_a_rule_that_writes_into_the_graph_is_refused(which):
    def rule(*values):
        values[which][...] = 0
        return values[0]

    cube = tg.primitive(lambda x: x**3, rule)
    with pytest.raises(ValueError, match=r"^the rule of <lambda> for argument 0 writes into an array that the graph holds: make a new one"):
        tg.grad(lambda x: np.sum(cube(x)))(X)


@pytest.mark.parametrize("error", [TypeError, AttributeError, ValueError, IndexError])
def test_a_bug_in_a_rule_is_raised_and_not_swallowed_by_the_batch(error):
    calls = []

    def rule(g, y, x):
        calls.append(1)
        raise error("a bug of the rule's own")

    with pytest.raises(error, match=r"^a bug of the rule's own$"):
        tg.jacobian(tg.primitive(lambda x: x**3, rule))(X)
    assert len(calls) == 1  # not tried again, row by row


@pytest.mark.parametrize(
    "rule",
    [
        lambda g, y, x: np.array([float(a) for a in g]) * 3 * x**2,
        lambda g, y, x: np.array(g.tolist()) * 3 * x**2,
        lambda g, y, x: g.astype(np.float64) * 3 * x**2,
        lambda g, y, x: g.sum(keepdims=True, dtype=np.float64) * 0 + g * 3 * x**2,
        lambda g, y, x: np.reshape(g, x.shape, order="A") * 3 * x**2,
        lambda g, y, x: g.reshape(x.shape, order="C") * 3 * x**2,
        lambda g, y, x: g.clip(-10, 10) * 3 * x**2,
        lambda g, y, x: np.transpose(a=g) * 3 * x**2,
        lambda g, y, x: np.stack([g[i] * 3 * x[i] ** 2 for i in range(len(g))]),
        lambda g, y, x: g.flat[:] * 3 * x**2,
        lambda g, y, x: np.fromiter((a for a in g), float) * 3 * x**2,
    ],
    ids=["float", "tolist", "astype", "sum with dtype", "order A", "order C", "clip", "keyword", "index", "flat", "fromiter"],
)
def test_whatever_a_batch_cannot_follow_is_sent_one_by_one(rule):
    cube = tg.primitive(lambda x: x**3, rule)
    np.testing.assert_allclose(tg.jacobian(cube)(X), np.diag(3 * X**2), rtol=1e-14)


# -- arrays that two hold ------------------------------------------------------------------------------


def test_a_pullback_does_not_change_with_the_arrays_that_were_given_and_returned():
    x = X.copy()
    y, pullback = tg.vjp(np.exp, x)
    (before,) = pullback(np.ones(3))
    y *= 100
    x += 5
    np.testing.assert_array_equal(pullback(np.ones(3))[0], before)
    y, _ = tg.jvp(lambda x: x, x, X)
    y[0] = 9
    assert x[0] == X[0] + 5
    x = X.copy()
    (y, z), pullback = tg.vjp(lambda x: [x, x * x], x)
    y[:] = 0
    z[:] = 0
    np.testing.assert_array_equal(pullback([np.ones(3), np.ones(3)])[0], 1 + 2 * X)


def test_a_pullback_does_not_change_with_the_structures_that_were_given_and_returned():
    point = {"a": tracked(1.0), "b": tracked(3.0)}
    y, pullback = tg.vjp(lambda p: {"y": p["a"] * p["b"]}, point)
    point.pop("a")
    y.clear()
    assert [t.item() for t in pullback({"y": 1.0})[0].values()] == [3.0, 1.0]


# -- what NumPy and others turn into arrays ------------------------------------------------------------


def fill(array, t):
    array[0] = t


ARRAYS = {
    "np.array": lambda t: np.array([t, t]),
    "np.array with dtype": lambda t: np.array([t, t], dtype=float),
    "np.mean of a list": lambda t: np.mean([t, t]),
    "np.full": lambda t: np.full((2,), t),
    "np.arange": lambda t: np.arange(t),
    "statistics.mean": lambda t: statistics.mean([t, t]),
    "statistics.fmean": lambda t: statistics.fmean([t, t]),
    "float": float,
}


@pytest.mark.parametrize("call", ARRAYS.values(), ids=ARRAYS)
def test_what_makes_an_array_or_number_of_a_tensor_names_what_to_use(call):
    with pytest.raises(TypeError, match=rf"^turning a tracked Tensor into an? \w+ {CUT}.*np\.stack.*np\.broadcast_to.*t\.numpy\(\)"):
        call(tracked(2.0))
    call(tg.Tensor(2.0))


def test_an_element_set_to_a_tensor():
    with pytest.raises(TypeError, match=r"np\.stack.*np\.broadcast_to.*np\.where.*t\.numpy\(\)"):
        fill(np.zeros((2, 3)), tracked())
    for call in (lambda t: fill(np.zeros(2), t), lambda t: np.fromiter([t], float)):
        with pytest.raises(ValueError) as caught:  # NumPy puts its own words around ours
            call(tracked(2.0))
        assert "np.stack" in str(caught.value.__cause__)


def test_a_plot_of_a_tensor():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, axes = pyplot.subplots()
    try:
        for t in (tracked(), tracked() * 2):
            with pytest.raises(TypeError, match=rf"{CUT}.*t\.numpy\(\)"):
                axes.plot(t)
        axes.plot(tracked().detach())
    finally:
        pyplot.close(figure)


def test_round_and_divmod():
    assert tg.grad(lambda x: round(x * 2.6) * x)(1.0) == 3.0
    assert tg.grad(lambda x: round(x, 1) * x)(1.26) == 1.3
    assert round(tg.Tensor(2.6)).item() == 3.0
    assert tg.grad(lambda x: divmod(x, 2.0)[0] * x + divmod(x, 2.0)[1])(5.0) == 3.0
    assert tg.grad(lambda x: divmod(5.0, x)[1])(2.0) == -2.0
    assert [t.item() for t in divmod(tg.Tensor(5.0), 2)] == [2.0, 1.0]

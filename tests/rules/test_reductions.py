"""Reductions on every shape and axis, of some elements and of many, and their refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_lr as tg
from tests.rules.rows import NUMPY
from tinygrad_lr.autodiff.rules.reductions import log_softmax, logaddexp_reduce, softmax

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
OF_NOTHING = {np.sum, np.prod, np.nansum, np.nanprod}  # have a finite result for no numbers
REDUCTIONS = (
    np.sum, np.prod, np.mean, np.max, np.min, np.amax, np.amin, np.ptp, np.var, np.std, np.median, np.average, logaddexp_reduce,
    np.nansum, np.nanprod, np.nanmean, np.nanmax, np.nanmin, np.nanvar, np.nanstd, np.nanmedian,
)  # fmt: skip


def numbers(shape, seed=0):
    """Numbers that lie apart, so that differences do not reach across ties."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(shape, dtype=int))
    return ((rng.permutation(size) + rng.uniform(0.2, 0.8, size) - size / 2) / max(size, 4) * 3).reshape(shape)


def assert_gradient(fn, x, seed=1, rtol=1e-6):
    """The gradient of a weighted sum of ``fn(x)`` against differences along a random direction; returns the gradient."""
    rng = np.random.default_rng(seed)
    direction, weights = rng.normal(size=x.shape), rng.normal(size=np.shape(fn(x)))

    def total(a):
        return np.sum(fn(a) * weights)

    def central(h):
        return (total(x + h * direction) - total(x - h * direction)) / (2 * h)

    step = 1e-3 / max(x.size, 1)
    numeric = (4 * central(step / 2) - central(step)) / 3
    g = tg.grad(total)(x)
    assert g.shape == x.shape
    np.testing.assert_allclose(np.sum(g * direction), numeric, rtol=rtol, atol=rtol * (1 + np.abs(g).sum()))
    return g


@st.composite
def shape_and_axis(draw):
    shape = draw(SHAPES)
    axes = st.lists(st.integers(-len(shape), len(shape) - 1), unique_by=lambda a: a % len(shape)).map(tuple) if shape else st.just(())
    return shape, draw(st.none() | axes | (st.integers(-len(shape), len(shape) - 1) if shape else st.none()))


@pytest.mark.parametrize("func", REDUCTIONS, ids=lambda f: f.__name__)
@given(shape_and_axis(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_axis(func, shaped, keepdims):
    shape, axis = shaped
    assume(func is not logaddexp_reduce or shape)
    folded = [n for i, n in enumerate(shape) if axis is None or i in {a % len(shape) for a in np.atleast_1d(axis)}]
    if func not in OF_NOTHING:
        assume(0 not in folded)
    if func in (np.median, np.nanmedian, np.average):
        assume(0 not in shape)  # NumPy itself fails on some of these

    def reduced(x):
        return func(x, axis=axis, keepdims=keepdims)

    x = numbers(shape)
    assert_gradient(reduced, x)
    np.testing.assert_allclose(reduced(tg.Tensor(x, requires_grad=True)).data, reduced(x), rtol=1e-13)


@pytest.mark.parametrize("func", [np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.diff, np.sort], ids=lambda f: f.__name__)
@given(hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4), st.data())
@settings(max_examples=40, deadline=None)
def test_every_running_axis(func, shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    assert_gradient(lambda x: func(x, axis=axis), numbers(shape))


@pytest.mark.parametrize("func", [np.quantile, np.nanquantile], ids=lambda f: f.__name__)
@given(shape_and_axis(), st.floats(0, 1) | hnp.arrays(float, hnp.array_shapes(max_dims=2, max_side=2), elements=st.floats(0, 1)), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_quantile(func, shaped, q, keepdims):
    shape, axis = shaped
    assume(0 not in shape)
    assume(func is np.quantile or (axis != () and np.ndim(q) < 2))  # np.nanquantile returns its axes in another order there
    x = numbers(shape)
    assert_gradient(lambda a: func(a, q, axis=axis, keepdims=keepdims), x)
    got = func(tg.Tensor(x, requires_grad=True), q, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(got.data, func(x, q, axis=axis, keepdims=keepdims), rtol=1e-12, atol=1e-13)


@given(st.integers(2, 6), st.integers(1, 2), st.booleans(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_gradient_of_any_places(n, edge_order, equal, seed):
    assume(n > edge_order)
    places = 0.5 if equal else np.sort(np.random.default_rng(seed).uniform(size=n)) + np.arange(n)
    x = numbers((n, 2), seed)
    assert_gradient(lambda f: np.gradient(f, places, axis=0, edge_order=edge_order), x)
    got = np.gradient(tg.Tensor(x, requires_grad=True), places, axis=0, edge_order=edge_order)
    np.testing.assert_allclose(got.data, np.gradient(x, places, axis=0, edge_order=edge_order), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("func", [*REDUCTIONS, np.cumsum, np.cumprod, np.diff, np.trapezoid, np.gradient, softmax, log_softmax], ids=lambda f: f.__name__)
def test_float32_stays(func):
    x = tg.Tensor(numbers((5,)).astype(np.float32), requires_grad=True)
    y = func(x)
    assert y.dtype == np.float32
    np.sum(y).backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("func", [np.quantile, np.percentile, np.nanquantile, np.nanpercentile], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_quantile_has_numpys_dtype(func, dtype):
    x = numbers((5,)).astype(dtype)
    kinds = (0.25, 1, [0.25], [0.25, 0.5], [0, 1], (0.5,), [[0.25, 1]], np.array([0.25, 0.5]), np.array(0.25))
    if NUMPY >= (2, 4):  # before, NumPy took these scalars for Python numbers, and percentages to more digits
        kinds += (np.float16(0.5), np.float32(0.5), np.float64(0.5), np.array([0.5], np.float16), np.array([0.5], np.float32))
    for q in kinds:
        for method in ("linear", "lower", "hazen"):
            got, want = func(tg.Tensor(x, requires_grad=True), q, method=method), func(x, q, method=method)
            assert got.dtype == want.dtype, (q, method)
            np.testing.assert_allclose(got.data, want, rtol=4 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


# -- some elements, and a start value ------------------------------------------------------------------

STARTS = {np.sum: 0.7, np.prod: -1.3, np.max: -0.9, np.min: 0.9, np.nansum: 0.7, np.nanprod: -1.3, np.nanmax: -0.9, np.nanmin: 0.9}
MASKED = (*STARTS, np.mean, np.var, np.std, np.nanmean, np.nanvar, np.nanstd)


@pytest.mark.parametrize("func", MASKED, ids=lambda f: f.__name__)
@given(shape_and_axis(), st.data(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_mask(func, shaped, data, keepdims):
    """Masks of every shape that broadcasts, among them some that select nothing."""
    shape, axis = shaped
    dropped = data.draw(st.integers(0, len(shape)))
    mask_shape = [1 if data.draw(st.booleans()) else n for n in shape[dropped:]]
    mask = data.draw(hnp.arrays(bool, mask_shape))
    how = {"axis": axis, "where": mask, "keepdims": keepdims}
    if func in STARTS:
        how["initial"] = STARTS[func]
    if func not in STARTS or func in (np.nanmax, np.nanmin):  # whose result is nan if nothing is selected
        assume(np.all(np.sum(np.broadcast_to(mask, shape), axis=axis) > 0))
    x = numbers(shape)
    g = assert_gradient(lambda a: func(a, **how), x)
    np.testing.assert_array_equal(g[~np.broadcast_to(mask, shape)], 0)
    y = func(tg.Tensor(x, requires_grad=True), **how)
    np.testing.assert_array_equal(y.data, func(x, **how))


@pytest.mark.parametrize(
    "method",
    [np.add.reduce, np.multiply.reduce, np.maximum.reduce, np.minimum.reduce, np.logaddexp.reduce],
    ids=["add", "multiply", "maximum", "minimum", "logaddexp"],
)
def test_ufuncs_reduce_some_elements(method):
    x = numbers((3, 4))
    mask = np.arange(12).reshape(3, 4) % 3 > 0
    for how in ({"where": mask, "initial": 0.3}, {"axis": (0, 1), "initial": -0.2}, {"axis": 1, "keepdims": True, "where": mask[0], "initial": 0.1}):
        assert_gradient(lambda a, how=how: method(a, **how), x)
        np.testing.assert_allclose(method(tg.Tensor(x, requires_grad=True), **how).data, method(x, **how), rtol=1e-14)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom", "ignore:invalid value")
@pytest.mark.parametrize("func", [np.mean, np.var, np.std, np.nanmean, np.nanvar, np.nanstd])
def test_nothing_selected(func):
    x = tg.Tensor(np.arange(4.0).reshape(2, 2), requires_grad=True)
    y = func(x, axis=1, where=np.array([[True, True], [False, False]]))
    np.testing.assert_array_equal(np.isnan(y.data), [False, True])
    y.backward([1.0, 1.0])
    assert np.isfinite(x.grad[0]).all()
    np.testing.assert_array_equal(x.grad[1], [0, 0])


def test_nothing_selected_leaves_the_start_value():
    for func, start in ((np.sum, 2.0), (np.prod, 2.0), (np.max, 2.0), (np.min, 2.0), (np.logaddexp.reduce, 2.0)):
        x, s = tg.Tensor([1.0, 5.0], requires_grad=True), tg.Tensor(start, requires_grad=True)
        y = func(x, initial=s, where=np.array([False, False]))
        y.backward()
        assert y.data == start
        assert s.grad == 1
        np.testing.assert_array_equal(x.grad, [0, 0])


@pytest.mark.parametrize("func", [np.max, np.amax, np.nanmax, np.maximum.reduce])
def test_a_start_value_is_one_more_of_the_equals(func):
    x, s = tg.Tensor([[3.0, 1.0, 3.0], [9.0, 1.0, 9.0]], requires_grad=True), tg.Tensor(3.0, requires_grad=True)
    func(x, axis=1, initial=s, where=np.array([True, True, False])).backward([1.0, 1.0])
    np.testing.assert_array_equal(x.grad, [[0.5, 0, 0], [1, 0, 0]])
    assert s.grad == 0.5
    np.testing.assert_array_equal(tg.grad(lambda a: func(a, initial=3.0))(np.array([3.0, 1.0, 3.0])), np.array([1, 0, 1]) / 3)


def test_a_start_value_counts_in_the_type_of_the_data():
    x, s = tg.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True), tg.Tensor(2.1, requires_grad=True)
    y = np.max(x, initial=s)
    assert y.dtype == np.float32
    y.backward()
    assert s.grad == 1
    assert s.grad.dtype == np.float64


def test_second_derivatives_with_a_start_value():
    def product(x):
        return np.prod(x[:2], initial=x[2], where=np.array([True, False]))

    np.testing.assert_array_equal(tg.hessian(product)(np.array([2.0, 5.0, 3.0])), [[0, 0, 1], [0, 0, 0], [1, 0, 0]])


def test_a_maximum_of_some_needs_a_start_value():
    with pytest.raises(ValueError, match="does not have an identity"):
        np.max(tg.Tensor([1.0, 2.0], requires_grad=True), where=[True, False])


# -- more elements than float16 counts -----------------------------------------------------------------

MANY = 70_000  # float16 ends at 65,504


@pytest.mark.parametrize("func", [np.mean, np.nanmean, np.average, np.var, np.std, np.nanvar, np.nanstd, logaddexp_reduce], ids=lambda f: f.__name__)
def test_gradients_of_many_in_float16(func):
    x = tg.Tensor(np.tile(np.array([0.5, -0.5, 0.25, 1.0], np.float16), MANY // 4), requires_grad=True)
    g = x.data.dtype.type(1000)
    func(x).backward(g)
    want = tg.grad(func)(x.data.astype(np.float64)) * 1000
    assert x.grad.dtype == np.float16
    np.testing.assert_allclose(x.grad, want, rtol=2e-3)


def test_equals_of_many_in_float16_share():
    x = tg.Tensor(np.ones(MANY, np.float16), requires_grad=True)
    np.max(x).backward(np.float16(1000))
    np.testing.assert_allclose(x.grad, 1000 / MANY, rtol=1e-3)
    some = tg.Tensor(np.ones(MANY, np.float16), requires_grad=True)
    np.mean(some, where=np.arange(MANY) > 9).backward(np.float16(1000))
    np.testing.assert_allclose(some.grad[10:], 1000 / (MANY - 10), rtol=1e-3)


def test_values_of_many_in_float16():
    x = np.ones(MANY, np.float16)
    assert logaddexp_reduce(x) == np.float16(1 + np.log(MANY))
    np.testing.assert_allclose(log_softmax(x), -np.log(MANY), rtol=1e-3)
    np.testing.assert_allclose(softmax(x), 1 / MANY, rtol=5e-3)
    with_hole = tg.Tensor(np.concatenate([np.full(MANY, 0.5), [np.nan]]).astype(np.float16), requires_grad=True)
    assert np.nanmean(with_hole).data == np.nanmean(with_hole.data) == np.float16(0.5)
    for func in (logaddexp_reduce, log_softmax, softmax):
        assert func(x).dtype == np.float16


@pytest.mark.parametrize(
    "fn",
    [
        lambda b: np.ones((MANY, 3), np.float16) * b,
        lambda b: np.broadcast_to(b, (MANY, 3)),
        lambda b: np.tile(b, (MANY, 1)),
        lambda b: b[np.tile(np.arange(3), MANY)],
        lambda b: np.cumsum(np.pad(b, (0, MANY - 3))),
        lambda b: np.cumprod(np.pad(1 + b, (0, MANY - 3), constant_values=1)),
        lambda b: np.einsum("ij,j->ij", np.ones((MANY, 3), np.float16), b),
        lambda b: np.ones((MANY, 3), np.float16) @ np.diag(b),
    ],
    ids=["product", "broadcast_to", "tile", "index", "cumsum", "cumprod", "einsum", "matmul"],
)
def test_gradients_that_add_up_over_many_in_float16(fn):
    """NumPy adds float16 row by row, where 0.03 + 1e-5 is 0.03: a bias would get a thirtieth of its gradient."""
    b = tg.Tensor(np.zeros(3, np.float16), requires_grad=True)
    np.mean(fn(b)).backward()
    want = tg.grad(lambda b: np.mean(fn(b)))(np.zeros(3))
    np.testing.assert_allclose(b.grad, want, rtol=3e-3)


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("func", [np.ptp, np.median, np.nanmean, np.nanmedian, np.sum, np.max, np.std], ids=lambda f: f.__name__)
def test_out_is_refused(func):
    buffer = np.zeros(())
    with pytest.raises(TypeError, match="never written in place"):
        func(tg.Tensor([1.0, 2.0], requires_grad=True), out=buffer)
    assert buffer == 0


def test_weighted_quantiles_are_refused():
    with pytest.raises(TypeError, match="weighted quantiles"):
        np.quantile(tg.Tensor([1.0, 2.0], requires_grad=True), 0.5, weights=[1.0, 2.0], method="inverted_cdf")


def test_wrong_weights_are_refused():
    x = tg.Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        np.average(x, axis=0, weights=[1.0, -1.0])
    with pytest.raises(TypeError, match="need an axis"):
        np.average(x, weights=[1.0, -1.0])
    with pytest.raises(ValueError, match="do not fit"):
        np.average(x, axis=0, weights=[1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "arguments, settings, error, words",
    [
        ((1.0, 2.0, 3.0), {}, TypeError, "3 spacings for 2 axes"),
        ((), {"edge_order": 3}, ValueError, "edge_order"),
        (([0.0, 1.0],), {"axis": 1}, ValueError, "coordinates"),
    ],
)
def test_wrong_spacings_are_refused(arguments, settings, error, words):
    with pytest.raises(error, match=words):
        np.gradient(tg.Tensor(np.ones((4, 3)), requires_grad=True), *arguments, **settings)


def test_no_difference_at_all_is_the_data_whatever_joins_it():
    x = numbers((2, 3))
    for ends in ({}, {"prepend": 1.0}, {"append": np.ones((2, 2))}, {"prepend": 0.0, "append": 1.0, "axis": 0}):
        np.testing.assert_array_equal(np.diff(tg.Tensor(x, requires_grad=True), n=0, **ends).data, np.diff(x, n=0, **ends))
        np.testing.assert_array_equal(tg.grad(lambda a, ends=ends: np.sum(np.diff(a, n=0, **ends) ** 2))(x), 2 * x)


def test_negative_differences_are_refused():
    with pytest.raises(ValueError, match="negative"):
        np.diff(tg.Tensor([1.0, 2.0], requires_grad=True), -1)


# -- single numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("func", [np.cumprod, np.cumsum, np.nancumprod, np.nancumsum])
def test_running_along_a_single_number(func, axis):
    """NumPy answers with a vector of length 1; the gradient goes back without the axis."""
    x = tg.Tensor(3.0, requires_grad=True)
    y = func(x, axis=axis)
    np.testing.assert_array_equal(y.data, [3.0])
    y.backward([2.0])
    np.testing.assert_array_equal(x.grad, 2.0)
    assert x.grad.shape == ()

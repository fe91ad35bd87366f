"""Moving, selecting and joining elements on every shape and axis, with NumPy's conventions and our refusals.

These functions are linear, so their gradients are checked exactly: <w, f(d)> = <gradient of <w, f>, d>.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view

import tinygrad_lr as tg
from tests.rules.rows import NUMPY
from tinygrad_lr.autodiff.rules.shapes import scatter, selects_once

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
NOT_0D = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
FULL = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
MATRICES = hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=4)
FEW = settings(max_examples=60, deadline=None)


def answers(y):
    return list(y) if isinstance(y, list | tuple) else [y]


def assert_linear(fn, *shapes):
    """Values as NumPy's, and the gradient with respect to every input as the adjoint of the linear ``fn``."""
    rng = np.random.default_rng(0)
    arrays, directions = ([rng.normal(size=s) for s in shapes] for _ in range(2))
    expected = answers(fn(*arrays))
    tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
    got = answers(fn(*tensors))
    assert [y.shape for y in got] == [np.shape(y) for y in expected]
    for y, e in zip(got, expected, strict=True):
        np.testing.assert_array_equal(y.data, e)
    weights = [rng.normal(size=np.shape(y)) for y in expected]
    total = sum(np.sum(y * w) for y, w in zip(got, weights, strict=True))
    gradients = tg.gradients(total, tensors)
    assert [g.shape for g in gradients] == list(shapes)
    moved = sum(np.sum(y * w) for y, w in zip(answers(fn(*directions)), weights, strict=True))
    np.testing.assert_allclose(sum(np.sum(g.data * d) for g, d in zip(gradients, directions, strict=True)), moved, rtol=1e-10, atol=1e-10)


def axes(ndim):
    return st.integers(-ndim, ndim - 1)


# -- indices -------------------------------------------------------------------------------------------


@st.composite
def shape_and_index(draw):
    shape = draw(SHAPES)
    return shape, draw(hnp.basic_indices(shape, allow_newaxis=True))


@given(shape_and_index())
@settings(max_examples=200, deadline=None)
def test_basic_index(shaped):
    shape, index = shaped
    assert_linear(lambda x: x[index], shape)


@given(FULL, st.data())
@FEW
def test_index_arrays(shape, data):
    index = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=3, max_side=4)))
    assert_linear(lambda x: x[index], shape)


@given(SHAPES, st.data())
@FEW
def test_mask_of_all_axes(shape, data):
    mask = data.draw(hnp.arrays(bool, shape))
    assert_linear(lambda x: x[mask], shape)


@given(FULL, st.data())
@settings(max_examples=200, deadline=None)
def test_mixed_index(shape, data):
    """Slices, integers, masks, lists and index arrays side by side, as far as they broadcast."""
    count = data.draw(st.integers(1, 3))
    parts = []
    for n in shape:
        places = st.lists(st.integers(-n, n - 1), min_size=count, max_size=count)
        mask = st.permutations([True] * count + [False] * (n - count)) if n >= count else places
        parts.append(data.draw(st.one_of(st.slices(n), st.integers(-n, n - 1), places, places.map(np.array), mask, mask.map(np.array))))
    if data.draw(st.booleans()):
        parts.insert(data.draw(st.integers(0, len(parts))), None)
    index = tuple(parts)
    assert_linear(lambda x: x[index], shape)


@pytest.mark.parametrize(
    "index, expected",
    [
        ([0, 0, 2], [2, 0, 1]),
        ([-1, 2], [0, 0, 2]),
        ([True, False, True], [1, 0, 1]),
        (([0, 0],), [2, 0, 0]),
        (np.array([[0, 1], [0, 0]]), [3, 1, 0]),
        (tg.Tensor(np.array([1, 1])), [0, 2, 0]),
        ([], [0, 0, 0]),
        (np.array([], int), [0, 0, 0]),
        (slice(None, None, -2), [1, 0, 1]),
        (np.array(True), [1, 1, 1]),
        (False, [0, 0, 0]),
    ],
    ids=repr,
)
def test_each_pick_counts(index, expected):
    x = tg.Tensor(np.ones(3), requires_grad=True)
    np.sum(x[index]).backward()
    np.testing.assert_array_equal(x.grad, expected)


def test_second_derivative_of_a_repeated_pick():
    np.testing.assert_array_equal(tg.hessian(lambda x: np.sum(x[[0, 0, 1]] ** 2))(np.ones(2)), [[4, 0], [0, 2]])


def test_scatter_adds_where_indices_repeat():
    np.testing.assert_array_equal(scatter(np.array([1.0, 2.0, 4.0]), np.array([1, 1, 0]), (3,)), [4, 3, 0])
    assert not selects_once([0, 0])
    assert not selects_once((slice(None), np.array([0, 0])))
    assert selects_once((..., 1, None, np.array([True, False]), slice(2)))


def test_tensors_iterate_over_their_rows():
    a, b = tg.Tensor(np.eye(2), requires_grad=True)
    np.testing.assert_array_equal((a - b).data, [1, -1])


# -- shapes and axes -----------------------------------------------------------------------------------


@given(SHAPES, st.data())
@FEW
def test_transpositions(shape, data):
    order = data.draw(st.permutations(range(len(shape))))
    assert_linear(lambda x: np.transpose(x, order), shape)
    assert_linear(lambda x: np.transpose(x, [i - len(shape) for i in order]), shape)
    if shape:
        a, b = data.draw(axes(len(shape))), data.draw(axes(len(shape)))
        assert_linear(lambda x: np.swapaxes(x, a, b), shape)
        assert_linear(lambda x: np.moveaxis(x, a, b), shape)
        start = data.draw(st.integers(-len(shape), len(shape)))
        assert_linear(lambda x: np.rollaxis(x, a, start), shape)
        assert_linear(lambda x: np.moveaxis(x, order, tuple(reversed(order))), shape)


@given(SHAPES, st.sampled_from("CF"), st.data())
@FEW
def test_reshapes(shape, order, data):
    size = int(np.prod(shape, dtype=int))
    to = data.draw(st.sampled_from([(size,), (1, size), (size, 1, 1), shape[::-1]] + ([-1] if size else [])))
    assert_linear(lambda x: np.reshape(x, to, order), shape)
    assert_linear(lambda x: np.ravel(x, order=order), shape)
    assert_linear(np.squeeze, shape)
    at = data.draw(st.integers(-len(shape) - 1, len(shape)))
    assert_linear(lambda x: np.expand_dims(x, at), shape)
    assert_linear(lambda x: np.squeeze(np.expand_dims(x, at), at), shape)
    for func in (np.atleast_1d, np.atleast_2d, np.atleast_3d, np.copy):
        assert_linear(func, shape)


@given(NOT_0D, st.data())
@FEW
def test_turns(shape, data):
    axis, shift = data.draw(st.none() | axes(len(shape))), data.draw(st.integers(-5, 5))
    assert_linear(lambda x: np.flip(x, axis), shape)
    assert_linear(lambda x: np.roll(x, shift, axis), shape)
    assert_linear(np.flipud, shape)


@given(MATRICES, st.integers(-4, 4), st.data())
@FEW
def test_matrices(shape, k, data):
    assert_linear(np.fliplr, shape)
    assert_linear(np.matrix_transpose, shape)
    assert_linear(lambda x: np.tril(x, k), shape)
    assert_linear(lambda x: np.triu(x, k), shape)
    a, b = data.draw(st.permutations(range(len(shape))))[:2]
    assert_linear(lambda x: np.rot90(x, k, (a, b)), shape)
    assert_linear(lambda x: np.diagonal(x, k, a, b), shape)
    assert_linear(lambda x: np.trace(x, k, a, b), shape)
    assert_linear(lambda x: np.diag(x, k), shape[:1])
    assert_linear(lambda x: np.diag(x, k), shape[:2])
    assert_linear(lambda x: np.diagflat(x, k), shape[:2])


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3))
@FEW
def test_broadcasts(shapes):
    assert_linear(lambda *xs: np.broadcast_arrays(*xs), *shapes.input_shapes)
    assert_linear(lambda x: np.broadcast_to(x, shapes.result_shape), shapes.input_shapes[0])


@given(SHAPES, st.lists(st.integers(0, 3), max_size=3), st.integers(0, 3), st.data())
@FEW
def test_repetitions(shape, reps, times, data):
    assert_linear(lambda x: np.tile(x, reps), shape)
    assert_linear(lambda x: np.repeat(x, times), shape)
    if shape:
        axis = data.draw(axes(len(shape)))
        counts = data.draw(st.lists(st.integers(0, 3), min_size=shape[axis], max_size=shape[axis]))
        assert_linear(lambda x: np.repeat(x, np.array(counts, int), axis), shape)


@given(FULL, st.sampled_from(("constant", "edge", "reflect", "symmetric", "wrap")), st.data())
@FEW
def test_pads(shape, mode, data):
    width = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=len(shape), max_size=len(shape)))
    assert_linear(lambda x: np.pad(x, width, mode), shape)


# -- picking by function -------------------------------------------------------------------------------


@given(FULL, st.data())
@FEW
def test_picks(shape, data):
    axis = data.draw(axes(len(shape)))
    n = shape[axis]
    indices = data.draw(hnp.arrays(int, hnp.array_shapes(max_dims=2, max_side=3) | st.just(()), elements=st.integers(-n, n - 1)))
    assert_linear(lambda x: np.take(x, indices, axis), shape)
    for mode in ("wrap", "clip"):
        assert_linear(lambda x, mode=mode: np.take(x, indices * 3, axis, mode=mode), shape)
    along = data.draw(hnp.arrays(int, [3 if i == axis % len(shape) else k for i, k in enumerate(shape)], elements=st.integers(-n, n - 1)))
    assert_linear(lambda x: np.take_along_axis(x, along, axis), shape)
    keep = data.draw(hnp.arrays(bool, n))
    assert_linear(lambda x: np.compress(keep, x, axis), shape)
    assert_linear(lambda x: np.delete(x, keep, axis), shape)
    at = data.draw(st.integers(-n, n))
    assert_linear(lambda x, v: np.insert(x, at, v, axis), shape, ())
    assert_linear(lambda x, v: np.insert(x, [at, 0], v, axis), shape, ())


@given(FULL, st.data())
@FEW
def test_windows(shape, data):
    window = tuple(data.draw(st.integers(1, n)) for n in shape)
    assert_linear(lambda x: sliding_window_view(x, window), shape)


# -- joining and splitting -----------------------------------------------------------------------------


@given(NOT_0D, st.integers(1, 4), st.data())
@FEW
def test_joins(shape, count, data):
    axis, new = data.draw(axes(len(shape))), data.draw(axes(len(shape) + 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    shapes = [tuple(length if i == axis % len(shape) else k for i, k in enumerate(shape)) for length in lengths]
    assert_linear(lambda *xs: np.concatenate(xs, axis), *shapes)
    assert_linear(lambda *xs: np.concatenate(xs, axis=None), *shapes)
    assert_linear(lambda *xs: np.stack(xs, new), *[shape] * count)
    for func in (np.vstack, np.hstack, np.dstack, np.column_stack):
        assert_linear(lambda *xs, func=func: func(xs), *[shape] * count)
    assert_linear(lambda a, b: np.append(a, b, axis), shapes[0], shapes[-1])
    assert_linear(lambda *xs: np.block([[x, x] for x in xs]), *[shape] * count)


@given(NOT_0D, st.integers(1, 5), st.data())
@FEW
def test_splits(shape, sections, data):
    axis = data.draw(axes(len(shape)))
    cuts = data.draw(st.lists(st.integers(0, 5), max_size=3))
    assert_linear(lambda x: np.array_split(x, sections, axis), shape)
    assert_linear(lambda x: np.split(x, cuts, axis), shape)
    if shape[axis] and NUMPY >= (2, 1):
        assert_linear(lambda x: np.unstack(x, axis=axis), shape)
    for func, least in ((np.hsplit, 1), (np.vsplit, 2), (np.dsplit, 3)):
        if len(shape) >= least:
            assert_linear(lambda x, func=func: func(x, cuts), shape)


# -- NumPy's ways of calling ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.tile(A=x, reps=2),
        lambda x: np.repeat(a=x, repeats=2, axis=0),
        lambda x: np.reshape(x, (3, 2), order="F"),
        *([lambda x: np.reshape(x, shape=(3, 2), order="F")] if NUMPY >= (2, 1) else []),
        lambda x: np.transpose(a=x),
        lambda x: np.moveaxis(a=x, source=0, destination=1),
        lambda x: np.pad(array=x, pad_width=1, mode="edge"),
        lambda x: np.take(a=x, indices=[0, 0], axis=0),
        lambda x: np.take(x, [True, False], axis=0),
        lambda x: np.compress(condition=[True, False], a=x, axis=0),
        lambda x: np.extract(condition=[True, False, True], arr=x),
        lambda x: np.insert(arr=x, obj=0, values=[1.0, 2.0, 3.0], axis=0),
        lambda x: np.vstack(tup=(x, [1.0, 2.0, 3.0])),
        lambda x: np.append(arr=[1.0], values=x),
        lambda x: np.split(ary=x, indices_or_sections=2),
        lambda x: np.concatenate((x, [[0.0, 1.0, 2.0]]), axis=0, dtype=np.float64),
        lambda x: np.diag(v=x, k=1),
        lambda x: np.roll(a=x, shift=(1, 2), axis=(0, 1)),
        lambda x: np.choose([1, 0, 1], x),
        lambda x: np.permute_dims(x, (1, 0)),
        lambda x: np.concat([x, x]),
        lambda x: np.trace(a=x, offset=1, dtype=np.float64),
        lambda x: np.sort(a=x, axis=None),
    ],
)
def test_call_by_keyword(call):
    x = np.arange(6.0).reshape(2, 3)
    t = tg.Tensor(x, requires_grad=True)
    for got, expected in zip(answers(call(t)), answers(call(x)), strict=True):
        np.testing.assert_array_equal(got.data, expected)
        assert got.requires_grad
    for got, expected in zip(answers(call(tg.Tensor(x))), answers(call(x)), strict=True):
        np.testing.assert_array_equal(got.data, expected)
        assert not got.requires_grad


def test_indices_given_as_tensors():
    x, where = tg.Tensor(np.eye(3), requires_grad=True), tg.Tensor(np.array([[1], [0], [2]]))
    np.testing.assert_array_equal(np.take_along_axis(x, where, axis=1).data, [[0], [0], [1]])
    np.testing.assert_array_equal(np.take(x, where).data, [[0], [1], [0]])
    np.testing.assert_array_equal(np.choose(where, x).data, [[0, 1, 0], [1, 0, 0], [0, 0, 1]])


def test_float32_stays():
    x = tg.Tensor(np.ones((2, 2), np.float32), requires_grad=True)
    for y in (
        np.pad(x, 1),
        np.pad(x, 1, constant_values=2.0),
        np.select([x > 0], [x]),
        np.insert(x, 0, np.ones(2), axis=0),
        np.tile(x, 2),
        np.diag(x[0]),
        x[[0, 0]],
    ):
        assert y.dtype == np.float32
        (g,) = tg.gradients(np.sum(y), x)
        assert g.dtype == np.float32


def test_mixed_types_join_as_numpys_do():
    single, double = tg.Tensor(np.ones(2, np.float32), requires_grad=True), tg.Tensor(np.ones(2), requires_grad=True)
    y = np.concatenate([single, double])
    assert y.dtype == np.float64
    np.sum(y * np.arange(4)).backward()
    assert single.grad.dtype == np.float32
    np.testing.assert_array_equal(double.grad, [2, 3])


def test_sources_are_left_alone():
    x = np.arange(4.0)
    t = tg.Tensor(x, requires_grad=True)
    np.sum(np.sort(np.flip(t)) + np.partition(t, 2) + np.pad(t, 1)[1:-1]).backward()
    np.testing.assert_array_equal(x, np.arange(4.0))
    t.grad[0] = 7
    np.testing.assert_array_equal(t.grad, [7, 3, 3, 3])


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("func", [np.reshape, np.ravel])
def test_orders_of_memory_are_refused(func):
    y = func(tg.Tensor(np.ones((2, 3)), requires_grad=True), *([6] if func is np.reshape else []), order="A")
    with pytest.raises(ValueError, match="order='C' or order='F'"):
        np.sum(y).backward()


@pytest.mark.parametrize("settings", [{"mode": "mean"}, {"mode": "linear_ramp"}, {"mode": "reflect", "reflect_type": "odd"}])
def test_borders_of_new_numbers_are_refused(settings):
    with pytest.raises(TypeError, match=r"np\.pad on a Tensor has rules for constant"):
        np.pad(tg.Tensor(np.ones(3), requires_grad=True), 1, **settings)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: np.concatenate([x, x], out=out),
        lambda x, out: np.stack([x, x], 0, out),
        lambda x, out: np.take(x, [0], out=out),
        lambda x, out: np.compress([True], x, out=out),
        lambda x, out: np.trace(x, out=out),
    ],
)
def test_out_is_refused(call):
    out = np.zeros(4)
    with pytest.raises(TypeError, match="never written in place"):
        call(tg.Tensor(np.ones((2, 2)), requires_grad=True), out)
    np.testing.assert_array_equal(out, np.zeros(4))


def test_wrong_lengths_are_refused():
    x = tg.Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ValueError, match="1 conditions for 2 choices"):
        np.select([x > 0], [x, x])
    with pytest.raises(ValueError, match="equal division"):
        np.split(x, 2)
    with pytest.raises(ValueError, match="must match exactly"):
        np.concatenate([x[None], x[None, :2]])


# -- what NumPy decides and we must follow: types and borders ------------------------------------------


@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_odd_reflections_are_refused_in_every_mode_and_even_ones_are_not(mode):
    """An odd reflection makes new numbers, 2 x[0] - x[1]; moving elements about would be silently wrong."""
    x = tg.Tensor(np.array([1.0, 4.0, 9.0]), requires_grad=True)
    with pytest.raises(TypeError, match=rf"^np\.pad on a Tensor has rules for constant, edge, .* not for '{mode}' with {{'reflect_type': 'odd'}}$"):
        np.pad(x, 1, mode=mode, reflect_type="odd")
    y = np.pad(x, 1, mode=mode, reflect_type="even")
    np.testing.assert_array_equal(y.data, np.pad(x.data, 1, mode=mode))


@pytest.mark.parametrize("dtype, filled", [(np.float32, np.float64), (np.float64, np.float32)])
def test_full_like_has_the_type_of_its_model(dtype, filled):
    """Only shape and type of the first argument count, whatever type the fill value has; its gradient is in its own."""
    model, value = tg.Tensor(np.zeros((2, 3), dtype)), tg.Tensor(np.asarray(1.5, filled), requires_grad=True)
    y = np.full_like(model, value)
    assert y.dtype == np.full_like(model.data, value.data).dtype == dtype
    np.testing.assert_array_equal(y.data, np.full((2, 3), 1.5))
    np.sum(y).backward()
    assert value.grad == 6
    assert value.grad.dtype == filled


def test_full_like_in_a_type_of_ones_own():
    value = tg.Tensor(np.asarray(1.5, np.float32), requires_grad=True)
    y = np.full_like(tg.Tensor(np.zeros(2, np.float32)), value, dtype=np.float64)
    assert y.dtype == np.float64
    y.backward(np.ones(2))
    assert value.grad == 2
    assert value.grad.dtype == np.float32


@pytest.mark.parametrize("inserted, dtype", [(np.float64, np.float32), (np.float32, np.float64)])
def test_insert_has_the_type_of_what_is_inserted_into(inserted, dtype):
    x, value = (tg.Tensor(np.ones(n, t), requires_grad=True) for n, t in ((3, dtype), (1, inserted)))
    y = np.insert(x, 1, value)
    assert y.dtype == np.insert(x.data, 1, value.data).dtype == dtype
    y.backward(np.arange(4, dtype=dtype))
    np.testing.assert_array_equal(x.grad, [0, 2, 3])
    np.testing.assert_array_equal(value.grad, [1])
    assert (x.grad.dtype, value.grad.dtype) == (dtype, inserted)

"""Rows of functions that move, select and join elements."""

import numpy
from numpy.lib.stride_tricks import sliding_window_view

from tests.rules.rows import NUMPY, Row, squares
from tinygrad_lr.autodiff.rules.shapes import concatenate, getitem, scatter

MASK = numpy.array([[True, False, True], [False, True, True]])
INDICES = numpy.array([[2, 0], [0, 1], [2, 2]])
REPEATED = [0, 2, 0, -1]


def shown(values, settings):
    return ", ".join([*(str(value).replace("\n", "") for value in values), *(f"{key}={value!r}" for key, value in settings.items())])


def squared(func, shape, *args, jax=True, **kwargs):
    """A row of ``func(x, *args, **kwargs)`` with every result squared."""
    return Row(func, lambda np, x: squares(getattr(np, func.__name__)(x, *args, **kwargs)), (shape,), jax=jax, label=shown((shape, *args), kwargs))


def of_list(func, *shapes, jax=True, **kwargs):
    """A row of a function of a list of arrays."""
    return Row(func, lambda np, *xs: getattr(np, func.__name__)(list(xs), **kwargs) ** 2, shapes, jax=jax, label=shown(shapes, kwargs))


def picked(shape, *index, jax=True):
    """A row of x[index]."""
    at = index[0] if len(index) == 1 else index
    return Row(getitem, lambda np, x: x[at] ** 2, (shape,), jax=jax, label=shown(index, {}))


def put(index, shape, *given):
    return Row(scatter, lambda np, g: scatter(g, index, shape) ** 2, given, jax=False, label=shown((index,), {}))  # ours, not NumPy's


# fmt: off
ROWS = [
    # picking
    picked((4,), 1), picked((4,), -1), picked((4, 3), numpy.int64(2)), picked((4,), slice(1, None)), picked((4, 3), slice(None, None, -1)),
    picked((4, 5), slice(3, 0, -2), slice(-4, None, 2)), picked((4, 3), ..., 1), picked((2, 3), None, 1), picked((2, 3), 0, None, slice(1, 3)),
    picked((2, 3, 2), 1, ..., None), picked((), ...), picked((), None), picked((), ()), picked((3,), slice(2, 2)), picked((0, 2), slice(None), 1),
    picked((2, 3), MASK), picked((2, 3, 2), MASK), picked((2, 3), MASK[:, 0], slice(1, None)), picked((2, 3), slice(None), MASK[0]),
    picked((2, 3), numpy.zeros((2, 3), bool)), picked((2, 3), True, jax=False),  # jax refuses a scalar mask
    picked((4,), numpy.array(REPEATED)), picked((4, 3), INDICES), picked((4, 3), INDICES, 1), picked((4, 3), INDICES, slice(None, None, -1)),
    picked((4, 3), numpy.array([0, 0, 3]), numpy.array([1, 1, 2])), picked((4, 3, 2), numpy.array([[1], [1]]), slice(None), numpy.array([0, 1])),
    picked((2, 3), MASK[:, 0], numpy.array([2])), picked((3, 3), MASK[0], numpy.array([1, 1])), picked((4,), numpy.array(2)), picked((4,), numpy.zeros(0, int)),
    *[picked((4, 3), index, jax=False) for index in (REPEATED, [True, False, True, True])],  # jax takes no lists
    picked((4, 3), REPEATED, [0, 1, 0, 2], jax=False),
    put(numpy.array([0, 2, 0]), (4,), (3,)), put((slice(None), 1), (2, 3), (2,)), put(MASK, (2, 3), (4,)), put([1, 1], (3, 2), (2, 2)), put((), (), ()),
    *[squared(numpy.take, (3, 4), INDICES, axis=axis) for axis in (None, 0, -1)],
    squared(numpy.take, (4,), 2), squared(numpy.take, (3, 2), 1, 0),
    squared(numpy.take, (3, 2), [0, 0], 1, jax=False),  # jax takes no lists
    squared(numpy.take, (3, 2), numpy.array([5, -4, 1]), 0, mode="wrap"), squared(numpy.take, (3, 2), numpy.array([5, 1]), axis=0, mode="clip"),
    squared(numpy.take_along_axis, (3, 4), INDICES, axis=1), squared(numpy.take_along_axis, (3, 2), INDICES, 0),
    squared(numpy.take_along_axis, (3,), INDICES[0], None),
    Row(numpy.compress, lambda np, x: np.compress(numpy.array([False, True, True]), x) ** 2, ((2, 3),), label="flat"),
    *[squared(numpy.delete, (4, 3), obj, axis) for obj, axis in ((slice(0, 3, 2), 0), (numpy.array([0, 2]), 1), (5, None))],
    Row(numpy.insert, lambda np, x: np.insert(x, 1, 5.0) ** 2, ((2, 3),), label="number"),
    Row(numpy.insert, lambda np, x, v: np.insert(x, numpy.array([0, 2]), v, axis=1) ** 2, ((2, 3), (2, 2)), label="two columns"),
    Row(numpy.choose, lambda np, a: np.choose(INDICES + 1, a, mode="wrap") ** 2, ((3, 2),), label="rows of an array"),
    Row(numpy.select, lambda np, a, b: np.select([a > 0.5, a > -0.5], [a * b, b], 0.25) ** 2, ((2, 3), (3,))),
    Row(numpy.select, lambda np, a: np.select([a > 0], [a]) ** 2, ((4,),), label="default"),
    Row(numpy.select, lambda np, a, d: np.select([a > 0], [a], default=d) ** 2, ((4,), ()), label="default tracked"),

    # ordering
    *[squared(numpy.sort, (3, 4), axis=axis) for axis in (-1, 0, None)],
    squared(numpy.sort, (0,)), squared(numpy.sort, (3, 2), 0, "stable", jax=False),  # jax names only stable=
    squared(numpy.partition, (3, 4), (1, 2), axis=0, jax=False),  # jax leaves the parts in another order

    # repeating and bordering
    *[squared(numpy.tile, shape, reps) for shape, reps in (((2, 3), 2), ((3,), (2, 2)), ((), 3), ((2, 3), (2, 1, 2)), ((2,), 0))],
    *[squared(numpy.repeat, (2, 3), repeats, axis) for repeats, axis in ((2, None), (numpy.array([1, 0, 2]), 1), (numpy.array([2]), -1), (0, 1))],
    squared(numpy.repeat, (), 3),
    *[squared(numpy.resize, (2, 3), shape) for shape in ((4, 3), (2, 2), 5)],
    *[squared(numpy.pad, (4, 3), ((1, 2), (0, 1)), mode=mode) for mode in ("constant", "edge", "reflect", "symmetric", "wrap")],
    squared(numpy.pad, (2, 3), (1, 2), "constant", constant_values=0.5), squared(numpy.pad, (0, 2), 1),
    squared(numpy.pad, (3,), (2, 1), constant_values=((1.0, -1.0),)), squared(numpy.pad, (3,), 7, mode="wrap"),
    *[Row(sliding_window_view, lambda np, x, args=args: sliding_window_view(x, *args) ** 2, ((4, 3),), jax=False, label=str(args))
      for args in (((2, 2),), (3, 0))],  # jax.numpy has none

    # turning
    *[squared(numpy.roll, (3, 4), shift, axis) for shift, axis in ((2, None), (-1, 0), (5, -1), ((1, 2), (0, 1)), (1, (0, 1)))],
    *[squared(numpy.flip, (2, 3), axis) for axis in (None, 0, -1, (0, 1))],
    *[squared(numpy.rot90, (2, 3, 2), *args) for args in ((2,), (-1,), (3, (2, 0)))],
    *[squared(numpy.transpose, (2, 3, 4), *args) for args in (((1, 2, 0),), ([-1, 0, 1],))],
    squared(numpy.transpose, ()), squared(numpy.matrix_transpose, (4, 2, 3)), squared(numpy.swapaxes, (2, 3, 4), 0, -1),
    *[squared(numpy.moveaxis, (2, 3, 4), *args) for args in ((0, -1), ((0, 1), (-1, 0)))],
    *[squared(numpy.rollaxis, (2, 3, 4), *args) for args in ((2,), (-1, 1), (0, 3))],

    # reshaping
    *[squared(numpy.reshape, (2, 6), shape, **settings)
      for shape, settings in ((-1, {}), ((2, 2, 3), {"order": "F"}), ((4, -1), {"order": "C"}))],
    squared(numpy.reshape, (), (1, 1)), squared(numpy.reshape, (0, 3), (3, 0)), squared(numpy.ravel, (2, 3), "F"),
    squared(numpy.squeeze, (1, 3, 1)), squared(numpy.squeeze, (1, 3, 1), axis=(0,)),
    squared(numpy.expand_dims, (2,), (0, -1)),
    *[squared(func, shape) for func in (numpy.atleast_1d, numpy.atleast_2d, numpy.atleast_3d) for shape in ((), (2,), (2, 1, 2))],
    Row(numpy.atleast_2d, lambda np, a, b: squares(np.atleast_2d(a, b)), ((), (3,)), label="two"),
    *[squared(numpy.broadcast_to, shape, to) for shape, to in (((3,), (2, 3)), ((2, 1), (4, 2, 3)), ((), (2,)), ((1, 2), (0, 2)), ((2, 3), (2, 3)))],
    Row(numpy.broadcast_arrays, lambda np, a, b, c: squares(np.broadcast_arrays(a, b, c)), ((2, 1), (3,), ())),

    # joining
    of_list(numpy.concatenate, (2, 3), (2, 1), (2, 2), axis=-1),
    of_list(numpy.concatenate, (2, 3), (), (2,), axis=None), of_list(numpy.concatenate, (2,), (0,), dtype=numpy.float64),
    Row(numpy.concatenate, lambda np, x: np.concatenate([x, numpy.ones(2), x]) ** 2, ((3,),), label="twice"),
    Row(concatenate, lambda np, a, b: concatenate(a, [[0.5, 1.0]], b) ** 2, ((3, 2), (1, 2)), jax=False, label="with a list"),  # ours, not NumPy's
    *[of_list(numpy.stack, (2, 3), (2, 3), axis=axis) for axis in (1, -1)],
    of_list(numpy.stack, (), ()),
    *[of_list(func, *shapes) for func in (numpy.vstack, numpy.hstack, numpy.dstack, numpy.column_stack)
      for shapes in (((3,), (3,)), ((2, 3), (2, 3)), ((), ()), ((2, 3, 1), (2, 3, 1)))],
    Row(numpy.append, lambda np, a, b: np.append(a, b, axis=1) ** 2, ((2, 3), (2, 1)), label="axis=1"),
    Row(numpy.block, lambda np, a, b, c, d: np.block([[a, b], [c, d]]) ** 2, ((2, 2), (2, 1), (1, 2), (1, 1))),
    Row(numpy.block, lambda np, a, b: np.block([a, b, 1.0]) ** 2, ((2,), ()), label="row"),

    # splitting
    squared(numpy.split, (4, 3), 2), squared(numpy.split, (2, 6), [1, 4], axis=-1),
    squared(numpy.array_split, (5, 2), 3), squared(numpy.array_split, (2, 2), 4, 1),
    squared(numpy.hsplit, (4,), 2), squared(numpy.hsplit, (2, 4), [1]),

    # diagonals and triangles
    *[squared(numpy.diag, shape, k) for shape in ((3,), (3, 4), (4, 3)) for k in (0, 1, -2)],
    *[squared(numpy.diagflat, shape, k) for shape, k in (((3,), 0), ((2, 2), -1), ((), 1))],
    *[squared(numpy.diagonal, (2, 3, 4), *args) for args in ((), (1,), (-1, 2, 1))],
    *[squared(numpy.trace, (2, 3, 4), *args) for args in ((), (1,), (-1, 2, 1))], squared(numpy.trace, (3, 3), dtype=numpy.float64),
    *[squared(func, (2, 3, 4), *k) for func in (numpy.tril, numpy.triu) for k in ((), (1,), (-1,))], squared(numpy.tril, (3,), jax=False),  # jax wants a matrix
]
if NUMPY >= (2, 1):
    ROWS += [
        squared(numpy.reshape, (2, 6), (4, -1), order="C", copy=True),
        squared(numpy.unstack, (2, 3)), squared(numpy.unstack, (2, 3), axis=-1),
    ]
# fmt: on

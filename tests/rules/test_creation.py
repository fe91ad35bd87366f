"""Points from start to stop, grids and powers: exactness, types, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg


def tensor(*numbers, dtype=None):
    return tg.Tensor(np.array(numbers[0] if len(numbers) == 1 else numbers, dtype), requires_grad=True)


@pytest.mark.parametrize("num", [0, 1, 2, 7])
@pytest.mark.parametrize("endpoint", [True, False])
def test_points_are_those_of_numpy_to_the_last_digit(num, endpoint):
    for func, start, stop in [(np.linspace, 0.1, 0.7), (np.geomspace, 0.1, 0.7), (np.logspace, -0.1, 0.7)]:
        got = func(tensor(start), tensor(stop), num, endpoint)
        np.testing.assert_array_equal(got.data, func(start, stop, num, endpoint), strict=True)


def test_linspace_by_its_ends():
    g = tg.jacobian(lambda ends: np.linspace(ends[0], ends[1], 5))(np.array([2.0, 4.0]))
    np.testing.assert_allclose(g, [[1, 0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0, 1]], rtol=1e-15)


def test_linspace_by_its_ends_given_by_name():
    t = tensor(4.0)
    np.linspace(start=1.0, stop=t, num=3).backward([1.0, 1.0, 1.0])
    assert t.grad == 1.5


def test_the_step_of_linspace():
    t = tensor(4.0)
    points, step = np.linspace(1.0, t, 4, retstep=True)
    assert (step.item(), points.shape) == (1.0, (4,))
    step.backward()
    assert t.grad == 1 / 3
    assert np.isnan(np.linspace(1.0, tensor(4.0), 1, retstep=True)[1])


@pytest.mark.parametrize("func", [np.linspace, np.geomspace, np.logspace])
def test_types_are_those_of_numpy(func):
    for start, stop in [(np.float32(1), np.float32(2)), (np.ones(2, np.float32), 2.0), (np.ones(2, np.float32), np.float32(2))]:
        t = tg.Tensor(np.asarray(start), requires_grad=True)
        y = func(t, stop, 3)
        assert y.dtype == func(start, stop, 3).dtype
        np.sum(y).backward()
        assert t.grad.dtype == np.float32
    assert func(tensor(1.0), 2.0, 3, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("func", [np.linspace, np.geomspace, np.logspace])
def test_points_as_integers_are_refused(func):
    with pytest.raises(TypeError, match=r"^a tracked Tensor has no gradient as int64: use t\.numpy\(\)\.astype\(\.\.\.\)$"):
        func(tensor(1.0), 9.0, 3, dtype=np.int64)


def test_meshgrid_gives_what_numpy_gives():
    x, y = np.arange(3.0), np.arange(2.0)
    for settings in ({}, {"indexing": "ij"}, {"sparse": True}, {"copy": False}):
        got = np.meshgrid(tg.Tensor(x, requires_grad=True), y, **settings)
        want = np.meshgrid(x, y, **settings)
        assert type(got) is type(want)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(getattr(a, "data", a) if isinstance(a, tg.Tensor) else a, b, strict=True)
    np.meshgrid(tensor(1.0, 2.0), y)[1][0] = 7  # a plain array is a copy of one's own, as NumPy's


def test_meshgrid_refuses_other_orders():
    with pytest.raises(ValueError, match="Valid values for `indexing` are 'xy' and 'ij'"):
        np.meshgrid(tensor(1.0, 2.0), indexing="yx")


def test_vander_at_0_and_below():
    y = tg.jacobian(lambda x: np.vander(x, 3, increasing=True))(np.array([0.0, -2.0]))
    np.testing.assert_array_equal(y[0, :, 0], [0, 1, 0])
    np.testing.assert_array_equal(y[1, :, 1], [0, 1, -4])


def test_vander_needs_a_vector():
    with pytest.raises(ValueError, match=r"^np\.vander needs a vector, got an array of shape \(2, 1\)$"):
        np.vander(tensor([[1.0], [2.0]]))

"""Methods of Tensors beside those of arrays, and indexing."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.autodiff.test_dispatch import IN_PLACE, A, B, variable

# -- methods and functions -----------------------------------------------------------------------------

METHODS = {
    "sum": (lambda t: t.sum(axis=0), lambda t: np.sum(t, axis=0)),
    "sum keepdims": (lambda t: t.sum(axis=(0, 1), keepdims=True), lambda t: np.sum(t, axis=(0, 1), keepdims=True)),
    "mean": (lambda t: t.mean(axis=-1), lambda t: np.mean(t, axis=-1)),
    "max": (lambda t: t.max(axis=1), lambda t: np.max(t, axis=1)),
    "min": (lambda t: t.min(), lambda t: np.min(t)),
    "reshape": (lambda t: t.reshape(3, 2), lambda t: np.reshape(t, (3, 2))),
    "reshape of a tuple": (lambda t: t.reshape((3, -1)), lambda t: np.reshape(t, (3, 2))),
    "reshape of one number": (lambda t: t.reshape(-1), lambda t: np.reshape(t, -1)),
    "ravel": (lambda t: t.ravel(), lambda t: np.ravel(t)),
    "flatten": (lambda t: t.flatten(), lambda t: np.ravel(t)),
    "transpose": (lambda t: t.transpose(), lambda t: np.transpose(t)),
    "transpose of axes": (lambda t: t.transpose(1, 0), lambda t: np.transpose(t, (1, 0))),
    "transpose of a tuple": (lambda t: t.transpose((1, 0)), lambda t: np.transpose(t, (1, 0))),
    "T": (lambda t: t.T, lambda t: np.transpose(t)),
    "mT": (lambda t: t.mT, lambda t: np.swapaxes(t, -1, -2)),
    "swapaxes": (lambda t: t.swapaxes(0, 1), lambda t: np.swapaxes(t, 0, 1)),
    "squeeze": (lambda t: t[:1].squeeze(), lambda t: np.squeeze(t[:1])),
    "squeeze of an axis": (lambda t: t[:1].squeeze(0), lambda t: np.squeeze(t[:1], axis=0)),
    "clip": (lambda t: t.clip(0.5, 2), lambda t: np.clip(t, 0.5, 2)),
    "dot": (lambda t: t.dot(B), lambda t: np.dot(t, B)),
    "copy": (lambda t: t.copy(), lambda t: +t),
}


@pytest.mark.parametrize("method, function", METHODS.values(), ids=METHODS.keys())
def test_methods_are_the_functions(method, function):
    t, u = variable(), variable()
    y, z = method(t), function(u)
    np.testing.assert_array_equal(y.data, z.data, strict=True)
    np.testing.assert_array_equal(y.data, function(A), strict=True)
    seed = np.random.default_rng(0).normal(size=y.shape)
    y.backward(seed)
    z.backward(seed)
    np.testing.assert_array_equal(t.grad, u.grad, strict=True)


WITH_ARGUMENTS = {
    "sum": lambda a: a.sum(axis=(0, 1), dtype=np.float32, keepdims=True),
    "mean": lambda a: a.mean(axis=1, dtype=np.float32, keepdims=True),
    "prod": lambda a: a.prod(axis=0, dtype=np.float32),
    "max": lambda a: a.max(axis=0, keepdims=True),
    "min": lambda a: a.min(axis=0, keepdims=True),
    "var": lambda a: a.var(axis=0, dtype=np.float32, ddof=1),
    "std": lambda a: a.std(axis=0, dtype=np.float32, ddof=1, keepdims=True),
    "cumsum": lambda a: a.cumsum(axis=1, dtype=np.float32),
    "cumprod": lambda a: a.cumprod(axis=0, dtype=np.float32),
    "trace": lambda a: a.trace(offset=1, axis1=1, axis2=0, dtype=np.float32),
    "argmax": lambda a: a.argmax(axis=0, keepdims=True),
    "argmin": lambda a: a.argmin(axis=0, keepdims=True),
    "argsort": lambda a: a.argsort(axis=0, kind="stable"),
    "all": lambda a: a.all(axis=0, keepdims=True, where=A > 1),
    "any": lambda a: a.any(axis=0, keepdims=True, where=A > 1),
    "nonzero": lambda a: a.nonzero(),
    "reshape": lambda a: a.reshape(3, 2, order="F"),
    "ravel": lambda a: a.ravel(order="F"),
    "flatten": lambda a: a.flatten(order="F"),
    "transpose": lambda a: a.transpose(1, 0),
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "squeeze": lambda a: a.squeeze(axis=()),
    "take": lambda a: a.take(indices=[0, 7], axis=1, mode="wrap"),
    "repeat": lambda a: a.repeat(repeats=2, axis=1),
    "diagonal": lambda a: a.diagonal(offset=-1, axis1=1, axis2=0),
    "copy": lambda a: a.copy(order="F"),
    "clip": lambda a: a.clip(min=0.5, max=2.0),
    "round": lambda a: a.round(decimals=1),
    "dot": lambda a: a.dot(B),
    "conj": lambda a: a.conj(),
    "conjugate": lambda a: a.conjugate(),
    "astype": lambda a: a.astype(dtype=np.float32, order="C", casting="same_kind", subok=False, copy=False),
}


@pytest.mark.parametrize("call", WITH_ARGUMENTS.values(), ids=WITH_ARGUMENTS.keys())
def test_methods_take_what_those_of_arrays_take(call):
    t = variable()
    for got in (call(t), call(tg.Tensor(A))):
        np.testing.assert_equal(got.data if isinstance(got, tg.Tensor) else got, call(A), strict=True)
    if isinstance(got, tg.Tensor):
        np.sum(call(t) + np.sum(t)).backward()
        assert (t.grad.shape, t.grad.dtype) == (A.shape, A.dtype)


def test_every_method_of_both_is_among_them():
    both = {name for name in {*dir(np.ndarray)} & {*dir(tg.Tensor)} if not name.startswith("_") and callable(getattr(np.ndarray, name))}
    assert both - set(WITH_ARGUMENTS) == {"item", "tolist"}  # which take no settings
    assert set(WITH_ARGUMENTS) <= both


def test_methods_take_the_positions_of_arrays():
    t = variable()
    for y, want in [(t.sum(0, np.float32, None, True), A.sum(0, np.float32, None, True)), (t.var(1, None, None, 1), A.var(1, None, None, 1))]:
        np.testing.assert_array_equal(y.data, want, strict=True)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "prod", "var", "cumsum", "round"])
def test_methods_write_nothing_in_place(name):
    with pytest.raises(TypeError) as caught:
        getattr(variable(), name)(out=np.zeros((2, 3)))
    assert str(caught.value) == f"np.{name}(out=...) on a tracked Tensor: {IN_PLACE}"


@pytest.mark.parametrize("name", ["take", "trace", "clip", "dot"])
def test_these_methods_neither(name):
    args = {"take": ([0],), "trace": (), "clip": (0, 1), "dot": (B,)}[name]
    with pytest.raises(TypeError, match=r"^np\.\w+\(out=\.\.\.\) on a tracked Tensor: results are never written in place"):
        getattr(variable(), name)(*args, out=np.zeros((2, 3)))


def test_sums_of_a_tensor_as_integers_are_refused():
    with pytest.raises(TypeError, match=r"^np\.sum turned a tracked Tensor into int64, which has no gradient: use t\.numpy\(\) for that$"):
        variable().sum(dtype=np.int64)


def test_real_and_imaginary_parts():
    t = variable()
    for part in (t.real, t.conj(), t.conjugate()):
        np.testing.assert_array_equal(part.data, A, strict=True)
    np.testing.assert_array_equal(t.imag.data, np.zeros((2, 3)))
    np.testing.assert_array_equal(tg.Tensor(A).imag.data, np.zeros((2, 3)))
    (t.real * 3 + t.imag * 5).sum().backward()
    np.testing.assert_array_equal(t.grad, np.full((2, 3), 3.0))


def test_astype_that_needs_no_copy_is_the_tensor_itself():
    t = variable()
    assert t.astype(np.float64, copy=False) is t
    assert t.astype(np.float64) is not t


def test_astype_keeps_to_the_rule_of_casting():
    with pytest.raises(TypeError, match=r"^float64 cannot be cast to float32 under the rule 'safe'$"):
        variable().astype(np.float32, casting="safe")


def test_copy_is_a_copy():
    for t in (variable(), tg.Tensor(A)):
        assert not np.shares_memory(t.copy().data, t.data)


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        (1, 2),
        slice(None, None, -1),
        (slice(None), 1),
        ...,
        (..., None),
        [1, 0, 1],
        np.array([1, 1]),
        A > 1,
        (np.array([0, 1, 1]), np.array([2, 0, 0])),
        tg.Tensor([1, 0]),
    ],
    ids=str,
)
def test_every_index(index):
    plain = index.data if isinstance(index, tg.Tensor) else index
    t = variable()
    y = t[index]
    np.testing.assert_array_equal(y.data, A[plain])
    seed = np.random.default_rng(0).normal(size=y.shape)
    y.backward(seed)
    want = np.zeros(A.shape)
    np.add.at(want, plain, seed)
    np.testing.assert_array_equal(t.grad, want)

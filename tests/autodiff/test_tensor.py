"""`Tensor` as a value: what it is, its types of numbers, when it records, and what it refuses."""

from __future__ import annotations

import asyncio
import operator
import threading

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

NUMBERS = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -1.5]])


def tensor(data=NUMBERS, **settings):
    return tg.Tensor(data, requires_grad=True, **settings)


# -- what it is ----------------------------------------------------------------------------------------


def test_attributes():
    array = np.arange(6.0).reshape(2, 3)
    t = tg.Tensor(array, requires_grad=True, name="w")
    assert t.data is array
    assert (t.shape, t.ndim, t.size, t.dtype, t.nbytes, len(t)) == ((2, 3), 2, 6, np.float64, 48, 2)
    assert (t.requires_grad, t.grad, t.is_leaf, t.name) == (True, None, True, "w")
    assert t.tolist() == array.tolist()
    assert t.T.shape == (3, 2)
    np.testing.assert_array_equal(t.T.data, array.T)


def test_a_tensor_of_a_tensor_has_its_data():
    again = tg.Tensor(tg.Tensor(NUMBERS))
    assert again.data is NUMBERS
    assert not again.requires_grad
    with pytest.raises(TypeError, match=r"silently cut it out of its graph: say Tensor\(t\.detach\(\)\)"):
        tg.Tensor(tensor() * 2)


@pytest.mark.parametrize(
    "data, dtype", [(1, np.int64), (1.5, np.float64), ([1, 2], np.int64), (np.float32(1), np.float32), ([True], np.bool), ([[1.0]], np.float64)]
)
def test_dtype_is_numpys_choice(data, dtype):
    t = tg.Tensor(data)
    assert t.dtype == np.asarray(data).dtype == dtype
    assert t.shape == np.shape(data)
    assert tg.Tensor(data, dtype=np.float32).dtype == np.float32


def test_is_leaf():
    w, c = tensor(), tg.Tensor(NUMBERS)
    assert w.is_leaf
    assert c.is_leaf
    assert (c * 2).is_leaf  # nothing tracked went in
    assert not (w * 2).is_leaf
    assert (w * 2).detach().is_leaf


def test_name_can_be_set_on_every_tensor():
    for t in (tg.Tensor(NUMBERS), tensor(), tensor() * 2, tg.sigmoid(tg.Tensor(NUMBERS))):
        assert t.name is None
        t.name = "z"
        assert t.name == "z"


def test_detach_shares_data_and_leaves_the_graph():
    t = tensor() * 2
    d = t.detach()
    assert d.data is t.data
    assert not d.requires_grad
    assert d.grad is None
    assert not (d * 2).requires_grad


def test_numpy_is_the_same_memory():
    t = tensor()
    assert t.numpy() is t.data
    assert type((t.sum()).numpy()) is np.ndarray


def test_item_is_a_python_number():
    assert type(tensor(2.5).item()) is float
    assert tensor([[2.5]]).item() == 2.5
    assert type(tg.Tensor(3).item()) is int
    with pytest.raises(ValueError, match="size 1"):
        tensor().item()


def test_conversions_of_single_numbers():
    t = tg.Tensor(2.75)
    assert (float(t), int(t), bool(t), bool(tensor(0.0))) == (2.75, 2, True, False)
    assert f"{tensor(2.75):.1f}" == "2.8"
    with pytest.raises(ValueError, match="ambiguous"):
        bool(tensor())


def test_hash_is_by_identity():
    a, b = tg.Tensor([1.0]), tg.Tensor([1.0])
    assert hash(a) == hash(a)
    assert {a: "a", b: "b"}[b] == "b"
    assert len({a, b, a}) == 2


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne])
@pytest.mark.parametrize(
    "other",
    [0.5, np.array([1.0, 0.0, 3.0]), [1.0, 0.0, 3.0], tg.Tensor([1.0, 0.0, 3.0]), np.float64(0.5)],
    ids=["scalar", "array", "list", "Tensor", "np.float64"],
)
def test_comparisons_are_elementwise_and_plain(compare, other):
    plain = np.asarray(other)
    for t in (tensor(), tg.Tensor(NUMBERS)):
        for got, want in [(compare(t, other), compare(NUMBERS, plain)), (compare(other, t), compare(plain, NUMBERS))]:
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, want)


def test_iteration_and_membership():
    t = tensor()
    rows = list(t)
    assert [row.shape for row in rows] == [(3,), (3,)]
    (rows[0].sum() + 2 * rows[1].sum()).backward()
    np.testing.assert_array_equal(t.grad, [[1, 1, 1], [2, 2, 2]])
    assert 0.5 in t
    assert 7 not in t
    with pytest.raises(TypeError) as caught:
        iter(tensor(1.0))
    assert str(caught.value) == "cannot iterate over a 0-d Tensor"


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: tg.Tensor(3.0), "Tensor(3.)"),
        (lambda: tg.Tensor([1.0, 2.0]), "Tensor([1., 2.])"),
        (lambda: tg.Tensor([1, 2]), "Tensor([1, 2], dtype=int64)"),
        (lambda: tensor([1.0, 2.0]), "Tensor([1., 2.], requires_grad=True)"),
        (lambda: tensor([1.0], name="w"), "Tensor([1.], requires_grad=True, name='w')"),
        (lambda: np.exp(tensor([0.0])), "Tensor([1.], made by np.exp)"),
        (lambda: tensor([0.0]) + 1, "Tensor([1.], made by np.add)"),
        (lambda: tg.sigmoid(tensor([0.0])), "Tensor([0.5], made by sigmoid)"),
        (lambda: tensor(np.ones((2, 2), np.float32)), "Tensor([[1., 1.],\n        [1., 1.]], dtype=float32, requires_grad=True)"),
        (lambda: tg.Tensor(np.arange(1000.0)), "Tensor([  0.,   1.,   2., ..., 997., 998., 999.])"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text
    assert str(make()) == text


# -- types of numbers ----------------------------------------------------------------------------------

KEEPS_FLOAT32 = {
    "t + 1": lambda t: t + 1,
    "1 - t": lambda t: 1 - t,
    "t * 2.5": lambda t: t * 2.5,
    "t / 3": lambda t: t / 3,
    "3 / t": lambda t: 3.0 / t,
    "t**2": lambda t: t**2,
    "2.0**t": lambda t: 2.0**t,
    "-t": lambda t: -t,
    "abs(t)": abs,
    "t @ t.T": lambda t: t @ t.T,
    "t[0]": lambda t: t[0],
    "exp": np.exp,
    "log1p(exp)": lambda t: np.log1p(np.exp(t)),
    "maximum(t, 0)": lambda t: np.maximum(t, 0),
    "where": lambda t: np.where(t > 1, t, 0.0),
    "sigmoid": tg.sigmoid,
    "softplus": tg.softplus,
    "relu": tg.relu,
    "log_softmax": tg.log_softmax,
    "mean over rows": lambda t: t.mean(axis=0),
    "max over rows": lambda t: t.max(axis=0),
}


@pytest.mark.parametrize("fn", KEEPS_FLOAT32.values(), ids=KEEPS_FLOAT32.keys())
def test_float32_stays_float32(fn):
    t = tg.Tensor(np.abs(NUMBERS) + 1, requires_grad=True, dtype=np.float32)
    y = fn(t)
    loss = np.mean(y)
    assert y.dtype == loss.dtype == np.float32
    loss.backward()
    assert t.grad.dtype == np.float32


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv, lambda a, b: a @ b.T, np.maximum, np.hypot])
def test_mixed_types_give_each_leaf_a_gradient_of_its_own(op, swap):
    single, double = tensor(NUMBERS.astype(np.float32)), tensor(NUMBERS + 4)
    y = op(double, single + 4) if swap else op(single + 4, double)
    assert y.dtype == np.float64
    np.sum(y).backward()
    assert (single.grad.dtype, double.grad.dtype) == (np.float32, np.float64)


def test_a_float32_leaf_used_in_both_types():
    single = tensor(np.ones(2, np.float32))
    (np.sum(single * 2) + np.sum(single * np.array([3.0, 4.0]))).backward()
    assert single.grad.dtype == np.float32
    np.testing.assert_array_equal(single.grad, [5.0, 6.0])


@pytest.mark.parametrize("data", [1, [1, 2], [True, False], np.arange(3, dtype=np.uint8), [1j]])
def test_gradients_are_for_floating_numbers(data):
    for ask in (lambda: tg.Tensor(data, requires_grad=True), lambda: setattr(tg.Tensor(data), "requires_grad", True)):
        with pytest.raises(TypeError) as caught:
            ask()
        dtype = np.asarray(data).dtype
        assert str(caught.value) == f"only floating Tensors can require gradients, got dtype {dtype}: write the numbers as floats or pass dtype=float"
    if dtype.kind != "c":
        assert tg.Tensor(data, requires_grad=True, dtype=float).requires_grad


def test_astype_is_recorded():
    t = tensor(NUMBERS.astype(np.float32))
    y = t.astype(np.float64)
    assert y.dtype == np.float64
    (y * 2).sum().backward()
    np.testing.assert_array_equal(t.grad, np.full((2, 3), 2, np.float32), strict=True)
    with pytest.raises(TypeError) as caught:
        t.astype(int)
    assert str(caught.value) == "a tracked Tensor has no gradient as int64: use t.numpy().astype(...)"


# -- no_grad -------------------------------------------------------------------------------------------


def test_no_grad_as_context():
    w = tensor()
    with tg.no_grad():
        assert not (w * 2).requires_grad
        assert not np.exp(w).requires_grad
        with tg.no_grad():
            pass
        assert not (w * 2).requires_grad
    assert (w * 2).requires_grad
    assert w.requires_grad


def test_no_grad_ends_with_an_exception():
    w = tensor()
    with pytest.raises(KeyError), tg.no_grad():
        raise KeyError
    assert (w * 2).requires_grad


def test_no_grad_as_decorator():
    w = tensor()

    @tg.no_grad()
    def predict():
        return w * 2

    for _ in range(2):
        assert not predict().requires_grad
        assert (w * 2).requires_grad


def test_no_grad_is_of_its_thread_alone():
    w, inside, done, found = tensor(), threading.Event(), threading.Event(), {}

    def quiet():
        with tg.no_grad():
            inside.set()
            done.wait(10)
            found["quiet"] = (w * 2).requires_grad

    def loud():
        inside.wait(10)
        found["loud"] = (w * 2).requires_grad
        done.set()

    threads = [threading.Thread(target=target) for target in (quiet, loud)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == {"quiet": False, "loud": True}


def test_no_grad_is_of_its_task_alone():
    w, found = tensor(), []

    async def quiet():
        with tg.no_grad():
            for _ in range(3):
                await asyncio.sleep(0)
                found.append(("quiet", (w * 2).requires_grad))

    async def loud():
        for _ in range(3):
            await asyncio.sleep(0)
            found.append(("loud", (w * 2).requires_grad))

    async def both():
        await asyncio.gather(quiet(), loud())

    asyncio.run(both())
    assert found == [("quiet", False), ("loud", True)] * 3


def test_threads_train_side_by_side():
    losses = {}

    def train(seed):
        model = nn.Sequential(nn.Dense(2, 1, rng=0), nn.Sigmoid())
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(20, 2)), rng.integers(0, 2, size=(20, 1))
        optimizer = nn.SGD(model.parameters(), lr=0.1)
        for _ in range(50):
            optimizer.zero_grad()
            loss = nn.BCELoss()(model(X), y)
            loss.backward()
            optimizer.step()
        return loss.item()

    threads = [threading.Thread(target=lambda seed=seed: losses.update({seed: train(seed)})) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert losses == {seed: train(seed) for seed in range(4)}


# -- what it refuses -----------------------------------------------------------------------------------

MEANT = (
    "would silently cut it out of its graph. To join Tensors use np.stack or np.concatenate, to fill a shape np.broadcast_to, to change elements np.where, "
    "NumPy's functions in place of math's, and tg.logsumexp, tg.softmax and tg.log_softmax in place of scipy.special's; a masked array, sparse matrix "
    "or data frame before a Tensor must become an ndarray (a.filled(0), x.toarray(), df.to_numpy()). If no gradient is wanted: t.numpy(), t.item(), t.detach()"
)


@pytest.mark.parametrize("convert", [np.asarray, np.array, lambda t: np.asarray(t, dtype=np.float32), lambda t: np.array([t, t])])
@pytest.mark.parametrize("make", [tensor, lambda: tensor() * 2, lambda: tensor(1.0)], ids=["leaf", "computed", "single"])
def test_a_tracked_tensor_is_no_array(convert, make):
    with pytest.raises(TypeError) as caught:
        convert(make())
    assert str(caught.value) == f"turning a tracked Tensor into an array {MEANT}"


def test_an_untracked_tensor_is_an_array():
    t = tg.Tensor(NUMBERS)
    assert np.asarray(t) is NUMBERS
    assert np.array(t) is not NUMBERS
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.array([t, t]), [NUMBERS, NUMBERS])


def test_backward_of_many_numbers_needs_a_gradient():
    with pytest.raises(RuntimeError) as caught:
        (tensor() * 2).backward()
    assert str(caught.value) == (
        "backward() without a gradient works on a single number, this Tensor has shape (2, 3): reduce it first (loss.sum(), loss.mean()) or pass backward(grad)"
    )


@pytest.mark.parametrize("make", [lambda: tg.Tensor(1.0), lambda: tg.Tensor(1.0) * 2, lambda: tg.sigmoid(tg.Tensor(1.0)), lambda: tensor(1.0).detach()])
def test_backward_where_nothing_requires_gradients(make):
    with pytest.raises(RuntimeError) as caught:
        make().backward()
    assert str(caught.value) == "backward() on a Tensor that requires no gradients: nothing behind it was made with requires_grad=True"


def test_backward_under_no_grad_says_the_same():
    with tg.no_grad(), pytest.raises(RuntimeError, match="requires no gradients"):
        np.sum(tensor() * 2).backward()


@pytest.mark.parametrize("grad", [1.0, [1.0, 2.0], np.ones((3, 2)), np.ones((1, 2, 3))])
def test_gradients_of_the_wrong_shape(grad):
    t = tensor()
    with pytest.raises(ValueError) as caught:
        (t * 2).backward(grad)
    assert str(caught.value) == f"backward(grad) got a gradient of shape {np.shape(grad)} for a Tensor of shape (2, 3)"
    with pytest.raises(ValueError) as caught:
        t.grad = grad
    assert str(caught.value) == f"a gradient of shape {np.shape(grad)} cannot belong to a Tensor of shape (2, 3)"
    assert t.grad is None


@pytest.mark.parametrize("make", [tensor, lambda: tg.Tensor(NUMBERS.copy())], ids=["tracked", "untracked"])
def test_elements_cannot_be_set(make):
    t = make()
    with pytest.raises(TypeError) as caught:
        t[0] = 1
    assert str(caught.value) == "Tensors are not written in place: use np.where(mask, value, t) for a changed copy, or t.data for a leaf's own array"
    np.testing.assert_array_equal(t.data, NUMBERS)


def test_augmented_assignment_makes_a_new_tensor():
    w = tensor()
    t = w
    t += 1
    t *= 2
    np.testing.assert_array_equal(t.data, 2 * (NUMBERS + 1))
    np.testing.assert_array_equal(w.data, NUMBERS)
    t.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(w.grad, np.full((2, 3), 2.0))

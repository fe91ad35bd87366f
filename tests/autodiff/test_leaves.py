"""Leaves: which Tensors require gradients, how these add up, whose memory is whose, and copies."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.autodiff.test_tensor import MEANT, NUMBERS, tensor
from tinygrad_lr import nn

# -- requires_grad -------------------------------------------------------------------------------------


def test_requires_grad_can_be_switched_on_leaves():
    t = tg.Tensor([2.0])
    t.requires_grad = True
    (t * 3).backward()
    assert t.grad == 3
    t.requires_grad = False
    assert not (t * 3).requires_grad


def test_requires_grad_cannot_be_switched_on_computed_tensors():
    y = tensor() * 2
    with pytest.raises(RuntimeError) as caught:
        y.requires_grad = False
    assert str(caught.value) == "requires_grad can be changed on leaves only; use detach() to cut a computed Tensor out of its graph"
    y.requires_grad = True  # as it is already


@pytest.mark.parametrize("fn", [lambda t: t * 2, tg.sigmoid, lambda t: tg.sigmoid(t).reshape(-1)], ids=["product", "sigmoid", "reshaped sigmoid"])
def test_an_untracked_answer_can_become_a_leaf(fn):
    a = fn(tg.Tensor([0.0, 1.0]))
    a.requires_grad = True
    assert a.is_leaf
    np.sum(a * 3).backward()
    np.testing.assert_array_equal(a.grad, [3.0, 3.0])


# -- gradients -----------------------------------------------------------------------------------------


def test_gradients_accumulate_until_cleared():
    w = tensor([1.0, 2.0])
    np.sum(w * w).backward()
    first = w.grad
    np.testing.assert_array_equal(first, [2.0, 4.0])
    np.sum(w * 10).backward()
    np.testing.assert_array_equal(w.grad, [12.0, 14.0])
    np.testing.assert_array_equal(first, [2.0, 4.0])  # whoever kept the first gradient still has it
    w.zero_grad()
    assert w.grad is None
    np.sum(w * 10).backward()
    np.testing.assert_array_equal(w.grad, [10.0, 10.0])


def test_accumulating_keeps_type_and_shape():
    for w in (tensor(np.float32(2)), tensor(np.ones((2, 1), np.float32))):
        for _ in range(3):
            np.sum(w * 2).backward()
            assert type(w.grad) is np.ndarray
            assert (w.grad.dtype, w.grad.shape) == (np.float32, w.shape)


def test_backward_from_a_leaf():
    w = tensor([1.0, 2.0])
    w.backward([3, 4])
    np.testing.assert_array_equal(w.grad, np.array([3.0, 4.0]), strict=True)


def test_backward_takes_lists_arrays_and_tensors():
    for grad in ([1, 2], (1.0, 2.0), np.array([1, 2]), np.array([1, 2], np.float32), tg.Tensor([1.0, 2.0])):
        w = tensor([5.0, 6.0])
        (w * w).backward(grad)
        np.testing.assert_array_equal(w.grad, np.array([10.0, 24.0]), strict=True)


def test_backward_leaves_untracked_tensors_alone():
    w, c = tensor(), tg.Tensor(NUMBERS)
    np.sum(w * c).backward()
    assert c.grad is None


def test_grad_set_by_hand_is_an_array_like_the_data():
    w = tensor(np.ones(2, np.float32))
    w.grad = [1, 2]
    np.testing.assert_array_equal(w.grad, np.array([1, 2], np.float32), strict=True)


def test_rebinding_data_does_not_change_what_was_recorded():
    w, x = tensor([2.0, 3.0]), np.array([5.0, 7.0])
    loss = np.sum(w**2 * x)
    w.data = np.array([100.0, 100.0])
    (by_gradients,) = tg.gradients(loss, w, create_graph=True)
    loss.backward()
    np.testing.assert_array_equal(w.grad, [20.0, 42.0])
    np.testing.assert_array_equal(by_gradients.data, [20.0, 42.0])


def test_retain_graph_leaves_gradients_on_intermediate_tensors():
    w = tensor([1.0, 2.0])
    h = w * 3
    loss = np.sum(h * h)
    loss.backward(retain_graph=True)
    np.testing.assert_array_equal(w.grad, [18.0, 36.0])
    np.testing.assert_array_equal(h.grad, [6.0, 12.0])
    assert loss.grad == 1
    loss.backward(retain_graph=True)
    np.testing.assert_array_equal(w.grad, [36.0, 72.0])  # leaves accumulate
    np.testing.assert_array_equal(h.grad, [6.0, 12.0])  # the rest holds the latest
    loss.backward()
    np.testing.assert_array_equal(w.grad, [54.0, 108.0])
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        loss.backward()


def test_without_retain_graph_intermediate_tensors_have_none():
    w = tensor()
    h = w * 3
    np.sum(h * h).backward()
    assert h.grad is None


# -- whose memory is whose -----------------------------------------------------------------------------

PAIRS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "+a + b": lambda a, b: +a + b,
    "a * b": lambda a, b: a * b,
    "(a + b).T": lambda a, b: (a + b).T,
    "reshape": lambda a, b: a.reshape(-1) + b.reshape(-1),
    "views of each": lambda a, b: a[:, ::-1] + b[::-1],
    "concatenate": lambda a, b: np.concatenate([a, b]),
    "stack": lambda a, b: np.stack([a, b, a]),
    "where": lambda a, b: np.where(NUMBERS > 0, a, b),
    "sums": lambda a, b: np.sum(a) + np.sum(b),
    "sums of rows": lambda a, b: np.sum(a, axis=0) + np.sum(b, axis=0),
    "means": lambda a, b: a.mean() + b.mean(),
    "broadcast": lambda a, b: np.broadcast_to(a, (4, 2, 3)) + b,
    "maximum": np.maximum,
    "exp": lambda a, b: np.exp(a) + b,
}


@pytest.mark.parametrize("fn", PAIRS.values(), ids=PAIRS.keys())
def test_gradients_share_no_memory(fn):
    a, b = tensor(NUMBERS.copy()), tensor(NUMBERS + 1)
    y = fn(a, b)
    seed = np.ones(y.shape)
    for _ in range(2):
        y.backward(seed, retain_graph=True)
        grads = [a.grad, b.grad, y.grad]
        for i, grad in enumerate(grads):
            assert grad.flags.writeable
            assert grad.flags.owndata
            assert not any(np.shares_memory(grad, other) for other in [*grads[:i], a.data, b.data, y.data, seed])


def test_gradients_of_single_numbers_share_no_memory():
    a, b = tensor(1.0), tensor(2.0)
    (a + b).backward()
    assert type(a.grad) is type(b.grad) is np.ndarray
    assert not np.shares_memory(a.grad, b.grad)
    a.grad += 1
    assert (a.grad, b.grad) == (2, 1)


def test_a_leafs_gradient_is_not_the_one_passed_in():
    seed = np.array([1.0, 2.0])
    w = tensor([5.0, 6.0])
    w.backward(seed)
    (+w).backward(seed)
    assert not np.shares_memory(w.grad, seed)
    np.testing.assert_array_equal(seed, [1.0, 2.0])


def test_a_users_rule_may_give_back_its_argument():
    half_square = tg.primitive(lambda x: 0.5 * np.sum(x * x), lambda g, y, x: x)
    x = tensor([1.0, 2.0])
    half_square(x).backward()
    assert not np.shares_memory(x.grad, x.data)


def test_inputs_are_never_written():
    """A training step, higher derivatives and passed-in gradients on arrays that cannot be written."""

    def frozen(*shape):
        array = np.random.default_rng(0).normal(size=shape)
        array.flags.writeable = False
        return array

    X, y, seed = frozen(5, 3), frozen(5, 1) > 0, frozen(5, 1)
    y.flags.writeable = False
    model = nn.Sequential(nn.Dense(3, 2), nn.Tanh(), nn.Dense(2, 1), nn.Sigmoid())
    for parameter in model.parameters():
        parameter.data = frozen(*parameter.shape)
    optimizer = nn.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)
    for _ in range(3):
        loss = nn.BCELoss()(model(X), y)
        loss.backward(retain_graph=True)
        loss.backward()
        for parameter in model.parameters():
            parameter.grad.flags.writeable = False
        optimizer.step()
    model(X).backward(seed)
    w = tensor(frozen(3))
    (first,) = tg.gradients(np.sum(np.tanh(X @ w) ** 3), w, create_graph=True)
    (second,) = tg.gradients(first, w, grad_outputs=frozen(3))
    assert np.isfinite(second.data).all()


# -- copies --------------------------------------------------------------------------------------------


def copies():
    return {"copy": copy.copy, "deepcopy": copy.deepcopy} | {
        f"pickle {p}": lambda t, p=p: pickle.loads(pickle.dumps(t, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)
    }


@pytest.mark.parametrize("copied", copies().values(), ids=copies().keys())
def test_leaves_can_be_copied(copied):
    for t in (tensor(name="w"), tg.Tensor(NUMBERS.astype(np.float32)), nn.Parameter(NUMBERS, requires_grad=False), tg.Tensor([1, 2]), tensor(3.0)):
        again = copied(t)
        assert type(again) is type(t)
        assert (again.requires_grad, again.name, again.is_leaf) == (t.requires_grad, t.name, True)
        np.testing.assert_array_equal(again.data, t.data, strict=True)
        assert not np.shares_memory(again.data, t.data)


@pytest.mark.parametrize("copied", copies().values(), ids=copies().keys())
def test_computed_tensors_cannot_be_copied(copied):
    with pytest.raises(TypeError) as caught:
        copied(tensor() * 2)
    assert str(caught.value) == f"copying or pickling a Tensor that was computed, or that is being differentiated with respect to, {MEANT}"
    copied((tensor() * 2).detach())


def test_a_copied_model_learns_on_its_own():
    model = nn.Sequential(nn.Dense(2, 1, rng=0), nn.Sigmoid())
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        before = model.state_dict()
        np.sum(twin(np.ones((1, 2)))).backward()
        assert model[0].weight.grad is None
        nn.SGD(twin.parameters(), lr=1.0).step()
        np.testing.assert_array_equal(model[0].weight.data, before["0.weight"])
        assert (twin[0].weight != model[0].weight).all()

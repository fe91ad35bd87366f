"""The graph and the backward pass: depth, sharing, memory, and what happens to freed graphs."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

FREED = "this graph was freed by an earlier backward(); call the first one as backward(retain_graph=True), or compute the loss again"


def variable(data):
    return tg.Tensor(data, requires_grad=True)


# -- depth and sharing ---------------------------------------------------------------------------------


def chain(x, length):
    y = x
    for _ in range(length):
        y = 1.0 - y
    return y


def test_a_chain_of_a_million_operations():
    x = variable(0.25)
    y = chain(x, 1_000_000)
    assert y.item() == 0.25
    y.backward()
    assert x.grad == 1
    del y  # the last reference to a million nodes, each held by the next


def test_a_long_chain_that_was_never_differentiated_can_be_let_go():
    x = variable(0.25)
    y = chain(x, 300_001)
    assert y.item() == 0.75
    del y
    assert x.grad is None


def test_a_long_chain_can_be_differentiated_again():
    x = variable(1.0)
    y = x
    for _ in range(20_000):
        y = y * x
    (dy,) = tg.gradients(y, x, create_graph=True)
    (d2y,) = tg.gradients(dy, x)
    assert (dy.item(), d2y.item()) == (20_001, 20_001 * 20_000)


def test_a_tower_of_diamonds_is_walked_once():
    x = variable(3.0)
    y = x
    for _ in range(60):
        y = y + y  # 2^60 paths
    y.backward()
    assert x.grad == 2.0**60


def test_each_rule_runs_once_and_with_its_whole_gradient():
    seen = []

    def rule(g, y, x):
        seen.append(g)
        return g * 2

    double = tg.primitive(lambda x: 2 * x, rule)
    x = variable(5.0)
    middle = double(x)
    left, right = middle * 3, np.exp(middle * 0)
    (left + right * 4 + middle).backward()
    assert seen == [3 + 0 + 1]
    assert x.grad == 8


def test_an_older_value_may_be_used_late():
    x = variable(2.0)
    early = x * x
    late = np.exp(chain(x, 10) * 0) * early + early
    late.backward()
    assert x.grad == 8


USED_TWICE = {
    "x + x": (lambda x: x + x, lambda x: np.full(3, 2.0)),
    "x - x": (lambda x: x - x, lambda x: np.zeros(3)),
    "x * x": (lambda x: x * x, lambda x: 2 * x),
    "x / x": (lambda x: x / x, lambda x: np.zeros(3)),
    "x**x": (lambda x: x**x, lambda x: x**x * (np.log(x) + 1)),
    "x @ x": (lambda x: x @ x, lambda x: 2 * x),
    "maximum(x, x)": (lambda x: np.maximum(x, x), lambda x: np.ones(3)),
    "stack([x, x])": (lambda x: np.stack([x, x, x]), lambda x: np.full(3, 3.0)),
    "where(c, x, x)": (lambda x: np.where([True, False, True], x, x), lambda x: np.ones(3)),
    "x[i, i]": (lambda x: x[[0, 0, 2]], lambda x: np.array([2.0, 0.0, 1.0])),
}


@pytest.mark.parametrize("fn, slope", USED_TWICE.values(), ids=USED_TWICE.keys())
def test_a_tensor_used_twice(fn, slope):
    x = variable([0.5, 1.5, 2.0])
    np.sum(fn(x)).backward()
    np.testing.assert_allclose(x.grad, slope(x.data), rtol=1e-14, atol=1e-15)


# -- memory --------------------------------------------------------------------------------------------

FORGETS = {
    "product": lambda h: np.sum(h * h),
    "activations": lambda h: np.mean(np.tanh(h) ** 2),
    "layers": lambda h: np.sum(nn.Dense(50, 3, rng=0)(h)),
    "BCELoss of a sigmoid": lambda h: nn.BCELoss()(tg.sigmoid(h), np.ones(h.shape)),
    "BCELoss of a reshaped sigmoid": lambda h: nn.BCELoss()(tg.sigmoid(h).reshape(-1), np.ones(h.size)),
    "BCELoss": lambda h: nn.BCELoss()(h / 10, np.ones(h.shape)),
    "CrossEntropyLoss": lambda h: nn.CrossEntropyLoss()(h, np.zeros(40, int)),
    "a function without a slope": lambda h: np.sum(np.sign(h) * h),
    "nothing but functions without a slope": lambda h: np.sum(np.round(h * 2)),
    "an argument without a rule": lambda h: np.sum(np.copysign(2.0, h)),
}


@pytest.mark.parametrize("loss_of", FORGETS.values(), ids=FORGETS.keys())
def test_backward_frees_what_was_saved(loss_of):
    x = variable(np.linspace(-1, 1, 2000).reshape(40, 50))
    h = np.exp(x)
    saved = weakref.ref(h.data)
    loss = loss_of(h)
    del h
    assert saved() is not None
    loss.backward()
    assert saved() is None, "the loss still holds an array that only backward needed"
    assert np.isfinite(loss.item())


def test_retain_graph_keeps_what_was_saved():
    x = variable(np.ones(10))
    h = np.exp(x)
    saved = weakref.ref(h.data)
    loss = np.sum(h * h)
    del h
    loss.backward(retain_graph=True)
    assert saved() is not None
    loss.backward()
    assert saved() is None


@pytest.mark.parametrize("fn", [np.exp, tg.sigmoid, lambda x: tg.sigmoid(x).reshape(10, 1).T], ids=["exp", "sigmoid", "reshaped sigmoid"])
def test_without_gradients_nothing_piles_up(fn):
    """A sigmoid's answer holds its logits for a loss, but not what those came from."""
    for x in (variable(np.zeros(10)), tg.Tensor(np.zeros(10))):
        with tg.no_grad():
            h = fn(x)
            early = weakref.ref(h.data)
            assert early() is not None
            for _ in range(3):
                h = fn(h)
        assert early() is None


def test_a_tensor_that_the_user_holds_keeps_its_data():
    x = variable(np.ones(10))
    h = np.exp(x)
    np.sum(h * h).backward()
    np.testing.assert_array_equal(h.data, np.full(10, np.e))


def test_backward_frees_as_it_goes():
    """Of thirty saved arrays not many are left at the end, and no thirty gradients stand beside them."""
    size = 1_000_000
    x = variable(np.ones(size // 8))
    tracemalloc.start()
    try:
        y = x
        for _ in range(30):
            y = np.tanh(y)
        loss = np.sum(y)
        del y
        forward, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        loss.backward()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert forward > 29 * size
    assert peak < forward + 5 * size
    assert after < 2 * size


def test_the_graph_holds_no_reference_cycles():
    x = variable(np.ones(1000))
    gc.collect()
    gc.disable()
    try:
        y = nn.BCELoss()(tg.sigmoid(np.exp(x) * x), np.ones(1000))
        answer, logits = weakref.ref(y), weakref.ref(y.node.parents[0].value)
        assert logits() is not None
        del y
        assert answer() is None
        assert logits() is None
    finally:
        gc.enable()


# -- freed graphs --------------------------------------------------------------------------------------


def test_a_second_backward():
    x = variable(2.0)
    y = x * x
    y.backward()
    for again in (y.backward, lambda: tg.gradients(y, x), lambda: (y * 2).backward()):
        with pytest.raises(RuntimeError) as caught:
            again()
        assert str(caught.value) == FREED
    assert x.grad == 4  # as the first one left it


def test_a_shared_part_is_freed_for_all():
    x = variable(2.0)
    h = x * x
    one, other = h * 3, h * 5
    one.backward()
    with pytest.raises(RuntimeError) as caught:
        other.backward()
    assert str(caught.value) == FREED


def test_a_shared_part_can_be_retained():
    x = variable(2.0)
    h = x * x
    one, other = h * 3, h * 5
    one.backward(retain_graph=True)
    other.backward()
    assert x.grad == 4 * 3 + 4 * 5


def test_a_failing_rule_leaves_gradients_as_they_were():
    def rule(g, y, x):
        raise ArithmeticError

    broken = tg.primitive(lambda x: x, rule)
    w, x = variable(1.0), variable(2.0)
    w.grad = np.array(7.0)
    with pytest.raises(ArithmeticError):
        (w * 3 + broken(x)).backward()
    assert w.grad == 7
    assert x.grad is None

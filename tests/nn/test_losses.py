"""Losses: against closed forms, against torch, at the extremes, to second order, and their refusals."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

RNG = np.random.default_rng(0)
REDUCTIONS = ("mean", "sum", "none")

P = RNG.uniform(0.05, 0.95, (4, 3))
Z = RNG.normal(size=(4, 3)) * 3
HARD = RNG.integers(0, 2, (4, 3)).astype(float)
SOFT = RNG.uniform(size=(4, 3))
CLASSES = np.array([2, 0, 1, 2])


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def binary(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


# Each case: the loss, a function that calls it, its inputs, its elementwise losses, their slope by the first input.
CASES = {
    "BCELoss": (nn.BCELoss, lambda loss, p, y: loss(p, y), P, HARD, binary, lambda p, y: (p - y) / (p * (1 - p))),
    "BCELoss, soft targets": (nn.BCELoss, lambda loss, p, y: loss(p, y), P, SOFT, binary, lambda p, y: (p - y) / (p * (1 - p))),
    "BCELoss of a sigmoid": (nn.BCELoss, lambda loss, z, y: loss(tg.sigmoid(z), y), Z, SOFT, lambda z, y: binary(sigmoid(z), y), lambda z, y: sigmoid(z) - y),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, lambda loss, z, y: loss(z, y), Z, HARD, lambda z, y: binary(sigmoid(z), y), lambda z, y: sigmoid(z) - y),
    "MSELoss": (nn.MSELoss, lambda loss, p, y: loss(p, y), Z, SOFT, lambda p, y: (p - y) ** 2, lambda p, y: 2 * (p - y)),
    "CrossEntropyLoss": (
        nn.CrossEntropyLoss,
        lambda loss, z, y: loss(z, y),
        Z,
        CLASSES,
        lambda z, y: -np.log(softmax(z)[np.arange(4), y]),
        lambda z, y: softmax(z) - np.eye(3)[y],
    ),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def reduced(losses, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](losses)


def weights_of(losses, reduction):
    """The gradient to start with: of a number 1, of many numbers one for each."""
    return np.random.default_rng(1).normal(size=losses.shape) if reduction == "none" else np.ones(())


# -- closed forms --------------------------------------------------------------------------------------


@each_case
@each_reduction
def test_closed_forms(case, reduction):
    kind, call, x, y, losses_of, slope_of = case
    t = tg.Tensor(x, requires_grad=True)
    loss = call(kind(reduction), t, y)
    losses = losses_of(x, y)
    np.testing.assert_allclose(loss.data, reduced(losses, reduction), rtol=1e-13)
    assert loss.shape == np.shape(reduced(losses, reduction))
    seed = weights_of(losses, reduction)
    loss.backward(seed)
    share = {"mean": 1 / losses.size, "sum": 1.0, "none": seed.reshape(seed.shape + (1,) * (x.ndim - seed.ndim))}[reduction]
    np.testing.assert_allclose(t.grad, share * slope_of(x, y), rtol=1e-12)


@each_case
@each_reduction
def test_second_derivatives(case, reduction):
    kind, call, x, y, losses_of, _ = case
    direction, seed = np.random.default_rng(2).normal(size=x.shape), weights_of(losses_of(x, y), reduction)

    def slope(x):
        t = tg.Tensor(x, requires_grad=True)
        return tg.gradients(call(kind(reduction), t, y), t, grad_outputs=seed)[0].data

    t = tg.Tensor(x, requires_grad=True)
    (first,) = tg.gradients(call(kind(reduction), t, y), t, grad_outputs=seed, create_graph=True)
    np.testing.assert_allclose(first.data, slope(x), rtol=1e-13)
    (second,) = tg.gradients(np.sum(first * direction), t)
    h = 1e-5
    np.testing.assert_allclose(second.data, (slope(x + h * direction) - slope(x - h * direction)) / (2 * h), rtol=1e-6, atol=1e-8)


@each_reduction
@pytest.mark.parametrize("kind, x", [(nn.BCELoss, P), (nn.BCEWithLogitsLoss, Z), (nn.MSELoss, P)])
def test_targets_may_be_learnt(kind, x, reduction):
    y = tg.Tensor(SOFT, requires_grad=True)
    seed = weights_of(SOFT, reduction)
    (got,) = tg.gradients(kind(reduction)(x, y), y, grad_outputs=seed)
    h = 1e-6
    above, below = (kind("none")(x, SOFT + sign * h).data for sign in (1, -1))
    share = 1 / SOFT.size if reduction == "mean" else seed
    np.testing.assert_allclose(got.data, share * (above - below) / (2 * h), rtol=1e-8)


def test_the_likelihood_of_coins():
    """The mean cross-entropy of independent throws is minus their log-likelihood by their number."""
    p, y = np.array([0.9, 0.2, 0.6]), np.array([1, 0, 1])
    assert nn.BCELoss()(p, y).item() == pytest.approx(-math.log(0.9 * 0.8 * 0.6) / 3, rel=1e-15)
    assert nn.BCELoss("sum")(p, y).item() == pytest.approx(-math.log(0.9 * 0.8 * 0.6), rel=1e-15)


# -- torch ---------------------------------------------------------------------------------------------


def in_torch(torch, name, reduction, x, y):
    """The same loss in torch, from arrays: its value, and its gradient by x."""
    t = torch.tensor(x, requires_grad=True)
    kind = name.split(", ")[0]
    if kind == "BCELoss of a sigmoid":
        loss = torch.nn.BCELoss(reduction=reduction)(torch.sigmoid(t), torch.tensor(y))
    else:
        loss = getattr(torch.nn, kind)(reduction=reduction)(t, torch.tensor(y))
    loss.backward(torch.tensor(weights_of(loss.detach().numpy(), reduction)))
    return loss.detach().numpy(), t.grad.numpy()


@pytest.mark.parametrize("name", CASES)
@each_reduction
def test_torch_agrees(name, reduction, torch):
    kind, call, x, y, _, _ = CASES[name]
    value, slope = in_torch(torch, name, reduction, x, y)
    t = tg.Tensor(x, requires_grad=True)
    loss = call(kind(reduction), t, y)
    loss.backward(weights_of(value, reduction))
    np.testing.assert_allclose(loss.data, value, rtol=1e-12)
    np.testing.assert_allclose(t.grad, slope, rtol=1e-11)


@each_reduction
def test_torch_stops_logarithms_at_the_same_place(reduction, torch):
    p = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1e-45, 1e-50, 5e-324])
    y = np.array([0.0, 1.0, 1.0, 0.0, 0.5, 0.25, 1.0, 1.0, 0.5])
    want = torch.nn.BCELoss(reduction=reduction)(torch.tensor(p), torch.tensor(y)).numpy()
    np.testing.assert_allclose(nn.BCELoss(reduction)(p, y).data, want, rtol=1e-14)


def test_torch_agrees_on_more_axes_of_classes(torch):
    z, y = RNG.normal(size=(2, 5, 3)), RNG.integers(0, 3, (2, 5))
    t, u = tg.Tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    ours, theirs = nn.CrossEntropyLoss()(t, y), torch.nn.CrossEntropyLoss()(u.reshape(-1, 3), torch.tensor(y.ravel()))
    ours.backward()
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-13)
    np.testing.assert_allclose(t.grad, u.grad.numpy(), rtol=1e-12)


# -- extremes ------------------------------------------------------------------------------------------

LOGITS = np.array([200.0, -200.0, 200.0, -200.0, 1000.0, -1000.0, 1000.0, -1000.0])
SURE = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
EXACT = np.array([200.0, 0.0, 0.0, 200.0, 1000.0, 0.0, 0.0, 1000.0])  # to within exp(-200) = 1e-87
SLOPES = np.array([1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, -1.0])


@pytest.mark.parametrize(
    "loss_of", [lambda loss, z, y: loss(tg.sigmoid(z), y), lambda loss, z, y: nn.BCEWithLogitsLoss(loss.reduction)(z, y)], ids=["sigmoid", "logits"]
)
@each_reduction
def test_bce_extreme(loss_of, reduction):
    z = tg.Tensor(LOGITS, requires_grad=True)
    loss = loss_of(nn.BCELoss(reduction), z, SURE)
    np.testing.assert_allclose(loss.data, reduced(EXACT, reduction), rtol=1e-15, atol=1e-80)
    loss.backward(np.ones(loss.shape))
    np.testing.assert_allclose(z.grad, SLOPES / (8 if reduction == "mean" else 1), rtol=1e-15, atol=1e-80)


LAYOUTS = {
    "as it is": lambda a: a,
    "a.reshape": lambda a: a.reshape(2, 4),
    "np.reshape": lambda a: np.reshape(a, (4, 2)),
    "a.ravel": lambda a: a.ravel(),
    "a.T": lambda a: a.T,
    "np.transpose": np.transpose,
    "a[:, 0]": lambda a: a[:, 0],
    "a[::-1]": lambda a: a[::-1],
    "a[2]": lambda a: a[2],
    "a[mask]": lambda a: a[LOGITS > 0],
    "a[list]": lambda a: a[[0, 0, 3]],
    "a.squeeze": lambda a: a.squeeze(),
    "np.squeeze": np.squeeze,
    "np.expand_dims": lambda a: np.expand_dims(a, 0),
    "a.swapaxes": lambda a: a.swapaxes(0, 1),
    "several": lambda a: np.squeeze(a.reshape(2, 4, 1))[1].T[::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@each_reduction
def test_bce_extreme_whatever_the_layout(layout, reduction):
    y, exact, slopes = (layout(column[:, None]) for column in (SURE, EXACT, SLOPES))
    z = tg.Tensor(LOGITS[:, None], requires_grad=True)
    loss = nn.BCELoss(reduction)(layout(tg.sigmoid(z)), y)
    np.testing.assert_allclose(loss.data, reduced(exact, reduction), rtol=1e-15, atol=1e-80)
    loss.backward(np.ones(loss.shape))
    u = tg.Tensor(LOGITS[:, None], requires_grad=True)
    layout(u).backward(slopes / (y.size if reduction == "mean" else 1))
    np.testing.assert_allclose(z.grad, u.grad, rtol=1e-15, atol=1e-80)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_bce_extreme_is_the_same_without_gradients(layout):
    y, exact = layout(SURE[:, None]), layout(EXACT[:, None])
    z = tg.Tensor(LOGITS[:, None], requires_grad=True)
    tracked = tg.sigmoid(z)
    with tg.no_grad():
        losses = [nn.BCELoss("none")(layout(tg.sigmoid(z)), y), nn.BCELoss("none")(layout(tracked), y)]
    losses.append(nn.BCELoss("none")(layout(tg.sigmoid(tg.Tensor(LOGITS[:, None]))), y))
    for loss in losses:
        np.testing.assert_allclose(loss.data, exact, rtol=1e-15, atol=1e-80)
        assert not loss.requires_grad


def test_bce_of_a_sigmoid_module_and_of_a_model():
    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    model.load_state_dict({"0.weight": [[100.0]], "0.bias": [0.0]})
    X, y = np.array([[2.0], [-10.0]]), np.array([[0], [1]])
    loss = nn.BCELoss()(model(X), y)
    loss.backward()
    assert loss.item() == (200 + 1000) / 2
    np.testing.assert_array_equal(model[0].weight.grad, [[(2 + 10) / 2]])
    with tg.no_grad():
        assert nn.BCELoss()(model(X), y).item() == loss.item()


def test_bce_of_detached_answers_is_of_plain_probabilities():
    a = tg.sigmoid(tg.Tensor([200.0], requires_grad=True))
    assert nn.BCELoss()(a.detach(), [0.0]).item() == 100.0


@each_reduction
def test_bce_of_plain_probabilities_stops_at_100(reduction):
    p, y = np.array([0.0, 1.0, 0.0, 1.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0, 0.75])
    t = tg.Tensor(p, requires_grad=True)
    loss = nn.BCELoss(reduction)(t, y)
    np.testing.assert_allclose(loss.data, reduced([100.0, 100.0, 0.0, 0.0, 25.0], reduction), rtol=1e-15)
    loss.backward(np.ones(loss.shape))
    assert np.isfinite(t.grad).all()  # a stopped logarithm has slope 0; the other one keeps its own
    share = 5 if reduction == "mean" else 1
    np.testing.assert_allclose(t.grad * share, [0.0, 0.0, 1.0, -1.0, -0.75], rtol=1e-15)


def test_cross_entropy_extreme():
    z = tg.Tensor([[1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0], [1e300, 0.0, 0.0]], requires_grad=True)
    loss = nn.CrossEntropyLoss("none")(z, [2, 2, 0])
    np.testing.assert_array_equal(loss.data, [2000.0, 0.0, 0.0])
    loss.backward(np.ones(3))
    np.testing.assert_array_equal(z.grad, [[1.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def test_softmax_of_two_classes_is_the_sigmoid_of_their_difference():
    z, y = Z[:, :2], np.array([0, 1, 1, 0])
    two, one = nn.CrossEntropyLoss("none")(z, y), nn.BCEWithLogitsLoss("none")(z[:, 1] - z[:, 0], y)
    np.testing.assert_allclose(two.data, one.data, rtol=1e-13)


# -- types ---------------------------------------------------------------------------------------------


@each_case
@each_reduction
def test_float32_stays_float32(case, reduction):
    kind, call, x, y, losses_of, _ = case
    t = tg.Tensor(x.astype(np.float32), requires_grad=True)
    loss = call(kind(reduction), t, y)  # targets in float64 or integers
    assert loss.dtype == np.float32
    loss.backward(np.ones(loss.shape))
    assert t.grad.dtype == np.float32
    np.testing.assert_allclose(loss.data, reduced(losses_of(x, y), reduction), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind, p, y", [(nn.BCELoss, [0.5, 1.0], [1, 1]), (nn.BCEWithLogitsLoss, [0, 1], [True, False]), (nn.MSELoss, [1, 2], [0, 0])])
def test_lists_integers_and_booleans(kind, p, y):
    want = kind()(np.array(p, float), np.array(y, float)).item()
    for targets in (y, tuple(y), np.array(y), np.array(y, np.uint8), tg.Tensor(y)):
        loss = kind()(p, targets)
        assert loss.dtype == np.float64
        assert loss.item() == want


def test_class_lists():
    want = nn.CrossEntropyLoss()(Z, CLASSES).item()
    for y in (CLASSES.tolist(), CLASSES.astype(np.uint8), tg.Tensor(CLASSES)):
        assert nn.CrossEntropyLoss()(Z.tolist(), y).item() == want


def test_targets_in_a_data_frame():
    pandas = pytest.importorskip("pandas")
    z = tg.Tensor(Z[:, :1], requires_grad=True)
    y = HARD[:, :1]
    want = tg.gradients(nn.BCELoss()(tg.sigmoid(z), y), z)[0].data
    frame = pandas.DataFrame({"y": y[:, 0]}, index=[9, 8, 7, 6])
    for prediction, target, shape in [(tg.sigmoid(z), frame, (4, 1)), (tg.sigmoid(z)[:, 0], frame["y"], (4,))]:
        loss = nn.BCELoss("none")(prediction, target)
        assert type(loss.data) is np.ndarray
        assert loss.shape == shape
        (got,) = tg.gradients(np.mean(loss), z)
        np.testing.assert_allclose(got.data, want, rtol=1e-14)


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss, nn.MSELoss])
@pytest.mark.parametrize("shapes", [((6, 1), (6,)), ((6,), (6, 1)), ((6, 1), (1, 6)), ((6, 1), (5, 1)), ((), (1,)), ((2,), ())], ids=str)
def test_shapes_must_be_equal(kind, shapes):
    prediction, target = np.full(shapes[0], 0.5), np.zeros(shapes[1])
    for wrap in (lambda x: x, tg.Tensor):
        with pytest.raises(ValueError) as caught:
            kind()(wrap(prediction), wrap(target))
        assert str(caught.value) == (
            f"{kind.__name__} got predictions of shape {shapes[0]} and targets of shape {shapes[1]}: "
            f"they must be equal, so reshape one (a column is y.reshape(-1, 1))"
        )


@pytest.mark.parametrize(
    "p, value, index",
    [
        ([0.5, 1.5], "1.5", "(1,)"),
        ([-0.25, 2.0], "-0.25", "(0,)"),
        ([0.5, math.nan], "nan", "(1,)"),
        ([[0.5, 0.5], [0.5, math.inf]], "inf", "(1, 1)"),
        (np.nextafter(1, 2), "1.0000000000000002", "()"),
        ([0.5, -5e-324], "-5e-324", "(1,)"),
    ],
)
def test_probabilities_lie_between_0_and_1(p, value, index):
    for wrap in (np.asarray, tg.Tensor, lambda p: tg.Tensor(p, requires_grad=True) * 1):
        with pytest.raises(ValueError) as caught:
            nn.BCELoss()(wrap(p), np.zeros(np.shape(p)))
        assert str(caught.value) == f"BCELoss got the probability {value} at index {index}: it must lie in [0, 1] (for logits use BCEWithLogitsLoss)"


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss])
@pytest.mark.parametrize("y, value, index", [([[1.0], [2], [1]], 2.0, (1, 0)), ([[-1.0], [1], [1]], -1.0, (0, 0)), ([[0], [1], [math.nan]], math.nan, (2, 0))])
@pytest.mark.parametrize("wrap", [list, np.array, tg.Tensor, lambda y: tg.Tensor(y, requires_grad=True), lambda y: np.array(y, np.float32)])
def test_targets_of_binary_losses_lie_between_0_and_1(kind, y, value, index, wrap):
    """Classes 1 and 2, or -1 and 1, trained happily to a loss of -2361."""
    model = nn.Sequential(nn.Dense(2, 1, rng=0), *([nn.Sigmoid()] if kind is nn.BCELoss else []))
    y = wrap(y)
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            kind()(model(np.ones((3, 2))), y)
        assert str(caught.value) == f"{kind.__name__} got the target {value} at index {index}: it must lie in [0, 1] (call the two classes 0 and 1)"


def test_a_loss_described_as_one_of_probabilities_takes_such_targets():
    brier = tg.primitive(lambda p, y, reduction="mean": np.mean((p - y) ** 2), lambda g, loss, p, y: g * 2 * (p - y) / p.size, None)

    class Brier(nn.Loss):
        about = (dataclasses.replace(nn.MSELoss.about[0], function=brier, prediction="probability"),)

    with pytest.raises(ValueError, match=r"Brier got the target 2.0 at index \(0,\): it must lie in \[0, 1\]"):
        Brier()([0.5], [2.0])


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss])
def test_every_array_of_targets_is_looked_at(kind):
    loss, p = kind(), tg.sigmoid(tg.Tensor(np.zeros((6, 1)), requires_grad=True))
    good, bad = np.array([0.0, 0, 1, 0, 1, 1]), np.array([1.0, 1, 2, 1, 2, 2])
    table = np.column_stack([good, bad])
    views = np.array([0.0, 0, 1, 0, 1, 1, 1, 2, 3, 4, 5, 6])
    for right, wrong in [
        (good.reshape(-1, 1), bad.reshape(-1, 1)),
        (table[:, :1], table[:, 1:]),
        (views[:6].reshape(-1, 1), views[6:].reshape(-1, 1)),
        (good.reshape(-1, 1), (2 * good).reshape(-1, 1)),
        (tg.Tensor(good[:, None]), tg.Tensor(bad[:, None])),
        (good.astype(np.uint8)[:, None], bad.astype(np.uint8)[:, None]),
        (good[:, None], good.view(np.int64)[:, None]),
        (np.lib.stride_tricks.as_strided(views, (6, 1), (0, 0)), views[::2, None]),
        (good.tolist(), bad.tolist()),
    ]:
        right, wrong = (np.reshape(y, (6, 1)).tolist() if isinstance(y, list) else y for y in (right, wrong))
        for _ in range(2):
            loss(p, right)
            with pytest.raises(ValueError, match=rf"^{kind.__name__} got the target "):
                loss(p, wrong)


def test_targets_that_were_found_right_are_not_checked_again():
    """As they are, or laid out anew in each step; what was changed in between is missed, which the speed is worth."""
    y = np.array([0.0, 1.0, 1.0])
    for shape in [(3,), (3, 1), (1, 3)]:
        loss = nn.BCEWithLogitsLoss()
        loss(np.zeros(shape), y.reshape(shape))
        assert loss.last_checked() is y
        y[0] = 2.0
        loss(np.zeros(shape), y.reshape(shape))
        y[0] = 0.0
    del y
    assert loss.last_checked() is None  # and they are not kept alive


def test_batches_of_targets_that_were_found_right_are_not_checked_again():
    y, p = np.array([0.0, 1.0, 1.0, 0.0]), np.zeros(2)
    loss = nn.BCEWithLogitsLoss()
    loss(p, y[:2])
    y[3] = 2.0
    loss(p, y[2:])  # the whole array was checked with the first batch
    table = np.array([[0.0, 7.0], [1.0, 8.0], [0.0, 9.0]])
    for _ in range(2):  # a column beside others is checked itself
        loss(p, table[:2, 0])
        assert loss.last_mixed() is table
        with pytest.raises(ValueError, match=r"^BCEWithLogitsLoss got the target 7.0 at index \(0,\)"):
            loss(p, table[:2, 1])


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss])
@pytest.mark.parametrize("target", [np.array([1j]), np.array(["2020-01-01"], "M8[D]"), np.array([None]), np.array(["1"])], ids=lambda y: y.dtype.str)
def test_targets_that_are_no_real_numbers_are_refused(kind, target):
    with pytest.raises(TypeError) as caught:
        kind()([0.5], target)
    assert str(caught.value) == f"{kind.__name__} takes targets that are real numbers, got dtype {target.dtype}: convert with y.astype(float)"


def test_a_loss_that_has_seen_targets_can_be_copied_and_pickled():
    loss = nn.BCELoss("sum")
    want = loss(P, HARD).item()
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(other) == "BCELoss(reduction='sum')"
        assert other(P, HARD).item() == want


@pytest.mark.parametrize("dtype", [float, bool, np.float32])
def test_one_hot_targets_are_told_argmax(dtype):
    with pytest.raises(TypeError) as caught:
        nn.CrossEntropyLoss()(Z, np.eye(3)[CLASSES].astype(dtype))
    assert str(caught.value) == (
        f"CrossEntropyLoss takes classes as integers 0, 1, ..., got targets of dtype {np.dtype(dtype)}: if each row is one-hot, pass y.argmax(axis=-1)"
    )


def test_one_hot_targets_of_integers_are_told_argmax():
    y = np.eye(3, dtype=int)[CLASSES]
    for targets in (y, y.tolist(), tg.Tensor(y)):
        with pytest.raises(ValueError) as caught:
            nn.CrossEntropyLoss()(Z, targets)
        assert str(caught.value) == (
            "CrossEntropyLoss got logits of shape (4, 3) and classes of shape (4, 3): expected (..., classes) and (...); "
            "if each row is one-hot, pass y.argmax(axis=-1)"
        )
    assert nn.CrossEntropyLoss()(Z, y.argmax(axis=-1)).item() == nn.CrossEntropyLoss()(Z, CLASSES).item()


@pytest.mark.parametrize("y", [[0.0, 1.0, 2.0, 0.0], [True, False, True, True]])
def test_classes_must_be_integers(y):
    with pytest.raises(TypeError) as caught:
        nn.CrossEntropyLoss()(Z, y)
    assert str(caught.value) == f"CrossEntropyLoss takes classes as integers 0, 1, ..., got targets of dtype {np.asarray(y).dtype}: convert with y.astype(int)"


@pytest.mark.parametrize("y, wrong", [([0, 3, 1, 2], 3), ([0, -1, 7, 2], -1), ([9, 9, 9, 9], 9)])
def test_classes_must_be_columns(y, wrong):
    with pytest.raises(ValueError) as caught:
        nn.CrossEntropyLoss()(Z, y)
    assert str(caught.value) == f"CrossEntropyLoss got class {wrong} for logits of 3 classes: expected 0 to 2"


@pytest.mark.parametrize("z, y", [(Z, [0, 1]), (Z, [[0], [1], [2], [0]]), (Z[0], [0, 1]), (1.0, 0), (Z, 0)])
def test_classes_must_be_one_for_each_row(z, y):
    with pytest.raises(ValueError) as caught:
        nn.CrossEntropyLoss()(z, y)
    assert str(caught.value) == f"CrossEntropyLoss got logits of shape {np.shape(z)} and classes of shape {np.shape(y)}: expected (..., classes) and (...)"


@pytest.mark.parametrize("kind", [nn.BCELoss, nn.BCEWithLogitsLoss, nn.MSELoss, nn.CrossEntropyLoss])
@pytest.mark.parametrize("reduction", ["average", None, "MEAN", 1])
def test_reductions_have_names(kind, reduction):
    with pytest.raises(ValueError) as caught:
        kind(reduction=reduction)
    assert str(caught.value) == f'reduction must be "mean", "sum" or "none", got {reduction!r}'


def test_repr():
    assert repr(nn.BCELoss()) == "BCELoss()"
    assert repr(nn.MSELoss(reduction="sum")) == "MSELoss(reduction='sum')"


def test_probabilities_too_small_for_float32_agree_with_the_equations():
    """Below the smallest normal number the logarithm counts as clamped, in the rule and in the report."""
    model = nn.Sequential(nn.Dense(1, 1, dtype=np.float32))
    model.load_state_dict({"0.weight": [[1.0]], "0.bias": [0.0]})
    x, y = np.array([[1e-40], [0.5]], np.float32), np.array([[1.0], [0.0]], np.float32)
    assert not tg.backprop_report(model, nn.BCELoss(), x, y).disagreements

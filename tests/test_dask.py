"""Dask arrays inside Tensors: the same rules, nothing computed before it is asked for, and NumPy's numbers in the end."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 5))
W = rng.normal(size=5)
Y = (X @ W + rng.normal(size=40) > 0).astype(float)
CLASSES = rng.integers(0, 5, 40)
ROWS = {"chunks": (10, 5)}


@pytest.fixture
def nothing_computes():
    """While graphs are built, a computation is an error."""

    def scheduler(*args, **kwargs):
        raise AssertionError("a graph was computed while it was built")

    with dask.config.set(scheduler=scheduler):
        yield


def computed(lazy):
    return dask.compute(*lazy, scheduler="synchronous")


def assert_equal(lazy, eager):
    """Every part is lazy, and computes to what NumPy gave, in its type and shape."""
    assert len(lazy) == len(eager)
    for part in lazy:
        assert isinstance(part, da.Array)
    for got, want in zip(computed(lazy), eager):
        assert got.dtype == want.dtype
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def with_backward(loss_of, *arrays):
    """Loss and gradients, by Tensors."""
    tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
    loss = loss_of(*tensors)
    loss.backward()
    return [loss.data, *(t.grad for t in tensors)]


# -- losses --------------------------------------------------------------------------------------------

LOSSES = {
    "operators and ufuncs": lambda x, w, y: np.mean(np.log1p(np.exp(-abs(x @ w))) + np.maximum(x @ w, 0) - y * (x @ w)),
    "logaddexp": lambda x, w, y: np.mean(np.logaddexp(0, x @ w) - y * (x @ w)),
    "softplus": lambda x, w, y: np.mean(tg.softplus(x @ w) - y * (x @ w)),
    "log_sigmoid": lambda x, w, y: -np.mean(y * tg.log_sigmoid(x @ w) + (1 - y) * tg.log_sigmoid(-(x @ w))),
    "squares of a sigmoid": lambda x, w, y: np.sum((tg.sigmoid(x @ w) - y) ** 2),
    "softmax": lambda x, w, y: np.sum(tg.softmax(x * w) * x),
    "BCEWithLogitsLoss": lambda x, w, y: nn.BCEWithLogitsLoss()(x @ w, y),
    "BCELoss of a sigmoid": lambda x, w, y: nn.BCELoss()(tg.sigmoid(x @ w), y),
    "MSELoss": lambda x, w, y: nn.MSELoss()(x @ w, y),
    "sum of MSELoss": lambda x, w, y: nn.MSELoss(reduction="sum")(x @ w, y),
    "CrossEntropyLoss": lambda x, w, y: nn.CrossEntropyLoss()(x * w, CLASSES),
    "ridge": lambda x, w, y: np.mean((x @ w - y) ** 2) + 0.1 * np.linalg.norm(w),
}
each_loss = pytest.mark.parametrize("loss_of", LOSSES.values(), ids=LOSSES.keys())


@each_loss
def test_losses(loss_of, nothing_computes):
    lazy = with_backward(lambda x, w: loss_of(x, w, da.from_array(Y, 10)), da.from_array(X, **ROWS), da.from_array(W, 5))
    assert_equal(lazy, with_backward(lambda x, w: loss_of(x, w, Y), X, W))


@each_loss
def test_losses_of_plain_data_by_lazy_weights(loss_of, nothing_computes):
    """The data is no Tensor, the weights are NumPy's: what people write first."""
    data, targets = da.from_array(X, **ROWS), da.from_array(Y, 10)
    lazy = tg.value_and_grad(lambda w: loss_of(data, w, targets))(W)
    assert_equal(lazy, tg.value_and_grad(lambda w: loss_of(X, w, Y))(W))


def test_a_check_of_the_data_may_compute_it():
    """BCELoss refuses plain probabilities outside [0, 1], so it has to look at them."""
    probability = lambda x, w: 0.5 + 0.4 * np.tanh(x @ w)
    lazy = with_backward(lambda x, w: nn.BCELoss()(probability(x, w), da.from_array(Y, 10)), da.from_array(X, **ROWS), da.from_array(W, 5))
    assert_equal(lazy, with_backward(lambda x, w: nn.BCELoss()(probability(x, w), Y), X, W))


@pytest.mark.parametrize("p, y, what", [([0.5, 1.5], [0.0, 1.0], "probability 1.5"), ([0.5, 0.5], [0.0, 2.0], "target 2.0")])
def test_numbers_outside_0_and_1_are_named(p, y, what):
    with pytest.raises(ValueError, match=rf"^BCELoss got the {what} at index \(1,\): it must lie in \[0, 1\]"):
        nn.BCELoss()(da.from_array(np.array(p)), da.from_array(np.array(y)))


def test_lazy_targets_are_not_computed_to_check_them(nothing_computes):
    """A loss that stays lazy takes their word for it; NumPy targets beside lazy logits are checked."""
    nn.BCEWithLogitsLoss()(da.from_array(X[:, 0]), da.from_array(2 * Y + 1))
    with pytest.raises(ValueError, match=r"^BCEWithLogitsLoss got the target "):
        nn.BCEWithLogitsLoss()(da.from_array(X[:, 0]), 2 * Y + 1)


# -- networks ------------------------------------------------------------------------------------------


def network_step(x, y, loss_fn, *layers):
    model = nn.Sequential(*layers)
    loss = loss_fn(model(x), y)
    loss.backward()
    return [loss.data, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize(
    "loss_fn, layers",
    [
        (nn.BCEWithLogitsLoss(), lambda: [nn.Dense(5, 1, rng=0)]),
        (nn.BCELoss(), lambda: [nn.Dense(5, 1, rng=0), nn.Sigmoid()]),
        (nn.MSELoss(), lambda: [nn.Dense(5, 3, rng=0), nn.Tanh(), nn.Dense(3, 1, rng=1)]),
        (nn.MSELoss(), lambda: [nn.Dense(5, 3, rng=0, bias=False), nn.ReLU(), nn.Dense(3, 1, rng=1)]),
    ],
    ids=["one neuron of logits", "one neuron", "two layers of tanh", "two layers of relu"],
)
def test_networks(loss_fn, layers, nothing_computes):
    lazy = network_step(da.from_array(X, **ROWS), da.from_array(Y.reshape(-1, 1), chunks=(10, 1)), loss_fn, *layers())
    assert_equal(lazy, network_step(X, Y.reshape(-1, 1), loss_fn, *layers()))


def test_a_network_of_classes(nothing_computes):
    layers = lambda: [nn.Dense(5, 4, rng=0), nn.Tanh(), nn.Dense(4, 5, rng=1)]
    lazy = network_step(da.from_array(X, **ROWS), CLASSES, nn.CrossEntropyLoss(), *layers())
    assert_equal(lazy, network_step(X, CLASSES, nn.CrossEntropyLoss(), *layers()))


# -- derivatives of functions --------------------------------------------------------------------------

DERIVATIVES = {
    "grad": lambda f, w: [tg.grad(f)(w)],
    "vjp": lambda f, w: [tg.vjp(f, w)[0], *tg.vjp(f, w)[1](2.0)],
    "jvp": lambda f, w: tg.jvp(f, w, W),
    "hvp": lambda f, w: [tg.hvp(f, w, W)],
    "hessian": lambda f, w: [tg.hessian(f)(w)],
    "gradient of a gradient": lambda f, w: [tg.grad(lambda w: np.sum(tg.grad(f)(w) ** 2))(w)],
}


@pytest.mark.parametrize("derivative", DERIVATIVES.values(), ids=DERIVATIVES.keys())
@pytest.mark.parametrize("weights", [lambda: da.from_array(W, 5), lambda: W], ids=["lazy", "NumPy"])
def test_derivatives(derivative, weights, nothing_computes):
    data, targets = da.from_array(X, **ROWS), da.from_array(Y, 10)
    lazy = derivative(lambda w: np.mean(tg.softplus(data @ w) - targets * (data @ w)), weights())
    assert_equal(list(lazy), list(derivative(lambda w: np.mean(tg.softplus(X @ w) - Y * (X @ w)), W)))


# -- rules ---------------------------------------------------------------------------------------------

FUNCTIONS = {
    "max": lambda x, w: np.max(x * w),
    "min along an axis": lambda x, w: np.sum(np.min(x * w, axis=1)),
    "var": lambda x, w: np.var(x * w),
    "std along an axis": lambda x, w: np.sum(np.std(x * w, axis=0)),
    "prod": lambda x, w: np.prod(1 + w / 10),
    "cumsum": lambda x, w: np.sum(np.cumsum(x * w, axis=0) ** 2),
    "where": lambda x, w: np.sum(np.where(x > 0, x * w, w)),
    "clip": lambda x, w: np.sum(np.clip(x * w, -1, 1)),
    "concatenate": lambda x, w: np.sum(np.concatenate([x * w, x - w]) ** 3),
    "stack": lambda x, w: np.sum(np.stack([w, w * w]) ** 2),
    "slices": lambda x, w: np.sum((x * w)[3:7, ::2] ** 2),
    "reshape": lambda x, w: np.sum((x * w).reshape(-1) ** 2),
    "transpose": lambda x, w: np.sum((w @ x.T) ** 2),
    "broadcast_to": lambda x, w: np.sum(np.broadcast_to(w, (3, 5)) ** 2),
    "einsum": lambda x, w: np.sum(np.einsum("ij,j->i", x, w) ** 2),
    "tensordot": lambda x, w: np.sum(np.tensordot(x, w, 1) ** 2),
    "power": lambda x, w: np.sum(abs(x * w) ** 1.5),
    "powers of weights": lambda x, w: np.sum(abs(x) ** w),
    "hyperbolas": lambda x, w: np.sum(np.tanh(x @ w) + np.sqrt(1 + (x @ w) ** 2) + np.arctan(x @ w) + np.hypot(x @ w, 1.0)),
    "logaddexp.reduce": lambda x, w: np.sum(np.logaddexp.reduce(x * w, axis=1)),
    "norm": lambda x, w: np.linalg.norm(x @ w) + np.linalg.norm(w, 3) + np.linalg.norm(x * w),
}


@pytest.mark.parametrize("fn", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_functions(fn, nothing_computes):
    lazy = with_backward(fn, da.from_array(X, **ROWS), da.from_array(W, 5))
    loss, *gradients = with_backward(fn, X, W)
    assert_equal([part for part in lazy if part is not None], [loss, *(g for g in gradients if g is not None)])


def test_float32_stays(nothing_computes):
    singles = [a.astype(np.float32) for a in (X, W, Y)]
    data, weights, targets = (da.from_array(a) for a in singles)
    loss_of = lambda w, x, y: np.mean(tg.softplus(x @ w) - y * (x @ w))
    loss, gradient = tg.value_and_grad(loss_of)(weights, data, targets)
    assert loss.dtype == gradient.dtype == np.float32
    for got, want in zip(computed([loss, gradient]), tg.value_and_grad(loss_of)(*singles[:2][::-1], singles[2])):
        np.testing.assert_allclose(got, want, rtol=1e-5)


def test_the_guard_sees_a_computation(nothing_computes):
    with pytest.raises(AssertionError, match="while it was built"):
        float(da.from_array(X, **ROWS).sum())


# -- a cluster -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    """Two worker processes, closed in the end."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_cluster_of_two_processes(client):
    one, other = client.scheduler_info()["workers"]
    data, targets = client.persist(da.from_array(X, **ROWS), workers=one), client.persist(da.from_array(Y, 10), workers=other)
    loss_of = lambda w, x, y: np.mean(tg.softplus(x @ w) - y * (x @ w))
    loss, gradient = dask.compute(*tg.value_and_grad(loss_of)(W, data, targets))
    assert all(client.has_what()[worker] for worker in (one, other)), "both processes took part"
    for got, want in zip((loss, gradient), tg.value_and_grad(loss_of)(W, X, Y)):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_tensors_on_a_cluster(client):
    data, targets = client.persist([da.from_array(X, **ROWS), da.from_array(Y.reshape(-1, 1), chunks=(10, 1))])
    lazy = network_step(data, targets, nn.BCEWithLogitsLoss(), nn.Dense(5, 1, rng=0))
    eager = network_step(X, Y.reshape(-1, 1), nn.BCEWithLogitsLoss(), nn.Dense(5, 1, rng=0))
    for got, want in zip(dask.compute(*lazy), eager):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_steps_of_descent_on_a_cluster(client):
    """Ten steps, each computed on the cluster, end where NumPy's end."""
    data, targets = client.persist([da.from_array(X, **ROWS), da.from_array(Y, 10)])
    loss_of = lambda w, x, y: np.mean(tg.softplus(x @ w) - y * (x @ w))
    lazy = eager = W
    for _ in range(10):
        lazy = lazy - 0.5 * dask.compute(tg.grad(loss_of)(lazy, data, targets))[0]
        eager = eager - 0.5 * tg.grad(loss_of)(eager, X, Y)
    np.testing.assert_allclose(lazy, eager, rtol=1e-12)

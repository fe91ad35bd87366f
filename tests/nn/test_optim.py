"""`SGD`: compared with its formulas and with torch, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_lr as tg
from tinygrad_lr import nn

START = [np.array([[1.0, -2.0, 0.5]]), np.array([0.25]), np.array(3.0)]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 3)), RNG.integers(0, 2, (8, 1)).astype(float)

SETTINGS = [
    {"momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    for momentum, nesterov, decay in itertools.product((0.0, 0.9), (False, True), (0.0, 0.1))
    if momentum or not nesterov
]
each_setting = pytest.mark.parametrize("settings", SETTINGS, ids=[", ".join(f"{k}={v}" for k, v in s.items() if v) or "plain" for s in SETTINGS])


def parameters():
    return [nn.Parameter(array.copy()) for array in START]


def loss_of(w, b, c):
    """A logistic loss with a weight, a bias, and a scale: parameters of one, two and no axes."""
    return nn.BCEWithLogitsLoss()((X @ w.T + b) * c, Y)


def descend(ps, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(*ps).backward()
        optimizer.step()
    return [p.data for p in ps]


# -- what a step is ------------------------------------------------------------------------------------


@each_setting
def test_the_formulas(settings):
    """v <- momentum v + g and p <- p - lr v, or with Nesterov p - lr (g + momentum v), where g holds the decay."""
    momentum, nesterov, decay = settings.values()
    values, velocities = [array.copy() for array in START], [np.zeros_like(array) for array in START]
    for _ in range(20):
        ps = [tg.Tensor(value, requires_grad=True) for value in values]
        for i, g in enumerate(tg.gradients(loss_of(*ps), ps)):
            g = g.data + decay * values[i]
            velocities[i] = momentum * velocities[i] + g
            values[i] = values[i] - 0.3 * (g + momentum * velocities[i] if nesterov else velocities[i])
    ps = parameters()
    for got, want in zip(descend(ps, nn.SGD(ps, lr=0.3, **settings), 20), values, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


@each_setting
def test_torch_agrees(settings, torch):
    theirs = [torch.tensor(array.copy(), requires_grad=True) for array in START]
    optimizer = torch.optim.SGD(theirs, lr=0.3, **settings)
    for _ in range(20):
        optimizer.zero_grad()
        w, b, c = theirs
        torch.nn.BCEWithLogitsLoss()((torch.tensor(X) @ w.T + b) * c, torch.tensor(Y)).backward()
        optimizer.step()
    ps = parameters()
    for got, want in zip(descend(ps, nn.SGD(ps, lr=0.3, **settings), 20), theirs, strict=True):
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-12)


def test_by_hand():
    """p = 1, gradient 2 p = 2: v = 2, p = 0.8; then gradient 1.6, v = 0.5 * 2 + 1.6 = 2.6, p = 0.54."""
    p = nn.Parameter(1.0)
    optimizer = nn.SGD([p], lr=0.1, momentum=0.5)
    for want in (0.8, 0.54):
        optimizer.zero_grad()
        (p * p).backward()
        optimizer.step()
        assert p.item() == pytest.approx(want, rel=1e-15)


def test_the_learning_rate_may_change_between_steps():
    p = nn.Parameter(1.0)
    optimizer = nn.SGD([p], lr=0.1)
    p.grad = np.array(1.0)
    optimizer.step()
    optimizer.lr = 0.5
    optimizer.step()
    assert p.item() == pytest.approx(0.4, rel=1e-15)
    optimizer.lr = 0
    optimizer.step()
    assert p.item() == pytest.approx(0.4, rel=1e-15)


# -- what it leaves alone ------------------------------------------------------------------------------


@each_setting
def test_arrays_taken_earlier_never_change(settings):
    ps = parameters()
    optimizer = nn.SGD(ps, lr=0.3, **settings)
    held = []
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(*ps).backward()
        for p in ps:
            held += [(p.data, p.data.copy()), (p.grad, p.grad.copy())]
        optimizer.step()
    for array, copy in held:
        np.testing.assert_array_equal(array, copy)


def test_zero_grad_clears_gradients_and_step_does_not():
    ps = parameters()
    optimizer = nn.SGD(ps, lr=0.1)
    loss_of(*ps).backward()
    optimizer.step()
    assert all(p.grad is not None for p in ps)
    optimizer.zero_grad()
    assert all(p.grad is None for p in ps)


def test_parameters_without_a_gradient_stay():
    used, unused = nn.Parameter(1.0), nn.Parameter(2.0)
    optimizer = nn.SGD([used, unused], lr=0.1, momentum=0.9, weight_decay=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (used * used).backward()
        optimizer.step()
    assert used.item() < 1
    assert unused.item() == 2


@each_setting
@pytest.mark.parametrize("number", [float, np.float64, np.float32], ids=lambda number: number.__name__)
def test_float32_stays_float32(settings, number):
    ps = [nn.Parameter(array, dtype=np.float32) for array in START]
    optimizer = nn.SGD(ps, lr=number(0.3), **{key: value if key == "nesterov" else number(value) for key, value in settings.items()})
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(*ps).backward()
        optimizer.step()
    assert [p.dtype for p in ps] == [np.float32] * 3


def test_any_iterable_of_tensors_will_do():
    p = tg.Tensor([1.0], requires_grad=True)
    optimizer = nn.SGD((q for q in [p]), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        np.sum(p * 1).backward()
        optimizer.step()
    np.testing.assert_allclose(p.data, [0.8], rtol=1e-15)


# -- refusals ------------------------------------------------------------------------------------------


def refusals():
    model = nn.Sequential(nn.Dense(1, 1, rng=0), nn.Sigmoid())
    p = nn.Parameter([1.0])
    computed = p * 2
    return {
        "a model": (lambda: nn.SGD(model, lr=0.1), TypeError, "SGD takes a list of parameters, got a Sequential: pass model.parameters()"),
        "one parameter": (lambda: nn.SGD(p, lr=0.1), TypeError, "SGD takes a list of parameters, got a Parameter: pass model.parameters()"),
        "no parameters": (lambda: nn.SGD([], lr=0.1), ValueError, "SGD got no parameters to learn"),
        "a model without parameters": (lambda: nn.SGD(nn.Tanh().parameters(), lr=0.1), ValueError, "SGD got no parameters to learn"),
        "a state": (lambda: nn.SGD(model.state_dict(), lr=0.1), TypeError, "SGD takes Tensors that are leaves; parameter 0 is '0.weight'"),
        "an array": (lambda: nn.SGD([p, np.ones(1)], lr=0.1), TypeError, "SGD takes Tensors that are leaves; parameter 1 is array([1.])"),
        "a computed Tensor": (
            lambda: nn.SGD([computed], lr=0.1),
            TypeError,
            "SGD takes Tensors that are leaves; parameter 0 is Tensor([2.], made by np.multiply)",
        ),
        "a negative rate": (lambda: nn.SGD([p], lr=-0.1), ValueError, "the learning rate must not be negative, got -0.1"),
        "a rate of nan": (lambda: nn.SGD([p], lr=float("nan")), ValueError, "the learning rate must not be negative, got nan"),
        "a negative momentum": (lambda: nn.SGD([p], lr=0.1, momentum=-0.5), ValueError, "momentum and weight_decay must not be negative, got -0.5 and 0.0"),
        "a negative decay": (lambda: nn.SGD([p], lr=0.1, weight_decay=-1), ValueError, "momentum and weight_decay must not be negative, got 0.0 and -1"),
        "nesterov alone": (lambda: nn.SGD([p], lr=0.1, nesterov=True), ValueError, "nesterov=True needs a momentum above 0"),
        "a step without gradients": (
            lambda: nn.SGD([p], lr=0.1).step(),
            RuntimeError,
            "SGD.step() found no gradient on any parameter: call loss.backward() first",
        ),
    }


@pytest.mark.parametrize("call, error, message", refusals().values(), ids=refusals().keys())
def test_refusals(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


def test_a_tensor_that_requires_no_gradients_is_refused():
    with pytest.raises(TypeError, match=r"parameter 0 .*requires? no gradients"):
        nn.SGD([tg.Tensor([1.0])], lr=0.1)


def test_a_refused_step_changes_nothing():
    p = nn.Parameter([1.0])
    with pytest.raises(RuntimeError):
        nn.SGD([p], lr=0.1, weight_decay=0.5).step()
    assert p.item() == 1


def test_a_users_own_optimiser():
    class SignDescent(nn.Optimizer):
        def step(self):
            for p in self.parameters:
                p.data = p.data - self.lr * np.sign(p.grad)

    w = nn.Parameter([3.0, -2.0])
    optimizer = SignDescent([w], lr=0.5)
    assert isinstance(nn.SGD([w], lr=0.1), nn.Optimizer)
    np.sum(w * w).backward()
    optimizer.step()
    optimizer.zero_grad()
    np.testing.assert_array_equal(w.data, [2.5, -1.5])
    assert w.grad is None


def test_an_optimiser_without_a_step_says_what_it_needs():
    class Adam(nn.Optimizer):
        pass

    with pytest.raises(NotImplementedError) as caught:
        Adam([nn.Parameter(1.0)], lr=0.1).step()
    assert str(caught.value) == "Adam needs a step method: def step(self), which sets the .data of self.parameters from their .grad"

"""One neuron learns which of six primes are large: the job where all the time is overhead."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import Contestant, Job, Target

X = np.array([[2.0], [3.0], [5.0], [7.0], [11.0], [13.0]])
Y = np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]])
W, B = np.array([[0.0]]), np.array([-1.0])
RATE = 0.1


def by_hand() -> Contestant:
    """The equations as a course writes them down."""
    w, b, m = W.copy(), B.copy(), len(X)

    def step() -> float:
        nonlocal w, b
        z = X @ w.T + b
        a = 1 / (1 + np.exp(-z))
        loss = -np.mean(Y * np.log(a) + (1 - Y) * np.log(1 - a))
        delta = (a - Y) / m
        dw = delta.T @ X
        db = delta.sum(axis=0)
        w -= RATE * dw
        b -= RATE * db
        return loss.item()

    return Contestant(step, lambda: [w, b])


def leanest_by_hand() -> Contestant:
    """The same with the fewest NumPy calls: the loss from logits, and no np.mean."""
    w, b, m = W.copy(), B.copy(), len(X)

    def step() -> float:
        nonlocal w, b
        z = X @ w.T + b
        loss = (np.logaddexp(0, z) - Y * z).sum() / m
        delta = (1 / (1 + np.exp(-z)) - Y) / m
        w -= RATE * (delta.T @ X)
        b -= RATE * delta.sum(axis=0)
        return loss.item()

    return Contestant(step, lambda: [w, b])


def ours() -> Contestant:
    from tinygrad_lr import nn

    model = nn.Sequential(nn.Dense(1, 1), nn.Sigmoid())
    weight, bias = model.parameters()
    weight.data, bias.data = W.copy(), B.copy()
    loss_fn = nn.BCELoss()
    opt = nn.SGD(model.parameters(), lr=RATE)

    def step() -> float:
        loss = loss_fn(model(X), Y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return Contestant(step, lambda: [weight.data, bias.data])


def pytorch() -> Contestant:
    import torch

    x, y = torch.tensor(X), torch.tensor(Y)
    model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Sigmoid()).double()
    weight, bias = model.parameters()
    weight.data, bias.data = torch.tensor(W), torch.tensor(B)
    loss_fn = torch.nn.BCELoss()
    opt = torch.optim.SGD(model.parameters(), lr=RATE)

    def step() -> float:
        loss = loss_fn(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return Contestant(step, lambda: [weight.detach().numpy(), bias.detach().numpy()])


def jax_jit() -> Contestant:
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(X), jnp.asarray(Y)
    parameters = [jnp.asarray(W), jnp.asarray(B)]

    def loss_of(parameters):
        w, b = parameters
        a = jax.nn.sigmoid(x @ w.T + b)
        return -jnp.mean(y * jnp.log(a) + (1 - y) * jnp.log(1 - a))

    @jax.jit
    def update(parameters):
        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        return loss, [p - RATE * g for p, g in zip(parameters, gradients)]

    def step() -> float:
        nonlocal parameters
        loss, parameters = update(parameters)
        return loss.item()

    return Contestant(step, lambda: [np.asarray(p) for p in parameters])


def autograd() -> Contestant:
    import autograd.numpy as anp
    from autograd import value_and_grad

    parameters = [W.copy(), B.copy()]

    def loss_of(parameters):
        w, b = parameters
        a = 1 / (1 + anp.exp(-(anp.dot(X, w.T) + b)))
        return -anp.mean(Y * anp.log(a) + (1 - Y) * anp.log(1 - a))

    gradient_of = value_and_grad(loss_of)

    def step() -> float:
        nonlocal parameters
        loss, gradients = gradient_of(parameters)
        parameters = [p - RATE * g for p, g in zip(parameters, gradients)]
        return loss.item()

    return Contestant(step, lambda: parameters)


def mygrad() -> Contestant:
    import mygrad as mg
    from mygrad.nnet.activations import sigmoid

    w, b = mg.tensor(W), mg.tensor(B)

    def step() -> float:
        a = sigmoid(mg.matmul(X, w.T) + b)
        loss = -mg.mean(Y * mg.log(a) + (1 - Y) * mg.log(1 - a))
        loss.backward()
        w.data -= RATE * w.grad
        b.data -= RATE * b.grad
        return loss.item()

    return Contestant(step, lambda: [w.data, b.data])


JOBS = [
    Job(
        "One neuron, 6 samples, float64, a full-batch step: forward, loss, backward, update",
        {
            "NumPy by hand": by_hand,
            "NumPy by hand, leanest": leanest_by_hand,
            "tinygrad_lr": ours,
            "PyTorch eager": pytorch,
            "JAX jit": jax_jit,
            "autograd": autograd,
            "MyGrad": mygrad,
        },
        reference=by_hand,
        rounds=500,
        targets=(
            Target("at most 1.5 times hand-derived NumPy", "tinygrad_lr", 1.5, "NumPy by hand"),
            Target("at least 5 times faster than PyTorch eager", "tinygrad_lr", 1 / 5, "PyTorch eager"),
        ),
    )
]

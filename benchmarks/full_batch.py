"""The gradient of logistic regression over 200,000 rows: all the time goes into two passes over X."""

from __future__ import annotations

import numpy as np

from benchmarks.timing import Contestant, Job, Target

SAMPLES, FEATURES = 200_000, 100

rng = np.random.default_rng(0)
X = rng.standard_normal((SAMPLES, FEATURES))
W = rng.standard_normal(FEATURES) / np.sqrt(FEATURES)
Y = (X @ W + rng.standard_normal(SAMPLES) > 0).astype(float)


def by_hand() -> Contestant:
    gradient = None

    def step() -> float:
        nonlocal gradient
        z = X @ W
        e = np.exp(-np.abs(z))
        loss = np.mean(np.maximum(z, 0) - Y * z + np.log1p(e))
        sigma = np.where(z >= 0, 1, e) / (1 + e)
        gradient = (sigma - Y) @ X / SAMPLES
        return loss.item()

    return Contestant(step, lambda: [gradient])


def ours() -> Contestant:
    from tinygrad_lr import nn

    model = nn.Dense(FEATURES, 1, bias=False)
    model.weight.data = W.reshape(1, -1)
    loss_fn = nn.BCEWithLogitsLoss()
    y = Y.reshape(-1, 1)

    def step() -> float:
        loss = loss_fn(model(X), y)
        model.weight.zero_grad()
        loss.backward()
        return loss.item()

    return Contestant(step, lambda: [model.weight.grad])


def pytorch() -> Contestant:
    import torch

    x, y = torch.tensor(X), torch.tensor(Y.reshape(-1, 1))
    model = torch.nn.Linear(FEATURES, 1, bias=False).double()
    model.weight.data = torch.tensor(W.reshape(1, -1))
    loss_fn = torch.nn.BCEWithLogitsLoss()

    def step() -> float:
        loss = loss_fn(model(x), y)
        model.weight.grad = None
        loss.backward()
        return loss.item()

    return Contestant(step, lambda: [model.weight.grad.numpy()])


def jax_jit() -> Contestant:
    import jax
    import jax.numpy as jnp

    x, y, w = jnp.asarray(X), jnp.asarray(Y), jnp.asarray(W)
    gradient = None

    def loss_of(w, x, y):
        z = x @ w
        return jnp.mean(jax.nn.softplus(z) - y * z)

    gradient_of = jax.jit(jax.value_and_grad(loss_of))

    def step() -> float:
        nonlocal gradient
        loss, gradient = gradient_of(w, x, y)
        return loss.item()

    return Contestant(step, lambda: [np.asarray(gradient)])


def autograd() -> Contestant:
    import autograd.numpy as anp
    from autograd import value_and_grad

    gradient = None

    def loss_of(w):
        z = anp.dot(X, w)
        return anp.mean(anp.logaddexp(0, z) - Y * z)

    gradient_of = value_and_grad(loss_of)

    def step() -> float:
        nonlocal gradient
        loss, gradient = gradient_of(W)
        return loss.item()

    return Contestant(step, lambda: [gradient])


def mygrad() -> Contestant:
    import mygrad as mg

    w = mg.tensor(W)

    def step() -> float:
        z = mg.matmul(X, w)
        loss = mg.mean(mg.logaddexp(0, z) - Y * z)
        loss.backward()
        return loss.item()

    return Contestant(step, lambda: [w.grad])


JOBS = [
    Job(
        f"Full-batch logistic gradient, {SAMPLES:,} x {FEATURES}, float64: loss and gradient",
        {
            "NumPy by hand": by_hand,
            "tinygrad_lr": ours,
            "PyTorch eager": pytorch,
            "JAX jit": jax_jit,
            "autograd": autograd,
            "MyGrad": mygrad,
        },
        reference=by_hand,
        rounds=40,
        targets=(Target("at most 1.1 times hand-derived NumPy", "tinygrad_lr", 1.1, "NumPy by hand"),),
    )
]

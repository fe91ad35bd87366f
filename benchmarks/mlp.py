"""A network of three layers on a batch of images' size: matrix products and overhead in equal measure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from benchmarks.timing import Contestant, Job, Target

SIZES = (784, 128, 64, 10)
BATCH = 128
RATE = 0.01

rng = np.random.default_rng(0)
X = rng.standard_normal((BATCH, SIZES[0]), dtype=np.float32)
Y = rng.integers(SIZES[-1], size=BATCH)
LAYERS = list(pairwise(SIZES))
WEIGHTS = [(rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)).astype(np.float32) for n_in, n_out in LAYERS]
BIASES = [np.zeros(n_out, np.float32) for _, n_out in LAYERS]


def parameters_in_order() -> list[np.ndarray]:
    """Fresh copies of weight and bias, layer by layer."""
    return [p.copy() for layer in zip(WEIGHTS, BIASES) for p in layer]


def by_hand() -> Contestant:
    w1, b1, w2, b2, w3, b3 = parameters = parameters_in_order()
    samples = np.arange(BATCH)

    def step() -> float:
        z1 = X @ w1.T + b1
        a1 = np.maximum(z1, 0)
        z2 = a1 @ w2.T + b2
        a2 = np.maximum(z2, 0)
        z3 = a2 @ w3.T + b3
        shifted = z3 - z3.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total = e.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - shifted[samples, Y])

        delta3 = e / total
        delta3[samples, Y] -= 1
        delta3 /= BATCH
        delta2 = delta3 @ w3 * (z2 > 0)
        delta1 = delta2 @ w2 * (z1 > 0)
        gradients = delta1.T @ X, delta1.sum(axis=0), delta2.T @ a1, delta2.sum(axis=0), delta3.T @ a2, delta3.sum(axis=0)
        for p, g in zip(parameters, gradients):
            p -= RATE * g
        return loss.item()

    return Contestant(step, lambda: parameters)


def ours() -> Contestant:
    from tinygrad_lr import nn

    dense = [nn.Dense(n_in, n_out, dtype=np.float32) for n_in, n_out in LAYERS]
    model = nn.Sequential(dense[0], nn.ReLU(), dense[1], nn.ReLU(), dense[2])
    parameters = list(model.parameters())
    for p, data in zip(parameters, parameters_in_order(), strict=True):
        p.data = data
    loss_fn = nn.CrossEntropyLoss()
    opt = nn.SGD(model.parameters(), lr=RATE)

    def step() -> float:
        loss = loss_fn(model(X), Y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return Contestant(step, lambda: [p.data for p in parameters])


def pytorch() -> Contestant:
    import torch

    x, y = torch.tensor(X), torch.tensor(Y)
    dense = [torch.nn.Linear(n_in, n_out) for n_in, n_out in LAYERS]
    model = torch.nn.Sequential(dense[0], torch.nn.ReLU(), dense[1], torch.nn.ReLU(), dense[2])
    parameters = list(model.parameters())
    for p, data in zip(parameters, parameters_in_order(), strict=True):
        p.data = torch.tensor(data)
    loss_fn = torch.nn.CrossEntropyLoss()
    opt = torch.optim.SGD(model.parameters(), lr=RATE)

    def step() -> float:
        loss = loss_fn(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss.item()

    return Contestant(step, lambda: [p.detach().numpy() for p in parameters])


def jax_jit() -> Contestant:
    import jax
    import jax.numpy as jnp

    x, y = jnp.asarray(X), jnp.asarray(Y)
    parameters = [jnp.asarray(p) for p in parameters_in_order()]

    def loss_of(parameters):
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = jax.nn.relu(x @ w1.T + b1)
        a2 = jax.nn.relu(a1 @ w2.T + b2)
        log_p = jax.nn.log_softmax(a2 @ w3.T + b3)
        return -jnp.mean(log_p[jnp.arange(BATCH), y])

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

    parameters = parameters_in_order()
    samples = np.arange(BATCH)

    def loss_of(parameters):
        w1, b1, w2, b2, w3, b3 = parameters
        a1 = anp.maximum(anp.dot(X, w1.T) + b1, 0)
        a2 = anp.maximum(anp.dot(a1, w2.T) + b2, 0)
        z = anp.dot(a2, w3.T) + b3
        shifted = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(shifted), axis=1)) - shifted[samples, Y])

    gradient_of = value_and_grad(loss_of)

    def step() -> float:
        nonlocal parameters
        loss, gradients = gradient_of(parameters)
        parameters = [p - RATE * g for p, g in zip(parameters, gradients)]
        return loss.item()

    return Contestant(step, lambda: parameters)


def mygrad() -> Contestant:
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    w1, b1, w2, b2, w3, b3 = parameters = [mg.tensor(p) for p in parameters_in_order()]

    def step() -> float:
        a1 = relu(mg.matmul(X, w1.T) + b1)
        a2 = relu(mg.matmul(a1, w2.T) + b2)
        loss = softmax_crossentropy(mg.matmul(a2, w3.T) + b3, Y)
        loss.backward()
        for p in parameters:
            p.data -= RATE * p.grad
        return loss.item()

    return Contestant(step, lambda: [p.data for p in parameters])


JOBS = [
    Job(
        f"MLP {'-'.join(map(str, SIZES))}, batch {BATCH}, float32, a step: forward, cross-entropy, backward, update",
        {
            "NumPy by hand": by_hand,
            "tinygrad_lr": ours,
            "PyTorch eager": pytorch,
            "JAX jit": jax_jit,
            "autograd": autograd,
            "MyGrad": mygrad,
        },
        reference=by_hand,
        rounds=300,
        rtol=1e-4,
        targets=(
            Target("at most 1.15 times hand-derived NumPy", "tinygrad_lr", 1.15, "NumPy by hand"),
            Target("ahead of PyTorch eager", "tinygrad_lr", 1, "PyTorch eager"),
        ),
    )
]

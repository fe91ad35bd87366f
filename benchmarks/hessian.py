"""The Hessian of logistic regression: X^T diag(a (1 - a)) X / m by hand, and by derivatives of derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.timing import Contestant, Job, Target

SAMPLES, FEATURES = 2_000, 50

rng = np.random.default_rng(0)
X = rng.standard_normal((SAMPLES, FEATURES))
W = rng.standard_normal(FEATURES) / np.sqrt(FEATURES)
Y = (X @ W + rng.standard_normal(SAMPLES) > 0).astype(float)


def curvature(hessian_of: Callable[[], np.ndarray]) -> Contestant:
    """A contestant whose step gives the trace of the Hessian, which is the curvature in all directions together."""
    hessian = np.empty(())

    def step() -> float:
        nonlocal hessian
        hessian = hessian_of()
        return float(hessian.trace())

    return Contestant(step, lambda: [hessian])


def closed_form() -> Contestant:
    def hessian() -> np.ndarray:
        a = 1 / (1 + np.exp(-(X @ W)))
        return X.T * (a * (1 - a)) @ X / SAMPLES

    return curvature(hessian)


def ours() -> Contestant:
    import tinygrad_lr as tg

    def loss(w):
        z = X @ w
        return np.mean(tg.softplus(z) - Y * z)

    hessian = tg.hessian(loss)
    return curvature(lambda: hessian(W))


def pytorch() -> Contestant:
    import torch

    x, y, w = torch.tensor(X), torch.tensor(Y), torch.tensor(W)

    def loss(w):
        z = x @ w
        return torch.mean(torch.nn.functional.softplus(z) - y * z)

    hessian = torch.func.hessian(loss)
    return curvature(lambda: hessian(w).numpy())


def jax_jit() -> Contestant:
    import jax
    import jax.numpy as jnp

    x, y, w = jnp.asarray(X), jnp.asarray(Y), jnp.asarray(W)

    def loss(w, x, y):
        z = x @ w
        return jnp.mean(jax.nn.softplus(z) - y * z)

    hessian = jax.jit(jax.hessian(loss))
    return curvature(lambda: np.asarray(hessian(w, x, y)))


def autograd() -> Contestant:
    import autograd.numpy as anp
    from autograd import hessian as hessian_of

    def loss(w):
        z = anp.dot(X, w)
        return anp.mean(anp.logaddexp(0, z) - Y * z)

    hessian = hessian_of(loss)
    return curvature(lambda: hessian(W))


JOBS = [
    Job(
        f"Hessian of the logistic loss, {FEATURES} weights, {SAMPLES:,} rows, float64",
        {
            "closed form": closed_form,
            "tinygrad_lr": ours,
            "PyTorch torch.func": pytorch,
            "JAX jit": jax_jit,
            "autograd": autograd,
        },
        reference=closed_form,
        rounds=60,
        targets=(
            Target("ahead of torch.func.hessian", "tinygrad_lr", 1, "PyTorch torch.func"),
            Target("ahead of autograd", "tinygrad_lr", 1, "autograd"),
            Target("within reach of jitted jax.hessian: at most 1.5 times its time", "tinygrad_lr", 1.5, "JAX jit"),
        ),
    )
]

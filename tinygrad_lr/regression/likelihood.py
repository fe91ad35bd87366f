"""The maximum of the logistic likelihood, by Newton's method: what R's glm computes as IRLS."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.rules.network import bce_with_logits

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Maximum(NamedTuple):
    """Weights (n,), bias, mean negative log-likelihood, and why the search stopped."""

    weight: Floats
    bias: float
    loss: float
    problem: str | None


def maximum_likelihood(X: Floats, y: Floats, steps: int = 100) -> Maximum:
    """Fit P(y = 1) = sigmoid(X w + b) by maximum likelihood.

    Newton's method on the mean cross-entropy, w <- w - H^-1 g with H = X^T diag(a (1 - a)) X / m, halving a
    step that does not lower the loss (McCullagh and Nelder, *Generalized Linear Models*, 1989, section 2.5).
    Where columns depend on each other the shortest step is taken.

    Parameters
    ----------
    X : ndarray of shape (m, n)
        Features.
    y : ndarray of shape (m, 1)
        Classes 0 and 1.
    steps : int
        How many steps to take at most.

    Returns
    -------
    Maximum
        ``problem`` is None, or says why there is no (unique) maximum.

    Examples
    --------
    >>> from tinygrad_lr.regression.data import PRIMES
    >>> found = maximum_likelihood(PRIMES.X, PRIMES.y)
    >>> print(f"{found.weight[0]:.12f} {found.bias:.12f}")
    0.551775920706 -3.549070672136
    """
    m = len(y)
    ones = np.ones((m, 1))
    mean, scale = X.mean(axis=0), X.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    design = np.hstack([(X - mean) / scale, ones])  # of one scale, so that the Hessian's rank can be told
    beta = np.zeros((design.shape[1], 1))
    loss, problem = float(bce_with_logits(design @ beta, y)), "no maximum found in the steps allowed"
    for _ in range(steps):
        a = sigmoid(design @ beta)
        gradient = design.T @ (a - y) / m
        hessian = (design * (a * (1 - a))).T @ design / m
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-10)[0]
        decrement = float((gradient * step).sum())  # twice what the step can gain, to second order
        if decrement <= 1e-18 + 1e-16 * loss:
            problem = None
            break
        size = 1.0
        while (lowered := float(bce_with_logits(design @ (beta - size * step), y))) > loss and size > 1e-4:
            size /= 2
        beta, loss = beta - size * step, min(lowered, loss)
    z = design @ beta
    if (z[y == 1].min() > z[y == 0].max()) and loss < 1e-3:
        problem = "the classes are separated, so the likelihood grows without end as the weights do"
    elif np.linalg.matrix_rank(design) < design.shape[1]:
        problem = "some columns depend on others, so the maximum is not unique; these are its smallest weights"
    weight = beta[:-1, 0] / scale
    return Maximum(weight, float(beta[-1, 0] - weight @ mean), loss, problem)

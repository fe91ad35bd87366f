"""The maximum of the logistic likelihood, by Newton's method: what R's glm computes as IRLS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.nn.losses import bce_with_logits
from tinygrad_lr.regression.data import Floats

RANK = 1e-10  # singular values below this fraction of the largest count as 0
UNFINISHED = "no maximum found in the steps allowed"
SEPARATED = "the classes are separated, so the likelihood grows without end as the weights do"
DEPENDENT = "some columns depend on others, so the maximum is not unique; these are its smallest weights"


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
        The most steps to take.

    Returns
    -------
    Maximum
        ``problem`` is None, or says why there is no (unique) maximum.

    Examples
    --------
    >>> from tinygrad_lr.regression.data import PRIMES
    >>> found = maximum_likelihood(PRIMES.X, PRIMES.y)
    >>> print(f"{found.weight[0]:.12f} {found.bias:.12f}")
    0.551775920839 -3.549070672801
    """
    m = len(y)
    spread = X.max(axis=0) > X.min(axis=0)  # the mean and deviation of a constant column are slightly off by rounding
    mean, scale = np.where(spread, X.mean(axis=0), X[0]), np.where(spread, X.std(axis=0), 1.0)
    design = np.hstack([(X - mean) / scale, np.ones((m, 1))])  # on one scale, so that the Hessian's rank can be determined
    rank = np.linalg.matrix_rank(design.T @ design, rtol=RANK)
    dependent = DEPENDENT if rank < design.shape[1] else None
    beta = np.zeros((design.shape[1], 1))
    loss = float(bce_with_logits(design @ beta, y))
    problem: str | None = UNFINISHED
    for _ in range(steps):
        a = sigmoid(design @ beta)
        gradient = design.T @ (a - y) / m
        hessian = (design * (a * (1 - a))).T @ design / m
        step, _, left, _ = np.linalg.lstsq(hessian, gradient, rcond=RANK)
        decrement = float((gradient * step).sum())  # twice the decrease of the loss to expect, to second order
        size = 1.0
        while (lowered := float(bce_with_logits(design @ (beta - size * step), y))) > loss * (1 + 1e-15) and size > 1e-4:
            size /= 2
        beta, loss = beta - size * step, min(lowered, loss)
        if left < rank or decrement <= 1e-18 + 1e-16 * loss:
            # at a maximum the steps vanish; towards infinity each still moves some z by about 1, or the Hessian loses rank
            problem = SEPARATED if left < rank or np.abs(design @ step).max() > 0.1 else dependent
            break
    weight = beta[:-1, 0] / scale
    return Maximum(weight, float(beta[-1, 0] - weight @ mean), loss, problem)

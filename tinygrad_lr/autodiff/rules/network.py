"""Rules of whole layers and losses: one node each, so a step of a network is a handful of calls.

The losses reduce their own answer ("mean", "sum" or "none"), because the gradient of the whole is then
one short formula: for the cross-entropies, prediction minus target.
"""

from __future__ import annotations

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import sigmoid
from tinygrad_lr.autodiff.rules.linalg.products import materialized
from tinygrad_lr.autodiff.rules.reductions import log_softmax, softmax
from tinygrad_lr.autodiff.rules.registry import HALF, RULES, Array, SideGradient, dispatching, wide


def product(a: Array, b: Array) -> Array:
    """a b, of small matrices by dot, which starts sooner than matmul; on stacks it would be slow."""
    return a.dot(b) if a.ndim == 2 and a.size < 1024 else materialized(a) @ b


@dispatching
def linear(x: Array, w: Array, b: Array | None = None) -> Array:
    """A layer's z = x w^T + b; rows of ``x`` are samples, rows of ``w`` are neurons."""
    z = product(x, w.T)
    return z if b is None else z + b


def rows(x: Array) -> Array:
    """``x`` as a matrix of samples, whatever axes they were laid out on."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def linear_bias(g: Array, z: Array, x: Array, w: Array, b: Array) -> Array:
    """Each neuron's bias counts once in every row."""
    if g.dtype is HALF:
        g = wide(g)
    return g.sum(axis=0) if x.ndim == 2 else rows(g).sum(axis=0)


def reduced(losses: Array, reduction: str) -> Array:
    """The elementwise losses as the user wants them."""
    if reduction == "mean":
        return losses.sum() / losses.size if losses.dtype is not HALF else losses.mean()
    return losses.sum() if reduction == "sum" else losses


def share(g: Array, n: int, reduction: str) -> Array:
    """The part of the incoming gradient that each of ``n`` elementwise losses gets."""
    if reduction == "mean":
        return g / n if g.dtype is not HALF else wide(g) / n
    return g


def bce_losses(z: Array, y: Array) -> Array:
    """log(1 + exp(z)) - y z, element by element: a few in two calls, many in those that NumPy vectorises."""
    if z.size < 64:
        return np.logaddexp(0.0, z) - y * z
    return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))


@dispatching
def bce_with_logits(z: Array, y: Array, reduction: str = "mean") -> Array:
    """Binary cross-entropy of targets y and probabilities sigmoid(z), as log(1 + exp(z)) - y z."""
    return reduced(bce_losses(z, y), reduction)


@dispatching
def bce_of_sigmoid(z: Array, a: Array, y: Array, reduction: str = "mean") -> Array:
    """`bce_with_logits` for a caller who has a = sigmoid(z) at hand: delta is then (a - y) / m at once."""
    return reduced(bce_losses(z, y), reduction)


LOG_FLOOR = -100.0  # where torch.nn.BCELoss stops its logarithms, so that a sure and wrong p costs 100 and not infinity


@dispatching
def bce(p: Array, y: Array, reduction: str = "mean") -> Array:
    """Binary cross-entropy of targets y and plain probabilities p, logarithms stopped at `LOG_FLOOR`."""
    with np.errstate(divide="ignore"):
        return reduced(-(y * np.maximum(np.log(p), LOG_FLOOR) + (1 - y) * np.maximum(np.log1p(-p), LOG_FLOOR)), reduction)


def bce_probability(g: Array, loss: Array, p: Array, y: Array, reduction: str = "mean") -> Array:
    """-y/p + (1-y)/(1-p), without the part whose logarithm was stopped."""
    low, high = p > max(np.exp(LOG_FLOOR), np.finfo(p.dtype).tiny), p < 1  # 1 / p must not overflow in float32
    return share(g, p.size, reduction) * (np.where(high, (1 - y) / np.where(high, 1 - p, 1), 0) - np.where(low, y / np.where(low, p, 1), 0))


def bce_target(g: Array, loss: Array, p: Array, y: Array, reduction: str = "mean") -> Array:
    """log(1-p) - log(p), with the same floor."""
    log_p = np.where(p > 0, np.log(np.where(p > 0, p, 1)), LOG_FLOOR)
    log_q = np.where(p < 1, np.log1p(-np.where(p < 1, p, 0)), LOG_FLOOR)
    return share(g, p.size, reduction) * (np.maximum(log_q, LOG_FLOOR) - np.maximum(log_p, LOG_FLOOR))


@dispatching
def cross_entropy(z: Array, y: Array, reduction: str = "mean") -> Array:
    """-log softmax(z)[y] for logits z (..., classes) and integer classes y (...)."""
    log_p = log_softmax(z)
    if isinstance(log_p, np.ndarray):
        return reduced(-np.take_along_axis(log_p, np.expand_dims(y, -1), -1)[..., 0], reduction)
    return reduced(-np.where(one_hot(y, z), log_p, 0).sum(axis=-1), reduction)  # Dask takes along no axis


def one_hot(y: Array, like: Array) -> Array:
    """Rows of zeros with a one in column y."""
    return (np.expand_dims(y, -1) == np.arange(like.shape[-1])).astype(like.dtype)


def cross_entropy_logits(g: Array, loss: Array, z: Array, y: Array, reduction: str = "mean") -> Array:
    """softmax(z), less 1 at the class y."""
    g = share(g, y.size, reduction)
    return (np.expand_dims(g, -1) if g.ndim else g) * (softmax(z) - one_hot(y, z))


@dispatching
def squared_error(p: Array, y: Array, reduction: str = "mean") -> Array:
    """(p - y)^2."""
    return reduced((p - y) ** 2, reduction)


def squared_error_input(g: Array, loss: Array, p: Array, y: Array, reduction: str = "mean") -> Array:
    return share(g, p.size, reduction) * (2 * (p - y))


def sigmoid_and_bce(g: Array, loss: Array, z: Array, a: Array, y: Array, reduction: str = "mean") -> Array:
    """BP1: delta = (a - y) / m. The usual `share` is written out, because every step of a neuron comes here."""
    g = g / z.size if reduction == "mean" and g.dtype is not HALF else share(g, z.size, reduction)
    return g * (a - y)


# fmt: off
RULES.update({
    linear:           (lambda g, z, x, w, b=None: product(g, w),
                       lambda g, z, x, w, b=None: product(g.T, x) if x.ndim == 2 else product(rows(g).T, rows(x)),  # BP4
                       linear_bias),  # BP3
    bce_with_logits:  (lambda g, loss, z, y, reduction="mean": share(g, z.size, reduction) * (sigmoid(z) - y),
                       lambda g, loss, z, y, reduction="mean": share(g, z.size, reduction) * -z),
    bce_of_sigmoid:   (sigmoid_and_bce,
                       SideGradient(lambda g, loss, z, a, y, reduction="mean": bce_probability(g, loss, a, y, reduction)),
                       lambda g, loss, z, a, y, reduction="mean": share(g, z.size, reduction) * -z),
    bce:              (bce_probability, bce_target),
    cross_entropy:    (cross_entropy_logits, None),
    squared_error:    (squared_error_input,
                       lambda g, loss, p, y, reduction="mean": -squared_error_input(g, loss, p, y, reduction)),
})
# fmt: on

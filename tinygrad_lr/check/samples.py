"""A call of every function that has a rule, to check it with.

Most functions take only arrays: for those a few sets of arguments are tried in turn, so that a new rule is checked
without a line here. Losses are called with what suits their predictions. Functions that need settings, or matrices of a
special kind, have a line.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.rules.decompositions import packed_eigh, singular_norm, with_eigenvalues, with_singular_values
from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.linalg import chain, p_norm
from tinygrad_lr.autodiff.rules.registry import Array, Function
from tinygrad_lr.autodiff.rules.shapes import getitem, scatter
from tinygrad_lr.autodiff.tensor import Tensor
from tinygrad_lr.autodiff.trees import leaves
from tinygrad_lr.nn.descriptions import LossInfo, loss_info
from tinygrad_lr.nn.layers import linear

linalg = np.linalg


class Sample(NamedTuple):
    """A function of arrays that calls the function in question, and the arrays."""

    call: Function
    arrays: tuple[Array, ...]


def spread(*shape: int, start: int = 0) -> Array:
    """Numbers in (0.1, 0.9), all different and in no order: the fractional parts of multiples of the golden ratio."""
    n = int(np.prod(shape))
    return 0.1 + 0.8 * ((np.arange(start + 1, start + n + 1) * 0.6180339887498949) % 1).reshape(shape)


def symmetric(a: Array) -> Array:
    """Symmetric and positive definite, with eigenvalues well apart."""
    n = a.shape[-1]
    return a + a.swapaxes(-1, -2) + np.diag(5.0 * np.arange(1, n + 1)).astype(a.dtype)


ARGUMENTS: tuple[tuple[Array, ...], ...] = (
    (spread(2, 3),),
    (spread(2, 3), spread(3, start=6)),
    (spread(2, 3), spread(3, 4, start=6)),
    (spread(3, 3) + 3 * np.eye(3),),
    (spread(3), spread(3, start=3)),
    (spread(3, 3) + 3 * np.eye(3), spread(3, start=9)),
    (spread(2, 3) + 1.2,),
)
"""Arguments that are tried in turn."""

MASK = np.array([[True, False, True], [False, False, True]])
A, B = spread(2, 3), spread(2, 3, start=6)

# fmt: off
SAMPLES: dict[Function, Sample] = {
    np.where:           Sample(lambda a, b: np.where(MASK, a, b), (A, spread(3))),
    np.clip:            Sample(lambda x, low, high: np.clip(x, low, high), (A, 0.4 * B[0], 0.5 + 0.4 * B[0])),
    **({np.fix:         Sample(np.trunc, (A,))} if hasattr(np, "fix") else {}),  # newer NumPy deprecates the name
    np.ldexp:           Sample(lambda x: np.ldexp(x, 3), (A,)),
    astype:             Sample(lambda x: astype(x, np.float64), (A,)),
    np.astype:          Sample(lambda x: np.astype(x, np.float64), (A,)),
    np.select:          Sample(lambda a, b: np.select([MASK], [a], b), (A, B)),
    np.choose:          Sample(lambda a, b: np.choose(MASK.astype(int), [a, b]), (A, B)),

    getitem:            Sample(lambda x: getitem(x, (slice(None), [0, 2, 0])), (A,)),
    scatter:            Sample(lambda g: scatter(g, [0, 2], (4,)), (spread(2),)),
    np.vander:          Sample(np.vander, (spread(3),)),
    np.cov:             Sample(np.cov, (spread(2, 4), spread(1, 4, start=8))),
    np.corrcoef:        Sample(np.corrcoef, (spread(2, 4), spread(1, 4, start=8))),
    np.polyval:         Sample(np.polyval, (spread(3), A)),
    np.polyder:         Sample(np.polyder, (spread(3),)),
    np.polyint:         Sample(np.polyint, (spread(3),)),
    np.interp:          Sample(np.interp, (A, np.array([0.0, 0.32, 0.57, 1.0]), spread(4))),
    np.linspace:        Sample(lambda a, b: np.linspace(a, b, 4), (spread(3), spread(1, start=3))),
    np.geomspace:       Sample(lambda a, b: np.geomspace(a, b, 4), (spread(3), spread(1, start=3))),
    np.logspace:        Sample(lambda a, b: np.logspace(a, b, 4), (spread(3), spread(1, start=3))),
    np.meshgrid:        Sample(np.meshgrid, (spread(3), spread(2, start=3))),

    np.reshape:         Sample(lambda x: np.reshape(x, (3, 2)), (A,)),
    np.resize:          Sample(lambda x: np.resize(x, (3, 3)), (A,)),
    np.expand_dims:     Sample(lambda x: np.expand_dims(x, 1), (A,)),
    np.broadcast_to:    Sample(lambda x: np.broadcast_to(x, (4, 2, 3)), (A,)),
    np.swapaxes:        Sample(lambda x: np.swapaxes(x, 0, 1), (A,)),
    np.moveaxis:        Sample(lambda x: np.moveaxis(x, 0, 1), (A,)),
    np.rollaxis:        Sample(lambda x: np.rollaxis(x, 1), (A,)),
    np.roll:            Sample(lambda x: np.roll(x, 1, axis=1), (A,)),
    np.concatenate:     Sample(lambda a, b: np.concatenate([a, b]), (A, spread(1, 3))),
    np.stack:           Sample(lambda a, b: np.stack([a, b]), (A, B)),
    np.split:           Sample(lambda x: np.split(x, 3, axis=1), (A,)),
    np.array_split:     Sample(lambda x: np.array_split(x, 2, axis=1), (A,)),
    np.hsplit:          Sample(lambda x: np.hsplit(x, 3), (A,)),
    np.vsplit:          Sample(lambda x: np.vsplit(x, 2), (A,)),
    np.dsplit:          Sample(lambda x: np.dsplit(x, 2), (spread(2, 1, 4),)),
    np.take:            Sample(lambda x: np.take(x, [2, 0, 2], axis=1), (A,)),
    np.take_along_axis: Sample(lambda x: np.take_along_axis(x, np.array([[2], [0]]), 1), (A,)),
    np.compress:        Sample(lambda x: np.compress([True, False, True], x, axis=1), (A,)),
    np.extract:         Sample(lambda x: np.extract(MASK, x), (A,)),
    np.delete:          Sample(lambda x: np.delete(x, 1, axis=1), (A,)),
    np.insert:          Sample(lambda x, v: np.insert(x, 1, v, axis=1), (A, spread(2))),
    np.partition:       Sample(lambda x: np.partition(x, 1), (A,)),
    np.quantile:        Sample(lambda x: np.quantile(x, [0.3, 0.8], axis=1), (A,)),
    np.percentile:      Sample(lambda x: np.percentile(x, 30), (A,)),
    np.nanquantile:     Sample(lambda x: np.nanquantile(x, [0.3, 0.8], axis=1), (A,)),
    np.nanpercentile:   Sample(lambda x: np.nanpercentile(x, 30), (A,)),
    np.tile:            Sample(lambda x: np.tile(x, (2, 2)), (A,)),
    np.repeat:          Sample(lambda x: np.repeat(x, 2, axis=0), (A,)),
    np.pad:             Sample(lambda x: np.pad(x, 1), (A,)),
    np.lib.stride_tricks.sliding_window_view: Sample(lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), (spread(5),)),

    np.einsum:          Sample(lambda a, b: np.einsum("ij,kj->ik", a, b), (A, B)),
    np.vdot:            Sample(np.vdot, (A, B)),
    np.tensordot:       Sample(lambda a, b: np.tensordot(a, b, 2), (A, B)),
    linalg.tensordot:   Sample(lambda a, b: linalg.tensordot(a, b, axes=2), (A, B)),
    linalg.outer:       Sample(linalg.outer, (spread(2), spread(3))),
    linalg.matrix_power: Sample(lambda a: linalg.matrix_power(a, 3), (spread(3, 3),)),
    chain:              Sample(lambda a, b: chain(a, b), (A, spread(3, 2))),
    linalg.multi_dot:   Sample(lambda a, b: linalg.multi_dot([a, b]), (A, spread(3, 2))),
    linalg.tensorinv:   Sample(lambda a: linalg.tensorinv(a, 1), ((spread(4, 4) + 3 * np.eye(4)).reshape(4, 2, 2),)),
    linalg.tensorsolve: Sample(linalg.tensorsolve, ((spread(4, 4) + 3 * np.eye(4)).reshape(2, 2, 4), spread(2, 2))),
    linalg.svd:         Sample(lambda a: linalg.svd(symmetric(a), full_matrices=False), (spread(3, 3),)),
    linalg.eigh:        Sample(lambda a: linalg.eigh(symmetric(a)), (spread(3, 3),)),
    linalg.eigvalsh:    Sample(lambda a: linalg.eigvalsh(symmetric(a)), (spread(3, 3),)),
    linalg.cholesky:    Sample(lambda a: linalg.cholesky(symmetric(a)), (spread(3, 3),)),
    packed_eigh:        Sample(lambda a: packed_eigh(symmetric(a)), (spread(3, 3),)),
    with_eigenvalues:   Sample(lambda d, a: with_eigenvalues(d, symmetric(a)), (spread(3), spread(3, 3))),
    with_singular_values: Sample(with_singular_values, (spread(2), A)),
    singular_norm:      Sample(lambda x: singular_norm(x, "nuc"), (A,)),
    p_norm:             Sample(lambda x: p_norm(x, 3, (0, 1), True), (A,)),

    linear:             Sample(linear, (A, spread(4, 3), spread(4))),
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    SAMPLES |= {func: Sample(lambda x, func=func: func(x, axis=1), (A,)) for func in (np.cumulative_sum, np.cumulative_prod)}
# fmt: on


def sample(func: Function) -> Sample | None:
    """A call of ``func`` that returns floating numbers; None if no arguments suit it."""
    if func in SAMPLES:
        return SAMPLES[func]
    if info := loss_info(func):
        return sample_of_loss(info)
    for arrays in ARGUMENTS:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                results = leaves(func(*(Tensor(a, requires_grad=True) for a in arrays)))
        except Exception:  # these were the wrong arguments
            continue
        if any(isinstance(y, Tensor) and y.size and np.isfinite(y.data).all() for y in results):
            return Sample(func, arrays)
    return None


def sample_of_loss(info: LossInfo) -> Sample:
    """A call of a loss on predictions and targets that suit it."""
    call, through = info.function, info.through
    if info.prediction == "class":
        return Sample(lambda z: call(z, np.array([2, 0])), (A,))
    if through:
        return Sample(lambda z, y: call(z, through(z), y), (A, B))
    return Sample(call, (A, B) if info.prediction == "probability" else (4 * A, B))

"""One call of every function that has a rule: what `tinygrad_lr check` checks, and the first of the tests' rows.

Most functions take arrays and nothing else: for those a few sets of arguments are tried in turn, on plain arrays, so a
new rule needs no line here. Functions that need settings, or matrices of a kind, have one. A call takes the namespace
that it finds its function in, ``np``, so that it runs on other libraries with NumPy's names too.
"""

from __future__ import annotations

import operator
import warnings
from typing import NamedTuple

import numpy as np

from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.linalg.decompositions import packed_eigh, with_eigenvalues, with_singular_values
from tinygrad_lr.autodiff.rules.linalg.norms import p_norm, singular_norm
from tinygrad_lr.autodiff.rules.linalg.products import chain
from tinygrad_lr.autodiff.rules.registry import Array, Function, name_of
from tinygrad_lr.autodiff.rules.shapes import concatenate, getitem, scatter
from tinygrad_lr.autodiff.trees import leaves


class Sample(NamedTuple):
    """``call(np, *arrays)`` calls the function in question, and can be differentiated twice with respect to the arrays."""

    call: Function
    arrays: tuple[Array, ...]


def positive(*shape: int, start: int = 0) -> Array:
    """Distinct numbers in (0.2, 0.9), in no order: the fractional parts of multiples of the golden ratio."""
    n = int(np.prod(shape))
    return 0.2 + 0.7 * ((np.arange(start + 1, start + n + 1) * 0.6180339887498949) % 1).reshape(shape)


def both_signs(*shape: int, start: int = 0) -> Array:
    """`positive`, every other number negative."""
    numbers = positive(*shape, start=start)
    return numbers * (-1) ** np.arange(numbers.size).reshape(shape)


def regular(a: Array) -> Array:
    """``a`` plus a multiple of the identity: far from singular, its singular values distinct."""
    return a + 3 * np.eye(a.shape[-1], dtype=a.dtype)


def positive_definite(a: Array) -> Array:
    """A symmetric matrix with distinct, positive eigenvalues."""
    return a + a.swapaxes(-1, -2) + np.diag(5.0 * np.arange(1, a.shape[-1] + 1)).astype(a.dtype)


A, B, V, W = both_signs(2, 3), both_signs(2, 3, start=6), both_signs(3, start=6), both_signs(3)
P, Q, SQUARE = positive(2, 3), positive(2, 3, start=6), both_signs(3, 3)
MASK = np.array([[True, False, True], [False, False, True]])

ARGUMENTS: tuple[tuple[Array, ...], ...] = (
    (A,),
    (P,),
    (P + 1.2,),
    (regular(SQUARE),),
    (A, V),
    (P, Q[0]),
    (A, both_signs(3, 4, start=6)),
    (W, V),
    (regular(SQUARE), V),
)
"""Arguments that are tried in turn."""

# fmt: off
SAMPLES: dict[Function, Sample] = {
    np.where:              Sample(lambda np, a, b: np.where(MASK, a, b), (A, V)),
    np.clip:               Sample(lambda np, x, low, high: np.clip(x, low, high), (A, -0.5 * Q[0], 0.5 * P[:, :1])),
    **({np.fix:            Sample(lambda np, x: np.trunc(x), (A,))} if hasattr(np, "fix") else {}),  # deprecated since NumPy 2.5
    np.ldexp:              Sample(lambda np, x: np.ldexp(x, 3), (A,)),
    astype:                Sample(lambda np, x: astype(x, np.float64), (A,)),
    np.astype:             Sample(lambda np, x: np.astype(x, np.float64), (A,)),

    np.cov:                Sample(lambda np, x, y: np.cov(x, y), (both_signs(2, 4), both_signs(1, 4, start=8))),
    np.corrcoef:           Sample(lambda np, x, y: np.corrcoef(x, y), (both_signs(2, 4), both_signs(1, 4, start=8))),
    np.quantile:           Sample(lambda np, x: np.quantile(x, np.array([0.3, 0.8]), axis=1), (A,)),
    np.percentile:         Sample(lambda np, x: np.percentile(x, 30), (A,)),
    np.nanquantile:        Sample(lambda np, x: np.nanquantile(x, np.array([0.3, 0.8]), axis=1), (A,)),
    np.nanpercentile:      Sample(lambda np, x: np.nanpercentile(x, 30), (A,)),

    np.interp:             Sample(lambda np, x, xp, fp: np.interp(x, xp, fp), (A, np.array([-1.0, -0.3, 0.57, 1.0]), both_signs(4))),
    np.polyval:            Sample(lambda np, p, x: np.polyval(p, x), (W, A)),
    np.polyder:            Sample(lambda np, p: np.polyder(p), (W,)),
    np.polyint:            Sample(lambda np, p: np.polyint(p), (W,)),
    np.linspace:           Sample(lambda np, a, b: np.linspace(a, b, 4), (W, both_signs(1, start=3))),
    np.geomspace:          Sample(lambda np, a, b: np.geomspace(a, b, 4), (positive(3), positive(1, start=3))),
    np.logspace:           Sample(lambda np, a, b: np.logspace(a, b, 4), (W, both_signs(1, start=3))),
    np.meshgrid:           Sample(lambda np, x, y: np.meshgrid(x, y), (W, both_signs(2, start=3))),
    np.vander:             Sample(lambda np, x: np.vander(x), (W,)),

    getitem:               Sample(lambda np, x: getitem(x, (slice(None), [0, 2, 0])), (A,)),
    scatter:               Sample(lambda np, g: scatter(g, [0, 2], (4,)), (both_signs(2),)),
    concatenate:           Sample(lambda np, a, b: concatenate(a, b), (A, both_signs(1, 3))),
    np.reshape:            Sample(lambda np, x: np.reshape(x, (3, 2)), (A,)),
    np.resize:             Sample(lambda np, x: np.resize(x, (3, 3)), (A,)),
    np.expand_dims:        Sample(lambda np, x: np.expand_dims(x, 1), (A,)),
    np.broadcast_to:       Sample(lambda np, x: np.broadcast_to(x, (4, 2, 3)), (A,)),
    np.broadcast_arrays:   Sample(lambda np, a, b: np.broadcast_arrays(a, b), (A, V)),
    np.swapaxes:           Sample(lambda np, x: np.swapaxes(x, 0, 1), (A,)),
    np.moveaxis:           Sample(lambda np, x: np.moveaxis(x, 0, 1), (A,)),
    np.rollaxis:           Sample(lambda np, x: np.rollaxis(x, 1), (A,)),
    np.roll:               Sample(lambda np, x: np.roll(x, 1, axis=1), (A,)),
    np.concatenate:        Sample(lambda np, a, b: np.concatenate([a, b]), (A, both_signs(1, 3))),
    np.stack:              Sample(lambda np, a, b: np.stack([a, b]), (A, B)),
    np.vstack:             Sample(lambda np, a, b: np.vstack([a, b]), (A, V)),
    np.hstack:             Sample(lambda np, a, b: np.hstack([a, b]), (A, B)),
    np.dstack:             Sample(lambda np, a, b: np.dstack([a, b]), (A, B)),
    np.column_stack:       Sample(lambda np, a, b: np.column_stack([a, b]), (A, both_signs(2))),
    np.block:              Sample(lambda np, a, b: np.block([[a], [b]]), (A, B)),
    np.split:              Sample(lambda np, x: np.split(x, 3, axis=1), (A,)),
    np.array_split:        Sample(lambda np, x: np.array_split(x, 2, axis=1), (A,)),
    np.hsplit:             Sample(lambda np, x: np.hsplit(x, 3), (A,)),
    np.vsplit:             Sample(lambda np, x: np.vsplit(x, 2), (A,)),
    np.dsplit:             Sample(lambda np, x: np.dsplit(x, 2), (both_signs(2, 1, 4),)),
    np.take:               Sample(lambda np, x: np.take(x, np.array([2, 0, 2]), axis=1), (A,)),
    np.take_along_axis:    Sample(lambda np, x: np.take_along_axis(x, np.array([[2], [0]]), 1), (A,)),
    np.compress:           Sample(lambda np, x: np.compress(np.array([True, False, True]), x, axis=1), (A,)),
    np.extract:            Sample(lambda np, x: np.extract(MASK, x), (A,)),
    np.delete:             Sample(lambda np, x: np.delete(x, 1, axis=1), (A,)),
    np.insert:             Sample(lambda np, x, v: np.insert(x, 1, v, axis=1), (A, both_signs(2))),
    np.choose:             Sample(lambda np, a, b: np.choose(MASK.astype(int), [a, b]), (A, V)),
    np.select:             Sample(lambda np, a, b: np.select([MASK], [a], b), (A, B)),
    np.partition:          Sample(lambda np, x: np.partition(x, 1), (A,)),
    np.tile:               Sample(lambda np, x: np.tile(x, (2, 2)), (A,)),
    np.repeat:             Sample(lambda np, x: np.repeat(x, 2, axis=0), (A,)),
    np.pad:                Sample(lambda np, x: np.pad(x, 1), (A,)),
    np.lib.stride_tricks.sliding_window_view: Sample(lambda np, x: np.lib.stride_tricks.sliding_window_view(x, 2), (both_signs(5),)),

    np.einsum:             Sample(lambda np, a, b: np.einsum("ij,kj->ik", a, b), (A, B)),
    np.vdot:               Sample(lambda np, a, b: np.vdot(a, b), (A, B)),
    np.tensordot:          Sample(lambda np, a, b: np.tensordot(a, b, 2), (A, B)),
    np.linalg.tensordot:   Sample(lambda np, a, b: np.linalg.tensordot(a, b, axes=2), (A, B)),
    np.linalg.outer:       Sample(lambda np, a, b: np.linalg.outer(a, b), (both_signs(2), V)),
    np.linalg.matrix_power: Sample(lambda np, a: np.linalg.matrix_power(a, 3), (SQUARE,)),
    chain:                 Sample(lambda np, a, b: chain(a, b), (A, both_signs(3, 2))),
    np.linalg.multi_dot:   Sample(lambda np, a, b: np.linalg.multi_dot([a, b]), (A, both_signs(3, 2))),
    np.linalg.tensorinv:   Sample(lambda np, a: np.linalg.tensorinv(a, 1), (regular(both_signs(4, 4)).reshape(4, 2, 2),)),
    np.linalg.tensorsolve: Sample(lambda np, a, b: np.linalg.tensorsolve(a, b), (regular(both_signs(4, 4)).reshape(2, 2, 4), both_signs(2, 2))),
    np.linalg.cholesky:    Sample(lambda np, a: np.linalg.cholesky(positive_definite(a)), (SQUARE,)),
    np.linalg.eigh:        Sample(lambda np, a: np.linalg.eigh(positive_definite(a)), (SQUARE,)),
    np.linalg.eigvalsh:    Sample(lambda np, a: np.linalg.eigvalsh(positive_definite(a)), (SQUARE,)),
    np.linalg.svd:         Sample(lambda np, a: np.linalg.svd(a, full_matrices=False), (A,)),
    np.linalg.lstsq:       Sample(lambda np, a, b: np.linalg.lstsq(a, b)[0], (both_signs(4, 3), both_signs(4))),
    packed_eigh:           Sample(lambda np, a: packed_eigh(positive_definite(a)), (SQUARE,)),
    with_eigenvalues:      Sample(lambda np, d, a: with_eigenvalues(d, positive_definite(a)), (W, SQUARE)),
    with_singular_values:  Sample(lambda np, d, a: with_singular_values(d, a), (both_signs(2), A)),
    singular_norm:         Sample(lambda np, x: singular_norm(x, "nuc"), (A,)),
    p_norm:                Sample(lambda np, x: p_norm(x, 3, (0, 1), True), (A,)),
}
if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    SAMPLES |= {
        np.cumulative_sum:   Sample(lambda np, x: np.cumulative_sum(x, axis=1), (A,)),
        np.cumulative_prod:  Sample(lambda np, x: np.cumulative_prod(x, axis=1), (A,)),
    }
# fmt: on


def sample(func: Function) -> Sample | None:
    """A call of ``func`` that returns finite floating numbers; None if none of the arguments suits it."""
    if func in SAMPLES:
        return SAMPLES[func]
    for arrays in ARGUMENTS:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                results = [np.asarray(y) for y in leaves(func(*arrays))]
        except Exception:  # these were the wrong arguments
            continue
        if any(y.dtype.kind == "f" and y.size and np.isfinite(y).all() for y in results):
            return Sample(by_name(func), arrays)
    return None


def by_name(func: Function) -> Function:
    """A call of the function that has the name of ``func`` in a namespace; of ``func`` itself if it is none of NumPy's."""
    name = name_of(func)
    if not name.startswith("np."):
        return lambda np, *arrays: func(*arrays)
    namesake = operator.attrgetter(name.removeprefix("np."))
    return lambda np, *arrays: namesake(np)(*arrays)

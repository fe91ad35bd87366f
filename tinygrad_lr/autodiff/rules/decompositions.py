"""Rules of decompositions (cholesky, eigh, svd, qr), for single matrices and stacks.

A node of the graph holds one array; a function with several results is therefore recorded as one primitive whose
results lie packed in one array, and its composite cuts them apart.

Conventions, where mathematics leaves a choice:

- cholesky, eigh and eigvalsh take their matrix to be symmetric, and give a symmetric gradient, whichever triangle NumPy reads.
- The vectors of a decomposition are differentiable where its values are distinct. Where values are equal (up to rounding)
  the rules meet 0 / 0, and give nan rather than an incomplete gradient. So vectors of equal values have gradient nan. The gradient
  of a loss of the values alone (of eigvalsh or svdvals) is right there, and its second derivative has nan where that depends on how the
  values part; their sum and the nuclear norm of a matrix of full rank do not, and are right. Equal vectors that a loss does not use
  leave its gradient alone; no rule can tell them from vectors that it multiplies by exactly 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.matrices import (
    antisymmetric,
    column_times,
    diagonal,
    lower_triangle,
    scale,
    sides,
    symmetric,
    transposed,
)
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, PUBLIC, RULES, Array, Function, dispatching, like


def result_type(func: Function) -> Any:
    """The named tuple that a NumPy function answers with."""
    return type(func(np.eye(1)))


EighResult, QRResult, SVDResult = result_type(np.linalg.eigh), result_type(np.linalg.qr), result_type(np.linalg.svd)

# -- gaps between values, and what is divided by them ------------------------------------------------


@dispatching
def divided(x: Array, gap: Array) -> Array:
    """x / gap; over a gap of 0 it is nan, unless x is 0 as well, up to rounding in its column."""
    lost = gap == 0
    return np.where(lost & (np.abs(x) > rounding_noise(x)), np.nan, np.where(lost, 0, x / np.where(lost, 1, gap)))


def rounding_noise(x: Array) -> Array:
    """What rounding may leave of a 0 in each column of a product of matrices."""
    return 8 * x.shape[-1] * np.finfo(x.dtype).eps * np.max(np.abs(x), axis=-2, keepdims=True)


def nan_where_undetermined(x: Array, gap: Array) -> Array:
    """1 for every column of ``x`` that has nothing above a gap of 0, nan for others: as a factor it makes every derivative nan too."""
    return np.where(np.any((gap == 0) & (np.abs(x) > rounding_noise(x)), axis=-2), np.nan, 1)


def nan_unless_ties_agree(g: Array, w: Array) -> Array:
    """The gradient of values beside vectors: nan where it tells equals apart, since then it depends on which vectors stand for them."""
    unequal = np.abs(differences(g)) > 8 * w.shape[-1] * np.finfo(w.dtype).eps * np.expand_dims(np.max(np.abs(g), axis=-1), (-2, -1))
    return g * np.where(np.any(unequal & (differences(w) == 0), axis=-1), np.nan, 1)


def nonzero_columns(vectors: Array) -> Array:
    """Which columns hold anything: a vector that a loss does not use has gradient 0, exactly."""
    return np.any(vectors != 0, axis=-2)


def differences(w: Array) -> Array:
    """w_j - w_i."""
    return np.expand_dims(w, -2) - np.expand_dims(w, -1)


def sums(w: Array) -> Array:
    """w_j + w_i."""
    return np.expand_dims(w, -2) + np.expand_dims(w, -1)


def gaps(w: Array, active: Array = True) -> Array:
    """`differences` to divide by: 0 between equals, as far as a decomposition can tell them apart, and infinite if none of them is used."""
    return rounded(differences(w), w, active)


def totals(w: Array, active: Array = True) -> Array:
    """`sums`, in the same way."""
    return rounded(sums(w), w, active)


def rounded(d: Array, w: Array, active: Array) -> Array:
    """``d`` of pairs of values ``w``, ready to divide by; infinite on the diagonal."""
    lost = np.abs(d) <= scale(rounding(w))
    idle = np.eye(w.shape[-1], dtype=bool) | ~sums(np.broadcast_to(active, w.shape))
    return np.where(lost & idle, np.inf, np.where(lost, 0, d))


def lengths(w: Array, active: Array = True) -> Array:
    """The values themselves as a row, in the same way."""
    lost = np.abs(w) <= np.expand_dims(rounding(w), -1)
    return np.expand_dims(np.where(lost & ~np.broadcast_to(active, w.shape), np.inf, np.where(lost, 0, w)), -2)


def rounding(w: Array) -> Array:
    """How far apart equal values may come out of a decomposition: by LAPACK's bound, a modest multiple of n eps ||a||."""
    return 8 * w.shape[-1] * np.finfo(w.dtype).eps * np.max(np.abs(w), axis=-1)


# -- triangles -------------------------------------------------------------------------------------


def cholesky_input(g: Array, y: Array, a: Array, *, upper: bool = False) -> Array:
    """l^-T phi(l^T g) l^-1, phi taking the lower triangle and half the diagonal (Murray 2016)."""
    factor, g = (transposed(y), transposed(g)) if upper else (y, g)
    inverse = np.linalg.inv(factor)
    product = transposed(factor) @ g
    phi = (lower_triangle(product) + lower_triangle(product, -1)) / 2
    return symmetric(transposed(inverse) @ phi @ inverse)


@dispatching
def packed_qr(a: Array) -> Array:
    """q above r, for matrices with at least as many rows as columns."""
    return np.concatenate(np.linalg.qr(a), axis=-2)


def qr_parts(packed: Array, m: int) -> tuple[Array, Array]:
    """q of ``m`` rows, and r."""
    return packed[..., :m, :], packed[..., m:, :]


def packed_qr_input(g: Array, y: Array, a: Array) -> Array:
    """(gq + q copyltu(r gr^T - gq^T q)) r^-T, copyltu mirroring the lower triangle upwards (Walter and Lehmann 2018)."""
    m, _ = sides(a)
    (gq, gr), (q, r) = qr_parts(g, m), qr_parts(y, m)
    product = r @ transposed(gr) - transposed(gq) @ q
    mirrored = lower_triangle(product) + transposed(lower_triangle(product, -1))
    return transposed(np.linalg.solve(r, transposed(gq + q @ mirrored)))


def qr(a: Array, mode: str = "reduced") -> Any:
    """A wide matrix is the square one on its left, decomposed, and q^T times the rest."""
    m, n = sides(a)
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise ValueError(f"np.linalg.qr(mode={mode!r}) of a Tensor of shape {a.shape} has no derivative; the modes 'reduced' and 'r' have")
    q, r = qr_parts(packed_qr(a[..., :m] if n > m else a), m)
    if n > m:
        r = np.concatenate([r, np.matmul(transposed(q), a[..., m:])], axis=-1)
    return r if mode == "r" else QRResult(q, r)


# -- eigenvalues -----------------------------------------------------------------------------------


@dispatching
def packed_eigh(a: Array, UPLO: Any = "L") -> Array:
    """The eigenvalues as a row above the eigenvectors."""
    w, v = np.linalg.eigh(a, UPLO)
    return np.concatenate([np.expand_dims(w, -2), v], axis=-2)


def packed_eigh_input(g: Array, y: Array, a: Array, UPLO: Any = "L") -> Array:
    """v (diag(gw) + (v^T gv)_ij / (w_j - w_i)) v^T (Giles 2008, section 3.1)."""
    (gw, gv), (w, v) = eigh_parts(g), eigh_parts(y)
    turned, gw = divided(transposed(v) @ gv, gaps(w, nonzero_columns(gv))), nan_unless_ties_agree(gw, w)
    scaled = column_times(v, gw) @ transposed(v) if isinstance(y, np.ndarray) else with_eigenvalues(gw, a, UPLO)
    return symmetric(v @ turned @ transposed(v) + scaled)


def eigh_parts(packed: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors."""
    return packed[..., 0, :], packed[..., 1:, :]


def eigh(a: Array, UPLO: Any = "L") -> Any:
    return EighResult(*eigh_parts(packed_eigh(a, UPLO)))


@dispatching
def with_eigenvalues(d: Array, a: Array, UPLO: Any = "L") -> Array:
    """The symmetric matrix with the eigenvectors of ``a`` and eigenvalues ``d``; the gradient of a function of eigenvalues has this form."""
    _, v = np.linalg.eigh(a, UPLO)
    return column_times(v, d) @ transposed(v)


def with_eigenvalues_value(h: Array, y: Array, d: Array, a: Array, UPLO: Any = "L") -> Array:
    """The diagonal of v^T h v; nan if it depends on which vectors stand for equal eigenvalues."""
    w, v = np.linalg.eigh(a, UPLO)
    h = symmetric(transposed(v) @ h @ v)
    return diagonal(h) * nan_where_undetermined(h, gaps(w))


def with_eigenvalues_matrix(h: Array, y: Array, d: Array, a: Array, UPLO: Any = "L") -> Array:
    """v ((v^T h v)_ij (d_j - d_i) / (w_j - w_i)) v^T."""
    w, v = np.linalg.eigh(a, UPLO)
    h = symmetric(transposed(v) @ h @ v)
    return v @ divided(h * differences(d), gaps(w, d != 0)) @ transposed(v)


# -- singular values -------------------------------------------------------------------------------


@dispatching
def packed_svd(a: Array, hermitian: bool = False) -> Array:
    """The left singular vectors above the row of singular values above the right singular vectors, all as columns."""
    u, s, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    return np.concatenate([u, np.expand_dims(s, -2), transposed(vt)], axis=-2)


def svd_parts(packed: Array, m: int) -> tuple[Array, Array, Array]:
    """u of ``m`` rows, s, and v."""
    return packed[..., :m, :], packed[..., m, :], packed[..., m + 1 :, :]


def packed_svd_input(g: Array, y: Array, a: Array, hermitian: bool = False) -> Array:
    """The eigenvector rule for u and v at once, and what of their gradients lies outside the spaces they span (Townsend 2016)."""
    m, _ = sides(a)
    (gu, gs, gv), (u, s, v) = svd_parts(g, m), svd_parts(y, m)
    turned_u, turned_v, active = transposed(u) @ gu, transposed(v) @ gv, nonzero_columns(gu) | nonzero_columns(gv)
    inside = symmetric(divided(turned_u + turned_v, gaps(s, active))) + antisymmetric(divided(turned_u - turned_v, totals(s, active)))
    gs = nan_unless_ties_agree(gs, s)
    scaled = column_times(u, gs) @ transposed(v) if isinstance(y, np.ndarray) else with_singular_values(gs, a, hermitian)
    return u @ inside @ transposed(v) + scaled + outside(u, s, v, gu, gv, active)


def outside(u: Array, s: Array, v: Array, gu: Array, gv: Array, active: Array) -> Array:
    """What comes of the parts of gu and gv that no singular vector spans; none of a square matrix."""
    m, n = u.shape[-2], v.shape[-2]
    if m > n:
        return divided(beyond(gu, u), lengths(s, active)) @ transposed(v)
    return u @ transposed(divided(beyond(gv, v), lengths(s, active))) if n > m else 0


def beyond(x: Array, u: Array) -> Array:
    """The part of the columns of ``x`` that is orthogonal to those of ``u``."""
    return x - u @ (transposed(u) @ x)


def svd(a: Array, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """u, s and v^T, cut from one primitive."""
    m, n = sides(a)
    if compute_uv and full_matrices and m != n:
        raise ValueError(
            f"np.linalg.svd of a Tensor of shape {a.shape}: the vectors that full_matrices=True adds beyond the {min(m, n)} singular values "
            f"are arbitrary and have no derivative; pass full_matrices=False"
        )
    if not compute_uv:
        return singular_values(a, hermitian)
    u, s, v = svd_parts(packed_svd(a, hermitian), m)
    return SVDResult(u, s, transposed(v))


@dispatching
def singular_values(a: Array, hermitian: bool = False) -> Array:
    """`numpy.linalg.svd` without the vectors."""
    return np.linalg.svd(a, compute_uv=False, hermitian=hermitian)


@dispatching
def with_singular_values(d: Array, a: Array, hermitian: bool = False, smooth: Array = 1) -> Array:
    """The matrix with the singular vectors of ``a`` and singular values ``d``; the gradient of a function of singular values has this form.

    Where that has a kink, ``smooth`` is nan in place of 1: there is no second derivative.
    """
    u, _, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    return column_times(u, d) @ vt


def with_singular_values_value(h: Array, y: Array, d: Array, a: Array, hermitian: bool = False, smooth: Array = 1) -> Array:
    """The diagonal of u^T h v; nan if it depends on which vectors stand for equal singular values."""
    (m, n), (u, s, vt) = sides(a), np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    v = transposed(vt)
    inside = transposed(u) @ h @ v
    along = diagonal(inside) * nan_where_undetermined(symmetric(inside), gaps(s)) * nan_where_undetermined(antisymmetric(inside), totals(s))
    if m != n:
        along = along * nan_where_undetermined(beyond(h @ v, u) if m > n else beyond(transposed(h) @ u, v), lengths(s))
    return along


def with_singular_values_matrix(h: Array, y: Array, d: Array, a: Array, hermitian: bool = False, smooth: Array = 1) -> Array:
    """As `with_eigenvalues_matrix`, with a part that divides by sums and one that divides by the values themselves."""
    u, s, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    v, active = transposed(vt), d != 0
    inside = transposed(u) @ h @ v
    turned = divided(symmetric(inside) * differences(d), gaps(s, active)) + divided(antisymmetric(inside) * sums(d), totals(s, active))
    return (u @ turned @ vt + outside(u, s, v, column_times(h @ v, d), column_times(transposed(h) @ u, d), active)) * scale(smooth)


@dispatching
def singular_norm(x: Array, ord: Any) -> Array:
    """The sum, the largest or the smallest of the singular values, for the orders "nuc", 2 and -2."""
    s = np.linalg.svd(x, compute_uv=False)
    return s.sum(axis=-1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]


def singular_norm_input(g: Array, y: Array, x: Array, ord: Any) -> Array:
    """u d v^T, d saying how much each singular value counts; where ties share, or a 0 counts, the norm has a kink."""
    s = singular_values(x)
    d = counting(s, ord)
    kink = np.any((lengths(s)[..., 0, :] == 0) & (d > 0), axis=-1) | ((ord != "nuc") & (np.count_nonzero(d, axis=-1) > 1))
    return scale(g) * with_singular_values(d, x, False, np.where(kink, np.nan, 1))


def counting(s: Array, ord: Any) -> Array:
    """How much each singular value counts in a norm: ties share, as far as a decomposition can tell them apart."""
    if ord == "nuc":
        return np.ones(s.shape, s.dtype)
    chosen = np.abs(s - s[..., :1] if ord == 2 else s - s[..., -1:]) <= np.expand_dims(rounding(s), -1)
    return (chosen / chosen.sum(axis=-1, keepdims=True)).astype(s.dtype)


# fmt: off
RULES.update({
    np.linalg.cholesky:    (cholesky_input,),
    packed_qr:             (packed_qr_input,),
    packed_eigh:           (packed_eigh_input,),
    np.linalg.eigvalsh:    (lambda g, y, a, UPLO="L": with_eigenvalues(g, a, UPLO),),
    with_eigenvalues:      (with_eigenvalues_value, with_eigenvalues_matrix),
    packed_svd:            (packed_svd_input,),
    singular_values:       (lambda g, y, a, hermitian=False: with_singular_values(g, a, hermitian),),
    with_singular_values:  (with_singular_values_value, with_singular_values_matrix),
    singular_norm:         (singular_norm_input,),
    divided:               (lambda h, y, x, gap: divided(h, gap), lambda h, y, x, gap: like(-h * y / np.where(gap == 0, 1, gap), gap)),
})
COMPOSITES.update({
    np.linalg.eigh:        eigh,
    np.linalg.svd:         svd,
    np.linalg.svdvals:     singular_values,
    np.linalg.qr:          qr,
})
PUBLIC.update({
    packed_qr:             np.linalg.qr,
    packed_eigh:           np.linalg.eigh,
    with_eigenvalues:      np.linalg.eigvalsh,
    packed_svd:            np.linalg.svd,
    singular_values:       np.linalg.svd,
    with_singular_values:  np.linalg.svd,
    singular_norm:         np.linalg.norm,
    divided:               np.linalg.eigh,
})
# fmt: on

"""Rules of decompositions and eigenvalues (cholesky, qr, eigh, svd), for single matrices and stacks.

A node of the graph holds one array; a function with several results is therefore recorded as one primitive whose
results are packed in one array, and its composite takes them apart.

Conventions, where mathematics leaves a choice:

- cholesky, eigh and eigvalsh take their matrix to be symmetric, and return a symmetric gradient, whichever triangle NumPy reads.
- The vectors of a decomposition are differentiable where its values are distinct. Where values are equal (up to rounding),
  the rules meet 0 / 0, and return nan rather than an incomplete gradient: the gradient with respect to vectors of equal values is nan.
  For a loss of the values alone (of eigvalsh or svdvals), the first derivative is right there; the second is nan where it depends on
  how the values separate, and right where it does not (their sum, the nuclear norm of a matrix of full rank). Equal vectors that a
  loss does not use leave its gradient alone; no rule can tell them from vectors that it multiplies by exactly 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lr.autodiff.rules.linalg.matrices import (
    antisymmetric,
    lower_triangle,
    per_matrix,
    result_class,
    rows_and_columns,
    scaled_columns,
    symmetric,
    transposed,
)
from tinygrad_lr.autodiff.rules.registry import COMPOSITES, PUBLIC, RULES, Array, dispatching, like

EighResult, QRResult, SVDResult = result_class(np.linalg.eigh), result_class(np.linalg.qr), result_class(np.linalg.svd)

# -- gaps between values, and what is divided by them ------------------------------------------------


@dispatching
def divided(x: Array, gap: Array) -> Array:
    """x / gap; where the gap is 0, 0 if x is 0 up to rounding in its column, and nan otherwise."""
    closed = gap == 0
    return np.where(closed & (np.abs(x) > rounding_in_columns(x)), np.nan, np.where(closed, 0, x / np.where(closed, 1, gap)))


def rounding_in_columns(x: Array) -> Array:
    """What rounding may leave of a 0 in each column of a product of matrices."""
    return 8 * x.shape[-1] * np.finfo(x.dtype).eps * np.max(np.abs(x), axis=-2, keepdims=True)


def rounding_of(w: Array) -> Array:
    """How far apart a decomposition may return equal values: by LAPACK's bound, a modest multiple of n eps ||a||."""
    return 8 * w.shape[-1] * np.finfo(w.dtype).eps * np.max(np.abs(w), axis=-1)


def nan_where_undetermined(x: Array, gap: Array) -> Array:
    """1 for every column of ``x`` that is 0 wherever the gap is 0, nan for others: as a factor it makes every derivative nan too."""
    return np.where(np.any((gap == 0) & (np.abs(x) > rounding_in_columns(x)), axis=-2), np.nan, 1)


def nan_unless_ties_agree(g: Array, w: Array) -> Array:
    """The gradient with respect to values, nan where it differs between equal ones: it then depends on which vectors stand for them."""
    unequal = np.abs(pair_differences(g)) > per_matrix(rounding_of(g))
    return g * np.where(np.any(unequal & (pair_differences(w) == 0), axis=-1), np.nan, 1)


def nonzero_columns(g: Array) -> Array:
    """Which vectors a loss uses: the gradient with respect to any other is 0, exactly."""
    return np.any(g != 0, axis=-2)


def pair_differences(w: Array) -> Array:
    """w_j - w_i."""
    return np.expand_dims(w, -2) - np.expand_dims(w, -1)


def pair_sums(w: Array) -> Array:
    """w_j + w_i."""
    return np.expand_dims(w, -2) + np.expand_dims(w, -1)


def gaps(w: Array, active: Array = True) -> Array:
    """w_j - w_i to divide by: 0 between values that are equal up to rounding, and infinite on the diagonal and if neither is used."""
    return snapped(pair_differences(w), w, active)


def gaps_to_opposites(w: Array, active: Array = True) -> Array:
    """w_j + w_i, in the same way."""
    return snapped(pair_sums(w), w, active)


def snapped(gap: Array, w: Array, active: Array) -> Array:
    """The gaps of pairs of values ``w``, those within rounding of 0 replaced."""
    closed = np.abs(gap) <= per_matrix(rounding_of(w))
    unused = np.eye(w.shape[-1], dtype=bool) | ~pair_sums(np.broadcast_to(active, w.shape))
    return np.where(closed & unused, np.inf, np.where(closed, 0, gap))


def gaps_to_zero(w: Array, active: Array = True) -> Array:
    """The values themselves, as a row, in the same way."""
    closed = np.abs(w) <= np.expand_dims(rounding_of(w), -1)
    return np.expand_dims(np.where(closed & ~np.broadcast_to(active, w.shape), np.inf, np.where(closed, 0, w)), -2)


# -- cholesky and qr -------------------------------------------------------------------------------


def cholesky_input(g: Array, y: Array, a: Array, *, upper: bool = False) -> Array:
    """l^-T phi(l^T g) l^-1, where phi takes the lower triangle and half the diagonal (Murray 2016)."""
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
    """q, of ``m`` rows, and r."""
    return packed[..., :m, :], packed[..., m:, :]


def packed_qr_input(g: Array, y: Array, a: Array) -> Array:
    """(gq + q copyltu(r gr^T - gq^T q)) r^-T, where copyltu mirrors the lower triangle upwards (Walter and Lehmann 2018)."""
    m, _ = rows_and_columns(a)
    (gq, gr), (q, r) = qr_parts(g, m), qr_parts(y, m)
    product = r @ transposed(gr) - transposed(gq) @ q
    mirrored = lower_triangle(product) + transposed(lower_triangle(product, -1))
    return transposed(np.linalg.solve(r, transposed(gq + q @ mirrored)))


def qr(a: Array, mode: str = "reduced") -> Any:
    """Of a wide matrix, the square part on its left is decomposed, and the rest is multiplied by q^T."""
    m, n = rows_and_columns(a)
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
    scaled = scaled_columns(v, gw) @ transposed(v) if isinstance(y, np.ndarray) else with_eigenvalues(gw, a, UPLO)
    return symmetric(v @ turned @ transposed(v) + scaled)


def eigh_parts(packed: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors."""
    return packed[..., 0, :], packed[..., 1:, :]


def eigh(a: Array, UPLO: Any = "L") -> Any:
    return EighResult(*eigh_parts(packed_eigh(a, UPLO)))


@dispatching
def with_eigenvalues(d: Array, a: Array, UPLO: Any = "L") -> Array:
    """The symmetric matrix with the eigenvectors of ``a`` and the eigenvalues ``d``: the form of the gradient of any function of eigenvalues."""
    _, v = np.linalg.eigh(a, UPLO)
    return scaled_columns(v, d) @ transposed(v)


def with_eigenvalues_values(h: Array, y: Array, d: Array, a: Array, UPLO: Any = "L") -> Array:
    """The diagonal of v^T h v; nan if it depends on which vectors stand for equal eigenvalues."""
    w, v = np.linalg.eigh(a, UPLO)
    h = symmetric(transposed(v) @ h @ v)
    return np.linalg.diagonal(h) * nan_where_undetermined(h, gaps(w))


def with_eigenvalues_matrix(h: Array, y: Array, d: Array, a: Array, UPLO: Any = "L") -> Array:
    """v ((v^T h v)_ij (d_j - d_i) / (w_j - w_i)) v^T."""
    w, v = np.linalg.eigh(a, UPLO)
    h = symmetric(transposed(v) @ h @ v)
    return v @ divided(h * pair_differences(d), gaps(w, d != 0)) @ transposed(v)


# -- singular values -------------------------------------------------------------------------------


@dispatching
def packed_svd(a: Array, hermitian: bool = False) -> Array:
    """The left singular vectors above the row of singular values above the right singular vectors, all as columns."""
    u, s, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    return np.concatenate([u, np.expand_dims(s, -2), transposed(vt)], axis=-2)


def svd_parts(packed: Array, m: int) -> tuple[Array, Array, Array]:
    """u, of ``m`` rows, s and v."""
    return packed[..., :m, :], packed[..., m, :], packed[..., m + 1 :, :]


def packed_svd_input(g: Array, y: Array, a: Array, hermitian: bool = False) -> Array:
    """The rule of eigenvectors for u and v at once, and what their gradients contribute outside the spaces they span (Townsend 2016)."""
    m, _ = rows_and_columns(a)
    (gu, gs, gv), (u, s, v) = svd_parts(g, m), svd_parts(y, m)
    turned_u, turned_v, active = transposed(u) @ gu, transposed(v) @ gv, nonzero_columns(gu) | nonzero_columns(gv)
    inside = symmetric(divided(turned_u + turned_v, gaps(s, active))) + antisymmetric(divided(turned_u - turned_v, gaps_to_opposites(s, active)))
    gs = nan_unless_ties_agree(gs, s)
    scaled = scaled_columns(u, gs) @ transposed(v) if isinstance(y, np.ndarray) else with_singular_values(gs, a, hermitian)
    return u @ inside @ transposed(v) + scaled + outside_spans(u, s, v, gu, gv, active)


def outside_spans(u: Array, s: Array, v: Array, gu: Array, gv: Array, active: Array) -> Array:
    """What the parts of gu and gv contribute that no singular vector spans; 0 for a square matrix."""
    m, n = u.shape[-2], v.shape[-2]
    if m > n:
        return divided(orthogonal_part(gu, u), gaps_to_zero(s, active)) @ transposed(v)
    return u @ transposed(divided(orthogonal_part(gv, v), gaps_to_zero(s, active))) if n > m else 0


def orthogonal_part(x: Array, u: Array) -> Array:
    """The part of the columns of ``x`` that is orthogonal to those of ``u``."""
    return x - u @ (transposed(u) @ x)


def svd(a: Array, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """u, s and v^T, from one primitive."""
    m, n = rows_and_columns(a)
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
    """The matrix with the singular vectors of ``a`` and the singular values ``d``: the form of the gradient of any function of singular values.

    Where that function has a kink, and so no second derivative, ``smooth`` is nan in place of 1.
    """
    u, _, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    return scaled_columns(u, d) @ vt


def with_singular_values_values(h: Array, y: Array, d: Array, a: Array, hermitian: bool = False, smooth: Array = 1) -> Array:
    """The diagonal of u^T h v; nan if it depends on which vectors stand for equal singular values."""
    (m, n), (u, s, vt) = rows_and_columns(a), np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    v = transposed(vt)
    inside = transposed(u) @ h @ v
    along = np.linalg.diagonal(inside) * nan_where_undetermined(symmetric(inside), gaps(s))
    along = along * nan_where_undetermined(antisymmetric(inside), gaps_to_opposites(s))
    if m != n:
        along = along * nan_where_undetermined(orthogonal_part(h @ v, u) if m > n else orthogonal_part(transposed(h) @ u, v), gaps_to_zero(s))
    return along


def with_singular_values_matrix(h: Array, y: Array, d: Array, a: Array, hermitian: bool = False, smooth: Array = 1) -> Array:
    """As `with_eigenvalues_matrix`, with one term that divides by sums and one that divides by the values themselves."""
    u, s, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    v, active = transposed(vt), d != 0
    inside = transposed(u) @ h @ v
    turned = divided(symmetric(inside) * pair_differences(d), gaps(s, active)) + divided(antisymmetric(inside) * pair_sums(d), gaps_to_opposites(s, active))
    return (u @ turned @ vt + outside_spans(u, s, v, scaled_columns(h @ v, d), scaled_columns(transposed(h) @ u, d), active)) * per_matrix(smooth)


# fmt: off
RULES.update({
    np.linalg.cholesky:    (cholesky_input,),
    packed_qr:             (packed_qr_input,),
    packed_eigh:           (packed_eigh_input,),
    np.linalg.eigvalsh:    (lambda g, y, a, UPLO="L": with_eigenvalues(g, a, UPLO),),
    with_eigenvalues:      (with_eigenvalues_values, with_eigenvalues_matrix),
    packed_svd:            (packed_svd_input,),
    singular_values:       (lambda g, y, a, hermitian=False: with_singular_values(g, a, hermitian),),
    with_singular_values:  (with_singular_values_values, with_singular_values_matrix),
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
    divided:               np.linalg.eigh,
})
# fmt: on

"""Rows of linear algebra.

Matrices that are to be inverted or factored are moved away from singular ones in the call; where a function takes
its matrix to be symmetric, the call makes it so.
"""

import numpy

from tests.rules.rows import NUMPY, Row
from tinygrad_lr.autodiff.rules.linalg.decompositions import (
    packed_qr,
    packed_svd,
    singular_values,
    with_eigenvalues,
    with_singular_values,
)
from tinygrad_lr.autodiff.rules.linalg.norms import cofactors, singular_norm
from tinygrad_lr.autodiff.rules.linalg.products import chain

linalg = numpy.linalg
inf = numpy.inf


def sym(a):
    """Symmetric, with eigenvalues well apart."""
    n = a.shape[-1]
    return a + a.swapaxes(-1, -2) + numpy.diag(5.0 * numpy.arange(n)).astype(a.dtype)


def positive(a):
    """Symmetric and positive definite."""
    return a @ a.swapaxes(-1, -2) + numpy.eye(a.shape[-1], dtype=a.dtype)


def shifted(a):
    """Far from singular."""
    return a + 5 * numpy.eye(a.shape[-2], a.shape[-1], dtype=a.dtype)


def spaced(a):
    """Singular values well apart."""
    return a + numpy.eye(a.shape[-2], a.shape[-1], dtype=a.dtype) * (4.0 * numpy.arange(1, a.shape[-1] + 1)).astype(a.dtype)


A = numpy.random.default_rng(7).uniform(-2, 2, size=(4, 4))
RANK_3, RANK_2, RANK_1 = ((A[:, :r] @ A[:r]) for r in (3, 2, 1))
AWAY_FROM_0 = lambda u: numpy.where(u < 0.5, u - 2, u + 1)

# fmt: off
ROWS = [
    # products: every pair of ranks, and stacks on either side
    *[Row(numpy.matmul, lambda np, a, b: np.matmul(a, b), shapes) for shapes in (
        ((3,), (3,)), ((3,), (3, 2)), ((3,), (4, 3, 2)), ((3,), (5, 4, 3, 2)),
        ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((2, 1), (1, 4)),
        ((5, 2, 3), (3,)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((5, 2, 3), (1, 3, 4)),
        ((2, 1, 2, 3), (4, 3, 2)), ((4, 2, 3), (2, 1, 3, 2)), ((2, 4, 2, 3), (3,)), ((2, 4, 2, 3), (3, 2)),
    )],
    Row(numpy.matmul, lambda np, a: a @ a @ a.T, ((3, 3),), label="operator"),
    *[Row(numpy.vecdot, lambda np, a, b: np.vecdot(a, b), shapes) for shapes in (((3,), (3,)), ((2, 3), (3,)), ((2, 1, 3), (4, 3)))],
    *[Row(numpy.dot, lambda np, a, b: np.dot(a, b), shapes) for shapes in (
        ((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)),
        ((2, 2, 3), (3,)), ((3,), (2, 3, 4)), ((2, 2, 3), (2, 3, 4)),
    )],
    Row(numpy.dot, lambda np, a: a.dot(a), ((3, 3),), label="method"),
    *[Row(numpy.vdot, lambda np, a, b: np.vdot(a, b), shapes) for shapes in (((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3, 2)))],
    *[Row(numpy.inner, lambda np, a, b: np.inner(a, b), shapes) for shapes in (
        ((), (3,)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((2, 2, 3), (4, 3)),
    )],
    *[Row(numpy.outer, lambda np, a, b: np.outer(a, b), shapes) for shapes in (((3,), (2,)), ((), (2,)), ((2, 2), (3,)))],
    *[Row(numpy.tensordot, lambda np, a, b, axes=axes: np.tensordot(a, b, axes=axes), shapes, label=str(axes)) for axes, shapes in (
        (2, ((4, 2, 3), (2, 3, 5))), (1, ((2, 3), (3,))), (0, ((2, 3), (2,))), (3, ((2, 1, 3), (2, 1, 3))),
        ((0, 1), ((3, 2), (4, 3))), (([0, 2], [2, 0]), ((2, 3, 4), (4, 5, 2))), (((-1,), (0,)), ((2, 3), (3, 2))), (([], []), ((2,), (3,))),
    )],
    *[Row(numpy.kron, lambda np, a, b: np.kron(a, b), shapes) for shapes in (
        ((2,), (3,)), ((2, 3), (2, 2)), ((2,), (2, 3)), ((2, 1, 2), (2, 2)), ((), (2, 2)),
    )],
    *[Row(numpy.cross, lambda np, a, b, k=settings: np.cross(a, b, **k), shapes, label=str(settings)) for settings, shapes in (
        ({}, ((3,), (3,))), ({}, ((4, 3), (3,))), ({}, ((2, 1, 3), (4, 3))), ({"axis": 0}, ((3, 2), (3, 2))),
        ({"axisa": 0, "axisb": 1, "axisc": 0}, ((3, 2), (2, 3))), ({"axisc": 0}, ((2, 3), (2, 3))),
    )],
    Row(linalg.vecdot, lambda np, a, b: np.linalg.vecdot(a, b, axis=-2), ((3, 2), (3, 2))),
    Row(linalg.tensordot, lambda np, a, b: np.linalg.tensordot(a, b, axes=1), ((2, 3), (3, 4))),
    Row(linalg.cross, lambda np, a, b: np.linalg.cross(a, b, axis=0), ((3, 2), (3, 2))),
    Row(linalg.diagonal, lambda np, a: np.linalg.diagonal(a), ((2, 3, 3),)),
    Row(linalg.diagonal, lambda np, a: np.linalg.diagonal(a, offset=-1), ((3, 4),)),
    Row(linalg.trace, lambda np, a: np.linalg.trace(a), ((2, 3, 3),)),
    Row(linalg.trace, lambda np, a: np.linalg.trace(a, offset=1), ((3, 3),)),
    *[Row(linalg.multi_dot, lambda np, *m: np.linalg.multi_dot(m), shapes) for shapes in (
        ((2, 3), (3, 4)), ((2, 3), (3, 4), (4, 2)), ((3,), (3, 4), (4, 2)), ((2, 3), (3, 4), (4,)), ((3,), (3, 2), (2, 4), (4,)), ((3,), (3,)),
        ((5, 2), (2, 4), (4, 1), (1, 3)),
    )],
    Row(chain, lambda np, a, b, c: chain(a, b, c), ((2, 3), (3, 4), (4, 2)), jax=False),
    *[Row(linalg.matrix_power, lambda np, a, n=n: np.linalg.matrix_power(shifted(a) / 4, n), ((3, 3),), label=str(n)) for n in (0, 1, 2, 3, 5, 6, -1, -3)],
    Row(linalg.matrix_power, lambda np, a: np.linalg.matrix_power(a, 4), ((2, 3, 3),), label="stack"),

    *[Row(numpy.einsum, lambda np, *a, s=subscripts: np.einsum(s, *a), shapes, label=subscripts) for subscripts, shapes in (
        ("ij,jk->ik", ((2, 3), (3, 4))), ("ij,jk", ((2, 3), (3, 4))), ("ba", ((2, 3),)), ("i,i", ((3,), (3,))), ("i,j->ji", ((2,), (3,))),
        ("ii", ((3, 3),)), ("ii->i", ((3, 3),)), ("iij->j", ((3, 3, 2),)), ("iii->i", ((3, 3, 3),)), ("ijij->j", ((2, 3, 2, 3),)), ("ii,i->i", ((3, 3), (3,))),
        ("ij->", ((2, 3),)), ("ij->i", ((2, 3),)), ("ij,k->k", ((2, 3), (4,))), ("ij,j->i", ((2, 3), (3,))), ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 4))),
        ("i,i,i,ij->j", ((3,), (3,), (3,), (3, 2))), ("...ij,...jk->...ik", ((5, 2, 3), (3, 2))), ("...ij,jk", ((2, 5, 2, 3), (3, 2))),
        ("...i,...i->...", ((2, 1, 3), (4, 3))), ("i...,i...->...", ((3, 2), (3, 1))), ("...ii->...i", ((2, 3, 3),)),
        ("...->...", ((2, 3),)), ("i...->i...", ((2, 3),)),
        ("bij , bjk -> bik", ((2, 2, 3), (2, 3, 2))), (",ij->ij", ((), (2, 3))), (",", ((), ())),
    )],
    *[Row(numpy.einsum, lambda np, *a, s=subscripts: np.einsum(s, *a), shapes, label="stretched-" + subscripts) for subscripts, shapes in (
        ("ij,ij->i", ((2, 3), (2, 1))), ("ij,jk->ik", ((2, 1), (3, 4))), ("ij,ij->ij", ((1, 3), (2, 1))), ("ii,ij->j", ((1, 1), (3, 2))),
    )],
    *[Row(numpy.einsum, lambda np, *a, o=optimize: np.einsum("ij,jk,kl,lm->im", *a, optimize=o), ((2, 3), (3, 2), (2, 4), (4, 2)), label=f"optimize={optimize}")
      for optimize in (True, "greedy", "optimal")],
    Row(numpy.einsum, lambda np, a, b: np.einsum("ij,jk->ik", a, b, optimize=["einsum_path", (0, 1)]), ((2, 3), (3, 2)), label="path",
        jax=False),  # jax wants the path without its name
    Row(numpy.einsum, lambda np, a, b: np.einsum(a, [0, 1], b, [1, 2], [0, 2]), ((2, 3), (3, 4)), label="lists"),
    Row(numpy.einsum, lambda np, a, b: np.einsum(a, [0, 1], b, [1, 2]), ((2, 3), (3, 4)), label="lists-implicit"),
    Row(numpy.einsum, lambda np, a, b: np.einsum(a, [Ellipsis, 0], b, [0, 1], [Ellipsis, 1]), ((5, 2, 3), (3, 4)), label="lists-ellipsis"),
    Row(numpy.einsum, lambda np, a: np.einsum("ij,jk,ki->", a, a, a), ((3, 3),), label="thrice"),

    # inverses
    Row(linalg.inv, lambda np, a: np.linalg.inv(shifted(a)), ((2, 1, 3, 3),)),
    Row(linalg.pinv, lambda np, a: np.linalg.pinv(shifted(a)), ((4, 3),)),
    Row(linalg.pinv, lambda np, a: np.linalg.pinv(shifted(a)), ((2, 3, 4),)),
    Row(linalg.pinv, lambda np, a, b: np.linalg.pinv(shifted(a) @ shifted(b), 1e-5), ((4, 2), (2, 3)), label="rank 2 of 3"),
    *[Row(linalg.solve, lambda np, a, b: np.linalg.solve(shifted(a), b), shapes) for shapes in (
        ((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 4)), ((3, 3), (2, 3, 4)), ((2, 3, 3), (3, 4)), ((2, 3, 3), (3,)), ((2, 1, 3, 3), (1, 4, 3, 1)),
    )],
    Row(linalg.lstsq, lambda np, a, b: np.linalg.lstsq(shifted(a), b, rcond=None)[:2], ((5, 3), (5,))),
    Row(linalg.lstsq, lambda np, a, b: np.linalg.lstsq(shifted(a), b)[:2], ((5, 3), (5, 2))),
    Row(linalg.lstsq, lambda np, a, b: np.linalg.lstsq(spaced(a), b)[0::3], ((3, 3), (3, 2))),
    Row(linalg.lstsq, lambda np, a, b: np.linalg.lstsq(shifted(a), b)[0], ((2, 4), (2,))),
    Row(linalg.tensorinv, lambda np, a: np.linalg.tensorinv(a + 5 * numpy.eye(4, dtype=a.dtype).reshape(2, 2, 2, 2)), ((2, 2, 2, 2),)),
    Row(linalg.tensorsolve, lambda np, a, b: np.linalg.tensorsolve(a + 5 * numpy.eye(4, dtype=a.dtype).reshape(2, 4, 2), b, axes=(1,)), ((2, 4, 2), (2, 2))),

    # determinants: a polynomial, so singular matrices count as well
    Row(linalg.det, lambda np, a: np.linalg.det(a), ((1, 1),)),
    Row(linalg.det, lambda np, a: np.linalg.det(a), ((2, 2, 4, 4),), float32=1e-2),
    Row(linalg.det, lambda np, a: np.linalg.det(a), (RANK_3,), label="rank 3 of 4"),
    Row(linalg.det, lambda np, a: np.linalg.det(a), (RANK_2,), label="rank 2 of 4"),
    Row(linalg.det, lambda np, a: np.linalg.det(a), (RANK_1,), label="rank 1 of 4"),
    Row(linalg.det, lambda np, a: np.linalg.det(a), (numpy.zeros((3, 3)),), label="zero"),
    Row(linalg.det, lambda np, a: np.linalg.det(a), (numpy.eye(3),), label="identity"),
    Row(cofactors, lambda np, a: cofactors(a), ((2, 4, 4),), order=1, jax=False, label="stack"),
    Row(linalg.slogdet, lambda np, a: np.linalg.slogdet(-shifted(a)).logabsdet, ((2, 3, 3),)),

    # decompositions
    Row(linalg.cholesky, lambda np, a: np.linalg.cholesky(positive(a), upper=True), ((2, 3, 3),)),
    Row(linalg.eigh, lambda np, a: np.linalg.eigh(sym(a), UPLO="U"), ((2, 3, 3),)),
    Row(linalg.eigh, lambda np, a: np.linalg.eigh(sym(a)).eigenvectors, ((3, 3),)),
    Row(linalg.eigvalsh, lambda np, a: np.linalg.eigvalsh(sym(a)), ((2, 3, 3),)),
    Row(linalg.eigvalsh, lambda np, a: np.linalg.eigvalsh(sym(a), "U"), ((3, 3),)),
    *[Row(linalg.svd, lambda np, a: np.linalg.svd(spaced(a), full_matrices=False), (shape,)) for shape in ((3, 3), (4, 3), (3, 4), (2, 4, 2), (2, 1, 2, 4))],
    Row(linalg.svd, lambda np, a: np.linalg.svd(spaced(a)).Vh, ((3, 3),), label="square"),
    Row(linalg.svd, lambda np, a: np.linalg.svd(spaced(a), compute_uv=False), ((4, 3),), label="values"),
    Row(linalg.svd, lambda np, a: np.linalg.svd(sym(a), hermitian=True), ((3, 3),), label="hermitian"),
    Row(linalg.svdvals, lambda np, a: np.linalg.svdvals(spaced(a)), ((2, 4, 3),)),
    Row(packed_svd, lambda np, a: packed_svd(spaced(a)), ((4, 3),), jax=False),
    *[Row(linalg.qr, lambda np, a: np.linalg.qr(shifted(a)), (shape,)) for shape in ((3, 3), (5, 3), (2, 4, 2))],
    Row(linalg.qr, lambda np, a: np.linalg.qr(shifted(a)), ((3, 5),), label="wide"),
    Row(linalg.qr, lambda np, a: np.linalg.qr(shifted(a), mode="complete"), ((3, 3),), label="complete"),
    Row(linalg.qr, lambda np, a: np.linalg.qr(shifted(a), mode="r"), ((4, 3),), label="r"),
    Row(singular_values, lambda np, a: singular_values(spaced(a)), ((4, 3),), jax=False),
    *[Row(with_singular_values, lambda np, d, a: with_singular_values(d, spaced(a)) ** 2, ((3,), (*shape,)), jax=False) for shape in ((4, 3), (3, 3), (3, 4))],
    Row(with_singular_values, lambda np, d, a: with_singular_values(d, spaced(a)) ** 2, ((2, 3), (2, 4, 3)), jax=False, label="stack"),
    Row(with_eigenvalues, lambda np, d, a: with_eigenvalues(d, sym(a)) ** 2, ((3,), (3, 3)), jax=False),
    Row(with_eigenvalues, lambda np, d, a: with_eigenvalues(d, sym(a), "U") ** 2, ((2, 3), (2, 3, 3)), jax=False, label="stack"),
    *[Row(singular_norm, lambda np, a, o=ord: singular_norm(spaced(a), o) ** 2, ((2, 4, 3),), jax=False, label=str(ord)) for ord in ("nuc", 2, -2)],
    Row(packed_qr, lambda np, a: packed_qr(shifted(a)), ((4, 3),), jax=False),

    # norms, away from their kinks
    *[Row(linalg.norm, lambda np, x, o=ord: np.linalg.norm(x, o), ((5,),), domain=AWAY_FROM_0, label=f"vector-{ord}")
      for ord in (None, 2, 1, inf, -inf, 0, 3, 1.5, 4, 0.5, -1, -2.5)],
    *[Row(linalg.norm, lambda np, x, o=ord: np.linalg.norm(x, o, axis=1), ((2, 3, 2),), domain=AWAY_FROM_0, label=f"axis-{ord}")
      for ord in (None, 2, 1, inf, -inf, 3)],
    *[row for ord in (None, "fro", "nuc", 1, -1, 2, -2, inf, -inf) for row in (
        Row(linalg.norm, lambda np, x, o=ord: np.linalg.norm(spaced(x), o), ((4, 3),), label=f"matrix-{ord}"),
        Row(linalg.norm, lambda np, x, o=ord: np.linalg.norm(x, o, axis=(2, 0)), ((3, 2, 3),), domain=AWAY_FROM_0, label=f"axes-{ord}"),
    )],
    Row(linalg.norm, lambda np, x: np.linalg.norm(x), ((),), domain=(1, 2)),
    Row(linalg.norm, lambda np, x: np.linalg.norm(x), ((2, 3, 2),)),
    Row(linalg.norm, lambda np, x: np.linalg.norm(x, keepdims=True), ((2, 3),)),
    Row(linalg.norm, lambda np, x: np.linalg.norm(x, axis=-1, keepdims=True), ((2, 3),)),
    Row(linalg.norm, lambda np, x: np.linalg.norm(x, 1, axis=(0, -1), keepdims=True), ((2, 3, 2),), domain=AWAY_FROM_0),
    Row(linalg.norm, lambda np, x: np.linalg.norm(x, 3), (numpy.array([1.0, 0.0, -2.0]),), order=1, label="a zero among others"),  # its slope has a kink
    Row(linalg.norm, lambda np, x: np.linalg.norm(x, 4), (numpy.array([1.0, 0.0, -2.0]),), label="a zero among others"),
    Row(linalg.norm, lambda np, x: np.linalg.norm(x, 2), (numpy.array([1.0, 0.0, -2.0]),), label="a zero among others"),
    *[Row(linalg.vector_norm, lambda np, x, o=ord: np.linalg.vector_norm(x, ord=o), ((3, 2),), domain=AWAY_FROM_0, label=str(ord))
      for ord in (2, 1, inf, -inf, 0, 3)],
    Row(linalg.vector_norm, lambda np, x: np.linalg.vector_norm(x, axis=(0, 2), keepdims=True, ord=3), ((2, 3, 2),), domain=AWAY_FROM_0),
    *[Row(linalg.matrix_norm, lambda np, x, o=ord: np.linalg.matrix_norm(spaced(x), ord=o), ((2, 3, 3),), label=str(ord))
      for ord in ("fro", "nuc", 1, -1, 2, -2, inf, -inf)],
    Row(linalg.matrix_norm, lambda np, x: np.linalg.matrix_norm(x, keepdims=True), ((2, 3, 4),)),
    *[Row(linalg.cond, lambda np, a, p=p: np.linalg.cond(spaced(a), p), ((3, 3),), label=str(p)) for p in (None, 2, -2, "fro", 1, -1, inf, -inf, "nuc")],
    Row(linalg.cond, lambda np, a: np.linalg.cond(spaced(a)), ((2, 4, 3),), label="stack"),
]
if NUMPY >= (2, 2):
    ROWS += [
        *[Row(numpy.matvec, lambda np, a, b: np.matvec(a, b), shapes) for shapes in (
            ((2, 3), (3,)), ((4, 2, 3), (3,)), ((2, 3), (4, 3)), ((5, 1, 2, 3), (4, 3)),
        )],
        *[Row(numpy.vecmat, lambda np, a, b: np.vecmat(a, b), shapes) for shapes in (
            ((3,), (3, 2)), ((3,), (4, 3, 2)), ((4, 3), (3, 2)), ((4, 3), (5, 1, 3, 2)),
        )],
    ]
# fmt: on

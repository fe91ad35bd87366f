"""Linear algebra beyond single rows: decompositions, equations and norms by identities between functions, conventions, messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinygrad_lr as tg

drawn = settings(deadline=None, max_examples=150)
seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 3)
EYE = np.eye(3)


def tensors(*arrays):
    return [tg.Tensor(a, requires_grad=True) for a in arrays]


def gradient(fn, *arrays):
    """The gradient of fn's result (a single number) with respect to its arrays; an array if there is one."""
    xs = tensors(*arrays)
    found = [g.data for g in tg.gradients(fn(*xs), xs)]
    return found if len(found) > 1 else found[0]


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


# -- identities ----------------------------------------------------------------------------------------

shapes_of_matrices = st.tuples(st.sampled_from([(), (2,), (2, 1)]), st.integers(1, 4), st.integers(1, 4)).map(lambda s: (*s[0], *s[1:]))
square_shapes = st.tuples(st.sampled_from([(), (2,), (2, 1)]), st.integers(1, 4)).map(lambda s: (*s[0], s[1], s[1]))


@drawn
@given(shapes_of_matrices, seeds)
def test_factors_multiply_to_the_matrix(shape, seed):
    """A decomposition followed by the product of its factors is the identity, whose gradient is the incoming one."""
    rng = np.random.default_rng(seed)
    a, w = rng.normal(size=shape) + np.eye(*shape[-2:]) * 4 * np.arange(1, shape[-1] + 1), rng.normal(size=shape)

    def svd(x):
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        return np.sum((u * np.expand_dims(s, -2)) @ vt * w)

    def qr(x):
        q, r = np.linalg.qr(x)
        return np.sum(q @ r * w)

    assume(np.abs(np.diff(np.linalg.svdvals(a), axis=-1, append=0)).min() > 1e-2)
    assume(np.linalg.cond(a[..., : shape[-2]]).max() < 1e4)
    np.testing.assert_allclose(gradient(svd, a), w, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient(qr, a), w, rtol=1e-6, atol=1e-6)


@drawn
@given(square_shapes, seeds)
def test_factors_of_symmetric_matrices(shape, seed):
    rng = np.random.default_rng(seed)
    a, w = rng.normal(size=shape), rng.normal(size=shape)
    a = a @ a.swapaxes(-1, -2) + np.diag(3.0 * np.arange(1, shape[-1] + 1))
    symmetric = (w + w.swapaxes(-1, -2)) / 2

    def cholesky(x):
        factor = np.linalg.cholesky(x)
        return np.sum(factor @ np.matrix_transpose(factor) * w)

    def eigh(x):
        values, vectors = np.linalg.eigh(x)
        return np.sum((vectors * np.expand_dims(values, -2)) @ np.matrix_transpose(vectors) * w)

    assume(np.diff(np.linalg.eigvalsh(a), axis=-1).min(initial=1) > 1e-2)
    close(gradient(cholesky, a), symmetric)
    np.testing.assert_allclose(gradient(eigh, a), symmetric, rtol=1e-6, atol=1e-6)


@drawn
@given(square_shapes, seeds)
def test_inverse_and_determinant(shape, seed):
    rng = np.random.default_rng(seed)
    a, w = rng.normal(size=shape) + 6 * np.eye(shape[-1]), rng.normal(size=shape)
    by_inv = gradient(lambda x: np.sum(np.linalg.inv(x) * w), a)
    close(gradient(lambda x: np.sum(np.linalg.solve(x, np.broadcast_to(np.eye(shape[-1]), shape)) * w), a), by_inv)
    close(gradient(lambda x: np.sum(np.linalg.pinv(x) * w), a), by_inv)
    close(gradient(lambda x: np.sum(np.linalg.matrix_power(x, -1) * w), a), by_inv)

    def by_logarithm(x):
        sign, logdet = np.linalg.slogdet(x)
        return np.sum(sign * np.exp(logdet))

    np.testing.assert_allclose(gradient(lambda x: np.sum(np.linalg.det(x)), a), gradient(by_logarithm, a), rtol=1e-9)


@drawn
@given(st.integers(-4, 7), seeds)
def test_matrix_power(n, seed):
    rng = np.random.default_rng(seed)
    a, w = rng.normal(size=(3, 3)) / 3 + 2 * EYE, rng.normal(size=(3, 3))

    def one_by_one(x):
        factor, product = (np.linalg.inv(x) if n < 0 else x), x * 0 + EYE
        for _ in range(abs(n)):
            product = product @ factor
        return np.sum(product * w)

    np.testing.assert_allclose(gradient(lambda x: np.sum(np.linalg.matrix_power(x, n) * w), a), gradient(one_by_one, a), rtol=1e-9, atol=1e-9)


ORDERS = (None, 2, 1, np.inf, -np.inf, 3, 1.5, 0.5, -1, -2.5)
MATRIX_ORDERS = (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)


@drawn
@given(st.lists(lengths, min_size=1, max_size=3), st.data(), st.booleans(), seeds)
def test_norms_are_homogeneous(shape, data, keepdims, seed):
    """A norm grows with its argument in proportion, so its slope along the argument is the norm itself (Euler)."""
    x = np.random.default_rng(seed).normal(size=shape)
    axis = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim), *([(0, 1), (-1, 0)] if x.ndim > 1 else [])]))
    along = x.ndim if axis is None else np.size(axis)
    order = data.draw(st.sampled_from(ORDERS if along == 1 else MATRIX_ORDERS if along == 2 else (None,)))
    fn = lambda x: np.sum(np.linalg.norm(x, order, axis=axis, keepdims=keepdims))
    answer = np.linalg.norm(tg.Tensor(x), order, axis=axis, keepdims=keepdims)
    expected = np.linalg.norm(x, order, axis=axis, keepdims=keepdims)
    assert answer.shape == np.shape(expected)
    close(answer.data, expected)
    close(np.sum(gradient(fn, x) * x), fn(x))


# -- conventions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, 2, 1, np.inf, 0, 3, 1.5])
def test_norm_of_a_zero_vector_has_gradient_0(order):
    np.testing.assert_array_equal(gradient(lambda x: np.linalg.norm(x, order), np.zeros(3)), np.zeros(3))
    rows = gradient(lambda x: np.sum(np.linalg.norm(x, order, axis=1)), np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(rows[0], 0)
    np.testing.assert_array_equal(gradient(lambda x: np.linalg.norm(x, "fro"), np.zeros((2, 2))), 0)


def test_norm_of_a_zero_vector_has_second_derivative_0():
    np.testing.assert_array_equal(tg.hessian(np.linalg.norm)(np.zeros(2)), np.zeros((2, 2)))


@pytest.mark.parametrize("order", [2.5, 3, 3.5])
def test_a_zero_element_has_second_derivative_0_in_norms_above_2(order):
    for x in ([0.0, 1.0], [0.0, 1.0, 2.0]):
        h = tg.hessian(lambda x: np.linalg.norm(x, order))(np.array(x))
        np.testing.assert_array_equal(h[0], 0)
        np.testing.assert_array_equal(h[:, 0], 0)
        close(h[1:, 1:], tg.hessian(lambda x: np.linalg.norm(x, order))(np.array(x[1:])))
    np.testing.assert_array_equal(tg.hessian(lambda x: np.linalg.norm(x, order))(np.zeros(2)), 0)


@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_zero_element_has_no_second_derivative_in_norms_between_1_and_2():
    """The slope |x|^(p-1) is vertical at 0; the other elements have their second derivatives all the same."""
    f = tg.hessian(lambda x: np.linalg.norm(x, 1.5))
    h = f(np.array([0.0, 1.0, 2.0]))
    assert np.isnan(h[0, 0])
    close(h[1:, 1:], f(np.array([1.0, 2.0])))
    np.testing.assert_array_equal(f(np.zeros(2)), 0)


def test_ties_share_the_gradient_of_a_maximum_norm():
    close(gradient(lambda x: np.linalg.norm(x, np.inf), np.array([2.0, -2.0, 1.0])), [0.5, -0.5, 0])
    close(gradient(lambda x: np.linalg.norm(x, 2), 3 * EYE), EYE / 3)


def test_cholesky_and_eigh_give_symmetric_gradients():
    a = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    for fn in (
        lambda x: np.linalg.cholesky(x)[2, 0],
        lambda x: np.linalg.cholesky(x, upper=True)[0, 2],
        lambda x: np.linalg.eigh(x, "U")[1][0, 1],
        lambda x: np.linalg.eigvalsh(x)[0],
    ):
        g = gradient(fn, a)
        assert np.abs(g).max() > 0
        close(g, g.T)


def test_eigenvalues_that_are_equal_have_a_finite_gradient():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    for a in (np.diag([1.0, 1.0, 2.0]), 2 * EYE, np.zeros((3, 3)), turn @ np.diag([1.0, 1.0, 2.0]) @ turn.T):
        a = (a + a.T) / 2
        close(gradient(lambda x: np.sum(np.linalg.eigvalsh(x) ** 3), a), 3 * a @ a)
        close(gradient(lambda x: np.sum(np.linalg.eigh(x).eigenvalues ** 3), a), 3 * a @ a)
        np.testing.assert_allclose(tg.hessian(lambda x: np.sum(np.linalg.eigvalsh(x)))(a), np.zeros((3, 3, 3, 3)), atol=1e-12)


def test_singular_values_that_are_equal_have_a_finite_gradient():
    for a in (EYE, np.eye(4, 2), np.eye(2, 4), np.diag([2.0, 2.0, 1.0])):
        close(gradient(lambda x: np.sum(np.linalg.svdvals(x) ** 2), a), 2 * a)
        close(gradient(lambda x: np.sum(np.linalg.svd(x, compute_uv=False) ** 2), a), 2 * a)
        close(gradient(lambda x: np.linalg.norm(x, "nuc"), a), a / np.abs(a).max(axis=0, initial=1))  # u v^T
    assert np.isfinite(gradient(lambda x: np.linalg.norm(x, "nuc"), np.zeros((3, 2)))).all()


def test_det_of_singular_matrices():
    close(gradient(np.linalg.det, np.diag([0.0, 2.0, 3.0])), np.diag([6.0, 0, 0]))
    close(gradient(np.linalg.det, np.diag([0.0, 0.0, 3.0])), np.zeros((3, 3)))
    hessian = tg.hessian(np.linalg.det)(np.diag([0.0, 0.0, 3.0]))
    close(hessian[0, 0, 1, 1], 3)
    close(hessian[0, 1, 1, 0], -3)
    close(np.abs(hessian).sum(), 12)


def test_sign_of_slogdet_has_gradient_0():
    np.testing.assert_array_equal(gradient(lambda x: np.linalg.slogdet(x).sign, 2 * EYE), 0)


def test_results_keep_their_names():
    (x,) = tensors(np.array([[2.0, 1.0], [1.0, 3.0]]))
    for func, names in (
        (np.linalg.eigh, ("eigenvalues", "eigenvectors")),
        (np.linalg.qr, ("Q", "R")),
        (np.linalg.svd, ("U", "S", "Vh")),
        (np.linalg.slogdet, ("sign", "logabsdet")),
    ):
        answer, expected = func(x), func(x.data)
        assert type(answer) is type(expected)
        for name in names:
            assert isinstance(getattr(answer, name), tg.Tensor)
            close(getattr(answer, name).data, getattr(expected, name))


@pytest.mark.parametrize(
    "fn, third",
    [
        (lambda m: np.linalg.inv(m), -6 / 2.0**4),
        (lambda m: np.linalg.pinv(m), -6 / 2.0**4),
        (lambda m: np.linalg.solve(m, np.ones(1)), -6 / 2.0**4),
        (lambda m: np.linalg.cholesky(m), 3 / 8 * 2.0**-2.5),
        (lambda m: np.linalg.slogdet(m)[1], 2 / 2.0**3),
        (lambda m: np.linalg.det(m) * np.linalg.det(m) * np.linalg.det(m), 6),
        (lambda m: np.linalg.matrix_power(m, 3), 6),
        (lambda m: np.linalg.norm(m[0], 3) * np.linalg.norm(m) ** 2, 6),
        (lambda m: np.linalg.eigvalsh(m) ** 3, 6),
        (lambda m: np.linalg.svdvals(m) ** 3, 6),
        (lambda m: np.linalg.qr(m).R ** 3, 6),
        (lambda m: np.einsum("ij,jk,kl->il", m, m, m), 6),
    ],
)
def test_third_derivatives(fn, third):
    """For 1 x 1 matrices, where each function is an elementary one; the sign of r in q r is LAPACK's."""
    x = 2.0
    d3 = tg.grad(tg.grad(tg.grad(lambda x: np.sum(fn(np.reshape(x, (1, 1)))))))(x)
    close(abs(d3), abs(third))


# -- lists and numbers beside Tensors, and messages ------------------------------------------------------


def test_lists_beside_tensors():
    x = np.array([[2.0, 1.0], [1.0, 3.0]])
    for fn in (
        lambda x, b: np.dot(x, b),
        lambda x, b: np.dot(b, x),
        lambda x, b: np.inner(b, x),
        lambda x, b: np.outer(x, b),
        lambda x, b: np.kron(b, x),
        lambda x, b: np.tensordot(x, b, 1),
        lambda x, b: np.einsum("ij,j->i", x, b),
        lambda x, b: np.linalg.solve(x, b),
        lambda x, b: np.linalg.multi_dot([b, x, b]),
    ):
        close(gradient(lambda x, fn=fn: np.sum(fn(x, [1.0, 2.0])), x), gradient(lambda x, fn=fn: np.sum(fn(x, np.array([1.0, 2.0]))), x))
    close(
        gradient(lambda b: np.sum(np.linalg.solve([[2.0, 1.0], [1.0, 3.0]], b)), np.ones(2)),
        gradient(lambda b: np.sum(np.linalg.solve(x, b)), np.ones(2)),
    )


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda t: np.linalg.svd(t[:2]), ValueError, r"svd of a Tensor of shape \(2, 3\).*full_matrices=False"),
        (lambda t: np.linalg.svd(t[0]), np.linalg.LinAlgError, r"got shape \(3,\)"),
        (lambda t: np.linalg.qr(t[:, :2], mode="complete"), ValueError, r"'complete'.*\(3, 2\).*'reduced' and 'r'"),
        (lambda t: np.linalg.qr(t, mode="raw"), ValueError, "'raw'"),
        (lambda t: np.linalg.matrix_power(t[:2], 2), np.linalg.LinAlgError, r"square.*\(2, 3\)"),
        (lambda t: np.linalg.matrix_power(t, 0.5), TypeError, "integer"),
        (lambda t: np.linalg.multi_dot([t]), ValueError, "at least two arrays, got 1"),
        (lambda t: np.linalg.norm(t[0], "fro"), ValueError, "'fro' for vectors"),
        (lambda t: np.linalg.norm(t, 3), ValueError, "3 for matrices: 'fro'"),
        (lambda t: np.linalg.norm(np.reshape(t, (3, 3, 1)), 2), ValueError, r"\(3, 3, 1\).*not along 3"),
        (lambda t: np.linalg.outer(t, t), ValueError, r"\(3, 3\)"),
        (lambda t: np.linalg.cross(t[:, :2], t), ValueError, "length 3, got 2 and 3"),
        (lambda t: np.linalg.tensorinv(t, 0), ValueError, "ind > 0, got 0"),
        (lambda t: np.tensordot(t, t[:2], 1), ValueError, r"shapes \(3, 3\) and \(2, 3\): axes \[1\].*\[0\]"),
        (lambda t: np.dot(t, t[0, :2]), ValueError, "mismatch"),
        (lambda t: np.linalg.inv(t * 0), np.linalg.LinAlgError, "Singular"),
        (lambda t: np.linalg.cholesky(-t), np.linalg.LinAlgError, "positive definite"),
        (lambda t: np.linalg.eig(t), TypeError, "np.linalg.eig has no rule"),
        (lambda t: np.einsum("ij->i", t, out=np.zeros(3)), TypeError, "out"),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call(tg.Tensor(EYE, requires_grad=True))


# -- systems of equations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a_shape, b_shape",
    [((2, 3, 3), (3,)), ((2, 3, 3), (3, 4)), ((2, 3, 3), (1, 3, 4)), ((3, 3), (2, 3, 4)), ((1, 3, 3), (2, 3, 4)), ((2, 1, 3, 3), (4, 3, 1)), ((3, 3), (3, 3))],
    ids=str,
)
def test_solve_broadcasts_both_sides(a_shape, b_shape):
    """A side that serves several systems gets the sum of their gradients, those of inv(a) @ b."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=a_shape) + 4 * np.eye(3), rng.normal(size=b_shape)
    w = rng.normal(size=np.linalg.solve(a, b).shape)
    got = gradient(lambda a, b: np.sum(np.linalg.solve(a, b) * w), a, b)
    want = gradient(lambda a, b: np.sum((np.linalg.inv(a) @ b) * w), a, b)
    for g, expected, x in zip(got, want, (a, b), strict=True):
        assert g.shape == x.shape
        close(g, expected)


LEAST_SQUARES = {
    "more rows": (np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]), None),
    "as many rows": (np.diag([3.0, 1.0]), None),
    "fewer rows": (np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), None),
    "dependent columns": (np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]), None),
    "nothing but zeros": (np.zeros((3, 2)), None),
    "rounding of many rows": (np.concatenate([np.diag([1.0, 8e-16]), np.zeros((4, 2))]), None),
    "small, and not rounding": (np.diag([1.0, 7e-16]), None),
    "a cutoff between": (np.concatenate([np.diag([4.0, 1.0]), np.zeros((1, 2))]), 0.5),
    "a cutoff below": (np.concatenate([np.diag([4.0, 1.0]), np.zeros((1, 2))]), 0.2),
    "a cutoff that is met": (np.concatenate([np.diag([4.0, 2.0]), np.zeros((1, 2))]), 0.5),
    "a cutoff of small numbers": (np.concatenate([np.diag([4e-3, 2e-3]), np.zeros((1, 2))]), 0.4),
}


@pytest.mark.parametrize("name", LEAST_SQUARES)
@pytest.mark.parametrize("columns", [(), (2,)], ids=["vector", "columns"])
def test_lstsq_answers_as_numpys_does(name, columns):
    """Solution, residuals, rank and singular values, at each rank and cutoff."""
    a, rcond = LEAST_SQUARES[name]
    b = np.random.default_rng(0).normal(size=(len(a), *columns))
    for got, want in zip(np.linalg.lstsq(*tensors(a, b), rcond=rcond), np.linalg.lstsq(a, b, rcond=rcond), strict=True):
        assert np.shape(got) == np.shape(want)
        np.testing.assert_allclose(getattr(got, "data", got), want, rtol=1e-12, atol=1e-13)


def test_lstsq_leaves_out_what_is_below_its_cutoff():
    """The derivative is that of the solution at the rank that the cutoff leaves: by b the pseudo-inverse of that rank."""
    a, b = np.concatenate([np.diag([4.0, 1.0]), np.zeros((1, 2))]), np.array([1.0, 2.0, 3.0])
    close(gradient(lambda b: np.sum(np.linalg.lstsq(a, b, rcond=0.5)[0]), b), [0.25, 0, 0])
    close(gradient(lambda b: np.sum(np.linalg.lstsq(a, b, rcond=0.2)[0]), b), [0.25, 1, 0])
    close(gradient(lambda a: np.linalg.lstsq(a, b, rcond=0.2)[1][0], a), gradient(lambda a: np.sum((b - a @ np.linalg.pinv(a) @ b) ** 2), a))


# -- stacks of matrices that are not square ------------------------------------------------------------

OF_STACKS = {
    "qr": lambda a: np.linalg.qr(a).R ** 2,
    "r": lambda a: np.linalg.qr(a, mode="r") ** 2,
    "svd": lambda a: np.linalg.svd(a, full_matrices=False).S ** 3,
    "vectors of svd": lambda a: np.linalg.svd(a, full_matrices=False).U ** 2,
    "svdvals": lambda a: np.linalg.svd(a, compute_uv=False) ** 3,
    "pinv": np.linalg.pinv,
    "nuclear norm": lambda a: np.linalg.norm(a, "nuc", axis=(-2, -1)),
    "cond": np.linalg.cond,
}


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 5, 3), (5, 3, 4), (2, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("name", OF_STACKS)
def test_each_matrix_of_a_stack_has_its_own_gradient(name, shape):
    """Whatever the number of matrices, which must not be taken for a number of rows or columns."""
    fn, stack = OF_STACKS[name], np.random.default_rng(1).normal(size=shape)
    first, direction = gradient(lambda a: np.sum(fn(a)), stack), np.random.default_rng(2).normal(size=shape)
    second = tg.hvp(lambda a: np.sum(fn(a)), stack, direction)
    for i in np.ndindex(shape[:-2]):
        np.testing.assert_allclose(first[i], gradient(lambda a: np.sum(fn(a)), stack[i]), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(second[i], tg.hvp(lambda a: np.sum(fn(a)), stack[i], direction[i]), rtol=1e-7, atol=1e-8)


def test_the_power_0_of_a_singular_matrix_is_the_identity_and_does_not_move():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    np.testing.assert_array_equal(np.linalg.matrix_power(tensors(a)[0], 0).data, np.eye(2))
    np.testing.assert_array_equal(gradient(lambda a: np.sum(np.linalg.matrix_power(a, 0) * a), a), np.eye(2))


@pytest.mark.parametrize("rcond", [None, -1, 1e-5])
def test_lstsq_cuts_off_what_numpy_does_in_float32(rcond):
    a, b = np.zeros((6, 2), np.float32), np.zeros(6, np.float32)
    a[0, 0], a[1, 1], b[:2] = 1, 4e-7, 1
    x, _, rank, _ = np.linalg.lstsq(tg.Tensor(a, requires_grad=True), b, rcond)
    expected, _, expected_rank, _ = np.linalg.lstsq(a, b, rcond)
    assert rank == expected_rank
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-6)
    assert x.dtype == np.float32

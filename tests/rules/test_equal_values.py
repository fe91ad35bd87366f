"""Decompositions of matrices with equal eigenvalues or singular values: every derivative is right, or nan.

The oracle is a difference of a closed form, or of the function itself where it is smooth. The rules may always
return nan, so each test also says where there must be a number.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lr as tg

linalg = np.linalg
rng = np.random.default_rng(3)
TURN, OTHER = (linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
W = rng.normal(size=(3, 3))


def symmetric(a):
    return (a + a.T) / 2


SYMMETRIC = {
    "identity": np.eye(3),
    "two equal": np.diag([1.0, 1.0, 2.0]),
    "two equal, turned": symmetric(TURN @ np.diag([1.0, 2.0, 2.0]) @ TURN.T),
    "three equal, turned": symmetric(TURN @ np.diag([2.0, 2.0, 2.0]) @ TURN.T),
    "zero": np.zeros((3, 3)),
    "two zeros": np.diag([1.0, 0.0, 0.0]),
}
DISTINCT = symmetric(TURN @ np.diag([1.0, 2.0, 4.0]) @ TURN.T)
GENERAL = {
    "identity": np.eye(3),
    "orthogonal": TURN,
    "two equal": np.diag([1.0, 2.0, 2.0]),
    "two equal, turned": TURN @ np.diag([3.0, 1.0, 1.0]) @ OTHER.T,
    "tall": TURN @ np.eye(3, 2) @ OTHER[:2, :2],
    "wide": (TURN @ np.eye(3, 2)).T,
}


def second_differences(fn, x, step=2e-3):
    """The Hessian, extrapolated once (Richardson)."""
    units = np.eye(x.size).reshape(x.size, *x.shape)

    def mixed(d, e, h):
        return (fn(x + h * (d + e)) - fn(x + h * (d - e)) - fn(x - h * (d - e)) + fn(x - h * (d + e))) / (4 * h * h)

    return np.array([[(4 * mixed(d, e, step / 2) - mixed(d, e, step)) / 3 for e in units] for d in units])


def differences(fn, x, step=1e-4):
    units = np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(fn(x + step * d) - fn(x - step * d)) / (2 * step) for d in units]).reshape(x.shape)


def derivatives(fn, x):
    return tg.grad(fn)(x), np.reshape(tg.hessian(fn)(x), (x.size, x.size))


def assert_right_or_nan(got, want):
    known = ~np.isnan(got)
    np.testing.assert_allclose(got[known], want[known], rtol=1e-5, atol=1e-5)


# -- the values alone ----------------------------------------------------------------------------------

OF_VALUES = {
    "squares": lambda a: np.sum(linalg.eigvalsh(symmetric(a)) ** 2),
    "squares of eigh": lambda a: np.sum(linalg.eigh(symmetric(a)).eigenvalues ** 2),
    "cubes": lambda a: np.sum(linalg.eigvalsh(symmetric(a)) ** 3),
    "exponentials": lambda a: np.sum(np.exp(linalg.eigvalsh(symmetric(a)))),
    "logdet": lambda a: np.sum(np.log(linalg.eigvalsh(symmetric(a)) + 3)),
    "square of the sum": lambda a: np.sum(linalg.eigvalsh(symmetric(a))) ** 2,
    "squares of singular values": lambda a: np.sum(linalg.svdvals(a) ** 2),
    "squares of svd": lambda a: np.sum(linalg.svd(a).S ** 2),
}


@pytest.mark.parametrize("name", OF_VALUES)
@pytest.mark.parametrize("where", SYMMETRIC)
def test_functions_of_equal_values(name, where):
    fn, a = OF_VALUES[name], SYMMETRIC[where]
    first, second = derivatives(fn, a)
    np.testing.assert_allclose(first, differences(fn, a), rtol=1e-6, atol=1e-6)
    assert_right_or_nan(second, second_differences(fn, a))
    assert np.isnan(second).any()  # no rule can know the limit of 0 / 0


@pytest.mark.parametrize("name", OF_VALUES)
def test_functions_of_distinct_values_are_known(name):
    fn = OF_VALUES[name]
    first, second = derivatives(fn, DISTINCT)
    np.testing.assert_allclose(first, differences(fn, DISTINCT), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(second, second_differences(fn, DISTINCT), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("where", SYMMETRIC)
@pytest.mark.parametrize("values", [linalg.eigvalsh, lambda a: linalg.eigh(a)[0]], ids=["eigvalsh", "eigh"])
def test_the_sum_of_eigenvalues_is_smooth(where, values):
    first, second = derivatives(lambda a: 3 * np.sum(values(a)), SYMMETRIC[where])
    np.testing.assert_allclose(first, 3 * np.eye(3), atol=1e-14)
    np.testing.assert_allclose(second, 0, atol=1e-13)


@pytest.mark.parametrize("order", ["nuc", 2, -2])
def test_norms_of_distinct_singular_values_among_equals(order):
    """The norm depends on one singular value, the equals are others; or on all of them alike."""
    for a in (TURN @ np.diag(d) @ OTHER.T for d in ([3.0, 1.0, 1.0], [3.0, 3.0, 1.0])):
        fn = lambda x: linalg.norm(x, order) ** 2
        if order == "nuc" or np.sum(np.isclose(linalg.svdvals(a), linalg.norm(a, order))) == 1:
            first, second = derivatives(fn, a)
            np.testing.assert_allclose(first, differences(fn, a), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(second, second_differences(fn, a), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("where", GENERAL)
def test_the_nuclear_norm_is_smooth_at_full_rank(where):
    a = GENERAL[where]
    for fn in (lambda x: linalg.norm(x, "nuc"), lambda x: np.exp(linalg.matrix_norm(x, ord="nuc")), lambda x: np.sum(linalg.svdvals(x))):
        first, second = derivatives(fn, a)
        np.testing.assert_allclose(first, differences(fn, a), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(second, second_differences(fn, a), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", [2, -2])
def test_a_norm_has_no_second_derivative_where_equals_share_it(order):
    first, second = derivatives(lambda x: linalg.norm(x, order), 3 * TURN)
    np.testing.assert_allclose(first, TURN / 3, rtol=1e-12)
    assert np.isnan(second).all()


@pytest.mark.parametrize("order", ["nuc", -2])
def test_a_norm_has_no_second_derivative_where_a_singular_value_is_0(order):
    first, second = derivatives(lambda x: linalg.norm(x, order), TURN @ np.diag([2.0, 1.0, 0.0]) @ OTHER.T)
    assert np.isfinite(first).all()
    assert np.isnan(second).all()


def test_condition_numbers_at_equals():
    first, second = derivatives(linalg.cond, TURN @ np.diag([3.0, 1.0, 1.0]))
    assert np.isfinite(first).all()
    assert np.isnan(second).any()


@pytest.mark.parametrize("where", GENERAL)
def test_pinv_and_det_know_no_equals(where):
    a = GENERAL[where]
    weights = W[: a.shape[1], : a.shape[0]]
    fn = lambda x: np.sum(linalg.pinv(x) * weights)
    first, second = derivatives(fn, a)
    np.testing.assert_allclose(first, differences(fn, a), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(second, second_differences(fn, a), rtol=1e-4, atol=1e-4)
    if a.shape == (3, 3):
        np.testing.assert_allclose(derivatives(linalg.det, a)[1], second_differences(linalg.det, a), rtol=1e-5, atol=1e-5)


# -- the vectors too -----------------------------------------------------------------------------------


def root(a):
    w, v = linalg.eigh(a)
    return v * np.sqrt(w + 3) @ v.T


def same(a):
    w, v = linalg.eigh(a)
    return v * w @ v.T


def polar(a):
    u, _, vt = linalg.svd(a)
    return u @ vt


def projector(a):
    _, v = linalg.eigh(a)
    return v[:, :1] @ v[:, :1].T


@pytest.mark.parametrize("fn", [root, same, polar], ids=lambda f: f.__name__)
@pytest.mark.parametrize("where", SYMMETRIC)
def test_matrices_put_together_from_equal_vectors_are_nan(fn, where):
    """Their derivative would need the limit of 0 / 0; leaving out the parts off the diagonal would be wrong."""
    first, second = derivatives(lambda a: np.sum(fn(symmetric(a)) * W), SYMMETRIC[where])
    assert np.isnan(first).all()
    assert np.isnan(second).all()


@pytest.mark.parametrize("where", SYMMETRIC)
def test_traces_of_matrix_functions(where):
    """The first derivative needs no limit, the second does."""
    a = SYMMETRIC[where]
    fn = lambda a: np.trace(root(symmetric(a)))
    first, second = derivatives(fn, a)
    np.testing.assert_allclose(first, differences(fn, a), rtol=1e-6, atol=1e-6)
    assert_right_or_nan(second, second_differences(fn, a))
    assert np.isnan(second).any()


def test_equals_are_seen_however_rounding_parts_them():
    for seed in range(200):
        n = 2 + seed % 4
        q, _ = linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
        first = tg.grad(lambda a: np.trace(root(symmetric(a))))(symmetric(q * 2 @ q.T))
        np.testing.assert_allclose(first, np.eye(n) / (2 * np.sqrt(5)), rtol=0, atol=1e-12, err_msg=f"seed {seed}")


@pytest.mark.parametrize("a", [np.diag([1.0, 2.0, 2.0]), symmetric(TURN @ np.diag([1.0, 2.0, 2.0]) @ TURN.T), np.diag([1.0, 5.0, 5.0])])
def test_vectors_that_no_loss_uses_leave_its_gradient_alone(a):
    """The first vector's value is distinct; the others are equal, and matter at second order."""
    fn = lambda a: np.sum(projector(symmetric(a)) * W)
    first, second = derivatives(fn, a)
    np.testing.assert_allclose(first, differences(fn, a), rtol=1e-6, atol=1e-6)
    assert_right_or_nan(second, second_differences(fn, a))


def test_one_of_equal_vectors_is_nan():
    first, second = derivatives(lambda a: np.sum(projector(symmetric(a)) * W), np.diag([1.0, 1.0, 2.0]))
    assert np.isnan(first).any()
    assert np.isnan(second).any()


def test_only_the_matrix_with_equals_is_nan():
    stack = np.stack([np.eye(3), DISTINCT])
    second = tg.hvp(lambda a: np.sum(linalg.eigvalsh(symmetric_stack(a)) ** 2), stack, np.stack([W, W]))
    assert np.isnan(second[0]).any()
    np.testing.assert_allclose(second[1], 2 * symmetric(W), rtol=1e-9, atol=1e-9)


def symmetric_stack(a):
    return (a + np.swapaxes(a, -1, -2)) / 2

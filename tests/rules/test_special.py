"""SciPy's functions: how their rules are found, their extremes, and PyTorch as an oracle."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import special

import tinygrad_lr as tg
from tinygrad_lr import nn
from tinygrad_lr.autodiff.rules.registry import ELSEWHERE, load_all
from tinygrad_lr.autodiff.rules.special import inverse_mills

inf, nan = np.inf, np.nan


def slopes(func, *x):
    """The first and second derivative of a function of numbers."""
    first = tg.grad(func)
    return first(*x), tg.grad(first)(*x)


# -- found when they are met ---------------------------------------------------------------------------


def run(code):
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_rules_load_when_a_tensor_meets_a_function():
    run("""if True:
        import sys
        import tinygrad_lr as tg
        x = tg.Tensor([0.5], requires_grad=True)
        y = tg.sigmoid(x)
        assert "scipy" not in sys.modules
        from scipy.special import expit, j0
        chapter = "tinygrad_lr.autodiff.rules.special"
        assert chapter not in sys.modules
        try:
            j0(x)
        except TypeError as error:
            assert str(error).startswith("j0 has no rule")
        z = expit(x)
        assert chapter in sys.modules
        assert abs(tg.gradients(y, x)[0] - tg.gradients(z, x)[0]).item() < 1e-16
    """)


def test_a_rule_that_is_not_loaded_yet_is_not_replaced():
    run("""if True:
        import tinygrad_lr as tg
        from scipy import special
        try:
            tg.primitive(special.erf, lambda g, y, x: g * 7)
        except TypeError as error:
            assert str(error).startswith("erf has a gradient already")
        tg.primitive(special.j1, lambda g, y, x: g * 7)
        assert tg.grad(special.erfc)(0.0) < 0 < tg.grad(special.erf)(0.0) < 2
        assert tg.grad(special.j1)(0.0) == 7
    """)


def test_without_scipy_the_table_and_the_check_do_without():
    run("""if True:
        import sys
        sys.modules["scipy"] = None
        from tests.rules import table
        from tinygrad_lr.check.everything import check_everything
        assert check_everything([])[0]
        assert "special." not in table.markdown() and "np.interp" in table.markdown()
    """)


@pytest.mark.parametrize(
    "line, error, message",
    [("import no_such_module", ModuleNotFoundError, "no_such_module"), ("from math import no_such_name", ImportError, "no_such_name")],
)
def test_a_broken_chapter_is_not_taken_for_a_missing_library(tmp_path, monkeypatch, line, error, message):
    (tmp_path / "broken_chapter.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(ELSEWHERE, "json.decoder", "broken_chapter")
    with pytest.raises(error, match=message):
        load_all()


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "log_softmax"])
def test_python_functions_of_scipy_name_ours(name):
    with pytest.raises(TypeError) as caught:
        getattr(special, name)(tg.Tensor([0.5, 1.0], requires_grad=True))
    assert "tg.logsumexp, tg.softmax and tg.log_softmax in place of scipy.special's" in str(caught.value)
    x = np.array([[0.5, 1.0], [3.0, -1.0]])
    np.testing.assert_allclose(getattr(tg, name)(x, axis=1), getattr(special, name)(x, axis=1), rtol=1e-15)


def test_a_loss_takes_the_logits_behind_expit():
    t = tg.Tensor([200.0, -200.0], requires_grad=True)
    loss = nn.BCELoss(reduction="sum")(special.expit(t), [0.0, 1.0])
    loss.backward()
    assert loss.data == 400
    np.testing.assert_allclose(t.grad, [1, -1], rtol=1e-15)


def test_outer():
    np.testing.assert_allclose(tg.grad(lambda x: np.sum(special.xlogy.outer(x, np.array([2.0, 3.0]))))(np.ones(2)), np.full(2, np.log(6)), rtol=1e-15)


# -- extremes ------------------------------------------------------------------------------------------


def test_expit_extreme():
    for x, first, second in [(-800.0, 0, 0), (800.0, 0, 0), (inf, 0, 0), (40.0, 4.248354255291589e-18, -4.248354255291589e-18)]:
        np.testing.assert_allclose(slopes(special.expit, x), (first, second), rtol=1e-14)


def test_log_expit_extreme():
    for x, first, second in [(-inf, 1, 0), (-800.0, 1, 0), (800.0, 0, 0), (40.0, 4.248354255291589e-18, -4.248354255291589e-18)]:
        np.testing.assert_allclose(slopes(special.log_expit, x), (first, second), rtol=1e-14)


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_logit_at_its_ends(x):
    with np.errstate(divide="ignore"):
        assert tg.grad(special.logit)(x) == inf
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        tg.grad(special.logit)(x)


def test_logit_near_its_ends():
    np.testing.assert_allclose(slopes(special.logit, 1e-100), (1e100, -1e200), rtol=1e-14)
    np.testing.assert_allclose(slopes(special.logit, 1 - 2.0**-50), (2.0**50, 2.0**100), rtol=1e-14)


@pytest.mark.parametrize("func, sign", [(special.erf, 1), (special.erfc, -1)])
def test_error_functions_extreme(func, sign):
    for x in (-inf, -1e200, 30.0, 1e200, inf):
        assert slopes(func, x) == (0, 0)
    np.testing.assert_allclose(slopes(func, 25.0), (sign * 4.1534010636399e-272, sign * -2.07670053181995e-270), rtol=1e-13)
    np.testing.assert_array_equal(slopes(func, nan), (nan, nan))


def test_ndtr_extreme():
    for x in (-inf, -1e200, 60.0, inf):
        assert slopes(special.ndtr, x) == (0, 0)
    np.testing.assert_allclose(slopes(special.ndtr, -30.0), (1.4736461348785476e-196, 4.420938404635643e-195), rtol=1e-12)


@pytest.mark.parametrize(
    "x, first, second",  # by 80 digits
    [
        (-1e200, 1e200, -1.0),
        (-1e8, 1e8, -1.0),
        (-1e3, 1000.00099999800001, -0.99999900000599995),
        (-40.0, 40.024968847207263723, -0.99937733162140861123),
        (-7.0, 7.1375456132265032765, -0.98173808830337776853),
        (-5.5, 5.6714103138973056227, -0.97213822214555377023),
        (0.0, 0.79788456080286535588, -0.63661977236758134308),
        (5.0, 1.4867199409049057124e-6, -7.4336019148607112465e-6),
        (36.0, 1.5069047176203946323e-282, -5.4248569834334206763e-281),
        (60.0, 0.0, 0.0),
        (inf, 0.0, 0.0),
    ],
)
def test_log_ndtr_where_ndtr_underflows(x, first, second):
    np.testing.assert_allclose(slopes(special.log_ndtr, x), (first, second), rtol=2e-13)


def test_third_derivative_of_log_ndtr_far_below_0():
    """It is about 2 / t^3, what is left of numbers about 1; computed with 60 digits."""
    third = tg.grad(tg.grad(tg.grad(special.log_ndtr)))
    np.testing.assert_allclose(third(-1e3), 1.99997600029999586e-9, rtol=1e-9)


def test_hazard_at_minus_infinity():
    assert inverse_mills(-inf) == inf
    assert tg.grad(special.log_ndtr)(-inf) == inf


def test_gammaln_and_digamma():
    zeta3 = 1.2020569031595942
    np.testing.assert_allclose(slopes(special.gammaln, 1.0), (-np.euler_gamma, np.pi**2 / 6), rtol=1e-14)
    np.testing.assert_allclose(slopes(special.digamma, 1.0), (np.pi**2 / 6, -2 * zeta3), rtol=1e-14)
    np.testing.assert_allclose(tg.grad(tg.grad(tg.grad(special.digamma)))(1.0), np.pi**4 / 15, rtol=1e-14)
    np.testing.assert_allclose(slopes(special.gammaln, 1e200), (460.51701859880914, 1e-200), rtol=1e-14)
    np.testing.assert_allclose(slopes(special.gammaln, -0.5), (0.036489973978576520559, 8.934802200544679309), rtol=1e-14)


@pytest.mark.parametrize("func, y0", [(special.xlogy, 0.0), (special.xlog1py, -1.0)])
def test_xlogy_at_0(func, y0):
    """0 for every y, because a probability of 0 does not count; nothing becomes nan."""
    assert tg.grad(func, (0, 1))(0.0, y0) == (0, 0)
    assert tg.grad(func, (0, 1))(0.0, y0 - 1) == (0, 0)
    np.testing.assert_array_equal(tg.hessian(func, (0, 1))(0.0, y0), np.zeros((2, 2)))
    np.testing.assert_allclose(tg.grad(func, (0, 1))(0.0, y0 + 2.0), (np.log(2.0), 0.0), rtol=1e-15)
    np.testing.assert_allclose(tg.hessian(func, (0, 1))(0.0, y0 + 2.0), [[0, 0.5], [0.5, 0]], rtol=1e-15)


def test_divergence_with_probabilities_of_0():
    p, q = np.array([0.0, 0.5, 0.5]), np.array([0.0, 0.25, 0.75])
    g = tg.grad(lambda q: np.sum(special.xlogy(p, p) - special.xlogy(p, q)))(q)
    np.testing.assert_allclose(g, [0.0, -2.0, -2 / 3], rtol=1e-15)


def test_entr_at_0():
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert tg.grad(special.entr)(0.0) == inf
    np.testing.assert_allclose(slopes(special.entr, 1e-300), (689.7755278982137, -1e300), rtol=1e-14)


# -- types, and another library ------------------------------------------------------------------------

IN_TORCH = {
    "expit": ("expit", (-30.0, 30.0)),
    "logit": ("logit", (0.001, 0.999)),
    "erf": ("erf", (-5.0, 5.0)),
    "erfc": ("erfc", (-5.0, 20.0)),
    "ndtr": ("ndtr", (-8.0, 8.0)),
    "log_ndtr": ("log_ndtr", (-20.0, 5.0)),
    "gammaln": ("gammaln", (0.01, 30.0)),
    "digamma": ("digamma", (0.01, 30.0)),
    "entr": ("entr", (0.001, 5.0)),
}


@pytest.mark.parametrize("name", [*IN_TORCH, "log_expit"])
def test_float32_stays_float32(name):
    low, high = IN_TORCH.get(name, (name, (-3.0, 3.0)))[1]
    t = tg.Tensor(np.linspace(low, high, 7, dtype=np.float32), requires_grad=True)
    y = getattr(special, name)(t)
    (g,) = tg.gradients(np.sum(y), t, create_graph=True)
    (h,) = tg.gradients(np.sum(g), t)
    assert {y.dtype, g.dtype, h.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("func", [special.xlogy, special.xlog1py])
def test_float32_stays_float32_of_two(func):
    x, y = (tg.Tensor(np.array([0.0, 0.5, 2.0], np.float32), requires_grad=True) for _ in range(2))
    z = func(x, y)
    assert {z.dtype, *(g.dtype for g in tg.gradients(np.sum(z), [x, y]))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name, torch_name, low, high", [(name, other, *span) for name, (other, span) in IN_TORCH.items()])
def test_torch_agrees(name, torch_name, low, high, torch):
    x = np.linspace(low, high, 41)
    u = torch.tensor(x, requires_grad=True)
    v = getattr(torch.special, torch_name)(u)
    (first,) = torch.autograd.grad(v.sum(), u, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), u)
    t = tg.Tensor(x, requires_grad=True)
    y = getattr(special, name)(t)
    (g,) = tg.gradients(np.sum(y), t, create_graph=True)
    (h,) = tg.gradients(np.sum(g), t)
    for got, want in ((y, v), (g, first), (h, second)):
        np.testing.assert_allclose(got.data, want.detach().numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", ["xlogy", "xlog1py"])
def test_torch_agrees_on_two(name, torch):
    x, y = np.array([0.0, 0.5, 3.0])[:, None], np.array([0.1, 1.0, 5.0])
    u, v = (torch.tensor(a, requires_grad=True) for a in (x, y))
    want = torch.autograd.grad(getattr(torch.special, name)(u, v).sum(), (u, v))
    got = tg.grad(lambda x, y: np.sum(getattr(special, name)(x, y)), (0, 1))(x, y)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w.numpy(), rtol=1e-13)


# -- ours, in place of SciPy's Python function ---------------------------------------------------------


@pytest.mark.parametrize("axis, keepdims", [(None, False), (0, True), (1, False), ((0, 1), True)])
@pytest.mark.parametrize("b", [None, 2.5, np.array([2.0, 0.0, 0.5]), np.array([[1.0], [3.0]])])
def test_logsumexp_is_scipys(axis, keepdims, b):
    z = np.array([[1000.0, -3.0, 2.0], [-np.inf, 0.5, -1000.0]])
    np.testing.assert_allclose(tg.logsumexp(z, axis, b, keepdims), special.logsumexp(z, axis, b, keepdims), rtol=1e-14)


def test_logsumexp_of_infinities():
    z = np.array([[inf, 0.0], [inf, -inf], [-inf, -1000.0], [-inf, -inf]])
    np.testing.assert_array_equal(tg.logsumexp(z, axis=1), [inf, inf, -1000, -inf])
    g = tg.grad(lambda z: np.sum(np.where(np.isfinite(z[:, 1]), tg.logsumexp(z, axis=1), 0)))(z[2:])
    np.testing.assert_array_equal(g, [[0, 1], [0, 0]])


def test_logsumexp_of_numbers_and_lists():
    assert tg.logsumexp([0, 0]) == np.log(2)
    assert tg.logsumexp(3.0) == 3
    assert tg.logsumexp(np.zeros(0)) == -inf


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logsumexp_of_everything_is_a_number(dtype):
    z = np.zeros((2, 3), dtype)
    for axis in (None, (0, 1), -1):
        got, want = tg.logsumexp(z[0] if axis == -1 else z, axis), special.logsumexp(z[0] if axis == -1 else z, axis)
        assert type(got) is dtype
        np.testing.assert_allclose(got, want, rtol=np.finfo(dtype).eps)


def test_logsumexp_of_nothing_has_an_empty_gradient():
    g = tg.grad(tg.logsumexp)(np.zeros(0, np.float32))
    assert (g.shape, g.dtype) == ((0,), np.float32)
    assert tg.hessian(tg.logsumexp)(np.zeros(0)).shape == (0, 0)
    assert tg.jacobian(lambda z: tg.logsumexp(z, 1))(np.zeros((2, 0))).shape == (2, 2, 0)
    assert tg.jacobian(lambda z: tg.logsumexp(z, 1))(np.zeros((0, 2))).shape == (0, 0, 2)


def test_what_has_no_weight_does_not_count():
    z = np.array([inf, nan, 5000.0, 1.0])
    value, g = tg.value_and_grad(lambda z: tg.logsumexp(z, b=np.array([0, 0, 0, 2])))(z)
    assert value == 1 + np.log(2)
    np.testing.assert_array_equal(g, [0, 0, 0, 1])


def test_logsumexp_far_from_0_is_as_exact_as_near():
    z = np.array([0.3, -0.2, 1.1])
    near, far = (tg.hessian(lambda z, s=s: tg.logsumexp(z + s, b=np.array([1.0, 2.0, 0.5])))(z) for s in (0.0, 2.0**20))
    np.testing.assert_allclose(far, near, rtol=1e-8)


def test_torch_agrees_on_logsumexp(torch):
    z = np.random.default_rng(0).normal(size=(3, 4)) * 50
    u = torch.tensor(z, requires_grad=True)
    want = torch.autograd.grad(torch.logsumexp(u, 1).square().sum(), u)[0].numpy()
    np.testing.assert_allclose(tg.grad(lambda z: np.sum(tg.logsumexp(z, 1) ** 2))(z), want, rtol=1e-12)


def test_what_logsumexp_refuses():
    with pytest.raises(ValueError, match=r"^logsumexp: weights must not be negative, got -1\.0$"):
        tg.logsumexp(np.zeros(2), b=[1.0, -1.0])
    with pytest.raises(TypeError, match="turning a tracked Tensor into an array"):
        tg.logsumexp(np.zeros(2), b=tg.Tensor([1.0, 1.0], requires_grad=True))


@pytest.mark.parametrize("func, y0", [(special.xlogy, 0.0), (special.xlog1py, -1.0)])
def test_xlogy_at_0_between_the_ends_of_probabilities(func, y0):
    """At x = 0 the derivative with respect to x is the logarithm, negative ones included."""
    np.testing.assert_allclose(tg.grad(func, (0, 1))(0.0, y0 + 0.5), (np.log(0.5), 0.0), rtol=1e-15)
    np.testing.assert_allclose(tg.grad(func, (0, 1))(0.0, y0 + 1e-3), (np.log(1e-3), 0.0), rtol=1e-12)

"""A hunt for wrong derivatives: random programs at first and second order against PyTorch and differences.

``TINYGRAD_LR_HUNT=100 pytest tests/hunts/test_programs_hunt.py`` runs a hundred times as many. A failure prints the
program with its inputs; its seed is what `draw_program` takes.

PyTorch is asked where it has the same functions, and a difference along a random direction, extrapolated from three
steps, decides where it has not or takes another side at a kink. Where neither can tell (the point lies on a kink, or a
step away from one) the program counts as undecided; few may.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from types import ModuleType

import numpy as np
import pytest

import tinygrad_lr as tg
from tests.conftest import installed
from tests.hunts.programs import Program, draw_program

TIMES = int(os.environ.get("TINYGRAD_LR_HUNT", "1"))
BASE = 1_000_000  # seeds of one hunt
CHUNKS, PROGRAMS = 4, 40


@pytest.mark.oracle
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_derivatives(chunk):
    torch = installed("torch")  # differences alone are an oracle too
    found = Counter(shown(judged, draw_program(BASE + chunk + CHUNKS * k), torch) for k in range(PROGRAMS * TIMES))
    print(dict(found))
    assert found["undecided"] < 0.1 * sum(found.values())


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_short_types(dtype):
    """Every line has NumPy's own type and value, gradients have the variables' type, and float64's numbers to rounding."""
    found = Counter(shown(judged_short, draw_program(2 * BASE + k, dtype), dtype) for k in range(PROGRAMS * TIMES // 2))
    print(dict(found))
    assert found["undecided"] < 0.1 * sum(found.values())


def test_special_numbers(torch):
    """Zeros, equals and large numbers: most points lie on some kink, so only PyTorch and differences together tell."""
    found = Counter(shown(judged, draw_program(3 * BASE + k, special=True), torch, True) for k in range(PROGRAMS * TIMES))
    print(dict(found))
    assert found["undecided"] < 0.3 * sum(found.values())


def test_hessians():
    """All rows of a Hessian in one walk are those of one walk each."""
    for k in range(PROGRAMS * TIMES // 2):
        shown(judged_hessian, draw_program(4 * BASE + k))


def shown(judge, program, *settings):
    """What ``judge`` says; an error shows the program."""
    try:
        return judge(program, *settings)
    except Exception as error:
        error.add_note(f"in the program\n{program}")
        raise


def plain(program):
    return program.function(np, lambda x: x)


def judged(program: Program, torch: ModuleType | None, both: bool = False) -> str:
    """Who confirmed both orders; a failure if anyone who can tell disagrees, or only if ``both`` do.

    Where equals meet, their second derivatives depend on which of them counts, so nobody can tell then.
    """
    fn = plain(program)
    rng = np.random.default_rng(program.seed)
    directions = [rng.normal(size=np.shape(a)) for a in program.arrays]
    value, slope, curve = tinygrad(fn, program.arrays, directions)
    with np.errstate(all="ignore"):
        expected = fn(*program.arrays)
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    by_torch = torch and torchs(torch, program, directions)
    first = verdict(program, "first", slope, by_torch and by_torch[0], lambda xs: float(fn(*xs)), directions, both)
    second = verdict(program, "second", curve, by_torch and by_torch[1], lambda xs: tinygrad(fn, xs, directions)[1], directions, both)
    return "undecided" if "undecided" in (first, second) else second


def judged_hessian(program: Program) -> None:
    """The second derivatives by the first variable, the others held."""
    fn, (x, *rest) = plain(program), program.arrays
    alone = lambda x: fn(x, *map(tg.Tensor, rest))
    with np.errstate(all="ignore"):
        got = np.reshape(tg.hessian(alone)(x), (x.size, x.size))
        units = np.eye(x.size).reshape(x.size, *x.shape)
        want = np.reshape([tg.hvp(alone, x, unit) for unit in units], (x.size, x.size))
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9 * (1 + np.max(np.abs(want))))


def judged_short(program: Program, dtype) -> str:
    """Whether the numbers of a short type are float64's, as far as these depend smoothly on their rounding."""
    xs = [tg.Tensor(a, requires_grad=True) for a in program.arrays]
    with np.errstate(all="ignore"):
        mine, numpys = (program.lines(np, lambda x: x)(*given) for given in (xs, program.arrays))
        for name, want in numpys.items():
            got = np.asarray(getattr(mine[name], "data", mine[name]))
            assert got.dtype == want.dtype, f"{name} is {got.dtype}, by NumPy {want.dtype}"
            digits = 16 * np.finfo(dtype).eps
            np.testing.assert_allclose(got, want, rtol=digits, atol=digits * (1 + np.max(np.abs(want))), err_msg=name)
        fn = plain(program)
        y = fn(*xs)
        if not isinstance(y, tg.Tensor) or not y.requires_grad:
            return "flat"
        got = [g.data for g in tg.gradients(y, xs)]
        assert {g.dtype for g in got} == {np.dtype(dtype)}
        rng = np.random.default_rng(program.seed)
        eps = float(np.finfo(dtype).eps)
        near = [[a.astype(float) * (1 + eps * rng.normal(size=a.shape)) for a in program.arrays] for _ in range(3)]
        want, *others = (
            [np.asarray(g) for g in tg.grad(fn, argnums=tuple(range(len(xs))))(*arrays)] for arrays in ([a.astype(float) for a in program.arrays], *near)
        )
    size = max(1.0, *(np.max(np.abs(w)) for w in want))
    doubt = max(np.max(np.abs(o - w)) for other in others for o, w in zip(other, want, strict=True))
    wrong = max(np.max(np.abs(g - w)) for g, w in zip(got, want, strict=True))
    if wrong <= 100 * doubt + 100 * eps * size:
        return "float64"
    if dtype is np.float16 or wrong < 0.1 * size:
        return "undecided"
    raise AssertionError(f"{got}, in float64 {want}, which rounding moves by {doubt:.1g}")


def tinygrad(fn, arrays, directions):
    """The value, the slope along the directions, and the second derivative along them, each from the rules alone."""
    xs = [tg.Tensor(a, requires_grad=True) for a in arrays]
    with np.errstate(all="ignore"):
        y = fn(*xs)
        if not isinstance(y, tg.Tensor) or not y.requires_grad:
            return float(y), 0.0, 0.0
        firsts = tg.gradients(y, xs, create_graph=True)
        slope = sum(np.sum(g * d) for g, d in zip(firsts, directions, strict=True))
        seconds = tg.gradients(slope, xs) if isinstance(slope, tg.Tensor) and slope.requires_grad else [np.zeros(np.shape(a)) for a in arrays]
    plain_slope = float(slope.data if isinstance(slope, tg.Tensor) else slope)
    return float(y.data), plain_slope, float(sum(np.sum(np.asarray(getattr(h, "data", h)) * d) for h, d in zip(seconds, directions, strict=True)))


def torchs(torch, program, directions):
    """The same two numbers by PyTorch; None where it has no equivalent."""
    from tests.hunts.torch_numpy import const, torch_numpy

    try:
        xs = [torch.tensor(a, requires_grad=True) for a in program.arrays]
        ds = [const(d) for d in directions]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = program.function(torch_numpy, const)(*xs)
            firsts = torch.autograd.grad(y, xs, create_graph=True, materialize_grads=True)
            slope = sum((g * d).sum() for g, d in zip(firsts, ds, strict=True))
            seconds = torch.autograd.grad(slope, xs, materialize_grads=True) if slope.requires_grad else [torch.zeros_like(x) for x in xs]
    except (AttributeError, TypeError, ValueError, IndexError, RuntimeError, NotImplementedError):
        return None
    return slope.item(), sum((h * d).sum() for h, d in zip(seconds, ds, strict=True)).item()


def verdict(program, order, got, by_torch, fn, directions, both):
    scale = 1 + abs(got)
    if by_torch is not None and abs(got - by_torch) <= 1e-7 * scale:
        return "torch"
    numeric, error = difference(fn, program.arrays, directions)
    if not error <= 1e-4 * scale:
        return "undecided"
    if abs(got - numeric) <= 10 * error + 1e-6 * scale:
        return "differences"
    if both and (order == "second" or by_torch is None or not abs(by_torch - numeric) <= 1e-7 * scale):
        return "undecided"
    raise AssertionError(f"{order} derivative along a direction: {got}, by differences {numeric} (+-{error:.1g}), by PyTorch {by_torch}")


def difference(fn, arrays, directions):
    """The slope along the directions, and how far it can be trusted; infinitely little next to a kink."""

    def at(h):
        with np.errstate(all="ignore"):
            return fn([a + h * d for a, d in zip(arrays, directions, strict=True)])

    middle = at(0.0)
    best, least = 0.0, np.inf
    for step in (1e-3, 1e-2, 1e-4, 1e-5):
        sides = [(at(h), at(-h)) for h in (step, step / 2, step / 4)]
        slopes = [(up - down) / (2 * h) for (up, down), h in zip(sides, (step, step / 2, step / 4), strict=True)]
        bends = [abs(up + down - 2 * middle) / h for (up, down), h in zip(sides, (step, step / 2, step / 4), strict=True)]
        r1, r2 = (4 * slopes[1] - slopes[0]) / 3, (4 * slopes[2] - slopes[1]) / 3
        error = abs(r2 - r1) + 1e-14 * (abs(middle) + 1) / step
        kink = bends[2] > 0.6 * bends[0] + 1e-9 * (abs(middle) + 1) / step  # of a smooth function it is a quarter
        if not kink and error < least:
            best, least = (16 * r2 - r1) / 15, error
        if least < 1e-7 * (1 + abs(best)):
            break
    return best, least

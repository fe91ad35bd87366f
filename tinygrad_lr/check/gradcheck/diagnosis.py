"""How a gradient is wrong: patterns that wrong gradients show.

A pattern assumes what the right gradient would be (half as large, transposed, ...). The differences that found
the mismatch tell, without another evaluation, whether that gradient fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_lr.check.gradcheck.differences import ROUNDED, Floats, Line, balanced_step
from tinygrad_lr.check.gradcheck.estimates import SURE, estimated
from tinygrad_lr.check.gradcheck.search import Finding, Gradient, Search

SAME = 1e-6  # how closely numbers must agree to be taken as the same


class Pattern(NamedTuple):
    """A way of being wrong, and what the right gradient would then be (flat)."""

    note: str
    right: Floats


def recognised(gradient: Gradient, seen: Search, sizes: Iterable[int]) -> Pattern | None:
    """The pattern that explains the residuals of a whole gradient, if there is one."""
    slopes = [e.residual + line.predicted for e, line in zip(seen.estimates, seen.lines)]
    errors = [SURE * e.error + ROUNDED * e.quotients[1].noise for e in seen.estimates]
    visible = slopes[0] if abs(slopes[0]) > errors[0] else 0.0
    for pattern in patterns(gradient, seen.lines, visible, sizes):
        steps = [pattern.right * line.direction.ravel() for line in seen.lines]
        fits = [abs(step.sum() - slope) <= error + SAME * np.linalg.norm(step) for step, slope, error in zip(steps, slopes, errors)]
        if all(fits) and not np.allclose(pattern.right, gradient.gradient, rtol=SAME, atol=0):
            return pattern
    return None


def patterns(gradient: Gradient, lines: Sequence[Line], slope: float, sizes: Iterable[int]) -> Iterator[Pattern]:
    """All patterns worth trying on a gradient with more than one element."""
    g, shape = gradient.gradient, gradient.x.shape
    if gradient.n < 2 or not np.any(g):
        return
    if lines[0].predicted and slope:
        factor = lines[0].predicted / slope
        yield Pattern(f"every element is {times(factor, sizes)}", g / factor)
    shaped = g.reshape(shape)
    if len(shape) > 1:
        yield Pattern("the gradient is transposed", shaped.reshape(shape[::-1]).T.ravel())
        yield Pattern("the gradient is transposed", shaped.T.ravel())
        if shape[-1] == shape[-2]:
            yield Pattern("the gradient is transposed", np.swapaxes(shaped, -1, -2).ravel())
    for axis, n in enumerate(shape):
        along = f" along axis {axis}" if len(shape) > 1 else ""
        for shift in (1, -1) if n > 2 else ():
            yield Pattern(f"right values at the wrong index: all are shifted by {shift}{along}", np.roll(shaped, -shift, axis).ravel())
        yield Pattern(f"right values at the wrong index: the order is reversed{along}", np.flip(shaped, axis).ravel())


def times(factor: float, sizes: Iterable[int]) -> str:
    """A constant factor in words."""
    if abs(factor + 1) < SAME:
        return "-1 times the right one: the sign is wrong"
    for n in sorted({n for n in sizes if n > 2}):
        if abs(factor * n - 1) < SAME:
            return f"1/{n} of the right one, and {n} is a size here: divided by it once too often"
        if abs(factor / n - 1) < SAME:
            return f"{n} times the right one, and {n} is a size here: a division by it is missing"
    for below in range(1, 13):
        above = round(factor * below) if abs(factor) < 1e6 else 0
        if above and abs(factor * below / above - 1) < SAME:
            return f"{above if below == 1 else f'{above}/{below}'} times the right one"
    return f"{factor:.6g} times the right one"


def worst_places(gradient: Gradient, pattern: Pattern, n: int) -> list[int]:
    """Where the gradient and that of the pattern differ most."""
    off = np.abs(pattern.right - gradient.gradient) * gradient.scale
    return [int(i) for i in np.argsort(-off)[:n] if off[i] > 0]


def alike(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-5 * max(abs(a), abs(b))


def about_elements(gradient: Gradient, findings: list[Finding]) -> dict[int, str]:
    """For each wrong element what is remarkable about its value, if anything."""
    notes: dict[int, str] = {}
    values, counts = np.unique(gradient.gradient, return_counts=True)
    unique = {float(v) for v in values[counts == 1]}
    for f in findings:
        if not np.isfinite(f.analytic):
            notes[f.i] = "not finite"
            continue
        others = [o for o in findings if o.i != f.i and np.isfinite(o.analytic)]
        swapped = [o for o in others if f.numeric and alike(f.analytic, o.numeric)]
        moved = [o for o in others if alike(f.analytic - f.numeric, o.numeric - o.analytic)]
        equal = [int(i) for i in np.flatnonzero(np.abs(gradient.gradient - f.analytic) <= 1e-12 * abs(f.analytic)) if i != f.i]
        if f.analytic == 0:
            notes[f.i] = f"zero; its value arrived at {place(gradient, moved[0].i)}" if moved else "zero"
        elif swapped:
            notes[f.i] = f"the value that belongs to {place(gradient, swapped[0].i)}"
        elif moved:
            notes[f.i] = f"holds what belongs to {place(gradient, moved[0].i)}"
        elif f.numeric and any(alike(f.analytic, c * f.numeric) for c in (-1, 2, 0.5)):
            notes[f.i] = times(f.analytic / f.numeric, ())
        elif len(equal) == 1 and f.analytic not in unique:
            notes[f.i] = f"the same value as at {place(gradient, equal[0])}"
    return notes


def place(gradient: Gradient, i: int) -> str:
    return f"[{', '.join(str(int(j)) for j in np.unravel_index(i, gradient.x.shape))}]"


def common_factor(findings: list[Finding]) -> str | None:
    """What several wrong elements have in common, if each is the same multiple of what it should be."""
    if len(findings) < 2 or not all(f.numeric and f.analytic and np.isfinite(f.analytic) for f in findings):
        return None
    factors = [f.analytic / f.numeric for f in findings]
    if not all(alike(factor, factors[0]) for factor in factors):
        return None
    return f"each wrong element is {times(float(np.median(factors)), ())}"


def one_triangle(gradient: Gradient, line: Line) -> Finding | None:
    """The element that differs most, if the function reads only one triangle of its matrices and the gradient is the symmetric one.

    Gradient and differences then agree along symmetric directions, and along no others.
    """
    shape, step = gradient.x.shape, balanced_step(line.eps)
    if len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < 2:
        return None
    g, direction = gradient.gradient.reshape(shape), line.direction.reshape(shape)
    if not np.allclose(g, np.swapaxes(g, -1, -2), rtol=SAME, atol=SAME * np.abs(g).max()):
        return None
    lower = np.tri(shape[-1], k=-1, dtype=bool)
    unread = [name for name, mask in (("upper", lower.T), ("lower", lower)) if gradient.line((direction * mask).ravel()).at(step).still]
    along = gradient.line((direction + np.swapaxes(direction, -1, -2)).ravel())
    if len(unread) != 1 or estimated(along, gradient.allowed(along.direction.ravel())).exceeds(gradient.allowed(along.direction.ravel())):
        return None
    read = {"upper": "lower", "lower": "upper"}[unread[0]]
    found = gradient.look_at(int(np.argmax(np.abs(g * lower) * gradient.scale.reshape(shape))))
    symmetrised = f"lambda a: f((a + a.{'T' if len(shape) == 2 else 'mT'}) / 2)"
    note = f"fn reads the {read} triangle only, and the gradient is that for a symmetric matrix: check {symmetrised}"
    return found._replace(verdict="convention", note=note)


class Misshapen(NamedTuple):
    """A gradient of another shape than its input."""

    note: str
    mended: Floats | None  # the gradient in the input's shape, if a sum or another layout produces it
    part: Floats | None  # one slice of it in the input's shape, without the sum


def misshapen(given: Floats, shape: tuple[int, ...]) -> Misshapen:
    """What is wrong with a gradient whose shape is not that of its input."""
    problem = f"the gradient has shape {given.shape}, the input {shape}"
    extra = max(given.ndim - len(shape), 0)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if given.ndim == len(shape) + extra and n == 1 != given.shape[i + extra])
    summed = given.sum(axis=axes)
    if axes and summed.size == math.prod(shape) != given.size:
        named = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
        part = given[tuple(0 if i in axes else slice(None) for i in range(given.ndim))]
        return Misshapen(f"{problem}: the sum over the broadcast {named} is missing", summed.reshape(shape), part.reshape(shape))
    if given.size == math.prod(shape):
        return Misshapen(problem, given.reshape(shape), given.reshape(shape))
    return Misshapen(problem, None, None)

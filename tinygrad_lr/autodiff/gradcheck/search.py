"""Finding the wrong elements of a gradient in a handful of evaluations.

The gradient of one input is compared with differences along a pair of random directions d and d c. Every element
i has its own code c_i, so when a single one is wrong by e, the residuals are e d_i and e d_i c_i: their ratio names the
element, however many there are, and a check of that element alone confirms it. When the ratio is nobody's code,
several elements are wrong: the set is halved, one half is measured, the other's residuals are what remains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.autodiff.gradcheck.differences import ROUNDED, SURE, Estimate, Floats, Line, estimated, precise, repeated

LIMIT = 12  # suspicious elements after which the search ends: then most of them are
HALVINGS = 400


class Problem(NamedTuple):
    """A function at a point, and the gradient in question there.

    Attributes
    ----------
    order : int
        What the function is: 1 for the user's own, 2 for its gradient.
    names : list of str
    inputs : list of float64 arrays
    exact : list of float64 arrays
        The gradient in question, computed in float64.
    values : callable
        ``values(inputs)`` gives all answers in a row.
    weights, centre : arrays
        What the answers are multiplied with and then summed; the answers at the inputs.
    eps : float
        The relative rounding error of an answer.
    """

    order: int
    names: list[str]
    inputs: list[Floats]
    exact: list[Floats]
    values: Callable[[list[Any]], Floats]
    weights: Floats
    centre: Floats
    eps: float


class Tolerance(NamedTuple):
    """How far an element may be off: ``absolute + relative * |element|``; and how far float32 may be from float64."""

    relative: float
    absolute: float


class Finding(NamedTuple):
    """One element that was looked at.

    Attributes
    ----------
    i : int
        Its place in the flat array.
    analytic, numeric : float
    verdict : str
    left, right : float
        The one-sided slopes, for a kink.
    floor : float
        The slope below which rounding hides everything.
    """

    i: int
    analytic: float
    numeric: float
    verdict: str
    left: float = np.nan
    right: float = np.nan
    floor: float = 0.0

    @property
    def error(self) -> float:
        """The relative error of the analytic value."""
        return relative_error(self.analytic, self.numeric, self.floor)


def relative_error(analytic: float, numeric: float, floor: float = 0.0) -> float:
    """|analytic - numeric| as a part of the larger one, or of the smallest slope that rounding lets one see."""
    size = max(abs(analytic), abs(numeric), floor)
    return abs(analytic - numeric) / size if size else 0.0


class Gradient:
    """The gradient of one input, and how it is measured.

    Directions are in units of x: the larger of |x_i| and the median of the others.
    """

    def __init__(self, problem: Problem, k: int, tolerance: Tolerance) -> None:
        self.problem, self.k, self.tolerance = problem, k, tolerance
        self.x = problem.inputs[k]
        self.n = self.x.size
        self.exact = problem.exact[k].ravel()
        self.finite = np.isfinite(self.exact)
        sizes = np.abs(self.x.ravel())
        typical = float(np.median(sizes[sizes > 0])) if np.any(sizes > 0) else 1.0
        self.scale = np.maximum(sizes, typical)
        self.gradient = np.where(self.finite, self.exact, 0.0)

    def values(self, x: Floats) -> Floats:
        """All answers with this input replaced."""
        return self.problem.values([*self.problem.inputs[: self.k], x, *self.problem.inputs[self.k + 1 :]])

    def line(self, direction: Floats) -> Line:
        """The function along a (flat) direction."""
        shaped = direction.reshape(self.x.shape)
        return Line(self.values, self.problem.weights, self.problem.centre, self.x, self.gradient.reshape(self.x.shape), shaped, self.problem.eps)

    def allowed(self, direction: Floats) -> float:
        """How large a residual may be along a direction when every element is within its tolerance.

        With random signs the errors add up to hardly more than four times the root of the sum of their squares.
        """
        each = (self.tolerance.absolute + self.tolerance.relative * np.abs(self.gradient)) * direction
        return (SURE if np.count_nonzero(direction) > 1 else 1.0) * float(np.sqrt(each @ each))

    def whole(self, direction: Floats) -> float:
        """The size of the gradient along a direction, whatever the signs."""
        return float(np.linalg.norm(self.gradient * direction.ravel()))

    def unit(self, i: int) -> Floats:
        direction = np.zeros(self.n)
        direction[i] = self.scale[i]
        return direction

    def look_at(self, i: int) -> Finding:
        """Compare one element with its difference quotient: ok, wrong, kink, or limited by precision."""
        analytic, scale = float(self.exact[i]), float(self.scale[i])
        line = self.line(self.unit(i))
        found = estimated(line, self.allowed(line.direction.ravel()))
        slope = (found.residual + line.predicted) / scale
        tolerance = (self.tolerance.absolute + self.tolerance.relative * max(abs(analytic), abs(slope))) * scale
        fine, coarse = found.quotients
        left, right = coarse.left / scale, coarse.right / scale
        if not self.finite[i]:
            return Finding(i, analytic, slope, "wrong" if np.isfinite(slope) else "precision")
        if found.negligible or abs(found.residual) <= tolerance + ROUNDED * coarse.noise:
            return Finding(i, analytic, slope, "ok")
        jump, coarse_jump = abs(fine.right - fine.left), abs(coarse.right - coarse.left)
        lasts = jump > 2 * tolerance and coarse_jump / 2 <= jump <= 2 * coarse_jump
        if lasts and min(left, right) - tolerance / scale <= analytic <= max(left, right) + tolerance / scale:
            return Finding(i, analytic, slope, "kink", left, right)
        return Finding(i, analytic, slope, "wrong" if found.exceeds(tolerance) else "precision")

    def look_closely_at(self, i: int, step: float) -> Finding:
        """The same for an element of a gradient that has passed, with all the digits that can be had."""
        line = self.line(self.unit(i))
        residual, noise = precise(line, step)
        scale = float(self.scale[i])
        return Finding(i, float(self.exact[i]), (residual + line.predicted) / scale, "ok", floor=noise / scale)


class Pair:
    """A pair of random directions that tell elements apart.

    Magnitudes are spread over [0.5, 1.5] and signs are random, so that errors do not cancel; codes are spread
    evenly over [0.5, 1.5] with random signs.
    """

    def __init__(self, gradient: Gradient, rng: np.random.Generator) -> None:
        n = gradient.n
        self.gradient = gradient
        self.first = gradient.scale * np.where(gradient.finite, rng.uniform(0.5, 1.5, n) * rng.choice((-1.0, 1.0), n), 0.0)
        self.codes = (0.5 + (rng.permutation(n) + 0.5) / max(n, 1)) * rng.choice((-1.0, 1.0), n)

    def lines(self, members: Any = slice(None)) -> tuple[Line, Line]:
        """Both directions, restricted to some elements."""
        direction = np.zeros(self.gradient.n)
        direction[members] = self.first[members]
        return self.gradient.line(direction), self.gradient.line(direction * self.codes)


class Search(NamedTuple):
    """What a search found.

    Attributes
    ----------
    estimates : pair of Estimate
        The residuals of the whole gradient.
    lines : pair of Line
    mismatch : bool
        Whether the gradient as a whole is off.
    limited : bool
        Whether it could not be seen exactly enough to tell.
    findings : list of Finding
        The elements that explain the mismatch.
    complete : bool
        Whether they explain all of it.
    """

    estimates: tuple[Estimate, Estimate]
    lines: tuple[Line, Line]
    mismatch: bool
    limited: bool
    findings: list[Finding]
    complete: bool


def search(gradient: Gradient, rng: np.random.Generator, explained: Callable[[Search], list[Finding]]) -> Search:
    """Check a gradient as a whole, and on a mismatch find its wrong elements.

    ``explained`` may recognise a pattern from the residuals of the whole; it gives elements that show it, or nothing.
    """
    pair = Pair(gradient, rng)
    lines = pair.lines()
    tolerances = [gradient.allowed(line.direction.ravel()) for line in lines]
    first = estimated(lines[0], tolerances[0])
    second = repeated(lines[1], first) if first.exceeds(tolerances[0]) else estimated(lines[1], tolerances[1])
    estimates = (first, second)
    noise = [ROUNDED * e.quotients[1].noise for e in estimates]
    mismatch = any(e.exceeds(t) and abs(e.residual) > n for e, t, n in zip(estimates, tolerances, noise))
    limited = not mismatch and any(e.hides(t) and not line.flat(e.quotients[1]) for e, t, line in zip(estimates, tolerances, lines))
    broken = [Finding(int(i), float(gradient.exact[i]), 0.0, "wrong") for i in np.flatnonzero(~gradient.finite)[:LIMIT]]
    findings = [gradient.look_at(finding.i) for finding in broken]
    result = Search(estimates, lines, mismatch, limited, findings, complete=True)
    if not mismatch:
        return result
    if found := explained(result):
        return result._replace(findings=findings + found)
    found, complete = placed(gradient, pair, estimates)
    return result._replace(findings=findings + found, complete=complete)


def placed(gradient: Gradient, pair: Pair, estimates: tuple[Estimate, Estimate]) -> tuple[list[Finding], bool]:
    """The elements that the residuals of the whole come from, and whether they explain all of it."""
    steps = [e.step for e in estimates]
    errors = [e.error + ROUNDED * e.quotients[1].noise for e in estimates]
    findings: dict[int, Finding] = {}
    stack = [(np.flatnonzero(gradient.finite), estimates[0].residual, estimates[1].residual)]
    for _ in range(HALVINGS):
        if not stack or sum(f.verdict != "ok" for f in findings.values()) >= LIMIT:
            break
        members, first, second = stack.pop()
        named = members if len(members) == 1 else decoded(pair, members, first, second, errors)
        for i in named:
            if int(i) not in findings:
                findings[int(i)] = found = gradient.look_at(int(i))
                share = (found.numeric - found.analytic) * pair.first[i] if found.verdict != "ok" else 0.0
                first, second = first - share, second - share * pair.codes[i]
        lines = pair.lines(members)
        tolerances = [gradient.allowed(line.direction.ravel()) + 2 * error for line, error in zip(lines, errors)]
        if len(members) < 2 or (abs(first) <= tolerances[0] and abs(second) <= tolerances[1]):
            continue
        half, rest = members[: len(members) // 2], members[len(members) // 2 :]
        known = [f for i, f in findings.items() if i in half and f.verdict != "ok"]
        residuals = [line.at(step).residual for line, step in zip(pair.lines(half), steps)]
        for found in known:
            share = (found.numeric - found.analytic) * pair.first[found.i]
            residuals = [residuals[0] - share, residuals[1] - share * pair.codes[found.i]]
        stack.append((rest, first - residuals[0], second - residuals[1]))
        stack.append((half, residuals[0], residuals[1]))
    return [f for f in findings.values() if f.verdict != "ok"], not stack


def decoded(pair: Pair, members: Any, first: float, second: float, errors: list[float]) -> Any:
    """The element whose code is the ratio of the residuals, if there is one."""
    if abs(first) <= 2 * errors[0]:
        return members[:0]
    ratio = second / first
    apart = np.abs(pair.codes[members] - ratio)
    blurred = (errors[1] + abs(ratio) * errors[0]) / abs(first)
    best = int(np.argmin(apart))
    return members[best : best + 1] if apart[best] <= max(2 * blurred, 1e-7) else members[:0]

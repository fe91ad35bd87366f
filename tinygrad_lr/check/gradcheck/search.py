"""Finding the wrong elements of a gradient in a handful of evaluations.

The gradient of one input is compared with differences along a pair of random directions d and d c. Every element
i has its own code c_i, so if a single one is wrong by e, the residuals are e d_i and e d_i c_i: their ratio names the
element, however many there are, and a check of that element alone confirms it. If the ratio is not the code of any element,
several are wrong: the set is halved, one half is measured, and the other half has what remains of the residuals.
Kinks are found in the same way, by the change of slope in place of the residual: it is |e d_i|, and |c_i| is the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_lr.autodiff.rules.registry import Array
from tinygrad_lr.check.gradcheck.differences import FINEST, RATIO, ROUNDED, Floats, Line, Sides, balanced_step, next_step
from tinygrad_lr.check.gradcheck.estimates import STEEPER, SURE, Estimate, estimated, precise, repeated

LIMIT = 12  # suspicious elements after which the search ends
HALVINGS = 400
JUMPS = "the slope grows without bound as the step shrinks"
NEAR = 2.0**-20  # how far from the point, in units of x, a continuous gradient must still be the same
DISTANCE = 2.0**-6  # over which it is integrated, in units of x
PROMINENT = 1e-3  # the part of the results that a residual must add up to, to be believed against an integral
GAUSS = (  # points and weights of the five-point rule on [-1, 1], for an average
    *((-0.9061798459386640, 0.1184634425280945), (-0.5384693101056831, 0.2393143352496832), (0.0, 0.2844444444444444)),
    *((0.5384693101056831, 0.2393143352496832), (0.9061798459386640, 0.1184634425280945)),
)


class Problem(NamedTuple):
    """A function at a point, and the gradient in question there."""

    order: int  # of the gradient: at 1 the function is the user's own, at 2 it is its gradient
    names: list[str]
    inputs: list[Floats]
    exact: list[Floats]  # the gradient in question, computed in float64
    values: Callable[[Sequence[Array]], Floats]  # of inputs: all results as one flat array
    weights: Floats  # what the results are multiplied with before they are summed
    centre: Floats  # the results at the inputs
    eps: float  # the relative rounding error of a result
    inside: Callable[[], float]  # what rounding inside the function does to the weighted results
    blur: Callable[[int, Floats], float]  # of k and a direction: what rounding does to the gradient of input k along it
    slope: Callable[[int, Floats, Floats], float]  # of k, x and a direction: the gradient of input k at another point x, along the direction


class Tolerance(NamedTuple):
    """How far an element may be off: ``absolute + relative * |element|``; and how far float32 may be from float64."""

    relative: float
    absolute: float


class Finding(NamedTuple):
    """One element that was looked at."""

    i: int  # its index in the flat array; -1 for the array as a whole
    analytic: float
    numeric: float
    verdict: str
    left: float = np.nan  # the one-sided slopes, at a kink
    right: float = np.nan
    floor: float = 0.0  # the slope below which rounding hides everything
    note: str = ""  # what else was seen

    @property
    def error(self) -> float:
        """The relative error of the analytic value."""
        return relative_error(self.analytic, self.numeric, self.floor)

    @property
    def bent(self) -> bool:
        """Whether the slopes on the two sides differ."""
        return bool(np.isfinite(self.left))


def relative_error(analytic: float, numeric: float, floor: float = 0.0) -> float:
    """|analytic - numeric| relative to the larger of them, or to the smallest slope that rounding does not hide."""
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
        self.free = self.finite  # the elements that can be moved in both directions
        sizes = np.abs(self.x.ravel())
        typical = float(np.median(sizes[sizes > 0])) if np.any(sizes > 0) else 1.0
        self.scale = np.maximum(sizes, typical)
        self.gradient = np.where(self.finite, self.exact, 0.0)

    def values(self, x: Array) -> Floats:
        """All results with this input replaced."""
        return self.problem.values([*self.problem.inputs[: self.k], x, *self.problem.inputs[self.k + 1 :]])

    def line(self, direction: Floats) -> Line:
        """The function along a (flat) direction."""
        shaped, problem = direction.reshape(self.x.shape), self.problem
        return Line(self.values, problem.weights, problem.centre, self.x, self.gradient.reshape(self.x.shape), shaped, problem.eps, problem.inside)

    def allowed(self, direction: Floats) -> float:
        """How large a residual along a direction may be if every element is within its tolerance.

        With random signs the errors rarely add up to more than four times the root of the sum of their squares.
        """
        each = (self.tolerance.absolute + self.tolerance.relative * np.abs(self.gradient)) * direction
        return (SURE if np.count_nonzero(direction) > 1 else 1.0) * float(np.sqrt(each @ each))

    def whole(self, direction: Floats) -> float:
        """The size of the gradient along a direction, whatever the signs."""
        return float(np.linalg.norm(self.gradient * direction.ravel()))

    def blur(self, line: Line) -> float:
        """What rounding may do to the gradient along a line."""
        return ROUNDED * self.problem.blur(self.k, line.direction)

    def proved(self, line: Line, estimate: Estimate) -> bool:
        """Whether the gradient is right in spite of a residual: it is continuous at the point, and its integral is the change of the function.

        If the results are rounded coarsely compared with their changes, short differences see the steps of a staircase. Over a longer
        distance the steps do not count, and Gauss's rule leaves no truncation.
        """

        def slope(step: float) -> float:
            return self.problem.slope(self.k, self.x + step * line.direction, line.direction)

        doubt = abs(estimate.residual) / 4
        if estimate.rise > PROMINENT or not abs(slope(NEAR) - line.predicted) <= doubt:
            return False
        average = sum(weight * slope(DISTANCE * place) for place, weight in GAUSS)
        return abs(line.at(DISTANCE).residual + line.predicted - average) <= doubt

    def unit(self, i: int) -> Floats:
        direction = np.zeros(self.n)
        direction[i] = self.scale[i]
        return direction

    def look_at(self, i: int, expected: float | None = None) -> Finding:
        """Compare one element with its difference quotient: ok, wrong, kink, or limited by precision."""
        analytic, scale = float(self.exact[i]), float(self.scale[i])
        line = self.line(self.unit(i))
        found = estimated(line, self.allowed(line.direction.ravel()), expected)
        slope = (found.residual + line.predicted) / scale
        tolerance = (self.tolerance.absolute + self.tolerance.relative * max(abs(analytic), abs(slope))) * scale
        if not (self.finite[i] and np.isfinite(slope)):
            return self.look_at_edge(i, line, found)
        off = not found.negligible and abs(found.residual) > tolerance + min(found.error, ROUNDED * found.quotients[1].noise)
        sides = kink(line, found, off, tolerance)
        if sides is not None and sides.hold(line.predicted, tolerance):
            return Finding(i, analytic, slope, "kink", sides.left / scale, sides.right / scale)
        if not off:
            return Finding(i, analytic, slope, "ok")
        if found.unbounded:
            return Finding(i, analytic, slope, "kink", note=JUMPS)
        if not found.exceeds(tolerance) or not found.exceeds(tolerance + self.blur(line)) or self.proved(line, found):
            return Finding(i, analytic, slope, "precision")
        left, right = (np.nan, np.nan) if sides is None else (sides.left / scale, sides.right / scale)
        return Finding(i, analytic, slope, "wrong", left, right)

    def look_at_edge(self, i: int, line: Line, found: Estimate) -> Finding:
        """An element that is not finite, or where the function is defined on at most one side."""
        analytic, scale = float(self.exact[i]), float(self.scale[i])
        slope = (found.residual + line.predicted) / scale
        if np.isfinite(slope):
            if found.error <= abs(found.residual):
                return Finding(i, analytic, slope, "wrong")
            return Finding(i, analytic, slope, "unchecked", note=f"not finite; {JUMPS}")
        coarse = line.at(balanced_step(line.eps))
        fine = line.at(coarse.step / RATIO)
        near, far = (fine.left, coarse.left) if np.isfinite(fine.left) else (fine.right, coarse.right)
        if not self.finite[i] or not np.isfinite(near) or abs(near) > STEEPER * abs(far):
            why = "fn is not defined on both sides here" if self.finite[i] else "not finite"
            return Finding(i, analytic, slope, "unchecked", note=f"{why}, and no slope can be compared with it")
        tolerance = (self.tolerance.absolute + self.tolerance.relative * abs(analytic)) * scale
        off = abs(near - line.predicted) > tolerance + SURE * abs(near - far)
        return Finding(i, analytic, near / scale, "wrong" if off else "ok", note="fn is defined on one side only")

    def look_closely_at(self, i: int, step: float) -> Finding:
        """The same for an element of a gradient that has passed, with as many digits as possible."""
        line = self.line(self.unit(i))
        residual, noise = precise(line, step)
        scale = float(self.scale[i])
        return Finding(i, float(self.exact[i]), (residual + line.predicted) / scale, "ok", floor=noise / scale)

    def look_for_jump_at(self, i: int) -> Finding:
        """Whether the function jumps at an element where a lower order has found a kink."""
        line = self.line(self.unit(i))
        coarse = line.at(balanced_step(line.eps))
        fine = line.at(coarse.step / RATIO)
        grows = abs(fine.residual) > STEEPER * abs(coarse.residual)
        slope = (fine.residual + line.predicted) / float(self.scale[i])
        return Finding(i, float(self.exact[i]), slope, "kink" if grows else "ok", note=JUMPS if grows else "")

    def edges(self, step: float) -> list[int]:
        """The elements that cannot be moved in both directions, found by halving: the first few of them."""
        found: list[int] = []
        stack = [np.flatnonzero(self.free)]
        while stack and len(found) <= LIMIT:
            members = stack.pop()
            direction = np.zeros(self.n)
            direction[members] = self.scale[members]
            if not len(members) or np.isfinite(self.line(direction).at(step).residual):
                continue
            half = len(members) // 2
            stack += [members[half:], members[:half]] if half else []
            found += [] if half else [int(members[0])]
        return found


def kink(line: Line, found: Estimate, off: bool, tolerance: float) -> Sides | None:
    """The slopes on both sides of the point, if they differ at every step."""
    fine, coarse = found.quotients
    if coarse.step < found.step:
        fine = coarse = line.at(found.step)
    size = max(abs(line.predicted), abs(line.predicted + found.residual))
    if not (abs(coarse.jump) >= abs(found.residual) if off else line.bent(coarse, size)):
        return None
    sides = line.sides(coarse)
    if not sides.apart(tolerance):
        return None
    if not off:  # nothing has been seen at a finer step
        fine = line.at(max(FINEST, next_step(4 * ROUNDED * coarse.noise * coarse.step / abs(sides.jump))))
    return sides if 0.5 <= fine.jump / sides.jump <= 2 else None


Members = npt.NDArray[np.intp]
"""Indices of elements."""


class Pair:
    """A pair of random directions that tell elements apart.

    Magnitudes are random in [0.5, 1.5] and signs are random, so that errors do not cancel; codes are evenly
    spaced over [0.5, 1.5], with random signs.
    """

    def __init__(self, gradient: Gradient, rng: np.random.Generator) -> None:
        n = gradient.n
        self.gradient = gradient
        self.first = gradient.scale * np.where(gradient.free, rng.uniform(0.5, 1.5, n) * rng.choice((-1.0, 1.0), n), 0.0)
        self.codes = (0.5 + (rng.permutation(n) + 0.5) / max(n, 1)) * rng.choice((-1.0, 1.0), n)

    def lines(self, members: Members | slice = slice(None)) -> tuple[Line, Line]:
        """Both directions, restricted to some elements."""
        direction = np.zeros(self.gradient.n)
        direction[members] = self.first[members]
        return self.gradient.line(direction), self.gradient.line(direction * self.codes)


Amounts = tuple[float, float]
"""What is measured along both lines of a pair."""


class Residuals:
    """How far the slopes along the pair are off: the sums of e_i d_i and of e_i d_i c_i."""

    def __init__(self, pair: Pair, estimates: tuple[Estimate, Estimate]) -> None:
        self.pair, self.codes = pair, pair.codes
        self.steps = [e.step for e in estimates]
        self.totals = (estimates[0].residual, estimates[1].residual)
        self.errors = [e.error + ROUNDED * e.quotients[1].noise for e in estimates]

    def measured(self, lines: tuple[Line, Line]) -> Amounts:
        return lines[0].at(self.steps[0]).residual, lines[1].at(self.steps[1]).residual

    def share(self, f: Finding) -> float:
        """An element's part along the first direction."""
        return (f.numeric - f.analytic) * self.pair.first[f.i] if f.verdict != "ok" and self.pair.first[f.i] else 0.0

    def expected(self, i: int, total: float) -> float | None:
        """How far an element would be off, along `Gradient.unit`, if it were the only one."""
        return total * float(self.pair.gradient.scale[i] / self.pair.first[i])


class Jumps:
    """How much the slopes along the pair change at the point: the sums of e_i |d_i| and of e_i |d_i c_i|."""

    def __init__(self, pair: Pair, step: float, first: Sides) -> None:
        self.pair, self.codes, self.step = pair, np.abs(pair.codes), step
        second = self.sides(pair.lines()[1])
        self.totals = (first.jump, second.jump)
        self.errors = [first.error, second.error]

    def sides(self, line: Line) -> Sides:
        return line.sides(line.at(self.step))

    def measured(self, lines: tuple[Line, Line]) -> Amounts:
        return self.sides(lines[0]).jump, self.sides(lines[1]).jump

    def share(self, f: Finding) -> float:
        return (f.right - f.left) * abs(self.pair.first[f.i]) if f.bent else 0.0

    def expected(self, i: int, total: float) -> float | None:
        return None


class Search(NamedTuple):
    """What a search found."""

    estimates: tuple[Estimate, Estimate]  # of the residuals of the whole gradient
    lines: tuple[Line, Line]
    mismatch: bool  # whether the gradient as a whole is off
    limited: bool  # whether it could not be measured precisely enough to tell
    findings: list[Finding]  # the elements that explain the mismatch, and those at a kink
    complete: bool  # whether they explain all of it
    bent: bool  # whether the slope changes at the point, along the first direction


def search(gradient: Gradient, rng: np.random.Generator, explained: Callable[[Search], list[Finding]]) -> Search:
    """Check a gradient as a whole, and if there is a mismatch find its wrong elements.

    ``explained`` may recognise a pattern in the residuals of the whole; it returns elements that show it, or none.
    """
    pair, lines, first = started(gradient, rng)
    tolerances = [gradient.allowed(line.direction.ravel()) for line in lines]
    second = repeated(lines[1], first) if first.exceeds(tolerances[0]) else estimated(lines[1], tolerances[1])
    estimates = (first, second)
    seen = [e.exceeds(t) for e, t in zip(estimates, tolerances)]
    sure = [s and e.exceeds(t + gradient.blur(line)) for s, e, t, line in zip(seen, estimates, tolerances, lines)]
    mismatch = any(sure) and not gradient.proved(lines[sure.index(True)], estimates[sure.index(True)])
    limited = not mismatch and any(s or (e.hides(t) and not line.flat(e.quotients[1])) for s, e, t, line in zip(seen, estimates, tolerances, lines))
    findings = {int(i): gradient.look_at(int(i)) for i in np.flatnonzero(~gradient.free)[:LIMIT]}
    jump = bend(gradient, lines[0], first)
    findings |= {} if jump is None else kinks(gradient, pair, jump)
    result = Search(estimates, lines, mismatch, limited, list(findings.values()), complete=True, bent=jump is not None)
    if not mismatch:
        return result
    if found := explained(result):
        return result._replace(findings=[*findings.values(), *found])
    findings, complete = placed(gradient, pair, Residuals(pair, estimates), findings)
    return result._replace(findings=[f for f in findings.values() if f.verdict != "ok"], complete=complete)


def started(gradient: Gradient, rng: np.random.Generator) -> tuple[Pair, tuple[Line, Line], Estimate]:
    """A pair of directions, and the estimate along the first. Elements that cannot be moved in both directions are left out."""
    pair = Pair(gradient, rng)
    lines = pair.lines()
    first = estimated(lines[0], gradient.allowed(lines[0].direction.ravel()))
    if np.isfinite(first.residual) or not 0 < len(edges := gradient.edges(balanced_step(gradient.problem.eps))) <= LIMIT:
        return pair, lines, first
    gradient.free = gradient.free & ~np.isin(np.arange(gradient.n), edges)
    pair = Pair(gradient, rng)
    lines = pair.lines()
    return pair, lines, estimated(lines[0], gradient.allowed(lines[0].direction.ravel()))


def bend(gradient: Gradient, line: Line, estimate: Estimate) -> Sides | None:
    """The slopes of the whole on both sides along a direction, if they differ."""
    step = balanced_step(line.eps)
    coarse = estimate.quotients[1] if estimate.quotients[1].step == step else line.at(step)
    if not np.isfinite(coarse.residual) or not line.bent(coarse, gradient.whole(line.direction)):
        return None
    sides = line.sides(coarse)
    return sides if sides.apart(gradient.allowed(line.direction.ravel())) else None


def kinks(gradient: Gradient, pair: Pair, jump: Sides) -> dict[int, Finding]:
    """The elements that a change of slope along the first direction comes from."""
    findings, _ = placed(gradient, pair, Jumps(pair, balanced_step(gradient.problem.eps), jump), {})
    return {i: f for i, f in findings.items() if f.bent}


def placed(gradient: Gradient, pair: Pair, trace: Residuals | Jumps, findings: dict[int, Finding]) -> tuple[dict[int, Finding], bool]:
    """The findings, with those elements added that the measurements of the whole come from; and whether they explain all of it."""
    findings = dict(findings)
    stack: list[tuple[Members, float, float]] = [(np.flatnonzero(gradient.free), *remaining(trace, trace.totals, findings.values()))]
    for _ in range(HALVINGS):
        if not stack or sum(f.verdict != "ok" for f in findings.values()) >= LIMIT:
            break
        members, first, second = stack.pop()
        named = members if len(members) == 1 else decoded(trace, members, first, second)
        for i in map(int, named):
            if i not in findings:
                findings[i] = gradient.look_at(i, trace.expected(i, first))
                first, second = remaining(trace, (first, second), [findings[i]])
        tolerances = [gradient.allowed(line.direction.ravel()) + 2 * error for line, error in zip(pair.lines(members), trace.errors)]
        if len(members) < 2 or (abs(first) <= tolerances[0] and abs(second) <= tolerances[1]):
            continue
        half, rest = members[: len(members) // 2], members[len(members) // 2 :]
        seen = remaining(trace, trace.measured(pair.lines(half)), [f for i, f in findings.items() if i in half])
        stack.append((rest, first - seen[0], second - seen[1]))
        stack.append((half, *seen))
    return findings, not stack


def remaining(trace: Residuals | Jumps, totals: Amounts, known: Iterable[Finding]) -> Amounts:
    """What is left along the pair without the shares of known elements."""
    shares = [(trace.share(f), float(trace.codes[f.i])) for f in known]
    return totals[0] - sum(share for share, _ in shares), totals[1] - sum(share * code for share, code in shares)


def decoded(trace: Residuals | Jumps, members: Members, first: float, second: float) -> Members:
    """The element whose code is the ratio of the measurements, if there is one."""
    if abs(first) <= 2 * trace.errors[0]:
        return members[:0]
    ratio = second / first
    apart = np.abs(trace.codes[members] - ratio)
    blurred = (trace.errors[1] + abs(ratio) * trace.errors[0]) / abs(first)
    best = int(np.argmin(apart))
    return members[best : best + 1] if apart[best] <= max(2 * blurred, 1e-7) else members[:0]

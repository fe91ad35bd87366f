"""How far a gradient is off along a line, and how far that can be trusted.

Differences at one step cannot tell a wrong gradient from rounding, a kink nearby, or a function that oscillates faster than the
step. Several steps can: a wrong gradient is off by the same at every step, rounding counts less at longer ones, truncation
less at shorter ones. So a mismatch counts when a fine, an ordinary and a long step agree on it; otherwise steps are followed from
fine to coarse, and an error estimate says what is left of it.
"""

from __future__ import annotations

from itertools import count, pairwise, takewhile
from typing import NamedTuple

import numpy as np

from tinygrad_lr.check.gradcheck.differences import EPS, FINEST, RATIO, ROUNDED, Line, Quotient, balanced_step, next_step

REACH = 2.0**4  # the longest step, in units of x or of 1, whichever is longer
LONG = 2.0**-10  # a step that is still short, but shows what a function does beyond its slope
SURE = 4.0  # how many times its error estimate a residual must be to count
HIDDEN = 1e3  # how many times the tolerance an error may be before the report says that precision is limited
NOISY = 1e-12  # noise in the results beyond what rounding explains
ALIKE = 0.05  # how closely neighbouring quotients agree on a plateau
PATIENCE = 3  # steps without a smaller error before stopping
VISIBLE = 1e-4  # the part of the results that a mismatch must add up to, to be believed against longer steps
STEEPER = 1.5  # how much steeper each finer step is, at least, where a slope grows without bound


class Estimate(NamedTuple):
    """What is known about a residual."""

    residual: float
    error: float  # how far the residual may be off
    step: float  # where it was measured
    quotients: tuple[Quotient, Quotient]  # at the finest step that could be trusted, and at a coarser one
    noise: float = 0.0  # how much the results were seen to be off, relative to their size
    negligible: bool = False  # whether all that was seen is rounding, compared with what the function does a short distance away
    unbounded: bool = False  # whether the slope grows without bound as the step shrinks: at a jump, or at an infinite slope
    rise: float = 1.0  # what the residual adds up to over the steps at which it was seen, as a part of the results

    def exceeds(self, tolerance: float) -> bool:
        """Whether the residual is certainly larger than the tolerance."""
        return not self.negligible and abs(self.residual) > tolerance + SURE * self.error

    def within(self, tolerance: float) -> bool:
        """Whether the residual is no larger than the tolerance, and its error does not hide more."""
        return abs(self.residual) <= tolerance and self.error <= tolerance

    def hides(self, tolerance: float) -> bool:
        """Whether the error could hide far more than the tolerance."""
        return not self.negligible and (not self.error <= HIDDEN * tolerance or self.noise > NOISY)


def estimated(line: Line, tolerance: float, expected: float | None = None) -> Estimate:
    """The residual along ``line``, as precisely as needed to tell whether it exceeds ``tolerance``.

    Two evaluations are enough if the gradient is right, or off by what other lines led one to expect. Otherwise the mismatch is
    looked for at other steps (`confirmed`); if they disagree, or rounding hides the gradient itself, steps are followed
    from fine to coarse (`climbed`), and a complex step is tried.
    """
    first = line.at(balanced_step(line.eps))
    residual = abs(first.residual)
    if not np.isfinite(residual):
        return sharpened(line, climbed(line, FINEST, tolerance), tolerance)
    if residual > tolerance + ROUNDED * first.noise:
        alike = expected is not None and abs(first.residual - expected) <= ALIKE * abs(expected)
        found = Estimate(first.residual, ROUNDED * first.noise, first.step, (first, first))
        if alike and found.exceeds(tolerance):
            return found
        first = line.looked_inside(first)
    rounding = ROUNDED * first.noise
    if residual <= tolerance + rounding:
        if rounding <= HIDDEN * tolerance or line.flat(first):
            return Estimate(first.residual, min(rounding, residual), first.step, (first, first))
        found = climbed(line, first.step * max(1.0, 1 / line.unit), tolerance)
        found = found if np.isfinite(found.residual) else climbed(line, RATIO * first.step, tolerance)
        return sharpened(line, found, tolerance)
    finer = max(FINEST, next_step(first.step * max(SURE * rounding / residual, EPS**2)))
    return confirmed(line, first, finer) or sharpened(line, climbed(line, LONG / RATIO if first.still else min(first.step, finer), tolerance), tolerance)


def confirmed(line: Line, first: Quotient, finer: float) -> Estimate | None:
    """A mismatch that both a much finer and a much longer step show; None if they disagree, or if nothing moved."""
    if finer > first.step / RATIO:
        return None
    fine = line.at(finer)
    if first.still or not abs(fine.residual - first.residual) <= abs(first.residual) / 4:
        return None
    if not abs(line.at(long_step(line)).residual - first.residual) <= abs(first.residual) / 2:  # of rounding, hardly a hundredth would be left
        return None
    found = Estimate(first.residual, ROUNDED * first.noise, first.step, (fine, first))
    return found._replace(negligible=dwarfed(line, found))


def long_step(line: Line) -> float:
    """A step much longer than the balanced one."""
    return max(LONG, RATIO * balanced_step(line.eps))


def dwarfed(line: Line, estimate: Estimate) -> bool:
    """Whether the estimate vanishes compared with what happens a short distance along the line.

    The determinant of a matrix of low rank is 0 with gradient 0, and its rounding errors come from numbers that cannot be seen there.
    """
    change = line.at(long_step(line)).change
    return bool(max(abs(estimate.residual), estimate.error) <= ROUNDED * np.sqrt(line.eps) * change)


def repeated(line: Line, estimate: Estimate) -> Estimate:
    """The residual along another direction of the same gradient, at the step where the first one was seen."""
    found = line.at(estimate.step)
    return Estimate(found.residual, max(estimate.error, ROUNDED * found.noise), estimate.step, (found, found))


def climbed(line: Line, step: float, tolerance: float) -> Estimate:
    """Follow the steps from fine to coarse, from where neighbours first agree, as long as the error estimate shrinks.

    Each pair of neighbours is extrapolated once (Richardson); an estimate's error is its distance from its coarser
    neighbour, as in Ridders, "Accurate computation of F'(x) and F'(x) F''(x)" (1982), plus the noise that the
    finer steps show.
    """
    levels: list[Quotient] = []
    best: Estimate | None = None
    plateau = worse = 0
    reach = REACH * max(1.0, 1 / line.unit)
    while step <= reach and worse < PATIENCE:
        quotient = line.at(step)
        step *= RATIO
        if not np.isfinite(quotient.residual):
            if levels:
                break
            continue
        levels.append(quotient)
        if len(levels) < 2 or (best is None and not agree(line, levels[-2], levels[-1])):
            continue
        if best is None:
            plateau = len(levels) - 2
        found = extrapolated(line, levels, plateau)
        worse = 0 if best is None or found.error < best.error else worse + 1
        best = found if worse == 0 else best
        if best is not None and (best.within(tolerance) or (best.exceeds(tolerance) and best.error < abs(best.residual) / 100)):
            break
    if best is None:
        return undecided(line, levels)
    if best.within(tolerance) and not best.quotients[1].still:
        return best
    if best.exceeds(tolerance) or best.quotients[1].still:
        best = doubted(line, best, levels, reach)
    return best._replace(negligible=best.negligible or dwarfed(line, best))


def undecided(line: Line, levels: list[Quotient]) -> Estimate:
    """What can be said if no neighbours agree: noise, a jump, or a function that is hardly defined anywhere."""
    if not levels:
        nowhere = Quotient(0.0, np.nan, np.nan, np.nan, np.nan)
        return Estimate(np.nan, np.inf, balanced_step(line.eps), (nowhere, nowhere))
    if len(levels) == 1:
        return Estimate(levels[0].residual, abs(levels[0].residual), levels[0].step, (levels[0], levels[0]))
    k = min(range(len(levels) - 1), key=lambda k: abs(levels[k].residual - levels[k + 1].residual))
    doubt = abs(levels[k].residual - levels[k + 1].residual)
    return Estimate(levels[k].residual, doubt + abs(levels[k].residual), levels[k].step, (levels[0], levels[k + 1]), unbounded=unbounded(levels))


def unbounded(levels: list[Quotient]) -> bool:
    """Whether the quotients grow by a steady factor from step to finer step."""
    growth = [fine.residual / coarse.residual if coarse.residual else 0.0 for fine, coarse in pairwise(levels)]
    return any(all(g > STEEPER and abs(g / run[0] - 1) <= 4 * ALIKE for g in run) for run in (growth[k : k + 4] for k in range(len(growth) - 3)))


def doubted(line: Line, best: Estimate, levels: list[Quotient], reach: float) -> Estimate:
    """What was seen at some steps, in view of all others.

    The numbers that a function is computed from may be far larger than its result. Over a short distance the result then does not change
    at all, or jumps, and between the jumps is smooth with a slope that has nothing to do with the gradient. This is assumed
    if both sides agree at longer steps, and the mismatch adds up to less than a part `VISIBLE` of the results.
    """
    levels = further(line, levels, reach if levels[-1].still else RATIO * long_step(line))
    size = max(line.size, *(max(abs(q.left), abs(q.right)) * q.step for q in levels))
    still = max((q.step for q in levels if q.still), default=0.0)
    if still >= best.step:
        coarser = [q for q in levels if q.step > still and q.left and q.right]
        moving = next((a for a, b in pairwise(coarser) if agree(line, a, b)), None)
        if moving is None or max(abs(line.predicted), abs(moving.residual)) * still > VISIBLE * size:
            return best._replace(negligible=abs(line.predicted) * still <= ROUNDED * line.eps * size)
        return extrapolated(line, levels, levels.index(moving))
    doubt = abs(best.residual) / 4
    finer = [line.at(step) for step in sorted(line.known) if step < best.step]
    clear = [q for q in finer if ROUNDED * q.noise <= doubt and not q.still]
    if clear and abs(clear[0].residual) <= doubt:
        return best._replace(error=abs(best.residual))  # right as close as one can look, with a kink very nearby
    coarser = [q for q in levels if q.step > best.step]
    same = list(takewhile(lambda q: abs(q.residual - best.residual) <= doubt, coarser))
    seen = same[-1].step if same else best.step
    rise = abs(best.residual) * seen / size
    against = any(max(abs(a.residual), abs(b.residual)) <= doubt for a, b in pairwise(coarser))
    if not against or rise > VISIBLE:
        return best._replace(rise=rise)
    levels = further(line, levels, reach)
    return extrapolated(line, levels, sum(q.step <= seen for q in levels))


def further(line: Line, levels: list[Quotient], reach: float) -> list[Quotient]:
    """The levels, and those at longer steps, as far as the function is defined."""
    steps = takewhile(lambda step: step <= reach, (RATIO**k * levels[-1].step for k in count(1)))
    return levels + [quotient for quotient in map(line.at, steps) if np.isfinite(quotient.residual)]


def agree(line: Line, fine: Quotient, coarse: Quotient) -> bool:
    """Whether two neighbouring quotients show the same slope or mismatch, or only truncation, which grows as the square of the step."""
    a, b = fine.residual + line.predicted, coarse.residual + line.predicted
    size = max(abs(a), abs(b), min(abs(fine.residual), abs(coarse.residual)))
    return abs(a - b) <= ALIKE * size + ROUNDED * fine.noise or abs(b - RATIO**2 * a) <= ALIKE * abs(b)


def extrapolated(line: Line, levels: list[Quotient], plateau: int) -> Estimate:
    """The estimate with the smallest error among the quotients from the plateau upwards, and their extrapolations."""
    residuals = [q.residual for q in levels[plateau:]]
    twice = [(RATIO**2 * a - b) / (RATIO**2 - 1) for a, b in pairwise(residuals)]
    found: list[Estimate] = []
    for values in (residuals, twice):
        for k, (value, coarser) in enumerate(pairwise(values), start=plateau):
            rounding = SURE * levels[k].noise * levels[k].step
            noise = max([rounding, *(abs(q.residual - value) * q.step for q in levels[:k])])
            error = abs(value - coarser) + noise / levels[k].step
            relative = line.eps * noise / rounding if rounding else 0.0
            found.append(Estimate(value, error, levels[k].step, (levels[plateau], levels[plateau + 1]), relative))
    return min(found, key=lambda e: e.error)


def sharpened(line: Line, estimate: Estimate, tolerance: float) -> Estimate:
    """The estimate by a complex step, if real ones left doubt and the function allows it. It cannot recover what is lost inside the function."""
    if estimate.within(tolerance) or estimate.exceeds(tolerance) or not np.isfinite(estimate.residual) or line.floor > SURE * line.eps * line.size:
        return estimate
    exact = line.by_complex_step()
    if exact is None or abs(exact - estimate.residual) > SURE * estimate.error or estimate.error > ALIKE * abs(line.predicted):
        return estimate
    return estimate._replace(residual=exact, error=max(ROUNDED * line.eps, estimate.noise) * abs(line.predicted))


def precise(line: Line, step: float) -> tuple[float, float]:
    """The residual with as many digits as a few evaluations can yield, for a gradient that has passed; and what rounding can do to it."""
    fine, exact = line.at(step), line.by_complex_step()
    noise = ROUNDED * fine.noise
    if exact is not None and abs(exact - fine.residual) <= noise + ROUNDED * np.sqrt(EPS) * abs(line.predicted):
        return exact, noise
    value = (RATIO**2 * fine.residual - line.at(RATIO * step).residual) / (RATIO**2 - 1)
    return (value if np.isfinite(value) else fine.residual), noise

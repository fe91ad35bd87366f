"""Numeric derivatives that know how far they can be trusted.

A derivative along a direction is a function of one number, the step. Everything here is measured as a
residual: the difference quotient minus what the gradient in question predicts for the very points that
were evaluated, ``g . (x_above - x_below)``. Thereby rounding of x + h costs nothing, and what is left is
the error of the gradient, truncation (which shrinks with the step) and noise (which grows as it shrinks).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

EPS = float(np.finfo(np.float64).eps)
RATIO = 8.0  # between neighbouring steps
FINEST = 2.0**-48  # in units of x: below it x + h has too few digits of h
REACH = 2.0**4  # the longest step, in units of x or of 1, whichever is longer
SHORT = 2.0**-10  # a step that is short, but shows what a function does beyond its slope
SURE = 4.0  # how many times its error estimate a residual must be to count
ROUNDED = 16.0  # how many times eps |y| an answer may be off by rounding
HIDDEN = 1e3  # how many times the tolerance an error may be before it is said that precision is limited
NOISY = 1e-12  # noise in the answers beyond what rounding explains
ALIKE = 0.05  # how closely neighbouring quotients agree on a plateau


def balanced_step(eps: float) -> float:
    """The power of two next to eps^(1/3), where truncation and rounding of a central difference balance."""
    return float(2.0 ** np.round(np.log2(eps) / 3))


def number(y: Any) -> float:
    """A function's answer, which may be a tracked Tensor."""
    return float(y.item() if hasattr(y, "item") else y)


def central_differences(fn: Callable[[Floats], Any], x: Any) -> Floats:
    """The gradient of ``fn`` at ``x`` by central differences, in float64.

    The step is eps^(1/3) max(|x|, 1), where truncation and rounding balance (Press et al., *Numerical
    Recipes*, section 5.7), rounded so that x + h and x - h are exact.

    Parameters
    ----------
    fn : callable
        A function of one float64 array that gives a single number. It gets copies of ``x``.
    x : array_like
        Where to differentiate.

    Returns
    -------
    ndarray of float64, in the shape of ``x``

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lr.autodiff.gradcheck import central_differences
    >>> print(central_differences(lambda x: np.sum(x**2), [1.0, 2.0]).round(9))
    [2. 4.]
    """
    x = np.array(x, dtype=np.float64)
    gradient: Floats = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        h = balanced_step(EPS) * 2.0 ** np.round(np.log2(max(abs(x[i]), 1.0)))
        above, below = x.copy(), x.copy()
        above[i] += h
        below[i] -= h
        gradient[i] = (number(fn(above)) - number(fn(below))) / (above[i] - below[i])
    return gradient


class Quotient(NamedTuple):
    """Difference quotients at one step.

    Attributes
    ----------
    step : float
        In units of the direction.
    residual : float
        The central quotient minus the prediction.
    noise : float
        What rounding of the answers alone can do to the residual.
    left, right : float
        The one-sided quotients.
    """

    step: float
    residual: float
    noise: float
    left: float
    right: float


class Line:
    """A function's weighted answers along a direction, as a function of the step.

    Parameters
    ----------
    values : callable
        Gives all answers in a row for one array of inputs; raises or gives nan where it is not defined.
    weights : array
        What the answers are multiplied with before they are summed.
    centre : array
        ``values(x)``.
    x, gradient, direction : array
        The point, the gradient in question there, and where to go.
    eps : float
        The relative rounding error of an answer.
    """

    def __init__(self, values: Callable[[Any], Any], weights: Floats, centre: Floats, x: Floats, gradient: Floats, direction: Floats, eps: float) -> None:
        self.values, self.weights, self.centre = values, weights, centre
        self.x, self.gradient, self.direction, self.eps = x, gradient, direction, eps
        self.predicted = float(np.sum(gradient * direction))
        moved = np.abs(direction[direction != 0])
        self.unit = float(2.0 ** np.floor(np.log2(np.median(moved)))) if moved.size else 1.0

    def flat(self, quotient: Quotient) -> bool:
        """Whether the gradient is no more than rounding, and a step of ordinary length showed nothing else."""
        unseen = abs(quotient.residual) <= ROUNDED * quotient.noise
        return self.unit >= 2.0**-10 and unseen and abs(self.predicted) <= ROUNDED * quotient.noise * quotient.step

    def at(self, step: float) -> Quotient:
        """Two evaluations, at x + h and x - h."""
        above, below = self.x + step * self.direction, self.x - step * self.direction
        with np.errstate(all="ignore"):
            y_above, y_below = self.answers(above), self.answers(below)
            change = y_above - y_below  # before the sum, so that answers which do not change add no rounding
            size = self.weights * np.maximum(np.abs(y_above), np.abs(y_below))
            predicted = float(np.sum(self.gradient * (above - below)))
            return Quotient(
                step,
                (float(self.weights @ change) - predicted) / (2 * step),
                self.eps * float(np.sqrt(size @ size)) / step,
                float(self.weights @ (self.centre - y_below)) / step,
                float(self.weights @ (y_above - self.centre)) / step,
            )

    def answers(self, x: Floats) -> Floats:
        """The answers at ``x``; nan where the function refuses such inputs."""
        try:
            y: Floats = self.values(x)
        except (ValueError, ArithmeticError):
            return np.full_like(self.centre, np.nan)
        return y

    def dwarfs(self, estimate: Estimate) -> bool:
        """Whether the estimate vanishes beside what happens on a short way along the line.

        A determinant of low rank is 0 with gradient 0, and its rounding errors come from numbers that cannot be seen there.
        """
        with np.errstate(all="ignore"):
            change = self.weights * (self.answers(self.x + SHORT * self.direction) - self.centre)
        short_change = float(np.sqrt(change @ change)) / SHORT
        return bool(max(abs(estimate.residual), estimate.error) <= ROUNDED * np.sqrt(self.eps) * short_change)

    def by_complex_step(self) -> float | None:
        """The residual from Im y(x + ih) / h, exact but for rounding; None where the function takes no complex numbers.

        Squire and Trapp, "Using complex variables to estimate derivatives of real functions" (1998). Functions
        that take absolute values or real parts answer wrongly without a word, so callers compare with a real quotient.
        """
        step = 2.0**-66  # h^2 vanishes beside 1, and nothing is subtracted
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("error")
                y = self.values(self.x + 1j * step * self.direction)
        except Exception:  # whatever a function does with numbers it was not made for
            return None
        if not np.iscomplexobj(y):
            return None
        residual = float(self.weights @ y.imag) / step - self.predicted
        return residual if np.isfinite(residual) else None


class Estimate(NamedTuple):
    """What is known about a residual.

    Attributes
    ----------
    residual, error : float
        The best value, and how far off it may be.
    step : float
        Where it was measured.
    quotients : tuple of Quotient
        The finest step that could be trusted, and a coarser one.
    noise : float
        What the answers were seen to be off by, relative to their size.
    negligible : bool
        Whether all that was seen is rounding beside what the function does a small way off.
    """

    residual: float
    error: float
    step: float
    quotients: tuple[Quotient, Quotient]
    noise: float = 0.0
    negligible: bool = False

    def exceeds(self, tolerance: float) -> bool:
        """Whether the residual is larger than the tolerance, beyond doubt."""
        return not self.negligible and abs(self.residual) > tolerance + SURE * self.error

    def within(self, tolerance: float) -> bool:
        """Whether the residual is no larger than the tolerance, and its error does not hide more."""
        return abs(self.residual) <= tolerance and self.error <= tolerance

    def hides(self, tolerance: float) -> bool:
        """Whether the error could hide far more than the tolerance."""
        return not self.negligible and (not self.error <= HIDDEN * tolerance or self.noise > NOISY)


def estimated(line: Line, tolerance: float) -> Estimate:
    """The residual along ``line``, as exactly as is needed to tell whether it exceeds ``tolerance``.

    Two evaluations do where the gradient is right. Otherwise a second pair is taken at the smallest step at which
    such a residual would still show above rounding, so that neither a kink nearby nor a function that swings
    faster than the first step passes for a wrong gradient. If the two disagree, or if rounding hides the
    gradient itself, other steps are tried (`climbed`), and a complex one.
    """
    first = line.at(balanced_step(line.eps))
    rounding = ROUNDED * first.noise
    start = first.step
    if abs(first.residual) <= tolerance + rounding:
        if rounding <= HIDDEN * tolerance or line.flat(first):
            return Estimate(first.residual, min(rounding, abs(first.residual)), first.step, (first, first))
        start *= max(1.0, 1 / line.unit)
    elif np.isfinite(first.residual):
        finer = max(FINEST, float(2.0 ** np.ceil(np.log2(ROUNDED * first.step * max(first.noise / abs(first.residual), EPS**2)))))
        start = min(start, finer)
        if finer <= first.step / RATIO:
            fine = line.at(finer)
            if abs(fine.residual - first.residual) <= abs(first.residual) / 4:
                found = Estimate(first.residual, rounding, first.step, (fine, first))
                return found._replace(negligible=line.dwarfs(found))
    else:
        start = FINEST
    found = sharpened(line, climbed(line, start, tolerance), tolerance)
    return found if found.within(tolerance) else found._replace(negligible=line.dwarfs(found))


def repeated(line: Line, estimate: Estimate) -> Estimate:
    """The residual along another direction of the same gradient, at the step where the first one was seen."""
    found = line.at(estimate.step)
    return Estimate(found.residual, max(estimate.error, ROUNDED * found.noise), estimate.step, (found, found))


def climbed(line: Line, step: float, tolerance: float) -> Estimate:
    """Follow the steps upwards from where neighbours first agree, as long as the error estimate shrinks.

    Each pair of neighbours is extrapolated once (Richardson); an estimate's error is its distance from its coarser
    neighbour, as in Ridders, "Accurate computation of F'(x) and F'(x) F''(x)" (1982), plus the noise that the
    finer steps betray.
    """
    levels: list[Quotient] = []
    best: Estimate | None = None
    plateau = worse = 0
    reach = REACH * max(1.0, 1 / line.unit)
    while step <= reach and worse < 3:
        quotient = line.at(step)
        step *= RATIO
        if not np.isfinite(quotient.residual):
            if levels:
                break
            continue
        levels.append(quotient)
        if len(levels) < 2:
            continue
        if best is None and not agree(line, levels[-2], levels[-1]):
            continue
        if best is None:
            plateau = len(levels) - 2
        found = extrapolated(line, levels, plateau)
        worse = 0 if best is None or found.error < best.error else worse + 1
        best = found if worse == 0 else best
        if best is not None and (best.within(tolerance) or (best.exceeds(tolerance) and best.error < abs(best.residual) / 100)):
            break
    if best is not None:
        return best
    if not levels:
        nowhere = Quotient(0.0, np.nan, np.nan, np.nan, np.nan)
        return Estimate(np.nan, np.inf, balanced_step(line.eps), (nowhere, nowhere))
    if len(levels) == 1:
        return Estimate(levels[0].residual, abs(levels[0].residual), levels[0].step, (levels[0], levels[0]))
    k = min(range(len(levels) - 1), key=lambda k: abs(levels[k].residual - levels[k + 1].residual))
    doubt = abs(levels[k].residual - levels[k + 1].residual)  # no neighbours agreed: noise, or a jump
    return Estimate(levels[k].residual, doubt + abs(levels[k].residual), levels[k].step, (levels[0], levels[k + 1]))


def agree(line: Line, fine: Quotient, coarse: Quotient) -> bool:
    """Whether two neighbouring quotients tell the same story: the same slope, or none beside a truncation that grows with the square of the step."""
    a, b = fine.residual + line.predicted, coarse.residual + line.predicted
    return abs(a - b) <= ALIKE * max(abs(a), abs(b)) + ROUNDED * fine.noise or abs(b - RATIO**2 * a) <= ALIKE * abs(b)


def extrapolated(line: Line, levels: list[Quotient], plateau: int) -> Estimate:
    """The estimate with the smallest error among the quotients from the plateau upwards, and their extrapolations."""
    plain = [q.residual for q in levels[plateau:]]
    twice = [(RATIO**2 * a - b) / (RATIO**2 - 1) for a, b in pairwise(plain)]
    found: list[Estimate] = []
    for values in (plain, twice):
        for k, (value, coarser) in enumerate(pairwise(values), start=plateau):
            rounding = SURE * levels[k].noise * levels[k].step
            noise = max([rounding, *(abs(q.residual - value) * q.step for q in levels[:k])])
            error = abs(value - coarser) + noise / levels[k].step
            relative = line.eps * noise / rounding if rounding else 0.0
            found.append(Estimate(value, error, levels[k].step, (levels[plateau], levels[plateau + 1]), relative))
    return min(found, key=lambda e: e.error)


def sharpened(line: Line, estimate: Estimate, tolerance: float) -> Estimate:
    """The estimate by a complex step, where real ones left doubt and the function allows it."""
    if estimate.within(tolerance) or estimate.exceeds(tolerance) or not np.isfinite(estimate.residual):
        return estimate
    exact = line.by_complex_step()
    if exact is None or abs(exact - estimate.residual) > SURE * estimate.error or estimate.error > ALIKE * abs(line.predicted):
        return estimate
    return estimate._replace(residual=exact, error=max(ROUNDED * line.eps, estimate.noise) * abs(line.predicted))


def precise(line: Line, step: float) -> tuple[float, float]:
    """The residual with all the digits that a handful of evaluations gives, for a point where all is well, and what rounding can do to it."""
    fine, coarse = line.at(step), line.at(RATIO * step)
    noise = ROUNDED * fine.noise
    value = (RATIO**2 * fine.residual - coarse.residual) / (RATIO**2 - 1)
    if not np.isfinite(value):
        return fine.residual, noise
    exact = line.by_complex_step()
    doubt = abs(fine.residual - coarse.residual) + noise
    return (exact if exact is not None and abs(exact - value) <= doubt <= ALIKE * abs(line.predicted) else value), noise

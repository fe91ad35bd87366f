"""Difference quotients, and what rounding does to them.

A derivative along a direction is the derivative of a function of one number, the step. What is measured is always a
residual: the difference quotient minus what the gradient in question predicts for the very points that
were evaluated, ``g . (x_above - x_below)``. So rounding of x + h costs nothing, and what is left is
the error of the gradient, truncation (which shrinks with the step) and noise (which grows as the step shrinks).
A one-sided slope is off by the step times half the curvature; two steps extrapolate it to step 0, and a kink is
where the two sides then differ.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_lr.autodiff.rules.registry import Array

Floats = npt.NDArray[np.floating]

EPS = float(np.finfo(np.float64).eps)
RATIO = 8.0  # between neighbouring steps
FINEST = 2.0**-48  # in units of x: below it x + h has too few digits of h
ROUNDED = 16.0  # how many times eps |y| a result may be off by rounding
BENT = 128.0  # a change of slope over one step, in units of the gradient, beyond which it may be a kink


def balanced_step(eps: float) -> float:
    """The power of two nearest to eps^(1/3), where truncation and rounding of a central difference balance."""
    return float(2.0 ** np.round(np.log2(eps) / 3))


def next_step(size: float) -> float:
    """The next larger power of two: x + h and x - h are then exact where x has the digits for it."""
    return float(2.0 ** np.ceil(np.log2(size)))


def scalar(y: Array) -> float:
    """A single number, which may be a tracked Tensor."""
    return float(y.item() if hasattr(y, "item") else y)


def central_differences(fn: Callable[[Floats], Array], x: npt.ArrayLike) -> Floats:
    """The gradient of ``fn`` at ``x`` by central differences, in float64.

    The step is eps^(1/3) max(|x|, 1), where truncation and rounding balance (Press et al., *Numerical
    Recipes*, section 5.7), rounded so that x + h and x - h are exact.

    Parameters
    ----------
    fn : callable
        A function of one float64 array that returns a single number. It gets copies of ``x``.
    x : array_like
        Where to differentiate.

    Returns
    -------
    ndarray of float64, in the shape of ``x``

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lr.check.gradcheck import central_differences
    >>> print(central_differences(lambda x: np.sum(x**2), [1.0, 2.0]).round(9))
    [2. 4.]
    """
    at = np.array(x, dtype=np.float64)
    gradient = np.zeros_like(at)
    for i in np.ndindex(at.shape):
        h = balanced_step(EPS) * 2.0 ** np.round(np.log2(max(abs(float(at[i])), 1.0)))
        above, below = at.copy(), at.copy()
        above[i] += h
        below[i] -= h
        gradient[i] = (scalar(fn(above)) - scalar(fn(below))) / (above[i] - below[i])
    return gradient


class Quotient(NamedTuple):
    """Difference quotients at one step."""

    step: float  # in units of the direction
    residual: float  # the central quotient minus the prediction
    noise: float  # what rounding alone can do to the residual
    left: float  # the one-sided quotients
    right: float
    change: float = 0.0  # the norm of the change of all weighted results on the right, as a quotient

    @property
    def jump(self) -> float:
        """How much the slope changes at the point: at a kink the same at every step, elsewhere the step times the curvature."""
        return self.right - self.left

    @property
    def still(self) -> bool:
        """Whether the results did not change at all."""
        return self.left == self.right == 0


class Sides(NamedTuple):
    """The slopes on both sides of a point, extrapolated to step 0, and how far they may be off."""

    left: float
    right: float
    error: float

    @property
    def jump(self) -> float:
        return self.right - self.left

    def apart(self, tolerance: float) -> bool:
        """Whether the function has a kink here: noise that looks like a jump at one step changes more than twice as much from step to step."""
        return abs(self.jump) > 2 * tolerance + 4 * self.error

    def hold(self, slope: float, tolerance: float) -> bool:
        """Whether a slope lies between them, the ends included."""
        slack = tolerance + self.error
        return min(self.left, self.right) - slack <= slope <= max(self.left, self.right) + slack


@dataclass
class Line:
    """A function's weighted results along a direction, as a function of the step."""

    values: Callable[[Array], Floats]  # all results of one input as a flat array; raises or returns nan where it is not defined
    weights: Floats  # what the results are multiplied with before they are summed
    centre: Floats  # the results at x
    x: Floats
    gradient: Floats  # the one in question
    direction: Floats
    eps: float  # the relative rounding error of a result
    inside: Callable[[], float] = lambda: 0.0  # what rounding inside the function can do to the results, which may be small compared with other numbers there

    def __post_init__(self) -> None:
        self.known: dict[float, Quotient] = {}
        self.floor = 0.0  # of the noise, times the step; 0 until `looked_inside`
        self.predicted = float(np.sum(self.gradient * self.direction))
        self.size = float(np.linalg.norm(self.weights * self.centre))
        moved = np.abs(self.direction[self.direction != 0])
        self.unit = float(2.0 ** np.floor(np.log2(np.median(moved)))) if moved.size else 1.0

    def looked_inside(self, quotient: Quotient) -> Quotient:
        """The quotient, whose noise, like all from now on, allows for rounding inside the function."""
        self.floor = self.inside()
        return quotient._replace(noise=max(quotient.noise, self.floor / quotient.step))

    def flat(self, quotient: Quotient) -> bool:
        """Whether the gradient is no more than rounding of the results, and a step of ordinary length showed nothing else."""
        unseen = abs(quotient.residual) <= ROUNDED * quotient.noise and quotient.noise > self.floor / quotient.step
        return self.unit >= 2.0**-10 and unseen and abs(self.predicted) <= ROUNDED * quotient.noise * quotient.step

    def at(self, step: float) -> Quotient:
        """Two evaluations, at x + h and x - h, unless they have been made before."""
        if step not in self.known:
            self.known[step] = self.measured(step)
        found = self.known[step]
        return found._replace(noise=max(found.noise, self.floor / step))

    def measured(self, step: float) -> Quotient:
        """The quotients at a step, with the noise that the size of the results explains."""
        above, below = self.x + step * self.direction, self.x - step * self.direction
        with np.errstate(all="ignore"):
            y_above, y_below = self.results(above), self.results(below)
            change = y_above - y_below  # before the sum, so that results which do not change add no rounding
            size = self.weights * np.maximum(np.abs(y_above), np.abs(y_below))
            predicted = float(np.sum(self.gradient * (above - below)))
            return Quotient(
                step,
                (float(self.weights @ change) - predicted) / (2 * step),
                self.eps * float(np.sqrt(size @ size)) / step,
                float(self.weights @ (self.centre - y_below)) / step,
                float(self.weights @ (y_above - self.centre)) / step,
                float(np.linalg.norm(self.weights * (y_above - self.centre))) / step,
            )

    def sides(self, coarse: Quotient) -> Sides:
        """The slopes on both sides, from this step and a finer one."""
        fine = self.at(coarse.step / RATIO)
        left, right = fine.left - coarse.left, fine.right - coarse.right
        return Sides(fine.left + left / (RATIO - 1), fine.right + right / (RATIO - 1), max(abs(left), abs(right)) + 2 * ROUNDED * fine.noise)

    def bent(self, quotient: Quotient, size: float) -> bool:
        """Whether the slope changes so much that there may be a kink at the point, given the size of the gradient along the line."""
        return abs(quotient.jump) > BENT * quotient.step * size + 2 * ROUNDED * quotient.noise

    def results(self, x: Floats) -> Floats:
        """The results at ``x``; nan where the function refuses such inputs."""
        try:
            return self.values(x)
        except (ValueError, ArithmeticError):
            return np.full_like(self.centre, np.nan)

    def by_complex_step(self) -> float | None:
        """The residual from Im y(x + ih) / h, exact but for rounding; None where the function takes no complex numbers.

        Squire and Trapp, "Using complex variables to estimate derivatives of real functions" (1998). Functions
        that take absolute values or real parts return wrong numbers without an error, so callers compare with a real quotient.
        """
        step = 2.0**-66  # h^2 vanishes in 1 + h^2, and nothing is subtracted
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

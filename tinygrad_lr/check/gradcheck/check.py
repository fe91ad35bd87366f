"""`gradcheck`: is this gradient right, and if not, where and how is it wrong?

A gradient is compared with differences along two random directions per input; the second multiplies every element by its
own code, so that the ratio of the two mismatches names the element that is wrong. README.md beside this file says what
the differences are made of, what is told apart from a wrong gradient, and how many faults are found.
"""

from __future__ import annotations

import numpy as np

from tinygrad_lr.autodiff.rules.registry import Function
from tinygrad_lr.check.gradcheck.function import CheckedFunction
from tinygrad_lr.check.gradcheck.orders import Options, report_on
from tinygrad_lr.check.gradcheck.report import GradientError, Report


def gradcheck(
    fn: Function,
    *inputs: object,
    gradient: Function | None = None,
    order: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
    rng: np.random.Generator | int | None = None,
    raise_error: bool = True,
    mode: str = "fast",
) -> Report:
    """Check a gradient against differences: name the elements that are wrong, and say how they are wrong.

    Parameters
    ----------
    fn : callable
        The checked function. Its result may be any nested structure; the floating numbers in it are summed with random weights.
    *inputs : array_like, or nested tuples, lists and dicts of them
        The point at which to check, in float64 or float32. ``fn`` gets copies; the report says if it writes into them.
    gradient : callable, optional
        Checked in place of autodiff's, at order 1, if ``fn`` returns a single number: returns an array, or one per input (None: not checked).
    order : int
        How many orders to check. Order 2 is the gradient of <gradient, v> with random v.
    rtol, atol : float, optional
        An element may be off by ``atol + rtol * |element|`` beyond the error of the differences; by default 1e-6 (float32: 1e-3) and 0.
    rng : numpy.random.Generator or int, optional
        For directions and weights; an int is a seed. By default they are the same on every run.
    raise_error : bool
        Whether to raise an error if something is wrong, or only to report it.
    mode : {"fast", "full"}
        "fast" evaluates ``fn`` about ten times per input, and cannot see errors below 4e-6 of the gradient's norm; "full" compares all elements.

    Returns
    -------
    Report
        True as a boolean if nothing is wrong and all could be checked; printed, a table of the wrong elements.

    Raises
    ------
    GradientError
        If a gradient is wrong, or could not be checked; an AssertionError with the report.
    TypeError, ValueError
        If an input or result is not floating, ``fn`` is not finite at the inputs, or ``gradient`` does not fit.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> print(tg.gradcheck(lambda x: np.sum(x**2), np.array([0.5, -1.0, 2.0]), gradient=lambda x: x * [2, 2, 1], raise_error=False))
    The gradient is wrong: x[2].
    <BLANKLINE>
    element  shape  order  analytic  numeric  rel. error  verdict  note
    x[2]     (3,)       1         2        4     5.0e-01  wrong    1/2 times the right one
    """
    __tracebackhide__ = True  # pytest shows the caller's line and the table
    if not inputs:
        raise TypeError("gradcheck(fn, *inputs) needs at least one input: the point at which to check")
    report = report_on(CheckedFunction(fn, inputs), gradient, order, Options.of(rtol, atol, rng, mode, order))
    if raise_error and not report:
        raise GradientError(report)
    return report

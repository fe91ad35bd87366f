"""`gradcheck`: is this gradient right, and if not, where and how is it wrong?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr.check.gradcheck.function import CheckedFunction
from tinygrad_lr.check.gradcheck.orders import Options, report_on
from tinygrad_lr.check.gradcheck.report import GradientError, Report


def gradcheck(
    fn: Callable[..., Any],
    *inputs: Any,
    gradient: Callable[..., Any] | None = None,
    order: int = 2,
    rtol: float | None = None,
    atol: float | None = None,
    rng: np.random.Generator | int | None = None,
    raise_error: bool = True,
    mode: str = "fast",
) -> Report:
    """Check a gradient against differences, name the elements that are wrong, and say what kind of wrong they are.

    Parameters
    ----------
    fn : callable
        A function of arrays or Tensors. Its answer may be any nested structure; what it holds of floating
        numbers is multiplied with random weights and summed, so that one gradient stands for all of them.
    *inputs : array_like, or nested tuples, lists and dicts of them
        The point at which to check, float64 or float32. Nothing is written into them, and the report says if ``fn`` writes.
    gradient : callable, optional
        A gradient of one's own to check instead of autodiff's: called with the inputs, it gives one array, or
        a tuple with one for each input (None where there is nothing to check). ``fn`` must then give a single
        number, and only order 1 is checked.
    order : int
        How many orders to check. Order 2 checks the derivative of <gradient, v> with random v against
        differences of the gradient.
    rtol, atol : float, optional
        An element may be off by ``atol + rtol * |element|`` beyond what the differences themselves are unsure of;
        1e-6 and 0 by default. Gradients in float32 may be off from the same in float64 by ``max(rtol, 1e-3)``.
    rng : numpy.random.Generator or int, optional
        Where directions and weights come from; an int is a seed. By default the same on every run.
    raise_error : bool
        Whether to raise if something is wrong, or only to report.
    mode : {"fast", "full"}
        "fast" takes about ten evaluations of ``fn`` per input whatever its size; "full" compares every element.

    Returns
    -------
    Report
        True as a boolean if nothing is wrong and all could be checked. ``rows`` holds the wrong elements (or one row per
        input and order); ``str(report)`` is a table under a sentence, and notebooks show it.

    Raises
    ------
    GradientError
        If a gradient is wrong, or cannot be checked (``fn`` differs between two calls at the same point, or its slope is
        infinite); an AssertionError that carries the report.
    TypeError
        If an input is not floating, or ``fn`` gives no floating number.
    ValueError
        If ``fn`` is not finite at the inputs, or ``gradient`` does not fit.

    Notes
    -----
    *Differences.* Central, with a step of eps^(1/3) times the size of x (Press et al., *Numerical Recipes*,
    section 5.7), compared with what the gradient predicts for the very points that were evaluated. A mismatch counts if
    a much finer and a much longer step show it too. Where they disagree, steps are followed from fine to coarse
    and extrapolated (Richardson), with an error estimate as in Ridders, "Accurate computation of F'(x) and
    F'(x) F''(x)" (1982), and a complex step is taken where ``fn`` allows it (Squire and Trapp, "Using complex variables
    to estimate derivatives of real functions", 1998). float32 inputs are differenced in float64. "Wrong" means: off by
    more than the tolerance and four times that error.

    *Rounding.* What it does to the answers, and to the gradient itself, is estimated from the graph: every value on the way is
    off by eps of its size, and the backward pass says how much of that arrives (Linnainmaa 1976).

    *Kinks.* The slopes on both sides are extrapolated to step 0; every value between them passes, and the check is
    repeated a small way beside. Where several kinks meet, the rules' conventions may lie between no slopes; that passes if
    every rule by itself is right there, and the gradient is right beside.

    *Search.* Two random directions per input; the second gives every element a multiple of its own, so that the
    ratio of two mismatches names the element. Several wrong elements are told apart by halving.

    *What it cannot see.* The fast mode looks at an input's gradient as a whole: what is off by less than about
    4e-6 of its norm (each element times the size of its x) passes; "full" looks at each element. Neither sees errors away from the
    given point: branches not taken, values that are right by chance (at 0 or 1), any value between the slopes of a kink. Where more
    than a dozen elements of an input are at a kink, the fast mode checks the others beside the point only.

    How many faults are found and how many alarms are false is measured in this package's README.md.

    Examples
    --------
    >>> import numpy as np, tinygrad_lr as tg
    >>> x = np.array([0.5, -1.0, 2.0])
    >>> print(tg.gradcheck(np.tanh, x).sentence)
    No gradient is wrong: 1 input, order 1 and 2.
    >>> print(tg.gradcheck(lambda x: np.sum(x**2), x, gradient=lambda x: x * [2, 2, 1], raise_error=False))
    The gradient is wrong: x[2].
    <BLANKLINE>
    element  shape  order  analytic  numeric  rel. error  verdict  note
    x[2]     (3,)       1         2        4     5.0e-01  wrong    1/2 times the right one
    """
    __tracebackhide__ = True  # pytest shows the caller's line and the table
    if not inputs:
        raise TypeError("gradcheck(fn, *inputs) needs at least one input: the point at which to check")
    options = Options.of(rtol, atol, rng, mode, order)
    report = report_on(CheckedFunction(fn, inputs), gradient, order, options)
    if raise_error and not report:
        raise GradientError(report)
    return report

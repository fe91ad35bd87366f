"""Gradients by differences, to check derivatives against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


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
        size = max(abs(x[i]), 1.0)
        h = 2.0 ** np.round(np.log2(np.finfo(np.float64).eps ** (1 / 3) * size))
        above, below = x.copy(), x.copy()
        above[i] += h
        below[i] -= h
        gradient[i] = (float(fn(above)) - float(fn(below))) / (above[i] - below[i])
    return gradient

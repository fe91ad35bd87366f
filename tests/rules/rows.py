"""What a test row is. The first rows are the samples that `tinygrad_lr check` checks, one of every function.

Each ``rows_*.py`` beside this file adds those of one chapter of the rules: further settings, shapes and numbers. A row names
the function it is for and calls it through a namespace ``np``, so that the same line runs on plain arrays, on Tensors,
and on other libraries with NumPy's names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy

from tinygrad_lr.autodiff.rules.registry import name_of
from tinygrad_lr.autodiff.rules.samples import sample

Shape = tuple[int, ...]

NUMPY = tuple(int(part) for part in numpy.__version__.split(".")[:2])
"""The version, for rows and tests of what not every NumPy has."""


@dataclass(frozen=True)
class Row:
    """One call of one function.

    Attributes
    ----------
    func : the function the row is for, a key of RULES or COMPOSITES.
    call : ``lambda np, x, w: np.func(x, w, axis=0)``; returns an array or several.
    inputs : shapes to fill with random numbers from ``domain``, or arrays to take as they are.
    domain : (low, high), or a callable that turns uniform (0, 1) numbers into valid ones.
    order : how often the function can be differentiated there (second derivatives are checked by default).
    jax : whether jax.numpy is an oracle for the call.
    float32 : the relative agreement asked of float32 gradients, or None where the function is ill-conditioned.
    """

    func: Callable[..., Any]
    call: Callable[..., Any]
    inputs: tuple[Shape | numpy.ndarray, ...]
    domain: Any = (-2.0, 2.0)
    order: int = 2
    jax: bool = True
    float32: float | None = 1e-3
    label: str = field(default="")

    def arrays(self, seed: int = 0, dtype: Any = numpy.float64) -> list[numpy.ndarray]:
        """The inputs: the same numbers on every run."""
        rng = numpy.random.default_rng(seed)
        drawn = []
        for given in self.inputs:
            if isinstance(given, numpy.ndarray):
                drawn.append(given.astype(dtype))
                continue
            u = rng.uniform(size=given)
            low_high = self.domain
            drawn.append(numpy.asarray(low_high(u) if callable(low_high) else low_high[0] + (low_high[1] - low_high[0]) * u).astype(dtype))
        return drawn


NOT_IN_JAX = (numpy.real_if_close, numpy.partition, numpy.lib.stride_tricks.sliding_window_view)
"""Functions that jax.numpy lacks, or computes in another way (it leaves the parts of a partition in another order)."""


def squares(result: Any) -> Any:
    """The square of one result, or of each of several: its second derivative needs the rule a second time."""
    return [y**2 for y in result] if isinstance(result, list | tuple) else result**2


def row_of(func: Callable[..., Any]) -> Row:
    """The row of a function's sample."""
    found = sample(func)
    assert found, f"{name_of(func)} needs a line in tinygrad_lr/autodiff/rules/samples.py"
    call, arrays = found
    in_jax = name_of(func).startswith("np.") and func not in NOT_IN_JAX
    return Row(func, lambda np, *xs: squares(call(np, *xs)), arrays, jax=in_jax, label="sample")

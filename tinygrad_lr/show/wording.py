"""What each rule does to a gradient, in a few words.

Activations, losses and layers have theirs in their descriptions. An operation that has a line in neither place gets the
first sentence of its rule's docstring.
"""

from __future__ import annotations

import itertools

import numpy as np

from tinygrad_lr.autodiff.rules import RULES, SideGradient, name_of
from tinygrad_lr.autodiff.rules.elementwise import astype
from tinygrad_lr.autodiff.rules.registry import Function
from tinygrad_lr.autodiff.rules.shapes import concatenate, getitem, scatter
from tinygrad_lr.nn.descriptions import DESCRIPTIONS

SIGNS: dict[Function, str] = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**", np.matmul: "@"}
"""Operators, as they are typed between their operands."""

# fmt: off
WORDS: dict[Function, tuple[str, ...]] = {
    # arithmetic
    np.add:           ("passed on as it is", "passed on as it is"),
    np.subtract:      ("passed on as it is", "passed on negated"),
    np.multiply:      ("times the other factor", "times the other factor"),
    np.divide:        ("over the divisor", "times -result / divisor"),
    np.remainder:     ("passed on as it is", "times -floor(a / b)"),
    np.fmod:          ("passed on as it is", "times -trunc(a / b)"),
    **dict.fromkeys((np.power, np.float_power), ("times b a^(b - 1)", "times result log(a)")),
    np.ldexp:         ("times 2^n",),
    np.negative:      ("negated",),
    **dict.fromkeys((np.positive, np.conjugate, np.real, np.real_if_close), ("passed on as it is",)),
    np.square:        ("times 2 x",),
    np.sqrt:          ("over (2 result)",),
    np.cbrt:          ("over (3 result squared)",),
    np.reciprocal:    ("times -result squared",),

    # exponentials and logarithms
    np.exp:           ("times the result",),
    np.exp2:          ("times result log 2",),
    np.expm1:         ("times exp(x)",),
    np.log:           ("over x",),
    np.log2:          ("over (x log 2)",),
    np.log10:         ("over (x log 10)",),
    np.log1p:         ("over (1 + x)",),
    np.logaddexp:     ("times sigmoid(a - b)", "times sigmoid(b - a)"),
    np.logaddexp2:    ("times 2^(a - result)", "times 2^(b - result)"),

    # angles
    np.sin:           ("times cos(x)",),
    np.cos:           ("times -sin(x)",),
    np.tan:           ("times (1 + result squared)",),
    np.arcsin:        ("over sqrt(1 - x^2)",),
    np.arccos:        ("over -sqrt(1 - x^2)",),
    np.arctan:        ("over (1 + x^2)",),
    np.arctan2:       ("times b / (a^2 + b^2)", "times -a / (a^2 + b^2)"),
    np.hypot:         ("times a / result", "times b / result"),
    **dict.fromkeys((np.degrees, np.rad2deg), ("times 180 / pi",)),
    **dict.fromkeys((np.radians, np.deg2rad), ("times pi / 180",)),
    np.sinc:          ("times (cos(pi x) - sinc(x)) / x",),

    # hyperbolic functions
    np.sinh:          ("times cosh(x)",),
    np.cosh:          ("times sinh(x)",),
    np.arcsinh:       ("over sqrt(x^2 + 1)",),
    np.arccosh:       ("over sqrt(x^2 - 1)",),
    np.arctanh:       ("over (1 - x^2)",),

    # signs and choices
    **dict.fromkeys((np.absolute, np.fabs, np.copysign), ("times the sign",)),
    np.heaviside:     ("", "where x is 0"),
    **dict.fromkeys((np.maximum, np.fmax), ("where this is larger", "where this is larger")),
    **dict.fromkeys((np.minimum, np.fmin), ("where this is smaller", "where this is smaller")),
    np.where:         ("", "where the condition holds", "where the condition fails"),
    np.clip:          ("within the bounds", "below the bound", "above the bound"),
    np.nan_to_num:    ("where finite", "", "where nan", "where inf", "where -inf"),

    # reductions
    np.sum:           ("the same to each element",),
    np.mean:          ("an equal share to each element",),
    **dict.fromkeys((np.max, np.nanmax), ("to the largest element",)),
    **dict.fromkeys((np.min, np.nanmin), ("to the smallest element",)),
    **dict.fromkeys((np.prod, np.cumprod), ("times the product of the others",)),
    np.cumsum:        ("summed from the end",),
    np.var:           ("times 2 (x - mean) / n",),
    np.std:           ("times (x - mean) / (n result)",),

    # moving, picking and joining elements
    getitem:          ("put back where it was picked",),
    scatter:          ("picked where it was put",),
    **dict.fromkeys((np.reshape, np.ravel, np.squeeze, np.expand_dims), ("reshaped back",)),
    np.broadcast_to:  ("summed over the copies",),
    **dict.fromkeys((np.transpose, np.matrix_transpose), ("transposed back",)),
    np.swapaxes:      ("axes swapped back",),
    np.moveaxis:      ("axes moved back",),
    **dict.fromkeys((np.flip, np.flipud, np.fliplr), ("flipped back",)),
    np.rot90:         ("rotated back",),
    np.roll:          ("rolled back",),
    np.tril:          ("the lower triangle",),
    np.triu:          ("the upper triangle",),
    astype:           ("converted back",),

    # products of matrices
    np.matmul:        ("times the right matrix, transposed", "times the left matrix, transposed"),
    np.vecdot:        ("times the other vector", "times the other vector"),
}
# fmt: on


def rule_in_words(func: Function, i: int) -> str:
    """What happens to the gradient on its way to argument ``i``.

    Examples
    --------
    >>> rule_in_words(np.sin, 0)
    'times cos(x)'
    """
    words = WORDS.get(func, ())
    if i < len(words) and words[i]:
        return words[i]
    if (info := DESCRIPTIONS.get(func)) and (said := info.in_words(i)):
        return said
    if func is concatenate:
        return "the slice that belongs to it"
    rule: object = next(itertools.islice(RULES[func], i, None), None)
    doc = (getattr(rule.rule if isinstance(rule, SideGradient) else rule, "__doc__", None) or "").strip()
    if not doc or type(rule).__name__ != "function":  # a rule without words of its own
        return f"rule of {name_of(func)}"
    return " ".join(doc.split()).split(". ")[0].rstrip(".")

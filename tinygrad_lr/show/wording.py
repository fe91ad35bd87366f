"""What drawings call operations, and what each rule does to a gradient, in a few words.

An operation without a line here gets the first sentence of its rule's docstring.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from tinygrad_lr.autodiff.rules import RULES, SideGradient, name_of
from tinygrad_lr.autodiff.rules.elementwise import astype, log_sigmoid, relu, sigmoid, softplus
from tinygrad_lr.autodiff.rules.network import bce, bce_of_sigmoid, bce_with_logits, cross_entropy, linear, squared_error
from tinygrad_lr.autodiff.rules.reductions import log_softmax, softmax
from tinygrad_lr.autodiff.rules.registry import Function
from tinygrad_lr.autodiff.rules.shapes import concatenate, getitem, scatter

SIGNS: dict[Function, str] = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**", np.matmul: "@"}
"""Operators, as they are typed between their operands."""

LOSSES = (bce, bce_of_sigmoid, bce_with_logits, cross_entropy, squared_error)

SLOPES: dict[Function, str] = {sigmoid: "s′", np.tanh: "tanh′", relu: "relu′", softplus: "softplus′"}
"""Activations, and what the equations call their derivative."""

TO_PREDICTION = "times the slope of the loss"
TO_TARGET = "times the slope by the target"

# fmt: off
WORDS: dict[Function, tuple[str, ...]] = {
    # arithmetic
    np.add:           ("passed on as it is", "passed on as it is"),
    np.subtract:      ("passed on as it is", "passed on negated"),
    np.multiply:      ("times the other factor", "times the other factor"),
    np.divide:        ("over the divisor", "times -answer / divisor"),
    np.remainder:     ("passed on as it is", "times -floor(a / b)"),
    np.fmod:          ("passed on as it is", "times -trunc(a / b)"),
    np.power:         ("times b a^(b - 1)", "times answer log(a)"),
    np.float_power:   ("times b a^(b - 1)", "times answer log(a)"),
    np.ldexp:         ("times 2^n",),
    np.negative:      ("negated",),
    np.positive:      ("passed on as it is",),
    np.square:        ("times 2 x",),
    np.sqrt:          ("over 2 times the answer",),
    np.cbrt:          ("over 3 times the answer squared",),
    np.reciprocal:    ("times -answer squared",),

    # exponentials and logarithms
    np.exp:           ("times the answer",),
    np.exp2:          ("times the answer and log 2",),
    np.expm1:         ("times exp(x)",),
    np.log:           ("over x",),
    np.log2:          ("over x log 2",),
    np.log10:         ("over x log 10",),
    np.log1p:         ("over 1 + x",),
    np.logaddexp:     ("times sigmoid(a - b)", "times sigmoid(b - a)"),
    np.logaddexp2:    ("times sigmoid of the gap", "times sigmoid of the gap"),

    # angles
    np.sin:           ("times cos(x)",),
    np.cos:           ("times -sin(x)",),
    np.tan:           ("times 1 + answer squared",),
    np.arcsin:        ("over sqrt(1 - x^2)",),
    np.arccos:        ("over -sqrt(1 - x^2)",),
    np.arctan:        ("over 1 + x^2",),
    np.arctan2:       ("times b / (a^2 + b^2)", "times -a / (a^2 + b^2)"),
    np.hypot:         ("times a / answer", "times b / answer"),
    np.degrees:       ("times 180 / pi",),
    np.rad2deg:       ("times 180 / pi",),
    np.radians:       ("times pi / 180",),
    np.deg2rad:       ("times pi / 180",),
    np.sinc:          ("times (cos(pi x) - sinc(x)) / x",),

    # hyperbolic functions
    np.sinh:          ("times cosh(x)",),
    np.cosh:          ("times sinh(x)",),
    np.tanh:          ("times 1 - answer squared",),
    np.arcsinh:       ("over sqrt(x^2 + 1)",),
    np.arccosh:       ("over sqrt(x^2 - 1)",),
    np.arctanh:       ("over 1 - x^2",),

    # signs and choices
    np.absolute:      ("times the sign",),
    np.fabs:          ("times the sign",),
    np.copysign:      ("times the sign",),
    np.heaviside:     ("", "where x is 0"),
    np.maximum:       ("where this is larger", "where this is larger"),
    np.minimum:       ("where this is smaller", "where this is smaller"),
    np.fmax:          ("where this is larger", "where this is larger"),
    np.fmin:          ("where this is smaller", "where this is smaller"),
    np.where:         ("", "where the condition holds", "where the condition fails"),
    np.clip:          ("within the bounds", "below the bound", "above the bound"),
    np.nan_to_num:    ("where finite", "", "where nan", "where inf", "where -inf"),
    np.conjugate:     ("passed on as it is",),
    np.real:          ("passed on as it is",),
    np.real_if_close: ("passed on as it is",),

    # reductions
    np.sum:           ("the same to each element",),
    np.mean:          ("an equal share to each element",),
    np.max:           ("to the largest element",),
    np.min:           ("to the smallest element",),
    np.nanmax:        ("to the largest element",),
    np.nanmin:        ("to the smallest element",),
    np.prod:          ("times the product of the others",),
    np.cumsum:        ("summed from the end",),
    np.cumprod:       ("times the product of the others",),
    np.var:           ("times 2 (x - mean) / n",),
    np.std:           ("times (x - mean) / (n answer)",),

    # moving, picking and joining elements
    getitem:          ("put back where it was picked",),
    scatter:          ("picked where it was put",),
    concatenate:      (),
    np.reshape:       ("laid back in the old shape",),
    np.ravel:         ("laid back in the old shape",),
    np.squeeze:       ("laid back in the old shape",),
    np.expand_dims:   ("laid back in the old shape",),
    np.broadcast_to:  ("summed over the copies",),
    np.transpose:     ("transposed back",),
    np.matrix_transpose: ("transposed back",),
    np.swapaxes:      ("axes swapped back",),
    np.moveaxis:      ("axes moved back",),
    np.flip:          ("flipped back",),
    np.flipud:        ("flipped back",),
    np.fliplr:        ("flipped back",),
    np.rot90:         ("turned back",),
    np.roll:          ("rolled back",),
    np.tril:          ("the lower triangle",),
    np.triu:          ("the upper triangle",),
    astype:           ("converted back",),

    # products of matrices
    np.matmul:        ("times the right matrix, transposed", "times the left matrix, transposed"),
    np.vecdot:        ("times the other vector", "times the other vector"),

    # networks' own
    sigmoid:          ("times answer (1 - answer)",),
    softplus:         ("times sigmoid(z)",),
    log_sigmoid:      ("times sigmoid(-z)",),
    relu:             ("where z > 0",),
    softmax:          ("answer times (gradient - its mean by answer)",),
    log_softmax:      ("less softmax(z) times its sum",),
    linear:           ("times the weights", "times the inputs, summed over rows", "summed over rows"),
    bce:              (TO_PREDICTION, TO_TARGET),
    bce_of_sigmoid:   (TO_PREDICTION, TO_PREDICTION, TO_TARGET),
    bce_with_logits:  (TO_PREDICTION, TO_TARGET),
    cross_entropy:    (TO_PREDICTION,),
    squared_error:    ("times 2 (p - y)", "times -2 (p - y)"),
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
    if func is concatenate:
        return "cut out again"
    rule = rule_of(func, i)
    doc = (getattr(rule.rule if isinstance(rule, SideGradient) else rule, "__doc__", None) or "").strip()
    return first_sentence(doc) if doc and rule.__class__.__name__ == "function" else f"rule of {name_of(func)}"


def rule_of(func: Function, i: int) -> object:
    """The rule of argument ``i``; None where no gradient flows."""
    rules: Iterable[object] = RULES[func]
    return next(itertools.islice(rules, i, None), None)


def first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0].rstrip(".")

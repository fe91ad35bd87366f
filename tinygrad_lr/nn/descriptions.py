"""What is known about each activation and loss, stated once.

The equations BP1 to BP4, the drawings, the page and the checks look it up here; none has a table of its own. A class states it
in its attribute ``about``; functions without a class are described in the module that would hold it. Formulas are plain
text in the notation of the page, with the names of the function's own arguments in braces: ``2 ({p} - {y})``.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from tinygrad_lr.autodiff.rules.registry import PLAIN, PUBLIC, RULES, Array, Function, has_rules, name_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Info:
    """What is known about a function that networks are made of.

    Attributes
    ----------
    function : callable
        The function, with rules (see `tg.primitive`). Its arguments without a default are arrays, the others are settings.
    sentence : str
        What it does, for learners.
    formula : str
        One element of the result, with the names of arguments and settings in braces: ``2 ({p} - {y})``.
    slopes : mapping of str to str
        For each argument, by name, the derivative of that element with respect to it; ``{a}`` stands for the result.
    words : mapping of str to str
        For an argument, by name, what its rule does to a gradient if that is not just a product with the slope.
    """

    function: Function
    sentence: str
    formula: str
    slopes: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = name_of(self.function)
        for part in ("function", "value", "slope", "terms"):
            if not callable(getattr(self, part, callable)):
                raise TypeError(f"the {part} in the description of {name} must be callable, got {getattr(self, part)!r}")
        if self.function not in RULES and not (isinstance(self.function, np.ufunc) and has_rules(self.function)):
            raise TypeError(f"{name} has no rule: wrap it in tg.primitive({name}, ...)")
        if isinstance(self, LossInfo) and self.parameters.get("reduction") != "mean":
            raise ValueError(f'{name} needs a setting reduction="mean": return reduced(losses, reduction), from tinygrad_lr.nn.losses')
        known = list(self.parameters)
        texts = [("formula", self.formula), *(("slopes", text) for text in self.slopes.values())]
        texts += [(part, f"{{{argument}}}") for part in ("slopes", "words", "remarks") for argument in getattr(self, part, {})]
        for part, text in texts:  # an argument that does not exist is like a formula that names it
            try:
                self.written(text, known, {})
            except (LookupError, ValueError, AttributeError) as error:
                raise ValueError(f"the {part} in the description of {name} may name {{{'}, {'.join(known)}}} and the result {{a}}, got {text!r}") from error

    @cached_property
    def parameters(self) -> dict[str, object]:
        """The names of the arguments, each with its default; arrays have none, which is `inspect.Parameter.empty`."""
        if isinstance(self.function, np.ufunc):  # their signatures, where NumPy has them, list much else
            return {"z": inspect.Parameter.empty}
        signature = inspect.signature(PLAIN.get(self.function, self.function))
        return {name: parameter.default for name, parameter in signature.parameters.items()}

    def arguments(self, values: Sequence[object], settings: Mapping[str, object]) -> dict[str, object]:
        """The arguments of a call by name, settings that it leaves out included."""
        return {**self.parameters, **dict(zip(self.parameters, values)), **settings}

    def settings(self, values: Sequence[object], settings: Mapping[str, object]) -> dict[str, object]:
        """The settings of a call, such as the delta of a Huber loss, without the reduction."""
        named = self.arguments(values, settings)
        return {name: named[name] for name, default in self.parameters.items() if default is not inspect.Parameter.empty and name != "reduction"}

    def written(self, formula: str, names: Sequence[str], settings: Mapping[str, object], result: str = "a") -> str:
        """A formula with the names of a call's arguments and result, and its settings, filled in: 2 (z2 - y)."""
        named = {"a": result, **self.arguments(names, settings)}
        return formula.format_map({name: f"{value:.4g}" if isinstance(value, float) else value for name, value in named.items()})

    def slope_of(self, i: int) -> str:
        """The derivative with respect to argument ``i`` as a factor of a product; "" if it is not stated."""
        return as_factor(self.slopes.get(list(self.parameters)[i], ""))

    def in_words(self, i: int) -> str:
        """What the rule of argument ``i`` does to a gradient, such as "times result (1 - result)"; "" if it is not stated."""
        names, slope = list(self.parameters), self.slope_of(i)
        return self.words.get(names[i]) or (slope and "times " + self.written(slope, names, {}, "result"))


def as_factor(formula: str) -> str:
    """A formula as a factor of a product: in parentheses, unless it is a single term.

    >>> as_factor("2 ({p} - {y})"), as_factor("{p} - {y}"), as_factor("1 where {z} > 0, else 0")
    ('2 ({p} - {y})', '({p} - {y})', '(1 where {z} > 0, else 0)')
    """
    outside, inside = formula, ""
    while outside != inside:  # from the innermost brackets outwards
        inside, outside = outside, re.sub(r"[({\[][^(){}\[\]]*[)}\]]", "", outside)
    return f"({formula})" if re.search(r"(?<![\^e])[-+]|[,<>=]| where | else ", outside) else formula


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivationInfo(Info):
    """What is known about a function of each single element, a = s(z): what `nn.Info` describes, and its derivative.

    Attributes
    ----------
    prime : str
        What drawings call its derivative: s′.
    value, slope : callable
        s(z), and s'(z) from z and a, in plain NumPy; settings come by name. The equations compute with them, so they
        must not use the function or its rule, which are compared with them.
    """

    prime: str
    value: Callable[..., Array]
    slope: Callable[..., Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class LossInfo(Info):
    """What `nn.Info` describes and more about a loss, a function of a prediction, targets (the last array) and a setting ``reduction="mean"``.

    Attributes
    ----------
    terms : callable
        dL/da for the sum of the losses, from prediction and targets, as two terms to be subtracted: their sizes bound the
        rounding error. In plain NumPy, as ``slope`` of `ActivationInfo`.
    through : callable, optional
        The activation that is differentiated together with the loss. The arrays of the function are then z, a and the targets,
        and ``terms`` are those of dL/dz.
    prediction : {"number", "probability", "class"}
        What is predicted. For a class, the last axis holds a number for each.
    response : callable, optional
        Turns what the loss is given into that prediction: the sigmoid, for logits.
    remarks : mapping of str to callable
        For an argument, by name, a function that turns its value into a remark to add to the formula of its slope.
    """

    terms: Callable[..., tuple[Array, Array]]
    through: Function | None = None
    prediction: Literal["number", "probability", "class"] = "number"
    response: Callable[[Array], Array] | None = None
    remarks: Mapping[str, Callable[[Array], str]] = field(default_factory=dict)

    def reduction(self, values: Sequence[object], settings: Mapping[str, object]) -> str:
        """What a call does with the losses of the elements: "mean", "sum" or "none"."""
        return str(self.arguments(values, settings).get("reduction", "none"))

    def count(self, shape: tuple[int, ...]) -> str:
        """The number of losses of a prediction of this shape, as formulas write it: m is the number of rows.

        >>> from tinygrad_lr import nn
        >>> [nn.MSELoss.about[0].count(shape) for shape in ((6,), (6, 1), (6, 2), (3, 6, 2))]
        ['m', 'm', '(m n)', '36']
        """
        each = shape[:-1] if self.prediction == "class" else shape
        if len(each) < 2 or each[1:] == (1,):
            return "m"
        return "(m n)" if len(each) == 2 else str(math.prod(each))

    def remark(self, i: int, value: Array) -> str:
        """The remark to add to the formula of the slope of argument ``i``, which has this value."""
        name = list(self.parameters)[i]
        return self.remarks[name](np.asarray(value)) if name in self.remarks else ""


# -- looked up by function, and by module ------------------------------------------------------------------

DESCRIPTIONS: dict[Function, Info] = {}
"""Every described function. Classes are entered when they are defined."""
LIBRARY: set[Function] = set()  # those of them that the library itself describes


def describe(*infos: Info, kind: type | None = None) -> None:
    """Enter descriptions into the table: those of a class, or of functions of the library that have none."""
    for info in infos:
        if DESCRIPTIONS.get(info.function) is info:
            continue  # restated by a derived class
        if kind is None or kind.__module__.startswith("tinygrad_lr."):
            LIBRARY.add(info.function)
        elif info.function in LIBRARY:
            raise ValueError(f"{kind.__name__} describes {name_of(info.function)}, which the library describes already: give it a function of its own")
        DESCRIPTIONS[info.function] = info
        if kind and (isinstance(info, LossInfo) or name_of(info.function) == "<lambda>"):
            PUBLIC[info.function] = kind


def activation_info(func: Function | None) -> ActivationInfo | None:
    """The description of an activation function; None for any other."""
    info = DESCRIPTIONS.get(func) if func else None
    return info if isinstance(info, ActivationInfo) else None


def loss_info(func: Function | None) -> LossInfo | None:
    """The description of a loss function; None for any other."""
    info = DESCRIPTIONS.get(func) if func else None
    return info if isinstance(info, LossInfo) else None


def is_described(module: object) -> bool:
    """Whether the class that defines a module's ``forward``, or one derived from it, describes it in ``about``."""
    for kind in type(module).__mro__:
        if "about" in vars(kind) or "forward" in vars(kind):
            return "about" in vars(kind)
    return False

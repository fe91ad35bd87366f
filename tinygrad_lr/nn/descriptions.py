"""What the library knows of each activation and loss, said once and read by all who speak of them.

The equations BP1 to BP4, pictures, the page and the checks have no tables of their own: they ask here. A class says it as
its attribute ``about``; a function without a class is described where its module says so. Formulas are plain text
in the notation of the page, with the function's own argument names in braces: ``2 ({p} - {y})``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tinygrad_lr.autodiff.rules.registry import PLAIN, Array, Function


@dataclass(frozen=True, kw_only=True, eq=False)
class Info:
    """What is known of a function that networks are made of.

    Attributes
    ----------
    function : callable
        The function, which has rules.
    sentence : str
        What it does, for learners.
    formula : str
        One element of the result.
    slopes : mapping
        An argument's name to the derivative of one element with respect to it; ``{a}`` is the result.
    words : mapping
        An argument's name to what its rule does to a gradient, where that is more than multiplying by a slope.
    """

    function: Function
    sentence: str
    formula: str
    slopes: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The function's parameters: those without a default are arrays, the others settings."""
        if isinstance(self.function, np.ufunc):  # newer NumPy knows their signatures, which hold much besides
            return {"z": inspect.Parameter("z", inspect.Parameter.POSITIONAL_ONLY)}
        return inspect.signature(PLAIN.get(self.function, self.function)).parameters

    def arguments(self, values: Sequence[object], settings: Mapping[str, object]) -> dict[str, object]:
        """A call's arguments by name, and the settings that it leaves out with their defaults."""
        defaults = {name: parameter.default for name, parameter in self.parameters.items() if parameter.default is not parameter.empty}
        return {**defaults, **dict(zip(self.parameters, values)), **settings}

    def settings(self, values: Sequence[object], settings: Mapping[str, object]) -> dict[str, object]:
        """What formulas depend on besides arrays, such as the delta of a Huber loss."""
        named, parameters = self.arguments(values, settings), self.parameters
        return {name: named[name] for name in parameters if name != "reduction" and parameters[name].default is not inspect.Parameter.empty}

    def written(self, formula: str, names: Sequence[str], settings: Mapping[str, object], result: str = "a") -> str:
        """A formula with what the arguments of a call are called, and with its settings.

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> info = nn.MSELoss.about[0]
        >>> info.written(info.slopes["p"], ["z2", "y"], {})
        '2 (z2 - y)'
        """
        named = {"a": result, **self.arguments(names, settings)}
        return formula.format_map({name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in named.items()})

    def in_words(self, i: int) -> str:
        """What the rule of argument ``i`` does to a gradient; "" where nothing is said of it.

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> nn.Sigmoid.about.in_words(0)
        'times result (1 - result)'
        """
        name, slope = list(self.parameters)[i], self.slope_of(i)
        return self.words.get(name) or (slope and "times " + self.written(slope, list(self.parameters), {}, "result"))

    def slope_of(self, i: int) -> str:
        """The derivative with respect to argument ``i``; "" where nothing is said of it."""
        return self.slopes.get(list(self.parameters)[i], "")


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivationInfo(Info):
    """What is known of a function of each single element, a = s(z).

    Attributes
    ----------
    prime : str
        What the equations call its derivative: s′.
    value, slope : callable
        s(z), and s'(z) from z and a, in plain NumPy and independent of the function and its rule, which are compared
        with them. Settings come by name.
    """

    prime: str
    value: Callable[..., Array]
    slope: Callable[..., Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class LossInfo(Info):
    """What is known of a loss: a function of a prediction and, as its last array, the targets.

    Attributes
    ----------
    terms : callable
        dL/da of the sum of the losses from prediction and targets, in plain NumPy and independent of the rule, as two terms
        to subtract: their sizes bound the rounding error. Settings come by name.
    through : callable, optional
        The activation that the loss is computed through: its arguments are then z, a and the targets, and ``terms`` are those
        of dL/dz.
    prediction : {"number", "probability", "class"}
        What is predicted; for classes the last axis of the prediction has a number for each.
    response : callable, optional
        That prediction from what the loss is given, where it is not the prediction itself: the sigmoid of logits.
    remarks : mapping
        An argument's name to what is to be said of its slope, given the argument's numbers.
    """

    terms: Callable[..., tuple[Array, Array]]
    through: Function | None = None
    prediction: Literal["number", "probability", "class"] = "number"
    response: Callable[[Array], Array] | None = None
    remarks: Mapping[str, Callable[[Array], str]] = field(default_factory=dict)

    def count(self, shape: tuple[int, ...]) -> str:
        """How many losses a prediction of this shape has: m, one for each row, or (m n).

        Examples
        --------
        >>> from tinygrad_lr import nn
        >>> [nn.MSELoss.about[0].count(shape) for shape in ((6,), (6, 1), (6, 2), (3, 6, 2))]
        ['m', 'm', '(m n)', '36']
        >>> nn.CrossEntropyLoss.about[0].count((6, 2))
        'm'
        """
        each = shape[:-1] if self.prediction == "class" else shape
        if len(each) < 2 or each[1:] == (1,):
            return "m"
        return "(m n)" if len(each) == 2 else str(math.prod(each))

    def remark(self, i: int, value: Array) -> str:
        """What is to be said of the slope of argument ``i`` where the argument has these numbers."""
        name = list(self.parameters)[i]
        return self.remarks[name](np.asarray(value)) if name in self.remarks else ""


# -- by function, and by module --------------------------------------------------------------------------

DESCRIPTIONS: dict[Function, Info] = {}
"""Function to what is known of it; classes enter theirs themselves."""


def describe(*infos: Info) -> None:
    """Enter descriptions into the table."""
    DESCRIPTIONS.update((info.function, info) for info in infos)


def activation_info(func: Function | None) -> ActivationInfo | None:
    """What is known of an activation function; None for other functions."""
    info = DESCRIPTIONS.get(func) if func else None
    return info if isinstance(info, ActivationInfo) else None


def loss_info(func: Function | None) -> LossInfo | None:
    """What is known of a loss function; None for other functions."""
    info = DESCRIPTIONS.get(func) if func else None
    return info if isinstance(info, LossInfo) else None


def about(module: object) -> tuple[Info, ...]:
    """What is known of a module; nothing where its class has a forward of its own and says nothing of it."""
    for kind in type(module).__mro__:
        if "about" in vars(kind):
            found = vars(kind)["about"]
            return found if isinstance(found, tuple) else (found,)
        if "forward" in vars(kind):
            break
    return ()
